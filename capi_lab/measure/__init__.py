"""Rates with their denominators and intervals."""

from capi_lab.measure.causes import pair_causes
from capi_lab.measure.coverage import coverage, suppress_small
from capi_lab.measure.gap import gap_by_cause
from capi_lab.measure.rates import wilson
from capi_lab.measure.waterfall import waterfall
from capi_lab.measure.waterfall_result import Waterfall

__all__ = ["Waterfall", "coverage", "gap_by_cause", "pair_causes", "suppress_small", "waterfall", "wilson"]
