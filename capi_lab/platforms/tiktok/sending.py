"""TikTok: how fast and how safely to send; no report we can read, no corrections."""

from __future__ import annotations

from datetime import date, timedelta

from capi_lab.platforms.needs import Has
from capi_lab.platforms.sending import Corrections, Pace, Probe, Sending
from capi_lab.sources import Confidence, Source

__all__ = ["CORRECTIONS", "READING", "SENDING", "SENDING_SOURCES"]

_READ = date(2026, 11, 23)
_PORTAL = "https://business-api.tiktok.com/portal/docs"
_ENDPOINT = f"{_PORTAL}?id=1771101303285761"

SENDING = Sending(
    pace=Pace(limits=((1000, timedelta(seconds=1)),), parallel=4),
    timeout=timedelta(seconds=30),
    resend_key=Has("event_id"),
    request_id=("body:request_id",),
    probe=Probe(
        overlay={"test_event_code": ""},
        asks=("test_event_code",),
        note="sends an invented event under the test code: shown under Test Events, not counted",
    ),
)

READING = None

CORRECTIONS = Corrections(note="the Events API takes neither refunds nor new values for an event that was sent")

SENDING_SOURCES = {
    "sending": Source(_ENDPOINT, _READ, Confidence.MEDIUM, "1,000 requests a second at all levels; request_id"),
    "sending.parallel": Source(_ENDPOINT, _READ, Confidence.ASSUMED, "no figure; four is ours, as for Meta"),
    "sending.timeout": Source(_ENDPOINT, _READ, Confidence.ASSUMED, "no figure; ours"),
    "sending.probe": Source(
        f"{_PORTAL}?id=1771100865818625", _READ, Confidence.LOW, "two senders say that test events are not counted"
    ),
    "reading": Source(
        "https://github.com/tiktok/tiktok-business-api-sdk",
        date(2026, 2, 27),
        Confidence.MEDIUM,
        "pixel/event/stats exists, the fields of its answer could not be established",
    ),
    "corrections": Source(_ENDPOINT, _READ, Confidence.MEDIUM, "nothing of the kind is described"),
}
