"""Picture of the waterfall: what is left after each step, and what took the rest."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from capi_lab.errors import ContractError, InputError
from capi_lab.plots.style import INK, SETUP_COLOURS, axes_of, style
from capi_lab.words import Bucket, Fate, Setup, Step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_waterfall"]

# Told apart by hatch and lightness as well as by colour.
_LOOKS: dict[str, dict[str, Any]] = {
    str(Fate.IGNORED): {"facecolor": "#c3c7cd", "edgecolor": "#6b7079", "hatch": ""},
    str(Fate.FAILED): {"facecolor": "#D55E00", "edgecolor": "#6e2f00", "hatch": "////"},
    str(Fate.UNKNOWN): {"facecolor": "#ffffff", "edgecolor": "#CC79A7", "hatch": "...."},
    str(Fate.UNTIED): {"facecolor": "#f3f4f6", "edgecolor": "#9aa0a8", "hatch": "--"},
}
_FATE_LABELS = {
    str(Fate.IGNORED): "ignored: not meant to be sent",
    str(Fate.FAILED): "failed: should have got there",
    str(Fate.UNKNOWN): "unknown: cannot be told",
    str(Fate.UNTIED): "arrived, not matched or attributed",
}
_PIXEL, _ADDED = SETUP_COLOURS[str(Setup.PIXEL)], SETUP_COLOURS[str(Setup.INCREMENTAL)]
_UNTOLD = "#7d8fa3"
_WIDTH = 30  # letters of a line of the labels on the left
_THICK, _THIN = 0.72, 0.5


class Finished(Protocol):
    """What `capi_lab.Waterfall` brings along."""

    @property
    def table(self) -> pd.DataFrame: ...

    @property
    def reported(self) -> pd.DataFrame: ...


def plot_waterfall(
    table: pd.DataFrame | Finished,
    *,
    ax: Axes | None = None,
    reported: pd.DataFrame | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the steps from the ledger down, one bar each, and between them what was lost and why.

    Parameters
    ----------
    table : Waterfall or DataFrame
        A `capi_lab.Waterfall`, or its ``table``, or one currency of its ``amounts``. Of a grouped table give one
        group: ``table[table["country"] == "DE"]``.
    ax : Axes, optional
        Default: a new figure of fitting height.
    reported : DataFrame, optional
        `capi_lab.Waterfall.reported`: the platform's own totals, drawn as diamonds with its bounds below the steps.
        Default: the waterfall's own, where one is given.
    title : str, optional

    Returns
    -------
    Axes
        Bars are as long as ``value``; of a step, the part the pixel saw and the part the server adds. Whiskers are
        the interval of the row's share. A row that `capi_lab.suppress_small` blanked has its line and no bar; where it
        took ``k_pixel`` only, the bar is in one colour.

    Raises
    ------
    ContractError
        A column is missing.
    InputError
        The table holds several groups or currencies, or no row.
    """
    if not isinstance(table, pd.DataFrame):
        reported = table.reported if reported is None else reported
        table = table.table
    groups = _checked(table)
    rows = _placed(table)
    told = pd.DataFrame(columns=["metric"]) if reported is None else reported[reported["stratum"] == "all"]
    labels = [_label(row) for row in rows.itertuples(index=False)]
    labels += [f"platform reports\n{metric}" for metric in told["metric"]]
    with style():
        lines = sum(max(1.35, 0.85 * (1 + text.count("\n"))) for text in labels)
        ax = axes_of(ax, height=1.9 + 0.27 * lines, width=9.6)
        y = _heights(labels)
        _draw(ax, rows, y)
        _write(ax, rows, y)
        _draw_reported(ax, told, y[len(rows) :])
        ax.set_yticks(y, labels)
        for tick, kind in zip(ax.get_yticklabels(), rows["kind"], strict=False):
            tick.set_fontweight("bold" if kind == "step" else "normal")
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(y[-1] - 0.8, y[0] + 0.8)
        ax.set_xlim(0, 1.42 if told.empty else max(1.42, 1.1 * float(told["high"].max())))
        ax.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        n = "suppressed" if pd.isna(rows["n"].iloc[0]) else f"{rows['n'].iloc[0]:,.0f}"
        unit = "conversions" if "currency" not in groups else f"amount in {groups['currency']}"
        ax.set_xlabel(f"Share of the ledger's {unit} (n = {n}), with interval", loc="left")
        ax.grid(visible=False, axis="y")
        where = " · ".join(str(v) for name, v in groups.items() if name != "currency")
        shown = _legend(ax, rows)
        what = f"How far {n} {groups.get('currency', 'conversions')} got"
        ax.set_title(title or what + (f": {where}" if where else ""), pad=12 + 16 * shown)
        ax.spines["bottom"].set_bounds(0, 1)
    return ax


def _checked(table: pd.DataFrame) -> dict[str, Any]:
    """Refuse what is no table of one waterfall; return the names of its group."""
    needed = ["kind", "step", "bucket", "reason", "fate", "k", "k_pixel", "n", "value", "low", "high"]
    absent = [(name, "column is missing", None) for name in needed if name not in table.columns]
    if absent:
        raise ContractError("plot input", absent)
    if table.empty:
        raise InputError("nothing to draw: the table has no row")
    groups = {}
    for name in table.columns[: list(table.columns).index("kind")]:
        if table[name].nunique(dropna=False) > 1:
            raise InputError(f"the table holds several groups of '{name}': give the rows of one")
        groups[str(name)] = "(missing)" if pd.isna(table[name].iloc[0]) else table[name].iloc[0]
    return groups


def _placed(table: pd.DataFrame) -> pd.DataFrame:
    """Say for each row from where to where its bar runs, as a share of the ledger."""
    rows, left, done, bars = list(table.itertuples(index=False)), 1.0, 0.0, []
    for at, row in enumerate(rows):
        value = 0.0 if pd.isna(row.value) else row.value  # a suppressed row has no bar
        if row.kind == "step":
            bars.append((0.0, value))
        elif row.fate == str(Fate.THROUGH):
            bars.append((done, done + value))
            done += value
        else:
            bars.append((left - value, left))
            left -= value
            if pd.isna(row.value):
                left -= _untold(rows[at + 1 :], left)
    return table.reset_index(drop=True).assign(start=[a for a, _ in bars], end=[b for _, b in bars])


def _untold(rows: list[Any], left: float) -> float:
    """Say how much suppressed rows take together, up to the next step that is shown; the first of them makes room."""
    for row in rows:
        if row.kind == "step" and row.step != str(Step.PIXEL) and pd.notna(row.value):
            return float(left - row.value)
        if row.kind == "bucket" and row.fate != str(Fate.THROUGH) and pd.notna(row.value):
            left -= row.value
    return 0.0


def _label(row: Any) -> str:
    if row.kind == "step":
        return Step(row.step).label
    words = str(row.bucket).replace("_", " ")
    if row.fate in (str(Fate.IGNORED), str(Fate.FAILED), str(Fate.UNKNOWN)):
        words = f"− {row.fate}: {words}"
    elif row.fate == str(Fate.UNTIED):
        words = f"− {words}"
    return "\n".join([*wrap(words, _WIDTH), *_wrapped("" if pd.isna(row.reason) else str(row.reason))])


def _wrapped(code: str) -> list[str]:
    """Break a platform's code after an underscore rather than within a word."""
    lines = wrap(code.replace("$", r"\$").replace("_", "_\0 "), _WIDTH)
    return [line.replace("_\0 ", "_").replace("_\0", "_") for line in lines]


def _heights(labels: list[str]) -> list[float]:
    """Give a label of two lines the room of two."""
    at, y = 0.0, []
    for text in labels:
        room = max(1.0, 0.62 * (1 + text.count("\n")))
        y.append(at - room / 2)
        at -= room
    return y


def _draw(ax: Axes, rows: pd.DataFrame, y: list[float]) -> None:
    for row, height in zip(rows.itertuples(index=False), y, strict=False):
        step, through = row.kind == "step", row.fate == str(Fate.THROUGH)
        truth = row.step == str(Step.TRUTH)
        thick = _THICK if step else _THIN
        if pd.isna(row.value):
            continue
        if step or through:
            seen = row.value * row.k_pixel / row.k if row.k else 0.0
            rest: dict[str, Any] = {"facecolor": "none"} if truth else {"facecolor": _ADDED}
            edge: dict[str, Any] = {"edgecolor": INK, "lw": 0.8}
            edge["hatch"] = "xxxx" if row.bucket == str(Bucket.DOUBLE_COUNTED) else ""
            if pd.isna(seen):
                seen, rest = 0.0, {"facecolor": _UNTOLD}
            ax.barh(height, seen, left=row.start, height=thick, facecolor=_PIXEL, **edge)
            ax.barh(height, row.value - seen, left=row.start + seen, height=thick, **rest, **edge)
            low, high = row.start + row.low, row.start + row.high
        else:
            ax.barh(height, row.value, left=row.start, height=thick, lw=0.8, **_LOOKS[row.fate])
            low, high = row.end - row.high, row.end - row.low
        if pd.notna(low) and not truth:
            ax.plot([low, high], [height, height], color=INK, lw=1.6, solid_capstyle="butt", label="_interval")


def _write(ax: Axes, rows: pd.DataFrame, y: list[float]) -> None:
    """Write k of n beside the bars, in one column that no bar reaches."""
    for row, height in zip(rows.itertuples(index=False), y, strict=False):
        shown = pd.notna(row.value)
        text = f"{row.k:,.0f} of {row.n:,.0f} ({row.value:.1%})" if shown else "suppressed"
        ax.text(1.03, height, text, va="center", fontsize=9, fontweight="bold" if row.kind == "step" else "normal")


def _draw_reported(ax: Axes, told: pd.DataFrame, y: list[float]) -> None:
    for row, height in zip(told.itertuples(index=False), y, strict=True):
        ax.plot([row.low, row.high], [height, height], color=INK, lw=1.4, label="_bounds")
        ax.plot([row.value], [height], "D", color="#ffffff", markeredgecolor=INK, markersize=7, label="_reported")
        bounds = f", {row.low_k:,.0f} to {row.high_k:,.0f}" if row.low_k < row.high_k else ""
        x = max(1.03, row.high + 0.02)
        ax.text(x, height, f"{row.k:,.0f}{bounds}", va="center", fontsize=9, fontstyle="italic")


def _legend(ax: Axes, rows: pd.DataFrame) -> int:
    """Explain the looks that occur, above the bars; return the number of lines it takes."""
    from matplotlib.patches import Patch

    if str(Step.PIXEL) in set(rows["step"]):
        handles = [Patch(color=_PIXEL, label="the pixel saw it"), Patch(color=_ADDED, label="the server adds it")]
    else:
        handles = [Patch(color=_ADDED, label="the server sent it")]
    drawn = rows[rows["value"].notna()]
    if drawn.loc[(drawn["kind"] == "step") | (drawn["fate"] == str(Fate.THROUGH)), "k_pixel"].isna().any():
        handles.append(Patch(color=_UNTOLD, label="by whom: suppressed"))
    present = set(rows.loc[rows["kind"] == "bucket", "fate"])
    handles += [Patch(label=_FATE_LABELS[fate], lw=0.8, **look) for fate, look in _LOOKS.items() if fate in present]
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, borderaxespad=0.2)
    return (len(handles) + 1) // 2
