"""Whatever is wrong with a file: one clear error, or a counted drop. Nothing is lost in silence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import CapiLabError, LoadError, NaiveTimeError, UnknownNameError

HEADER = "conversion_id,event_name,event_time,value,currency,email"
A_PERSON = "jane.doe@example.com"


def write(folder: Path, text: str, name: str = "orders.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def rows(*lines: str) -> str:
    return "\n".join([HEADER, *lines]) + "\n"


def test_good_file(tmp_path: Path) -> None:
    """Ids keep leading zeros, placeholders are missing, origin is real, and the account closes."""
    path = write(tmp_path, rows("007,purchase,2026-01-01T10:00:00+01:00,9.90,eur,(not set)"))
    loaded = cl.load.table(path, "conversions")
    row = loaded.df.iloc[0]
    assert row["conversion_id"] == "007"
    assert row["event_time"] == pd.Timestamp("2026-01-01 09:00", tz="UTC")
    assert (row["value"], row["currency"], row["origin"]) == (9.90, "EUR", "real")
    assert pd.isna(row["email"])
    assert str(loaded.report).splitlines()[0] == "orders.csv: CSV -> conversions"


@pytest.mark.parametrize("name", ["orders.csv.gz", "orders.jsonl.gz"])
def test_truncated_gzip(tmp_path: Path, name: str) -> None:
    """A download that broke off is said to be one."""
    whole = gzip.compress(rows(*[f"{i},purchase,2026-01-01T00:00:00Z,1,EUR," for i in range(5000)]).encode())
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LoadError, match="truncated gzip"):
        cl.load.table(tmp_path / name, "conversions")


def test_whole_gzip_loads(tmp_path: Path) -> None:
    """The same file, complete, is read by its content, not by its name."""
    path = tmp_path / "orders.csv"
    path.write_bytes(gzip.compress(rows("1,purchase,2026-01-01T00:00:00Z,1,EUR,").encode()))
    assert len(cl.load.table(path, "conversions").df) == 1


def test_wrong_delimiter(tmp_path: Path) -> None:
    """One column found: the message says that the delimiter is probably wrong; naming it mends it."""
    path = write(tmp_path, rows("1,purchase,2026-01-01T00:00:00Z,1,EUR,").replace(",", ";"))
    with pytest.raises(LoadError, match="delimiter is probably wrong"):
        cl.load.table(path, "conversions")
    assert len(cl.load.table(path, "conversions", delimiter=";").df) == 1


def test_missing_column_and_bad_mapping(tmp_path: Path) -> None:
    """A required column that is absent, and a mapping from a column that is not there, are named."""
    path = write(tmp_path, "Order,event_name,event_time\n1,purchase,2026-01-01T00:00:00Z\n")
    with pytest.raises(LoadError, match=r"lacks column 'conversion_id'; map yours with columns="):
        cl.load.table(path, "conversions")
    with pytest.raises(LoadError, match="'Nr'"):
        cl.load.table(path, "conversions", columns={"Nr": "conversion_id"})
    loaded = cl.load.table(path, "conversions", columns={"Order": "conversion_id"})
    assert loaded.df["conversion_id"].tolist() == ["1"]
    with pytest.raises(LoadError, match="would both be called 'event_name'"):
        cl.load.table(path, "conversions", columns={"Order": "event_name"})


def test_naive_time_is_refused_and_placed(tmp_path: Path) -> None:
    """Without tz= a naive time is an error that counts rows; with it, the hour is right, DST included."""
    path = write(tmp_path, rows("1,purchase,2026-01-15 12:00:00,1,EUR,", "2,purchase,2026-07-15 12:00,1,EUR,"))
    with pytest.raises(NaiveTimeError, match=r"'event_time' has 2 times without a zone.*tz="):
        cl.load.table(path, "conversions")
    placed = cl.load.table(path, "conversions", tz="Europe/Berlin").df["event_time"]
    assert placed.dt.hour.tolist() == [11, 10]
    with pytest.raises(UnknownNameError, match="time zone"):
        cl.load.table(path, "conversions", tz="Berlin")


def test_an_hour_that_happens_twice_is_not_guessed(tmp_path: Path) -> None:
    """02:30 on the night the clocks go back could be either: dropped and counted, as is 02:30 that never was."""
    path = write(
        tmp_path,
        rows(
            "1,purchase,2026-10-25 02:30:00,1,EUR,",
            "2,purchase,2026-03-29 02:30:00,1,EUR,",
            "3,purchase,2026-10-25 04:30:00,1,EUR,",
        ),
    )
    loaded = cl.load.table(path, "conversions", tz="Europe/Berlin")
    assert loaded.report.dropped == {"ambiguous_local_time": 2}
    assert loaded.df["conversion_id"].tolist() == ["3"]


def test_duplicate_and_missing_ids(tmp_path: Path) -> None:
    """Later rows of an id, and rows without one, are dropped by reason; unlike repeats are noted."""
    time = "2026-01-01T00:00:00Z"
    path = write(
        tmp_path,
        rows(
            f"1,purchase,{time},1,EUR,",
            f"1,purchase,{time},1,EUR,",
            f"1,purchase,{time},2,EUR,",
            f",purchase,{time},1,EUR,",
            f"NaN,purchase,{time},1,EUR,",
            f"0,purchase,{time},1,EUR,",
            f"2,purchase,never,1,EUR,{A_PERSON}",
        ),
    )
    loaded = cl.load.table(path, "conversions")
    assert loaded.report.dropped == {"no_id": 3, "no_time": 1, "duplicate_id": 2}
    assert any("1 rows repeat an id with other values" in note for note in loaded.report.notes)
    assert A_PERSON not in repr(loaded) + loaded._repr_html_()


def test_mixed_epoch_units(tmp_path: Path) -> None:
    """Seconds, milliseconds and microseconds in one column are read by their digits, and said to be mixed."""
    path = write(
        tmp_path,
        rows(
            "1,purchase,1767225600,1,EUR,",
            "2,purchase,1767225600000,1,EUR,",
            "3,purchase,1767225600000000,1,EUR,",
            "4,purchase,17672256,1,EUR,",
        ),
    )
    loaded = cl.load.table(path, "conversions")
    assert (loaded.df["event_time"] == pd.Timestamp("2026-01-01", tz="UTC")).all()
    assert loaded.report.dropped == {"no_time": 1}
    assert any(
        "mixes epoch units: 1 in seconds, 1 in milliseconds, 1 in microseconds" in n for n in loaded.report.notes
    )


def test_ten_digit_fbc_times_are_counted(tmp_path: Path) -> None:
    """Seconds where ``_fbc`` wants milliseconds: kept, read rightly, counted; broken ones not used."""
    text = (
        "conversion_id,event_name,event_time,_fbc\n"
        "1,purchase,2026-01-02T00:00:00Z,fb.1.1767225600.abc\n"
        "2,purchase,2026-01-02T00:00:00Z,fb.1.1767225600000.abc\n"
        "3,purchase,2026-01-02T00:00:00Z,fb.1.1767225600000\n"
    )
    loaded = cl.load.table(write(tmp_path, text), "conversions")
    assert loaded.df["fbc"].tolist()[:2] == ["fb.1.1767225600.abc", "fb.1.1767225600000.abc"]
    assert pd.isna(loaded.df["fbc"].iloc[2])
    assert (loaded.df["click_time"].iloc[:2] == pd.Timestamp("2026-01-01", tz="UTC")).all()
    assert "click ids: 1 seconds not ms" in loaded.report.notes
    assert "click ids: 1 malformed cookie" in loaded.report.notes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "holds no columns"),
        (b"\xff\xfe\x00a\x00b", "not UTF-8"),
        (b'a,b\n"1,2\n', "cannot be split"),
        (b"a,b\n1,2,3,4\n", "cannot be split"),
    ],
)
def test_files_that_are_no_csv(tmp_path: Path, content: bytes, message: str) -> None:
    """Empty, blank, wrongly encoded, unclosed or ragged: each says what it is."""
    path = tmp_path / "orders.csv"
    path.write_bytes(content)
    with pytest.raises(LoadError, match=message):
        cl.load.table(path, "conversions")


@pytest.mark.parametrize("content", ["", "   ", "no json", "[1, 2]", "3", '{"orders": 1}'])
@pytest.mark.parametrize(
    "loader",
    [
        "crm_leads",
        "ga4_bigquery",
        "ga4_clicks",
        "google_click_view",
        "gtm_server_log",
        "segment_pages",
        "segment_tracks",
        "shopify_events",
        "shopify_orders",
        "stripe_payments",
        "woocommerce_orders",
    ],
)
def test_files_that_are_no_orders(tmp_path: Path, loader: str, content: str) -> None:
    """Empty files, plain text, bare numbers: our own error each time."""
    with pytest.raises(LoadError):
        getattr(cl.load, loader)(write(tmp_path, content, "x.json"))


def test_absent_file_folder_and_suffix(tmp_path: Path) -> None:
    """A wrong path is said to be wrong without showing where it pointed."""
    with pytest.raises(LoadError, match=r"there is no file 'x\.csv'"):
        cl.load.table(tmp_path / "x.csv", "conversions")
    with pytest.raises(LoadError, match="cannot tell the format"):
        cl.load.table(write(tmp_path, "x", "x.xlsx"), "conversions")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(LoadError, match="is a folder"):
        cl.load.table(tmp_path / "folder.csv", "conversions")


def test_numbers_and_currencies_that_are_none(tmp_path: Path) -> None:
    """``1.234,50`` is not guessed at, ``Euro`` is no code: left missing and counted."""
    path = write(
        tmp_path,
        'conversion_id,event_name,event_time,value,currency\n1,purchase,2026-01-01T00:00:00Z,"1.234,50",Euro\n',
    )
    loaded = cl.load.table(path, "conversions")
    assert loaded.df[["value", "currency"]].isna().all().all()
    assert len([n for n in loaded.report.notes if n.startswith("1 rows have a")]) == 2


def test_events_without_row_id_get_their_line(tmp_path: Path) -> None:
    """Row ids are made from file and line, so that two exports never share one."""
    text = "channel,event_name,event_time\npixel,Purchase,2026-01-01T00:00:00Z\ncapi,Purchase,2026-01-01T00:00:00Z\n"
    loaded = cl.load.table(write(tmp_path, text, "events.csv"), "events")
    assert loaded.df["row_id"].tolist() == ["events.csv:1", "events.csv:2"]


def test_many_files_and_pieces_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns and pieces of JSON lines: one table, held or streamed, with rows and reasons as in one piece.

    A column that only some pieces have is missing in the others, mapped or not; one that no line has is an error.
    """
    records = [
        {"Nr": f"{n % 70}", "channel": "pixel", "event_name": "Purchase"}
        | ({"event_time": "2026-01-01T00:00:00Z"} if n < 60 else {})
        | ({"row_id": f"own {n}"} if n < 40 else {})
        | ({"Sum": n} if n > 30 else {})
        for n in range(80)
    ]
    path = write(tmp_path, "\n".join(map(json.dumps, records)) + "\nnone\n", "a.jsonl")
    write(tmp_path, "\n".join(map(json.dumps, records[:3])), "b.json")
    columns = {"Nr": "conversion_id", "Sum": "value"}
    whole = cl.load.table(path, "events", columns)
    assert whole.report.dropped == {"no_time": 20, "unparsable": 1}
    assert whole.df["row_id"].tolist()[39:41] == ["own 39", "a.jsonl:41"]
    assert whole.df["value"].notna().sum() == 29
    monkeypatch.setattr("capi_lab.load.gather.CHUNK", 300)
    cut = cl.load.table(path, "events", columns)
    pd.testing.assert_frame_equal(cut.df, whole.df)
    assert cut.report == whole.report
    both = cl.load.table(str(tmp_path / "*.json*"), "events", {"Nr": "conversion_id"}, to=tmp_path / "out.parquet")
    assert both.report.dropped == {"no_time": 20, "unparsable": 1, "duplicate_id": 3}
    assert both.df["row_id"].tolist() == whole.df["row_id"].tolist()
    with pytest.raises(LoadError, match="'Amount'"):
        cl.load.table(path, "events", columns | {"Amount": "currency"})
    with pytest.raises(LoadError, match="'click_id'"):
        cl.load.table(path, "clicks")


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-01-01 10:00:00+00", 10),
        ("2026-01-01 10:00:00+01", 9),
        ("2026-01-01 10:00:00 +0200", 8),
        ("20260101T100000Z", 10),
        ("2026-01-01 10:00 UTC", 10),
        ("01/Jan/2026:10:00:00 +0100", 9),
        ("2026-01-01T10:00:00.123456-05:00", 15),
    ],
)
def test_every_shape_of_a_zoned_time(tmp_path: Path, text: str, hour: int) -> None:
    """Two-digit offsets, compact ISO and log stamps are read as what they say, with or without tz=."""
    path = write(tmp_path, rows(f"1,purchase,{text},1,EUR,", "2,purchase,2026-01-01T00:00:00+03,1,EUR,"))
    for tz in (None, "Asia/Tokyo"):
        loaded = cl.load.table(path, "conversions", tz=tz)
        assert loaded.df["event_time"].dt.hour.tolist() == [hour, 21]


def test_types_a_database_writes(tmp_path: Path) -> None:
    """Decimals, dates, lists, mixed and nullable whole numbers load; long ids are not rounded."""
    from decimal import Decimal

    records = [
        {"conversion_id": 9007199254740993, "value": 5, "flag": True, "items": [{"id": "a"}], "user_key": 0},
        {"conversion_id": 9007199254740992, "value": "7.5", "flag": None, "items": None, "user_key": "x"},
        {"conversion_id": None, "value": None},
    ]
    common = {"event_name": "purchase", "event_time": 1767225600}
    path = write(tmp_path, "\n".join(json.dumps(r | common) for r in records), "x.jsonl")
    loaded = cl.load.table(path, "conversions")
    assert loaded.df["conversion_id"].tolist() == ["9007199254740993", "9007199254740992"]
    assert loaded.df["value"].tolist() == [5.0, 7.5]
    assert loaded.df["items"].iloc[0] == '[{"id":"a"}]'
    assert loaded.df["user_key"].isna().tolist() == [True, False]
    assert loaded.report.dropped == {"no_id": 1}
    frame = pd.DataFrame(
        {
            "conversion_id": pd.array([9007199254740993, None], dtype="Int64"),
            "event_name": "purchase",
            "event_time": [pd.Timestamp("2026-01-01").date()] * 2,
            "value": [Decimal("1.50"), Decimal("2.00")],
            "margin": [1.5, 2.5],
        }
    )
    frame.to_parquet(tmp_path / "x.parquet")
    parquet = cl.load.table(tmp_path / "x.parquet", "conversions", tz="UTC").df
    assert parquet["conversion_id"].tolist() == ["9007199254740993"]
    assert (parquet["value"].iloc[0], parquet["margin"].iloc[0]) == (1.5, 1.5)


def test_namibia_is_a_country(tmp_path: Path) -> None:
    """``NA`` is a value; only the placeholders of the rules are missing."""
    text = "conversion_id,event_name,event_time,country,region\n1,purchase,2026-01-01T00:00:00Z,NA,NA\n"
    assert cl.load.table(write(tmp_path, text), "conversions").df[["country", "region"]].to_numpy().tolist() == [
        ["NA", "NA"]
    ]


@pytest.mark.parametrize("junk", [5, True, "x", {"a": 1}])
def test_json_of_the_wrong_type_is_no_crash(tmp_path: Path, junk: object) -> None:
    """Lists that are none are ignored."""
    order = {"id": 1, "created_at": "2026-01-01T00:00:00Z", "note_attributes": junk, "line_items": junk}
    assert len(cl.load.shopify_orders(write(tmp_path, json.dumps([order]), "s.json")).df) == 1
    order = {"id": 1, "date_created_gmt": "2026-01-01T00:00:00", "meta_data": junk, "line_items": junk}
    assert len(cl.load.woocommerce_orders(write(tmp_path, json.dumps([order]), "w.json")).df) == 1
    event = {"event_name": "x", "event_timestamp": "1767225600000000", "event_params": junk}
    assert len(cl.load.ga4_bigquery(write(tmp_path, json.dumps(event), "g.jsonl")).df) == 1


def test_woocommerce_orders_without_a_time_are_counted(tmp_path: Path) -> None:
    """One order without a time, one in an hour that happened twice: both dropped by reason, the third loads."""
    orders = [
        {"id": 1, "date_created_gmt": "2026-01-01T00:00:00"},
        {"id": 2, "date_created_gmt": None, "date_created": None},
        {"id": 3, "date_created_gmt": None, "date_created": "2026-10-25T02:30:00"},
    ]
    loaded = cl.load.woocommerce_orders(write(tmp_path, json.dumps(orders), "w.json"), tz="Europe/Berlin")
    assert loaded.df["conversion_id"].tolist() == ["1"]
    assert loaded.report.dropped == {"ambiguous_local_time": 1, "no_time": 1}


def test_repeated_plugin_ids_keep_the_first(tmp_path: Path) -> None:
    """Two gclids on one order: the first is used, the second counted."""
    meta = [{"key": "_gclid", "value": "FIRST"}, {"key": "gclid", "value": "SECOND"}]
    order = {"id": 1, "date_created_gmt": "2026-01-01T00:00:00", "meta_data": meta}
    loaded = cl.load.woocommerce_orders(write(tmp_path, json.dumps([order]), "w.json"))
    assert loaded.df["gclid"].tolist() == ["FIRST"]
    assert "click ids in named values: 1 repeated" in loaded.report.notes


def test_shopify_order_line_need_not_come_first(tmp_path: Path) -> None:
    """The order's columns are the first there are among its lines; wrong arguments are named."""
    text = "Name,Created at,Total,Id,Financial Status\n#1,,,,\n#1,2026-05-01 09:58:12 +0000,30,11,paid\n"
    path = write(tmp_path, text)
    loaded = cl.load.shopify_orders(path, sources="web")
    assert loaded.df[["conversion_id", "value"]].to_numpy().tolist() == [["11", 30.0]]
    assert loaded.report.dropped == {"continuation_line": 1}
    with pytest.raises(UnknownNameError, match="conversion_id="):
        cl.load.shopify_orders(path, conversion_id="order_id")


def test_access_log_with_odd_bytes_and_json_lines(tmp_path: Path) -> None:
    """A byte that is no UTF-8 costs nothing; nginx JSON is read; cookies and host may stand in either order."""
    path = tmp_path / "access.log"
    good = LOG.format("/?gclid=G1", 200, "-", AGENT + " \xf6", "").encode("latin-1")
    swapped = LOG.format("/?gclid=G2", 200, "-", AGENT, ' "shop.example" "_fbp=fb.1.1795300000456.1"').encode()
    entry = {
        "remote_addr": "198.51.100.9",
        "time_iso8601": "2026-05-17T10:05:03+02:00",
        "request": "GET /?gclid=G3 HTTP/2.0",
        "status": 200,
        "http_user_agent": AGENT,
        "host": "shop.example",
    }
    path.write_bytes(good + swapped + json.dumps(entry).encode() + b"\n{broken\n")
    loaded = cl.load.access_log(path)
    assert loaded.df["click_id"].tolist() == ["G1", "G2", "G3"]
    assert loaded.df["landing_url"].tolist()[1:] == ["https://shop.example/?gclid=G2", "https://shop.example/?gclid=G3"]
    assert (loaded.df["click_time"] == pd.Timestamp("2026-05-17 08:05:03", tz="UTC")).all()
    assert loaded.report.dropped == {"unparsable": 1}


def test_json_lines_with_a_broken_line(tmp_path: Path) -> None:
    """A cut last line is one unparsable row; the others load."""
    good = json.dumps({"conversion_id": "1", "event_name": "purchase", "event_time": "2026-01-01T00:00:00Z"})
    loaded = cl.load.table(write(tmp_path, good + "\n" + good[:20] + "\n", "x.jsonl"), "conversions")
    assert (loaded.report.rows_in, loaded.report.dropped) == (2, {"unparsable": 1})


def test_shopify_export_lines_of_one_order(tmp_path: Path) -> None:
    """Later lines of an order are line items: counted, never summed; guards and notes are read."""
    text = (
        "Name,Email,Financial Status,Currency,Total,Created at,Billing Zip,Billing Phone,Note Attributes,Cancelled at,"
        "Source,Id,Lineitem name\n"
        "#1001,a@example.com,paid,EUR,30.00,2026-05-01 09:58:12 +0200,'01067,'+4935112345,"
        '"color: red\ngclid: Cj0abc",,web,11,CD one\n'
        "#1001,a@example.com,,,,,,,,,,,CD two\n"
        "#1002,b@example.com,paid,EUR,10.00,2026-05-01 10:00:00 +0200,,,,2026-05-02 10:00:00 +0200,web,12,CD one\n"
        "#1003,c@example.com,expired,EUR,10.00,2026-05-01 10:00:00 +0200,,,,,web,13,CD one\n"
    )
    loaded = cl.load.shopify_orders(write(tmp_path, text), conversion_id="name")
    assert loaded.report.dropped == {"continuation_line": 1, "cancelled": 1, "not_paid": 1}
    row = loaded.df.iloc[0]
    assert (row["conversion_id"], row["order_id"], row["value"]) == ("1001", "11", 30.0)
    assert (row["postal_code"], row["phone"], row["gclid"]) == ("01067", "+4935112345", "Cj0abc")
    assert row["event_time"] == pd.Timestamp("2026-05-01 07:58:12", tz="UTC")


LOG = '198.51.100.7 - - [17/May/2026:10:05:03 +0200] "GET {} HTTP/1.1" {} 12 "{}" "{}"{}\n'
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"


def test_access_log_clicks(tmp_path: Path) -> None:
    """Two ids on one request are two clicks; the redirect's target is the same click; the rest has reasons."""
    lines = [
        LOG.format("/?gclid=G1&fbclid=F1", 301, "-", AGENT, ""),
        LOG.format("/home?gclid=G1", 200, "-", AGENT, ""),
        LOG.format("/style.css?gclid=G1", 200, "-", AGENT, ""),
        LOG.format("/?gclid=G2", 404, "-", AGENT, ""),
        LOG.format("/?gclid=G3", 200, "-", "Mozilla/5.0 (compatible; Googlebot/2.1)", ""),
        LOG.format("/", 200, "-", AGENT, ' "_fbp=fb.1.1795300000456.1" "shop.example"'),
        "\\x16\\x03 garbage\n",
    ]
    path = write(tmp_path, "".join(lines), "access.log")
    loaded = cl.load.access_log(path)
    assert loaded.df[["param", "click_id", "platform"]].to_numpy().tolist() == [
        ["fbclid", "F1", "meta"],
        ["gclid", "G1", "google"],
    ]
    assert loaded.df["click_time"].iloc[0] == pd.Timestamp("2026-05-17 08:05:03", tz="UTC")
    assert loaded.report.dropped == {
        "unparsable": 1,
        "bot": 1,
        "http_status": 1,
        "static_file": 1,
        "no_click_id": 1,
        "repeated_click": 1,
    }
    assert loaded.report.expanded == 1
    visits = cl.load.access_log(path, kind="visits").df
    assert visits["page_url"].tolist()[-1] == "https://shop.example/"
    assert visits["fbp"].tolist()[-1] == "fb.1.1795300000456.1"


def test_ga4_consent_repeats_and_cut_urls(tmp_path: Path) -> None:
    """Exact repeats are dropped, reloads kept and counted, unconsented rows get a row id of their own."""

    def event(**over: object) -> str:
        base = {
            "event_name": "purchase",
            "event_timestamp": "1767225600000001",
            "user_pseudo_id": "1.2",
            "event_params": [
                {"key": "page_location", "value": {"string_value": "https://s.example/?gclid=G1&fbclid=F1"}},
                {"key": "transaction_id", "value": {"int_value": "77"}},
                {"key": "value", "value": {"double_value": 12.5}},
            ],
            "privacy_info": {"ads_storage": "Yes"},
        }
        return json.dumps(base | over)

    lines = [
        event(),
        event(),
        event(event_timestamp="1767225700000001"),
        event(user_pseudo_id=None, privacy_info={"ads_storage": "No"}),
    ]
    loaded = cl.load.ga4_bigquery(write(tmp_path, "\n".join(lines), "events.jsonl"))
    assert loaded.report.dropped == {"duplicate_row": 1}
    assert loaded.df["conversion_id"].tolist() == ["77"] * 3
    assert loaded.df["value"].tolist() == [12.5] * 3
    assert (loaded.df["gclid"] == "G1").all()
    assert (loaded.df["fbclid"] == "F1").all()
    assert loaded.df["consent_ad_user_data"].tolist() == ["granted", "granted", "denied"]
    assert any(note.startswith("2 purchase events repeat") for note in loaded.report.notes)
    assert any(note.startswith("1 events have no client id") for note in loaded.report.notes)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_corruption_never_ends_in_a_traceback(tmp_path_factory, data) -> None:
    """Flip, cut or insert bytes anywhere: our own error, or an account in which every row is found again."""
    whole = rows(*[f"{i},purchase,2026-01-0{i}T00:00:00Z,1.5,EUR,x@example.com" for i in range(1, 9)]).encode()
    kind = data.draw(st.sampled_from(["cut", "flip", "insert"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if kind == "cut":
        broken = whole[:at]
    elif kind == "flip":
        broken = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    else:
        broken = whole[:at] + data.draw(st.binary(min_size=1, max_size=6)) + whole[at:]
    path = tmp_path_factory.mktemp("c") / "orders.csv"
    path.write_bytes(broken)
    try:
        loaded = cl.load.table(path, "conversions", tz="UTC")
    except CapiLabError as error:
        assert "x@example.com" not in str(error)
    else:
        report = loaded.report
        assert report.rows_in + report.expanded == report.rows_out + sum(report.dropped.values())
