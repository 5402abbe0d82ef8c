"""The needs of a route asked of rows on their way to a body; `capi_lab.reconcile.eligible` asks them of tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.identity import KEY_RULES
from capi_lab.identity.digests import recognise
from capi_lab.identity.geography import country_code
from capi_lab.platforms import checks, needs
from capi_lab.platforms.route import Route
from capi_lab.platforms.rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["asker", "is_digest", "screen"]


def screen(found: checks.Findings, rows: Rows, route: Route, chosen: Mapping[str, str], clock: pd.Timestamp) -> None:
    """Record an error for every need of the route that a row breaks.

    Parameters
    ----------
    found : Findings
        Gets the errors.
    rows : Rows
    route : Route
    chosen : mapping
        Settings, checked, with their defaults.
    clock : Timestamp
        In UTC.
    """
    ask = asker(rows, route, chosen, clock)
    for need in route.needs:
        found.error(need.rule, ~ask(need.condition), need.message)


def asker(
    rows: Rows, route: Route, chosen: Mapping[str, str], clock: pd.Timestamp
) -> Callable[[needs.Condition], NDArray[np.bool_]]:
    """Return a function that says of which rows a condition holds; each part is asked once.

    Parameters
    ----------
    rows : Rows
    route : Route
    chosen : mapping
        Settings, checked, with their defaults.
    clock : Timestamp
        In UTC.
    """
    known: dict[needs.RowCondition, NDArray[np.bool_]] = {}

    def answer(condition: needs.RowCondition) -> NDArray[np.bool_]:
        if condition not in known:
            known[condition] = _answer(condition, rows, route, clock)
        return known[condition]

    def ask(condition: needs.Condition) -> NDArray[np.bool_]:
        left = needs.settled(condition, chosen)
        if isinstance(left, bool):
            return np.full(len(rows), left)
        return np.asarray(needs.holds(left, answer), dtype=bool)

    return ask


def _answer(  # noqa: PLR0912 - one case for each kind of condition
    condition: needs.RowCondition, rows: Rows, route: Route, clock: pd.Timestamp
) -> NDArray[np.bool_]:
    spec, limits = rows.spec, route.limits
    match condition:
        case needs.Has(column):
            return rows.has(column)
        case needs.Usable(key):
            return rows.has_key(key)
        case needs.Whole(param):
            return rows.has(param) & ~checks.bad_shape(rows, spec.click_id(param))
        case needs.Url(column):
            return rows.has(column) & ~checks.bad_url(rows, column)
        case needs.Is(column, values):
            return _flags(rows.series(column).isin(values))
        case needs.EventIs(names):
            return _flags(rows.series("event_name").isin(spec.spelled(names)))
        case needs.Currency():
            return ~checks.bad_currency(rows)
        case needs.ValueWithin(low, high):
            return ~checks.bad_value(rows, low, high)
        case needs.Impersonal(column):
            return ~checks.looks_personal(rows, column)
        case needs.ReadableDigest(key):
            return ~(rows.has(key) & ~rows.has_key(key) & is_digest(rows, key))
        case needs.Recent(most):
            if most is not None:
                return ~checks.older_than(rows, "event_time", most, clock)
            return ~checks.age(rows, limits, clock)[0]
        case needs.Past():
            return ~checks.age(rows, limits, clock)[1]
        case needs.AfterClick():
            return ~checks.before_click(rows)
        case needs.FreshClick():
            return ~checks.stale_click(rows, limits, clock)
        case needs.ConsentKnown():
            countries = rows.series("country").map(country_code, na_action="ignore")
            return rows.has("consent_ad_user_data") | ~_flags(countries.isin(spec.consent.missing_is_denied_in))


def is_digest(rows: Rows, key: str) -> NDArray[np.bool_]:
    """Say which values of a hashed key are some digest."""
    if not KEY_RULES[rows.spec.name][key].hashed:
        return np.zeros(len(rows), dtype=bool)
    return np.array([text is not None and recognise(text) is not None for text in rows.text(key)], dtype=bool)


def _flags(flags: pd.Series) -> NDArray[np.bool_]:
    return np.asarray(flags.fillna(value=False), dtype=bool)
