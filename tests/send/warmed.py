"""Whatever a first send brings in, brought in: processes forked after importing this begin at once."""

from __future__ import annotations

import gc

import httpx

import capi_lab as cl
from tests.contracts.examples import NOW, SETTINGS
from tests.send.worlds import few


def warm_up() -> None:
    """Plan and send two rows to nobody."""
    plan = cl.plan(few(2), "meta", settings=SETTINGS["meta", "capi"], now=NOW, host="http://127.0.0.1:9")
    nobody = httpx.MockTransport(lambda request: httpx.Response(200, json={"events_received": 2}))
    cl.send(plan, approve=plan.fingerprint, transport=nobody, clock=lambda: NOW, progress=False)


warm_up()
# What is there now stays as it is: a forked process need not copy it for the collector's marks.
gc.collect()
gc.freeze()
