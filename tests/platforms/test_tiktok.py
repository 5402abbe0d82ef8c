"""What is special about TikTok.

No package of TikTok's knows this endpoint (its SDK models Events API 1.0 only), so there is nothing to hold our
bodies against but the documented samples: tests/golden/tiktok has them, digests included.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError
from capi_lab.platforms.route import OutcomeStatus
from capi_lab.platforms.rules import Keep
from capi_lab.platforms.wire import Level, Outcome, Reply, Request
from tests.contracts.examples import NOW, PERSON, example_rows, wire_of

WEB = {"event_source_id": "C0EXAMPLEPIXEL00000"}
OFFLINE = WEB | {"event_source": "offline"}
WIRE = wire_of("tiktok", "events_api")
SPEC = cl.PLATFORMS["tiktok"].spec


def rules(rows: pd.DataFrame, settings: dict[str, str] = WEB) -> set[str]:
    return {problem.rule for problem in WIRE.validate(rows, settings, now=NOW)}


def replied(code: object, message: object = "", n: int = 3, status: int = 200) -> list[Outcome]:
    request = Request("POST", "https://x", {}, None, tuple("abcdef"[:n]))
    return WIRE.decode(Reply(status, {}, {"code": code, "message": message}), request)


def test_the_rule_is_the_documented_one() -> None:
    """48 hours, first kept, repeats of one channel merge, enriched for 5 minutes, _ttp where the server has no id."""
    rule = SPEC.dedup
    assert (rule.key, rule.window, rule.keep) == (("event_name", "event_id"), timedelta(hours=48), Keep.FIRST)
    assert rule.same_channel is True
    assert SPEC.route().resend is True
    assert rule.merge.within == rule.fallback.window == timedelta(minutes=5)
    assert rule.merge.across_channels_only
    assert not rule.merge.replace
    assert set(rule.merge.fill) == {key.source for key in SPEC.match_keys} | {"ttclid", "ttp", "value", "currency"}
    assert (rule.fallback.keys, rule.fallback.first, rule.fallback.needs_no_id) == (("ttp",), "pixel", True)


def test_former_names_are_read_and_never_sent() -> None:
    """Names of before May 2025 are understood in any spelling; bodies hold today's only."""
    assert SPEC.canonical_event("CompletePayment") == SPEC.canonical_event("complete_payment") == "purchase"
    assert SPEC.canonical_event("SubmitForm") == "lead"
    assert not set(SPEC.aliases) & set(SPEC.event_names.values())
    assert len(SPEC.event_names) == 18


def test_all_event_sources_are_one_per_request() -> None:
    """A row that did not happen where the setting says is an error, and so is one that does not say where."""
    rows = example_rows(5, action_source=["web", "store", "app", "phone", None])
    bad = {p.row_id for p in WIRE.validate(rows, WEB, now=NOW) if p.rule == "T05"}
    assert bad == set(rows["conversion_id"][1:])
    bad = {p.row_id for p in WIRE.validate(rows, OFFLINE, now=NOW) if p.rule == "T05"}
    assert bad == set(rows["conversion_id"][[0, 2, 4]])
    for source in ("app", "crm"):
        with pytest.raises(InputError, match="event_source"):
            WIRE.encode(rows, WEB | {"event_source": source})


def test_offline_takes_email_and_phone_only() -> None:
    """No click id, address, network or page leaves with an offline event; without email or phone it is an error."""
    rows = example_rows(action_source="store")
    (request,) = WIRE.encode(rows, OFFLINE)
    for event in request.json["data"]:
        assert set(event["user"]) == {"email", "phone"}
        assert "page" not in event
    assert rules(rows, OFFLINE) == {"T28"}
    assert "T03" in rules(example_rows(action_source="store", email=None, phone=None), OFFLINE)
    assert "T09" in rules(example_rows(action_source="store", event_name="our own"), OFFLINE)


def test_offline_events_may_be_older() -> None:
    """28 days instead of 7, by action source."""
    ages = [27, 29, 8]
    rows = example_rows(
        3,
        event_time=[pd.Timestamp(NOW) - pd.Timedelta(days=days) for days in ages],
        action_source=["store", "store", "web"],
    )
    old = {p.row_id for p in WIRE.validate(rows, OFFLINE, now=NOW) if p.rule == "T01"}
    assert old == set(rows["conversion_id"][1:])


def test_phone_keeps_its_plus_and_ids_stay_text() -> None:
    """Phone digests are never Meta's; numbers that are ids go as strings; email and phone as lists."""
    (request,) = WIRE.encode(example_rows(1, event_id="1001", items='[{"id":7,"quantity":2.0}]'), WEB)
    event = request.json["data"][0]
    assert event["user"]["phone"] == [cl.identity.hash_value(PERSON["phone"], "phone", "tiktok")]
    assert event["user"]["phone"] != [cl.identity.hash_value(PERSON["phone"], "phone", "meta")]
    assert event["user"]["ttclid"] == "E.C.P.exampleClick"
    assert (event["user"]["city"], event["user"]["state"], event["user"]["country"]) == ("newyork", "ny", "us")
    assert event["event_id"] == "1001"
    assert event["properties"]["contents"] == [{"content_id": "7", "quantity": 2}]
    long = "E.C.P." + "x" * 5_000
    (request,) = WIRE.encode(example_rows(1, ttclid=long), WEB)
    assert request.json["data"][0]["user"]["ttclid"] == long


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"page_url": None}, "T04"),
        ({"currency": "eur"}, "T06"),
        ({"value": -1.0}, "T07"),
        ({"value": float("inf")}, "T07"),
        ({"event_id": None}, "T20"),
        ({"event_id": "same"}, "T21"),
        ({"value": None}, "T23"),
        ({"currency": "ALL"}, "T24"),
        ({"client_ip": "10.0.0.1"}, "T25"),
        ({"ttclid": "E.C.P. broken"}, "T27"),
        ({"items": "[]"}, "T29"),
        ({"event_name": "our_event"}, "T30"),
        ({"click_time": pd.Timestamp(NOW) - pd.Timedelta(days=29)}, "T31"),
    ],
)
def test_each_rule_fires(columns: dict[str, object], rule: str) -> None:
    """One thing wrong, one rule more."""
    assert rules(example_rows(2, **columns)) == {rule}


DAY = 86_400


@pytest.mark.parametrize(
    ("rule", "source", "across", "inside"),
    [
        ("T01", "web", 7 * DAY + 1, 7 * DAY),
        ("T01", "store", 28 * DAY + 1, 28 * DAY),
        ("T01", "phone", 28 * DAY + 1, 28 * DAY),
        ("T02", "web", -61, -60),
        ("T02", "store", -61, -60),
        ("T22", "web", 3_601, 3_600),
    ],
)
def test_times_at_their_boundary(rule: str, source: str, across: int, inside: int) -> None:
    """A second too much is one rule broken; the limit itself is inside."""
    settings = WEB if source == "web" else OFFLINE
    for seconds, fires in ((across, True), (inside, False)):
        when = pd.Timestamp(NOW) - pd.Timedelta(seconds=seconds)
        found = rules(example_rows(2, event_time=when, action_source=source), settings)
        assert (rule in found) is fires
        assert found <= {rule, "T22", "T28"}


@pytest.mark.parametrize(("settings", "source"), [(WEB, "web"), (OFFLINE, "store")])
def test_denied_consent_is_an_error(settings: dict[str, str], source: str) -> None:
    """T08 names the denied row alone; an answer nobody gave is no denial."""
    rows = example_rows(3, consent_ad_user_data=["granted", "denied", None], action_source=source)
    problems = [p for p in WIRE.validate(rows, settings, now=NOW) if p.rule == "T08"]
    assert [(p.row_id, p.level) for p in problems] == [("order-1002", Level.ERROR)]


def test_what_is_no_fault() -> None:
    """Zero is a value; a good row has no warning; the test code is warned of."""
    assert rules(example_rows(value=0.0)) == set()
    assert rules(example_rows(), WEB | {"test_event_code": "TEST00001"}) == {"T26"}
    late = example_rows(1, event_time=pd.Timestamp(NOW) - pd.Timedelta(hours=2))
    assert rules(late) == {"T22"}


def test_too_thin_to_match() -> None:
    """Address and network alone are sent, with a warning; both halves of IP and user agent are enough."""
    bare = dict.fromkeys(["email", "phone", "external_id", "ttclid", "ttp"])
    assert rules(example_rows(1, **bare)) == set()
    assert rules(example_rows(1, **bare, user_agent=None)) == {"T32"}


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("Batch.0.properties.contents.4.content_id: Not a valid string", "a"),
        ("2.user.email: wrong", "c"),
        ("Batch.0.event: wrong; Batch.2.event: wrong", "ac"),
        ("data.1.event_time: Missing data", "b"),
    ],
)
def test_named_rows_alone_are_rejected(message: str, named: str) -> None:
    """The others were refused for nothing of their own, and nobody repeats TikTok's text."""
    outcomes = replied(40002, message)
    assert {o.row_id for o in outcomes if o.status is OutcomeStatus.REJECTED} == set(named)
    assert {o.status for o in outcomes if o.row_id not in named} <= {OutcomeStatus.RETRY}
    assert all("content_id" not in o.message for o in outcomes)


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value for event_id: not a valid string.",
        "Invalid value for email: mary.1.smith@example.com",
        "open_api/v1.3.1 is wrong",
        "Batch.9999999.event: wrong",
        "Batch.3.event: wrong",
        None,
        ["Batch.0.event"],
    ],
)
def test_without_a_name_nobody_is_innocent(message: object) -> None:
    """Numbers in quoted values, versions and rows that were never sent name no row."""
    assert {o.status for o in replied(40002, message)} == {OutcomeStatus.REJECTED}


def test_only_the_code_tells() -> None:
    """HTTP 200 is no success by itself, and code 0 under an error status is none either."""
    assert {o.status for o in replied(40105)} == {OutcomeStatus.REJECTED}
    assert {o.status for o in replied(0)} == {OutcomeStatus.ACCEPTED}
    assert {o.status for o in replied(0, status=503)} == {OutcomeStatus.RETRY}
    assert {o.status for o in replied(40050)} == {OutcomeStatus.ACCEPTED}
    assert {o.status for o in replied(20001)} == {OutcomeStatus.UNKNOWN}
    assert {o.status for o in replied(True)} == {OutcomeStatus.UNKNOWN}
    assert {o.code for o in replied(10**80)} == {str(10**80)[:80]}


def test_credentials_and_quotas_are_nobodys_fault() -> None:
    """No smaller batch would mend them."""
    for code in ("40001", "40101", "40102", "40104", "40105", "40106", "40118", "40130", "40100", "50002", "51067"):
        rule = SPEC.route().status_of(code)
        assert rule.row_fault is False
    assert SPEC.route().status_of("40002").row_fault is True


@pytest.mark.parametrize(
    ("items", "contents"),
    [
        ('[{"id":"a","quantity":"3","price":"1.5","name":"Mug"}]', [{"id": "a", "n": "Mug", "q": 3, "p": 1.5}]),
        ('[{"id":"a","quantity":1.5,"price":NaN}]', [{"id": "a"}]),
        ('[{"id":"a","quantity":true,"price":1e999,"name":""}]', [{"id": "a"}]),
        ('[{"id":0},{"id":""},{"id":null},{"id":["x"]},{"id":true},7,null]', [{"id": "0"}]),
        ('{"id":"a"}', None),
        ("[" * 100_000, None),
        ("", None),
        (None, None),
    ],
)
def test_line_items_are_read_or_left_out(items: str | None, contents: object) -> None:
    """Whatever the text holds, a line has an id, whole quantities and finite prices, or is not there."""
    from capi_lab.platforms.rows import Rows

    rows = Rows(example_rows(1).assign(items=items), SPEC)
    names = {"id": "id", "name": "n", "quantity": "q", "price": "p"}
    assert rows.contents(names) == [contents]
    json.dumps(rows.contents(names), allow_nan=False)
