"""Pictures of click ids: where they are lost, and how long they stay known."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from capi_lab.errors import InputError, UnknownNameError
from capi_lab.plots.style import INK, axes_of, require_columns, style
from capi_lab.words import ClickFix, ClickStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

__all__ = ["plot_click_id_funnel", "plot_click_id_survival"]

# Told apart by lightness and hatch as well as by colour.
_UNITS = {"clicks": "#E69F00", "orders": "#0072B2"}
_LOSS: dict[str, Any] = {"facecolor": "#f6d5c3", "edgecolor": "#D55E00", "hatch": "////", "lw": 0.8}


_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))


class Survived(Protocol):
    """What `capi_lab.ClickIdSurvival` brings along."""

    @property
    def curves(self) -> pd.DataFrame: ...

    @property
    def steps(self) -> pd.DataFrame: ...


class Finished(Protocol):
    """What `capi_lab.ClickIdFunnel` brings along."""

    @property
    def table(self) -> pd.DataFrame: ...

    @property
    def fixes(self) -> pd.DataFrame: ...

    @property
    def unseen(self) -> Mapping[str, str]: ...


def plot_click_id_funnel(funnel: Finished | pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw for each step which share of its denominator passed, what was lost, and what would keep the most of it.

    Parameters
    ----------
    funnel : ClickIdFunnel or DataFrame
        A `capi_lab.ClickIdFunnel`, or its ``table``. Of a grouped one give the rows of one group of the table.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
        A bar per step, as long as ``value``, with its interval; hatched what was lost. Steps that were not observed
        have no bar and say so.

    Raises
    ------
    ContractError
        A column is missing.
    InputError
        The table holds several groups, or no row.
    """
    unseen: dict[str, str] = {}
    fixes = None
    if not isinstance(funnel, pd.DataFrame):
        unseen, fixes, funnel = dict(funnel.unseen), funnel.fixes, funnel.table
    table = funnel
    require_columns(table, ["unit", "step", "k", "n", "value", "low", "high", "lost"])
    if table.empty or table["step"].duplicated().any():
        raise InputError("give the rows of one group")
    rows = {row.step: row for row in table.itertuples(index=False)}
    steps = [step for step in ClickStep if str(step) in rows or str(step) in unseen]
    with style():
        ax = axes_of(ax, height=1.5 + 0.62 * len(steps), width=9.6)
        for place, step in enumerate(steps):
            _draw(ax, place, rows.get(str(step)), unseen.get(str(step), ""), _worst(fixes, str(step)))
        ax.set_yticks(range(len(steps)), [step.label for step in steps])
        ax.set_ylim(len(steps) - 0.4, -0.6)
        ax.set_xlim(0, 1.6)
        ax.set_xticks(np.linspace(0, 1, 6))
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        ax.grid(visible=False, axis="y")
        ax.spines["bottom"].set_bounds(0, 1)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("Share of those that could pass the step, with interval", loc="left")
        ax.set_title(title or "Where click ids are lost, and what would keep them", pad=28)
        _legend(ax, table)
    return ax


def _draw(ax: Axes, place: int, row: Any, why: str, fix: str) -> None:
    if row is None or not row.n:
        text = f"not observed: {why}" if why else "nothing got here"
        ax.text(0.01, place, text, va="center", fontsize=8.5, fontstyle="italic", color="#6b7079")
        return
    ax.barh(place, row.value, height=0.62, color=_UNITS[row.unit])
    if row.lost:
        ax.barh(place, 1 - row.value, left=row.value, height=0.62, **_LOSS)
    if row.step != str(ClickStep.BOUGHT):
        ax.plot([row.low, row.high], [place, place], color=INK, lw=1.6, solid_capstyle="butt")
    ax.text(1.03, place - (0.14 if fix else 0), f"{row.k:,} of {row.n:,} ({row.value:.1%})", va="center", fontsize=9)
    ax.text(1.03, place + 0.2, fix, va="center", fontsize=8, color="#8a3c00")


def _worst(fixes: pd.DataFrame | None, step: str) -> str:
    """Name what would keep the most of a step's losses."""
    mine = pd.DataFrame() if fixes is None else fixes[fixes["step"] == step]
    if mine.empty:
        return ""
    one = mine.sort_values(["k", "fix"], ascending=[False, True]).iloc[0]
    words = str(ClickFix(one["fix"])).replace("_", " ")
    return wrap(f"{one['k']:,} of {one['n']:,} lost: {words}", 48)[0]


def _legend(ax: Axes, table: pd.DataFrame) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=unit) for unit, colour in _UNITS.items() if unit in set(table["unit"])]
    handles.append(Patch(label="lost", **_LOSS))
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, borderaxespad=0.2)


def plot_click_id_survival(
    survival: Survived, *, only: Sequence[str] | None = None, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Draw which share of click ids is still known so many days after the landing.

    Parameters
    ----------
    survival : ClickIdSurvival
    only : sequence of str, optional
        Groups to draw. Default: the six with most clicks.
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
        Per group the fitted curve with its band, and, thin, the steps of the curve that assumes nothing. Days are on a
        scale that shows hours as well.

    Raises
    ------
    UnknownNameError
        ``only`` names a group that is not there.
    """
    curves, steps = survival.curves, survival.steps
    name = curves.columns[0]
    known = list(dict.fromkeys(curves[name]))
    if unknown := set(only or []) - set(known):
        raise UnknownNameError("group", sorted(unknown)[0], known)
    shown = [group for group in known if only is None or group in only][: len(_COLOURS)]
    with style():
        ax = axes_of(ax, height=4.6)
        for group, colour, dash in zip(shown, _COLOURS, _DASHES, strict=False):
            rows = curves[(curves[name] == group) & curves["value"].notna()]
            free = steps[steps[name] == group]
            ax.fill_between(rows["days"], rows["low"], rows["high"], color=colour, alpha=0.16, lw=0)
            n = int(rows["clicks"].max()) if len(rows) else 0
            ax.plot(rows["days"], rows["value"], color=colour, lw=1.8, ls=dash, label=f"{group} (n = {n:,})")
            ax.step(free["days"], free["free"], where="post", color=colour, lw=0.7, alpha=0.8)
        ax.set_xscale("log")
        ticks = {1 / 24: "1 h", 0.25: "6 h", 1: "1 d", 3: "3 d", 7: "7 d", 14: "14 d", 30: "30 d", 90: "90 d"}
        longest = float(curves["days"].max())
        inside = {day: text for day, text in ticks.items() if day <= longest * 1.05}
        ax.set_xticks(list(inside), list(inside.values()))
        ax.minorticks_off()
        ax.set_xlim(float(curves["days"].min()), longest)
        ax.set_ylim(-0.02, 1.03)
        ax.yaxis.set_major_formatter(lambda y, _: f"{y:.0%}")
        ax.set_ylabel("Click ids still known")
        ax.set_xlabel("Time since the landing. Thick: fitted, with interval; thin: assuming nothing", loc="left")
        ax.set_title(title or "How long click ids stay known", pad=28 if len(shown) <= 3 else 46)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, borderaxespad=0.2)
    return ax
