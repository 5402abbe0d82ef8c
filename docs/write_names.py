"""Write docs/names.md: every public name with its first line, room by room (`make docs`)."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import capi_lab as cl

PAGE = Path(__file__).with_name("names.md")
ROOMS = {
    "load": "Read files (`cl.load.…`)",
    "identity": "Match keys, click ids, user agents",
    "reconcile": "Lay events beside orders, replay dedup, tie clicks",
    "measure": "Rates with denominators and intervals",
    "model": "Match rates modelled, what changes would bring",
    "plots": "Pictures (`cl.plots.…`)",
    "simulate": "Shops whose truth is known",
    "sandbox": "A platform to try things on",
    "send": "Plan, send, remember",
    "report": "One page of it all",
    "engine": "Where tables lie",
    "platforms": "The platforms' rules",
}
VALUES = {
    "PLATFORMS": "The platforms by name: rules (`.spec`) and wires (`.wire(route)`).",
    "PRACTITIONERS": "What practitioners quote of match rates, as priors.",
    "KEY_RULES": "How each platform wants each match key.",
    "NORMALISERS": "The normalisers those rules name.",
    "OTHER_RULES": "Rules that platforms document besides, for forensics.",
}


def page() -> str:
    """Return the whole page."""
    parts = [
        "# Names\n\nEverything public, `import capi_lab as cl`. `help(cl.coverage)` has parameters, columns, units,\n"
        "errors and the source of each rule. Written from the docstrings.\n"
    ]
    for room, title in ROOMS.items():
        rows = [f"| `{name}{_parameters(thing)}` | {_first_line(name, thing)} |" for name, thing in _of(room)]
        parts.append("\n".join([f"## {title}\n", "| name | |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _of(room: str) -> Iterator[tuple[str, Any]]:
    """Yield what the room gives to users: names of the package, and of the modules that are used by name."""
    for name in cl.__all__:
        thing = getattr(cl, name)
        home = cl._HOMES.get(name, "").split(".")
        if home[1:2] == [room] and not isinstance(thing, ModuleType):
            yield f"cl.{name}", thing
    module = getattr(cl, room, None)
    if isinstance(module, ModuleType) and room in ("load", "identity", "plots"):
        for name in module.__all__:
            if name not in cl.__all__:
                yield f"cl.{room}.{name}", getattr(module, name)


def _parameters(thing: Any) -> str:
    if inspect.isclass(thing) or not callable(thing):
        return ""
    given = inspect.signature(thing).parameters.values()
    needed = [f"{one.name}{'=' * (one.kind is one.KEYWORD_ONLY)}" for one in given if one.default is one.empty]
    return f"({', '.join([*needed, *(['…'] if len(needed) < len(given) else [])])})"


def _first_line(name: str, thing: Any) -> str:
    if not (inspect.isclass(thing) or callable(thing)):
        return VALUES[name.rpartition(".")[2]]
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|").replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
