"""Imports go one way, and heavy libraries stay in their rooms."""

from __future__ import annotations

import ast
import itertools
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "capi_lab"

# A room may import rooms of a lower number, and itself. docs/architecture.md draws this.
LAYERS = {
    "errors": 0,
    "words": 0,
    "sources": 0,
    "shipped": 1,
    "tables": 2,
    "identity": 2,
    "platforms": 3,
    "engine": 4,
    "load": 5,
    "reconcile": 5,
    "measure": 6,
    "model": 7,
    "plots": 8,
    "simulate": 8,
    "send": 8,
    "sandbox": 9,
    "report": 10,
    "lab": 10,
    "cli": 11,
}
# Narrower than the order above.
MAY_USE = {
    "simulate": {"errors", "words", "shipped", "tables", "identity", "platforms"},
    "sandbox": {"errors", "words", "sources", "tables", "identity", "platforms", "simulate"},
    "plots": {"errors", "words", "tables"},
    "send": {"errors", "words", "tables", "identity", "platforms", "engine", "load", "reconcile"},
    "identity": {"errors", "words", "sources"},
    "load": {"errors", "words", "sources", "shipped", "tables", "identity", "platforms"},
}
FENCES = {
    "httpx": {"send"},
    "stamina": {"send"},
    "keyring": {"send"},
    "google": {"send"},
    "matplotlib": {"plots", "report"},
    "pandera": {"tables"},
    "ibis": {"engine", "load", "reconcile", "measure", "identity"},
    "duckdb": {"engine", "load", "reconcile", "measure", "identity"},
    "starlette": {"sandbox"},
    "uvicorn": {"sandbox"},
    "typer": {"cli"},
    "phonenumbers": {"identity"},
    "ua_parser": {"identity"},
    "nbclient": {"lab"},
    "jinja2": {"report"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(path: Path) -> set[str]:
    """Every module named in an import anywhere in the file, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            found.add(node.module or "")
            if node.module == "capi_lab":
                found |= {f"capi_lab.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_go_down(path: Path) -> None:
    """A module imports its own room and lower ones, nothing above."""
    here = room(path)
    if not here:
        return  # the public face imports everything, lazily
    assert here in LAYERS, f"room '{here}' has no place: add it here and to docs/architecture.md"
    for name in imports(path):
        if name.split(".")[0] != "capi_lab" or name in ("capi_lab", "capi_lab.__version__"):
            continue
        there = name.split(".")[1]
        if there == here:
            continue
        assert LAYERS[there] < LAYERS[here], f"{here} must not import {there}"
        assert there in MAY_USE.get(here, LAYERS), f"{here} must not import {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    """Each fenced library is imported only where it belongs."""
    for name in imports(path):
        allowed = FENCES.get(name.split(".")[0])
        assert allowed is None or room(path) in allowed, f"{name} does not belong in {room(path)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_stay_readable(path: Path) -> None:
    """No module is longer than 450 lines, and each says what it is for."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 450
    assert ast.get_docstring(ast.parse(text))


def test_no_platform_is_named_outside_its_rules() -> None:
    """A comparison with a platform's name elsewhere means that a field is missing from the spec."""
    platforms = {p.name for p in (PACKAGE / "platforms").iterdir() if p.is_dir() and not p.name.startswith("_")}
    for path in FILES:
        if room(path) == "platforms":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                named = {c.value for c in [node.left, *node.comparators] if isinstance(c, ast.Constant)}
                assert not named & platforms, f"{path.name}:{node.lineno} compares with a platform's name"


def test_import_and_help_stay_light() -> None:
    """Neither ``import capi_lab`` nor the command line's help loads pandas, DuckDB or matplotlib."""
    code = "import sys, capi_lab, capi_lab.cli; print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pandas", "numpy", "duckdb", "ibis", "matplotlib", "pandera", "scipy", "pyarrow", "starlette"} & set(
        loaded
    )


def test_lock_is_host_free_and_complete() -> None:
    """constraints.txt holds names and versions, no address, and pins every dependency of pyproject.toml."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert "@" not in text
    pinned = {line.split("==")[0].lower() for line in text.splitlines() if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    for requirement in wanted:
        name = requirement.split(">=")[0].split("[")[0].strip().lower()
        assert name in pinned, f"{name} is not in constraints.txt: run `make lock`"
