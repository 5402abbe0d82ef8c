"""Pictures of finished tables: the numbers come in computed, an `Axes` goes out."""

from capi_lab.plots.clicks import plot_click_id_funnel, plot_click_id_survival
from capi_lab.plots.coverage import plot_coverage, plot_gap
from capi_lab.plots.dedup import plot_causes, plot_dedup_timeline
from capi_lab.plots.model import plot_calibration, plot_what_if
from capi_lab.plots.rates import plot_overlap, plot_rates, plot_trend
from capi_lab.plots.sending import plot_send_outcome
from capi_lab.plots.style import style
from capi_lab.plots.waterfall import plot_waterfall

__all__ = [
    "plot_calibration",
    "plot_causes",
    "plot_click_id_funnel",
    "plot_click_id_survival",
    "plot_coverage",
    "plot_dedup_timeline",
    "plot_gap",
    "plot_overlap",
    "plot_rates",
    "plot_send_outcome",
    "plot_trend",
    "plot_waterfall",
    "plot_what_if",
    "style",
]
