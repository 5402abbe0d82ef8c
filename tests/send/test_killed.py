"""A process that is killed at a random moment, again and again, and what the platform then has."""

from __future__ import annotations

import multiprocessing
import random
import time
from pathlib import Path

import pytest

import capi_lab as cl
from tests.send.door import LOSE, door
from tests.send.killing import ROWS, run


@pytest.mark.slow
@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="needs a system that forks")
@pytest.mark.parametrize(("platform", "kills"), [("meta", 4), ("tiktok", 3)])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_sent_twice(tmp_path: Path, platform: str, kills: int) -> None:
    """SIGKILL at random moments, then a run to the end.

    Where a resend may count twice every row arrived at most once, and what may have arrived unseen is `unknown`;
    where a resend counts once every row arrived, some of them twice under the same id.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["capi_lab.send.drain", "tests.send.killing"])
    rng, ledger = random.Random(8), str(tmp_path / "outbox.sqlite")
    with door() as box:

        def slow(number: int, rows: list[dict[str, object]]) -> str | None:
            time.sleep(0.02)
            return LOSE if number % 9 == 4 else None

        box.script = slow
        died = 0
        for _ in range(kills):
            before = len(box.paths)
            child = context.Process(target=run, args=(box.url, ledger, platform))
            child.start()
            # Somewhere between its first request and its last; where nothing is left to send it ends by itself.
            while child.is_alive() and len(box.paths) == before:
                time.sleep(0.005)
            time.sleep(rng.random() * 0.12)
            child.kill()
            child.join()
            died += child.exitcode == -9
        assert died >= 2
        box.script = lambda number, rows: None
        run(box.url, ledger, platform)
        with cl.Outbox(ledger) as outbox:
            rows = outbox.rows([f"order-{1001 + i}" for i in range(ROWS)]).set_index("conversion_id")["state"]
        assert len(rows) == ROWS
        assert set(rows) <= {"accepted", "unknown"}
        if platform == "meta":
            assert set(box.kept.values()) == {1}
            assert set(rows[rows == "accepted"].index) <= set(box.kept)
            assert set(box.kept) <= set(rows.index)
        else:
            assert (rows == "accepted").all()
            assert set(box.kept) == set(rows.index)
