"""Event coverage: which share of the ledger's conversions each setup sees."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import numpy as np
import pandas as pd

from capi_lab.engine import to_frame
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.measure.grouped import Clusters, How, Part, grouped, rate_table
from capi_lab.reconcile import Reconciled
from capi_lab.words import Interval, Setup

__all__ = ["coverage"]


def coverage(
    rec: Reconciled,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    weight: str | None = None,
    cluster: Clusters = "user_key",
    method: str = Interval.WILSON,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Measure event coverage by setup, with intervals.

    Parameters
    ----------
    rec : Reconciled
    by : str or sequence of str, optional
        Columns of the ledger to group by; ``day`` is the day of ``event_time`` in UTC unless the ledger has a column
        of that name. A missing value is a group of its own.
    level : float
        Of the intervals.
    weight : str, optional
        ``"value"`` measures the share of value instead of conversions; needs one currency, or
        ``by="currency"``. Conversions without a value are left out of both k and n.
    cluster : str, sequence of str, or None
        Column whose equal values are one person; used where the ledger has it. A conversion without one
        stands alone. Two columns, e.g. ``("user_key", "day")``, make intervals robust to both: customers that
        repeat, and days on which something broke. None takes all conversions for independent.
    method : str
        ``wilson``, ``exact``, ``jeffreys`` (on effective counts where customers repeat), or ``bootstrap`` (whole
        customers drawn with replacement, percentiles of 2,000 draws).
    rng : Generator, optional
        For ``bootstrap``.

    Returns
    -------
    DataFrame
        One row per group and setup: the columns of ``by``, ``setup``, ``k`` (conversions the setup sees),
        ``n`` (conversions in the ledger), ``value`` (k/n), ``low``, ``high``, ``method``, ``level``, ``denominator``.
        Setup ``incremental`` is what ``pixel+capi`` sees and ``pixel`` does not: on paired data that is the
        difference of the two, with its own interval. With ``weight`` k and n are amounts, and
        ``conversions_k``, ``conversions_n`` count the conversions behind them.

    Raises
    ------
    UnknownNameError
        A column of ``by`` is not in the ledger.
    InputError
        ``weight="value"`` over several currencies, or negative values.

    Notes
    -----
    This is ``event_coverage`` of the audit against the backend, not the "event coverage" of Meta's dataset
    quality, which compares server with pixel events.
    """
    how = How(level, cluster, method, rng)
    ledger, groups = grouped(rec.conversion_table, by, ("setup", "conversions_k", "conversions_n"))
    if weight is not None and method == Interval.BOOTSTRAP:
        raise InputError("the bootstrap draws counts: measure amounts by the default method")
    ledger = _weighted(ledger, weight, groups)
    every = ledger.conversion_id.notnull()
    denominator = "conversions in the ledger" if weight is None else "value in the ledger"
    seen = {
        Setup.PIXEL: ledger.seen_pixel,
        Setup.CAPI: ledger.seen_capi,
        Setup.BOTH: ledger.seen_pixel | ledger.seen_capi,
        Setup.INCREMENTAL: ledger.seen_capi & ~ledger.seen_pixel,
    }
    parts = {str(setup): Part(flag, every, denominator) for setup, flag in seen.items()}
    table = rate_table(
        ledger, "setup", parts, groups, how, "conversion_id", None if weight is None else ledger["value"]
    )
    if weight is None:
        return table.drop(columns=["rows_k", "rows_n"])
    return table.rename(columns={"rows_k": "conversions_k", "rows_n": "conversions_n"})


def _weighted(ledger: ibis.Table, weight: str | None, groups: list[str]) -> ibis.Table:
    """Keep the conversions that can be weighed, and refuse amounts that cannot be added."""
    if weight is None:
        return ledger
    if weight != "value" or "value" not in ledger.columns:
        raise UnknownNameError("weight", weight, ["value"])
    ledger = ledger.filter(ledger["value"].notnull())
    n_currencies = ledger.currency.nunique() if "currency" in ledger.columns else ibis.literal(0)
    found = to_frame(ledger.aggregate(currencies=n_currencies, negative=(ledger["value"] < 0).sum())).iloc[0]
    if found["currencies"] > 1 and "currency" not in groups:
        raise InputError(
            f"the ledger holds {int(found['currencies'])} currencies: amounts cannot be added; use by='currency'"
        )
    if found["negative"] > 0:
        raise InputError(
            f"column 'value' is negative in {int(found['negative']):,} rows: take refunds out of the ledger first"
        )
    return ledger
