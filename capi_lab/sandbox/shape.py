"""The form of a body, made of a route's fields: reads a row into our columns and says what is wrong with its form."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from capi_lab.platforms.route import FieldRule, Route, TimeFormat
from capi_lab.platforms.server import Refusal

__all__ = ["Complaint", "Shape"]

Check = Callable[[Any], bool]


_PICKED = re.compile(r"(?P<list>.+)\[(?P<field>\w+)=(?P<word>\w+)\]\.(?P<name>\w+)")


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something a server has against a request or one of its rows.

    Parameters
    ----------
    code : str
        One of ``route.codes``, or a reason that is told afterwards.
    field : str
        Dotted path inside the row; empty for the row as a whole.
    row : int or None
        Position; None for the request as a whole.
    harmless : bool
        A warning: the field is left out, the row is taken.
    """

    code: str
    field: str = ""
    row: int | None = None
    harmless: bool = False


@dataclass(slots=True)
class _Leaf:
    path: str
    exact: type | None
    """Asked first: for most fields the type is all there is to check."""
    holds: Check
    column: str | None
    words: Mapping[str, str] | None


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node | _Leaf] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    # Of a list: members whose field is this word hold one of our columns, as (field, word, name, column).
    meant: list[tuple[str, str, str, str]] = field(default_factory=list)
    is_list: bool = False
    is_open: bool = False


class Shape:
    """What a route's body may look like.

    Parameters
    ----------
    route : Route
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._server = route.server
        self._root = _Node()
        for rule in route.fields:
            self._place(rule.path, rule)
        for path in route.server.other_fields:
            self._place(path, None)
        lists = [r.path.split("[]")[0] for r in route.fields if r.column == "event_time"]
        for path in route.corrections.fields:
            # What names the conversion is called there as it is in the conversion itself.
            head, dot, name = path.partition("[].")
            known = next((r for r in route.fields if dot and r.path == f"{lists[0]}[].{name}"), None)
            if dot:
                lists.append(head)
                self._place(path, known and replace(known, required="no"), keep=True)
        self.lists = tuple(dict.fromkeys(lists))
        """Names of the lists of rows: conversions first, then changes of them."""

    def _place(self, path: str, rule: FieldRule | None, *, keep: bool = False) -> None:
        node, parts = self._root, path.split(".")
        if (picked := _PICKED.fullmatch(path)) is not None:
            if rule is not None and rule.column is not None:
                for name in picked["list"].replace("[]", "").split("."):
                    node = self._inner(node, name)  # the list itself was named before
                node.meant.append((picked["field"], picked["word"], picked["name"], rule.column))
            return
        for at, part in enumerate(parts):
            name, is_list = part.removesuffix("[]"), part.endswith("[]")
            if name == "*":
                node.is_open = True
                return
            if at == len(parts) - 1 and not is_list:
                if rule is not None and rule.required == "yes":
                    node.required.append(name)
                # `userIds`, a list, is also said to be one; and what is known stays so.
                if not isinstance(node.children.get(name), _Node) and not (keep and name in node.children):
                    words = self._server.words.get(rule.path if rule else path)
                    holds = _anything if rule is None else _check(rule.type, words)
                    exact = str if holds is _text else None
                    node.children[name] = _Leaf(path, exact, holds, rule.column if rule else None, words)
                return
            node = self._inner(node, name)
            node.is_list |= is_list

    def _inner(self, node: _Node, name: str) -> _Node:
        found = node.children.get(name)
        if not isinstance(found, _Node):
            found = node.children[name] = _Node()
        return found

    def envelope(self, body: Mapping[str, Any], name: str) -> list[Complaint]:
        """Say what is wrong with a body apart from its rows, which are under ``name``."""
        faults: list[Complaint] = []
        self._read(self._root, {key: value for key, value in body.items() if key != name}, "", {}, faults)
        return faults

    def row(self, row: Any, name: str) -> tuple[dict[str, Any], list[Complaint]]:
        """Read a row: its values under our columns' names, and what is wrong with its form.

        Returns
        -------
        columns : dict
            Times in epoch seconds, words as ours; digests as they came.
        faults : list of Complaint
        """
        columns: dict[str, Any] = {}
        faults: list[Complaint] = []
        node = self._root.children[name]
        if not isinstance(row, dict):
            return columns, [Complaint(self._server.refusals[Refusal.MISSING_FIELD])]
        self._read(node, row, f"{name}[]", columns, faults)  # type: ignore[arg-type]
        when = columns.pop("event_time", None)
        if when is not None:
            seconds = _seconds(when, self._route.time)
            if seconds is None:
                path = next(r.path for r in self._route.fields if r.column == "event_time" and r.path.startswith(name))
                faults.append(self._bad(path))
            else:
                columns["event_time"] = seconds
        return columns, faults

    def _bad(self, path: str) -> Complaint:
        code = self._server.dropped.get(path)
        if code is not None:
            return Complaint(code, path, harmless=True)
        return Complaint(self._server.malformed.get(path, self._server.refusals[Refusal.BAD_FIELD]), path)

    def _read(  # noqa: PLR0912 - one walk does all, since it is done for every row
        self, node: _Node, value: Any, at: str, columns: dict[str, Any], faults: list[Complaint]
    ) -> None:
        refusals = self._server.refusals
        children = node.children
        for name, inner in value.items():
            known = children.get(name)
            if known is None:
                if not node.is_open and Refusal.UNKNOWN_FIELD in refusals:
                    faults.append(Complaint(refusals[Refusal.UNKNOWN_FIELD], f"{at}.{name}" if at else name))
            elif inner is None and self._server.nulls:
                continue
            elif isinstance(known, _Leaf):
                if inner.__class__ is not known.exact and not known.holds(inner):
                    faults.append(self._bad(known.path))
                elif known.column is not None and inner not in ("", []):
                    columns[known.column] = known.words[str(inner)] if known.words else inner
            elif known.is_list:
                path = f"{at}.{name}[]" if at else f"{name}[]"
                if isinstance(inner, list) and all(isinstance(one, dict) for one in inner):
                    for one in inner:
                        self._read(known, one, path, columns, faults)
                else:
                    faults.append(self._bad(path))
            elif isinstance(inner, dict):
                self._read(known, inner, f"{at}.{name}" if at else name, columns, faults)
            else:
                faults.append(self._bad(f"{at}.{name}" if at else name))
        for key, word, name, column in node.meant:
            if value.get(key) == word and value.get(name):
                columns[column] = value[name]
        for name in node.required:
            if value.get(name) is None and Refusal.MISSING_FIELD in refusals:
                path = f"{at}.{name}" if at else name
                # A lacking text and a malformed one can have a code of their own.
                faults.append(Complaint(refusals[Refusal.MISSING_FIELD], path))


def _anything(value: Any) -> bool:
    return True


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _matches(pattern: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


# A digest, in hex or Base64, or one that Meta's own library has marked at its end.
_digest = _matches(r"[0-9a-fA-F]{64}(\.[A-Za-z0-9_-]{2,8})?|[A-Za-z0-9+/_-]{43}=")


def _digests(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) > 0 and (_digest(value[0]) if len(value) == 1 else all(map(_digest, value)))
    return _digest(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


# By how a `FieldRule` spells its type; the first that it starts with. Whatever is not here is text.
_TYPES: tuple[tuple[str, Check], ...] = (
    ("epoch", _whole),
    ("number as text", _matches(r"\d+")),
    ("number", _number),
    ("integer", _whole),
    ("true", lambda value: isinstance(value, bool)),
    ("10 digits", _matches(r"\d{10}")),
    ("list of SHA-256", _digests),
    ("SHA-256 hex, text", _text),
    ("SHA-256", _digests),
    ("list of one text", _texts),
    ("list", lambda value: isinstance(value, list)),
    ("decimal as text", _matches(r"-?\d+(\.\d+)?")),
    ("URN of the rule", _matches(r"urn:lla:llaPartnerConversion:\d+")),
    ("dashed GUID", _matches(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("32 hex digits", _matches(r"[0-9a-fA-F]{32}")),
    ("URL", _text),
)


def _check(kind: str, words: Mapping[str, str] | None) -> Check:
    if words:
        return lambda value: (isinstance(value, str) or _whole(value)) and str(value) in words
    return next((check for start, check in _TYPES if kind.startswith(start)), _text)


def _seconds(value: Any, form: TimeFormat) -> float | None:
    """Read an instant; a text without a zone is taken for UTC, as the platforms do without a word."""
    if isinstance(value, int):
        return value / 1000 if form is TimeFormat.MILLISECONDS else float(value)
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
