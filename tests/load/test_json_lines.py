"""JSON lines read all at once: the same as line by line, whatever stands in them and however they are cut."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.load import Loaded, ga4_records
from capi_lab.load import gather as gathering
from capi_lab.load.files import Part
from capi_lab.load.json_columns import NotPlainError
from capi_lab.load.snowplow import ENRICHED_FIELDS
from tests.depth import THOROUGH
from tests.load.corruption import assert_damage_is_told, damaged, lines_with_text

_TEXT = st.sampled_from(
    ["", "-", "0", "null", "a", "é\u2028", 'quo"te\\', "{{x}}", " padded ", "2026-01-01 00:00:00", "12"]
)
_NUMBER = st.integers(-3, 2**60) | st.sampled_from([0.5, -0.0, 1e3, 1e22, 12.30, float("nan"), 2.0**53])
_ANY = _TEXT | _NUMBER | st.none() | st.booleans() | st.just([]) | st.just({"a": 1})
# Mostly of one type, as exports are.
_VALUE = st.fixed_dictionaries(
    {},
    optional={"string_value": _TEXT | st.none(), "int_value": _TEXT | st.none(), "double_value": _NUMBER | st.none()},
)
_PARAM = st.fixed_dictionaries(
    {}, optional={"key": st.sampled_from([*ga4_records._PARAMS[:4], "other"]), "value": _VALUE | st.none()}
)
_EVENT = st.fixed_dictionaries(
    {"event_name": st.sampled_from(["page_view", "purchase"]), "event_timestamp": st.just("1779000000000000")},
    optional={
        "user_pseudo_id": _TEXT | st.none(),
        "event_bundle_sequence_id": st.integers(0, 3),
        "event_params": st.lists(_PARAM | st.none(), max_size=4) | st.none(),
        "ecommerce": st.fixed_dictionaries({}, optional={"transaction_id": _TEXT, "purchase_revenue": _NUMBER})
        | st.none(),
        "device": st.fixed_dictionaries({}, optional={"web_info": st.just({"browser": "Chrome"}), "browser": _TEXT}),
        "unknown": _ANY,
    },
)
_ODD_EVENT = st.dictionaries(st.sampled_from([*ga4_records._SHAPE, "x"]), _ANY, max_size=4)


def _part(text: str, first: int = 1) -> Part:
    return Part("x.jsonl", Path("x.jsonl"), first, text.encode())


def _objects(rng: Random, n: int) -> list[dict]:
    """Events of few people at few times, so that some are repeats of others."""
    return [
        {
            "event_date": "20260517",
            "event_timestamp": str(1_779_000_000_000_000 + rng.randrange(4)),
            "event_name": rng.choice(["page_view", "purchase"]),
            "user_pseudo_id": rng.choice(["1.1", "2.2", None]),
            "event_params": [
                {"key": "page_location", "value": {"string_value": f"https://s.example/?gclid=G{rng.randrange(4)}"}},
                {"key": "value", "value": {"double_value": rng.choice([1, 2.5, 9.99])}},
            ],
            "ecommerce": rng.choice([None, {"transaction_id": str(rng.randrange(5))}]),
            "device": {"category": "mobile"},
        }
        for _ in range(n)
    ]


def _lines(objects: list[dict]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in objects).encode()


@settings(max_examples=50 if THOROUGH else 20, suppress_health_check=list(HealthCheck))
@given(
    events=st.lists(_EVENT, min_size=1, max_size=6), odd=st.lists(_ODD_EVENT, max_size=1), ends=st.sampled_from("\n\r")
)
def test_all_at_once_is_line_by_line(events: list[dict], odd: list[dict], ends: str) -> None:
    """Where lines are read all at once, every column is what reading line by line gives."""
    line_end = "\n" if ends == "\n" else "\r\n"
    part = _part(line_end.join(json.dumps(one) for one in [*events, *odd]) + line_end + "\n", first=7)
    want, unparsable = ga4_records._line_by_line(part)
    try:
        got, lost = ga4_records._all_at_once(part)
    except NotPlainError:
        return
    assert (lost, unparsable) == (0, 0)
    pd.testing.assert_frame_equal(got, want)


def test_real_looking_lines_are_read_all_at_once() -> None:
    """The way out is not taken for lines as exports hold them, nor for numbers written as such."""
    objects = _objects(Random(1), 50)
    for make in (str, int):
        lines = [one | {"event_timestamp": make(one["event_timestamp"])} for one in objects]
        frame, lost = ga4_records._all_at_once(_part(_lines(lines).decode()))
        assert (len(frame), lost) == (50, 0)


@pytest.mark.parametrize(
    "text",
    [
        '{"event_name": "a"}{"event_name": "b"}\n',
        '{"event_name":\n"a"}\n',
        '[{"event_name": "a"}]\n',
        'null\n{"event_name": "a"}\n',
        '{"event_name": "a", "event_name": "b"}\n',
        '{"event_params": [{"key": "value", "value": {"double_value": 9007199254740993}}]}\n',
        '{"event_params": [{"key": "value", "value": {"double_value": NaN}}]}\n',
        '{"event_name": "\\ud800"}\n',
        '{"event_name": 1}\n{"event_name": "a"}\n',
        '{"event_name": true}\n',
        '{"event_name": "a",}\n',
        ' {"event_name": "a"}\n',
    ],
)
def test_what_could_be_read_otherwise_is_refused(text: str) -> None:
    """Lines two parsers could take differently are left to the one that reads line by line."""
    with pytest.raises(NotPlainError):
        ga4_records._all_at_once(_part(text))


@pytest.mark.parametrize("load", [cl.load.ga4_bigquery, cl.load.ga4_clicks])
def test_cuts_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[..., Loaded]) -> None:
    """Small pieces, damaged lines and a streamed load: the same rows, ids and account."""
    rng = Random(2)
    for seed in range(2):
        lines = _lines(_objects(rng, 40)).splitlines(keepends=True)
        for _ in range(8 * seed):
            at = rng.randrange(len(lines))
            lines[at] = damaged(lines[at], rng).replace(b"\n", b"") + b"\n"
        path = tmp_path / "x.jsonl"
        path.write_bytes(b"".join(lines))
        monkeypatch.setattr(gathering, "CHUNK", 16 << 20)
        whole = load(path)
        assert whole.report.dropped["duplicate_row"] > 0
        for chunk in (2500, 5000):
            monkeypatch.setattr(gathering, "CHUNK", chunk)
            cut, streamed = load(path), load(path, to=tmp_path / "out.parquet")
            for one in (cut, streamed):
                assert (one.report.rows_in, one.report.dropped) == (whole.report.rows_in, whole.report.dropped)
                by = "row_id" if "row_id" in whole.df else "click_row_id"
                got, want = (
                    df.sort_values(by, ignore_index=True)[sorted(whole.df.columns)] for df in (one.df, whole.df)
                )
                pd.testing.assert_frame_equal(got, want)


def _snowplow(rng: Random) -> list[str]:
    values = {"event_id": f"e{rng.randrange(25)}", "event_name": "page_view", "collector_tstamp": "2026-05-17 10:00:00"}
    values |= {"derived_tstamp": rng.choice(["", "2026-05-17 09:59:58"]), "page_url": "https://s.example/?gclid=G1"}
    return [values.get(name, "") for name in ENRICHED_FIELDS]


@pytest.mark.parametrize("repeated", ["keep", "drop"])
def test_snowplow_numbers_repeats_over_all_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repeated: str
) -> None:
    """Copies of an event are numbered in the order of the rows, wherever the files were cut; held or streamed."""
    rng = Random(5)
    rows = [_snowplow(rng) for _ in range(60)]
    text = "".join("\t".join(row) + "\n" for row in rows) + "short\tline\n"
    one, halves = tmp_path / "x.tsv", [tmp_path / "1.tsv", tmp_path / "2.tsv"]
    one.write_text(text)
    cut = text.index("\n", len(text) // 2) + 1
    halves[0].write_text(text[:cut])
    halves[1].write_text(text[cut:])
    at = ENRICHED_FIELDS.index("event_id")
    seen: Counter[str] = Counter()
    want = []
    for row in rows:
        seen[row[at]] += 1
        if repeated == "keep" or seen[row[at]] == 1:
            want.append(row[at] if seen[row[at]] == 1 else f"{row[at]}#{seen[row[at]]}")
    for chunk in (1 << 20, 2000):
        monkeypatch.setattr(gathering, "CHUNK", chunk)
        for path in (one, halves):
            for to in (None, tmp_path / "out.parquet"):
                loaded = cl.load.snowplow_events(path, repeated=repeated, to=to)
                assert loaded.df["row_id"].tolist() == want
                assert loaded.report.rows_in == 61
                if repeated == "keep":
                    n = 60 - len(seen)
                    assert f"{n} rows repeat an event id of another row; kept, see repeated=" in loaded.report.notes


@pytest.mark.parametrize("format_", ["woocommerce", "shopify"])
def test_orders_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str) -> None:
    """Orders as JSON lines give the same rows and account whole, in small parts, and written part by part."""
    rng = Random(6)
    load = cl.load.woocommerce_orders if format_ == "woocommerce" else cl.load.shopify_orders
    time = "date_created_gmt" if format_ == "woocommerce" else "created_at"
    lines = []
    for number in range(40):
        stamp = rng.choice([f"2026-05-17T10:{number:02}:00Z"] * 5 + [""])
        order = {"id": rng.randrange(30), time: stamp, "currency": "EUR", "total": "5.00", "total_price": "5.00"}
        lines.append(json.dumps(order).encode() + b"\n")
    lines[7], lines[20] = b'{"id": 3, "cur\n', b'{"x": "\xff"}\n'
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"".join(lines))
    whole = load(path)
    assert {"unparsable", "no_time", "duplicate_id"} <= set(whole.report.dropped)
    monkeypatch.setattr(gathering, "CHUNK", 300)
    for one in (load(path), load(path, to=tmp_path / "out.parquet")):
        assert one.report == whole.report
        pd.testing.assert_frame_equal(one.df, whole.df)


def test_damage(tmp_path: Path) -> None:
    """A damaged file, or a truncated archive of it, is an error or a closed account."""
    sample = _lines(_objects(Random(3), 12))
    assert_damage_is_told(cl.load.ga4_bigquery, sample, tmp_path, "x.jsonl", rows=lines_with_text, n=8)


def test_a_byte_that_is_no_utf8_costs_its_line(tmp_path: Path) -> None:
    """One such line is unparsable; a file of nothing else is refused."""
    lines = _lines(_objects(Random(4), 5)).splitlines(keepends=True)
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b"mobile", b"m\xffbile"), *lines[3:]]))
    assert cl.load.ga4_bigquery(path).report.dropped["unparsable"] == 1
