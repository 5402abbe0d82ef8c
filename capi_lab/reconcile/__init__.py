"""Tie events to conversions, replay what each platform would count, and credit conversions to clicks."""

from capi_lab.reconcile.attach import attach_clicks, attachments
from capi_lab.reconcile.attribute import attribute, one_per_click, touches
from capi_lab.reconcile.candidates import LinkCandidates, link_candidates
from capi_lab.reconcile.clock import ClockFinding, ClockFindings, clock_findings
from capi_lab.reconcile.correct import correct_clock
from capi_lab.reconcile.dedup import dedup, dedup_readings
from capi_lab.reconcile.eligible import eligibility, eligible
from capi_lab.reconcile.reconciled import Reconciled, reconcile

__all__ = [
    "ClockFinding",
    "ClockFindings",
    "LinkCandidates",
    "Reconciled",
    "attach_clicks",
    "attachments",
    "attribute",
    "clock_findings",
    "correct_clock",
    "dedup",
    "dedup_readings",
    "eligibility",
    "eligible",
    "link_candidates",
    "one_per_click",
    "reconcile",
    "touches",
]
