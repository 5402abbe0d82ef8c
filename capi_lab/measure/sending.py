"""What became of a send, counted."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import pandas as pd

from capi_lab.engine import TableLike, as_table, to_frame
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.reconcile.buckets import last_replies
from capi_lab.tables import RECEIPTS

__all__ = ["send_outcome"]


def send_outcome(receipts: TableLike, by: str | Sequence[str] = "platform") -> pd.DataFrame:
    """Count what became of the conversions of a send.

    Parameters
    ----------
    receipts : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Contract ``receipts``: ``receipt.rows`` of one send, or of several one below the other.
    by : str or sequence of str
        Columns to count apart: ``platform``, ``attempts``, or one of your own, such as which run of several it was.
        A ``platform`` that is not there counts as one that is missing.

    Returns
    -------
    DataFrame
        One row per group, ``status`` and ``code``: ``k`` conversions of the group's ``n``, ``value`` = k/n, and
        ``denominator``. All rows are there, none was drawn: these are counts without an interval. A conversion that
        stands there several times in a group counts once, by the rule of `capi_lab.waterfall`: an acceptance stands,
        else the reply to what was sent last.

    Raises
    ------
    ContractError
        The receipts break their contract.
    UnknownNameError
        They lack a column of ``by``.
    InputError
        ``by`` names no column, or one of the result's own.
    """
    groups = [by] if isinstance(by, str) else list(by)
    if not groups or set(groups) & {"status", "code", "k", "n", "value", "denominator", "conversion_id"}:
        raise InputError("by= takes columns of the receipts that say to whom, when or in which turn a row was sent")
    rows = as_table(receipts, RECEIPTS)
    if "platform" in groups and "platform" not in rows.columns:
        rows = rows.mutate(platform=ibis.null("string"))
    for name in groups:
        if name not in rows.columns:
            raise UnknownNameError("column", name, rows.columns)
    last = last_replies(rows, apart=groups)
    found = to_frame(last.group_by([*groups, "reply", "reply_code"]).agg(k=last.count()))
    found = found.rename(columns={"reply": "status", "reply_code": "code"})
    found["n"] = found.groupby(groups, dropna=False)["k"].transform("sum")
    found = found.assign(value=found["k"] / found["n"], denominator="conversions of the send")
    order = [*groups, "status", "k", "code"]
    found = found.sort_values(order, ascending=[*[True] * len(groups), True, False, True], na_position="first")
    return found[[*groups, "status", "code", "k", "n", "value", "denominator"]].reset_index(drop=True)
