"""Numbers of few people are not shown, nor are those that would give them away."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capi_lab.words import Fate, Step

__all__ = ["suppress_small"]

_TOGETHER = ("setup", "key", "stratum")  # rows of one group that tell of each other
_PARTS = ("kind", "outcome", "status")  # rows whose counts add up to the n of their group
_BLANKED = ("k", "k_pixel", "value", "low", "high", "conversions_k", "unknown", "unusable")
_STEPS = [str(step) for step in Step]
Mask = NDArray[np.bool_]


def suppress_small(table: pd.DataFrame, min_cell: int = 10) -> pd.DataFrame:
    """Blank the numbers of groups that are too small to share, and what they could be worked out from.

    Parameters
    ----------
    table : DataFrame
        With ``k`` and ``n``, as `coverage`, `key_coverage`, `match_rate`, `pair_causes` or `send_outcome` return it,
        or `Waterfall.table`.
    min_cell : int
        Smallest number of conversions, and smallest number seen or not seen where these are not 0, that may be
        shown. Of a table of amounts, too, it is the conversions behind them that count.

    Returns
    -------
    DataFrame
        Same rows. ``suppressed`` says which; their ``k``, ``value``, ``low``, ``high`` and amounts are missing, and
        so is ``n`` where it is itself below ``min_cell``, or would tell such an ``n``; a row of none is of nobody.

        - All rows of a group (same columns left of ``setup``, ``key`` or ``stratum``) are blanked together. Groups
          add up to a total that is mostly known: where the blanked ones, taken together, are one or would themselves
          be suppressed, the smallest of the others joins them.
        - Rows that add up to ``n`` (``outcome``, ``status``, or a waterfall's buckets): where those blanked are one,
          or fewer than ``min_cell`` together, the smallest of the others joins them; of a waterfall the smallest of
          the same step, or else the next step's bucket and the step between them. What the pixel saw of each
          (``k_pixel``) goes where it would tell of few.

    Notes
    -----
    Cell suppression with complements. Each table is looked at by itself: two tables broken down by columns that
    overlap can still be held against each other.
    """
    k, n = (table[f"conversions_{name}" if f"conversions_{name}" in table else name] for name in ("k", "n"))
    small = _few(k, n, min_cell)
    label = next((name for name in (*_TOGETHER, *_PARTS) if name in table.columns), None)
    few = n.between(1, min_cell - 1)
    few_by_pixel = pd.Series(data=False, index=table.index)
    if label is not None and len(table):
        groups = list(table.columns[: list(table.columns).index(label)])
        keys = [table[name] for name in groups] or [pd.Series(0, index=table.index)]
        group = table.groupby(keys, dropna=False, sort=False).ngroup()
        if label in _TOGETHER:
            hidden = group.isin(_with_company(pd.DataFrame({"k": k, "n": n}), group, table[label], small, min_cell))
            small, few = hidden, hidden & few.any()
        else:
            for _, rows in table.groupby(group):
                mine = rows.index
                small[mine] = _parts(rows, k[mine].to_numpy(), small[mine].to_numpy(), min_cell)
            if "k_pixel" in table.columns:
                few_by_pixel = _told_by_the_pixel(table.assign(group=group), small, min_cell)
    result = table.assign(suppressed=small)
    amounts = [name for name in result.columns if str(name).startswith("amount_")]
    for name in (*_BLANKED, *amounts):
        if name in result:
            result[name] = result[name].astype("float64").mask(small)
    if "k_pixel" in result:
        result["k_pixel"] = result["k_pixel"].mask(few_by_pixel)
    for name in ("n", "conversions_n"):
        if name in result:
            result[name] = result[name].astype("float64").mask(few)
    return result


def _few(k: pd.Series, n: pd.Series, least: int) -> pd.Series:
    """Say where too few were counted, were asked, or were left over."""
    return n.between(1, least - 1) | k.between(1, least - 1) | (n - k).between(1, least - 1)


def _with_company(
    counts: pd.DataFrame, group: pd.Series, label: pd.Series, small: pd.Series, least: int
) -> list[Hashable]:
    """Name the groups to blank: the small ones, and others until those blanked may stand as one group."""
    hidden = list(dict.fromkeys(group[small]))
    sizes = counts["n"].groupby(group).max()
    others = list(sizes[(sizes > 0) & ~sizes.index.isin(hidden)].sort_values(kind="stable").index)
    while hidden and others:
        pooled = counts[group.isin(hidden)].groupby(label[group.isin(hidden)]).sum()
        if (sizes[hidden] > 0).sum() > 1 and not _few(pooled["k"], pooled["n"], least).any():
            break
        hidden.append(others.pop(0))
    return hidden


def _parts(rows: pd.DataFrame, k: NDArray[np.float64], small: Mask, least: int) -> Mask:
    """Blank parts of one whole until no blanked one can be told from what is shown.

    Parts lie in places one behind the other. Between two places stands a step, which counts all parts behind it; a
    step that is blanked makes its two places one.
    """
    if "kind" in rows.columns:
        part = (rows["kind"] == "bucket").to_numpy()
        end = np.where(rows["fate"] == str(Fate.THROUGH), len(_STEPS), rows["step"].map(_STEPS.index))
        sums = ~part & ~rows["step"].isin([str(Step.TRUTH), str(Step.PIXEL)]).to_numpy()
    else:
        part, end, sums = np.ones(len(rows), dtype=bool), np.zeros(len(rows), dtype="int64"), np.zeros(len(rows), bool)
    hidden = small.copy()
    while True:
        walls = np.sort(end[sums & ~hidden])
        room = np.searchsorted(walls, end, side="left")  # of a part: how many shown steps stand before it
        for at in np.unique(room[hidden & part]):
            mine = part & (room == at)
            if (mine & hidden).sum() > 1 and k[mine & hidden].sum() >= least:
                continue
            free = np.flatnonzero(mine & ~hidden & (k > 0))
            if len(free):
                hidden[free[np.argmin(k[free])]] = True
            elif len(walls):
                wall = walls[min(at, len(walls) - 1)]
                hidden |= sums & (end == wall)
            else:
                continue
            break
        else:
            return hidden


def _told_by_the_pixel(table: pd.DataFrame, small: pd.Series, least: int) -> pd.Series:
    """Say in which rows of a waterfall ``k_pixel`` would tell of few.

    Of buckets it is shown for all that stay or for none, of steps as far as none loses few, seen by the pixel or not.
    What the pixel saw in all, where that is blanked, is nowhere.
    """
    told = pd.Series(data=False, index=table.index)
    for _, rows in table.groupby("group"):
        bucket, seen = rows["kind"] == "bucket", rows["k_pixel"]
        pixel = ~bucket & (rows["step"] == str(Step.PIXEL))
        if (small[rows.index] & pixel).any():
            told[rows.index] = True
            continue
        if "conversions_k" in table.columns:  # amounts: how many stand behind k_pixel is not known
            told[rows.index] = bucket | ~rows["step"].isin([str(Step.TRUTH), str(Step.PIXEL), str(Step.SERVER)])
            continue
        by_others = rows["k"] - seen
        hidden = small[rows.index] & bucket
        together = pd.Series([seen[hidden].sum(), by_others[hidden].sum()])
        if (bucket & ~hidden & _few(seen, rows["k"], least)).any() or together.between(1, least - 1).any():
            told[bucket.index[bucket]] = True
        steps = rows.index[~bucket & ~pixel]
        few = [part[steps].diff().abs().between(1, least - 1) for part in (seen, by_others)]
        told[steps] = (few[0] | few[1]).cummax()
    return told
