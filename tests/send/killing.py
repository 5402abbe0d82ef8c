"""What a killed process was doing; a module of its own, so that another process can run it."""

from __future__ import annotations

from pathlib import Path

import capi_lab as cl
from tests.contracts.examples import NOW, SETTINGS
from tests.send.worlds import ROUTE, few

ROWS = 24


def run(url: str, ledger: str, platform: str) -> None:
    """Plan and send everything once, a few rows a request."""
    with cl.Outbox(Path(ledger)) as outbox:
        plan = cl.plan(
            few(ROWS), platform, settings=SETTINGS[platform, ROUTE[platform]], outbox=outbox, now=NOW, host=url,
            batch_rows=2,
        )  # fmt: skip
        cl.send(plan, approve=plan.fingerprint, clock=lambda: NOW, progress=False)
