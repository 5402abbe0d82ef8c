"""Tie events to conversions and replay what each platform would count."""

from capi_lab.reconcile.dedup import dedup, dedup_readings

__all__ = ["dedup", "dedup_readings"]
