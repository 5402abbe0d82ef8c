"""Which conversions may be sent to a platform: the denominator of match rates, and the gate before a send.

The needs of a route are values of its spec (`capi_lab.platforms.needs`), the same ones its wire checks before it writes
a body. Here they become one expression over a table of any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

import ibis
import pandas as pd

from capi_lab.engine import TableLike, as_table, same_kind, to_frame
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.platforms import platform as platform_named
from capi_lab.platforms.checks import utc
from capi_lab.platforms.rows import checked_settings
from capi_lab.reconcile.screen import reasons_against
from capi_lab.tables import CONVERSIONS
from capi_lab.words import Ineligible

__all__ = ["eligibility", "eligible"]

_RESULT = ("eligible", "ineligible_reason", "further_reasons")


def eligible(
    conversions: TableLike,
    platform: str,
    *,
    now: datetime,
    route: str | None = None,
    settings: Mapping[str, str] | None = None,
    test_orders: Mapping[str, str] | None = None,
) -> pd.DataFrame | ibis.Table:
    """Mark every conversion as one that may be sent, or say why not.

    Parameters
    ----------
    conversions : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract `capi_lab.tables.CONVERSIONS`. A column the table lacks is missing in every row. A column
        ``test_order`` (bool), if there is one, marks orders that were placed to try the shop out.
    platform : str
        A name in `capi_lab.PLATFORMS`.
    now : datetime
        The moment of the send, with a zone: ages are counted from it.
    route : str, optional
        Default: the platform's default route.
    settings : mapping, optional
        Those of the route that decide what may be sent (``event_source``, ``kind``, ``operation``, ``version``,
        ``missing_consent`` ...), others do no harm. Default: the route's defaults.
    test_orders : mapping, optional
        Column to regular expression (without look-around, which not all engines know): a row in which one finds a
        match is a test order too, e.g. ``{"email": "@example[.]com$", "conversion_id": "^TEST-"}``. None are known
        beforehand; nothing is guessed.

    Returns
    -------
    DataFrame, or Ibis table where the input was a path or an Ibis table
        All rows of ``conversions`` with ``eligible`` (bool), ``ineligible_reason`` (the first in the order of
        `capi_lab.words.Ineligible` that applies; missing where eligible) and ``further_reasons`` (the others that
        apply, comma-separated; missing where there are none).

    Raises
    ------
    ContractError
        The conversions break their contract.
    InputError
        ``now`` has no zone, ``test_order`` is not boolean, or a setting is malformed.
    UnknownNameError
        No such platform or route, or ``test_orders`` names a column that is not text of the table.

    Notes
    -----
    A row is refused here for what would make its wire report an error, and only for that, with three exceptions. A
    phone number that its country's plan does not have counts as usable here, as do other keys that only the whole
    normaliser would refuse (`capi_lab.identity.usable`); test orders are unknown to a wire; and a row that repeats
    another one is the business of `capi_lab.dedup`. So whatever a wire takes is eligible, unless it is a test order.
    """
    spec = platform_named(platform).spec
    chosen_route = spec.route(route)
    clock = utc(now)
    chosen = checked_settings(chosen_route, settings or {}, partly=True)
    table = as_table(conversions, CONVERSIONS)
    table = table.drop(*(name for name in _RESULT if name in table.columns))
    tests = _is_test_order(table, test_orders or {})
    wide, against, helpers = reasons_against(table, spec, chosen_route, chosen, clock)
    marked = _marked(wide, against | {Ineligible.TEST_ORDER: tests}).drop(*helpers)
    result = same_kind(conversions, marked)
    if isinstance(conversions, pd.DataFrame) and isinstance(result, pd.DataFrame):
        result = result.set_index("conversion_id", drop=False).loc[conversions["conversion_id"]]
        result = result.set_axis(conversions.index)
    return result


def eligibility(marked: TableLike, *, by: str | None = None) -> pd.DataFrame:
    """Count conversions by whether, and why not, they may be sent.

    Parameters
    ----------
    marked : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        As `eligible` gives it.
    by : str, optional
        A column to count apart; rows without a value are a group of their own.

    Returns
    -------
    DataFrame
        One row per reason, ``eligible`` first, then the order in which reasons are given: the group column if asked
        for, ``reason``, ``k``, ``n`` (conversions of the group) and ``share`` (k of n). A group's ``k`` add up to its
        ``n``. Money is counted by `capi_lab.waterfall`, which takes the same marks.

    Raises
    ------
    UnknownNameError
        ``marked`` was not marked, or ``by`` is no column of it.
    """
    table = as_table(marked, CONVERSIONS)
    for name in ("eligible", "ineligible_reason", *([by] if by else [])):
        if name not in table.columns:
            raise UnknownNameError("column", name, table.columns)
    groups = [by] if by else []
    reason = ibis.ifelse(table.eligible, "eligible", table.ineligible_reason)
    frame = to_frame(table.mutate(reason=reason).group_by(*groups, "reason").aggregate(k=ibis._.count()))
    order = {"eligible": -1} | {str(reason): rank for rank, reason in enumerate(Ineligible)}
    frame = frame.assign(rank=frame["reason"].map(order)).sort_values([*groups, "rank"], ignore_index=True)
    n = frame.groupby(groups, dropna=False)["k"].transform("sum") if groups else frame["k"].sum()
    frame = frame.assign(n=n, share=frame["k"] / n)
    return frame[[*groups, "reason", "k", "n", "share"]]


def _is_test_order(table: ibis.Table, patterns: Mapping[str, str]) -> Any:
    """Say which orders the caller calls tests: by the column, or by a pattern."""
    found = []
    if "test_order" in table.columns:
        flag = table["test_order"]
        if flag.type().is_null():
            flag = ibis.null("boolean")
        if not flag.type().is_boolean():
            raise InputError(f"column 'test_order' is {flag.type()}, must be boolean")
        found.append(flag.fill_null(False))
    texts = [name for name, kind in table.schema().items() if kind.is_string()]
    for name, pattern in patterns.items():
        if name not in texts:
            raise UnknownNameError("text column for test_orders", name, texts)
        found.append(table[name].re_search(pattern).fill_null(False))
    return reduce(or_, found) if found else ibis.literal(value=False)


def _marked(table: ibis.Table, against: Mapping[Ineligible, Any]) -> ibis.Table:
    """Add the three columns of the result."""
    words = [(str(reason), against[reason]) for reason in Ineligible if reason in against]
    reason = ibis.cases(*((speaks, word) for word, speaks in words), else_=ibis.null("string"))
    every = reduce(lambda text, one: text + one, (ibis.ifelse(speaks, f",{word}", "") for word, speaks in words))
    further = every.re_replace("^,[^,]*,?", "").nullif("")
    return table.mutate(eligible=reason.isnull(), ineligible_reason=reason, further_reasons=further)
