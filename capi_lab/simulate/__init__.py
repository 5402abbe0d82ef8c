"""A source of tables whose truth is known."""

from capi_lab.simulate import faults
from capi_lab.simulate.answer import Answer, answer
from capi_lab.simulate.browsers import browser_shares
from capi_lab.simulate.calibrate import Calibration, calibrate
from capi_lab.simulate.headlines import headlines
from capi_lab.simulate.inject import Injected, inject
from capi_lab.simulate.ledger import LaidWorld
from capi_lab.simulate.observe import Observation, observe
from capi_lab.simulate.priors import PriorPredictive, prior_predictive
from capi_lab.simulate.run import Simulation, simulate
from capi_lab.simulate.shares import QUANTITIES, Wanted, shares
from capi_lab.simulate.study import Study, study
from capi_lab.simulate.world import World

__all__ = [
    "QUANTITIES",
    "Answer",
    "Calibration",
    "Injected",
    "LaidWorld",
    "Observation",
    "PriorPredictive",
    "Simulation",
    "Study",
    "Wanted",
    "World",
    "answer",
    "browser_shares",
    "calibrate",
    "faults",
    "headlines",
    "inject",
    "observe",
    "prior_predictive",
    "shares",
    "simulate",
    "study",
]
