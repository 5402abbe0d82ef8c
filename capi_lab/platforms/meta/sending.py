"""Meta: how fast, what a resend does, the dataset quality read-back; there are no corrections."""

from __future__ import annotations

from datetime import date, timedelta

from capi_lab.platforms.needs import Has
from capi_lab.platforms.sending import Corrections, Pace, Probe, Reading, Sending
from capi_lab.sources import Confidence, Source

__all__ = ["CORRECTIONS", "READING", "SENDING", "SENDING_SOURCES"]

_DOCS = "https://developers.facebook.com/documentation/ads-commerce/conversions-api"
_READ = date(2026, 9, 12)
_QUALITY = "https://graph.facebook.com/{version}/dataset_quality"

SENDING = Sending(
    pace=Pace(parallel=4),
    timeout=timedelta(seconds=30),
    resend_key=Has("event_id"),
    request_id=("body:fbtrace_id", "body:error.fbtrace_id", "header:x-fb-trace-id"),
    probe=Probe(
        "GET",
        f"{_QUALITY}?dataset_id={{dataset_id}}&fields=web{{{{event_name}}}}",
        note="reads the dataset's quality: needs ads_read, which sending does not; test events would be counted",
    ),
)

READING = Reading(
    method="GET",
    url=_QUALITY,
    query={
        "dataset_id": "{dataset_id}",
        "fields": "web{{event_name,event_match_quality{{composite_score,match_key_feedback{{identifier,"
        "coverage{{percentage}}}},diagnostics{{name,percentage,affected_event_count,total_event_count}}}}}}",
    },
)

CORRECTIONS = Corrections(
    note="Meta takes neither refunds nor new values for an event that was sent; a second event would count again",
)

SENDING_SOURCES = {
    "sending": Source(f"{_DOCS}/using-the-api", _READ, Confidence.HIGH, "no limit of its own; fbtrace_id for support"),
    "sending.parallel": Source(
        "https://github.com/facebook/facebook-python-business-sdk",
        date(2026, 11, 4),
        Confidence.MEDIUM,
        "the SDK's own batches run four at a time",
    ),
    "sending.timeout": Source(
        f"{_DOCS}/support",
        _READ,
        Confidence.ASSUMED,
        "Meta suggests 1.5 s; a shorter one makes doubts that nothing can settle, so ours is longer",
    ),
    "sending.probe": Source(f"{_DOCS}/dataset-quality-api", _READ, Confidence.HIGH),
    "reading": Source(f"{_DOCS}/dataset-quality-api", _READ, Confidence.HIGH),
    "reading.auth": Source(
        f"{_DOCS}/dataset-quality-api",
        _READ,
        Confidence.LOW,
        "the token is documented as a query parameter, which ends up in logs; the Graph API takes a bearer header",
    ),
    "corrections": Source(f"{_DOCS}/using-the-api", _READ, Confidence.MEDIUM, "nothing of the kind is described"),
}
