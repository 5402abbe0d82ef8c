"""Everything public says what it takes, what it gives and what it raises."""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

import capi_lab as cl
from capi_lab import errors

OURS = {
    name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, errors.CapiLabError)
}
_HEADING = re.compile(r"^(Parameters|Returns|Yields|Raises|Notes|Examples|References|Attributes)\n-{3,}$", re.MULTILINE)


def sections(doc: str) -> dict[str, str]:
    parts = _HEADING.split(doc)
    return {"summary": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def listed(text: str) -> list[str]:
    """Names of a Parameters section: ``a : int``, ``b, c``, ``*args``."""
    heads = [re.split(r"\s:(?:\s|$)", line)[0] for line in text.splitlines() if line and not line.startswith(" ")]
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def raised(function: Callable[..., Any]) -> set[str]:
    """Our errors a function raises in its own body."""
    found = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            found.add(called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", ""))
    return found & OURS


def said(error: str, doc: str) -> bool:
    """Whether a docstring names an error, or a kind of error it is."""
    kinds = {kind.__name__ for kind in getattr(errors, error).__mro__} & (OURS - {"CapiLabError"})
    return any(re.search(rf"\b{kind}\b", doc) for kind in kinds)


def faults(value: Any, *, method: bool = False) -> list[str]:
    """What is wrong with a docstring. A method may say in a sentence what a function says in sections."""
    doc = inspect.getdoc(value) or ""
    told, found = sections(doc), []
    if not told["summary"].strip().split("\n\n")[0].endswith((".", ":")):
        found.append("no summary that is a sentence")
    if inspect.isfunction(value):
        found += [f"{name} is raised and not said" for name in sorted(raised(value)) if not said(name, doc)]
    plain_class = inspect.isclass(value) and value.__init__ in (object.__init__, Exception.__init__)
    if method or plain_class or (inspect.isclass(value) and issubclass(value, enum.Enum | Exception)):
        return found
    signature = inspect.signature(value)
    names = [name for name in signature.parameters if not name.startswith("_")]
    named = listed(told.get("Parameters", ""))
    found += [f"parameter {name} is not said" for name in names if name not in named]
    found += [f"{name} is said and no parameter" for name in named if name not in signature.parameters]
    gives = signature.return_annotation
    if (
        inspect.isfunction(value)
        and gives not in (None, "None", "Iterator[None]")
        and not {"Returns", "Yields"} & told.keys()
    ):
        found.append("what is returned is not said")
    return found


def public() -> list[tuple[str, Any, bool]]:
    found: list[tuple[str, Any, bool]] = []
    for name in cl.__all__:
        value = getattr(cl, name)
        inner = [(f"{name}.{one}", getattr(value, one)) for one in value.__all__] if inspect.ismodule(value) else []
        for path, one in inner or [(name, value)]:
            if inspect.isfunction(one) or inspect.isclass(one):
                found.append((path, one, False))
            if inspect.isclass(one) and one.__module__.startswith("capi_lab"):
                for attribute, raw in vars(one).items():
                    wrapped = getattr(raw, "fget", None) or getattr(raw, "func", None) or getattr(raw, "__func__", raw)
                    if not attribute.startswith("_") and inspect.isfunction(wrapped):
                        found.append((f"{path}.{attribute}", wrapped, True))
    return found


def test_everything_public_is_documented_in_full() -> None:
    """Summary, every parameter, what comes back, and each error of ours a body raises; of methods too."""
    everything = public()
    assert len(everything) > 300
    wrong = {name: told for name, value, method in everything if (told := faults(value, method=method))}
    assert wrong == {}


def test_a_bad_docstring_is_found_out() -> None:
    """The check is no formality: each fault is told."""

    def bad(first: int, second: int) -> int:
        """Add two numbers

        Parameters
        ----------
        first, third : int
        """
        if first > second:
            raise errors.InputError("no")
        return first + second

    assert faults(bad) == [
        "no summary that is a sentence", "InputError is raised and not said", "parameter second is not said",
        "third is said and no parameter", "what is returned is not said",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"), [("a : int\n    Of.\nb, c\n    As.\n", ["a", "b", "c"]), ("*d\n", ["d"]), ("", [])]
)
def test_names_of_a_section_are_read(text: str, names: list[str]) -> None:
    """One name, several, starred ones, none."""
    assert listed(text) == names
