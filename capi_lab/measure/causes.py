"""How many of the conversions both channels saw have something wrong with them, and what."""

from __future__ import annotations

import ibis
import pandas as pd

from capi_lab.engine import to_frame
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.measure.rates import interval_of
from capi_lab.reconcile import Reconciled

__all__ = ["pair_causes"]


def pair_causes(rec: Reconciled, level: float = 0.95, *, cluster: str | None = "user_key") -> pd.DataFrame:
    """Count pairs by outcome and cause, with intervals.

    Parameters
    ----------
    rec : Reconciled
    level : float
        Of the intervals.
    cluster : str or None
        Column of the ledger whose equal values are one person, as for `capi_lab.coverage`.

    Returns
    -------
    DataFrame
        Most frequent first: ``outcome``, ``cause`` (missing where nothing is wrong), ``k`` pairs of ``n``, all
        conversions both channels saw; ``value`` (k/n), ``low``, ``high``, ``method``. Every pair is in one row.

    Raises
    ------
    InputError
        ``level`` is no level.
    UnknownNameError
        The ledger has no such column.
    """
    if not 0 < level < 1:
        raise InputError("level must lie between 0 and 1, e.g. 0.95")
    ledger, pairs = rec.conversion_table, rec.pair_table
    if cluster not in (None, "user_key") and cluster not in ledger.columns:
        raise UnknownNameError("column of the ledger", cluster, ledger.columns)
    key = ledger[cluster] if cluster in ledger.columns else ibis.null("string")
    who = ledger.select(order="conversion_id", person=key, alone=key.isnull())
    who = who.mutate(person=who.person.fill_null(who.order))
    rows = pairs.select("conversion_id", "outcome", "cause").join(who, pairs.conversion_id == who.order)
    per = rows.group_by("person", "alone").aggregate(n=rows.count())
    hits = rows.group_by("outcome", "cause", "person", "alone").aggregate(k=rows.count())
    sizes = per.rename(of_person="person", of_alone="alone")
    hits = hits.join(sizes, [hits.person == sizes.of_person, hits.alone == sizes.of_alone])
    sums = hits.group_by("outcome", "cause").aggregate(
        k=hits.k.sum(), kk=(hits.k * hits.k).sum(), kn=(hits.k * hits.n).sum()
    )
    size = per.n.cast("float64")
    whole = {"n": size.sum(), "nn": (size**2).sum(), "nnnn": (size**4).sum(), "clusters": per.count()}
    totals = to_frame(per.aggregate(**whole)).iloc[0]
    table = to_frame(sums).sort_values(["k", "outcome", "cause"], ascending=[False, True, True], ignore_index=True)
    if table.empty:
        totals = totals.fillna(0)
    table = table.assign(units=int(totals["n"]), **{name: totals[name] for name in whole})
    table = table.join(interval_of(table, level)).astype({"k": "int64", "n": "int64"})
    return table[["outcome", "cause", "k", "n", "value", "low", "high", "method"]]
