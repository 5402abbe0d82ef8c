"""What is special about Google: two APIs, fast-fail and partial failure, consent, counts instead of outcomes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings

import capi_lab as cl
from capi_lab.errors import InputError
from capi_lab.platforms.google.ads_spec import ENHANCEMENT_MAX_AGE
from capi_lab.platforms.google.codes import PROCESSING
from capi_lab.platforms.google.status import DestinationStatus, IngestState, decode_status
from capi_lab.platforms.route import BadRow, OutcomeStatus
from capi_lab.platforms.rules import Keep
from capi_lab.platforms.wire import Level, Reply, Request
from capi_lab.words import Channel
from tests.contracts.examples import IDS, NOW, PERSON, SETTINGS, example_rows, wire_of
from tests.contracts.test_wires import bodies

GOLDEN = Path(__file__).parents[1] / "golden" / "google"
DM, ADS = "data_manager", "ads_api"

# Section 14 of the reference sheet, parsed there by Google's own classes.
SHEET_LEAD = json.loads("""
{"destinations":[{"operatingAccount":{"accountType":"GOOGLE_ADS","accountId":"1234567890"},
  "productDestinationId":"777111122"}],
 "encoding":"HEX","consent":{"adUserData":"CONSENT_GRANTED","adPersonalization":"CONSENT_GRANTED"},"validateOnly":true,
 "events":[{"transactionId":"lead-8841","eventTimestamp":"2026-11-20T10:11:12-05:00","eventSource":"WEB",
   "conversionValue":120.0,"currency":"USD","adIdentifiers":{"gclid":"EXAMPLE_GCLID"},
   "userData":{"userIdentifiers":[
     {"emailAddress":"86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"}]}}]}
""")
SHEET_ENHANCEMENT = json.loads("""
{"partialFailure":true,"conversionAdjustments":[{"conversionAction":"customers/1234567890/conversionActions/9",
  "adjustmentType":"ENHANCEMENT","orderId":"ORD-1","adjustmentDateTime":"2026-11-20 11:11:12-05:00",
  "userAgent":"Mozilla/5.0","userIdentifiers":[{"userIdentifierSource":"FIRST_PARTY",
   "hashedEmail":"86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"}]}]}
""")


def golden(name: str) -> dict[str, object]:
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def spelled_alike(body: dict[str, object]) -> dict[str, object]:
    """Times as instants, consent of the request handed down to its events: two spellings of one meaning."""
    rest = {name: value for name, value in body.items() if name not in ("consent", "events")}
    handed_down = {"consent": body["consent"]} if "consent" in body else {}
    events = [
        {**handed_down, **event, "eventTimestamp": datetime.fromisoformat(event["eventTimestamp"]).timestamp()}
        for event in body["events"]
    ]
    return rest | {"events": events}


def test_the_sheets_payloads_are_ours() -> None:
    """The enhancement to the letter; the lead up to time zone and the place of consent. See the golden files' rows."""
    assert golden("ads_api_encode_sheet_enhancement.json")["json"] == SHEET_ENHANCEMENT
    ours = golden("data_manager_encode_sheet_lead.json")["json"]
    assert spelled_alike(ours) == spelled_alike(SHEET_LEAD)
    assert ours["events"][0]["eventTimestamp"] == "2026-11-20T15:11:12Z"


def rules(route: str, level: Level | None = None, chosen: dict[str, str] | None = None, **columns: object) -> set[str]:
    """The rules one otherwise good row breaks."""
    wire = wire_of("google", route)
    given = SETTINGS["google", route] | (chosen or {})
    problems = wire.validate(example_rows(1, **columns), given, now=NOW)
    return {p.rule for p in problems if level in (None, p.level)}


NOBODY = dict.fromkeys([*PERSON, *IDS])
NO_KEYS = dict.fromkeys(PERSON)
WHEN = pd.Timestamp(NOW)
EMPTY_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
GOOD = IDS["gclid"]


@pytest.mark.parametrize(
    ("rule", "routes", "level", "chosen", "columns"),
    [
        ("G08", (DM, ADS), Level.ERROR, {}, {"event_time": [WHEN + pd.Timedelta("2min")]}),
        ("G23", (DM, ADS), Level.ERROR, {}, {"event_time": [WHEN - pd.Timedelta("91D")]}),
        ("G23", (ADS,), Level.ERROR, {"operation": "enhancement"}, {"event_time": [WHEN - pd.Timedelta("55D")]}),
        ("W19", (ADS,), Level.WARNING, {"operation": "enhancement"}, {"event_time": [WHEN - pd.Timedelta("25h")]}),
        ("A10", (ADS,), Level.ERROR, {"operation": "enhancement", "adjustment_time": "2026-11-23 05:59:59-05:00"}, {}),
        ("G09", (DM,), Level.ERROR, {}, {"action_source": None}),
        ("G09", (DM,), Level.ERROR, {"kind": "WEBPAGE"}, {"action_source": "store"}),
        ("G09", (ADS,), Level.ERROR, {"operation": "enhancement"}, {"action_source": "store"}),
        ("G10", (DM,), Level.ERROR, {"kind": "WEBPAGE", "transaction_id": "event_id"}, {"event_id": None}),
        ("G10", (DM, ADS), Level.ERROR, {"transaction_id": "event_id"}, {"event_id": None, "gclid": None}),
        ("A05", (ADS,), Level.ERROR, {"operation": "enhancement", "transaction_id": "event_id"}, {"event_id": None}),
        ("G11", (DM, ADS), Level.ERROR, {}, NOBODY),
        ("G11", (DM,), Level.ERROR, {}, NOBODY | {"user_agent": "Mozilla/5.0", "first_name": "Jane"}),
        ("G11", (ADS,), Level.ERROR, {"operation": "enhancement"}, NOBODY | {"gclid": GOOD}),
        ("W09", (DM,), Level.WARNING, {}, NOBODY | {"client_ip": "203.0.113.7"}),
        ("G11", (ADS,), Level.ERROR, {}, NOBODY | {"client_ip": "203.0.113.7"}),
        ("A04", (ADS,), Level.WARNING, {}, {"email": None, "phone": None}),
        ("A09", (ADS,), Level.WARNING, {}, {"gclid": None, "gbraid": GOOD}),
        ("W20", (DM,), Level.WARNING, {}, {"gclid": None, "gbraid": GOOD}),
        ("W20", (DM,), Level.WARNING, {}, {"gclid": None, "wbraid": GOOD, "email": None, "phone": None}),
        ("G13", (DM, ADS), Level.ERROR, {}, {"email": EMPTY_DIGEST}),
        ("G13", (DM, ADS), Level.ERROR, {}, {"phone": "0123456789abcdef0123456789abcdef"}),
        ("W15", (DM, ADS), Level.WARNING, {}, {"email": "a@b@c.com"}),
        ("W15", (DM, ADS), Level.WARNING, {}, {"client_ip": "192.168.0.1"}),
        ("G15", (DM, ADS), Level.WARNING, {}, {"postal_code": None}),
        ("G15", (DM, ADS), Level.WARNING, {}, {"postal_code": "SW1A 1AA"}),
        ("W15", (DM, ADS), Level.WARNING, {}, {"postal_code": "SW1A 1AA"}),
        ("G16", (DM, ADS), Level.ERROR, {}, {"gclid": None, "gbraid": GOOD, "wbraid": GOOD}),
        ("G18", (DM, ADS), Level.ERROR, {}, {"currency": "eur"}),
        ("G18", (DM, ADS), Level.ERROR, {}, {"currency": None}),
        ("G19", (DM, ADS), Level.ERROR, {}, {"value": float("inf")}),
        ("W16", (DM, ADS), Level.WARNING, {}, {"value": -1.0}),
        ("G24", (DM, ADS), Level.ERROR, {}, {"consent_ad_user_data": "denied"}),
        ("W01", (DM, ADS), Level.WARNING, {}, {"click_time": WHEN - pd.Timedelta("91D")}),
        ("W02", (DM, ADS), Level.WARNING, {}, {"click_time": WHEN - pd.Timedelta("2h")}),
        ("W18", (DM, ADS), Level.WARNING, {}, {"click_time": WHEN - pd.Timedelta("30min")}),
        ("W03", (DM, ADS), Level.WARNING, {}, {"conversion_id": ["12345"]}),
        ("W04", (DM, ADS), Level.WARNING, {}, {"conversion_id": ["jane@example.com"]}),
        ("W05", (DM, ADS), Level.WARNING, {}, {"consent_ad_user_data": None}),
        ("W05", (DM,), Level.WARNING, {}, {"consent_ad_personalization": None}),
        ("W06", (DM, ADS), Level.WARNING, {}, {"wbraid": GOOD}),
        ("W08", (DM, ADS), Level.WARNING, {"counting": "ONE_PER_CLICK"}, {"gclid": None, "gbraid": GOOD}),
        ("W17", (DM, ADS), Level.WARNING, {}, {"gclid": "cut"}),
    ],
)
def test_every_rule_finds_its_row(
    rule: str, routes: tuple[str, ...], level: Level, chosen: dict[str, str], columns: dict[str, object]
) -> None:
    """A good row breaks no rule; with one thing changed it breaks the rule about it, at its level."""
    for route in routes:
        assert rule in rules(route, level, chosen, **columns), route
        assert rule not in rules(route, None, {k: v for k, v in chosen.items() if k == "operation"}), route


def test_good_rows_break_nothing_at_all() -> None:
    """Neither as a lead, nor as the server's copy of a tag's conversion, nor as an enhancement."""
    assert rules(DM) == rules(DM, chosen={"kind": "WEBPAGE", "transaction_id": "event_id"}) == set()
    assert rules(ADS) == rules(ADS, chosen={"operation": "enhancement"}) == set()


def test_repeats_are_lost_on_one_route_and_an_adjustment_on_the_other() -> None:
    """W13 warns on the Data Manager; the Ads API refuses the copies. Without an id, gclid and time are the key."""
    same_id = example_rows(3, event_id=["a", "b", "a"])
    same_click = example_rows(3, event_id=None, event_time=WHEN - pd.Timedelta("1h"))
    for route, level in ((DM, Level.WARNING), (ADS, Level.ERROR)):
        wire, given = wire_of("google", route), SETTINGS["google", route] | {"transaction_id": "event_id"}
        for rows, repeats in ((same_id, ["order-1003"]), (same_click, ["order-1002", "order-1003"])):
            found = [p for p in wire.validate(rows, given, now=NOW) if p.rule == "W13"]
            assert [(p.row_id, p.level) for p in found] == [(row, level) for row in repeats]


def test_repeats_are_what_repeats_on_the_wire() -> None:
    """Times go out in whole seconds: rows that differ in the fraction are copies, those a second apart are not."""
    start = (WHEN - pd.Timedelta("1h")).floor("s")
    times = [start + pd.Timedelta(milliseconds=ms) for ms in (0, 999, 1000)]
    rows = example_rows(3, event_id=None, event_time=times)
    for route, events, time in ((DM, "events", "eventTimestamp"), (ADS, "conversions", "conversionDateTime")):
        wire, given = wire_of("google", route), SETTINGS["google", route] | {"transaction_id": "event_id"}
        first, second, third = (row[time] for row in wire.encode(rows, given)[0].json[events])
        assert first == second != third
        assert [p.row_id for p in wire.validate(rows, given, now=NOW) if p.rule == "W13"] == ["order-1002"]


def test_an_adjustment_comes_after_its_conversion() -> None:
    """A10 is about single rows, at whole seconds; without the setting, or without an enhancement, about none."""
    wire = wire_of("google", ADS)
    rows = example_rows(3, event_time=[WHEN - pd.Timedelta(minutes=m) + pd.Timedelta("0.5s") for m in (61, 60, 59)])
    chosen = SETTINGS["google", ADS] | {"operation": "enhancement"}
    at = {"adjustment_time": "2026-11-23 12:00:00+01:00"}

    def early(given: dict[str, str]) -> list[str]:
        return [p.row_id for p in wire.validate(rows, given, now=NOW) if p.rule == "A10"]

    assert early(chosen | at) == ["order-1003"]
    assert early(chosen) == early(SETTINGS["google", ADS] | at) == []
    for never in ("2026-02-30 12:00:00+00:00", "2026-01-01 12:00:00+99:00", "0000-01-01 00:00:00+00:00"):
        for call in (wire.encode, lambda *args: wire.validate(*args, now=NOW)):
            with pytest.raises(InputError, match="'adjustment_time' is no time that exists"):
                call(rows, chosen | {"adjustment_time": never})


def test_user_data_beside_a_braid_warns_only_where_it_is_sent() -> None:
    """W20 is for a braid alone; a gclid beside it, or nobody to name, silences it."""
    assert "W20" not in rules(DM, gbraid=GOOD)
    assert "W20" not in rules(DM, **NOBODY | {"gbraid": GOOD})


def test_a_postcode_that_is_none_leaves_the_address_out() -> None:
    """Row by row, by the row's own country, as `normalise` says of one value."""
    codes = ["94043-1351", "9404", "9404", "SW1A 1AA", "SW1A 1AA", " 94043 ", "94043-1"]
    countries = ["US", "US", "AU", "GB", "US", "us", "US"]
    rows = example_rows(len(codes), postal_code=codes, country=countries)
    (request,) = wire_of("google", DM).encode(rows, SETTINGS["google", DM])
    people = [event["userData"]["userIdentifiers"] for event in request.json["events"]]
    found = [[one["address"]["postalCode"] for one in person if "address" in one] for person in people]
    assert found == [["94043-1351"], [], ["9404"], ["SW1A 1AA"], [], ["94043"], []]
    alone = [cl.identity.normalise(c, "postal_code", "google", w) for c, w in zip(codes, countries, strict=True)]
    assert found == [[] if code is None else [code] for code in alone]


def test_limits_are_those_of_the_sheet() -> None:
    """Numbers written out, section 6: what the code calls them must not matter."""
    spec = cl.PLATFORMS["google"].spec
    for route, identifiers in ((DM, 10), (ADS, 5)):
        limits = spec.route(route).limits
        assert (limits.batch_rows, limits.identifiers) == (2000, identifiers)
        assert limits.max_age == limits.click_max_age == timedelta(days=90)
        sizes = [
            len(one.row_ids) for one in wire_of("google", route).encode(example_rows(4001), SETTINGS["google", route])
        ]
        assert sizes == [2000, 2000, 1]
        for name in ("customer_id", "login_customer_id"):
            for account in ("123456789", "12345678901", "123-456-7890"):
                with pytest.raises(InputError, match=name):
                    wire_of("google", route).encode(example_rows(1), SETTINGS["google", route] | {name: account})
            wire_of("google", route).encode(example_rows(1), SETTINGS["google", route] | {name: "0123456789"})
    assert timedelta(days=54) == ENHANCEMENT_MAX_AGE


@pytest.mark.parametrize(
    ("rule", "routes", "chosen", "column", "last_good", "step"),
    [
        ("G23", (DM, ADS), {}, "event_time", "90D", "1s"),
        ("G23", (ADS,), {"operation": "enhancement"}, "event_time", "54D", "1s"),
        ("W19", (ADS,), {"operation": "enhancement"}, "event_time", "24h", "1s"),
        ("W01", (DM, ADS), {}, "click_time", "90D", "1s"),
        ("W02", (DM, ADS), {}, "click_time", "6h", "-1s"),
    ],
)
def test_limits_begin_where_the_sheet_says(
    rule: str, routes: tuple[str, ...], chosen: dict[str, str], column: str, last_good: str, step: str
) -> None:
    """At the limit all is well, a second beyond it is not."""
    for route in routes:
        for beyond in (False, True):
            lived = pd.Timedelta(last_good) + int(beyond) * pd.Timedelta(step)
            assert (rule in rules(route, None, chosen, **{column: [WHEN - lived]})) is beyond, route


def test_encoding_is_declared_only_where_there_is_something_encoded() -> None:
    """Per request, since Google wants it with user data and reads it with nothing else."""
    rows = example_rows(2001, **NO_KEYS)
    rows["email"] = [None] * 2000 + ["jane@example.com"]
    first, second = wire_of("google", DM).encode(rows, SETTINGS["google", DM])
    assert "encoding" not in first.json
    assert second.json["encoding"] == "HEX"


def test_a_missing_source_is_not_guessed() -> None:
    """The Data Manager wants eventSource; the Ads API has two words for it and lets it be left out."""
    rows = example_rows(action_source=None)
    with pytest.raises(InputError, match="'action_source' is missing in 3 rows"):
        wire_of("google", DM).encode(rows, SETTINGS["google", DM])
    (request,) = wire_of("google", ADS).encode(rows, SETTINGS["google", ADS])
    assert "conversionEnvironment" not in request.json["conversions"][0]


def test_the_manager_goes_into_body_or_header() -> None:
    """Routing headers are ignored by the Data Manager, and needed by the Ads API."""
    manager = {"login_customer_id": "9876543210"}
    (request,) = wire_of("google", DM).encode(example_rows(), SETTINGS["google", DM] | manager)
    assert "login-customer-id" not in request.headers
    assert request.json["destinations"][0]["loginAccount"]["accountId"] == "9876543210"
    (request,) = wire_of("google", ADS).encode(example_rows(), SETTINGS["google", ADS] | manager)
    assert request.headers["login-customer-id"] == "9876543210"


def test_messages_say_what_to_do() -> None:
    """Rows that only shared a batch are to be sent again; an unmatched person is no failure; a closed door is named."""
    rows = Request("POST", "https://x", {}, None, ("a", "b"))
    bad = {"field": "events.events[0].currency", "reason": "INVALID_CURRENCY_CODE"}
    error = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"fieldViolations": [bad]}]}}
    first, second = wire_of("google", DM).decode(Reply(400, {}, error), rows)
    assert first.status is OutcomeStatus.REJECTED
    assert second.status is OutcomeStatus.RETRY
    assert "send again without those" in second.message
    codes = {"conversionUploadError": "CLICK_NOT_FOUND"}, {"x": "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"}
    errors = [
        {"errorCode": code, "location": {"fieldPathElements": [{"fieldName": "conversions", "index": index}]}}
        for index, code in enumerate(codes)
    ]
    body = {"partialFailureError": {"details": [{"errors": errors}]}, "results": [{}, {}]}
    first, second = wire_of("google", ADS).decode(Reply(200, {}, body), rows)
    assert first.message.startswith("unmatched, not failed")
    assert "data_manager" in second.message


def test_the_dedup_rule_is_the_documented_one() -> None:
    """Exact id, no end; the server's value wins; user data only into an event without any; else gclid and time."""
    spec = cl.PLATFORMS["google"].spec
    rule = spec.dedup
    assert (rule.key, rule.window, rule.keep) == (("event_name", "conversion_id"), None, Keep.FIRST)
    assert rule.instead == ("event_name", "gclid", "event_time")
    assert rule.merges_same_channel is True
    assert rule.merge.replace == ("value", "currency")
    assert (rule.merge.from_channel, rule.merge.across_channels_only) == (Channel.CAPI, False)
    assert rule.merge.fill_together is True
    assert {"email", "phone"} <= set(rule.merge.fill)
    assert spec.route(ADS).dedup.channels == (Channel.CAPI,)
    assert spec.route(ADS).dedup.merge is None
    assert (spec.route(DM).bad_row, spec.route(ADS).bad_row) == (BadRow.SINKS_BATCH, BadRow.BY_FLAG)
    assert spec.canonical_event("generate_lead") == "lead"


def test_waits_are_those_of_the_sheet() -> None:
    """What is too fresh comes again after six hours; a quota after a minute."""
    for route in (DM, ADS):
        facts = cl.PLATFORMS["google"].spec.route(route)
        fresh = [rule for rule in facts.codes if "TOO_RECENT" in rule.code]
        assert fresh
        assert {rule.retry_after for rule in fresh} == {timedelta(hours=6)}
        assert facts.status_of("RESOURCE_EXHAUSTED").retry_after == timedelta(minutes=1)
        assert not facts.status_of("RESOURCE_EXHAUSTED").row_fault


STATUS = {
    "requestStatusPerDestination": [
        {
            "destination": {"productDestinationId": "777111122"},
            "requestStatus": "PARTIAL_SUCCESS",
            "errorInfo": {
                "errorCounts": [
                    {"reason": "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND", "recordCount": "12"},
                    {"reason": "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID", "recordCount": "3"},
                    {"reason": "PROCESSING_ERROR_REASON_OF_TOMORROW", "recordCount": "1"},
                    {"reason": "PROCESSING_ERROR_OPERATING_ACCOUNT_MISMATCH_FOR_AD_IDENTIFIER", "recordCount": "2"},
                ]
            },
            "warningInfo": {
                "warningCounts": [{"reason": "PROCESSING_WARNING_REASON_INTERNAL_ERROR", "recordCount": 4}]
            },
            "eventsIngestionStatus": {"recordCount": "9007199254740993"},
        },
        {"requestStatus": "FAILURE", "eventsIngestionStatus": {"recordCount": "7"}},
        {"requestStatus": "FAILED"},
        {"requestStatus": "SUCCESS", "eventsIngestionStatus": {"recordCount": "0"}, "errorInfo": {}},
        {"requestStatus": "PROCESSING", "eventsIngestionStatus": {"recordCount": "5"}, "errorInfo": {}},
        {"requestStatus": "STATE_OF_TOMORROW"},
        {},
    ]
}


def test_counts_are_read_as_counts() -> None:
    """Reasons without prefix, int64 out of text, both spellings of failure; nothing while it is processing."""
    first, failure, failed, fine, busy, strange, empty = decode_status(STATUS)
    assert first.state is IngestState.PARTIAL_SUCCESS
    assert first.records == 9007199254740993
    assert first.errors == {
        "CLICK_NOT_FOUND": 12,
        "DUPLICATE_TRANSACTION_ID": 3,
        "OF_TOMORROW": 1,
        "OPERATING_ACCOUNT_MISMATCH_FOR_AD_IDENTIFIER": 2,
    }
    assert first.warnings == {"INTERNAL_ERROR": 4}
    assert failure.state is failed.state is IngestState.FAILED
    assert (failure.records, failed.records, fine.records) == (7, None, 0)
    assert busy == DestinationStatus(IngestState.PROCESSING)
    assert strange == empty == DestinationStatus(IngestState.UNKNOWN)
    assert [one.finished for one in (first, failure, failed, fine, busy, strange)] == [True] * 4 + [False] * 2
    assert set(first.errors) - set(PROCESSING) == {"OF_TOMORROW"}


@settings(max_examples=300, deadline=None)
@given(body=bodies)
def test_no_status_reply_breaks_it(body: object) -> None:
    """Any JSON, alone or where a destination, a list of counts or a count belongs."""
    wrapped = {
        "requestStatus": body,
        "errorInfo": {"errorCounts": body},
        "eventsIngestionStatus": {"recordCount": body},
    }
    counts = {"errorCounts": [{"reason": body, "recordCount": body}, {"reason": "X", "recordCount": body}]}
    shapes = (body, {"requestStatusPerDestination": body}, {"requestStatusPerDestination": [body, wrapped, counts]})
    for shape in shapes:
        for one in decode_status(shape):
            assert isinstance(one.state, IngestState)
            assert all(count >= 0 for count in (*one.errors.values(), *one.warnings.values()))
