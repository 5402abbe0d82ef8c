"""What the platforms tell afterwards, read by our own sender's read-back and by nothing else."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.platforms.google.status import IngestState, decode_status
from capi_lab.sandbox.telling import TELLERS
from tests.contracts.examples import NOW, ROUTES, SETTINGS, example_rows, wire_of
from tests.sandbox.posting import opened, post

LATER = NOW + timedelta(hours=1)
ALL = dict.fromkeys(cl.PLATFORMS, 1.0)
SURE = cl.World(account=ALL, em_eq=ALL, cid_corrupt=0.0, cid_foreign=0.0, cid_invalid=0.0, cid_optout=0.0)


def test_every_route_with_a_report_answers() -> None:
    """A report that a spec says there is, and none besides."""
    assert {key for key in ROUTES if wire_of(*key).route.reading is not None} == set(TELLERS)


def sent(box: cl.Sandbox, outbox: cl.Outbox, platform: str, route: str, rows: pd.DataFrame) -> None:
    plan = cl.plan(
        rows, platform, route=route, settings=SETTINGS[platform, route], outbox=outbox, now=NOW, host=box.url()
    )
    receipt = cl.send(plan, approve=plan.fingerprint, clock=lambda: NOW, sleep=lambda _: None, progress=False)
    assert receipt.rows["status"].eq("accepted").all()


def told(box: cl.Sandbox, outbox: cl.Outbox, platform: str, route: str, **settings: str) -> dict[str, float]:
    """Counts by metric, all together."""
    reports = cl.read_back(
        platform, route=route, settings=SETTINGS[platform, route] | settings, outbox=outbox, now=LATER, host=box.url()
    )
    whole = reports[reports["stratum"] == "all"]
    return whole.groupby("metric")["count"].sum().to_dict()


@pytest.mark.parametrize(("platform", "route"), sorted(TELLERS))
def test_read_back_tells_what_was_counted(platform: str, route: str) -> None:
    """Six rows sent, all matched in this world: whatever the platform tells of them is six."""
    settings = {"goal_ids": "77"} if wire_of(platform, route).route.reading.asks else {}
    with cl.Sandbox(seed=1, world=SURE, now=NOW) as box, cl.Outbox(":memory:") as outbox:
        assert told(box, outbox, platform, route, **settings) == {}
        sent(box, outbox, platform, route, example_rows(6))
        box.advance(timedelta(hours=1))
        found = told(box, outbox, platform, route, **settings)
        assert found.pop("received") == 6
        assert set(found.values()) <= {6}
        assert found or platform == "meta"  # which tells a score instead


def test_google_has_not_told_yet_and_counts_errors_by_reason() -> None:
    """Half an hour of nothing; then how many events came to nothing, and why, and never which."""
    wire = wire_of("google", "data_manager")
    rows = example_rows(5)
    rows.loc[1, "event_time"] -= pd.Timedelta(days=100)
    (request,) = wire.encode(rows, SETTINGS["google", "data_manager"])
    with cl.Sandbox(seed=1, now=NOW) as box, opened() as client:
        number = post(box, client, request, wire.route).json["requestId"]
        headers = {"Authorization": "Bearer sandbox"}

        def ask(**query: str) -> object:
            return client.get(f"{box.url()}/v1/requestStatus:retrieve", params=query, headers=headers)

        (status,) = decode_status(ask(requestId=number).json())
        assert (status.state, status.finished) == (IngestState.PROCESSING, False)
        box.advance(timedelta(minutes=30))
        (status,) = decode_status(ask(requestId=number).json())
        assert (status.state, status.records, status.errors) == (IngestState.PARTIAL_SUCCESS, 5, {"EVENT_TOO_OLD": 1})
        assert ask(requestId="none").status_code == 400
        headers["Authorization"] = "Bearer wrong"
        assert ask(requestId=number).status_code == 401


def test_microsoft_says_why_nothing_was_found() -> None:
    """In a world where nobody is known, and for a copy: reasons by count, and a success rate of none."""
    nobody = dict.fromkeys(cl.PLATFORMS, 0.0)
    world = cl.World(account=nobody, signed_in_at_click=nobody, ip_match=nobody, cid_corrupt=1.0)
    wire = wire_of("microsoft", "offline")
    (request,) = wire.encode(example_rows(3), SETTINGS["microsoft", "offline"])
    with cl.Sandbox(seed=1, world=world, now=NOW) as box, opened() as client:
        for _ in range(2):
            post(box, client, request, wire.route)
        headers = {
            "Authorization": "Bearer sandbox",
            "DeveloperToken": "sandbox",
            "CustomerId": "1",
            "CustomerAccountId": "2",
        }
        when = {"StartDateUtc": "2026-11-20T00:00:00Z", "EndDateUtc": "2026-11-24T00:00:00Z", "GoalIds": ["77"]}
        url = f"{box.url()}/CampaignManagement/v13/OfflineConversionReport/QueryByGoalIds"
        (goal,) = client.post(url, json=when, headers=headers).json()["OfflineGoalConversionSummaries"]
        assert (goal["OverallSuccessCount"], goal["OverallUnattributedCount"]) == ("0", "6")
        assert goal["OverallSuccessRate"] == 0
        assert {one["UnattributedReason"]: one["Count"] for one in goal["OverallAlerts"]} == {
            "DuplicateConversionKey": "3",
            "NoMatchingClickFound": "3",
        }
