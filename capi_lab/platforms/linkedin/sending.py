"""LinkedIn: how fast to send; resends are not known to be safe, there is no report and no correction."""

from __future__ import annotations

from datetime import date, timedelta

from capi_lab.platforms.needs import Has
from capi_lab.platforms.sending import Corrections, Pace, Sending, TokenRule
from capi_lab.sources import Confidence, Source

__all__ = ["CORRECTIONS", "READING", "SENDING", "SENDING_SOURCES", "TOKEN"]

_DOCS = "https://learn.microsoft.com/en-us/linkedin/marketing"
_API = f"{_DOCS}/integrations/ads-reporting/conversions-api"
_READ = date(2026, 8, 25)

TOKEN = TokenRule(
    url="https://www.linkedin.com/oauth/v2/accessToken",
    refresh={
        "client_id": "LINKEDIN_CLIENT_ID",
        "client_secret": "LINKEDIN_CLIENT_SECRET",
        "refresh_token": "LINKEDIN_REFRESH_TOKEN",
    },
    life=timedelta(days=60),
)

SENDING = Sending(
    pace=Pace(limits=((600, timedelta(minutes=1)), (300_000, timedelta(days=1))), parallel=2),
    timeout=timedelta(seconds=60),
    resend_key=Has("event_id"),
    request_id=("header:x-li-uuid", "header:x-li-fabric-request-id"),
    probe=None,
)

READING = None

CORRECTIONS = Corrections(note="LinkedIn has no refund type and no call that takes a conversion back")

SENDING_SOURCES = {
    "sending": Source(
        _API, _READ, Confidence.MEDIUM, "600 a minute; 500,000 a day, of which older texts say 300,000: ours is that"
    ),
    "sending.parallel": Source(_API, _READ, Confidence.ASSUMED, "no figure; ours"),
    "sending.timeout": Source(_API, _READ, Confidence.ASSUMED, "no figure; ours"),
    "sending.request_id": Source(_API, _READ, Confidence.LOW, "headers of LinkedIn's gateway"),
    "sending.probe": Source(_API, _READ, Confidence.MEDIUM, "no test mode is known"),
    "auth.token": Source(
        f"{_DOCS}/integrations/ads-reporting/conversions-api", _READ, Confidence.MEDIUM, "60 days; OAuth apps only"
    ),
    "reading": Source(
        _API, _READ, Confidence.MEDIUM, "no match rate by event or batch; ad reports are attributed only"
    ),
    "corrections": Source(_API, _READ, Confidence.HIGH, "no refund type, no retract call"),
}
