"""Every route's server: takes what is right, refuses what is wrong in words its wire reads, counts by its rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import httpx
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError
from capi_lab.platforms.route import BadRow, OutcomeStatus
from capi_lab.platforms.rows import Rows
from capi_lab.platforms.server import Refusal
from capi_lab.platforms.wire import Outcome, Request
from tests.contracts.examples import IDS, NOW, PERSON, ROUTES, SETTINGS, example_rows, wire_of
from tests.sandbox.posting import opened, post

everywhere = pytest.mark.parametrize(("platform", "route"), ROUTES)


@pytest.fixture
def box() -> Iterator[cl.Sandbox]:
    with cl.Sandbox(seed=1, now=NOW) as running:
        yield running


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with opened() as shared:
        yield shared


def list_of(request: Request) -> str:
    """Name the list of rows in a body."""
    return next(key for key, value in request.json.items() if isinstance(value, list) and key != "destinations")


def rows_of(request: Request) -> list[dict[str, object]]:
    return request.json[list_of(request)]


def with_rows(request: Request, rows: list[object]) -> Request:
    """The same request with other rows."""
    body = {**request.json, list_of(request): rows}
    return dataclasses.replace(request, json=body, row_ids=tuple(map(str, range(len(rows)))))


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [str(one.status) for one in outcomes]


@everywhere
def test_good_rows_are_taken_and_counted_once(box, client, platform, route) -> None:
    """Rows the wire finds no fault with are accepted; sent again, they count as the route's rule says."""
    wire = wire_of(platform, route)
    (request,) = wire.encode(example_rows(4), SETTINGS[platform, route])
    for _ in range(2):
        reply = post(box, client, request, wire.route)
        assert statuses(wire.decode(reply, request)) == ["accepted"] * 4
    merges = wire.route.dedup.merges_same_channel
    assert box.counted(platform, route) == (4 if merges else 8)
    table = box.received(platform, route)
    assert len(table) == 8
    assert table["counted"].sum() == box.counted(platform, route)
    assert table["accepted"].all() or Refusal.THERE_BY_CLICK in wire.route.server.refusals
    assert set(table["event_time"]) == set(example_rows(4)["event_time"])


@everywhere
def test_one_bad_row_does_what_the_route_says(box, client, platform, route) -> None:
    """A row that is too old sinks its batch or falls alone, and the wire finds it; the platform counts accordingly."""
    wire = wire_of(platform, route)
    rows = example_rows(5)
    rows.loc[2, "event_time"] -= pd.Timedelta(days=200)
    (request,) = wire.encode(rows, SETTINGS[platform, route])
    outcomes = wire.decode(post(box, client, request, wire.route), request)
    if "G23" in wire.route.server.late:  # taken, and told of afterwards
        assert statuses(outcomes) == ["accepted"] * 5
        assert box.counted(platform, route) == 4
    elif wire.route.bad_row is BadRow.SINKS_BATCH:
        assert outcomes[2].status == "rejected"
        assert {one.status for one in outcomes} <= {OutcomeStatus.REJECTED, OutcomeStatus.RETRY}
        assert box.counted(platform, route) == 0
    else:
        assert statuses(outcomes) == ["accepted", "accepted", "rejected", "accepted", "accepted"]
        assert box.counted(platform, route) == 4


@everywhere
def test_credentials_are_asked_for(box, client, platform, route) -> None:
    """Without a token, or with a wrong one, nothing is taken, and no row is blamed."""
    wire = wire_of(platform, route)
    (request,) = wire.encode(example_rows(2), SETTINGS[platform, route])
    for token in ("", "wrong"):
        outcomes = wire.decode(post(box, client, request, wire.route, token=token), request)
        assert statuses(outcomes) == ["rejected"] * 2
        rule = wire.route.status_of(outcomes[0].code)
        assert rule is not None
        assert not rule.row_fault
    assert box.counted(platform, route) == 0
    assert len(box.received(platform, route)) == 0


@everywhere
def test_bodies_are_held_to_form_and_limits(box, client, platform, route) -> None:
    """Empty and overlong batches, texts that are no JSON, and rows that are no objects are refused or rejected."""
    wire = wire_of(platform, route)
    (request,) = wire.encode(example_rows(2), SETTINGS[platform, route])
    row = rows_of(request)[0]
    longest = wire.route.limits.batch_rows
    for rows in ([], [row] * (longest + 1), ["no object", "at all"]):
        wrong = with_rows(request, rows)
        reply = post(box, client, wrong, wire.route)
        assert "accepted" not in statuses(wire.decode(reply, wrong))
    assert box.counted(platform, route) == 0


@everywhere
def test_fields_nobody_knows(box, client, platform, route) -> None:
    """Where the platform is strict about unknown fields the row is refused, elsewhere they are ignored."""
    wire = wire_of(platform, route)
    (request,) = wire.encode(example_rows(2), SETTINGS[platform, route])
    first, second = rows_of(request)
    wrong = with_rows(request, [{**first, "invented": 1}, second])
    outcomes = wire.decode(post(box, client, wrong, wire.route), wrong)
    strict = Refusal.UNKNOWN_FIELD in wire.route.server.refusals
    assert (outcomes[0].status == "rejected") is strict


SPOILED: dict[str, dict[str, object]] = {
    "nobody": dict.fromkeys([*PERSON, *IDS]),
    "money": {"currency": "XQQ"},
    "page": {"page_url": "no url"},
    "future": {"event_time": pd.Timestamp(NOW) + pd.Timedelta(days=2)},
    "negative": {"value": -1.0},
    "click": {"fbc": "fb.1.x", "msclkid": "0123"},
    "both braids": {"gclid": None, "gbraid": "g" * 30, "wbraid": "w" * 30},
    "lead": {"event_name": "invented"},
}


@everywhere
def test_a_row_the_wire_finds_no_fault_with_is_taken(box, client, platform, route) -> None:
    """Whatever the server refuses `validate` had named; what it tells afterwards too."""
    wire = wire_of(platform, route)
    rows = pd.concat([example_rows(1, **columns) for columns in SPOILED.values()], ignore_index=True)
    rows["conversion_id"] = rows["event_id"] = list(SPOILED)
    data = Rows(rows.astype(dict.fromkeys([*PERSON, *IDS], "str")), wire.spec)
    problems = wire.validate(data, SETTINGS[platform, route], now=NOW)
    named = {one.row_id for one in problems if one.level == "error"}
    (request,) = wire.encode(data, SETTINGS[platform, route])
    refused = 0
    for row_id, one in zip(request.row_ids, rows_of(request), strict=True):
        alone = with_rows(request, [one])
        outcome = wire.decode(post(box, client, alone, wire.route), alone)[0]
        refused += outcome.status == "rejected"
        assert row_id in named or outcome.status == "accepted", (row_id, outcome)
    # The Ads API's wire writes no row that breaks what its server has a code for, but for age.
    assert refused or route == "ads_api"


def test_every_refusal_is_a_code_the_wire_reads() -> None:
    """Whatever the server says is a rule of the route or one of the reasons it tells afterwards."""
    from capi_lab.platforms.google.codes import PROCESSING

    for platform, name in ROUTES:
        route = wire_of(platform, name).route
        server = route.server
        said = [*server.refusals.values(), *server.needs.values(), *server.malformed.values(), *server.dropped.values()]
        for code in [*said, *server.lacking.values()]:
            assert route.status_of(code) is not None, (platform, name, code)
        assert set(server.late.values()) <= set(PROCESSING)
        rules = {need.rule for need in route.needs} | {f"{need.rule}/{need.reason}" for need in route.needs}
        assert {*server.needs, *server.late} <= rules
        known = {field.path for field in route.fields}
        assert {*server.malformed, *server.dropped, *server.words} <= known
        assert set(server.headers.values()) | set(server.in_path) <= {one.name for one in route.settings}


@everywhere
def test_what_it_reads_is_what_was_sent(platform: str, route: str) -> None:
    """The server's own reading of a body agrees with `read_requests`, which was written apart from it."""
    from capi_lab.platforms.received import read_requests
    from capi_lab.sandbox.shape import Shape

    wire = wire_of(platform, route)
    (request,) = wire.encode(example_rows(3), SETTINGS[platform, route])
    frame = read_requests([request], wire.spec, wire.route)
    shape = Shape(wire.route)
    for at, row in enumerate(rows_of(request)):
        columns, faults = shape.row(row, list_of(request))
        assert not faults
        columns.pop("action_source", None)
        columns.pop("items", None)
        for name, value in columns.items():
            theirs = frame[name].iloc[at]
            if name == "event_time":
                assert theirs.timestamp() == value
            elif name == "value":
                assert theirs == float(value)
            else:
                assert theirs == (value[0] if isinstance(value, list) else value), name


def test_accepted_is_not_matched_is_not_attributed(client) -> None:
    """What is counted is matched as `answer` does, by click id or hashed keys, and attributed by the clicks."""
    rows = example_rows(40, email=[f"user{i}@example.com" for i in range(40)], phone=None, external_id=None)
    rows["fbc"] = [f"fb.1.1795399000123.click{i}" if i < 20 else None for i in range(40)]
    rows["user_key"] = rows["email"]
    clicks = pd.DataFrame(
        {
            "click_row_id": [f"c{i}" for i in range(20)],
            "platform": "meta",
            "param": "fbclid",
            "click_id": [f"click{i}" for i in range(20)],
            # Half of them lie outside the platform's window.
            "click_time": [pd.Timestamp(NOW) - pd.Timedelta(days=1 if i < 10 else 30) for i in range(20)],
            "id_source": "url",
            "user_key": rows["email"][:20].to_list(),
        }
    )
    all_know, none_knows = (dict.fromkeys(cl.PLATFORMS, share) for share in (1.0, 0.0))
    whole = dict.fromkeys(("cid_corrupt", "cid_foreign", "cid_invalid", "cid_optout"), 0.0)
    sure = cl.World(account=all_know, em_eq=all_know, **whole)
    wire = wire_of("meta", "capi")
    (request,) = wire.encode(rows, SETTINGS["meta", "capi"])
    with cl.Sandbox(seed=1, world=sure, clicks=clicks, conversions=rows, now=NOW) as box:
        post(box, client, request, wire.route)
        assert box.counted("meta") == box.matched("meta") == 40
        assert box.attributed("meta") == 10
    unknown = dict.fromkeys(("account", "signed_in_at_click", "ip_match"), none_knows)
    nobody = cl.World(cid_corrupt=1.0, **unknown)
    with cl.Sandbox(seed=1, world=nobody, now=NOW) as box:
        assert box.matched("meta") == 0
        post(box, client, request, wire.route)
        assert (box.counted("meta"), box.matched("meta")) == (40, 0)
        with pytest.raises(InputError, match="clicks"):
            box.attributed("meta")
