"""Checks that more than one wire makes, written once; each wire says which it uses, under its own rule ids."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capi_lab.errors import InputError
from capi_lab.platforms.currencies import ISO_4217
from capi_lab.platforms.route import Limits
from capi_lab.platforms.rows import Rows
from capi_lab.platforms.rules import ClickIdRule
from capi_lab.platforms.wire import Level, Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "PHONE_LIKE",
    "URL",
    "Findings",
    "age",
    "bad_currency",
    "bad_shape",
    "bad_url",
    "bad_value",
    "before_click",
    "duplicates",
    "looks_personal",
    "none_of",
    "not_fresh",
    "older_than",
    "stale_click",
    "utc",
]

# Neither inline flags nor \s: such expressions fall back to Python's engine, at a tenth of the speed.
URL = r"[Hh][Tt][Tt][Pp][Ss]?://[^ \t\r\n/?#]+[^ \t\r\n]*"
"""An absolute URL."""
PHONE_LIKE = "[+][0-9]{7,15}"
"""What looks like a phone number where an id belongs."""


def utc(now: datetime) -> pd.Timestamp:
    """Return the clock as a UTC timestamp; a time without a zone is refused."""
    if now.tzinfo is None:
        raise InputError("now= has no zone: give an aware datetime, e.g. datetime.now(UTC)")
    return pd.Timestamp(now).tz_convert("UTC")


class Findings:
    """Problems of one table, collected rule by rule.

    Parameters
    ----------
    ids : sequence of str
        ``conversion_id`` of every row.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids
        self._found: list[tuple[int, Problem]] = []

    def error(self, rule: str, rows: NDArray[np.bool_] | pd.Series, message: str) -> None:
        """Record an error for every row where ``rows`` is true."""
        self._add(rule, Level.ERROR, rows, message)

    def warn(self, rule: str, rows: NDArray[np.bool_] | pd.Series, message: str) -> None:
        """Record a warning for every row where ``rows`` is true."""
        self._add(rule, Level.WARNING, rows, message)

    def _add(self, rule: str, level: Level, rows: Any, message: str) -> None:
        for position in np.flatnonzero(np.asarray(rows, dtype=bool)).tolist():
            self._found.append((position, Problem(self._ids[position], rule, level, message)))

    def problems(self) -> list[Problem]:
        """Return all, row by row in the order of the table."""
        return [problem for _, problem in sorted(self._found, key=lambda pair: (pair[0], pair[1].rule))]


def age(rows: Rows, limits: Limits, now: pd.Timestamp) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which events are too old, by action source, and which lie in the future."""
    times = rows.series("event_time")
    lived = now - times
    most = pd.Series(limits.max_age, index=times.index, dtype="timedelta64[us]")
    if limits.max_age_of:
        source = rows.series("action_source")
        for name, longest in limits.max_age_of.items():
            most = most.mask(source == name, pd.Timedelta(longest))
    return _flags(lived > most), _flags(lived < -pd.Timedelta(limits.future))


def older_than(rows: Rows, column: str, most: timedelta, now: pd.Timestamp) -> NDArray[np.bool_]:
    """Say which rows have a time that lies further back than ``most``."""
    if column not in rows.frame:
        return np.zeros(len(rows), dtype=bool)
    return _flags(now - rows.frame[column] > pd.Timedelta(most))


def not_fresh(rows: Rows, limits: Limits, now: pd.Timestamp) -> NDArray[np.bool_]:
    """Say which events are taken, but later than the platform wants them."""
    if limits.fresh is None:
        return np.zeros(len(rows), dtype=bool)
    old, _ = age(rows, limits, now)
    return older_than(rows, "event_time", limits.fresh, now) & ~old


def bad_currency(rows: Rows) -> NDArray[np.bool_]:
    """Say which currencies are no ISO-4217 code in upper case."""
    currency = rows.series("currency")
    return _flags(currency.notna() & ~currency.isin(ISO_4217))


def bad_value(rows: Rows, low: float | None = 0.0, high: float | None = None) -> NDArray[np.bool_]:
    """Say which values are infinite, below ``low`` or above ``high``."""
    if "value" not in rows.frame:
        return np.zeros(len(rows), dtype=bool)
    value = rows.frame["value"].to_numpy(dtype="float64")
    outside = np.isinf(value)
    if low is not None:
        outside |= value < low
    if high is not None:
        outside |= value > high
    return np.asarray(outside, dtype=bool)


def bad_shape(rows: Rows, rule: ClickIdRule) -> NDArray[np.bool_]:
    """Say which click or browser ids do not look like a whole one."""
    value = rows.series(rule.param)
    return _flags(value.notna() & ~value.str.fullmatch(rule.pattern))


def bad_url(rows: Rows, name: str) -> NDArray[np.bool_]:
    """Say which URLs of a column are not absolute http or https ones."""
    url = rows.series(name)
    return _flags(url.notna() & ~url.str.fullmatch(URL))


def looks_personal(rows: Rows, name: str) -> NDArray[np.bool_]:
    """Say which values of an id column look like an e-mail address or a phone number."""
    value = rows.series(name)
    return _flags(value.str.contains("@", regex=False) | value.str.fullmatch(PHONE_LIKE))


def stale_click(rows: Rows, limits: Limits, now: pd.Timestamp) -> NDArray[np.bool_]:
    """Say which clicks are older than the platform can use; a click of unknown time is not."""
    if limits.click_max_age is None:
        return np.zeros(len(rows), dtype=bool)
    return older_than(rows, "click_time", limits.click_max_age, now)


def before_click(rows: Rows) -> NDArray[np.bool_]:
    """Say which conversions happened before their click."""
    if not rows.has("click_time").any():
        return np.zeros(len(rows), dtype=bool)
    return _flags(rows.series("event_time") < rows.series("click_time"))


def none_of(rows: Rows, keys: Sequence[str] = (), columns: Sequence[str] = ()) -> NDArray[np.bool_]:
    """Say which rows have none of these usable match keys and none of these columns."""
    found = np.zeros(len(rows), dtype=bool)
    for name in columns:
        found |= rows.has(name)
    for name in keys:
        found |= rows.has_key(name)
    return ~found


def duplicates(rows: Rows, columns: Sequence[str]) -> NDArray[np.bool_]:
    """Say which rows repeat an earlier one in all of ``columns``, none of them missing."""
    key = pd.DataFrame({name: rows.series(name) for name in columns})
    return _flags(key.duplicated() & key.notna().all(axis=1))


def _flags(rows: pd.Series) -> NDArray[np.bool_]:
    return np.asarray(rows, dtype=bool)
