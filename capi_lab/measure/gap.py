"""Where the coverage gap comes from, cause by cause."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.measure.rates import check_level, interval_of
from capi_lab.words import GapCause

__all__ = ["gap_by_cause"]


_CAUSES_OF: dict[str, list[GapCause]] = {
    "seen_pixel": [
        c for c in GapCause if c not in (GapCause.SERVER_FAILED, GapCause.INELIGIBLE, GapCause.UNATTRIBUTED)
    ],
    "seen_capi": [GapCause.NO_CONSENT, GapCause.SERVER_FAILED, GapCause.INELIGIBLE],
}


def gap_by_cause(
    truth: pd.DataFrame,
    causes: Sequence[str] | None = None,
    *,
    seen: str | None = None,
    order: Sequence[str] | None = None,
    level: float = 0.95,
    cluster: str | None = "user_key",
) -> pd.DataFrame:
    """Split the share of conversions that were missed over the causes that were active.

    Parameters
    ----------
    truth : DataFrame
        One row per conversion, one bool column per cause: was it active, whether or not another was too?
    causes : sequence of str, optional
        Columns to take. Default: those that can keep the channel named by ``seen`` from reporting.
    seen : str, optional
        Bool column ``seen_pixel`` or ``seen_capi``: was it seen? Causes then count for missed conversions only, and
        one missed with no cause active is ``unattributed``; never spread over the others. Without it, a conversion
        counts as missed where any cause was active.
    order : sequence of str, optional
        Order of ``sequential``: which cause strikes first. Default: that of ``causes``.
    level : float
        Of the intervals.
    cluster : str or None
        Column whose equal values are one person; used where the table has it.

    Returns
    -------
    DataFrame
        Per cause ``cause``, ``k`` (conversions it was active for), ``n``, ``shapley`` (its fair share of the
        gap: an order with three active causes gives each a third; parts sum to the gap) with ``low``, ``high``,
        ``only`` (share of conversions that fixing this cause alone would bring back) with ``only_low``,
        ``only_high``, ``sequential`` (what it takes of those that the causes before it left; parts sum to the gap,
        and hang on the order), ``marginal`` (k/n; parts add up to more than the gap), ``method``, ``level``,
        ``denominator``.

    Raises
    ------
    ContractError
        A column is missing.
    InputError
        No cause, no row, or an order that is not one of the causes.

    Notes
    -----
    Loss is an OR of causes; its Shapley value has the closed form mean(1{cause active} / number active).
    """
    if causes is None and seen not in _CAUSES_OF:
        raise InputError("say which losses to split: seen='seen_pixel', seen='seen_capi', or causes=[...]")
    check_level(level)
    wanted = [str(c) for c in (_CAUSES_OF[str(seen)] if causes is None else causes)]
    wanted = [c for c in wanted if causes is not None or c in truth.columns]
    absent = [name for name in [*wanted, *([seen] if seen else [])] if name not in truth.columns]
    if absent:
        raise ContractError("truth", [(name, "column is missing", None) for name in absent])
    if not wanted or truth.empty:
        raise InputError("nothing to split: give rows and at least one cause column")
    turns = [str(c) for c in order] if order is not None else wanted
    if sorted(turns) != sorted(wanted):
        raise InputError(f"order must name each cause once: {', '.join(sorted(wanted))}")
    active = truth[wanted].to_numpy(dtype=bool)
    if seen is not None:
        missed = ~truth[seen].to_numpy(dtype=bool)
        active = active & missed[:, None]
        unknown = missed & ~active.any(axis=1)
        if unknown.any():  # a cause of its own, so that no other takes it
            wanted, turns = [*wanted, str(GapCause.UNATTRIBUTED)], [*turns, str(GapCause.UNATTRIBUTED)]
            active = np.column_stack([active, unknown])
    number = active.sum(axis=1)
    fair = np.divide(active, number[:, None], out=np.zeros(active.shape), where=number[:, None] > 0)
    alone = active & (number[:, None] == 1)
    places = [wanted.index(name) for name in turns]
    first = np.zeros(active.shape, dtype=bool)
    first[:, places] = active[:, places] & (np.cumsum(active[:, places], axis=1) == 1)
    people = _people(truth, cluster)
    shapley, only = (_intervals(part.astype("float64"), people, level) for part in (fair, alone))
    table = pd.DataFrame(
        {
            "cause": pd.array(wanted, dtype="str"),
            "k": active.sum(axis=0),
            "n": len(active),
            "shapley": shapley["value"],
            "low": shapley["low"],
            "high": shapley["high"],
            "only": only["value"],
            "only_low": only["low"],
            "only_high": only["high"],
            "sequential": first.mean(axis=0),
            "marginal": active.mean(axis=0),
            "method": shapley["method"],
            "level": level,
            "denominator": "conversions",
        }
    ).astype({"denominator": "str"})
    table = table.assign(_last=table["cause"] == str(GapCause.UNATTRIBUTED))
    table = table.sort_values(["_last", "shapley"], ascending=[True, False], kind="stable", ignore_index=True)
    return table.drop(columns="_last")


def _people(truth: pd.DataFrame, cluster: str | None) -> NDArray[np.int64] | None:
    """Give each customer a number; a row without one stands alone."""
    if cluster is None or (cluster == "user_key" and cluster not in truth.columns):
        return None
    if cluster not in truth.columns:
        raise UnknownNameError("column", cluster, truth.columns)
    codes, known = pd.factorize(truth[cluster])
    alone = codes < 0
    codes[alone] = len(known) + np.arange(alone.sum())
    return np.asarray(codes, dtype="int64")


def _intervals(shares: NDArray[np.float64], people: NDArray[np.int64] | None, level: float) -> pd.DataFrame:
    """Return the mean of each column with its interval."""
    size = np.ones(len(shares))
    units = len(shares)
    if people is not None:
        shares = np.column_stack([np.bincount(people, column) for column in shares.T])
        size = np.bincount(people).astype("float64")
    sums = pd.DataFrame({"k": shares.sum(axis=0), "kk": (shares**2).sum(axis=0), "kn": size @ shares})
    sums = sums.assign(n=size.sum(), nn=(size**2).sum(), nnnn=(size**4).sum(), clusters=len(size), units=units)
    return interval_of(sums, level)
