"""Sending over a real socket, with everything that goes wrong on the way."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ApprovalError, InputError, OutboxBusyError
from capi_lab.send import drain
from tests.contracts.examples import NOW, ROUTES, SETTINGS
from tests.send.door import CUT, LOSE, Door, door, taken
from tests.send.worlds import Clock, few, planned, sent, told

# Their replies here name no request: the id is in headers or fields that only these platforms send.
NAMELESS = {("linkedin", "capi"), ("microsoft", "uet")}


@pytest.fixture
def box() -> Iterator[Door]:
    with door() as one:
        yield one


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[cl.Outbox]:
    with cl.Outbox(tmp_path / "outbox.sqlite") as one:
        yield one


@pytest.mark.parametrize(("platform", "route"), ROUTES, ids=lambda v: v)
def test_running_everything_twice_sends_nothing_twice(box: Door, ledger: cl.Outbox, platform: str, route: str) -> None:
    """All rows leave in the exact bodies of the plan; the second run finds them accepted, under the same id."""
    plan = planned(box, ledger, platform, route=route)
    first = sent(plan)
    assert told(first) == [("accepted", "")] * 4
    assert first.rows["request_id"].tolist() == ["trace-1"] * 4 or (platform, route) in NAMELESS
    assert first.rows["sent_now"].all()
    again = planned(box, ledger, platform, route=route)
    assert sorted(set(again.rows["reason"])) == ["already_accepted"]
    second = sent(again)
    assert told(second) == [("accepted", "already_accepted")] * 4
    assert not second.rows["sent_now"].any()
    assert second.rows["sent_at"].tolist() == first.rows["sent_at"].tolist()
    assert box.sizes == [4]
    (body,) = [request.json for request in plan.bodies()]
    assert {k: v for k, v in box.bodies[0].items() if k != "access_token"} == body
    cl.tables.checked(cl.tables.RECEIPTS, second.rows)


def test_a_lost_answer_waits_for_a_person_where_a_resend_may_count_twice(box: Door, ledger: cl.Outbox) -> None:
    """Kept, but the answer was lost: unknown, held, never sent again by itself; a person settles it either way."""
    box.script = lambda number, rows: LOSE
    receipt = sent(planned(box, ledger, "meta"))
    assert told(receipt) == [("unknown", "no_answer")] * 4
    assert all("resolve" in text for text in receipt.rows["remedy"])
    assert box.sizes == [4]
    box.script = lambda number, rows: None
    held = planned(box, ledger, "meta")
    assert set(zip(held.rows["action"], held.rows["reason"], strict=True)) == {("hold", "outcome_unknown")}
    assert told(sent(held)) == [("unknown", "outcome_unknown")] * 4
    assert ledger.resolve("meta", ["order-1001"], arrived=True) == 1
    assert ledger.resolve("meta", ["order-1002"], arrived=False) == 1
    assert ledger.resolve("meta", ["order-1002"], arrived=True) == 0
    receipt = sent(planned(box, ledger, "meta"))
    assert told(receipt) == [
        ("accepted", "already_accepted"),
        ("accepted", ""),
        ("unknown", "outcome_unknown"),
        ("unknown", "outcome_unknown"),
    ]
    assert box.kept == {"order-1001": 1, "order-1002": 2, "order-1003": 1, "order-1004": 1}


@pytest.mark.parametrize("fault", [CUT, LOSE])
def test_a_lost_answer_is_sent_again_where_a_resend_counts_once(box: Door, ledger: cl.Outbox, fault: str) -> None:
    """The same bytes go again at once, and within the window in a later run; after it they are held."""
    box.script = lambda number, rows: fault if number == 0 else None
    receipt = sent(planned(box, ledger, "tiktok"))
    assert told(receipt) == [("accepted", "")] * 4
    assert receipt.rows["attempts"].tolist() == [2.0] * 4
    assert box.bodies[0] == box.bodies[1]
    box.script = lambda number, rows: fault
    more = few(4, conversion_id=[f"later-{i}" for i in range(4)], event_id=[f"later-{i}" for i in range(4)])
    assert told(sent(planned(box, ledger, "tiktok", more))) == [("unknown", "no_answer")] * 4
    soon = planned(box, ledger, "tiktok", more, now=NOW + timedelta(hours=47))
    assert set(soon.rows["reason"]) == {"safe_resend"}
    changed = planned(box, ledger, "tiktok", more.assign(value=1.0), now=NOW + timedelta(hours=47))
    assert set(changed.rows["reason"]) == {"outcome_unknown"}
    bare = planned(box, ledger, "tiktok", more.assign(event_id=None), now=NOW + timedelta(hours=47))
    assert set(bare.rows["reason"]) == {"outcome_unknown"}
    late = planned(box, ledger, "tiktok", more, now=NOW + timedelta(hours=49))
    assert set(late.rows["reason"]) == {"outcome_unknown"}
    box.script = lambda number, rows: None
    assert told(sent(soon)) == [("accepted", "")] * 4


def test_nothing_left_means_nothing_in_doubt(ledger: cl.Outbox) -> None:
    """Nobody listens: the rows stay pending, and go when somebody does."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = Door()
        nobody.url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        receipt = sent(planned(nobody, ledger, "meta"))
    assert told(receipt) == [("retry", "no_connection")] * 4
    with door() as box:
        assert told(sent(planned(box, ledger, "meta"))) == [("accepted", "")] * 4
        assert set(box.kept.values()) == {1}


def test_a_short_wait_is_waited_for_and_a_long_one_is_planned(box: Door, ledger: cl.Outbox) -> None:
    """Retry-After of seconds is slept, of hours written down; the plan holds the rows until then."""
    box.script = lambda number, rows: (429, {"Retry-After": "7"}, {}) if number == 0 else None
    clock = Clock()
    receipt = sent(planned(box, ledger, "meta"), clock)
    assert told(receipt) == [("accepted", "")] * 4
    assert clock.slept == [7.0]
    box.script = lambda number, rows: (429, {"Retry-After": "7200"}, {})
    more, clock = few(1, conversion_id="later", event_id="later"), Clock()
    receipt = sent(planned(box, ledger, "meta", more), clock)
    assert told(receipt) == [("retry", "http 429")]
    assert receipt.rows["not_before"].tolist() == [pd.Timestamp(NOW) + pd.Timedelta(hours=2)]
    assert clock.slept == []
    box.script = lambda number, rows: None
    waiting = planned(box, ledger, "meta", more, now=NOW + timedelta(minutes=119))
    assert set(waiting.rows["reason"]) == {"waiting"}
    assert told(sent(waiting)) == [("retry", "waiting")]
    later = planned(box, ledger, "meta", more, now=NOW + timedelta(minutes=121))
    assert told(sent(later)) == [("accepted", "")]


def test_a_click_the_platform_cannot_know_yet_is_waited_for(box: Door, ledger: cl.Outbox) -> None:
    """Google knows a click after six hours: the row is still to be sent, and is sent by a later plan."""
    rows = few(2, gclid=["EAIaIQobChMI0000000001", None], click_time=pd.Timestamp(NOW) - timedelta(hours=5, minutes=59))
    early = planned(box, ledger, "google", rows)
    assert sorted(early.rows["action"]) == ["hold", "send"]
    assert sorted(told(sent(early))) == [("accepted", ""), ("retry", "click_too_fresh")]
    later = planned(box, ledger, "google", rows, now=NOW + timedelta(minutes=2))
    assert sorted(told(sent(later))) == [("accepted", ""), ("accepted", "already_accepted")]


def test_a_goal_too_young_is_tried_after_two_hours_by_plan(box: Door, ledger: cl.Outbox) -> None:
    """Code 5615 for one row: the others are taken, that one waits two hours in the outbox, and nobody sleeps."""
    error = {"Index": 1, "Code": 5615, "ErrorCode": "OfflineConversionNotAcceptedForGoal"}
    box.script = lambda number, rows: (200, {}, {"PartialErrors": [error]}) if number == 0 else None
    clock = Clock()
    receipt = sent(planned(box, ledger, "microsoft"), clock)
    assert told(receipt) == [("accepted", ""), ("retry", "5615"), ("accepted", ""), ("accepted", "")]
    assert clock.slept == []
    later = planned(box, ledger, "microsoft", now=NOW + timedelta(hours=2, seconds=1))
    assert told(sent(later)) == [
        ("accepted", "already_accepted"), ("accepted", ""), ("accepted", "already_accepted"),
        ("accepted", "already_accepted"),
    ]  # fmt: skip
    assert box.sizes == [4, 1]


def test_a_named_row_goes_alone_and_the_others_without_it(box: Door, ledger: cl.Outbox) -> None:
    """A refusal that names row 2 rejects that one; the rest is sent at once and stays accepted."""
    refusal = {"message": "Index: 2, ERROR :: /conversionHappenedAt :: field is required", "status": 422}
    box.script = lambda number, rows: (422, {}, refusal) if number == 0 else None
    receipt = sent(planned(box, ledger, "linkedin"))
    assert told(receipt) == [("accepted", ""), ("accepted", ""), ("rejected", "http 422"), ("accepted", "")]
    assert box.sizes == [4, 3]
    again = planned(box, ledger, "linkedin")
    assert again.rows.set_index("conversion_id")["reason"]["order-1003"] == "rejected_before"
    mended = planned(box, ledger, "linkedin", few(4, value=[49.9, 50.9, 7.0, 52.9]))
    assert mended.rows.set_index("conversion_id")["reason"]["order-1003"] == "content_changed"
    assert told(sent(mended))[2] == ("accepted", "")
    assert box.sizes == [4, 3, 1]


def test_an_unnamed_row_is_found_by_halves(box: Door, ledger: cl.Outbox) -> None:
    """Two bad rows of forty sink every request they are in: both are found, everybody else arrives once."""
    bad = {"order-1008", "order-1031"}
    refusal = (400, {}, {"error": {"code": 100, "message": "Invalid parameter"}})
    box.script = lambda number, rows: refusal if bad & {row["event_id"] for row in rows} else None
    receipt = sent(planned(box, ledger, "meta", 40))
    status = dict(zip(receipt.rows["conversion_id"], receipt.rows["status"], strict=True))
    assert {one for one, what in status.items() if what == "rejected"} == bad
    assert sum(what == "accepted" for what in status.values()) == 38
    assert set(box.kept.values()) == {1}
    assert len(box.kept) == 38
    assert len(box.sizes) <= 1 + 2 * 2 * 6


def test_many_bad_rows_cost_a_bounded_number_of_requests(box: Door, ledger: cl.Outbox) -> None:
    """Where all are bad the search ends: what was not judged by itself stays pending, nothing is lost or invented."""
    box.script = lambda number, rows: (400, {}, {"error": {"code": 100, "message": "Invalid parameter"}})
    receipt = sent(planned(box, ledger, "meta", 300))
    assert len(box.sizes) <= drain._budget(300) + 2
    states = ledger.rows(receipt.rows["conversion_id"])
    assert dict(zip(states["conversion_id"], states["state"], strict=True)) == {
        one: {"retry": "pending", "rejected": "rejected"}[what]
        for one, what in zip(receipt.rows["conversion_id"], receipt.rows["status"], strict=True)
    }


def test_a_refused_credential_stops_and_judges_no_row(box: Door, ledger: cl.Outbox) -> None:
    """401: nothing was looked at, so nothing is rejected; with a good credential everything goes."""
    box.script = lambda number, rows: (401, {}, {"error": {"code": 190, "message": "expired"}})
    receipt = sent(planned(box, ledger, "meta", batch_rows=2))
    assert set(receipt.rows["status"]) == {"retry"}
    assert "META_ACCESS_TOKEN" in receipt.stopped
    box.script = lambda number, rows: None
    receipt = sent(planned(box, ledger, "meta"), env={"META_ACCESS_TOKEN": "good"})
    assert told(receipt) == [("accepted", "")] * 4
    assert box.bodies[-1]["access_token"] == "good"  # noqa: S105 - nobody's


def test_a_platform_that_is_down_is_left_alone(box: Door, ledger: cl.Outbox) -> None:
    """After five requests that came to nothing no more are made; all rows are still to be sent."""
    box.script = lambda number, rows: (503, {}, {})
    receipt = sent(planned(box, ledger, "microsoft", 12, batch_rows=1), attempts=1)
    assert len(box.sizes) == drain.FAILURES
    assert set(receipt.rows["status"]) == {"retry"}
    assert "5 requests in a row" in receipt.stopped
    box.script = lambda number, rows: None
    assert sent(planned(box, ledger, "microsoft", 12)).rows["status"].tolist() == ["accepted"] * 12


def test_an_error_that_may_have_recorded_is_a_doubt(box: Door, ledger: cl.Outbox) -> None:
    """A bare 502 says nothing: unknown where a resend may count twice; 503 and 429 say that nothing was taken."""
    box.script = lambda number, rows: (502, {"Content-Type": "text/html"}, b"<html>bad gateway</html>")
    assert told(sent(planned(box, ledger, "meta", 1))) == [("unknown", "http 502")]
    more = few(1, conversion_id="b", event_id="b")
    box.script = lambda number, rows: (503, {}, b"") if number == 1 else None
    assert told(sent(planned(box, ledger, "meta", more))) == [("accepted", "")]


def test_an_interrupt_leaves_a_clean_outbox(box: Door, ledger: cl.Outbox) -> None:
    """Ctrl-C waits for what is under way, writes it down, and nothing stays in flight."""
    plan = planned(box, ledger, "microsoft", 6, batch_rows=1)

    class Impatient(Clock):
        calls = 0

        def __call__(self) -> pd.Timestamp:
            self.calls += 1
            if self.calls == 8:
                raise KeyboardInterrupt
            return super().__call__()

    with pytest.raises(KeyboardInterrupt):
        sent(plan, Impatient())
    counts = ledger.counts()
    assert set(counts) == {"accepted", "pending"}
    assert counts["accepted"] == len(box.kept)
    sent(planned(box, ledger, "microsoft", 6))
    assert ledger.counts() == {"accepted": 6}


@pytest.mark.parametrize("submitted", [0, 1, 2])
def test_what_was_claimed_and_not_begun_is_pending(
    box: Door, ledger: cl.Outbox, monkeypatch: pytest.MonkeyPatch, submitted: int
) -> None:
    """Several requests are claimed in one commit; an interrupt before a thread has one leaves it for the next time."""
    begun: list[object] = []

    class Interrupted(drain.ThreadPoolExecutor):
        def submit(self, *args: object, **more: object) -> Any:
            if len(begun) == submitted:
                raise KeyboardInterrupt
            begun.append(args)
            return super().submit(*args, **more)

    plan = planned(box, ledger, "microsoft", 6, batch_rows=1)
    monkeypatch.setattr(drain, "ThreadPoolExecutor", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        sent(plan)
    assert len(box.kept) == submitted
    assert set(ledger.counts()) <= {"accepted", "pending"}
    monkeypatch.undo()
    sent(planned(box, ledger, "microsoft", 6))
    assert ledger.counts() == {"accepted": 6}
    assert len(box.kept) == 6


def test_rows_that_became_too_old_on_the_way_expire(box: Door, ledger: cl.Outbox) -> None:
    """Planned in time, sent too late: named as such, not sent."""
    receipt = sent(planned(box, ledger, "meta"), Clock(NOW + timedelta(days=7)))
    assert told(receipt) == [("skipped", "expired")] * 4
    assert (box.sizes, ledger.counts()) == ([], {"expired": 4})


def test_what_was_not_approved_does_not_leave(box: Door, ledger: cl.Outbox) -> None:
    """Another fingerprint, or conversions that were changed since the plan: nothing leaves."""
    plan = planned(box, ledger, "meta")
    with pytest.raises(ApprovalError, match="fingerprint"):
        cl.send(plan, approve="yes")
    plan.conversions.loc[1, "value"] = 1e6
    with pytest.raises(ApprovalError, match="changed since"):
        sent(plan)
    assert box.sizes == []


def test_one_process_sends_to_an_account_at_a_time(box: Door, ledger: cl.Outbox, tmp_path: Path) -> None:
    """While another holds the right to send, a plan holds what is under way and a send is refused."""
    plan = planned(box, ledger, "meta")
    with cl.Outbox(tmp_path / "outbox.sqlite") as other:
        account = other.account("meta", plan.account, live=False)
        with other.sending(account), pytest.raises(OutboxBusyError, match="another process"):
            sent(plan)
    assert told(sent(plan)) == [("accepted", "")] * 4


@pytest.mark.parametrize(
    ("change", "settings", "match"),
    [
        ({"origin": "simulated"}, {}, "'origin' is not 'real' in 2 rows"),
        ({"origin": None}, {}, "'origin' is not 'real' in 2 rows"),
        ({"page_url": "https://www.example.com/thanks"}, {}, "'page_url' holds a placeholder such as example.com in 2"),
        ({"page_url": "https://shop.example/thanks"}, {}, "placeholder"),
        ({"page_url": "https://shop.test.invalid:8443?x=1"}, {}, "placeholder"),
        ({}, {"test_event_code": "TEST12345"}, "'test_event_code' is for trying out"),
    ],
)
def test_what_must_not_reach_a_platform_is_refused(
    ledger: cl.Outbox, change: dict[str, object], settings: dict[str, str], match: str
) -> None:
    """Invented rows, placeholder pages, leftover test codes: refused for the platform, taken by a sandbox."""
    good: dict[str, object] = {"page_url": "https://shop.acme-store.com/thanks?o=1", "referrer_url": None}
    chosen = SETTINGS["meta", "capi"] | settings
    rows = few(2, **good | change)
    with pytest.raises(InputError, match=match):
        cl.plan(rows, "meta", settings=chosen, outbox=ledger, now=NOW)
    plan = cl.plan(rows, "meta", settings=chosen, outbox=ledger, now=NOW, host="http://localhost:9")
    assert len(plan.to_send) == 2
    live = cl.plan(few(2, **good), "meta", settings=SETTINGS["meta", "capi"], outbox=ledger, now=NOW)
    assert len(live.to_send) == 2
    assert live.fingerprint != plan.fingerprint


@pytest.mark.parametrize(
    ("host", "match"),
    [
        ("http://192.0.2.1", "in the clear"),
        ("http://localhost.evil.example", "in the clear"),
        ("https://user:secret@127.0.0.1", "scheme and host"),
        ("https://127.0.0.1/v1", "paths are the platform's"),
        ("127.0.0.1:80", "scheme and host"),
    ],
)
def test_only_this_machine_may_be_talked_to_in_the_clear(host: str, match: str) -> None:
    """A host is scheme and host, https unless it is this machine; without an outbox only a sandbox is sent to."""
    with pytest.raises(InputError, match=match):
        cl.plan(few(1), "meta", settings=SETTINGS["meta", "capi"], now=NOW, host=host)
    with pytest.raises(InputError, match="outbox= is missing"):
        cl.plan(few(1), "meta", settings=SETTINGS["meta", "capi"], now=NOW)


def test_what_the_sandbox_took_the_platform_has_not(box: Door, ledger: cl.Outbox) -> None:
    """One outbox for both: what went to a sandbox is still to be sent to the platform."""
    sent(planned(box, ledger, "meta"))
    real = few(4, page_url="https://shop.acme-store.com/thanks", referrer_url=None)
    live = cl.plan(real, "meta", settings=SETTINGS["meta", "capi"], outbox=ledger, now=NOW)
    assert set(live.rows["reason"]) == {"new"}
    assert taken([{}])[0] == 200
