"""One look for all plots: colour-blind safe, set by context so that nobody's own style is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from capi_lab.words import Setup

__all__ = ["INK", "SETUP_COLOURS", "SETUP_LABELS", "style"]

INK = "#30343b"
# Okabe-Ito: told apart with any common colour-vision deficiency, and in grey by lightness
SETUP_COLOURS = {
    str(Setup.PIXEL): "#E69F00",
    str(Setup.CAPI): "#56B4E9",
    str(Setup.BOTH): "#0072B2",
    str(Setup.INCREMENTAL): "#009E73",
}
SETUP_LABELS = {
    str(Setup.PIXEL): "pixel only",
    str(Setup.CAPI): "server only",
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
