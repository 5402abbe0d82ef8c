"""capi_lab: match-rate analytics for ad pixels and conversions APIs.

What does the pixel miss, what does pixel + conversions API recover, would the platform count every
conversion once, and which match rate to expect. See the README for ten lines that answer the first.

Heavy imports are lazy: ``import capi_lab`` loads no pandas; the first use of a name does.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# name -> module that holds it; a name equal to the module's last part is the module itself
_HOMES = {
    "ClickIdFunnel": "capi_lab.measure",
    "ClickIdSurvival": "capi_lab.model",
    "ConsentUplift": "capi_lab.model",
    "FixIds": "capi_lab.model",
    "KeepClickIds": "capi_lab.model",
    "MatchRates": "capi_lab.model",
    "Outbox": "capi_lab.send",
    "PLATFORMS": "capi_lab.platforms",
    "PRACTITIONERS": "capi_lab.model",
    "PhoneAtCheckout": "capi_lab.model",
    "Plan": "capi_lab.send",
    "Prior": "capi_lab.model",
    "Receipt": "capi_lab.send",
    "Reconciled": "capi_lab.reconcile",
    "Sandbox": "capi_lab.sandbox",
    "SendWithin": "capi_lab.model",
    "Simulation": "capi_lab.simulate",
    "Waterfall": "capi_lab.measure",
    "World": "capi_lab.simulate",
    "answer": "capi_lab.simulate",
    "attach_clicks": "capi_lab.reconcile",
    "attachments": "capi_lab.reconcile",
    "attribute": "capi_lab.reconcile",
    "attribution_precision": "capi_lab.measure",
    "attribution_rate": "capi_lab.measure",
    "attribution_recall": "capi_lab.measure",
    "browser_of": "capi_lab.identity",
    "calibrate": "capi_lab.simulate",
    "check": "capi_lab.load.checkup",
    "click_id_funnel": "capi_lab.measure",
    "click_id_survival": "capi_lab.model",
    "clock_findings": "capi_lab.reconcile",
    "compare": "capi_lab.measure",
    "correct": "capi_lab.send",
    "correct_clock": "capi_lab.reconcile",
    "coverage": "capi_lab.measure",
    "credit": "capi_lab.model",
    "dedup": "capi_lab.reconcile",
    "dedup_health": "capi_lab.measure",
    "dedup_rate": "capi_lab.measure",
    "dedup_readings": "capi_lab.reconcile",
    "doctor": "capi_lab.send",
    "eligibility": "capi_lab.reconcile",
    "eligible": "capi_lab.reconcile",
    "errors": "capi_lab.errors",
    "faults": "capi_lab.simulate",
    "gap_by_cause": "capi_lab.measure",
    "headlines": "capi_lab.simulate",
    "identity": "capi_lab.identity",
    "inject": "capi_lab.simulate",
    "key_coverage": "capi_lab.measure",
    "limit_engine": "capi_lab.engine",
    "link_candidates": "capi_lab.reconcile",
    "load": "capi_lab.load",
    "match_rate": "capi_lab.measure",
    "match_rates": "capi_lab.model",
    "observe": "capi_lab.simulate",
    "one_per_click": "capi_lab.reconcile",
    "overcount": "capi_lab.measure",
    "pair_causes": "capi_lab.measure",
    "paired_difference": "capi_lab.measure",
    "payload_score": "capi_lab.model",
    "plan": "capi_lab.send",
    "platforms": "capi_lab.platforms",
    "plots": "capi_lab.plots",
    "post_stratify": "capi_lab.measure",
    "prior_predictive": "capi_lab.simulate",
    "read_back": "capi_lab.send",
    "recapture": "capi_lab.measure",
    "reconcile": "capi_lab.reconcile",
    "relative_event_coverage": "capi_lab.measure",
    "report": "capi_lab.report",
    "report_files": "capi_lab.report",
    "sample_size": "capi_lab.model",
    "send": "capi_lab.send",
    "send_outcome": "capi_lab.measure",
    "simulate": "capi_lab.simulate",
    "study": "capi_lab.simulate",
    "suppress_small": "capi_lab.measure",
    "tables": "capi_lab.tables",
    "touches": "capi_lab.reconcile",
    "trend": "capi_lab.measure",
    "upload_success_rate": "capi_lab.measure",
    "waterfall": "capi_lab.measure",
    "what_if": "capi_lab.model",
    "words": "capi_lab.words",
}

__all__ = [  # noqa: RUF022 - as `sorted` puts them, which is what the design promises
    "ClickIdFunnel",
    "ClickIdSurvival",
    "ConsentUplift",
    "FixIds",
    "KeepClickIds",
    "MatchRates",
    "Outbox",
    "PLATFORMS",
    "PRACTITIONERS",
    "PhoneAtCheckout",
    "Plan",
    "Prior",
    "Receipt",
    "Reconciled",
    "Sandbox",
    "SendWithin",
    "Simulation",
    "Waterfall",
    "World",
    "__version__",
    "answer",
    "attach_clicks",
    "attachments",
    "attribute",
    "attribution_precision",
    "attribution_rate",
    "attribution_recall",
    "browser_of",
    "calibrate",
    "check",
    "click_id_funnel",
    "click_id_survival",
    "clock_findings",
    "compare",
    "correct",
    "correct_clock",
    "coverage",
    "credit",
    "dedup",
    "dedup_health",
    "dedup_rate",
    "dedup_readings",
    "doctor",
    "eligibility",
    "eligible",
    "errors",
    "faults",
    "gap_by_cause",
    "headlines",
    "identity",
    "inject",
    "key_coverage",
    "limit_engine",
    "link_candidates",
    "load",
    "match_rate",
    "match_rates",
    "observe",
    "one_per_click",
    "overcount",
    "pair_causes",
    "paired_difference",
    "payload_score",
    "plan",
    "platforms",
    "plots",
    "post_stratify",
    "prior_predictive",
    "read_back",
    "recapture",
    "reconcile",
    "relative_event_coverage",
    "report",
    "report_files",
    "sample_size",
    "send",
    "send_outcome",
    "simulate",
    "study",
    "suppress_small",
    "tables",
    "touches",
    "trend",
    "upload_success_rate",
    "waterfall",
    "what_if",
    "words",
]

if TYPE_CHECKING:
    from capi_lab import errors, identity, load, platforms, plots, tables, words
    from capi_lab.engine import limit_engine
    from capi_lab.identity import browser_of
    from capi_lab.load.checkup import check
    from capi_lab.measure import (
        ClickIdFunnel,
        Waterfall,
        attribution_precision,
        attribution_rate,
        attribution_recall,
        click_id_funnel,
        compare,
        coverage,
        dedup_health,
        dedup_rate,
        gap_by_cause,
        key_coverage,
        match_rate,
        overcount,
        pair_causes,
        paired_difference,
        post_stratify,
        recapture,
        relative_event_coverage,
        send_outcome,
        suppress_small,
        trend,
        upload_success_rate,
        waterfall,
    )
    from capi_lab.model import (
        PRACTITIONERS,
        ClickIdSurvival,
        ConsentUplift,
        FixIds,
        KeepClickIds,
        MatchRates,
        PhoneAtCheckout,
        Prior,
        SendWithin,
        click_id_survival,
        credit,
        match_rates,
        payload_score,
        sample_size,
        what_if,
    )
    from capi_lab.platforms import PLATFORMS
    from capi_lab.reconcile import (
        Reconciled,
        attach_clicks,
        attachments,
        attribute,
        clock_findings,
        correct_clock,
        dedup,
        dedup_readings,
        eligibility,
        eligible,
        link_candidates,
        one_per_click,
        reconcile,
        touches,
    )
    from capi_lab.report import report, report_files
    from capi_lab.sandbox import Sandbox
    from capi_lab.send import Outbox, Plan, Receipt, correct, doctor, read_back, send
    from capi_lab.send.planning import plan
    from capi_lab.simulate import (
        Simulation,
        World,
        answer,
        calibrate,
        faults,
        headlines,
        inject,
        observe,
        prior_predictive,
        simulate,
        study,
    )


class _Package(ModuleType):
    """Keep `cl.reconcile(...)` a function although a sub-package has the same name.

    Importing ``capi_lab.reconcile`` makes Python bind the sub-module over the public function; the design
    gives both that name, so that one assignment is ignored. ``from capi_lab.reconcile import ...`` is
    untouched: it goes through `sys.modules`.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and name in _FUNCTIONS_NAMED_LIKE_PACKAGES:
            return
        super().__setattr__(name, value)


_FUNCTIONS_NAMED_LIKE_PACKAGES = frozenset({"reconcile", "report", "send", "simulate"})
sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'capi_lab' has no attribute {name!r}")
    module = import_module(_HOMES[name])
    # A name its module does not define is the module itself (`cl.load`, `cl.tables`).
    value = getattr(module, name, module)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
