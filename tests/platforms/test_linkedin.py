"""What is special about LinkedIn."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.platforms.linkedin.wire import _decimal
from capi_lab.platforms.route import OutcomeStatus
from capi_lab.platforms.rules import Assumption, Keep
from capi_lab.platforms.wire import Level, Outcome, Reply, Request
from tests.contracts.examples import NOW, example_rows, wire_of

RULE = {"conversion_id": "104012"}
WIRE = wire_of("linkedin", "capi")
SPEC = cl.PLATFORMS["linkedin"].spec


def rules(rows: pd.DataFrame, settings: dict[str, str] = RULE) -> set[str]:
    return {problem.rule for problem in WIRE.validate(rows, settings, now=NOW)}


def elements(rows: pd.DataFrame, settings: dict[str, str] = RULE) -> list[dict]:
    (request,) = WIRE.encode(rows, settings)
    return request.json["elements"]


def replied(status: int, body: object, n: int = 4, headers: dict[str, str] | None = None) -> list[Outcome]:
    return WIRE.decode(Reply(status, headers or {}, body), Request("POST", "https://x", {}, None, tuple("abcdef"[:n])))


def test_the_rule_is_the_documented_one() -> None:
    """One id is one event of the account, the tag's stays, no end is known, repeats of one channel are open."""
    rule = SPEC.dedup
    assert (rule.key, rule.window, rule.keep) == (("event_id",), None, Keep.PIXEL)
    assert isinstance(rule.same_channel, Assumption)
    assert rule.merges_same_channel is False
    assert rule.fallback is None
    assert isinstance(SPEC.route().resend, Assumption)


def test_headers_carry_version_and_method() -> None:
    """The version is a setting; no credential is among the headers."""
    (request,) = WIRE.encode(example_rows(), RULE | {"version": "202610"})
    assert request.headers == {
        "Content-Type": "application/json",
        "LinkedIn-Version": "202610",
        "X-Restli-Protocol-Version": "2.0.0",
        "X-RestLi-Method": "BATCH_CREATE",
    }


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_amounts_are_decimal_text(value: float) -> None:
    """The pattern LinkedIn takes, without an exponent, and the very number that was given."""
    text = _decimal(value)
    assert re.fullmatch(r"\d+(\.\d+)?", text)
    assert float(text) == value


def test_money_goes_together_or_not_at_all() -> None:
    """Half of it would be refused; what is no number is left out."""
    rows = example_rows(4, value=[1e16, -0.0, math.inf, math.nan])
    assert [e.get("conversionValue") for e in elements(rows)] == [
        {"currencyCode": "EUR", "amount": "10000000000000000"},
        {"currencyCode": "EUR", "amount": "0"},
        None,
        None,
    ]
    assert "conversionValue" not in elements(example_rows(1, currency=None))[0]


def test_user_ids_are_always_there() -> None:
    """Even empty: a user without the list is refused. IPv6 and private addresses are dropped."""
    ids = dict.fromkeys(["email", "li_fat_id", "client_ip"])
    assert elements(example_rows(1, **ids))[0]["user"]["userIds"] == []
    for address in ("2001:db8::7", "192.168.1.4", "999.1.1.1"):
        kinds = [one["idType"] for one in elements(example_rows(1, client_ip=address))[0]["user"]["userIds"]]
        assert kinds == ["SHA256_EMAIL", "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID"]


def test_names_go_in_pairs() -> None:
    """One name, or a version that does not know hashed ones, leaves userInfo out and is warned of."""
    for columns, settings in (
        ({"first_name": None}, RULE),
        ({"last_name": "n/a"}, RULE),
        ({}, RULE | {"version": "202608"}),
    ):
        rows = example_rows(1, **columns)
        assert "userInfo" not in elements(rows, settings)[0]["user"]
        assert "L23" in rules(rows, settings)
    assert "userInfo" not in elements(example_rows(1, first_name=None, last_name=None))[0]["user"]
    assert "L23" not in rules(example_rows(1, first_name=None, last_name=None))


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"currency": "eur"}, "L04"),
        ({"value": -1.0}, "L05"),
        ({"event_id": None}, "L20"),
        ({"event_id": "same"}, "L21"),
        ({"value": None}, "L22"),
        ({"currency": None}, "L22"),
        ({"client_ip": "2001:db8::7"}, "L24"),
        ({"li_fat_id": "broken id"}, "L26"),
        ({"event_name": ["lead", "purchase"]}, "L28"),
        ({"event_time": pd.Timestamp(NOW) - pd.Timedelta(days=2)}, "L29"),
    ],
)
def test_each_rule_fires(columns: dict[str, object], rule: str) -> None:
    """One thing wrong, one rule more."""
    assert rules(example_rows(2, **columns)) == {rule}
    assert rules(example_rows(2)) == set()


DAY = 86_400


@pytest.mark.parametrize(
    ("rule", "across", "inside"), [("L01", 90 * DAY + 1, 90 * DAY), ("L02", -1, 0), ("L29", DAY + 1, DAY)]
)
def test_times_at_their_boundary(rule: str, across: int, inside: int) -> None:
    """A second too much is one rule broken; the limit itself is inside, and not a second may lie ahead."""
    for seconds, fires in ((across, True), (inside, False)):
        found = rules(example_rows(2, event_time=pd.Timestamp(NOW) - pd.Timedelta(seconds=seconds)))
        assert (rule in found) is fires
        assert found <= {rule, "L29"}


def test_denied_consent_is_an_error() -> None:
    """L06 names the denied row alone; an answer nobody gave is no denial."""
    rows = example_rows(3, consent_ad_user_data=["granted", "denied", None])
    problems = WIRE.validate(rows, RULE, now=NOW)
    assert [(p.row_id, p.rule, p.level) for p in problems] == [("order-1002", "L06", Level.ERROR)]


def test_who_can_be_matched() -> None:
    """Phone is nothing to LinkedIn; names alone, or an external id alone (with a warning), are enough."""
    nobody = dict.fromkeys(["email", "li_fat_id", "client_ip", "external_id", "first_name", "last_name"])
    assert rules(example_rows(1, **nobody)) == {"L03"}
    assert rules(example_rows(1, **nobody | {"external_id": "u1"})) == {"L25"}
    assert rules(example_rows(1, **nobody | {"first_name": "Mary", "last_name": "O'Brien"})) == set()


@pytest.mark.parametrize(("version", "old"), [("202511", True), ("202512", False), ("202609", False), ("000000", True)])
def test_old_versions_are_warned_of(version: str, old: bool) -> None:
    """Eleven months is the end of the last month in which a version is sure to live."""
    assert ("L27" in rules(example_rows(1), RULE | {"version": version})) is old


@pytest.mark.parametrize(
    ("status", "message", "named"),
    [
        (422, "Index: 1, ERROR :: /x :: reason\nERROR :: /y :: reason\nIndex: 3, ERROR :: /x :: reason", "bd"),
        (400, "time is wrong, indices [0, 2] (0-indexed)", "ac"),
        (400, "time is wrong, indices [0] (0-indexed)", "a"),
    ],
)
def test_named_rows_alone_are_rejected(status: int, message: str, named: str) -> None:
    """The others were refused for nothing of their own, and nobody repeats LinkedIn's text."""
    outcomes = replied(status, {"status": status, "message": message})
    assert {o.row_id for o in outcomes if o.status is OutcomeStatus.REJECTED} == set(named)
    assert {o.row_id for o in outcomes if o.status is OutcomeStatus.RETRY} == set("abcd") - set(named)
    assert all("reason" not in o.message and "wrong, indices" not in o.message for o in outcomes)


@pytest.mark.parametrize(
    "message",
    ["ERROR :: /x", "indices [] (0-indexed)", "indices [99] ", "Index: 12345678901, ERROR", "indices [,,]", None, 4],
)
def test_without_a_name_nobody_is_innocent(message: object) -> None:
    """A refusal that names no row of ours is everybody's."""
    assert {o.status for o in replied(422, {"message": message})} == {OutcomeStatus.REJECTED}


def test_an_element_can_fail_alone() -> None:
    """Rest.li allows it: refused, throttled and unread rows inside a 200, each by its own status."""
    body = {
        "elements": [
            {"status": "201"},
            {"status": 401, "error": {"serviceErrorCode": 65600}},
            {"status": 503},
            {"status": 302},
        ]
    }
    outcomes = replied(200, body, headers={"retry-after": "3"})
    assert [(str(o.status), o.code, o.retry_after) for o in outcomes] == [
        ("accepted", "", None),
        ("rejected", "65600", None),
        ("retry", "http 503", 3.0),
        ("unknown", "", None),
    ]


def test_an_unknown_rule_is_said_to_be_one_of_two_things() -> None:
    """LinkedIn answers "No ad accounts found" to a rule id that does not exist."""
    (outcome,) = replied(403, {"message": "No ad accounts found", "status": 403}, n=1)
    assert "conversion rule" in outcome.message
    assert "role" in outcome.message
    assert SPEC.route().status_of("http 403").row_fault is False
