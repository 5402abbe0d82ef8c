"""How long browsers let a cookie live that a script has set, whatever the script asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from capi_lab.sources import Confidence, Source
from capi_lab.words import Engine

__all__ = ["AFTER_AD_CLICK", "SCRIPT_COOKIE_LIMITS", "CookieLimit"]


@dataclass(frozen=True, slots=True)
class CookieLimit:
    """One browser's limit.

    Parameters
    ----------
    engine : Engine
    life : timedelta
    holds_for : str
        Which cookies, in words.
    source : Source
    """

    engine: Engine
    life: timedelta
    holds_for: str
    source: Source


_WEBKIT = "https://webkit.org/tracking-prevention/"
AFTER_AD_CLICK = CookieLimit(
    Engine.WEBKIT,
    timedelta(days=1),
    "set by a script on a landing page whose URL was decorated by a site known to track; a visit renews it",
    Source(_WEBKIT, date(2026, 11, 23), Confidence.HIGH),
)
"""What an ad click is under."""

SCRIPT_COOKIE_LIMITS = (
    AFTER_AD_CLICK,
    CookieLimit(
        Engine.WEBKIT,
        timedelta(days=7),
        "any storage scripts can write, after days of browser use without a visit",
        Source(_WEBKIT, date(2026, 11, 23), Confidence.HIGH, "since 2022 a deletion rule, not a cap: visits renew it"),
    ),
)
"""The shortest first."""
