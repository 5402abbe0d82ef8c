"""What the documentation says of adding a loader or a platform, done: its own lines, added and used."""

from __future__ import annotations

import gc
import gzip
import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError, LoadError, NaiveTimeError
from capi_lab.identity.rules import KEY_RULES, KeyRule
from capi_lab.platforms.wire import Wire
from capi_lab.sources import Source
from tests.contracts.examples import NOW, example_rows

DOCS = Path(__file__).parents[1] / "docs"


def added(page: str, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page's lines as the module of the package they would be."""
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, page, "exec"), module.__dict__)  # noqa: S102 - our own page
    return module


def writable(proxy: Any) -> dict[str, Any]:
    """The mapping behind a read-only one: what a line in its module would write to."""
    (inner,) = (one for one in gc.get_referents(proxy) if isinstance(one, dict))
    return inner


@pytest.fixture
def till(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader more, by what the page says and nothing else: the module, and its name in ``load``."""
    module = added("adding-a-loader.md", "capi_lab.load.till", monkeypatch)
    monkeypatch.setattr(cl.load, "till_slips", module.till_slips, raising=False)
    monkeypatch.setattr(cl.load, "__all__", [*cl.load.__all__, "till_slips"])


@pytest.mark.usefixtures("till")
def test_an_added_loader_is_known_everywhere(tmp_path: Path) -> None:
    """A file is known by its content, its account closes, zones are asked for, patterns and gzip and Parquet work."""
    lines = [
        "Receipt no,Rung up,Total,E-mail",
        "001,2026-01-01 10:00,9.90,zoe@example.com",
        "001,2026-01-01 10:00,9.90,",
    ]
    lines += [",2026-01-01 11:00,5,", "002,never,7,", "003,2026-01-02 12:30,12.50,"]
    first, second = tmp_path / "a.csv", tmp_path / "b.csv.gz"
    first.write_text("\n".join(lines))
    second.write_bytes(gzip.compress(b"Receipt no,Rung up,Total\n004,2026-01-03 09:00,1\n"))
    with pytest.raises(NaiveTimeError):
        cl.load.any_format(first)
    check = cl.check(first, tz="Europe/Berlin")
    assert (check.format, check.usable, check.report.rows_out) == ("till_slips", True, 2)
    loaded = cl.load.any_format(str(tmp_path / "*.csv*"), tz="Europe/Berlin")
    assert loaded.df["conversion_id"].tolist() == ["001", "003", "004"]
    assert loaded.df["event_time"].iloc[0] == pd.Timestamp("2026-01-01 09:00", tz="UTC")
    assert loaded.df["value"].tolist() == [9.9, 12.5, 1.0]
    assert (loaded.report.rows_in, dict(loaded.report.dropped)) == (
        6, {"duplicate_id": 1, "no_id": 1, "no_time": 1},
    )  # fmt: skip
    assert "zoe" not in repr(loaded)
    to = cl.load.any_format(first, tz="UTC", to=tmp_path / "rows.parquet")
    assert len(pd.read_parquet(tmp_path / "rows.parquet")) == to.report.rows_out == 2
    (tmp_path / "other.csv").write_text("Receipt no,Total\n1,2\n")
    with pytest.raises(LoadError, match="Rung up"):
        cl.load.till_slips(tmp_path / "other.csv", tz="UTC")


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """A platform more: its keys' rules, its folder, its line in ``PLATFORMS``."""
    source = Source(
        "https://acme.example.com/docs", NOW.date(), next(iter(KEY_RULES["meta"].values())).source.confidence
    )
    monkeypatch.setitem(writable(KEY_RULES), "acme", {"email": KeyRule("email_lower", True, source)})
    module = added("adding-a-platform.md", "capi_lab.platforms.acme", monkeypatch)
    monkeypatch.setitem(writable(cl.PLATFORMS), "acme", module.ACME)
    return module.ACME.wire()


def test_an_added_platform_is_replayed_screened_and_described(acme: Wire) -> None:
    """Its own dedup rule, its own needs and its own page: nobody else had to be told."""
    t = pd.Timestamp("2026-05-04 12:00", tz="UTC")
    orders = pd.DataFrame(
        {"conversion_id": ["1", "2"], "event_name": "purchase", "event_time": t, "event_id": ["e1", "e2"]}
    )
    events = pd.DataFrame(
        {
            "row_id": ["p1", "s1", "p2", "s2"], "channel": ["pixel", "capi"] * 2, "event_name": "Bought",
            "event_id": ["e1", "e1", "e2", "e2"], "conversion_id": ["1", "1", "2", "2"],
            "event_time": [t, t + timedelta(minutes=9), t, t + timedelta(minutes=11)],
        }
    )  # fmt: skip
    rec = cl.reconcile(orders, events, platform="acme")
    assert rec.pairs.set_index("conversion_id")["outcome"].to_dict() == {"1": "deduplicated", "2": "double_counted"}
    rows = example_rows(4)
    rows["event_time"] = rows["event_time"].where(rows.index != 1, pd.Timestamp(NOW) - timedelta(days=4))
    rows["email"] = rows["email"].where(rows.index != 2)
    rows["consent_ad_user_data"] = ["granted", "granted", "granted", "denied"]
    found = cl.eligible(rows, "acme", now=NOW)
    assert found["eligible"].tolist() == [True, False, False, False]
    assert found["ineligible_reason"].tolist()[1:] == ["too_old", "no_match_key", "consent_denied"]
    problems = acme.validate(rows, {"shop": "7"}, now=NOW)
    assert [one.rule for one in problems] == ["A01", "A03", "A04"]
    assert "Acme" in cl.platforms.described("acme")


def test_the_sandbox_serves_the_others_beside_an_added_platform(acme: Wire) -> None:
    """A platform without a door of its own is refused by name there; the five are served as before."""
    with cl.Sandbox(seed=1) as box:
        assert box.url("meta") == box.url()
        assert "META_ACCESS_TOKEN" in box.credentials()
        for ask in (box.url, box.credentials, box.counted):
            with pytest.raises(InputError, match=f"no door for {acme.spec.name}"):
                ask("acme")


def test_an_added_platform_is_sent_to_each_conversion_once(acme: Wire, tmp_path: Path) -> None:
    """Plan, send and a second plan: 250 orders leave in three requests with hashed addresses, then none."""
    bodies: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/7/events"
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json={})

    rows = example_rows(250, origin="real", page_url=None, referrer_url=None)
    known = {"settings": {"shop": "7"}, "outbox": tmp_path / "outbox.sqlite", "now": NOW}
    plan = cl.plan(rows, "acme", **known)
    env = {acme.route.auth.credentials[0]: "a-token"}
    receipt = cl.send(
        plan,
        approve=plan.fingerprint,
        env=env,
        transport=httpx.MockTransport(answer),
        clock=lambda: NOW,
        progress=False,
    )
    assert receipt.rows["status"].eq("accepted").all()
    assert sorted(len(body["events"]) for body in bodies) == [50, 100, 100]
    digest = cl.identity.hash_value(rows["email"].iloc[0], "email", "acme")
    assert {event["mail"] for body in bodies for event in body["events"]} == {digest}
    assert not (cl.plan(rows, "acme", **known).rows["action"] == "send").any()
