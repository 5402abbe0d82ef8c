"""Pictures of models: what changes would bring, and whether what was said came true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.plots.style import INK, axes_of, require_columns, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_calibration", "plot_what_if"]

_BAR, _DOT = "#0072B2", "#D55E00"


def plot_what_if(
    table: pd.DataFrame, *, measure: str = "matched", ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw what changes would bring, the greatest on top (a tornado).

    Parameters
    ----------
    table : DataFrame
        As `capi_lab.what_if` returns it.
    measure : str
        ``matched``, ``attributed`` or ``value``. Changes without it are left out.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ContractError
        A column is missing.
    """
    require_columns(table, ["change", "n", measure, f"{measure}_low", f"{measure}_high"])
    rows = table[table[measure].notna()].sort_values(measure, ignore_index=True)
    value, low, high = (rows[name].to_numpy("float64") for name in (measure, f"{measure}_low", f"{measure}_high"))
    with style():
        ax = axes_of(ax, height=1.3 + 0.5 * len(rows))
        ax.barh(rows.index, value, height=0.6, color=_BAR, alpha=0.85)
        error = np.maximum([value - low, high - value], 0.0)
        ax.errorbar(value, rows.index, xerr=error, fmt="none", ecolor=INK, capsize=3, lw=1.4)
        for place, (amount, end) in enumerate(zip(value, high, strict=True)):
            ax.annotate(
                f"{amount:+,.0f}", (max(end, 0.0), place), xytext=(6, 0), textcoords="offset points", va="center"
            )
        ax.axvline(0, color=INK, lw=0.8)
        ax.set_yticks(rows.index, [str(name).replace("_", " ") for name in rows["change"]])
        ax.grid(axis="y", visible=False)
        ax.margins(x=0.14)
        n = int(rows["n"].iloc[0]) if len(rows) else 0
        what = "value of extra matched conversions" if measure == "value" else f"extra {measure} conversions"
        ax.set_xlabel(f"Expected {what}, of {n:,} conversions")
        ax.set_title(title or "What each change would bring")
    return ax


def plot_calibration(
    probability: pd.Series, matched: pd.Series, *, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw of rows said to be matched with some probability which share was (a reliability diagram).

    Parameters
    ----------
    probability : Series of float
        As `MatchRates.predict` says; rows of equal probability are one point.
    matched : Series of bool
        What became of them, in the same order.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
    """
    pairs = pd.DataFrame({"said": probability.to_numpy("float64"), "was": matched.to_numpy("float64")})
    points = pairs.groupby(pairs["said"].round(6)).agg(said=("said", "mean"), was=("was", "mean"), n=("was", "size"))
    error = 1.96 * np.sqrt(points["was"] * (1 - points["was"]) / points["n"])
    brier = float(((pairs["said"] - pairs["was"]) ** 2).mean())
    with style():
        ax = axes_of(ax, height=4.8, width=5.6)
        ax.plot([0, 1], [0, 1], color="#9aa0a8", lw=1, ls="--")
        ax.errorbar(points["said"], points["was"], yerr=error, fmt="o", color=_DOT, ecolor=INK, capsize=3, markersize=6)
        for row in points.itertuples(index=False):
            place = (row.said, row.was)
            ax.annotate(f"{row.n:,}", place, xytext=(8, -10), textcoords="offset points", fontsize=8.5)
        ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="Match probability said", ylabel="Share that was matched")
        ax.set_title(title or f"Said and was (rows beside the points; Brier score {brier:.3f})", fontsize=10.5)
    return ax
