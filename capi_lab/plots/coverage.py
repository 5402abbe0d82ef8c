"""Pictures of coverage: setups with their intervals, and the gap by cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from capi_lab.plots.style import INK, SETUP_COLOURS, SETUP_LABELS, axes_of, require_columns, style
from capi_lab.words import Setup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_coverage", "plot_gap"]

_SHOWN = (str(Setup.PIXEL), str(Setup.CAPI), str(Setup.BOTH))


def plot_coverage(table: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw coverage by setup with intervals, one line per group.

    Parameters
    ----------
    table : DataFrame
        As `capi_lab.coverage` returns it; its columns left of ``setup`` name the groups. Suppressed rows
        (missing value) are left out.
    ax : Axes, optional
        Default: a new figure of fitting height.
    title : str, optional

    Returns
    -------
    Axes
    """
    require_columns(table, ["setup", "k", "n", "value", "low", "high"])
    groups = list(table.columns[: list(table.columns).index("setup")])
    wide = table[table["setup"].isin(_SHOWN)].copy()
    wide["label"] = [
        " · ".join("(missing)" if pd.isna(v) else str(v) for v in row)
        for row in (wide[groups].to_numpy().tolist() if groups else [["all"]] * len(wide))
    ]
    wide = wide[wide["value"].notna()]
    sizes = wide.groupby("label", sort=False)["n"].max()
    first = wide[wide["setup"] == _SHOWN[0]].set_index("label")["value"]
    order = list(sizes.index) if not groups else list(first.sort_values().index)
    with style():
        ax = axes_of(ax, height=1.6 + 0.62 * len(order))
        for shift, setup in zip((0.22, 0.0, -0.22), _SHOWN, strict=True):
            rows = wide[wide["setup"] == setup].set_index("label").reindex(order)
            y = [place + shift for place in range(len(order))]
            colour, label = SETUP_COLOURS[setup], SETUP_LABELS[setup]
            error = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
            ax.errorbar(rows["value"], y, xerr=error, fmt="o", color=colour, capsize=3, markersize=7, lw=2, label=label)
            for x, height in zip(rows["high"], y, strict=True):
                if pd.notna(x):
                    text = f"{rows['value'].iloc[round(height - shift)]:.1%}"
                    ax.annotate(text, (x, height), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9)
        ax.set_yticks(range(len(order)), [f"{name}\nn = {sizes[name]:,.0f}" for name in order])
        ax.set_ylim(-0.6, len(order) - 0.4)
        ax.set(xlim=(0, 1.06), xlabel="Event coverage (share of the ledger's conversions), with interval")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        ax.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        ax.grid(visible=False, axis="y")
        ax.set_title(title or "What each setup sees", pad=28)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, borderaxespad=0.2)
    return ax


def plot_gap(table: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw the gap by cause: fair share, and what fixing one cause alone would bring back.

    Parameters
    ----------
    table : DataFrame
        As `capi_lab.gap_by_cause` returns it.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
    """
    require_columns(table, ["cause", "n", "shapley", "only"])
    rows = table.iloc[::-1]
    with style():
        ax = axes_of(ax, height=1.6 + 0.5 * len(rows))
        places = range(len(rows))
        ax.barh(places, rows["shapley"], height=0.62, color="#0072B2", label="share of the gap (parts add up)")
        ax.plot(
            rows["only"], list(places), "D", color="#E69F00", markeredgecolor=INK, label="gain from fixing it alone"
        )
        for place, value in zip(places, rows["shapley"], strict=True):
            ax.annotate(f"{value:.1%}", (value, place), xytext=(6, 0), textcoords="offset points", va="center")
        ax.set_yticks(list(places), [str(cause).replace("_", " ") for cause in rows["cause"]])
        ax.set(xlabel=f"Share of the ledger's conversions (n = {int(rows['n'].iloc[0]):,})")
        ax.set_xlim(0, float(rows["shapley"].max()) * 1.18 or 1)
        ax.locator_params(axis="x", steps=[1, 2, 5, 10])  # whole per cents: 2.5 would read as 2
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.1%}".replace(".0%", "%"))
        ax.grid(visible=False, axis="y")
        ax.set_title(title or f"Why {float(rows['shapley'].sum()):.1%} of conversions were missed", pad=28)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, borderaxespad=0.2)
    return ax
