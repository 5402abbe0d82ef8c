"""What is special about Microsoft: two products, one click id in four spellings, errors by index."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import InputError
from capi_lab.identity.rules import KEY_RULES
from capi_lab.platforms.microsoft.clickid import PATTERN, click_id
from capi_lab.platforms.microsoft.codes import NUMBER_OF, OFFLINE_CODES, UET_CODES
from capi_lab.platforms.microsoft.uet_spec import DETAILS_LISTED, USER_FIELDS
from capi_lab.platforms.route import OutcomeStatus
from capi_lab.platforms.wire import Level, Reply
from capi_lab.words import Channel
from tests.contracts.examples import NOW, SETTINGS, example_rows, wire_of

SPEC = cl.PLATFORMS["microsoft"].spec
HEX = "dd4afcccb1c9a4cad9544dd7e5006abc"
DASHED = "dd4afccc-b1c9-a4ca-d954-4dd7e5006abc"
JANE = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"  # user@example.com, the sheet's vector


def found(route: str, level: Level, n: int = 1, /, **columns: object) -> set[str]:
    """Rule ids of one level for example rows with these columns changed."""
    rows = example_rows(n, **columns)
    problems = wire_of("microsoft", route).validate(rows, SETTINGS["microsoft", route], now=NOW)
    return {problem.rule for problem in problems if problem.level is level}


# -- click ids ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling",
    [HEX, HEX.upper(), DASHED, DASHED.upper(), "_uet" + HEX, HEX + "-0", HEX + "-1", HEX + "-1N", f"_uet{DASHED}-1N"],
)
def test_every_spelling_is_one_click(spelling: str) -> None:
    """URL, cookie, beacon and GUID spelling give the same id, each product its own form of it."""
    assert click_id(spelling, dashed=False) == HEX
    assert click_id(spelling, dashed=True) == DASHED


@pytest.mark.parametrize(
    "damaged",
    [
        *(None, "", "x", HEX[:-1], HEX + "0", HEX[:-1] + "g", f" {HEX}", HEX + "\n", "٣" * 32, f"{{{DASHED}}}"),
        *(HEX + "-2", HEX + "-1n", "_UET" + HEX, "uet" + HEX, "dd4afcccb1c9-a4cad9544dd7e5006abc"),
        "dd4afcccb1c9a4cad9544dd7e5006",
    ],
)
def test_what_is_no_whole_click_id_gives_nothing(damaged: str | None) -> None:
    """Nothing is repaired: cut, padded or foreign ids are left out (Microsoft's own sample has 29 digits)."""
    assert click_id(damaged, dashed=True) is None
    assert click_id(damaged, dashed=False) is None


@given(st.uuids(), st.sampled_from(["", "_uet"]), st.sampled_from(["", "-0", "-1", "-1N"]))
def test_forms_convert_into_each_other(guid: UUID, before: str, after: str) -> None:
    """Each form read again gives the same id, for any GUID."""
    for text in (before + guid.hex + after, before + str(guid) + after):
        assert click_id(text, dashed=True) == str(guid)
        assert click_id(click_id(text, dashed=True), dashed=False) == guid.hex


@given(st.text(max_size=50))
def test_any_text_is_an_id_or_nothing(text: str) -> None:
    """No text breaks the reader."""
    result = click_id(text, dashed=False)
    assert result is None or (len(result) == 32 and UUID(result).hex == result)


def test_the_spec_judges_shapes_as_the_reader_does() -> None:
    """The pattern the docs and the loaders see is the reader's own."""
    assert SPEC.click_id("msclkid").pattern == PATTERN


# -- facts -------------------------------------------------------------------------------------------------


def test_offline_dedup_is_by_click_goal_time_and_hashes() -> None:
    """First upload wins for ever, among uploads only; a lacking hash equals a lacking hash."""
    rule = SPEC.route("offline").dedup
    assert rule.key == ("msclkid", "event_name", "event_time", "email", "phone")
    assert rule.missing_matches == ("msclkid", "email", "phone")
    assert (rule.window, rule.channels, rule.merges_same_channel) == (None, (Channel.CAPI,), True)
    assert SPEC.dedup is rule


def test_uet_dedup_is_by_event_name_and_id() -> None:
    """Tag and server, names blind to case; 7 days are our assumption."""
    route = SPEC.route("uet")
    assert route.dedup.key == ("event_name", "event_id")
    assert route.dedup.blind_to_case == ("event_name",)
    assert route.dedup.window == timedelta(days=7)
    assert route.dedup.channels == (Channel.PIXEL, Channel.CAPI)
    assert route.sources["dedup.window"].confidence == "assumed"


def test_the_spec_names_the_key_rules() -> None:
    """Both routes take the platform's keys; the offline one takes the hashed ones only."""
    assert {key.source: key.normalise for key in SPEC.match_keys} == {
        key: rule.normaliser for key, rule in KEY_RULES["microsoft"].items()
    }
    assert set(USER_FIELDS) == set(KEY_RULES["microsoft"])
    sent = {field.column for field in SPEC.route("offline").fields}
    assert sent & set(KEY_RULES["microsoft"]) == {key.source for key in SPEC.match_keys if key.hashed}


def test_every_named_error_has_a_rule() -> None:
    """Names lead to numbers that are there; credentials, settings and quotas are no row's fault."""
    offline = SPEC.route("offline")
    assert all(offline.status_of(number) for number in NUMBER_OF.values())
    assert len(set(NUMBER_OF.values())) == len(NUMBER_OF)
    for code in ("105", "106", "109", "117", "1029", "1030", "5606", "5615"):
        assert offline.status_of(code).row_fault is False, code
    assert offline.status_of("5604").row_fault is True
    assert SPEC.route("uet").status_of("Unauthorized").row_fault is False
    assert offline.status_of("5615").retry_after == timedelta(hours=2)
    for rule in (*OFFLINE_CODES, *UET_CODES):
        assert rule.meaning
        assert rule.remedy or rule.status is OutcomeStatus.RETRY, rule.code


# -- offline -----------------------------------------------------------------------------------------------


def test_two_credentials_are_named_and_neither_is_sent_by_encode() -> None:
    """Customer ids are headers from the settings; tokens are added when sent."""
    wire = wire_of("microsoft", "offline")
    assert wire.route.auth.credentials == ("MICROSOFT_ACCESS_TOKEN", "MICROSOFT_DEVELOPER_TOKEN")
    assert "DeveloperToken" in wire.route.auth.note
    (request,) = wire.encode(example_rows(), SETTINGS["microsoft", "offline"])
    assert request.headers == {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "CustomerId": "1234567",
        "CustomerAccountId": "7654321",
    }


@pytest.mark.parametrize("name", ["", " ", "x" * 101, " padded", "padded ", "two\nlines"])
def test_goal_names_microsoft_could_not_have_are_refused(name: str) -> None:
    """A goal's name has 1 to 100 characters."""
    settings = SETTINGS["microsoft", "offline"]
    with pytest.raises(InputError, match="conversion_name"):
        wire_of("microsoft", "offline").encode(example_rows(), settings | {"conversion_name": name})
    wire_of("microsoft", "offline").encode(example_rows(), settings | {"conversion_name": "x" * 100})


def test_values_are_numbers_of_three_decimals() -> None:
    """Binary dust goes, more decimals are rounded and warned of; whole and missing values stay what they are."""
    rows = example_rows(5, value=[0.1 + 0.2, 1.23456, 1000.0, 0.0, float("nan")])
    (request,) = wire_of("microsoft", "offline").encode(rows, SETTINGS["microsoft", "offline"])
    values = [one.get("ConversionValue") for one in request.json["OfflineConversions"]]
    assert values == [0.3, 1.235, 1000.0, 0.0, None]
    assert json.dumps(values[:2]) == "[0.3, 1.235]"
    assert "O25" in found("offline", Level.WARNING, value=[1.23456])
    assert "O25" not in found("offline", Level.WARNING, value=[1.234])


EARLY = pd.Timestamp(NOW) - pd.Timedelta("91D")
LATER = pd.Timestamp(NOW) + pd.Timedelta("1s")
KEYLESS = {"email": None, "phone": None, "external_id": None}


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        ("O01", {"event_time": EARLY, "click_time": None}),
        ("O02", {"event_time": LATER}),
        ("O03", KEYLESS | {"msclkid": None}),
        ("O03", KEYLESS | {"msclkid": "cut-off"}),
        ("O03", {"email": "no-at-sign.example.com", "phone": "12", "msclkid": None}),
        ("O04", {"click_time": pd.Timestamp(NOW)}),
        ("O05", {"currency": "eur"}),
        ("O06", {"value": -0.01}),
        ("O06", {"value": float("inf")}),
        ("O06", {"value": 1e12}),
        ("O07", {"consent_ad_user_data": "denied"}),
    ],
)
def test_offline_errors(rule: str, columns: dict[str, object]) -> None:
    """What Microsoft would refuse, or could not use, is an error; the untouched row has none."""
    assert found("offline", Level.ERROR, 1, **columns) == {rule}
    assert found("offline", Level.ERROR) == set()


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        ("O20", {"msclkid": None}),
        ("O21", {"msclkid": "cut-off"}),
        ("O22", {"click_time": EARLY}),
        ("O24", {"email": "no-at-sign.example.com"}),
        ("O24", {"phone": "425-555-1234", "country": None}),
        ("O25", {"value": 1.23456}),
        ("O27", {"currency": None}),
    ],
)
def test_offline_warnings(rule: str, columns: dict[str, object]) -> None:
    """What can be sent with a loss is a warning; the untouched row has none."""
    assert rule in found("offline", Level.WARNING, 1, **columns)
    assert found("offline", Level.WARNING) == set()


def test_offline_duplicates_are_those_of_what_is_sent() -> None:
    """Two spellings of one click and one e-mail are one; another second is another conversion."""
    when = pd.Timestamp(NOW) - pd.Timedelta("1h")
    same = {"msclkid": [HEX, DASHED], "email": ["user@example.com", JANE.upper()]}
    assert "O23" in found("offline", Level.WARNING, 2, event_time=when, **same)
    assert "O23" in found("offline", Level.WARNING, 2, event_time=when, **(same | {"phone": None, "msclkid": None}))
    assert "O23" not in found("offline", Level.WARNING, 2, **same)


def test_several_events_into_one_goal_are_warned_of() -> None:
    """The goal is a setting, so rows of another event would count as that goal."""
    assert "O26" in found("offline", Level.WARNING, 3, event_name=["purchase", "purchase", "lead"])


# -- UET ---------------------------------------------------------------------------------------------------


def test_flags_belong_to_the_envelope() -> None:
    """Beside ``data``, never inside an event; good events pass beside bad ones."""
    (request,) = wire_of("microsoft", "uet").encode(example_rows(), SETTINGS["microsoft", "uet"])
    assert set(request.json) == {"data", "continueOnValidationError", "dataProvider"}
    assert request.json["continueOnValidationError"] is True
    assert request.url == "https://capi.uet.microsoft.com/v1/187654321/events"
    for event in request.json["data"]:
        assert event["eventType"] == "custom"
        assert isinstance(event["eventTime"], int)
        assert len(str(event["eventTime"])) == 10
        assert event["userData"]["msclkid"] == "01234567-89ab-cdef-0123-456789abcdef"


def test_consent_is_sent_only_where_known() -> None:
    """Microsoft takes a missing answer for a yes, so a missing one is warned of, never invented."""
    rows = example_rows(2, consent_ad_user_data=["granted", None])
    (request,) = wire_of("microsoft", "uet").encode(rows, SETTINGS["microsoft", "uet"])
    assert [event.get("adStorageConsent") for event in request.json["data"]] == ["G", None]


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        ("U01", {"event_time": pd.Timestamp(NOW) - pd.Timedelta("8D"), "click_time": None}),
        ("U02", {"event_time": LATER}),
        ("U03", KEYLESS | {"msclkid": None}),
        ("U04", {"page_url": "/thanks"}),
        ("U04", {"page_url": "ftp://shop.example/x"}),
        ("U05", {"currency": "EURO"}),
        ("U06", {"value": -1.0}),
        ("U07", {"consent_ad_user_data": "denied"}),
    ],
)
def test_uet_errors(rule: str, columns: dict[str, object]) -> None:
    """Address and browser alone identify nobody; an external id does."""
    assert found("uet", Level.ERROR, 1, **columns) == {rule}
    assert found("uet", Level.ERROR, 1, email=None, phone=None, msclkid=None) == set()


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        ("U20", {"event_id": None}),
        ("U21", {"msclkid": "cut-off"}),
        ("U22", {"click_time": EARLY}),
        ("U24", {"client_ip": "10.0.0.1"}),
        ("U25", {"referrer_url": "shop.example"}),
        ("U26", {"consent_ad_user_data": None}),
        ("U27", {"click_time": pd.Timestamp(NOW)}),
    ],
)
def test_uet_warnings(rule: str, columns: dict[str, object]) -> None:
    """What can be sent with a loss is a warning; the untouched row has none."""
    assert rule in found("uet", Level.WARNING, 1, **columns)
    assert found("uet", Level.WARNING) == set()


def test_uet_duplicates_are_blind_to_case_and_need_an_id() -> None:
    """The names are compared without case, the ids exactly; two lacking ids are two events."""
    assert "U23" in found("uet", Level.WARNING, 2, event_name=["purchase", "Purchase"], event_id="a")
    assert "U23" not in found("uet", Level.WARNING, 2, event_id=["a", "A"])
    assert "U23" not in found("uet", Level.WARNING, 2, event_id=None)


# -- both --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["offline", "uet"])
def test_no_rows_no_problems(route: str) -> None:
    """An empty table is no error."""
    wire = wire_of("microsoft", route)
    assert wire.validate(example_rows(1).iloc[:0], SETTINGS["microsoft", route], now=NOW) == []


@pytest.mark.parametrize("route", ["offline", "uet"])
def test_replies_that_echo_the_row_are_not_repeated(route: str) -> None:
    """Microsoft's texts may hold what was sent; ours do not."""
    wire = wire_of("microsoft", route)
    (request,) = wire.encode(example_rows(2), SETTINGS["microsoft", route])
    echo = {
        "Message": "jane@x.org",
        "Details": "jane@x.org",
        "errorMessage": "jane@x.org",
        "attemptedValue": "jane@x.org",
    }
    names = {"ErrorCode": "jane@x.org", "errorCode": "jane@x.org", "Index": 0, "index": 0}
    bodies = [
        {"PartialErrors": [echo | names]},
        {"Errors": [echo | names]},
        {"eventsReceived": 1, "error": {"code": "jane@x.org", "details": [echo | names]}},
    ]
    for body in bodies:
        for status in (200, 400):
            assert "jane" not in repr(wire.decode(Reply(status, {}, body), request))


@pytest.mark.parametrize("extra", [0, 1, 5])
def test_a_full_list_of_details_hides_the_rest(extra: int) -> None:
    """Ten findings are listed at most: beyond them only the count can clear an event."""
    wire = wire_of("microsoft", "uet")
    (request,) = wire.encode(example_rows(DETAILS_LISTED + 5), SETTINGS["microsoft", "uet"])
    details = [{"index": i, "errorCode": "InvalidEventTime", "isWarning": False} for i in range(DETAILS_LISTED)]
    body = {"eventsReceived": 5 - extra, "error": {"code": "ValidationError", "details": details}}
    outcomes = wire.decode(Reply(200, {}, body), request)
    assert {one.status for one in outcomes[:DETAILS_LISTED]} == {OutcomeStatus.REJECTED}
    rest = {one.status for one in outcomes[DETAILS_LISTED:]}
    assert rest == {OutcomeStatus.UNKNOWN if extra else OutcomeStatus.ACCEPTED}
