"""The needs of a route asked of a table; `capi_lab.platforms.screen` asks them of rows on their way to a body."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import reduce
from itertools import count
from operator import and_
from typing import Any

import ibis
import pandas as pd

from capi_lab.engine import epoch_microseconds
from capi_lab.identity import KEY_RULES
from capi_lab.identity.usable import folded, in_countries, readable_digest, trimmed, usable
from capi_lab.platforms import needs
from capi_lab.platforms.checks import PHONE_LIKE, URL
from capi_lab.platforms.currencies import ISO_4217
from capi_lab.platforms.route import Route
from capi_lab.platforms.rows import NO_ID
from capi_lab.platforms.spec import PlatformSpec
from capi_lab.tables import CONVERSIONS
from capi_lab.words import Ineligible

__all__ = ["apart", "reasons_against", "value_of", "whole"]

_LARGEST = 1.7976931348623157e308
_LINE_ENDS = ["\n", "\r", "\u0085", "\u2028", "\u2029"]


def reasons_against(
    table: ibis.Table, spec: PlatformSpec, route: Route, chosen: Mapping[str, str], clock: pd.Timestamp
) -> tuple[ibis.Table, dict[Ineligible, Any], list[str]]:
    """Say for each reason which rows of a table it speaks against.

    Parameters
    ----------
    table : Ibis table
        Contract ``conversions``, checked.
    spec : PlatformSpec
    route : Route
    chosen : mapping
        Settings with their defaults.
    clock : Timestamp
        In UTC.

    Returns
    -------
    table : Ibis table
        With helper columns, which each hold the answer to one condition: many needs ask the same.
    against : dict
        Reason to a boolean expression over that table, never missing.
    helpers : list of str
        Names of the helper columns.
    """
    settled = [(need.reason, needs.settled(need.condition, chosen)) for need in route.needs]
    conditions: dict[needs.RowCondition, None] = {}
    for _, condition in settled:
        if not isinstance(condition, bool):
            needs.holds(condition, lambda one: conditions.setdefault(one) or ibis.literal(value=True))
    free = (name for i in count() if (name := f"screen_{i}") not in table.columns)
    keys = {key: next(free) for key in KEY_RULES[spec.name] if key in table.columns}
    once = {name: trimmed(value_of(table, key)) for key, name in keys.items()}
    once |= {(place := next(free)): folded(value_of(table, "country"))}
    read = apart(table, once, barrier := next(free))
    ask = _Answers(read, keys, place, spec, route, clock)
    names = {condition: next(free) for condition in conditions}
    answers = {name: ask.where(condition).fill_null(False) for condition, name in names.items()}
    wide = apart(read.drop(barrier), answers, barrier)
    kept: dict[Ineligible, list[Any]] = {}
    for reason, condition in settled:
        if isinstance(condition, bool):
            holds = ibis.literal(condition)
        else:
            holds = needs.holds(condition, lambda one: wide[names[one]])
        kept.setdefault(reason, []).append(holds)
    against = {reason: ~reduce(and_, parts) for reason, parts in kept.items()}
    return wide, against, [*once, *names.values(), barrier]


def apart(table: ibis.Table, columns: Mapping[str, Any], barrier: str) -> ibis.Table:
    """Add columns that are computed once, however often they are asked for.

    Ibis would write the whole expression into every place that uses the column, thousands of times over; it does not
    where a column beside it is random. That one is never read, so that no engine draws it.
    """
    return table.mutate(**columns, **{barrier: ibis.random()})


def value_of(table: ibis.Table, name: str) -> Any:
    """Return a column as a wire reads it: empty texts, and placeholders for ids, are missing."""
    column = CONVERSIONS.column(name)
    if name not in table.columns:
        return ibis.null({"text": "string", "time": "timestamp('UTC')", "number": "float64"}[column.kind])
    value = table[name]
    if column.kind != "text" or name == "conversion_id":
        return value
    value = value.nullif("")
    if column.is_id:
        value = ibis.ifelse(value.isin(NO_ID) | value.startswith("{{"), ibis.null("string"), value)
    return value


class _Answers:
    """The conditions as expressions over one table."""

    def __init__(
        self,
        table: ibis.Table,
        keys: Mapping[str, str],
        country: str,
        spec: PlatformSpec,
        route: Route,
        clock: pd.Timestamp,
    ) -> None:
        self.table, self.keys, self.country = table, keys, table[country]
        self.spec, self.route, self.clock = spec, route, clock
        self.rules = KEY_RULES[spec.name]

    def value(self, name: str) -> Any:
        return value_of(self.table, name)

    def key(self, name: str) -> Any:
        """Return a match key, trimmed."""
        return self.table[self.keys[name]] if name in self.keys else ibis.null("string")

    def where(self, condition: needs.RowCondition) -> Any:  # noqa: PLR0912 - one case for each kind
        """Return where a condition holds."""
        value = self.value
        match condition:
            case needs.Has(column):
                return value(column).notnull()
            case needs.Usable(key):
                return usable(self.key(key), self.rules[key], self.country)
            case needs.Whole(param):
                return whole(value(param), self.spec.click_id(param).pattern)
            case needs.Url(column):
                return whole(value(column), URL)
            case needs.Is(column, values):
                return value(column).isin(sorted(values))
            case needs.EventIs(names):
                return self.table.event_name.isin(sorted(self.spec.spelled(names)))
            case needs.Currency():
                return value("currency").isnull() | value("currency").isin(sorted(ISO_4217))
            case needs.ValueWithin(low, high):
                least, most = (-_LARGEST if low is None else float(low)), (_LARGEST if high is None else float(high))
                return value("value").isnull() | value("value").between(least, most)
            case needs.Impersonal(column):
                text = value(column)
                return text.isnull() | ~(text.contains("@") | whole(text, PHONE_LIKE))
            case needs.ReadableDigest(key):
                return readable_digest(self.key(key), self.rules[key])
            case needs.Recent(most):
                return self._recent(most)
            case needs.Past():
                return self._since("event_time") >= -_micro(self.route.limits.future)
            case needs.AfterClick():
                return value("click_time").isnull() | (self.table.event_time >= value("click_time"))
            case needs.FreshClick():
                longest, lived = self.route.limits.click_max_age, self._since("click_time")
                return ibis.literal(value=True) if longest is None else lived.isnull() | (lived <= _micro(longest))
            case needs.ConsentKnown():
                known, strict = value("consent_ad_user_data").notnull(), self.spec.consent.missing_is_denied_in
                return known | ~in_countries(self.country, strict)

    def _recent(self, most: timedelta | None) -> Any:
        limits, lived = self.route.limits, self._since("event_time")
        if most is not None or not limits.max_age_of:
            return lived <= _micro(most or limits.max_age)
        source = self.value("action_source")
        of_source = ((source.isin([name]), lived <= _micro(longest)) for name, longest in limits.max_age_of.items())
        return ibis.cases(*of_source, else_=lived <= _micro(limits.max_age))

    def _since(self, name: str) -> Any:
        """Return how many microseconds before the clock a time lies."""
        clock = (self.clock - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(microseconds=1)
        return clock - epoch_microseconds(self.value(name))


def _micro(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def whole(text: Any, pattern: str) -> Any:
    """Ask a pattern of the whole text, by an engine that looks for it anywhere.

    Where the engine is written in Java, ``$`` also matches before a line end that is the last character.
    """
    return text.re_search(f"^(?:{pattern})$") & ~text.right(1).isin(_LINE_ENDS)
