"""Which format a file has: each loader says how its files show themselves, and the beginning of a file is held to that.

A loader joins by a ``SIGNATURES`` in its module, loader to signatures::

    SIGNATURES = {"my_orders": (Signature(fields=(("order_ref", "placed_at"),)),)}
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from capi_lab.errors import LoadError, UnknownNameError
from capi_lab.load.files import Part, is_parquet, open_bytes
from capi_lab.tables import TABLES

__all__ = ["Recognised", "Signature", "known_formats", "named_format", "recognise"]

_HEAD = 1 << 20
_LINES = 50
_DEEP, _MANY = 6, 400
_SHORT = 40  # longest text that is compared as a value
_BYTE_MARK = b"\xef\xbb\xbf"
_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Signature:
    """How files of one format show themselves.

    Parameters
    ----------
    fields : tuple of tuple of str
        Names in lower case, all of one tuple together: of columns (CSV header, Parquet schema) or keys of one JSON
        object, nested ones with dots. ``type=page``: the key with that value.
    line : str
        A regular expression that lines of the text match from their start.
    options : mapping
        What the loader is called with for such a file.
    """

    fields: tuple[tuple[str, ...], ...] = ()
    line: str = ""
    options: Mapping[str, Any] = field(default_factory=lambda: _NO_OPTIONS)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A loader's name and what to call it with."""

    loader: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Head:
    """What the beginning of a file shows: sets of names that stand together, outermost first, or lines.

    ``broken`` is a file that opens as JSON and of which nothing can be read as such.
    """

    names: tuple[frozenset[str], ...] = ()
    lines: tuple[str, ...] = ()
    broken: bool = False


def recognise(file: Part) -> Recognised:
    """Say which loader reads a file, by its content alone.

    Parameters
    ----------
    file : Part

    Returns
    -------
    Recognised
        Of the signatures a file shows, the one with most names; of those the one that shows furthest out.

    Raises
    ------
    LoadError
        The file cannot be read, or shows none.
    """
    head = _head(file)
    best: tuple[tuple[int, int], Recognised] | None = None
    for loader, one in _signatures():
        rank = _rank(one, head)
        if rank is not None and (best is None or rank > best[0]):
            best = rank, Recognised(loader, one.options)
    if best is None and head.broken:
        raise LoadError(f"'{file.name}' opens as JSON and cannot be read as such: is it cut? Export it again")
    if best is None:
        raise LoadError(
            f"'{file.name}' is of no format we read.\n"
            f"Columns of your own? cl.load.table('{file.name}', 'conversions', columns={{'theirs': 'ours'}})\n"
            f"A format we read? Say which (--as, as_format=): {', '.join(known_formats())}"
        )
    return best[1]


def named_format(name: str) -> Recognised:
    """Return the loader of a format that was named: a loader, or a contract table (`known_formats`).

    Raises
    ------
    UnknownNameError
        There is none.
    """
    if name not in known_formats():
        raise UnknownNameError("format", name, known_formats())
    if name in TABLES:
        return Recognised("table", {"kind": name})
    first = next((one.options for loader, one in _signatures() if loader == name), _NO_OPTIONS)
    return Recognised(name, first)


def known_formats() -> tuple[str, ...]:
    """List the names of loaders, and of the tables that `capi_lab.load.table` reads."""
    from capi_lab import load

    others = ("any_format", "sample", "samples", "table")
    loaders = [name for name in load.__all__ if name.islower() and name not in others]
    return (*sorted(loaders), *sorted(TABLES))


def _signatures() -> Iterator[tuple[str, Signature]]:
    from capi_lab import load

    modules = dict.fromkeys(getattr(load, name).__module__ for name in load.__all__)
    for module in modules:
        for loader, signatures in getattr(sys.modules[module], "SIGNATURES", {}).items():
            yield from ((loader, one) for one in signatures)


def _rank(one: Signature, head: _Head) -> tuple[int, int] | None:
    ranks = [
        (len(names), -depth)
        for names in one.fields
        for depth, there in enumerate(head.names)
        if there.issuperset(names)
    ]
    if one.line and head.lines:
        pattern = re.compile(one.line)
        if 2 * sum(pattern.match(line) is not None for line in head.lines) >= len(head.lines):
            ranks.append((1, -_MANY))
    return max(ranks, default=None)


def _head(file: Part) -> _Head:
    if is_parquet(file):
        from pyarrow import parquet

        try:
            names = parquet.read_schema(file.path).names
        except Exception as error:  # pyarrow raises several classes for a damaged file
            raise LoadError(f"'{file.name}' cannot be read as Parquet ({type(error).__name__})") from None
        return _Head(names=(_folded(names),))
    broken = False
    with open_bytes(file) as stream:
        start = stream.read(_HEAD).removeprefix(_BYTE_MARK)
        if start.lstrip()[:1] in (b"{", b"["):
            objects = _objects(start) or _whole(start + stream.read())
            if objects:
                return _Head(names=tuple(_names_in(objects)))
            broken = True
    text = start.decode("utf-8", errors="replace")
    lines = [line.rstrip("\r") for line in text.split("\n")]
    lines = [line for line in (lines if len(start) < _HEAD else lines[:-1]) if line.strip()][:_LINES]
    return _Head(names=(_header(lines),), lines=tuple(lines), broken=broken)


def _objects(start: bytes) -> list[Any]:
    """Read JSON lines; an empty list where the file is no such."""
    found = []
    for line in start.split(b"\n", _LINES)[:_LINES]:
        try:
            one = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(one, dict):
            found.append(one)
    return found


def _whole(content: bytes) -> list[Any]:
    try:
        return [json.loads(content)]
    except (ValueError, RecursionError):
        return []


def _names_in(objects: list[Any]) -> Iterator[frozenset[str]]:
    """Name the keys of each object, outermost first, with those of the objects it holds behind a dot."""
    waiting: deque[tuple[Any, int]] = deque((one, 0) for one in objects)
    seen = 0
    while waiting and seen < _MANY:
        one, depth = waiting.popleft()
        seen += 1
        inner = list(one.values()) if isinstance(one, dict) else one
        if isinstance(one, dict):
            yield frozenset(_names_of(one))
        if depth < _DEEP:
            waiting.extend((value, depth + 1) for value in inner[:_LINES] if isinstance(value, dict | list))


def _names_of(one: dict[str, Any]) -> Iterator[str]:
    for name, value in one.items():
        folded = str(name).strip().lower()
        yield folded
        if isinstance(value, dict):
            yield from (f"{folded}.{str(inner).lower()}" for inner in value)
        elif isinstance(value, str) and len(value) <= _SHORT:
            yield f"{folded}={value.lower()}"


def _header(lines: list[str]) -> frozenset[str]:
    first = next((line for line in lines if not line.startswith("#")), "")
    delimiter = max(",;\t", key=first.count)
    try:
        return _folded(next(csv.reader([first], delimiter=delimiter), []))
    except csv.Error:
        return frozenset()


def _folded(names: list[str]) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in names)
