"""Rates of what is sent: which keys it carries, whether it is taken, matched, attributed. Each has its denominator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

import ibis
import numpy as np
import pandas as pd

from capi_lab.engine import TableLike, as_table
from capi_lab.errors import InputError
from capi_lab.measure.grouped import RATE, Clusters, How, Part, grouped, rate_table
from capi_lab.measure.strata import carried, flag, rows_of, with_stratum
from capi_lab.platforms import platform as platform_named
from capi_lab.reconcile.buckets import last_replies
from capi_lab.tables import RECEIPTS
from capi_lab.words import Channel, Interval, ReceiptStatus, Stratum

__all__ = [
    "ANY_CLICK_ID",
    "attribution_precision",
    "attribution_rate",
    "attribution_recall",
    "key_coverage",
    "match_rate",
    "upload_success_rate",
]

ANY_CLICK_ID = "any_click_id"
_ALL = "all"


def key_coverage(
    conversions_or_events: TableLike,
    platform: str,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    channel: str = Channel.CAPI,
    cluster: Clusters = "user_key",
    method: str = Interval.WILSON,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Measure the fill rate of every key a platform takes.

    Parameters
    ----------
    conversions_or_events : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract ``events`` (then of one channel, and of this platform) or ``conversions``.
    platform : str
        Whose match keys, click ids and browser ids.
    by, level, cluster, method, rng
        As for `capi_lab.coverage`.
    channel : str
        Of events: ``capi`` or ``pixel``.

    Returns
    -------
    DataFrame
        One row per group and key: the columns of ``by``, ``key`` (our column, or ``any_click_id``: at least one id of
        a click), ``k`` (rows that carry it in a form the platform can use), ``n`` (rows), ``value``, ``low``,
        ``high``, ``method``, ``level``, ``denominator``, ``unusable`` (rows with something in that column that the
        platform cannot use: a placeholder, a digest of nothing, a malformed id).

    Raises
    ------
    ContractError
        The table breaks its contract.
    UnknownNameError
        No such platform or column.

    Notes
    -----
    ``key_coverage(k)`` = |S∩K_k| / |S|: the identifier fill rate. It says what could be matched, not what is.
    What counts as usable is said in `capi_lab.identity`; a key that only its whole normaliser would refuse counts.
    """
    spec = platform_named(platform).spec
    table, row, what = rows_of(conversions_or_events, platform, channel)
    table, groups = grouped(table, by, ("key", "unusable"))
    wide, names = carried(table, platform)
    every = wide[row].notnull()
    clicks = [wide[names[one.param]] for one in spec.click_ids if one.is_click]
    parts = {key: Part(wide[column], every, what) for key, column in names.items()}
    parts[ANY_CLICK_ID] = Part(reduce(or_, clicks, ibis.literal(value=False)), every, what)
    for key, column in names.items():
        there = wide[key].nullif("").notnull() if key in wide.columns else ibis.literal(value=False)
        parts[f"?{key}"] = Part(there & ~wide[column], every, what)
    found = rate_table(wide, "key", parts, groups, How(level, cluster, method, rng), row)
    return _beside(found, "key", "unusable", groups)


def match_rate(
    rows: TableLike,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    platform: str | None = None,
    cluster: Clusters = "user_key",
    method: str = Interval.WILSON,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Measure the event match rate, by what each event could be matched by.

    Parameters
    ----------
    rows : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Server events (contract ``events``; pixel events are left out) or conversions that were sent, with ``matched``
        (true, false, or missing where it is not known). A column ``stratum`` stands; else it is found from the keys
        and click ids of ``platform``.
    by, level, cluster, method, rng
        As for `capi_lab.coverage`.
    platform : str, optional
        Whose keys count; needed without a column ``stratum``.

    Returns
    -------
    DataFrame
        One row per group and ``stratum``: ``click_id``, ``pii_only``, ``ip_only``, ``none`` (exclusive) and ``all``;
        ``k`` (matched), ``n`` (those of which it is known), ``value``, ``low``, ``high``, ``method``, ``level``,
        ``denominator``, ``unknown`` (those of which it is not).

    Raises
    ------
    ContractError
        ``matched`` is missing or not boolean.
    InputError
        No stratum and no platform.

    Notes
    -----
    ``event_match_rate`` = |S∩M| / |S|, in Meta's and TikTok's sense: the event was tied to a person or click.
    It is no ``list_match_rate`` (rows of an audience list), no ``upload_success_rate`` (rows taken) and no
    ``attribution_rate``. Row ``all`` says more of the mix of strata than of matching: compare two shops or months with
    `capi_lab.compare`, ``over="stratum"``.
    """
    table, row, what = rows_of(rows, platform, Channel.CAPI)
    table = with_stratum(table, platform)
    return _by_stratum(table, row, what, "matched", by, How(level, cluster, method, rng))


def attribution_rate(
    rows: TableLike,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    platform: str | None = None,
    cluster: Clusters = "user_key",
    method: str = Interval.WILSON,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Measure the share of server events that were credited to an ad, by stratum.

    Parameters
    ----------
    rows, platform, by, level, cluster, method, rng
        As for `match_rate`, with ``attributed`` in place of ``matched``.

    Returns
    -------
    DataFrame
        As `match_rate`; ``k`` counts the attributed.

    Notes
    -----
    ``attribution_rate`` = |A| / |S|. Most server events follow no ad at all, so this is mainly a number about
    traffic; what attribution misses is `attribution_recall`, which takes the truth to know.
    """
    table, row, what = rows_of(rows, platform, Channel.CAPI)
    table = with_stratum(table, platform)
    return _by_stratum(table, row, what, "attributed", by, How(level, cluster, method, rng))


def _by_stratum(
    table: ibis.Table, row: str, what: str, name: str, by: str | Sequence[str] | None, how: How
) -> pd.DataFrame:
    table, groups = grouped(table, by, ("stratum", "unknown"))
    answer = flag(table, name)
    parts: dict[str, Part] = {}
    for stratum in (*Stratum, _ALL):
        inside = ibis.literal(value=True) if stratum == _ALL else (table.stratum == str(stratum)).fill_null(False)
        words = f"{what}, {'all' if stratum == _ALL else str(stratum)}, {name} known"
        parts[str(stratum)] = Part(answer, inside & answer.notnull(), words)
        parts[f"?{stratum}"] = Part(answer.isnull(), inside, words)
    return _beside(rate_table(table, "stratum", parts, groups, how, row), "stratum", "unknown", groups)


def _beside(found: pd.DataFrame, label: str, name: str, groups: Sequence[str]) -> pd.DataFrame:
    """Put the counts of rows whose label begins with a question mark beside the rates they belong to."""
    second = found[label].str.startswith("?")
    number = found.index.to_numpy()
    group = np.cumsum(found[label].eq(found[label].iloc[0])) if len(found) else number
    keyed = found.assign(_group=group, _of=found[label].str.removeprefix("?"))
    counts = keyed[second].set_index(["_group", "_of"])["k"]
    rates = keyed[~second]
    pairs = pd.MultiIndex.from_frame(rates[["_group", "_of"]])
    beside = counts.reindex(pairs).fillna(0).astype("int64").to_numpy()
    return rates.assign(**{name: beside})[[*groups, label, *RATE, name]].reset_index(drop=True)


def attribution_recall(
    rows: TableLike,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    truth: str = "ad_driven",
    cluster: Clusters = "user_key",
) -> pd.DataFrame:
    """Measure which share of truly ad-driven rows was attributed; for simulations and lift tests only.

    Parameters
    ----------
    rows : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract ``conversions`` or ``events``, with ``attributed`` and the column ``truth`` (both boolean or missing).
    by, level, cluster
        As for `capi_lab.coverage`.
    truth : str
        Column that says whether an ad inside the window really led to it.

    Returns
    -------
    DataFrame
        One row per group: the columns of ``by``, ``rate``, ``k``, ``n``, ``value``, ``low``, ``high``, ``method``,
        ``level``, ``denominator``.
    """
    return _against_truth(rows, "attribution_recall", by, How(level, cluster), truth)


def attribution_precision(
    rows: TableLike,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    truth: str = "ad_driven",
    cluster: Clusters = "user_key",
) -> pd.DataFrame:
    """Measure which share of attributed rows was truly ad-driven; for simulations and lift tests only.

    Parameters
    ----------
    rows, by, level, truth, cluster
        As for `attribution_recall`.

    Returns
    -------
    DataFrame
        As `attribution_recall`.
    """
    return _against_truth(rows, "attribution_precision", by, How(level, cluster), truth)


def _against_truth(rows: TableLike, rate: str, by: Any, how: How, truth: str) -> pd.DataFrame:
    table, row, what = rows_of(rows, None, None)
    table, groups = grouped(table, by, ("rate",))
    credited, driven = flag(table, "attributed"), flag(table, truth)
    part = {
        "attribution_recall": Part(credited, driven & credited.notnull(), f"{what}, truly ad-driven"),
        "attribution_precision": Part(driven, credited & driven.notnull(), f"{what}, attributed"),
    }[rate]
    return rate_table(table, "rate", {rate: part}, groups, how, row).drop(columns=["rows_k", "rows_n"])


def upload_success_rate(
    receipts: TableLike,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    cluster: Clusters = "user_key",
) -> pd.DataFrame:
    """Measure which share of uploaded conversions the platform took. This is ingestion, not matching.

    Parameters
    ----------
    receipts : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract ``receipts``. Of several sends of a conversion an acceptance stands, else the last counts.
    by : str or sequence of str, optional
        Columns to group by, e.g. ``platform``.
    level, cluster
        As for `capi_lab.coverage`; receipts seldom name a person, and are then taken for independent.

    Returns
    -------
    DataFrame
        One row per group: the columns of ``by``, ``rate``, ``k`` (accepted), ``n`` (sent; rows skipped before the send
        are not), ``value``, ``low``, ``high``, ``method``, ``level``, ``denominator``.

    Raises
    ------
    ContractError
        Receipts break their contract.
    InputError
        ``by`` names what is counted itself.
    """
    how = How(level, cluster)
    table, groups = grouped(as_table(receipts, RECEIPTS), by, ("rate",))
    if told := {"conversion_id", "status", "code", "sent_at"} & set(groups):
        raise InputError(f"cannot group by '{min(told)}': it is part of the answer that is counted")
    last = last_replies(table, apart=groups, keep=how.keys(table))
    part = Part(
        last.reply == str(ReceiptStatus.ACCEPTED), last.reply != str(ReceiptStatus.SKIPPED), "conversions uploaded"
    )
    found = rate_table(last, "rate", {"upload_success_rate": part}, groups, how, "reply_id")
    return found.drop(columns=["rows_k", "rows_n"])
