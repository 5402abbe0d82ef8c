"""Designs and models over measured rates."""

from capi_lab.model.changes import ConsentUplift, FixIds, KeepClickIds, PhoneAtCheckout, SendWithin
from capi_lab.model.credit import credit
from capi_lab.model.fitted import MatchRates
from capi_lab.model.matchrate import match_rates
from capi_lab.model.power import sample_size
from capi_lab.model.priors import PRACTITIONERS, Prior
from capi_lab.model.survival import ClickIdSurvival, click_id_survival
from capi_lab.model.whatif import payload_score, what_if

__all__ = [
    "PRACTITIONERS",
    "ClickIdSurvival",
    "ConsentUplift",
    "FixIds",
    "KeepClickIds",
    "MatchRates",
    "PhoneAtCheckout",
    "Prior",
    "SendWithin",
    "click_id_survival",
    "credit",
    "match_rates",
    "payload_score",
    "sample_size",
    "what_if",
]
