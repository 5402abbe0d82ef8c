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
    assert "4,000 lines parsed" in report.notes
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
    assert "3 rows repeat an event id of another row; kept, see repeated=" in loaded.report.notes
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


def test_ga4_row_as_nested_parquet(real: Path, tmp_path: Path) -> None:
    """The same row as Parquet with its nested records gives the same event, whatever wrapping the writer chose."""
    import pyarrow as pa
    from pyarrow import parquet

    path = real / "ga4" / "ga4_bigquery_event_row.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    wrapped = [row | {"event_params": {"list": [{"element": one} for one in row["event_params"]]}} for row in rows]
    want = cl.load.ga4_bigquery(path).df
    for name, objects in (("plain", rows), ("wrapped", wrapped)):
        file = tmp_path / f"{name}.parquet"
        parquet.write_table(pa.Table.from_pylist(objects), file)
        pd.testing.assert_frame_equal(cl.load.ga4_bigquery(file).df, want)


def test_ga4_fivetran(real: Path) -> None:
    """The repeated column name is read once; times carry no zone and are refused without tz=; USD is said so."""
    path = real / "ga4" / "fivetran_ga4_export_event.csv"
    with pytest.raises(NaiveTimeError, match="'timestamp' has 6 times"):
        cl.load.ga4_fivetran(path)
    loaded = cl.load.ga4_fivetran(path, tz="UTC")
    assert loaded.report.rows_out == 6
    assert "1 column names occur twice; the first column of a name was read" in loaded.report.notes
    assert "4 rows are of the intraday table: not final" in loaded.report.notes
    row = loaded.df.iloc[0]
    assert row["event_time"] == pd.Timestamp("2024-09-10 12:35", tz="UTC")
    assert (row["conversion_id"], row["value"], row["currency"], row["gclid"]) == ("txn_123", 29.99, "USD", "gclid_abc")
    assert loaded.df["value"].notna().sum() == 1, "revenue 0 of other events is none"


def test_ga4_clicks_of_fivetran(real: Path) -> None:
    """Four rows carry a gclid; the same client's second is the same click."""
    loaded = cl.load.ga4_clicks(real / "ga4" / "fivetran_ga4_export_event.csv", tz="UTC")
    assert loaded.report.dropped == {"no_click_id": 2, "repeated_click": 1}
    assert loaded.df["click_id"].tolist() == ["gclid_abc", "gclid_ghi", "gclid_abc"]
    assert (loaded.df["id_source"] == "column").all()


def test_segment_pages(real: Path) -> None:
    """One page call: the query stands apart from the URL, the naive time is UTC."""
    loaded = cl.load.segment_pages(real / "segment" / "warehouse_pages.csv")
    row = loaded.df.iloc[0]
    assert (loaded.report.rows_in, loaded.report.rows_out) == (1, 1)
    assert row["visit_time"] == pd.Timestamp("2015-02-23 22:28:55", tz="UTC")
    assert row["page_url"] == "https://www.getdbt.com/?name=ferret"
    assert (row["user_key"], row["visitor_id"]) == ("97980cfea0067", "507f191e810c19729de860ea")
    with pytest.raises(LoadError, match="no event name"):
        cl.load.segment_tracks(real / "segment" / "warehouse_pages.csv")


def test_snowplow_stream_equals_the_table(real: Path, tmp_path: Path) -> None:
    """The 160 real events, written as the enriched TSV, load as from the warehouse; a short line is counted."""
    from capi_lab.load.snowplow import ENRICHED_FIELDS

    path = real / "snowplow" / "snowplow_web_events.csv"
    rows = pd.read_csv(path, dtype="str", keep_default_na=False).rename(
        columns={"refr_dvce_tstamp": "refr_device_tstamp"}
    )
    assert len(ENRICHED_FIELDS) == 131
    table = rows.reindex(columns=list(ENRICHED_FIELDS), fill_value="")
    file = tmp_path / "enriched.tsv"
    file.write_text("".join("\t".join(row) + "\n" for row in table.to_numpy()) + "a\tshort\tline\n")
    loaded = cl.load.snowplow_events(file)
    assert (loaded.report.rows_in, loaded.report.dropped) == (161, {"unparsable": 1})
    pd.testing.assert_frame_equal(loaded.df, cl.load.snowplow_events(path).df)


def test_stripe_fixture_is_all_test_mode(real: Path) -> None:
    """Six objects: three in test mode that could be sales, three that are no payments."""
    loaded = cl.load.stripe_payments(real / "stripe" / "fixtures_subset.json")
    assert loaded.report.rows_in == 6
    assert loaded.report.dropped == {"other_record": 3, "test_order": 3}


def test_stripe_fixture_gone_live(real: Path, tmp_path: Path) -> None:
    """Charge, intent and session of one sale become one row: time and amount of the charge, e-mail of the session."""
    objects = json.loads((real / "stripe" / "fixtures_subset.json").read_text())
    for one in objects.values():
        one["livemode"] = True
    intent = objects["payment_intent"] | {"status": "succeeded"}
    objects["payment_intent"] = intent
    objects["charge"] |= {"payment_intent": intent["id"], "currency": "jpy"}
    objects["checkout.session"] |= {"payment_intent": intent["id"], "payment_status": "paid"}
    file = tmp_path / "live.json"
    file.write_text(json.dumps(objects))
    loaded = cl.load.stripe_payments(file)
    assert loaded.report.dropped == {"other_record": 3, "duplicate_id": 2}
    row = loaded.df.iloc[0]
    assert (row["conversion_id"], row["value"], row["currency"]) == (intent["id"], 100.0, "JPY")
    assert row["event_time"] == pd.Timestamp(1234567890, unit="s", tz="UTC")
    assert (row["email"], row["last_name"]) == ("example@example.com", "Rosen")
    assert "1 payments are authorised, not captured; kept with the authorised amount" in loaded.report.notes


@pytest.mark.parametrize(
    "loader",
    [
        "access_log",
        "crm_leads",
        "ga4_bigquery",
        "ga4_clicks",
        "ga4_fivetran",
        "google_click_view",
        "gtm_server_log",
        "segment_pages",
        "segment_tracks",
        "shopify_events",
        "shopify_orders",
        "snowplow_events",
        "stripe_payments",
        "woocommerce_orders",
    ],
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
