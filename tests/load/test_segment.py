"""Segment: where a call was made, what a server call cannot tell, and delivery at least once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import capi_lab as cl
from capi_lab.errors import LoadError, UnknownNameError

CALL = {
    "messageId": "m1",
    "type": "track",
    "event": "Order Completed",
    "anonymousId": "a",
    "userId": "u",
    "properties": {"order_id": "007", "revenue": 12.5, "currency": "eur"},
    "context": {
        "ip": "198.51.100.7",
        "userAgent": "Mozilla/5.0",
        "page": {"url": "https://shop.example/", "search": "?fbclid=F1"},
    },
    "timestamp": "2026-01-01T10:00:00.000Z",
}


def write(folder: Path, *calls: dict) -> Path:
    path = folder / "calls.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in calls))
    return path


def library(name: str) -> dict:
    return {"context": CALL["context"] | {"userAgent": f"{name}/2.1", "library": {"name": name}}}


def test_channel_is_what_the_call_says(tmp_path: Path) -> None:
    """RudderStack's channel, then the library's name; calls that say nothing are the channel= they are told to be."""
    calls = [
        CALL,
        CALL | {"messageId": "m2", "channel": "server"},
        CALL | {"messageId": "m3"} | library("analytics-node"),
        CALL | {"messageId": "m4", "channel": "web"},
    ]
    path = write(tmp_path, *calls)
    loaded = cl.load.segment_tracks(path)
    assert loaded.df["channel"].tolist() == ["pixel", "capi", "capi", "pixel"]
    assert "1 calls do not say where they were made: taken for pixel" in loaded.report.notes
    assert cl.load.segment_tracks(path, channel="capi").df["channel"].tolist() == ["capi", "capi", "capi", "pixel"]
    with pytest.raises(UnknownNameError, match="channel"):
        cl.load.segment_tracks(path, channel="server")


def test_a_servers_agent_is_not_the_persons(tmp_path: Path) -> None:
    """Agent and address of a server library are left missing and counted."""
    loaded = cl.load.segment_tracks(write(tmp_path, CALL, CALL | {"messageId": "m2"} | library("analytics-python")))
    assert loaded.df["user_agent"].isna().tolist() == [False, True]
    assert "1 calls carry a server library's agent and address; both left missing" in loaded.report.notes


def test_repeated_delivery_and_other_calls(tmp_path: Path) -> None:
    """A message id counts once; page calls are no events; the click id is found in the query of the page."""
    calls = [CALL, CALL, CALL | {"messageId": "m2", "type": "page"}, CALL | {"messageId": "m3", "timestamp": "soon"}]
    loaded = cl.load.segment_tracks(write(tmp_path, *calls))
    assert loaded.report.dropped == {"other_record": 1, "duplicate_id": 1, "no_time": 1}
    assert loaded.df[["conversion_id", "value", "currency", "fbclid"]].to_numpy().tolist() == [
        ["007", 12.5, "EUR", "F1"]
    ]
    assert any("without shipping and tax" in note for note in loaded.report.notes)


def test_pages_as_clicks(tmp_path: Path) -> None:
    """The same id of the same visitor is one click, of another visitor another; crawlers are none."""
    page = CALL | {"type": "page"}
    calls = [
        page,
        page | {"messageId": "m2"},
        page | {"messageId": "m3", "anonymousId": "b"},
        page
        | {"messageId": "m4", "context": page["context"] | {"userAgent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}},
    ]
    loaded = cl.load.segment_pages(write(tmp_path, *calls), kind="clicks")
    assert loaded.report.dropped == {"bot": 1, "repeated_click": 1}
    assert loaded.df[["param", "platform", "visitor_id"]].to_numpy().tolist() == [
        ["fbclid", "meta", "a"],
        ["fbclid", "meta", "b"],
    ]
    with pytest.raises(UnknownNameError, match="kind of page table"):
        cl.load.segment_pages(write(tmp_path, *calls), kind="views")


def test_no_calls(tmp_path: Path) -> None:
    """A file without message ids is no file of calls."""
    with pytest.raises(LoadError, match="no message id"):
        cl.load.segment_tracks(write(tmp_path, {"event": "x", "timestamp": "2026-01-01"}))
