"""Pictures of click ids: where they are lost."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from capi_lab.errors import InputError
from capi_lab.plots.style import INK, axes_of, require_columns, style
from capi_lab.words import ClickFix, ClickStep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

__all__ = ["plot_click_id_funnel"]

# Told apart by lightness and hatch as well as by colour.
_UNITS = {"clicks": "#E69F00", "orders": "#0072B2"}
_LOSS: dict[str, Any] = {"facecolor": "#f6d5c3", "edgecolor": "#D55E00", "hatch": "////", "lw": 0.8}


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
