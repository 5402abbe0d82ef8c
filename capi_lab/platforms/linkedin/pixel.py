"""LinkedIn's Insight Tag and image pixel."""

from __future__ import annotations

from datetime import date

from capi_lab.platforms.pixel import Carries, PixelEndpoint, PixelRule, fields
from capi_lab.sources import Confidence, Source

__all__ = ["PIXEL"]

_CAPTURES = "https://github.com/mbaersch/tracking-auditor-extension/blob/8d30e83/tests/linkedin.test.js"
_SEEN = date(2026, 11, 26)

PIXEL = PixelRule(
    endpoints=(
        PixelEndpoint(r"(?:px|dc)\.ads\.linkedin\.com", r"/collect/?"),
        PixelEndpoint(r"px[0-9]\.ads\.linkedin\.com", r"/collect/?", Carries.COPY),
        PixelEndpoint(r"[a-z0-9]+\.ads\.linkedin\.com", r"/attribution_trigger/?", Carries.COPY),
        PixelEndpoint(r"[a-z0-9]+\.ads\.linkedin\.com", r"/wa/?", Carries.NONE),
    ),
    fields=fields(
        pixel_id="pid",
        conversion_action="conversionId",
        event_id="eventId",
        event_time="time",
        page_url="url",
        li_fat_id="li_fat_id",
    ),
    unnamed=(("conversionId", "conversion"), ("", "page_view")),
    sources={
        "endpoints": Source(
            _CAPTURES,
            _SEEN,
            Confidence.LOW,
            "px4 repeats px, with an encrypted address; /wa/ is page signals, packed",
        ),
        "fields": Source(_CAPTURES, _SEEN, Confidence.LOW, "documented nowhere; time in milliseconds; no value"),
        "fields.event_id": Source(
            "https://learn.microsoft.com/en-us/linkedin/marketing/conversions/deduplication",
            _SEEN,
            Confidence.ASSUMED,
            "tag and image pixel have an event id, the page says; the parameter's name is ours to guess",
        ),
        "unnamed": Source(_CAPTURES, _SEEN, Confidence.ASSUMED, "requests carry no name; these two are ours"),
    },
)
