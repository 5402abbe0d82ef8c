"""Our bodies, replies, codes and digests against Google's own packages: `google-ads-datamanager` and `google-ads`."""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import capi_lab as cl
from capi_lab.identity.hashing import hash_by_rule, normalise_by_rule
from capi_lab.platforms.google import codes
from capi_lab.platforms.google.status import decode_status
from capi_lab.platforms.wire import Reply, Request
from tests.contracts.examples import SETTINGS, example_rows, wire_of
from tests.identity.vectors import VECTORS, Vector
from tests.platforms.test_google import SHEET_ENHANCEMENT, SHEET_LEAD, STATUS

pytestmark = pytest.mark.conformance

GOLDEN = Path(__file__).parents[1] / "golden" / "google"
ENCODE = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.glob("*_encode_*.json"))}
DM, ADS = "data_manager", "ads_api"
OPERATIONS = {"conversions": "click", "conversionAdjustments": "enhancement"}


@pytest.fixture(scope="module")
def dm() -> ModuleType:
    """Types of the Data Manager client."""
    return pytest.importorskip("google.ads.datamanager_v1.types", reason="google-ads-datamanager is not installed")


@pytest.fixture(scope="module")
def ads() -> dict[str, Any]:
    """Types of the Ads client, v26: requests and responses by operation."""
    package = "google.ads.googleads.v26.services.types"
    clicks = pytest.importorskip(f"{package}.conversion_upload_service", reason="google-ads is not installed")
    changes = importlib.import_module(f"{package}.conversion_adjustment_upload_service")
    importlib.import_module("google.ads.googleads.v26.errors.types.errors")
    return {
        "click": (clicks.UploadClickConversionsRequest, clicks.UploadClickConversionsResponse),
        "enhancement": (changes.UploadConversionAdjustmentsRequest, changes.UploadConversionAdjustmentsResponse),
    }


def strict(message: Any, body: object) -> Any:
    """Parse with unknown fields forbidden."""
    return message.from_json(json.dumps(body), ignore_unknown_fields=False)


def written(message: Any, value: Any) -> object:
    """The message in Google's own JSON, without fields that were never set."""
    text = message.to_json(value, use_integers_for_enums=False, always_print_fields_with_no_presence=False)
    return json.loads(text)


def request_type(name: str, body: dict[str, Any], dm: ModuleType, ads: dict[str, Any]) -> Any:
    if name.startswith(DM):
        return dm.IngestEventsRequest
    return ads[next(operation for field, operation in OPERATIONS.items() if field in body)][0]


@pytest.mark.parametrize("name", ENCODE)
def test_golden_bodies_survive_googles_classes(name: str, dm: ModuleType, ads: dict[str, Any]) -> None:
    """Parsed with unknown fields forbidden and written again, each is what it was: nothing misread, nothing lost."""
    body = ENCODE[name]["json"]
    message = request_type(name, body, dm, ads)
    assert written(message, strict(message, body)) == body


@pytest.mark.parametrize(
    ("route", "chosen"),
    [
        (DM, {}),
        (DM, {"kind": "WEBPAGE", "transaction_id": "event_id", "validate_only": "true"}),
        (DM, {"login_customer_id": "9876543210", "click_id_policy": "single"}),
        (ADS, {}),
        (ADS, {"validate_only": "true", "click_id_policy": "single"}),
        (ADS, {"operation": "enhancement", "adjustment_time": "2026-11-23 12:00:00+00:00"}),
    ],
)
def test_example_bodies_survive_googles_classes(
    route: str, chosen: dict[str, str], dm: ModuleType, ads: dict[str, Any]
) -> None:
    """So do bodies of rows with every key and id, under every setting."""
    rows = example_rows(50, gbraid=["GB" * 12, None] * 25, value=[-1.5, 0.0, 1e9, 0.1, None] * 10)
    for request in wire_of("google", route).encode(rows, SETTINGS["google", route] | chosen):
        message = request_type(route, request.json, dm, ads)
        assert written(message, strict(message, request.json)) == request.json


def test_the_classes_do_forbid_unknown_fields(dm: ModuleType, ads: dict[str, Any]) -> None:
    """The control: snippets of the other API, and a number where text belongs, do not parse."""
    lead, change = SHEET_LEAD["events"][0], SHEET_ENHANCEMENT["conversionAdjustments"][0]
    for broken in (
        {"events": [lead | {"orderId": "x"}]},
        {"events": [lead | {"consent": {"adUserData": "GRANTED"}}]},
        {"events": [lead | {"eventTimestamp": "2026-11-20 10:11:12-05:00"}]},
        {"destinations": [{"operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": 1234567890}}]},
    ):
        with pytest.raises(Exception, match="Failed to parse"):
            strict(dm.IngestEventsRequest, SHEET_LEAD | broken)
    with pytest.raises(Exception, match="Failed to parse"):
        strict(ads["enhancement"][0], {"conversionAdjustments": [change | {"transactionId": "x"}]})


def test_the_sheets_payloads_parse_and_mean_what_ours_mean(dm: ModuleType, ads: dict[str, Any]) -> None:
    """Both of section 14; of the lead only consent stands elsewhere, and instants are instants."""
    sheet = strict(dm.IngestEventsRequest, SHEET_LEAD)
    ours = strict(dm.IngestEventsRequest, ENCODE["data_manager_encode_sheet_lead"]["json"])
    assert ours.events[0].consent == sheet.consent
    ours.consent, ours.events[0].consent = sheet.consent, None
    assert ours == sheet
    body = ENCODE["ads_api_encode_sheet_enhancement"]["json"]
    assert strict(ads["enhancement"][0], body) == strict(ads["enhancement"][0], SHEET_ENHANCEMENT)


# Replies that are deliberately none of Google's: words of a later version, or broken on the way.
MADE_UP = ("TOMORROW", "cannot be read", "is none")


def canned(route: str) -> list[dict[str, Any]]:
    cases = json.loads((GOLDEN / f"{route}_decode.json").read_text(encoding="utf-8"))
    return [
        case
        for case in cases
        if case["status"] == 200 and not any(word in json.dumps(case) for word in MADE_UP) and case["json"] is not None
    ]


def test_golden_replies_are_googles(dm: ModuleType, ads: dict[str, Any]) -> None:
    """What we feed our decoders parses as a reply, failures inside included."""
    for case in canned(DM):
        strict(dm.IngestEventsResponse, case["json"])
    found = 0
    for case in canned(ADS):
        changed = "adjust" in json.dumps(case["json"])
        response = strict(ads["enhancement" if changed else "click"][1], case["json"])
        found += len(response.partial_failure_error.details)
    assert found >= 10


def test_googles_own_failures_are_read(ads: dict[str, Any]) -> None:
    """Built from Google's classes and written by Google's JSON, index 0 and all."""
    errors = importlib.import_module("google.ads.googleads.v26.errors.types.errors")
    reason = importlib.import_module("google.ads.googleads.v26.errors.types.conversion_upload_error")
    any_pb2 = importlib.import_module("google.protobuf.any_pb2")
    upload = reason.ConversionUploadErrorEnum.ConversionUploadError

    def one(code: Any, index: int | None) -> Any:
        path = errors.ErrorLocation.FieldPathElement(field_name="conversions", index=index)
        return errors.GoogleAdsError(
            error_code=errors.ErrorCode(conversion_upload_error=code),
            message="m",
            location=errors.ErrorLocation(field_path_elements=[path]),
        )

    failure = errors.GoogleAdsFailure(
        errors=[
            one(upload.UNPARSEABLE_GCLID, 0),
            one(upload.TOO_RECENT_EVENT, 2),
            one(upload.ORDER_ID_ALREADY_IN_USE, 3),
        ]
    )
    packed = any_pb2.Any()
    packed.Pack(errors.GoogleAdsFailure.pb(failure))
    response = ads["click"][1](results=[{}, {"gclid": "G1"}, {}, {}], job_id=2**31)
    response.partial_failure_error.code = 3
    response.partial_failure_error.details.append(packed)
    reply = Reply(200, {}, json.loads(ads["click"][1].to_json(response, use_integers_for_enums=False)))
    request = Request("POST", "https://x", {}, None, ("a", "b", "c", "d"))
    assert [(str(o.status), o.code) for o in wire_of("google", ADS).decode(reply, request)] == [
        ("rejected", "UNPARSEABLE_GCLID"),
        ("accepted", ""),
        ("retry", "TOO_RECENT_EVENT"),
        ("accepted", "ORDER_ID_ALREADY_IN_USE"),
    ]


def test_status_replies_are_googles(dm: ModuleType) -> None:
    """Ours parses once what Google does not have is left out; Google's own JSON is read with counts as text."""
    known = ("PARTIAL_SUCCESS", "FAILED", "SUCCESS", "PROCESSING")
    listed = [one for one in STATUS["requestStatusPerDestination"] if one.get("requestStatus") in known]
    text = json.dumps({"requestStatusPerDestination": listed})
    body = json.loads(text.replace("REASON_OF_TOMORROW", "REASON_EVENT_TOO_OLD"))
    message = dm.RetrieveRequestStatusResponse
    again = written(message, strict(message, body))
    assert again["requestStatusPerDestination"][0]["eventsIngestionStatus"]["recordCount"] == "9007199254740993"
    ours, theirs = decode_status(body), decode_status(again)
    assert theirs[0] == ours[0]
    assert [one.state for one in theirs] == [one.state for one in ours]
    assert ours[0].errors["EVENT_TOO_OLD"] == 1


# Reasons of Google's front end, which no client lists; see the sheet, 2 and 6.
FRONT_END = {"ACCESS_TOKEN_SCOPE_INSUFFICIENT", "SERVICE_DISABLED", "RATE_LIMIT_EXCEEDED"}


def test_our_codes_are_googles(dm: ModuleType, ads: dict[str, Any]) -> None:
    """No code is misspelt: each is a member of an enum of the clients."""
    general = set(importlib.import_module("google.rpc.code_pb2").Code.keys()) | FRONT_END
    sync = {member.name for member in dm.ErrorReason}
    assert {rule.code for rule in codes.DATA_MANAGER} - sync - general == set()
    warned = {member.name.removeprefix("WARNING_REASON_") for member in dm.WarningReason}
    assert set(codes.FIELD_WARNINGS) == warned - {"UNSPECIFIED"}
    later = {
        member.name.removeprefix("PROCESSING_ERROR_REASON_").removeprefix("PROCESSING_ERROR_")
        for member in dm.ProcessingErrorReason
    }
    assert set(codes.PROCESSING) <= later
    package = importlib.import_module("google.ads.googleads.v26.errors.types")
    theirs: set[str] = set()
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for name in dir(module):
            if name.endswith("Enum"):
                theirs |= set(getattr(getattr(module, name), name.removesuffix("Enum")).__members__)
    assert {rule.code for rule in codes.ADS_API} - theirs - general == set()


# -- digests -----------------------------------------------------------------------------------------------

METHODS = {
    "email": "email_address",
    "phone": "phone_number",
    "first_name": "given_name",
    "last_name": "family_name",
    "street": "address_line",
    "city": "city",
    "region": "administrative_area",
    "postal_code": "postal_code",
    "country": "region_code",
}

# Where util 0.4.0 and we differ: vector to (ours, the util's; None where it raises ValueError), before hashing.
DIFFERENCES = {
    "google-V10-email": ("quinn@example.com", None),  # the page says to remove the space
    "google-V12-phone": ("+18005550100", "+8005550100"),  # a national number, country known
    "google-V14-phone": ("+442079460958", "+4402079460958"),  # a trunk zero in brackets
    "google-V15-phone": ("+442079460958", "+00442079460958"),  # 00 for +
    "google-V19-phone": ("+819012345678", "+09012345678"),  # a national number, country known
    "google-V22-first_name": ("jos\u00e9", "jose\u0301"),  # NFC first, so that both spellings match
    "google-V25-last_name": ("obrien", "o'brien"),  # the proto comment's reading, offered as an option
    "google-plain-country-UK": ("GB", "UK"),  # alpha-2 of the United Kingdom is GB
    "google-plain-postal_code-9404": (None, "9404"),  # no US postcode: the page says five digits or five and four
}


def named(vector: Vector) -> str:
    return f"{vector}-{vector.raw}" if f"{vector}-{vector.raw}" in DIFFERENCES else str(vector)


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.platform == "google"], ids=str)
def test_digests_are_those_of_googles_util(vector: Vector) -> None:
    """Equal, or different just as the table says, with both values."""
    util = pytest.importorskip("google.ads.datamanager_util", reason="google-ads-datamanager-util is not installed")
    method, formatter = METHODS[vector.key], util.Formatter()
    try:
        theirs = getattr(formatter, f"format_{method}")(vector.raw)
    except ValueError:
        theirs = None
    ours = normalise_by_rule(vector.raw, vector.key_rule, vector.country)
    assert (ours, theirs) == DIFFERENCES.get(named(vector), (vector.normalised, vector.normalised))
    if theirs is None or not vector.key_rule.hashed:
        return
    digest = getattr(formatter, f"process_{method}")(vector.raw, util.Encoding.HEX)
    assert digest == hashlib.sha256(theirs.encode()).hexdigest()
    hashed = hash_by_rule(vector.raw, vector.key_rule, vector.country)
    assert (hashed == digest) == (named(vector) not in DIFFERENCES)


def test_every_difference_is_a_vector() -> None:
    """The table holds nothing that is not tested."""
    assert set(DIFFERENCES) <= {named(vector) for vector in VECTORS}
    assert cl.identity.hash_value("José", "first_name", "google") == cl.identity.hash_value(
        "Jose\u0301", "first_name", "google"
    )
