"""Event coverage: which share of the ledger's conversions each setup sees."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import pandas as pd

from capi_lab.engine import to_frame
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.measure.rates import interval_of
from capi_lab.reconcile import Reconciled
from capi_lab.words import Setup

__all__ = ["coverage", "suppress_small"]


def coverage(
    rec: Reconciled,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    *,
    weight: str | None = None,
    cluster: str | None = "user_key",
) -> pd.DataFrame:
    """Measure event coverage by setup, with intervals.

    Parameters
    ----------
    rec : Reconciled
    by : str or sequence of str, optional
        Columns of the ledger to group by. A missing value is a group of its own.
    level : float
        Of the intervals.
    weight : str, optional
        ``"value"`` measures the share of value instead of conversions; needs one currency, or
        ``by="currency"``. Conversions without a value are left out of both k and n.
    cluster : str or None
        Column whose equal values are one person; used where the ledger has it. A conversion without one
        stands alone. None takes all conversions for independent.

    Returns
    -------
    DataFrame
        One row per group and setup: the columns of ``by``, ``setup``, ``k`` (conversions the setup sees),
        ``n`` (conversions in the ledger), ``value`` (k/n), ``low``, ``high``, ``method``.
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
    ledger = rec.conversion_table
    groups = [by] if isinstance(by, str) else list(by or [])
    for name in groups:
        if name not in ledger.columns:
            raise UnknownNameError("column of the ledger", name, ledger.columns)
        if name in _RESULT:
            raise InputError(f"cannot group by '{name}': the result has a column of that name; rename it in the ledger")
    if cluster not in (None, "user_key") and cluster not in ledger.columns:
        raise UnknownNameError("column of the ledger", cluster, ledger.columns)
    if not 0 < level < 1:
        raise InputError("level must lie between 0 and 1, e.g. 0.95")
    ledger = _weighted(ledger, weight, groups)
    sums = to_frame(_sums(ledger, groups, cluster if cluster in ledger.columns else None, weighted=weight is not None))
    if groups:
        sums = sums.sort_values(groups, ignore_index=True)
    parts = []
    for order, (setup, name) in enumerate(_SETUPS.items()):
        part = sums[groups].copy()
        for theirs in ("n", "nn", "clusters", "units"):
            part[theirs] = sums[f"_{theirs}"]
        for theirs, ours in (
            ("k", name),
            ("kk", f"{name}_kk"),
            ("kn", f"{name}_kn"),
            ("conversions_k", f"{name}_rows"),
        ):
            part[theirs] = sums[f"_{ours}"]
        part = part.assign(setup=str(setup), conversions_n=part["units"], _group=range(len(part)), _order=order)
        parts.append(part)
    table = pd.concat(parts).sort_values(["_group", "_order"], ignore_index=True)
    table = table.join(interval_of(table, level))
    if weight is None:
        return table.astype({"k": "int64", "n": "int64"})[[*groups, *_RESULT]]
    table = table.astype({"conversions_k": "int64", "conversions_n": "int64"})
    return table[[*groups, *_RESULT, "conversions_k", "conversions_n"]]


_RESULT = ("setup", "k", "n", "value", "low", "high", "method")
_SETUPS = {Setup.PIXEL: "pixel", Setup.CAPI: "capi", Setup.BOTH: "both", Setup.INCREMENTAL: "incremental"}


def _weighted(ledger: ibis.Table, weight: str | None, groups: list[str]) -> ibis.Table:
    """Give every conversion its weight: one, or its value."""
    if weight is None:
        return ledger.mutate(_weight=ibis.literal(1.0))
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
    return ledger.mutate(_weight=ledger["value"])


def _sums(ledger: ibis.Table, groups: list[str], cluster: str | None, *, weighted: bool) -> ibis.Table:
    """Sum numerators and denominators per group, and their squares over clusters, in one pass."""
    seen = {
        "pixel": ledger.seen_pixel,
        "capi": ledger.seen_capi,
        "both": ledger.seen_pixel | ledger.seen_capi,
        "incremental": ledger.seen_capi & ~ledger.seen_pixel,
    }
    weight = {f"_{name}": ibis.ifelse(flag, ledger["_weight"], 0.0) for name, flag in seen.items()}
    if weighted:
        weight |= {f"_{name}_rows": flag.cast("int64") for name, flag in seen.items()}
    if cluster is None:
        rows = ledger.select(*groups, _n="_weight", _units=ibis.literal(1), **weight)
    else:
        alone = ledger[cluster].isnull()
        person = ibis.ifelse(alone, ledger.conversion_id, ledger[cluster])
        sums = {name: value.sum() for name, value in weight.items()}
        if weighted:
            sums["_units"] = ledger.count()
        rows = ledger.group_by([*groups, alone.name("_alone"), person.name("_person")]).aggregate(
            _n=ledger["_weight"].sum(), **sums
        )
    if not weighted:  # an amount of one each: what is summed is what is counted
        rows = rows.mutate(_units=rows["_n"], **{f"_{name}_rows": rows[f"_{name}"] for name in seen})
    n = rows["_n"]
    totals = {"_n": n.sum(), "_nn": (n * n).sum(), "_clusters": rows.count(), "_units": rows["_units"].sum()}
    for name in seen:
        k = rows[f"_{name}"]
        totals |= {f"_{name}": k.sum(), f"_{name}_kk": (k * k).sum(), f"_{name}_kn": (k * n).sum()}
        totals[f"_{name}_rows"] = rows[f"_{name}_rows"].sum()
    return rows.group_by(groups).aggregate(**totals) if groups else rows.aggregate(**totals)


def suppress_small(table: pd.DataFrame, min_cell: int = 10) -> pd.DataFrame:
    """Blank the numbers of groups that are too small to share.

    Parameters
    ----------
    table : DataFrame
        With ``k`` and ``n``, as `coverage` returns it.
    min_cell : int
        Smallest number of conversions, and smallest number seen or not seen where these are not 0, that may be
        shown. Of a table of amounts, too, it is the conversions behind them that count.

    Returns
    -------
    DataFrame
        Same rows. ``suppressed`` says which; their ``k``, ``value``, ``low``, ``high`` are missing, and so
        is ``n`` where it is itself below ``min_cell``. All rows of a group (same columns left of ``setup``)
        are blanked together, so that one setup cannot be worked out from the others.
    """
    k, n = (table[f"conversions_{name}" if f"conversions_{name}" in table else name] for name in ("k", "n"))
    small = (n < min_cell) | k.between(1, min_cell - 1) | (n - k).between(1, min_cell - 1)
    groups = list(table.columns[: list(table.columns).index("setup")]) if "setup" in table.columns else []
    if "setup" in table.columns:
        keys = [table[name] for name in groups] or [pd.Series(0, index=table.index)]
        small = small.groupby(keys, dropna=False).transform("any")
    result = table.assign(suppressed=small)
    for name in ("k", "value", "low", "high", "conversions_k"):
        if name in result:
            result[name] = result[name].astype("float64").mask(small)
    for name in ("n", "conversions_n"):
        if name in result:
            result[name] = result[name].astype("float64").mask(n < min_cell)
    return result
