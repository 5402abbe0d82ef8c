"""Where a fact was read, when, and how far it is known: carried by every platform rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

__all__ = ["Confidence", "Source"]


class Confidence(StrEnum):
    """How far a fact is known."""

    HIGH = "high"
    """Read on the official page or in official source code."""
    MEDIUM = "medium"
    """Through a third party that quotes the official page."""
    LOW = "low"
    """Vendor, blog or a single user's report."""
    ASSUMED = "assumed"
    """Not documented anywhere we could read; a setting."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was read, when, and how far it is known."""

    url: str
    checked: date
    confidence: Confidence
    note: str = ""
