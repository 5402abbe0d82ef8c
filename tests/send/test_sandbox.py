"""Sending to the sandbox, which knows the platforms' rules better than the tiny one, while it misbehaves."""

from __future__ import annotations

from pathlib import Path

import pytest

import capi_lab as cl
from tests.contracts.examples import NOW, ROUTES, SETTINGS
from tests.send.worlds import Clock, few, sent

CLICKS = {"gclid": "Cj0KCQiAvvKBBhCXARIsACTePW-ExampleClick_wcB", "msclkid": "0123456789abcdef0123456789abcdef"}
FAULTS = ("timeout_after:0.2", "reset_before:0.1", "server_error:0.2", "throttled:0.1", "truncated_reply:0.1")


@pytest.mark.parametrize(("platform", "route"), ROUTES, ids=lambda v: v)
def test_by_the_platforms_own_count_everything_is_there_once(tmp_path: Path, platform: str, route: str) -> None:
    """Runs under faults, then one without: counted once, or in doubt by name; the next run sends nothing."""
    ids = [f"e{i}" for i in range(8)]
    rows, settings = few(8, conversion_id=ids, event_id=ids, **CLICKS), SETTINGS[platform, route]
    with cl.Sandbox(seed=5, now=NOW, faults=FAULTS, patience=0.05) as box, cl.Outbox(tmp_path / "o.sqlite") as outbox:

        def run() -> cl.Receipt:
            plan = cl.plan(rows, platform, route=route, settings=settings, now=NOW, host=box.url(platform),
                           outbox=outbox, batch_rows=2)  # fmt: skip
            return sent(plan, Clock(), env=box.credentials(platform))

        for _ in range(3):
            run()
        status = run().rows["status"].value_counts()
        accepted, unknown = int(status.get("accepted", 0)), int(status.get("unknown", 0))
        assert accepted + unknown + int(status.get("retry", 0)) == 8
        assert accepted <= box.counted(platform, route) <= accepted + unknown
        before = len(box.received(platform, route))
        if accepted == 8:
            assert not run().rows["sent_now"].any()
            assert len(box.received(platform, route)) == before
