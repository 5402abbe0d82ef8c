"""Designs and models over measured rates."""

from capi_lab.model.credit import credit
from capi_lab.model.fitted import MatchRates
from capi_lab.model.matchrate import match_rates
from capi_lab.model.power import sample_size
from capi_lab.model.priors import PRACTITIONERS, Prior

__all__ = ["PRACTITIONERS", "MatchRates", "Prior", "credit", "match_rates", "sample_size"]
