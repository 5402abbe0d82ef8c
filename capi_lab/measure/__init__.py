"""Rates with their denominators and intervals."""

from capi_lab.measure.causes import pair_causes
from capi_lab.measure.click_funnel import click_id_funnel
from capi_lab.measure.click_funnel_result import ClickIdFunnel
from capi_lab.measure.compare import compare, post_stratify
from capi_lab.measure.coverage import coverage
from capi_lab.measure.dedup_rates import dedup_health, dedup_rate, overcount, relative_event_coverage
from capi_lab.measure.gap import gap_by_cause
from capi_lab.measure.matching import (
    attribution_precision,
    attribution_rate,
    attribution_recall,
    key_coverage,
    match_rate,
    upload_success_rate,
)
from capi_lab.measure.paired import paired_difference
from capi_lab.measure.rates import wilson
from capi_lab.measure.recapture import recapture
from capi_lab.measure.sending import send_outcome
from capi_lab.measure.suppress import suppress_small
from capi_lab.measure.trend import trend
from capi_lab.measure.waterfall import waterfall
from capi_lab.measure.waterfall_result import Waterfall

__all__ = [
    "ClickIdFunnel",
    "Waterfall",
    "attribution_precision",
    "attribution_rate",
    "attribution_recall",
    "click_id_funnel",
    "compare",
    "coverage",
    "dedup_health",
    "dedup_rate",
    "gap_by_cause",
    "key_coverage",
    "match_rate",
    "overcount",
    "pair_causes",
    "paired_difference",
    "post_stratify",
    "recapture",
    "relative_event_coverage",
    "send_outcome",
    "suppress_small",
    "trend",
    "upload_success_rate",
    "waterfall",
    "wilson",
]
