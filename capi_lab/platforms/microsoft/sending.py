"""Microsoft's two routes: pace, tokens, reports, corrections."""

from __future__ import annotations

from datetime import date, timedelta

from capi_lab.platforms.needs import Has
from capi_lab.platforms.sending import Correction, Corrections, Pace, Probe, Reading, Sending, TokenRule
from capi_lab.sources import Confidence, Source

__all__ = [
    "CORRECTIONS",
    "READING",
    "SENDING",
    "SENDING_SOURCES",
    "TOKEN",
    "UET_CORRECTIONS",
    "UET_READING",
    "UET_SENDING",
    "UET_SENDING_SOURCES",
]

_DOCS = "https://learn.microsoft.com/en-us/advertising"
_SERVICE = f"{_DOCS}/campaign-management-service"
_UET_GUIDE = f"{_DOCS}/guides/uet-conversion-api-integration?view=bingads-13"
_BASE = "https://campaign.api.bingads.microsoft.com/CampaignManagement/v13"
_READ = date(2026, 8, 17)

TOKEN = TokenRule(
    url="https://login.microsoftonline.com/common/oauth2/v2.0/token",
    scope="https://ads.microsoft.com/msads.manage offline_access",
    refresh={
        "client_id": "MICROSOFT_CLIENT_ID",
        "client_secret": "MICROSOFT_CLIENT_SECRET",
        "refresh_token": "MICROSOFT_REFRESH_TOKEN",
    },
    optional=frozenset({"client_secret"}),
)

SENDING = Sending(
    pace=Pace(parallel=1),
    timeout=timedelta(seconds=120),
    resend_key=Has("conversion_id"),  # the key is made of what every body carries
    request_id=("header:TrackingId", "body:TrackingId"),
    probe=Probe(
        "POST",
        f"{_BASE}/OfflineConversionReports/Query",
        body={"StartDateUtc": "{start}", "EndDateUtc": "{end}"},
        note="reads the account's upload report",
    ),
)

READING = Reading(
    method="POST",
    url=f"{_BASE}/OfflineConversionReport/QueryByGoalIds",
    body={
        "StartDateUtc": "{start}",
        "EndDateUtc": "{end}",
        "GoalIds": ["{goal_ids}"],
        "UploadChannelFilter": "CampaignManagementAPI",
    },
    asks=("goal_ids",),
    longest=timedelta(days=7),
)

CORRECTIONS = Corrections(
    kinds={Correction.RETRACT: "Retract", Correction.RESTATE: "Restate"},
    url=f"{_BASE}/OfflineConversionAdjustments/Apply",
    fields=tuple(
        f"OfflineConversionAdjustments[].{name}"
        for name in (
            "ConversionName",
            "ConversionTime",
            "MicrosoftClickId",
            "HashedEmailAddress",
            "HashedPhoneNumber",
            "AdjustmentType",
            "AdjustmentTime",
            "AdjustmentValue",
            "AdjustmentCurrencyCode",
        )
    ),
)

SENDING_SOURCES = {
    "sending": Source(
        f"{_DOCS}/guides/handle-service-errors-exceptions?view=bingads-13",
        _READ,
        Confidence.MEDIUM,
        "a limit per user and minute, not published; code 117 asks for a minute",
    ),
    "sending.parallel": Source(f"{_DOCS}/guides/services-protocol?view=bingads-13", _READ, Confidence.ASSUMED, "ours"),
    "sending.timeout": Source(f"{_DOCS}/guides/services-protocol?view=bingads-13", _READ, Confidence.ASSUMED, "ours"),
    "sending.resend_key": Source(
        f"{_SERVICE}/offlineconversionunattributedreason?view=bingads-13",
        _READ,
        Confidence.HIGH,
        "DuplicateConversionKey",
    ),
    "sending.probe": Source(f"{_SERVICE}/getofflineconversionreports?view=bingads-13", _READ, Confidence.HIGH),
    "auth.token": Source(f"{_DOCS}/guides/authentication-oauth-get-tokens?view=bingads-13", _READ, Confidence.HIGH),
    "reading": Source(
        f"{_SERVICE}/getofflineconversionreportbygoalids?view=bingads-13",
        _READ,
        Confidence.HIGH,
        "at most 7 days and 20 goals",
    ),
    "corrections": Source(
        f"{_SERVICE}/offlineconversionadjustment?view=bingads-13",
        _READ,
        Confidence.HIGH,
        "click id, hashes, name and time as uploaded; how late is not published",
    ),
}

UET_SENDING = Sending(
    pace=Pace(parallel=2),
    timeout=timedelta(seconds=60),
    resend_key=Has("event_id"),
    request_id=("body:traceId", "header:x-ms-request-id"),
    probe=Probe(
        "POST",
        "https://capi.uet.microsoft.com/v1/{tag_id}/events",
        body={"data": []},
        good=(400,),
        note="an empty list is refused with 400 if the token is good, with 401 if it is not",
    ),
)

UET_READING = None

UET_CORRECTIONS = Corrections(note="the UET Conversions API takes neither refunds nor new values: use route offline")

UET_SENDING_SOURCES = {
    "sending": Source(_UET_GUIDE, _READ, Confidence.MEDIUM, "no limit is published"),
    "sending.parallel": Source(_UET_GUIDE, _READ, Confidence.ASSUMED, "ours"),
    "sending.timeout": Source(_UET_GUIDE, _READ, Confidence.ASSUMED, "ours"),
    "sending.request_id": Source(
        "https://github.com/segmentio/action-destinations", date(2026, 8, 21), Confidence.LOW, "a sender's types"
    ),
    "sending.probe": Source(
        _UET_GUIDE, _READ, Confidence.LOW, "one public connector checks its token so; no test mode is documented"
    ),
    "reading": Source(_UET_GUIDE, _READ, Confidence.HIGH, "no read endpoint is documented"),
    "corrections": Source(_UET_GUIDE, _READ, Confidence.MEDIUM, "nothing of the kind is described"),
}
