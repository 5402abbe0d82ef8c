"""Picture of a send: what became of its conversions, by platform, attempt or turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.errors import InputError
from capi_lab.plots.style import INK, axes_of, require_columns, style
from capi_lab.words import ReceiptStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_send_outcome"]

# From what is settled to what is open; a hatch each, so that no colour is needed
_LOOKS = {
    str(ReceiptStatus.ACCEPTED): ("#009E73", "", "accepted"),
    str(ReceiptStatus.REJECTED): ("#D55E00", "xx", "rejected"),
    str(ReceiptStatus.UNKNOWN): ("#CC79A7", "..", "in doubt"),
    str(ReceiptStatus.RETRY): ("#E69F00", "//", "still to be sent"),
    str(ReceiptStatus.SKIPPED): ("#e4e6ea", "", "skipped"),
}
_WIDE_ENOUGH = 0.06


def plot_send_outcome(table: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw what became of the conversions of a send, one bar per group, the first on top.

    Parameters
    ----------
    table : DataFrame
        As `capi_lab.send_outcome` returns it, codes and all; of several turns or attempts it shows the progress. Rows
        without a number (suppressed ones) are left out of their bar.
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
        There is nothing to draw, or a status nobody knows.
    """
    require_columns(table, ["status", "k", "n"])
    strange = set(table["status"]) - set(_LOOKS)
    if table.empty or strange:
        raise InputError("nothing to draw: no rows" if table.empty else f"{len(strange)} statuses are none of receipts")
    groups = list(table.columns[: list(table.columns).index("status")])
    names = [
        " · ".join("(no name)" if pd.isna(v) else f"{v:g}" if isinstance(v, float) else str(v) for v in row)
        for row in table[groups].astype("object").to_numpy().tolist()
    ]
    rows = table.assign(_name=names if groups else "all")
    wide = rows.pivot_table(index="_name", columns="status", values="k", aggfunc="sum", sort=False, fill_value=0)
    sizes = rows.groupby("_name", sort=False)["n"].max()
    with style():
        ax = axes_of(ax, height=1.7 + 0.55 * len(wide))
        left = np.zeros(len(wide))
        for status, (colour, hatch, label) in _LOOKS.items():
            if status not in wide or not wide[status].any():
                continue
            share = (wide[status] / sizes[wide.index]).to_numpy("float64")
            ax.barh(
                range(len(wide)), share, left=left, height=0.66, color=colour, hatch=hatch, ec=INK, lw=0.6,
                label=label,
            )  # fmt: skip
            for place, (start, length, number) in enumerate(zip(left, share, wide[status], strict=True)):
                if length > _WIDE_ENOUGH:
                    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.85}
                    middle = start + length / 2
                    ax.text(middle, place, f"{number:,.0f}", ha="center", va="center", fontsize=9, bbox=box)
            left = left + share
        for place, (_, numbers) in enumerate(wide.iterrows()):
            thin = [
                f"{numbers[status]:,.0f} {label}" for status, (_, _, label) in _LOOKS.items()
                if 0 < numbers.get(status, 0) <= _WIDE_ENOUGH * sizes.iloc[place]
            ]  # fmt: skip
            ax.text(1.01, place, "\n".join(thin), va="center", fontsize=8.5)
        ax.set_yticks(range(len(wide)), [f"{name}\nn = {sizes[name]:,.0f}" for name in wide.index])
        ax.invert_yaxis()
        ax.set(xlim=(0, 1), xlabel="Share of the conversions of the send (their number in and beside the bars)")
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
        ax.grid(visible=False)
        ax.set_title(title or "What became of the send", pad=28)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, frameon=False, borderaxespad=0.2, fontsize=9)
    return ax
