"""Dedup in numbers: what is merged, what is counted too much, and what to look at."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.measure.rates import limits

T = pd.Timestamp("2026-05-04 12:00", tz="UTC")


@pytest.fixture(scope="module")
def shop() -> cl.Reconciled:
    """Sixty orders: 40 seen by both with one id, 10 with unlike ids, 5 by the pixel, 5 by the server; one id reused."""
    orders = pd.DataFrame(
        {
            "conversion_id": [str(i) for i in range(60)],
            "event_name": "purchase",
            "event_time": T + pd.to_timedelta(np.arange(60) * 700, unit="m"),
            "value": 10.0 + np.arange(60),
            "currency": "EUR",
            "browser": ["a", "b"] * 30,
        }
    )
    rows = []
    for i in range(60):
        at = orders["event_time"][i]
        if i < 55:
            rows.append((f"p{i}", "pixel", f"e{i}", str(i), at, at + pd.Timedelta(seconds=2)))
        if i < 50 or i >= 55:
            event_id = f"e{i}" if i < 40 else f"server-{i}"
            late = pd.Timedelta(days=3) if i == 0 else pd.Timedelta(seconds=9)
            rows.append((f"s{i}", "capi", event_id, str(i), at, at + late))
    names = ["row_id", "channel", "event_id", "conversion_id", "event_time", "received_time"]
    events = pd.DataFrame(rows, columns=names).assign(event_name="Purchase")
    events.loc[events["row_id"] == "p54", "event_id"] = "e53"  # two orders, one id
    events.loc[events["row_id"] == "s59", "event_id"] = None
    return cl.reconcile(orders, events, platform="meta")


def test_dedup_rate_and_overcount(shop: cl.Reconciled) -> None:
    """One pair came too late for the window and ten under unlike ids: 39 of 50 merged, 11 counted twice."""
    rate = cl.dedup_rate(shop).iloc[0]
    assert (rate["rate"], rate["k"], rate["n"], rate["unknown"]) == ("dedup_rate", 39, 50, 0)
    assert (rate["low"], rate["high"]) == pytest.approx([x[0] for x in limits([39], [50])])
    over = cl.overcount(shop).iloc[0]
    lost = int((shop.conversions["counted"] == 0).sum())
    assert (over["extra"], over["lost"], over["n"]) == (11, lost, 60)
    assert over["value"] == pytest.approx((11 - lost) / 60)
    assert over["k"] == shop.conversions["counted"].sum() - 60
    assert over["low"] < over["value"] < over["high"]
    by = cl.overcount(shop, by="browser")
    assert by["k"].sum() == over["k"]
    assert by["n"].tolist() == [30, 30]


def test_relative_coverage_is_a_ratio_of_events(shop: cl.Reconciled) -> None:
    """54 server events with an id to 55 pixel events; the interval holds the value and can pass 1."""
    row = cl.relative_event_coverage(shop).iloc[0]
    assert (row["k"], row["n"]) == (54, 55)
    assert row["value"] == pytest.approx(54 / 55)
    assert row["low"] < 1 < row["high"]
    alone = cl.relative_event_coverage(shop, cluster=None).iloc[0]
    low, high = limits([54], [109])
    assert (alone["low"], alone["high"]) == pytest.approx((low[0] / (1 - low[0]), high[0] / (1 - high[0])))
    assert alone["high"] - alone["low"] > row["high"] - row["low"], "pairs stand together, which steadies the ratio"


def test_health_finds_each_fault(shop: cl.Reconciled) -> None:
    """Every check counts what was put there."""
    found = cl.dedup_health(shop).set_index("check")
    assert found.loc["dedup_rate", "k"] == 39
    assert found.loc["capi_without_id", ["k", "n"]].tolist() == [1, 55]
    assert found.loc["pixel_without_id", "k"] == 0
    assert found.loc["id_of_several_orders", ["k", "n"]].tolist() == [2, 109]
    assert found.loc["pixel_repeats", ["k", "n"]].tolist() == [1, 55]
    assert found.loc["received_after_window", ["k", "n"]].tolist() == [1, 110]
    assert found.loc["pairs_under_unlike_ids", "method"] == "time-shift null"
    assert found["denominator"].notna().all()


def test_a_route_without_a_pixel_is_judged_by_what_the_server_sent(shop: cl.Reconciled) -> None:
    """Overcount has the server's orders for denominator, and no check is of the browser."""
    rec = cl.reconcile(shop.conversions[["conversion_id", "event_name", "event_time"]], shop.report_table, "microsoft")
    assert cl.overcount(rec).iloc[0]["n"] == 55
    assert not [check for check in cl.dedup_health(rec)["check"] if "pixel" in check or "unlike" in check]
