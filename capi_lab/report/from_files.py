"""From files to the report in one call: what the command line runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from capi_lab import load
from capi_lab.errors import InputError
from capi_lab.model import ConsentUplift, FixIds, KeepClickIds, PhoneAtCheckout, SendWithin, match_rates, what_if
from capi_lab.reconcile import reconcile
from capi_lab.report.make import report
from capi_lab.report.page import Report

__all__ = ["report_files"]


def report_files(
    conversions: str | Path,
    events: Sequence[str | Path],
    *,
    platform: str,
    now: datetime,
    by: Sequence[str] = (),
    receipts: str | Path | None = None,
    reports: str | Path | None = None,
    tz: str | None = None,
    conversion_columns: Mapping[str, str] | None = None,
    event_columns: Mapping[str, str] | None = None,
    min_cell: int = 10,
    title: str | None = None,
) -> Report:
    """Load files of any format, reconcile them and make the report.

    Parameters
    ----------
    conversions : str or Path
        File or pattern of orders: any format that loads as ``conversions``.
    events : sequence of str or Path
        Files or patterns of what pixel and server reported; each of any format that loads as ``events``.
    platform : str
    now : datetime
        When the report is made, with its zone.
    by : sequence of str
        Columns of the ledger to break coverage down by.
    receipts, reports : str or Path, optional
        What became of a send; what the platform reports back. Where that tells by stratum how many events were received
        and matched, match rates are estimated from it (`capi_lab.match_rates`), and what five changes would bring.
    tz : str, optional
        Zone of times that carry none, in all files.
    conversion_columns, event_columns : mapping, optional
        Their column name to ours, for files with columns of your own; then read with `capi_lab.load.table`.
    min_cell, title
        As for `capi_lab.report`.

    Returns
    -------
    Report
        Its notes hold the account of every file: rows in, rows out, drops by reason.

    Raises
    ------
    InputError
        No file of events is given, or a file holds another table than it was given for.
    LoadError, NaiveTimeError, ContractError
        As the loaders raise them.
    """
    if not events:
        raise InputError("no events: give at least one file of what pixel or server reported")
    orders = load.any_format(conversions, kind="conversions", columns=conversion_columns, tz=tz)
    parts = [load.any_format(one, kind="events", columns=event_columns, tz=tz) for one in events]
    rec = reconcile(orders.df, pd.concat([one.df for one in parts], ignore_index=True), platform=platform)
    accounts = [orders, *parts]
    more: dict[str, Any] = {}
    for kind, path in (("receipts", receipts), ("reports", reports)):
        if path is not None:
            accounts.append(load.any_format(path, kind=kind, tz=tz))
            more[kind] = accounts[-1].df
    if "reports" in more:
        more |= _modelled(more["reports"], orders.df, platform)
    return report(rec, now=now, by=by, notes=accounts, min_cell=min_cell, title=title, **more)


def _modelled(reports: pd.DataFrame, orders: pd.DataFrame, platform: str) -> dict[str, Any]:
    """Estimate from daily totals what they can tell; nothing where they tell nothing."""
    try:
        fit = match_rates(reports, platform=platform)
    except InputError:
        return {}
    found = []
    for change in (KeepClickIds(), PhoneAtCheckout(), SendWithin(), FixIds(), ConsentUplift()):
        try:
            found.append(what_if(fit, orders, change, platform))
        except InputError:  # a column the change needs is not there
            continue
    table = pd.concat(found, ignore_index=True) if found else None
    return {"match": fit} | ({} if table is None else {"what_if": table})
