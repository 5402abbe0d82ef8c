"""What every wire promises, whoever's it is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import ContractError, InputError
from capi_lab.platforms.route import OutcomeStatus
from capi_lab.platforms.rules import Assumption
from capi_lab.platforms.wire import Level, Outcome, Reply, Request, Wire
from capi_lab.sources import Confidence
from tests.contracts.examples import IDS, NOW, PERSON, ROUTES, SETTINGS, example_rows, wire_of

everywhere = pytest.mark.parametrize(("platform", "route"), ROUTES, ids=lambda v: v)


def paths(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every leaf of a body as dotted path, ``[]`` for list members."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value):
        for inner in value:
            yield from paths(inner, f"{prefix}[]")
    else:
        yield prefix, value


def encoded(platform: str, route: str, rows: pd.DataFrame) -> list[Request]:
    return wire_of(platform, route).encode(rows, SETTINGS[platform, route])


@everywhere
def test_wire_is_a_wire(platform: str, route: str) -> None:
    """Each has its facts at hand, and the platform's default route comes first."""
    wire = wire_of(platform, route)
    assert isinstance(wire, Wire)
    assert (wire.spec.name, wire.route.name) == (platform, route)
    assert cl.PLATFORMS[platform].wire().route is wire.spec.routes[0]
    assert set(cl.PLATFORMS[platform].wires) == {one.name for one in wire.spec.routes}


@everywhere
def test_good_rows_have_no_errors(platform: str, route: str) -> None:
    """The example conversions pass; what is warned of names rule and row."""
    problems = wire_of(platform, route).validate(example_rows(), SETTINGS[platform, route], now=NOW)
    assert [p for p in problems if p.level is Level.ERROR] == []


@everywhere
def test_only_known_fields_and_no_nulls(platform: str, route: str) -> None:
    """A body holds fields of the spec only, never null, never empty text, never a non-finite number."""
    wire = wire_of(platform, route)
    known = {field.path for field in wire.route.fields}
    for rows in (example_rows(), example_rows(email=None, phone=None, items=None, value=None, currency=None)):
        (request,) = encoded(platform, route, rows)
        for path, value in paths(request.json):
            assert path in known, f"{path} is not in the spec"
            assert value is not None
            assert value != "", path
        json.dumps(request.json, allow_nan=False)


@everywhere
def test_batches_keep_order_and_limit(platform: str, route: str) -> None:
    """More rows than fit are split; every row is in one request, in order."""
    limit = wire_of(platform, route).route.limits.batch_rows
    rows = example_rows(limit + 1)
    requests = encoded(platform, route, rows)
    assert [len(r.row_ids) for r in requests] == [limit, 1]
    assert [row for r in requests for row in r.row_ids] == rows["conversion_id"].tolist()
    assert encoded(platform, route, rows.iloc[:0]) == []


@everywhere
def test_encode_is_pure(platform: str, route: str) -> None:
    """Same rows, same bodies; the rows are left as they were; the row index means nothing."""
    rows = example_rows()
    before = rows.copy(deep=True)
    once = encoded(platform, route, rows)
    assert once == encoded(platform, route, rows.set_axis([9, 4, 7]))
    pd.testing.assert_frame_equal(rows, before)


@everywhere
def test_no_raw_person_leaves(platform: str, route: str) -> None:
    """What must be hashed is nowhere in clear text, and a request's repr shows no body at all."""
    wire = wire_of(platform, route)
    (request,) = encoded(platform, route, example_rows())
    text = json.dumps(request.json)
    hashed = {key.source for key in wire.spec.match_keys if key.hashed}
    for key in ("email", "phone", "first_name", "last_name", "street"):
        if key in hashed or key not in {k.source for k in wire.spec.match_keys}:
            assert PERSON[key] not in text, key
    for value in PERSON.values():
        assert value not in repr(request) or value in ("US", "NY")


@everywhere
def test_hashed_rows_give_the_same_body(platform: str, route: str) -> None:
    """Rows whose keys are hashed already, by this platform's rule, are sent unchanged: nothing is hashed twice."""
    wire = wire_of(platform, route)
    keys = {
        key.source: cl.identity.hash_value(PERSON[key.source], key.source, platform, "US")
        for key in wire.spec.match_keys
        if key.hashed and key.source in PERSON
    }
    assert encoded(platform, route, example_rows(**keys)) == encoded(platform, route, example_rows())


@everywhere
def test_settings_are_checked(platform: str, route: str) -> None:
    """A missing, unknown or malformed setting is named, its value never shown."""
    wire, good = wire_of(platform, route), SETTINGS[platform, route]
    required = next(name for name in good if wire.route.setting(name).required)
    with pytest.raises(InputError, match=f"'{required}' is missing"):
        wire.encode(example_rows(), {k: v for k, v in good.items() if k != required})
    with pytest.raises(InputError, match="unknown setting no_such"):
        wire.encode(example_rows(), good | {"no_such": "x"})
    with pytest.raises(InputError, match=f"'{required}'") as caught:
        wire.encode(example_rows(), good | {required: "no good \n value"})
    assert "no good" not in str(caught.value)


@everywhere
def test_validate_needs_a_clock_with_a_zone(platform: str, route: str) -> None:
    """A naive clock is refused; broken rows break their contract."""
    wire = wire_of(platform, route)
    with pytest.raises(InputError, match="no zone"):
        wire.validate(example_rows(), SETTINGS[platform, route], now=datetime(2026, 1, 1))
    with pytest.raises(ContractError):
        wire.encode(example_rows().assign(conversion_id="same"), SETTINGS[platform, route])


@everywhere
def test_old_future_and_unconsented_rows_are_errors(platform: str, route: str) -> None:
    """Each route refuses what is too old, what has not happened yet, and what was not consented to."""
    wire = wire_of(platform, route)
    limits = wire.route.limits
    when = pd.Timestamp(NOW)
    rows = example_rows(
        3,
        event_time=[when - limits.max_age - pd.Timedelta("1min"), when + limits.future + pd.Timedelta("1min"), when],
        consent_ad_user_data=["granted", "granted", "denied"],
        click_time=None,
    )
    problems = wire.validate(rows, SETTINGS[platform, route], now=NOW)
    errors = {p.row_id for p in problems if p.level is Level.ERROR}
    assert errors == set(rows["conversion_id"])
    for problem in problems:
        assert problem.message
        assert not any(value in problem.message for value in PERSON.values() if len(value) > 3)


@everywhere
def test_a_row_nobody_can_match_is_an_error(platform: str, route: str) -> None:
    """Neither click id nor usable match key: sending it would be for nothing."""
    bare = dict.fromkeys([*PERSON, *example_rows().filter(like="id").columns.difference(["conversion_id", "event_id"])])
    bare |= dict.fromkeys(["fbc", "fbp", "ttp"])
    problems = wire_of(platform, route).validate(example_rows(1, **bare), SETTINGS[platform, route], now=NOW)
    assert any(p.level is Level.ERROR for p in problems)


@everywhere
def test_nothing_is_written_for_people_who_refused(platform: str, route: str) -> None:
    """A row whose consent is denied is not encoded, not even without its keys; a prepared table neither."""
    rows = example_rows(2, consent_ad_user_data=["granted", "denied"])
    with pytest.raises(InputError, match="denied in 1 rows"):
        encoded(platform, route, rows)


@everywhere
@pytest.mark.parametrize("nothing", ["", "null", "(not set)", "{{click id}}", "0"])
def test_placeholders_are_no_identifiers(platform: str, route: str, nothing: str) -> None:
    """An id that stands for nothing is neither counted as one nor sent; an empty text is never sent."""
    rows = example_rows(1, **dict.fromkeys([*IDS, "event_id", "external_id"], nothing), page_url="https://s.example/")
    (request,) = encoded(platform, route, rows)
    sent = [value for _, value in paths(request.json) if isinstance(value, str)]
    assert nothing not in sent
    bare = dict.fromkeys(PERSON) | dict.fromkeys(IDS, nothing)
    problems = wire_of(platform, route).validate(example_rows(1, **bare), SETTINGS[platform, route], now=NOW)
    assert any(p.level is Level.ERROR for p in problems)


@everywhere
def test_invented_currencies_are_errors(platform: str, route: str) -> None:
    """Three letters do not make a currency."""
    wire = wire_of(platform, route)
    problems = wire.validate(example_rows(1, currency="ZZZ"), SETTINGS[platform, route], now=NOW)
    assert any(p.level is Level.ERROR and "ISO" in p.message for p in problems)


def check_outcomes(outcomes: list[Outcome], request: Request) -> None:
    assert [one.row_id for one in outcomes] == list(request.row_ids)
    for one in outcomes:
        assert isinstance(one.status, OutcomeStatus)
        assert isinstance(one.code, str)
        assert isinstance(one.message, str)
        assert len(one.code) <= 120
        assert one.retry_after is None or one.retry_after >= 0


@everywhere
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_server_errors_are_retried(platform: str, route: str, status: int) -> None:
    """An overloaded or broken server without a readable body: the same rows again, after Retry-After."""
    (request,) = encoded(platform, route, example_rows())
    outcomes = wire_of(platform, route).decode(Reply(status, {"Retry-After": "7"}, None), request)
    check_outcomes(outcomes, request)
    assert {(one.status, one.retry_after) for one in outcomes} == {(OutcomeStatus.RETRY, 7.0)}


@everywhere
@pytest.mark.parametrize("body", [None, {}, [], "ok", 1, {"unexpected": True}])
def test_an_unreadable_success_is_unknown(platform: str, route: str, body: object) -> None:
    """HTTP 200 with a body that does not say so is no success, unless the route documents an empty body as one."""
    (request,) = encoded(platform, route, example_rows())
    outcomes = wire_of(platform, route).decode(Reply(200, {}, body), request)
    check_outcomes(outcomes, request)
    if body not in EMPTY_MEANS_ACCEPTED.get((platform, route), ()):
        assert OutcomeStatus.ACCEPTED not in {one.status for one in outcomes}


# Documented: Microsoft's PartialErrors may be null, missing or empty, and all mean "nothing rejected".
EMPTY_MEANS_ACCEPTED: dict[tuple[str, str], tuple[object, ...]] = {("microsoft", "offline"): ({},)}

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=20),
    st.sampled_from(["100", "0", "OK", "elements[0]", "events.events[1].x", "Index: 2, ERROR", "2804001", "190"]),
)  # fmt: skip
WORDS = """
error code error_subcode message data details elements status PartialErrors Index Code ErrorCode results index id
partialFailureError errors errorCode location fieldPathElements fieldName events_received eventsReceived requestId
fieldViolations field reason isWarning propertyName Errors OperationErrors BatchErrors serviceErrorCode request_id
""".split()  # noqa: SIM905 - a list of words reads better so
names = st.one_of(
    st.text(max_size=8),
    st.sampled_from(WORDS),
)
bodies = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=5)),
    max_leaves=25,
)


@everywhere
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_reply_breaks_decode(platform: str, route: str, data: st.DataObject) -> None:
    """Random JSON under any status gives one outcome per row, in order, and never an exception."""
    (request,) = REQUESTS[platform, route]
    reply = Reply(data.draw(st.integers(0, 999)), {"retry-after": data.draw(st.text(max_size=5))}, data.draw(bodies))
    check_outcomes(wire_of(platform, route).decode(reply, request), request)


REQUESTS = {(p, r): encoded(p, r, example_rows()) for p, r in ROUTES}


@everywhere
def test_every_fact_has_a_source(platform: str, route: str) -> None:
    """Each part of spec, route and dedup rule names its source; assumptions, and only they, say so."""
    wire = wire_of(platform, route)
    facts = {f.name for f in dataclasses.fields(wire.route)} - {"name", "title", "method", "hosts", "time", "sources"}
    facts -= {"dedup", "settings"}
    facts |= {f"dedup.{f.name}" for f in dataclasses.fields(wire.route.dedup) if getattr(wire.route.dedup, f.name)}
    facts -= {"dedup.channels"}
    assert facts <= set(wire.route.sources), facts - set(wire.route.sources)
    general = {"event_names", "match_keys", "click_ids", "consent", "windows", "reports"}
    assert general <= set(wire.spec.sources)
    if any(isinstance(window.end_inside, Assumption) for window in wire.spec.windows):
        assert wire.spec.sources["windows.end_inside"].confidence is Confidence.ASSUMED
    for name, source in {**wire.spec.sources, **wire.route.sources}.items():
        assert source.url.startswith("https://"), name
        assert source.checked <= NOW.date(), name
    for name, value in {
        "resend": wire.route.resend,
        **{f"dedup.{f.name}": getattr(wire.route.dedup, f.name) for f in dataclasses.fields(wire.route.dedup)},
    }.items():
        if isinstance(value, Assumption):
            assert wire.route.sources[name].confidence is Confidence.ASSUMED, name


@everywhere
def test_limits_are_sane(platform: str, route: str) -> None:
    """Batches hold at least one row, ages are positive, codes are unique, live hosts are known."""
    facts = wire_of(platform, route).route
    assert facts.limits.batch_rows >= 1
    assert facts.limits.max_age > timedelta(0)
    codes = [rule.code for rule in facts.codes]
    assert len(codes) == len(set(codes))
    assert any(host in facts.url for host in facts.hosts)
    assert facts.url.startswith("https://")
