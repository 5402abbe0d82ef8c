"""The figure of docs/architecture.md is what the code does."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from capi_lab.tables import TABLES
from tests.test_layers import FILES, LAYERS, ROOT, room

# What every room stands on, and what only calls the others: no arrow would say anything.
_UNDERNEATH = {"errors", "words", "sources", "shipped", "tables", "identity", "engine", "lab", "cli"}
ARROWS = re.findall(r'^  (\w+) -- "([^"]+)" --> (\w+)$', (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.M)


@cache
def trees(name: str) -> list[tuple[Path, ast.Module, str]]:
    here = [path for path in FILES if room(path) == name]
    return [(path, ast.parse(text), text) for path in here for text in [path.read_text(encoding="utf-8")]]


def defines(name: str, thing: str) -> bool:
    """Whether a room has a class or function of that name, or writes tables of that contract."""
    if thing.lower() in TABLES:
        return deals_in(name, thing)
    kinds = ast.ClassDef | ast.FunctionDef
    return any(isinstance(one, kinds) and one.name == thing for _, tree, _ in trees(name) for one in ast.walk(tree))


def imports(tree: ast.Module, home: str) -> set[str]:
    """What a file imports from a room of the package, or from the package itself."""
    own = f"capi_lab.{home}" if home else "capi_lab"
    found: set[str] = set()
    for one in ast.walk(tree):
        if isinstance(one, ast.ImportFrom) and (one.module == own or (home and f"{one.module}".startswith(f"{own}."))):
            found |= {alias.name for alias in one.names}
    return found


def deals_in(name: str, contract: str) -> bool:
    """Whether a room checks tables of a contract, or says that it returns them."""
    words = re.compile(rf"[Cc]ontracts? (?:``\w+`` (?:and|or) )?``{contract.lower()}``")
    return any(words.search(text) or contract in imports(tree, "tables") for _, tree, text in trees(name))


def takes(name: str, thing: str, giver: str) -> bool:
    """Whether a room imports a thing from its giver, or says in its documentation that it takes what that returns."""
    if thing.lower() in TABLES:
        return deals_in(name, thing)
    return any(
        f"`capi_lab.{thing}`" in text
        or thing in imports(tree, giver)
        or (giver in imports(tree, "") and f"{giver}.{thing}" in text)
        for _, tree, text in trees(name)
    )


def wrong(giver: str, thing: str, taker: str) -> bool:
    return not (giver in LAYERS and taker in LAYERS and defines(giver, thing) and takes(taker, thing, giver))


@pytest.mark.parametrize(("giver", "things", "taker"), ARROWS, ids=lambda value: value if value.islower() else "")
def test_every_arrow_is_in_the_code(giver: str, things: str, taker: str) -> None:
    """The one room makes what goes over, the other imports it or documents that it takes it."""
    assert [thing for thing in things.split(", ") if wrong(giver, thing, taker)] == []


def test_every_room_is_in_the_figure() -> None:
    """A room that is neither underneath the others nor only calls them has an arrow."""
    assert {name for giver, _, taker in ARROWS for name in (giver, taker)} == set(LAYERS) - _UNDERNEATH


@pytest.mark.parametrize(
    ("giver", "thing", "taker"),
    [
        ("report", "Report", "measure"),
        ("send", "CLICKS", "model"),
        ("load", "World", "reconcile"),
        ("nowhere", "X", "load"),
    ],
)
def test_an_arrow_that_is_not_there_is_found_out(giver: str, thing: str, taker: str) -> None:
    """Against the stream, a table nobody writes, a thing of another room, a room there is not."""
    assert wrong(giver, thing, taker)
