"""Numbers of few people are not shown, nor are those that would give them away."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capi_lab.measure.waterfall_result import Waterfall
from capi_lab.words import Fate, Step

__all__ = ["suppress_small"]

_TOGETHER = ("setup", "key", "stratum")  # rows of one group that tell of each other
_WATERFALL = ("kind", "step", "bucket", "reason", "fate")
_PARTS = (("outcome", "cause"), ("status", "code"))  # rows whose counts add up to the n of their group
_MORE = ("lost", "not_observed", "extra")  # counts beside k that tell of it
_ALONE = ("unknown", "unusable")  # counts of others than those in n
_BLANKED = ("k", "k_pixel", "value", "low", "high", "low_k", "high_k", "conversions_k", *_MORE, *_ALONE)
_STEPS = [str(step) for step in Step]
_BESIDE = (str(Step.TRUTH), str(Step.PIXEL))  # steps that do not count the parts behind them
Mask = NDArray[np.bool_]


def suppress_small(table: pd.DataFrame | Waterfall, min_cell: int = 10) -> pd.DataFrame:
    """Blank the numbers of groups that are too small to share, and what they could be worked out from.

    Parameters
    ----------
    table : DataFrame or Waterfall
        With ``k`` and ``n``, as `coverage`, `key_coverage`, `match_rate`, `pair_causes` or `send_outcome` return it,
        or ``wf.amounts``. A `Waterfall` stands for its ``table``.
    min_cell : int
        Smallest number of conversions, and smallest number seen or not seen where these are not 0, that may be
        shown. Of a table of amounts, too, it is the conversions behind them that count.

    Returns
    -------
    DataFrame
        Same rows. ``suppressed`` says which; their ``k``, ``value``, ``low``, ``high`` and what else is counted are
        missing, and so is ``n`` where it is itself below ``min_cell``, or would tell such an ``n``; a row of none is of
        nobody. Columns ``amount_...`` of a waterfall are suppressed by the conversions behind each currency; of its
        bare ``table``, which does not know them, they are missing.

        - All rows of a group (same columns left of ``setup``, ``key`` or ``stratum``) are blanked together. Groups add
          up to a total that is mostly known: where the blanked ones, taken together, are one or would themselves be
          suppressed, the smallest of the others joins them.
        - Rows that add up to ``n`` (causes, sends, the buckets of a waterfall): where those blanked are one, or fewer
          than ``min_cell`` together, the smallest of the others joins them; of a waterfall the smallest of the same
          step, or else the next step's bucket and the step between them. What the pixel saw of each (``k_pixel``) goes
          where it would tell of few.

    Notes
    -----
    Cell suppression with complements. Each table, and each group of a waterfall, is looked at by itself: two tables
    broken down by columns that overlap can still be held against each other.
    """
    if isinstance(table, Waterfall):
        return _with_amounts(table, min_cell)
    index, table = table.index, table.reset_index(drop=True)
    k, n = (_numbers(table, f"conversions_{name}" if f"conversions_{name}" in table else name) for name in ("k", "n"))
    small, few, untold = _hidden(table, k, n, min_cell)
    if "suppressed" in table:
        small |= table["suppressed"].astype(bool)
    result = table.assign(suppressed=small)
    for name in _BLANKED:
        if name in result:
            gone = small | _is_few(_numbers(table, name), min_cell) if name in _ALONE else small
            result[name] = _numbers(table, name).mask(gone | untold if name == "k_pixel" else gone)
    for name in ("n", "conversions_n"):
        if name in result:
            result[name] = _numbers(table, name).mask(few)
    for name in table.columns:
        if str(name).startswith("amount_"):
            result[name] = np.nan
    return result.set_axis(index)


def _hidden(table: pd.DataFrame, k: pd.Series, n: pd.Series, least: int) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Say which rows to blank, of which ``n`` as well, and of which ``k_pixel``."""
    small, few, untold = _few(k, n, least), _is_few(n, least), pd.Series(data=False, index=table.index)
    for name in _MORE:
        if name in table:
            small |= _is_few(_numbers(table, name), least)
    groups, kind = _grouped_by(table)
    if not kind or table.empty:
        return small, few, untold
    group = table.groupby([table[name] for name in groups] or [small * 0], dropna=False).ngroup()
    if kind == "together":
        label = table[next(name for name in _TOGETHER if name in table)].astype("str")
        hidden = group.isin(_with_company(pd.DataFrame({"k": k, "n": n, "label": label}), group, small, least))
        return hidden, hidden & few.any(), untold
    for rows in group.groupby(group).groups.values():
        part = table.loc[rows].assign(k=k[rows])
        small[rows] = _parts(part, small[rows].to_numpy(), least, steps=kind == "steps")
        if kind == "steps":
            part = part.assign(seen=_numbers(table, "k_pixel")[rows])
            small[rows], untold[rows] = _by_pixel(part, small[rows], least, of_amounts="conversions_k" in table)
    return small, few, untold


def _with_amounts(wf: Waterfall, least: int) -> pd.DataFrame:
    """Suppress a waterfall's table, and its amounts by the conversions behind them."""
    shown, label = suppress_small(wf.table, least), [*wf.by, *_WATERFALL]
    amounts = suppress_small(wf.amounts, least)
    for name in (name for name in shown.columns if str(name).startswith("amount_")):
        currency = None if name == "amount_without_currency" else name.removeprefix("amount_")
        mine = amounts["currency"].isna() if currency is None else amounts["currency"] == currency
        told = shown[label].merge(amounts.loc[mine, [*label, "k"]], how="left", on=label, indicator=True)
        none = (told["_merge"] == "left_only").to_numpy()  # no conversion of that currency
        shown[name] = np.where(shown["suppressed"], np.nan, np.where(none, 0.0, told["k"]))
    return shown


def _numbers(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name].astype("float64")


def _is_few(number: pd.Series, least: int) -> pd.Series:
    return (number > 0) & (number < least)


def _few(k: pd.Series, n: pd.Series, least: int) -> pd.Series:
    """Say where too few were counted, were asked, or were left over."""
    return _is_few(n, least) | _is_few(k, least) | _is_few(n - k, least)


def _grouped_by(table: pd.DataFrame) -> tuple[list[str], str]:
    """Say what its rows are to each other, and which columns tell the groups apart."""
    columns = list(table.columns)
    for names, kind in ((_WATERFALL, "steps"), *((names, "parts") for names in _PARTS)):
        if set(names) <= set(columns):
            return columns[: columns.index(names[0])], kind
    label = next((name for name in _TOGETHER if name in columns), None)
    return ([], "") if label is None else (columns[: columns.index(label)], "together")


def _with_company(counts: pd.DataFrame, group: pd.Series, small: pd.Series, least: int) -> list[Hashable]:
    """Name the groups to blank: those of few, and others until those blanked may stand as one group."""
    hidden = list(dict.fromkeys(group[small]))
    sizes = counts["n"].groupby(group).max()
    others = list(sizes[(sizes > 0) & ~sizes.index.isin(hidden)].sort_values(kind="stable").index)
    while hidden and others:
        together = counts[group.isin(hidden)].groupby("label")[["k", "n"]].sum()
        if (sizes[hidden] > 0).sum() > 1 and not _few(together["k"], together["n"], least).any():
            break
        hidden.append(others.pop(0))
    return hidden


def _ends(rows: pd.DataFrame) -> NDArray[np.int64]:
    """Say at which step each row of a waterfall stands; what got through stands behind all of them."""
    at = rows["step"].astype("str").map({name: i for i, name in enumerate(_STEPS)}).to_numpy("int64")
    return np.where(rows["fate"].eq(str(Fate.THROUGH)).fillna(value=False).to_numpy(bool), len(_STEPS), at)


def _parts(rows: pd.DataFrame, small: Mask, least: int, *, steps: bool) -> Mask:
    """Blank parts of one whole until no blanked one can be told from what is shown.

    Parts lie in places one behind the other. Between two places stands a step, which counts all parts behind it; a
    step that is blanked makes its two places one.
    """
    k, hidden = rows["k"].to_numpy("float64"), small.copy()
    names = [name for name in {*_WATERFALL, *sum(_PARTS, ())} if name in rows]
    ranked = rows[["k"]].join(rows[sorted(names)].astype("str")).reset_index(drop=True)
    rank = np.argsort(ranked.sort_values(["k", *sorted(names)]).index.to_numpy())  # no order of rows decides a tie
    part = (rows["kind"] == "bucket").to_numpy(bool) if steps else np.ones(len(rows), dtype=bool)
    end = _ends(rows) if steps else np.zeros(len(rows), dtype="int64")
    wall = ~part & ~rows["step"].isin(_BESIDE).to_numpy(bool) if steps else ~part
    while True:
        walls = np.sort(end[wall & ~hidden])
        room = np.searchsorted(walls, end, side="left")  # of a part: how many shown steps stand before it
        for at in np.unique(room[hidden & part]):
            mine = part & (room == at)
            if (mine & hidden).sum() > 1 and k[mine & hidden].sum() >= least:
                continue
            free = np.flatnonzero(mine & ~hidden & (k > 0))
            if len(free):
                hidden[free[np.argmin(rank[free])]] = True
            elif len(walls):
                hidden |= wall & (end == walls[min(at, len(walls) - 1)])
            else:
                continue
            break
        else:
            return hidden


def _by_pixel(rows: pd.DataFrame, small: pd.Series, least: int, *, of_amounts: bool) -> tuple[pd.Series, pd.Series]:
    """Say in which rows of a waterfall ``k_pixel`` would tell of few; and blank the step ``pixel`` where it would.

    Of buckets it is shown for all or for none, of steps as far as none loses few, seen by the pixel or not. Where few
    got there without the pixel, what the pixel saw in all is nowhere. Of amounts nobody knows how many are behind it.
    """
    nowhere, bucket = small & False, rows["kind"] == "bucket"
    pixel, server = (~bucket & (rows["step"] == str(one)) for one in (Step.PIXEL, Step.SERVER))
    if least <= 1 or not pixel.any():
        return small, nowhere
    steps = rows[~bucket & ~pixel & ~small]
    steps = steps.assign(end=_ends(steps)).sort_values("end")
    alone = pd.Series([rows["k"][server].sum() - rows["k"][pixel].sum()])
    if not of_amounts:
        alone = pd.concat([alone, steps["k"] - steps["seen"]])
    if small[pixel].any() or _is_few(alone, least).any():
        return small | pixel, ~nowhere
    if of_amounts:
        return small, bucket | ~rows["step"].isin([*_BESIDE, str(Step.SERVER)])
    few = _few(rows["seen"], rows["k"], least) | small
    untold = bucket & (bucket & few).any()
    lost = _is_few(-steps["seen"].diff(), least) | _is_few(-(steps["k"] - steps["seen"]).diff(), least)
    untold[steps.index] = (lost | _is_few(steps["seen"], least)).cummax()
    return small, untold
