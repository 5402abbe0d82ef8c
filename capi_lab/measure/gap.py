"""Where the coverage gap comes from, cause by cause."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from capi_lab.errors import ContractError, InputError
from capi_lab.words import GapCause

__all__ = ["gap_by_cause"]


_CAUSES_OF: dict[str, list[GapCause]] = {
    "seen_pixel": [
        c for c in GapCause if c not in (GapCause.SERVER_FAILED, GapCause.INELIGIBLE, GapCause.UNATTRIBUTED)
    ],
    "seen_capi": [GapCause.NO_CONSENT, GapCause.SERVER_FAILED, GapCause.INELIGIBLE],
}


def gap_by_cause(truth: pd.DataFrame, causes: Sequence[str] | None = None, *, seen: str | None = None) -> pd.DataFrame:
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

    Returns
    -------
    DataFrame
        Per cause ``cause``, ``k`` (conversions it was active for), ``n``, ``shapley`` (its fair share of the
        gap: an order with three active causes gives each a third; parts sum to the gap), ``only`` (share of
        conversions that fixing this cause alone would bring back).

    Notes
    -----
    Loss is an OR of causes; its Shapley value has the closed form mean(1{cause active} / number active).
    """
    if causes is None and seen not in _CAUSES_OF:
        raise InputError("say which losses to split: seen='seen_pixel', seen='seen_capi', or causes=[...]")
    wanted = [str(c) for c in (_CAUSES_OF[str(seen)] if causes is None else causes)]
    wanted = [c for c in wanted if causes is not None or c in truth.columns]
    absent = [name for name in [*wanted, *([seen] if seen else [])] if name not in truth.columns]
    if absent:
        raise ContractError("truth", [(name, "column is missing", None) for name in absent])
    if not wanted or truth.empty:
        raise InputError("nothing to split: give rows and at least one cause column")
    active = truth[wanted].to_numpy(dtype=bool)
    if seen is not None:
        active = active & ~truth[seen].to_numpy(dtype=bool)[:, None]
    n, number = len(active), active.sum(axis=1)
    fair = np.divide(active, number[:, None], out=np.zeros(active.shape), where=number[:, None] > 0)
    table = pd.DataFrame(
        {
            "cause": wanted,
            "k": active.sum(axis=0),
            "n": n,
            "shapley": fair.sum(axis=0) / n,
            "only": (active & (number[:, None] == 1)).sum(axis=0) / n,
        }
    )
    if seen is not None:
        unknown = ~truth[seen].to_numpy(dtype=bool) & (number == 0)
        if unknown.any():
            k = int(unknown.sum())
            rest = {"cause": str(GapCause.UNATTRIBUTED), "k": k, "n": n, "shapley": k / n, "only": k / n}
            table = pd.concat([table, pd.DataFrame([rest])], ignore_index=True)
    return table.assign(cause=table["cause"].map(str).astype("str")).sort_values(
        "shapley", ascending=False, ignore_index=True
    )
