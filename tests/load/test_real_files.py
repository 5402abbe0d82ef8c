"""Real files in the formats we load, with the facts known about them. They are not shipped: skipped where absent."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import CapiLabError, LoadError, NaiveTimeError


def test_apache_log_is_the_negative_case(real: Path) -> None:
    """All 4,000 lines parse, crawlers are counted, no click id arrives, and every line is accounted for."""
    loaded = cl.load.access_log(real / "weblogs" / "apache_combined_4000_ip24.log")
    report = loaded.report
    assert (report.rows_in, report.rows_out) == (4000, 0)
    assert "4,000 of 4,000 lines parsed" in report.notes
    assert report.dropped["bot"] > 500
    assert sum(report.dropped.values()) == 4000
    visits = cl.load.access_log(real / "weblogs" / "apache_combined_4000_ip24.log", kind="visits")
    assert visits.report.rows_out == report.dropped["no_click_id"]
    assert visits.df["visit_time"].min() == pd.Timestamp("2015-05-17 10:05:03", tz="UTC")
    assert not visits.df["user_agent"].fillna("").str.contains("Googlebot").any()


def test_snowplow_clicks_and_repeats(real: Path) -> None:
    """160 rows, 12 with a gclid of 4 distinct values; repeated event ids are reported, or dropped on request."""
    path = real / "snowplow" / "snowplow_web_events.csv"
    loaded = cl.load.snowplow_events(path)
    assert (loaded.report.rows_in, loaded.report.rows_out) == (160, 160)
    assert loaded.df["gclid"].notna().sum() == 12
    assert loaded.df["gclid"].nunique() == 4
    assert "3 event ids repeat (3 surplus rows); kept, see repeated=" in loaded.report.notes
    assert loaded.df["row_id"].is_unique
    assert loaded.df["client_ip"].isna().all(), "the addresses in this file are hashed"
    dropped = cl.load.snowplow_events(path, repeated="drop")
    assert dropped.report.dropped == {"duplicate_id": 3}
    assert dropped.df["event_id"].is_unique


def test_woocommerce_takes_gmt_not_the_local_time(real: Path) -> None:
    """Order 727 was made at 16:28:02 local and 19:28:02 UTC: the latter counts."""
    loaded = cl.load.woocommerce_orders(real / "woocommerce" / "rest_v3_orders.json")
    times = loaded.df.set_index("conversion_id")["event_time"]
    assert times["727"] == pd.Timestamp("2017-03-22 19:28:02", tz="UTC")
    assert loaded.df["value"].tolist() == [29.35, 39.0]
    assert loaded.df.set_index("conversion_id")["user_key"].isna().to_dict() == {"727": True, "723": False}


def test_woocommerce_without_gmt_needs_a_zone(real: Path, tmp_path: Path) -> None:
    """The local time alone is refused without tz=, and placed with it."""
    orders = json.loads((real / "woocommerce" / "rest_v3_orders.json").read_text())
    for order in orders:
        del order["date_created_gmt"]
    file = tmp_path / "orders.json"
    file.write_text(json.dumps(orders))
    with pytest.raises(NaiveTimeError, match="'date_created' has 2 times"):
        cl.load.woocommerce_orders(file)
    placed = cl.load.woocommerce_orders(file, tz="America/Sao_Paulo")
    assert placed.df["event_time"].iloc[0] == pd.Timestamp("2017-03-22 19:28:02", tz="UTC")


def test_shopify_counts_test_cancelled_and_unpaid_orders(real: Path, tmp_path: Path) -> None:
    """Each reason is a count; what is left carries the order's total, customer and ids from notes and landing."""
    order = json.loads((real / "shopify" / "admin_rest_order.json").read_text())["order"]
    made = [
        order
        | {
            "id": 1,
            "landing_site": "/products/x?gclid=Cj0abc",
            "note_attributes": [{"name": "_fbp", "value": "fb.1.1795300000456.1"}],
        },
        order | {"id": 2, "test": True},
        order | {"id": 3, "cancelled_at": "2008-01-11T11:00:00-05:00"},
        order | {"id": 4, "financial_status": "voided"},
        order | {"id": 5, "source_name": "pos"},
        order | {"id": 1},
        order | {"id": 6, "landing_site": "/wallets/checkouts.json?gclid=no"},
        "not an order",
    ]
    file = tmp_path / "orders.json"
    file.write_text(json.dumps({"orders": made}))
    loaded = cl.load.shopify_orders(file)
    assert loaded.report.dropped == {
        "unparsable": 1,
        "test_order": 1,
        "cancelled": 1,
        "not_paid": 1,
        "other_source": 1,
        "duplicate_id": 1,
    }
    first = loaded.df.iloc[0]
    assert (first["conversion_id"], first["gclid"], first["fbp"]) == ("1", "Cj0abc", "fb.1.1795300000456.1")
    assert first["event_time"] == pd.Timestamp("2008-01-10 16:00", tz="UTC")
    assert (first["value"], first["currency"]) == (409.94, "USD")
    assert pd.isna(loaded.df.iloc[1]["gclid"]), "an express wallet's landing page is unknown"
    assert "test_order" in repr(loaded)
    assert "bob" not in repr(loaded).lower()


def test_shopify_vendor_fixtures_load(real: Path) -> None:
    """The list and the single-order file both load; 0.0.0.0 is no client address."""
    for name in ("admin_rest_orders.json", "admin_rest_order.json"):
        loaded = cl.load.shopify_orders(real / "shopify" / name)
        assert loaded.report.rows_out == 1
        assert loaded.df["client_ip"].isna().all()
        assert loaded.df["order_name"].tolist() == ["1001"]


def test_ga4_row(real: Path) -> None:
    """Microseconds are read as such; browser comes from web_info; ids stay text."""
    loaded = cl.load.ga4_bigquery(real / "ga4" / "ga4_bigquery_event_row.jsonl")
    row = loaded.df.iloc[0]
    assert row["event_time"] == pd.Timestamp("2021-04-06 06:49:50.431476", tz="UTC")
    assert (row["visitor_id"], row["session_id"]) == ("1166526666.1617691776", "1617691775")
    assert (row["browser"], row["channel"], row["event_name"]) == ("Chrome", "pixel", "first_visit")


@pytest.mark.parametrize(
    "loader", ["access_log", "ga4_bigquery", "shopify_orders", "snowplow_events", "woocommerce_orders"]
)
def test_another_formats_file_is_refused(real: Path, loader: str) -> None:
    """Every real file given to the wrong loader ends in our own error, or in counted drops, never a traceback."""
    for path in sorted(real.rglob("*.*")):
        if path.suffix not in (".csv", ".json", ".jsonl", ".log"):
            continue
        try:
            loaded = getattr(cl.load, loader)(path)
        except CapiLabError as error:
            assert str(path.parent) not in str(error), "folders are nobody's business"
        else:
            assert loaded.report.rows_in >= loaded.report.rows_out
    with pytest.raises(LoadError):
        getattr(cl.load, loader)(real / "useragents" / "uap_test_ua.yaml")
