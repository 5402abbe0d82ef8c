"""Nobody's data, and nobody's credential, is left anywhere but in the bodies that the platform asks for."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
import pytest

import capi_lab as cl
from capi_lab.errors import CapiLabError
from capi_lab.send.auth import Login, Secrets
from capi_lab.send.target import target_of
from tests.contracts.examples import NOW, example_rows
from tests.send.door import LOSE, door
from tests.send.worlds import planned, sent

CANARIES = {
    "email": "canary.person@mail.example",
    "phone": "+1 650 555 0137",
    "first_name": "Canaria",
    "last_name": "Vogelsang",
    "client_ip": "203.0.113.77",
    "user_agent": "CanaryBrowser/7.7",
    "user_key": "canary-user-77",
    "conversion_id": "canary-order-77",
    "page_url": "https://canary-shop.example/thanks",
}
TOKEN = "canary-token-77"  # noqa: S105 - nobody's


def test_no_canary_gets_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replies that echo people, lost lines and refusals: no file, log, repr, page, receipt or error holds a canary."""
    caplog.set_level(logging.DEBUG)
    echo = json.dumps(CANARIES).encode()
    scripts = [
        lambda number, rows: (
            400,
            {},
            {"error": {"code": 100, "message": echo.decode(), "error_user_msg": echo.decode()}},
        ),
        lambda number, rows: (500, {"Content-Type": "text/html"}, b"<html>" + echo),
        lambda number, rows: (429, {"Retry-After": "1"}, echo),
        lambda number, rows: (401, {}, {"error": {"code": 190, "message": echo.decode()}}),
        lambda number, rows: LOSE,
    ]
    rows = example_rows(2, **CANARIES | {"conversion_id": [CANARIES["conversion_id"], "other"]})
    said: list[str] = []
    with door() as box, cl.Outbox(tmp_path / "outbox.sqlite") as outbox:
        for script in scripts:
            box.script = script
            plan = planned(box, outbox, "meta", rows)
            receipt = sent(plan, env={"META_ACCESS_TOKEN": TOKEN})
            # The order's own id names the rows of plan and receipt; it is what they are about.
            told = receipt.rows.drop(columns="conversion_id")
            said += [repr(plan), plan.summary(), plan._repr_html_(), repr(receipt), told.to_csv(), str(receipt.stopped)]
            said += [repr(one) for one in plan.bodies()]
        box.script = lambda number, rows: None
        with pytest.raises(CapiLabError) as caught:
            planned(box, outbox, "meta", rows.assign(event_time=None))
        said += [str(caught.value), repr(outbox), outbox.rows().to_csv()]
        assert TOKEN in json.dumps(box.bodies)
    said += [caplog.text, *capsys.readouterr()]
    for path in tmp_path.iterdir():
        said.append(path.read_bytes().decode("latin-1"))
    for text in said:
        for canary in [*CANARIES.values(), TOKEN, "6505550137"]:
            assert canary not in text, canary
    assert caplog.records


def test_credentials_show_nothing() -> None:
    """Neither the place they come from nor what carries them has a repr that tells."""
    secrets = Secrets({"META_ACCESS_TOKEN": TOKEN})
    with httpx.Client() as client:
        login = Login(cl.PLATFORMS["meta"].spec.route(), target_of("http://localhost"), secrets, client, lambda: NOW)
    assert login.body() == {"access_token": TOKEN}
    assert TOKEN not in repr(secrets) + repr(login) + f"{secrets} {login}"
