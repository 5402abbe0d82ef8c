"""One look for all plots: colour-blind safe, set by context so that nobody's own style is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from capi_lab.errors import ContractError
from capi_lab.words import Setup

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["INK", "SETUP_COLOURS", "SETUP_LABELS", "axes_of", "require_columns", "style"]

INK = "#30343b"
# Okabe-Ito: told apart with any common colour-vision deficiency, and in grey by lightness
SETUP_COLOURS = {
    str(Setup.PIXEL): "#E69F00",
    str(Setup.CAPI): "#56B4E9",
    str(Setup.BOTH): "#0072B2",
    str(Setup.INCREMENTAL): "#009E73",
}
SETUP_LABELS = {
    str(Setup.PIXEL): "pixel",
    str(Setup.CAPI): "server (CAPI)",
    str(Setup.BOTH): "pixel + CAPI",
    str(Setup.INCREMENTAL): "recovered by CAPI",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in our style; the caller's settings return afterwards."""
    import matplotlib as mpl

    settings: dict[str, Any] = {
        "axes.edgecolor": "#9aa0a8",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.labelcolor": INK,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": "large",
        "axes.titleweight": "bold",
        "font.size": 10.0,
        "grid.color": "#e4e6ea",
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with mpl.rc_context(settings):
        yield


def axes_of(ax: Axes | None, *, height: float, width: float = 8.4) -> Axes:
    """Return the caller's axes, or those of a new figure of this size in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    fresh: Axes = plt.subplots(figsize=(width, height), layout="constrained")[1]
    return fresh


def require_columns(table: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise `ContractError` naming the columns a picture needs and the table lacks."""
    absent = [(name, "column is missing", None) for name in names if name not in table.columns]
    if absent:
        raise ContractError("plot input", absent)
