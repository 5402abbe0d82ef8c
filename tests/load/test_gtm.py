"""Server-side GTM: what came in, what was sent on, and what the log cannot hold."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import LoadError

TIME = "2026-05-17T10:05:03.5Z"


def entry(url: str, **over: object) -> dict:
    return {"timestamp": TIME, "httpRequest": {"requestUrl": f"https://gtm.shop.example{url}", "status": 200}} | over


def load(folder: Path, *entries: dict) -> cl.load.Loaded:
    path = folder / "gtm.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in entries))
    return cl.load.gtm_server_log(path)


def test_hits_come_in(tmp_path: Path) -> None:
    """A hit is read from its query; bodies, scripts and refused requests are no events, each for its reason."""
    hit = (
        "/g/collect?v=2&cid=1.2&en=purchase&dl=https%3A%2F%2Fs.example%2F%3Fgclid%3DG1"
        "&ep.transaction_id=007&epn.value=9.5&cu=EUR&gcs=G101"
    )
    loaded = load(
        tmp_path,
        entry(hit, insertId="a"),
        entry(hit, insertId="a"),
        entry("/g/collect?v=2&cid=1.2", insertId="b"),
        entry("/gtm.js?id=GTM-X", insertId="c"),
        entry(hit, insertId="d", httpRequest={"requestUrl": f"https://gtm.shop.example{hit}", "status": 400}),
    )
    assert loaded.report.dropped == {"duplicate_row": 1, "other_record": 2, "http_status": 1}
    row = loaded.df.iloc[0]
    assert (row["channel"], row["event_name"], row["conversion_id"], row["value"]) == ("pixel", "purchase", "007", 9.5)
    assert (row["visitor_id"], row["gclid"], row["page_url"]) == ("1.2", "G1", "https://s.example/?gclid=G1")
    assert row["consent_ad_user_data"] == "denied", "G1, then ad storage, then analytics storage"
    assert row["event_time"] == pd.Timestamp("2026-05-17 10:05:03.5", tz="UTC")
    assert any(note.startswith("1 hits have their events in a body") for note in loaded.report.notes)


def test_tags_send_on(tmp_path: Path) -> None:
    """A request is a server event with its answer's status, in any order; Message lines are none."""
    body = {"data": [{"event_name": "Purchase", "event_id": "e1", "custom_data": {"order_id": "007", "value": 9.5}}]}
    two = {"data": [{"event_id": "e1"}, {"event_id": "e2"}]}
    request = {
        "Type": "Request",
        "Name": "Meta",
        "TraceId": "t1",
        "EventName": "Purchase",
        "RequestUrl": "https://graph.facebook.com/v1/1/events",
        "RequestBody": body,
    }
    loaded = load(
        tmp_path,
        {
            "timestamp": TIME,
            "jsonPayload": {"Type": "Response", "Name": "Meta", "TraceId": "t1", "ResponseStatusCode": 400},
        },
        {"timestamp": TIME, "jsonPayload": request},
        {"timestamp": TIME, "textPayload": json.dumps(request | {"TraceId": "t2", "RequestBody": json.dumps(two)})},
        {"timestamp": TIME, "textPayload": json.dumps({"Type": "Message", "Name": "Meta"})},
        {"timestamp": TIME, "textPayload": "not json"},
    )
    assert loaded.report.dropped == {"continuation_line": 1, "other_record": 2}
    assert loaded.df["channel"].tolist() == ["capi", "capi"]
    assert loaded.df["platform"].tolist() == ["meta", "meta"]
    assert loaded.df["http_status"].fillna("-").tolist() == ["400", "-"], "the tag's refusal is kept, it was sent"
    assert loaded.df["event_id"].fillna("-").tolist() == ["e1", "-"], "two events in a body tell no single id"
    assert loaded.df["conversion_id"].iloc[0] == "007"
    assert loaded.df["row_id"].is_unique


def test_no_such_log(tmp_path: Path) -> None:
    """Entries that are neither requests nor tags' messages are another log."""
    with pytest.raises(LoadError, match="neither httpRequest nor a tag's Type"):
        load(tmp_path, {"timestamp": TIME, "message": "x"})
