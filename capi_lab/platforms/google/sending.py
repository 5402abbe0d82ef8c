"""Google's two routes: pace, tokens, status and summaries, corrections."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

from capi_lab.platforms.needs import Has, HasChosen, any_of
from capi_lab.platforms.sending import Correction, Corrections, Pace, Probe, Reading, Sending, TokenRule
from capi_lab.sources import Confidence, Source

__all__ = [
    "ADS_CORRECTIONS",
    "ADS_READING",
    "ADS_SENDING",
    "ADS_SENDING_SOURCES",
    "ADS_TOKEN",
    "CORRECTIONS",
    "READING",
    "SENDING",
    "SENDING_SOURCES",
    "TOKEN",
]

_DOCS = "https://developers.google.com/data-manager/api"
_ADS_DOCS = "https://developers.google.com/google-ads/api"
_CLIENT = "https://github.com/googleads/google-ads-python"
_READ = date(2026, 11, 23)
_BUILT = date(2026, 10, 15)

_REFRESH: Mapping[str, str] = MappingProxyType(
    {
        "client_id": "GOOGLE_CLIENT_ID",
        "client_secret": "GOOGLE_CLIENT_SECRET",
        "refresh_token": "GOOGLE_REFRESH_TOKEN",
    }
)


def _token(scope: str) -> TokenRule:
    return TokenRule(
        url="https://oauth2.googleapis.com/token",
        scope=scope,
        refresh=_REFRESH,
        service_account="GOOGLE_APPLICATION_CREDENTIALS",
    )


TOKEN = _token("https://www.googleapis.com/auth/datamanager")
ADS_TOKEN = _token("https://www.googleapis.com/auth/adwords")
_KEYED = any_of(HasChosen("transaction_id"), Has("gclid"))

SENDING = Sending(
    pace=Pace(limits=((300, timedelta(minutes=1)), (100_000, timedelta(days=1))), parallel=10),
    timeout=timedelta(seconds=120),
    resend_key=_KEYED,
    request_id=("body:requestId",),
    probe=Probe(overlay={"validate_only": "true"}, note="an invented event is checked, and nothing recorded"),
)

READING = Reading(
    method="GET",
    url="https://datamanager.googleapis.com/v1/requestStatus:retrieve",
    query={"requestId": "{request_id}"},
    per_request=True,
    first_after=timedelta(minutes=30),
    until=timedelta(days=50),
)

CORRECTIONS = Corrections(
    kinds={Correction.RESTATE: "the same transactionId again"},
    note="the Data Manager API takes new values but no retraction: use route ads_api for that, or restate to 0",
)

SENDING_SOURCES = {
    "sending": Source(f"{_DOCS}/devguides/limits", _READ, Confidence.HIGH, "300 a minute, 100,000 a day a project"),
    "sending.parallel": Source(f"{_DOCS}/devguides/limits", _READ, Confidence.MEDIUM, "up to ten at once"),
    "sending.timeout": Source(
        "https://github.com/segmentio/action-destinations/pull/4016",
        _READ,
        Confidence.LOW,
        "answers to large uploads came late: a long wait makes fewer doubts",
    ),
    "sending.probe": Source(f"{_DOCS}/reference/rest/v1/events/ingest", _READ, Confidence.HIGH, "validateOnly"),
    "sending.resend_key": Source(
        f"{_DOCS}/devguides/events/google-ads/conversion-adjustments", _READ, Confidence.HIGH, "or gclid and time"
    ),
    "auth.token": Source(f"{_DOCS}/quickstart/set-up-access", _READ, Confidence.HIGH),
    "reading": Source(f"{_DOCS}/devguides/diagnostics", _READ, Confidence.HIGH, "after 30 min; kept about 50 days"),
    "corrections": Source(
        f"{_DOCS}/devguides/events/google-ads/conversion-adjustments",
        _READ,
        Confidence.HIGH,
        "the server's value replaces the earlier one; no retraction",
    ),
}

ADS_SENDING = Sending(
    pace=Pace(parallel=1),
    timeout=timedelta(seconds=120),
    resend_key=_KEYED,
    request_id=("header:request-id", "body:requestId", "body:jobId"),
    probe=Probe(overlay={"validate_only": "true"}, note="an invented click is checked, and nothing recorded"),
)

ADS_READING = Reading(
    method="POST",
    url="https://googleads.googleapis.com/{version}/customers/{customer_id}/googleAds:search",
    body={
        "query": "SELECT offline_conversion_upload_conversion_action_summary.client, "
        "offline_conversion_upload_conversion_action_summary.status, "
        "offline_conversion_upload_conversion_action_summary.conversion_action_id, "
        "offline_conversion_upload_conversion_action_summary.conversion_action_name, "
        "offline_conversion_upload_conversion_action_summary.total_event_count, "
        "offline_conversion_upload_conversion_action_summary.successful_event_count, "
        "offline_conversion_upload_conversion_action_summary.pending_event_count, "
        "offline_conversion_upload_conversion_action_summary.last_upload_date_time, "
        "offline_conversion_upload_conversion_action_summary.daily_summaries "
        "FROM offline_conversion_upload_conversion_action_summary "
        "WHERE offline_conversion_upload_conversion_action_summary.conversion_action_id = {conversion_action_id}"
    },
)

ADS_CORRECTIONS = Corrections(
    kinds={Correction.RETRACT: "RETRACTION", Correction.RESTATE: "RESTATEMENT"},
    url="https://googleads.googleapis.com/{version}/customers/{customer_id}:uploadConversionAdjustments",
    max_age=timedelta(days=54),
    fields=(
        "partialFailure",
        "validateOnly",
        *(
            f"conversionAdjustments[].{name}"
            for name in (
                "conversionAction",
                "adjustmentType",
                "adjustmentDateTime",
                "orderId",
                "gclidDateTimePair.gclid",
                "gclidDateTimePair.conversionDateTime",
                "restatementValue.adjustedValue",
                "restatementValue.currencyCode",
            )
        ),
    ),
)

ADS_SENDING_SOURCES = {
    "sending": Source(
        f"{_ADS_DOCS}/docs/access-levels", _READ, Confidence.MEDIUM, "operations a day by access level, not known here"
    ),
    "sending.parallel": Source(
        f"{_ADS_DOCS}/docs/best-practices/error-types", _READ, Confidence.MEDIUM, "CONCURRENT_MODIFICATION: one at once"
    ),
    "sending.timeout": Source(
        "https://github.com/segmentio/action-destinations/pull/4016", _READ, Confidence.LOW, "late answers, as above"
    ),
    "sending.probe": Source(_CLIENT, _BUILT, Confidence.HIGH, "validateOnly"),
    "sending.resend_key": Source(
        _CLIENT, _BUILT, Confidence.HIGH, "ORDER_ID_ALREADY_IN_USE, CLICK_CONVERSION_ALREADY_EXISTS"
    ),
    "auth.token": Source(f"{_ADS_DOCS}/docs/oauth/overview", _READ, Confidence.HIGH),
    "reading": Source(f"{_ADS_DOCS}/fields/v26", _READ, Confidence.HIGH),
    "corrections": Source(
        _CLIENT,
        _BUILT,
        Confidence.HIGH,
        "ConversionAdjustment: order id or gclid with time, never both; a retraction has no value; 54 days",
    ),
}
