"""A route's needs asked of rows as they came: the same values that the wires and `eligible` read.

What only the sender can know (when the click was, what a digest was made of) is let pass, and needs that are ours alone
(`Server.needs` does not list them) are not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import reduce
from typing import Any

from capi_lab.platforms import needs
from capi_lab.platforms.checks import URL
from capi_lab.platforms.currencies import ISO_4217
from capi_lab.platforms.route import Limits, Route
from capi_lab.platforms.spec import PlatformSpec

__all__ = ["Asked", "asked"]

Columns = Mapping[str, Any]
Test = Callable[[Columns, float], bool]

_URL = re.compile(URL)
_MONEY = frozenset(ISO_4217)
_THERE = (needs.Has, needs.Usable)


class Asked:
    """The needs of one route under given settings, ready to be asked of columns that hold no empty value.

    Parameters
    ----------
    now_codes, late_codes : sequence of (code, test)
        Refused at once, or told afterwards.
    """

    def __init__(self, now_codes: list[tuple[str, Test]], late_codes: list[tuple[str, Test]]) -> None:
        self._now = now_codes
        self._late = late_codes

    def refused(self, columns: Columns, clock: float) -> str | None:
        """Return the code of the first need the row breaks."""
        for code, holds in self._now:
            if not holds(columns, clock):
                return code
        return None

    def told_later(self, columns: Columns, clock: float) -> str | None:
        """Return the reason under which the row is counted as an error afterwards."""
        for code, holds in self._late:
            if not holds(columns, clock):
                return code
        return None


def asked(spec: PlatformSpec, route: Route, settings: Mapping[str, str]) -> Asked:
    """Prepare the needs the server has a code for.

    Parameters
    ----------
    spec : PlatformSpec
    route : Route
    settings : mapping
        As far as the request tells them; others have their default.
    """
    chosen = {one.name: one.default for one in route.settings if one.default is not None} | dict(settings)
    found: dict[bool, list[tuple[str, Test]]] = {False: [], True: []}
    for need in route.needs:
        for late, codes in ((False, route.server.needs), (True, route.server.late)):
            code = codes.get(need.rule, codes.get(f"{need.rule}/{need.reason}"))
            if code is None:
                continue
            condition = needs.settled(need.condition, chosen)
            if condition is not True:
                found[late].append((code, _never if condition is False else _test(condition, spec, route.limits)))
    return Asked(found[False], found[True])


def _never(columns: Columns, clock: float) -> bool:
    return False


def _always(columns: Columns, clock: float) -> bool:
    return True


def _test(condition: needs.Condition, spec: PlatformSpec, limits: Limits) -> Test:
    match condition:
        case needs.Not(part):
            inner = _test(part, spec, limits)
            return lambda columns, clock: not inner(columns, clock)
        case needs.AllOf(parts) | needs.AnyOf(parts):
            everyone, names = isinstance(condition, needs.AllOf), _names(parts)
            if names is not None:
                if everyone:
                    return lambda columns, clock: names <= columns.keys()
                return lambda columns, clock: not columns.keys().isdisjoint(names)
            return reduce(_both if everyone else _either, (_test(part, spec, limits) for part in parts))
        case _:
            return _row_test(condition, spec, limits)


def _both(one: Test, other: Test) -> Test:
    return lambda columns, clock: one(columns, clock) and other(columns, clock)


def _either(one: Test, other: Test) -> Test:
    return lambda columns, clock: one(columns, clock) or other(columns, clock)


def _names(parts: tuple[needs.Condition, ...]) -> frozenset[str] | None:
    """Return the columns that must have a value, where nothing else is asked: sets answer that at once."""
    found = [one.column if isinstance(one, needs.Has) else one.key for one in parts if isinstance(one, _THERE)]
    return frozenset(found) if len(found) == len(parts) else None


def _row_test(condition: needs.Condition, spec: PlatformSpec, limits: Limits) -> Test:
    match condition:
        case needs.Has(column) | needs.Usable(column):
            return lambda columns, clock: column in columns
        case needs.Whole(param):
            whole = re.compile(spec.click_id(param).pattern)
            return lambda columns, clock: whole.fullmatch(columns.get(param) or "") is not None
        case needs.Url(column):
            return lambda columns, clock: _URL.fullmatch(columns.get(column) or "") is not None
        case needs.Is(column, values):
            return lambda columns, clock: columns.get(column) in values
        case needs.EventIs(names):
            return lambda columns, clock: columns.get("event_name") in names
        case needs.Currency():
            return lambda columns, clock: (columns.get("currency") or "EUR").upper() in _MONEY
        case needs.ValueWithin(low, high):
            return lambda columns, clock: _within(columns.get("value"), low, high)
        case needs.Recent(most):
            return _recent(most, limits)
        case needs.Past():
            ahead = limits.future.total_seconds()
            return lambda columns, clock: columns.get("event_time", clock) - clock <= ahead
        case _:
            return _always  # AfterClick, FreshClick, Impersonal, ReadableDigest, ConsentKnown: not on the wire


def _recent(most: timedelta | None, limits: Limits) -> Test:
    usual = (most or limits.max_age).total_seconds()
    of = {} if most else {source: age.total_seconds() for source, age in limits.max_age_of.items()}
    # Where the body has no action source, the longest life any source has is granted.
    longest = max(usual, *of.values()) if of else usual

    def holds(columns: Columns, clock: float) -> bool:
        source = columns.get("action_source")
        age = clock - float(columns.get("event_time", clock))
        return age <= (longest if source is None else of.get(source, usual))

    return holds


def _within(value: Any, low: float | None, high: float | None) -> bool:
    if value is None:
        return True
    number = float(value)
    return (low is None or number >= low) and (high is None or number <= high)
