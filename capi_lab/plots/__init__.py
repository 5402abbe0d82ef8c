"""Pictures of finished tables: the numbers come in computed, an `Axes` goes out."""

from capi_lab.plots.coverage import plot_coverage, plot_gap
from capi_lab.plots.style import style
from capi_lab.plots.waterfall import plot_waterfall

__all__ = ["plot_coverage", "plot_gap", "plot_waterfall", "style"]
