"""What the documentation says is true of the code."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import capi_lab as cl
from capi_lab import words
from tests.test_layers import LAYERS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "data" / "README.md"])


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture exists."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http", "mailto")):
            assert (page.parent / target).exists(), target


def test_readme_lists_every_loader() -> None:
    """The table of formats has a row per loader."""
    readme = text("README.md")
    for name in cl.load.__all__:
        if name.islower() and name not in ("sample", "samples"):
            assert f"`load.{name}`" in readme, name


def test_readme_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """The ten lines of the README run as they stand, on an order file and an event log made here."""
    (example,) = re.findall(r"## Ten lines.*?```python\n(.*?)```", text("README.md"), re.DOTALL)
    orders = [
        {
            "id": i + 1,
            "date_created_gmt": "2026-01-01T00:00:00",
            "total": "9.90",
            "currency": "EUR",
            "billing": {"country": "DE"},
        }
        for i in range(40)
    ]
    (tmp_path / "orders.json").write_text(json.dumps(orders))
    lines = ["row_id,channel,event_name,event_time,conversion_id,event_id"]
    lines += [f"p{i},pixel,Purchase,2026-01-01 00:00:01,{i + 1},e{i}" for i in range(20)]
    lines += [f"s{i},capi,Purchase,2026-01-01 00:00:09,{i + 1},e{i}" for i in range(40)]
    (tmp_path / "events.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)  # noqa: S102 - our own README
    assert names["table"].set_index("setup")["k"].to_dict() == {
        "pixel": 20, "capi": 40, "pixel+capi": 40, "incremental": 20,
    }  # fmt: skip
    assert "rows in" in capsys.readouterr().out


def test_make_targets_are_documented() -> None:
    """Targets the README names exist in the Makefile, and it names every one of them."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", text("Makefile"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", text("README.md") + text("CONTRIBUTING.md")))
    assert named <= targets
    assert targets <= set(re.findall(r"`make ([a-z-]+)`", text("README.md")))


def test_architecture_lists_every_room() -> None:
    """docs/architecture.md has a row for each room there is."""
    page = text("docs/architecture.md")
    rooms = {p.stem for p in (ROOT / "capi_lab").iterdir() if not p.name.startswith("_") and p.suffix in ("", ".py")}
    rooms.discard("shipped_data")
    for room in rooms:
        assert f"| `{room}` |" in page, room
        assert room in LAYERS


def test_glossary_explains_every_word() -> None:
    """Every word for a reason, cause, verdict, device or engine is in the glossary."""
    page = text("docs/glossary.md")
    for enum in (
        words.DropReason,
        words.GapCause,
        words.HashVerdict,
        words.LoadDrop,
        words.Setup,
        words.Channel,
        words.Ineligible,
        words.Stratum,
        words.Caveat,
        words.Device,
        words.Engine,
        words.Evidence,
        words.ClickFate,
        words.ClickFix,
        words.ClickStep,
        words.Storage,
        words.MatchedBy,
        words.ServerFault,
    ):
        for word in enum:
            assert f"`{word}`" in page or f"| {word} |" in page, word


def test_platforms_page_is_the_rules() -> None:
    """docs/platforms.md is what the specs say today, word for word: `make docs`."""
    assert text("docs/platforms.md") == cl.platforms.described()
    for name in cl.PLATFORMS:
        assert cl.platforms.described(name) in text("docs/platforms.md")


def written(name: str) -> str:
    """A page as the script beside it would write it today."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page: str = module.page()
    return page


def test_tables_page_is_the_contracts() -> None:
    """docs/tables.md lists every column of every contract as the code has it: `make docs`."""
    page = text("docs/tables.md")
    assert page == written("write_tables")
    for table in cl.tables.TABLES.values():
        for column in table.names:
            assert f"| `{column}` |" in page


def test_names_page_is_the_docstrings() -> None:
    """docs/names.md has every public name with the first line of its docstring: `make docs`."""
    page = text("docs/names.md")
    assert page == written("write_names")
    modules = {"errors", "faults", "identity", "load", "platforms", "plots", "tables", "words"}
    for name in {*cl.__all__} - modules - {"__version__"}:
        assert f"`cl.{name}" in page


def test_data_readme_counts_are_the_files() -> None:
    """Row counts and columns of the shipped files are those stated."""
    page = text("data/README.md")
    for name, rows in re.findall(r"`(cdnow_\w+\.parquet)`: ([\d,]+) rows", page):
        assert pq.read_metadata(ROOT / "data" / name).num_rows == int(rows.replace(",", ""))
    for column in pq.read_schema(ROOT / "data" / "cdnow_conversions.parquet").names:
        assert f"`{column}`" in page


def test_shipped_files_stay_small() -> None:
    """The samples together are under 5 MB."""
    assert sum(p.stat().st_size for p in (ROOT / "data").iterdir() if p.is_file()) < 5e6


def test_nothing_names_a_machine_or_a_registry() -> None:
    """No path of a machine, no registry address, in any text file of the project."""
    registries = "|".join(("pypi[.]org", "[p]ythonhosted", "registry[.]npmjs"))  # not to find itself
    forbidden = re.compile(rf"(?<![\w.])/(?:root|home|Users|mnt|srv|opt)/|{registries}")
    kinds = {".md", ".py", ".toml", ".txt", ".ipynb", ".csv", ""}
    for path in ROOT.rglob("*"):
        relative = path.relative_to(ROOT)
        hidden = any(part.startswith(".") and part != ".ci" for part in relative.parts)
        if hidden or relative.parts[0] == "out" or "__pycache__" in relative.parts or not path.is_file():
            continue
        if path.suffix in kinds and path != Path(__file__):
            assert not forbidden.search(path.read_text(encoding="utf-8")), relative
