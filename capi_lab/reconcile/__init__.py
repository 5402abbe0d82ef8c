"""Tie events to conversions and replay what each platform would count."""

from capi_lab.reconcile.candidates import LinkCandidates, link_candidates
from capi_lab.reconcile.clock import ClockFinding, ClockFindings, clock_findings
from capi_lab.reconcile.correct import correct_clock
from capi_lab.reconcile.dedup import dedup, dedup_readings
from capi_lab.reconcile.reconciled import Reconciled, reconcile

__all__ = [
    "ClockFinding",
    "ClockFindings",
    "LinkCandidates",
    "Reconciled",
    "clock_findings",
    "correct_clock",
    "dedup",
    "dedup_readings",
    "link_candidates",
    "reconcile",
]
