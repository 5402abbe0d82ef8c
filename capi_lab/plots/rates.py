"""Pictures of rates: by stratum or key, the overlap of two channels, and a rate day by day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.errors import ContractError, InputError
from capi_lab.plots.style import INK, SETUP_COLOURS, axes_of, require_columns, style
from capi_lab.words import Setup, Stratum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_overlap", "plot_rates", "plot_trend"]

# Okabe-Ito, and a marker each: told apart without colour as well
_LOOKS = (("#0072B2", "o"), ("#E69F00", "s"), ("#009E73", "D"), ("#CC79A7", "^"), ("#56B4E9", "v"), ("#D55E00", "P"))
_LABELS = {
    str(Stratum.CLICK_ID): "with a click id",
    str(Stratum.PII_ONLY): "hashed PII only",
    str(Stratum.IP_ONLY): "IP address only",
    str(Stratum.NONE): "nothing to match by",
}
_ROWS = ("stratum", "key", "rate", "setup")


def plot_rates(
    table: pd.DataFrame, *, hue: str | None = None, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw rates with their intervals: a line per stratum, key or rate, a mark per group.

    Parameters
    ----------
    table : DataFrame
        As `capi_lab.match_rate`, `capi_lab.key_coverage`, `capi_lab.attribution_rate` or `capi_lab.coverage` returns
        it; tables of several platforms may be stacked with a column that names them. Rows without a value are left
        out.
    hue : str, optional
        Column whose values are told apart by colour and mark, e.g. ``"platform"``. Default: the only column left of
        the rate's name, if there is one.
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
    InputError
        More groups than one picture can tell apart, or rows that are told apart by neither line nor mark.
    """
    require_columns(table, ["n", "value", "low", "high", "denominator"])
    line = next((name for name in _ROWS if name in table.columns), None)
    if line is None:
        raise ContractError("plot input", [("stratum", "column is missing (or key, rate, setup)", None)])
    groups = [name for name in table.columns[: list(table.columns).index("k")] if name != line]
    if hue is None and len(groups) == 1:
        hue = groups[0]
    rows = table[table["value"].notna()]
    names = list(dict.fromkeys(rows[line]))
    marks = [None] if hue is None else list(dict.fromkeys(rows[hue].astype("object").where(rows[hue].notna(), None)))
    if len(marks) > len(_LOOKS):
        raise InputError(f"{len(marks)} groups cannot be told apart in one picture: draw at most {len(_LOOKS)}")
    if rows.duplicated([line, *([hue] if hue else [])]).any():
        raise InputError("several rows would share a line and a mark: give hue=, or fewer groups")
    step = 0.72 / max(len(marks), 1)
    with style():
        ax = axes_of(ax, height=1.5 + len(names) * (0.3 + 0.2 * len(marks)))
        for number, mark in enumerate(marks):
            part = rows if hue is None else rows[rows[hue].isna() if mark is None else rows[hue] == mark]
            y = [len(names) - 1 - names.index(name) + 0.36 - step * (number + 0.5) for name in part[line]]
            (colour, shape), label = _LOOKS[number], "(missing)" if mark is None else str(mark)
            error = [part["value"] - part["low"], part["high"] - part["value"]]
            ax.errorbar(
                part["value"], y, xerr=error, fmt=shape, color=colour, capsize=3, markersize=6, lw=1.8, label=label
            )
            for row, height in zip(part.itertuples(index=False), y, strict=True):
                text = f"{row.value:.1%} of {row.n:,.0f}"
                ax.annotate(
                    text, (row.high, height), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8.5
                )
        ax.set_yticks(range(len(names) - 1, -1, -1), [_LABELS.get(str(n), str(n).replace("_", " ")) for n in names])
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.set(xlim=(0, 1.24), xticks=[0, 0.2, 0.4, 0.6, 0.8, 1.0])
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        words = list(dict.fromkeys(rows["denominator"]))
        ax.set_xlabel(f"Share of {words[0] if len(words) == 1 else 'each line’s own denominator'}, with interval")
        ax.grid(visible=False, axis="y")
        ax.set_title(title or "Rates", pad=28 if hue else 10)
        if hue is not None:
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(marks), frameon=False, borderaxespad=0.2)
    return ax


def plot_overlap(table: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw what only the pixel, both, only the server and neither see, one bar per group.

    Parameters
    ----------
    table : DataFrame
        As `capi_lab.coverage` returns it: setups ``pixel``, ``capi`` and ``pixel+capi`` of each group.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ContractError
        A column or a setup is missing.
    """
    require_columns(table, ["setup", "k", "n", "value"])
    groups = list(table.columns[: list(table.columns).index("setup")])
    label = [
        " · ".join("(missing)" if pd.isna(v) else str(v) for v in row) for row in table[groups].to_numpy().tolist()
    ]
    wide = table.assign(_label=label if groups else "all").pivot(index="_label", columns="setup", values=["value", "n"])
    absent = [str(s) for s in (Setup.PIXEL, Setup.CAPI, Setup.BOTH) if str(s) not in wide["value"].columns]
    if absent:
        raise ContractError("plot input", [("setup", f"rows of {', '.join(absent)} are missing", None)])
    value = wide["value"].dropna(how="any").sort_values(str(Setup.PIXEL))
    sizes = wide["n"][str(Setup.BOTH)]
    pixel, capi, either = (value[str(setup)] for setup in (Setup.PIXEL, Setup.CAPI, Setup.BOTH))
    parts = {
        "only the pixel": (either - capi, SETUP_COLOURS[str(Setup.PIXEL)], ""),
        "both": (pixel + capi - either, SETUP_COLOURS[str(Setup.BOTH)], ""),
        "only the server": (either - pixel, SETUP_COLOURS[str(Setup.CAPI)], "//"),
        "neither": (1 - either, "#e4e6ea", ".."),
    }
    with style():
        ax = axes_of(ax, height=1.6 + 0.5 * len(value))
        left = np.zeros(len(value))
        for name, (share, colour, hatch) in parts.items():
            ax.barh(
                range(len(value)), share, left=left, height=0.66, color=colour, hatch=hatch, ec=INK, lw=0.6, label=name
            )
            for place, (start, length) in enumerate(zip(left, share, strict=True)):
                if length > 0.05:
                    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.85}
                    ax.text(start + length / 2, place, f"{length:.0%}", ha="center", va="center", fontsize=9, bbox=box)
            left = left + share.to_numpy()
        ax.set_yticks(range(len(value)), [f"{name}\nn = {sizes[name]:,.0f}" for name in value.index])
        ax.set(xlim=(0, 1), xlabel="Share of the ledger's conversions")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        ax.grid(visible=False)
        ax.set_title(title or "What each channel sees of the same conversions", pad=28)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, frameon=False, borderaxespad=0.2)
    return ax


def plot_trend(table: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw one series day by day, with its baseline, how far a day may stray from it, and the alarms.

    Parameters
    ----------
    table : DataFrame
        As `capi_lab.trend` returns it; of several series give one.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    ContractError
        A column is missing.
    InputError
        The table holds several series, or none.
    """
    require_columns(
        table, ["day", "value", "baseline", "change_low", "change_high", "alert", "false_alarm_rate", "denominator"]
    )
    if table.empty or table["day"].duplicated().any():
        raise InputError("give the rows of one series")
    rows = table.sort_values("day")
    alarm = rows[rows["alert"].notna()]
    first, last = rows["day"].min(), rows["day"].max()
    with style():
        ax = axes_of(ax, height=3.8)
        ax.fill_between(
            rows["day"], rows["baseline"] + rows["change_low"], rows["baseline"] + rows["change_high"], color="#0072B2",
            alpha=0.15, lw=0, label="where a day may lie without an alarm",
        )  # fmt: skip
        ax.plot(rows["day"], rows["baseline"], color="#0072B2", lw=1.4, ls="--", label="the days before")
        ax.plot(rows["day"], rows["value"], color=INK, lw=1.1, marker="o", markersize=3, label="the day")
        ax.plot(
            alarm["day"],
            alarm["value"],
            "D",
            color="#D55E00",
            markeredgecolor=INK,
            markersize=8,
            label="alarm",
            zorder=5,
        )
        for row in alarm.itertuples(index=False):
            text = f"{100 * (row.value - row.baseline):+.1f} points"
            late = row.day - first > 0.75 * (last - first)  # no room to its right
            ax.annotate(
                text, (row.day, row.value), xytext=(-8 if late else 8, 0), textcoords="offset points", va="center",
                ha="right" if late else "left", fontsize=9,
            )  # fmt: skip
        rate = 1 / (365.25 * float(rows["false_alarm_rate"].iloc[0]))
        ax.set_ylabel(f"Share of {rows['denominator'].iloc[0]}", fontsize=9)
        ax.set_xlabel(f"Day (UTC). One false alarm in {rate:,.1f} years where nothing changes")
        ax.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
        ax.tick_params(axis="x", rotation=30)
        ax.set_title(title or f"{len(alarm)} alarm{'s' * (len(alarm) != 1)} in {len(rows)} days", pad=28)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, frameon=False, borderaxespad=0.2, fontsize=9)
    return ax
