"""A rate day by day, held against its own past, with the number of false alarms said beforehand."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from capi_lab.errors import ContractError, InputError
from capi_lab.measure.grouped import RATE

__all__ = ["trend"]

_DAYS_OF_A_YEAR = 365.25
_LEAST = 5.0  # expected on either side: below, a day says too little to raise an alarm
_BESIDE = ("rows_k", "rows_n", "unknown", "unusable", "conversions_k", "conversions_n")
Floats = NDArray[np.float64]


def trend(
    table: pd.DataFrame,
    *,
    baseline: int = 28,
    least_days: int = 14,
    alarms_per_year: float = 1.0,
    since: str | pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Hold each day of a daily series against the days before it.

    Parameters
    ----------
    table : DataFrame
        A result by ``day``: ``cl.coverage(rec, by="day")``, ``cl.match_rate(rows, by=["day", "browser"])``. Every
        other column left of ``k`` tells series apart.
    baseline : int
        How many days back, the day itself not among them.
    least_days : int
        Of these, how many must have observations for a day to be judged.
    alarms_per_year : float
        How many false alarms a year to put up with, all series of the table together.
    since : str or Timestamp, optional
        Days before it are baseline only.

    Returns
    -------
    DataFrame
        One row per series and day: the table's columns (``k``, ``n``, ``value``, ``low``, ``high`` ...), ``baseline``
        (the rate of the days before, pooled), ``change`` (value - baseline), ``change_low``, ``change_high`` (what a
        day may stray from its baseline by without an alarm), ``p_value``, ``alert`` (``up``, ``down``, or missing),
        ``judged`` (false: too few days before, or too few conversions) and ``false_alarm_rate`` (the probability that
        a judged day raises an alarm though nothing changed).

    Raises
    ------
    InputError
        ``day`` is absent, no time, or missing in a row; days repeat, or a number is out of range.
    ContractError
        The table is no result table.

    Notes
    -----
    Rates are compared as arcsin(sqrt((k + 3/8)/(n + 3/4))), whose variance is 1/(4n + 2) whatever the rate (Anscombe
    1948). Days scatter more than that; how much more is estimated from the baseline (moments, DerSimonian and Laird
    1986) and added. A day is judged by a t test with (days of baseline - 1) degrees of freedom at
    ``alarms_per_year`` / (365.25 × series); scattering days keep that rate, steady ones stay below
    (docs/validation.md). Days that resemble their neighbours (slow drift), and weekdays that differ much, are not
    modelled: they raise the rate, or hide in the scatter. A lasting change raises alarms until the baseline has taken
    it in.
    """
    series = _checked(table, baseline, least_days, alarms_per_year)
    number = max(1, table.groupby(series, dropna=False).ngroups) if series else 1
    alpha = min(1.0, alarms_per_year / (_DAYS_OF_A_YEAR * number))
    parts = [part for _, part in table.groupby(series, dropna=False, sort=False)] if series and len(table) else [table]
    found = pd.concat([_judged(part, baseline, least_days, alpha) for part in parts], ignore_index=True)
    if since is not None:
        start = pd.Timestamp(since)
        start = start.tz_localize("UTC") if start.tzinfo is None else start
        found = found[_times(found["day"]) >= start].reset_index(drop=True)
    return found


def _checked(table: pd.DataFrame, baseline: int, least_days: int, alarms_per_year: float) -> list[str]:
    absent = [(name, "column is missing", None) for name in RATE if name not in table.columns]
    if absent:
        raise ContractError("result table", absent)
    if "day" not in table.columns or not pd.api.types.is_datetime64_any_dtype(table["day"]):
        raise InputError("give a result by day: cl.coverage(rec, by='day')")
    if nameless := int(table["day"].isna().sum()):
        raise InputError(f"column 'day' is missing in {nameless:,} rows: leave them out")
    if not 3 <= least_days <= baseline:
        raise InputError("the baseline needs at least 3 days, and least_days must not be more than there are")
    if not alarms_per_year > 0:
        raise InputError("alarms_per_year must be above 0: a test that never errs never finds anything")
    series = [str(name) for name in table.columns if name not in ("day", "suppressed", *RATE, *_BESIDE)]
    if table.duplicated(["day", *series]).any():
        raise InputError("a day stands twice in a series: group by what tells the rows apart")
    return series


def _times(days: pd.Series) -> pd.Series:
    return days if days.dt.tz is not None else days.dt.tz_localize("UTC")


def _judged(part: pd.DataFrame, baseline: int, least: int, alpha: float) -> pd.DataFrame:
    """Judge the days of one series."""
    part = part.sort_values("day", ignore_index=True)
    day = ((_times(part["day"]) - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(days=1)).to_numpy("int64")
    length = int(day[-1] - day[0]) + 1 if len(day) else 0
    at = day - day[:1]  # sorted: days since the first
    k, n = np.zeros(length), np.zeros(length)
    known = (part["k"].notna() & part["n"].notna()).to_numpy(bool)  # a suppressed day is a day without observations
    k[at[known]], n[at[known]] = (part.loc[known, name].to_numpy("float64") for name in ("k", "n"))
    numbers = against_baseline(k[None, :], n[None, :], baseline, least, alpha)
    columns = {name: values[0, at] for name, values in numbers.items()}
    judged = columns["judged"].astype(bool)
    alarm = judged & (columns["p_value"] < alpha)
    words = np.where(columns["change"] > 0, "up", "down")
    alert = pd.array([word if is_alarm else None for word, is_alarm in zip(words, alarm, strict=True)], dtype="str")
    return part.assign(**columns | {"judged": judged}, alert=alert, false_alarm_rate=alpha)


def against_baseline(k: Floats, n: Floats, baseline: int, least: int, alpha: float) -> dict[str, Floats]:
    """Hold each day of many series against the days before it.

    Parameters
    ----------
    k, n : arrays of shape (series, days)
        A day without observations has n = 0.
    baseline, least : int
        Days back, and how many of them must have observations.
    alpha : float
        Two-sided.

    Returns
    -------
    dict of arrays of that shape
        ``baseline``, ``change``, ``change_low``, ``change_high``, ``p_value``, ``judged`` (0 or 1); NaN where not
        judged.
    """
    x = np.arcsin(np.sqrt((k + 0.375) / (n + 0.75)))
    w = np.where(n > 0, 4 * n + 2, 0.0)
    before = {name: _trailing(values, baseline) for name, values in {
        "k": k, "n": n, "w": w, "ww": w * w, "wx": w * x, "wxx": w * x * x, "days": (n > 0).astype("float64"),
    }.items()}  # fmt: skip
    days = before["days"]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = before["wx"] / before["w"]
        scatter = np.maximum(before["wxx"] - before["w"] * mean**2, 0.0)
        between = np.maximum(scatter - (days - 1), 0.0) / (before["w"] - before["ww"] / before["w"])
        own = 1 / w + between
        of_mean = 1 / before["w"] + between * before["ww"] / before["w"] ** 2
        error = np.sqrt(own + of_mean)
        t = (x - mean) / error
        p_value = 2 * stats.t.sf(np.abs(t), np.maximum(days - 1, 1))
        rate = before["k"] / before["n"]
        least_seen = n * np.minimum(rate, 1 - rate)
        judged = (days >= least) & (least_seen >= _LEAST)
        reach = stats.t.ppf(1 - alpha / 2, np.maximum(days - 1, 1)) * error
        ends = [np.sin(np.clip(mean + sign * reach, 0, np.pi / 2)) ** 2 - rate for sign in (-1, 1)]
        change = k / n - rate
    found = {"baseline": rate, "change": change, "change_low": ends[0], "change_high": ends[1], "p_value": p_value}
    return {name: np.where(judged, values, np.nan) for name, values in found.items()} | {
        "judged": judged.astype("float64")
    }


def _trailing(values: Floats, length: int) -> Floats:
    """Sum the ``length`` days before each day, without that day."""
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    end = np.arange(values.shape[1])
    total: Floats = sums[:, end] - sums[:, np.maximum(end - length, 0)]
    return total
