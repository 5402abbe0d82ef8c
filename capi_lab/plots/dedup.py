"""Pictures of dedup: what is wrong with the pairs, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from capi_lab.errors import InputError
from capi_lab.plots.style import INK, axes_of, require_columns, style
from capi_lab.words import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_causes", "plot_dedup_timeline"]

_COLOURS = {
    str(Outcome.DOUBLE_COUNTED): "#D55E00",
    str(Outcome.OVER_MERGED): "#CC79A7",
    str(Outcome.UNKNOWN): "#9aa0a8",
    str(Outcome.DEDUPLICATED): "#0072B2",
}
_HATCHES = {
    str(Outcome.OVER_MERGED): "//",
    str(Outcome.UNKNOWN): "..",
}


def plot_causes(table: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw how often each cause broke a pair, with its interval, coloured by what the platform would have done.

    Parameters
    ----------
    table : DataFrame
        As `capi_lab.pair_causes` returns it, ungrouped. Pairs without a cause are in the denominator and not drawn.
    ax : Axes, optional
        Default: a new figure of fitting height.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ContractError
        A column is missing.
    """
    require_columns(table, ["outcome", "cause", "k", "n", "value", "low", "high"])
    rows = table[table["cause"].notna() & table["value"].notna()].sort_values(["value", "cause"])
    n = int(table["n"].max()) if len(table) else 0
    with style():
        ax = axes_of(ax, height=1.8 + 0.42 * max(len(rows), 1))
        drawn = set()
        for place, row in enumerate(rows.itertuples()):
            outcome = str(row.outcome)
            label = None if outcome in drawn else outcome.replace("_", " ")
            drawn.add(outcome)
            error = [[row.value - row.low], [row.high - row.value]]
            ax.barh(
                place, row.value, height=0.62, color=_COLOURS[outcome], hatch=_HATCHES.get(outcome), label=label,
                edgecolor="white", xerr=error, error_kw={"ecolor": INK, "capsize": 3},
            )  # fmt: skip
            ax.annotate(
                f"{row.value:.1%} ({int(row.k):,})", (row.high, place), xytext=(6, 0), textcoords="offset points",
                va="center", fontsize=9,
            )  # fmt: skip
        ax.set_yticks(range(len(rows)), [str(cause).replace("_", " ") for cause in rows["cause"]])
        ax.set(xlabel=f"Share of pairs: conversions both channels report (n = {n:,}), with interval")
        ax.set_xlim(0, float(rows["high"].max()) * 1.25 if len(rows) else 1)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.1%}".replace(".0%", "%"))
        ax.grid(visible=False, axis="y")
        ax.set_title(title or "What is wrong with the pairs", pad=28)
        if drawn:
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, borderaxespad=0.2)
    return ax


def plot_dedup_timeline(
    pairs: pd.DataFrame, times: pd.Series, *, ax: Axes | None = None, title: str | None = None, days: int = 1
) -> Axes:
    """Draw the share of pairs that were not counted once, over time: a release that broke the ids shows as a step.

    Parameters
    ----------
    pairs : DataFrame
        As ``rec.pairs``: ``conversion_id`` and ``outcome``.
    times : Series
        Time of each conversion (UTC), by ``conversion_id`` as index.
    ax : Axes, optional
    title : str, optional
    days : int
        Length of a step on the time axis.

    Returns
    -------
    Axes

    Raises
    ------
    ContractError
        A column is missing.
    InputError
        A pair has no time.
    """
    require_columns(pairs, ["conversion_id", "outcome"])
    when = pairs["conversion_id"].map(times)
    if when.isna().any():
        raise InputError(f"{int(when.isna().sum()):,} pairs have no time in times=, whose index is the conversion_id")
    steps = when.dt.tz_convert("UTC").dt.floor("D")
    start = steps.min()
    steps = start + pd.to_timedelta((steps - start).dt.days // days * days, unit="D")
    counts = pd.crosstab(steps, pairs["outcome"].astype("str"))
    counts = counts.reindex(pd.date_range(start, steps.max(), freq=f"{days}D"), fill_value=0)
    total = counts.sum(axis=1)
    with style():
        ax = axes_of(ax, height=3.4)
        bottom = pd.Series(0.0, index=counts.index)
        for outcome, colour in _COLOURS.items():
            if outcome == str(Outcome.DEDUPLICATED) or outcome not in counts:
                continue
            share = (counts[outcome] / total).fillna(0.0)
            ax.bar(
                counts.index, share, bottom=bottom, width=days * 0.86, align="edge", color=colour,
                hatch=_HATCHES.get(outcome), edgecolor="white", label=outcome.replace("_", " "),
            )  # fmt: skip
            bottom = bottom + share
        each = "day" if days == 1 else f"{days} days"
        ax.set(ylabel=f"Share of pairs,\nby {each}")
        ax.set_ylim(0, max(0.02, float(bottom.max()) * 1.15))
        ax.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
        ax.grid(visible=False, axis="x")
        ax.set_title(title or f"Pairs the platform does not count once (n = {int(total.sum()):,})", pad=28)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, borderaxespad=0.2)
        ax.figure.autofmt_xdate()
    return ax
