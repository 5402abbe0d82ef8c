"""What is special about Meta: every rule just across its boundary and just inside, and the facts as literals.

The literals are those of Meta's pages as read for the spec, written down here a second time on purpose.
"""

from __future__ import annotations

import inspect
import re
from datetime import timedelta

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError
from capi_lab.platforms.meta import wire as meta_wire
from capi_lab.platforms.meta.spec import ACTION_SOURCES
from capi_lab.platforms.route import BadRow, OutcomeStatus
from capi_lab.platforms.rules import Assumption, Keep
from capi_lab.platforms.wire import Level, Reply, Request
from capi_lab.words import Channel
from tests.contracts.examples import IDS, NOW, PERSON, SETTINGS, example_rows, wire_of

OWN = SETTINGS["meta", "capi"]
WIRE = wire_of("meta", "capi")
SPEC = cl.PLATFORMS["meta"].spec
SECOND = timedelta(seconds=1)
NOBODY = dict.fromkeys([*PERSON, *IDS])


def ago(**span: float) -> pd.Timestamp:
    """An instant before the clock; negative spans lie ahead of it."""
    return pd.Timestamp(NOW) - timedelta(**span)


def rules(rows: pd.DataFrame, settings: dict[str, str] = OWN) -> set[str]:
    return {problem.rule for problem in WIRE.validate(rows, settings, now=NOW)}


# Rule, what breaks it, what is just inside. Nothing else may fire, but for a warning named in `BESIDES`.
DAY = 86_400
BOUNDARIES = [
    ("M01", {"event_time": ago(seconds=7 * DAY + 1)}, {"event_time": ago(seconds=7 * DAY - 1)}),
    ("M01", {"event_time": ago(seconds=7 * DAY + 1)}, {"event_time": ago(days=7)}),
    (
        "M01",
        {"event_time": ago(seconds=62 * DAY + 1), "action_source": "store"},
        {"event_time": ago(seconds=62 * DAY - 1), "action_source": "store"},
    ),
    (
        "M01",
        {"event_time": ago(seconds=7 * DAY + 1), "action_source": "phone"},
        {"event_time": ago(seconds=7 * DAY + 1), "action_source": "store"},
    ),
    ("M02", {"event_time": ago(seconds=-61)}, {"event_time": ago(seconds=-59)}),
    ("M02", {"event_time": ago(seconds=-61)}, {"event_time": ago(seconds=-60)}),
    ("M03", NOBODY | {"action_source": "phone"}, NOBODY | {"action_source": "phone", "fbp": IDS["fbp"]}),
    ("M05", {"page_url": None}, {"page_url": None, "action_source": "phone"}),
    ("M05", {"user_agent": None}, {"user_agent": None, "action_source": "phone"}),
    ("M06", {"value": None}, {"value": 0.0}),
    ("M06", {"currency": None}, {"currency": None, "event_name": "lead"}),
    ("M06", {"value": None, "currency": None}, {"value": None, "currency": None, "event_name": "lead"}),
    ("M06", {"value": None, "event_name": "Purchase"}, {"value": None, "event_name": "our_purchase"}),
    ("M07", {"currency": "eur"}, {"currency": "JPY"}),
    ("M07", {"currency": "EURO"}, {"currency": "EUR"}),
    ("M08", {"value": -0.01}, {"value": 0.0}),
    ("M08", {"value": float("inf")}, {"value": 1e12}),
    ("M09", {"fbc": "fb.1.1795399000123"}, {"fbc": "fb.1.1795399000123.x"}),
    ("M09", {"fbc": "IwAR0-Example_Click"}, {"fbc": IDS["fbc"]}),
    ("M09", {"fbc": "fb.1.179539900.x"}, {"fbc": "fb.2.1795399000123.-_-"}),
    ("M09", {"fbc": IDS["fbc"] + ".abc"}, {"fbc": IDS["fbc"] + ".AQ"}),
    ("M09", {"fbc": IDS["fbc"] + ".AQQCAQIBx"}, {"fbc": IDS["fbc"] + ".AQQCAQIB"}),
    ("M10", {"action_source": "app"}, {"action_source": "chat"}),
    ("M11", {"consent_ad_user_data": "denied"}, {"consent_ad_user_data": None}),
    ("M12", {"action_source": None}, {"action_source": "other"}),
    (
        "M13",
        NOBODY | {"fbc": IDS["fbc"], "user_agent": "Mozilla/5.0", "click_time": ago(seconds=90 * DAY + 1)},
        NOBODY | {"fbc": IDS["fbc"], "user_agent": "Mozilla/5.0", "click_time": ago(days=90)},
    ),
    ("M20", {"event_id": None}, {"event_id": ["a", "b"]}),
    ("M21", {"fbc": "fb.1.1795399000.x"}, {"fbc": "fb.1.17953990001.x"}),
    ("M22", {"fbp": "fb.1.1795300000456.x"}, {"fbp": "fb.1.1795300000456.0"}),
    ("M23", {"event_time": ago(seconds=7_201)}, {"event_time": ago(seconds=7_199)}),
    ("M23", {"event_time": ago(seconds=7_201)}, {"event_time": ago(hours=2)}),
    ("M24", {"event_id": "same"}, {"event_id": ["same", "Same"]}),
    ("M24", {"event_id": "same"}, {"event_id": "same", "event_name": ["purchase", "lead"]}),
    ("M25", {"click_time": ago(seconds=90 * DAY + 1)}, {"click_time": ago(seconds=90 * DAY - 1)}),
    ("M25", {"click_time": ago(days=91)}, {"click_time": ago(days=91), "fbc": None}),
    ("M26", {"gender": "x"}, {"gender": "F"}),
    ("M26", {"phone": "12"}, {"phone": "(650) 555-1212"}),
    ("M26", {"client_ip": "10.0.0.1"}, {"client_ip": "2001:db8::7"}),
    ("M05", {"page_url": "/thanks"}, {"page_url": "http://shop.example"}),
]  # fmt: skip
BESIDES = {"M01": {"M23"}}
WITH = {"M13": {"M25"}}


@pytest.mark.parametrize(("rule", "across", "inside"), BOUNDARIES)
def test_each_rule_fires_and_stops_at_its_boundary(
    rule: str, across: dict[str, object], inside: dict[str, object]
) -> None:
    """One thing wrong, one rule; the nearest thing that is right, none."""
    assert rules(example_rows(2, **across)) == {rule} | WITH.get(rule, set())
    assert rules(example_rows(2, **inside)) <= BESIDES.get(rule, set())


def test_a_good_row_breaks_no_rule_and_the_tests_know_every_rule() -> None:
    """No rule of the wire goes untested: M04, M27 and M28 have tests of their own."""
    assert rules(example_rows()) == set()
    known = set(re.findall(r'"(M\d\d)"', inspect.getsource(meta_wire))) | {need.rule for need in WIRE.route.needs}
    assert known == {rule for rule, _, _ in BOUNDARIES} | {"M04", "M27", "M28"}


def test_errors_and_warnings() -> None:
    """M01 to M13 would cost the request or be for nothing; M20 and on can be sent."""
    for rule, across, _ in BOUNDARIES:
        levels = {p.level for p in WIRE.validate(example_rows(2, **across), OWN, now=NOW) if p.rule == rule}
        assert levels == {Level.ERROR if rule < "M20" else Level.WARNING}, rule


def test_the_row_is_named() -> None:
    """Among good rows, the bad one alone."""
    rows = example_rows(3, value=[1.0, None, 2.0], event_time=[ago(hours=1), ago(hours=1), ago(days=8)])
    found = [(p.row_id, p.rule) for p in WIRE.validate(rows, OWN, now=NOW)]
    assert found == [("order-1002", "M06"), ("order-1003", "M01")]


BROAD_GROUPS = [
    {"city", "country", "region", "postal_code", "gender", "user_agent"},
    {"date_of_birth", "user_agent"},
    {"first_name", "gender"},
    {"last_name", "gender"},
]


def test_identifiers_that_many_people_share() -> None:
    """Each of Meta's groups, whole and every member alone, is too broad; with one key of no group it is not."""
    for group in BROAD_GROUPS:
        for names in (group, *({name} for name in group)):
            columns = NOBODY | {name: PERSON[name] for name in names} | {"action_source": "phone"}
            assert rules(example_rows(1, **columns)) == {"M04"}, names
            for more in ("email", "phone", "external_id", "client_ip"):
                assert "M04" not in rules(example_rows(1, **columns | {more: PERSON[more]})), (names, more)
            for more in ("fbc", "fbp"):
                assert "M04" not in rules(example_rows(1, **columns | {more: IDS[more]})), (names, more)


@pytest.mark.parametrize(
    "names",
    [
        {"first_name", "last_name"},
        {"first_name", "city"},
        {"last_name", "user_agent"},
        {"date_of_birth", "gender"},
        {"date_of_birth", "postal_code"},
        {"first_name", "gender", "user_agent"},
    ],
)
def test_across_groups_nothing_is_too_broad(names: set[str]) -> None:
    """Only a subset of one group is refused, and two groups are not one."""
    columns = NOBODY | {name: PERSON[name] for name in names} | {"action_source": "phone"}
    assert rules(example_rows(1, **columns)) == set()


def test_a_key_that_cannot_be_used_does_not_count() -> None:
    """An e-mail address that gives nothing leaves gender and name too broad."""
    columns = NOBODY | {"first_name": "Jane", "gender": "f", "email": "n/a", "action_source": "phone"}
    assert rules(example_rows(1, **columns)) == {"M04", "M26"}


def test_order_ids_that_look_like_a_person_are_warned_of() -> None:
    """They go in clear text."""
    ids = ["jane@shop.example", "+14155550123", "14155550123", "order-7"]
    problems = WIRE.validate(example_rows(4, conversion_id=ids), OWN, now=NOW)
    assert [(p.row_id, p.rule) for p in problems] == [(ids[0], "M28"), (ids[1], "M28")]


def test_the_test_code_is_warned_of_on_every_row() -> None:
    """Such events still count."""
    problems = WIRE.validate(example_rows(3), OWN | {"test_event_code": "TEST12345"}, now=NOW)
    assert [(p.rule, p.level) for p in problems] == [("M27", Level.WARNING)] * 3


def test_limits_and_version_are_the_documented_ones() -> None:
    """1,000 events, 7 days, 62 for a store, v26.0; 60 s ahead are ours; one bad event sinks the request."""
    route = SPEC.route("capi")
    assert route.limits.batch_rows == 1000
    assert route.limits.max_age == timedelta(days=7)
    assert dict(route.limits.max_age_of) == {"store": timedelta(days=62)}
    assert route.limits.future == timedelta(seconds=60)
    assert route.limits.click_max_age == timedelta(days=90)
    assert route.setting("version").default == "v26.0"
    assert route.bad_row is BadRow.SINKS_BATCH
    assert route.hosts == ("graph.facebook.com",)
    (request,) = WIRE.encode(example_rows(), OWN)
    assert request.url == "https://graph.facebook.com/v26.0/1234567890/events"


def test_a_request_holds_a_thousand_events() -> None:
    """The next event opens another request; none is lost."""
    assert [len(r.json["data"]) for r in WIRE.encode(example_rows(1000), OWN)] == [1000]
    requests = WIRE.encode(example_rows(1001), OWN)
    assert [len(r.json["data"]) for r in requests] == [1000, 1]
    assert [len(r.row_ids) for r in requests] == [1000, 1]


def test_the_dedup_rule_is_the_documented_one() -> None:
    """48 h, first kept, the browser's copy within 5 minutes; external_id before fbp, browser first."""
    rule = SPEC.route("capi").dedup
    assert rule.key == ("event_name", "event_id")
    assert rule.window == timedelta(hours=48)
    assert rule.keep is Keep.FIRST
    assert (rule.prefer.channel, rule.prefer.within) == (Channel.PIXEL, timedelta(minutes=5))
    assert (rule.fallback.keys, rule.fallback.first) == (("external_id", "fbp"), Channel.PIXEL)
    assert (rule.fallback.window, rule.fallback.needs_no_id) == (None, False)
    assert rule.merge is None
    assert isinstance(rule.same_channel, Assumption)
    assert rule.merges_same_channel is False
    assert isinstance(SPEC.route("capi").resend, Assumption)


def test_action_sources_and_standard_events() -> None:
    """Our words to Meta's; all 17 standard events and the base pixel's PageView."""
    assert dict(ACTION_SOURCES) == {
        "web": "website",
        "app": "app",
        "store": "physical_store",
        "phone": "phone_call",
        "email": "email",
        "chat": "chat",
        "other": "other",
    }
    standard = (
        "AddPaymentInfo AddToCart AddToWishlist CompleteRegistration Contact CustomizeProduct Donate FindLocation "
        "InitiateCheckout Lead Purchase Schedule Search StartTrial SubmitApplication Subscribe ViewContent PageView"
    )
    assert set(SPEC.event_names.values()) == set(standard.split())
    assert len(SPEC.event_names) == 18
    for ours, theirs in (
        ("begin_checkout", "InitiateCheckout"),
        ("sign_up", "CompleteRegistration"),
        ("view_item", "ViewContent"),
        ("purchase", "Purchase"),
    ):
        assert SPEC.event_names[ours] == theirs


REJECTED, RETRY = OutcomeStatus.REJECTED, OutcomeStatus.RETRY


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        (["100", "100/2804001", "100/2804003", "100/2804050", "100/33", "100/34"], REJECTED),
        (["190", "3", "10", "200", "250", "299", "368"], REJECTED),
        (["1", "2", "5000", "negative"], RETRY),
        (["4", "17", "32", "341", "613"], RETRY),
        ([str(code) for code in range(80000, 80015)], RETRY),
    ],
)
def test_codes_are_the_documented_ones(codes: list[str], status: OutcomeStatus) -> None:
    """Throttled and internal errors go again; a block for policy, a permission or a bad parameter never."""
    for code in codes:
        rule = SPEC.route("capi").status_of(code)
        assert rule is not None, code
        assert rule.status is status, code
        (outcome,) = WIRE.decode(
            Reply(400, {}, {"error": error_of(code)}), Request("POST", "https://x", {}, None, ("a",))
        )
        assert (outcome.status, outcome.code) == (status, code)
        assert (outcome.retry_after is not None) is (status is RETRY)


def error_of(code: str) -> dict[str, int]:
    """The error as Meta writes it."""
    if code == "negative":
        return {"code": -7}
    name, _, sub = code.partition("/")
    return {"code": int(name)} | ({"error_subcode": int(sub)} if sub else {})


@pytest.mark.parametrize("code", ["0", "199", "300", "79999", "80015", "367", "369", "2804003"])
def test_neighbours_of_known_codes_are_unknown(code: str) -> None:
    """No range reaches further than documented."""
    assert SPEC.route("capi").status_of(code) is None


def test_without_an_action_source_nothing_is_written() -> None:
    """It is not guessed: validating says M12, encoding refuses."""
    with pytest.raises(InputError, match="action_source"):
        WIRE.encode(example_rows(1, action_source=None), OWN)
