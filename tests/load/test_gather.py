"""Many files, archives and pieces of files: one table, one account, the same rows however it was cut."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import LoadError
from capi_lab.load import gather as gathering
from capi_lab.load.files import Part, read_json_records
from capi_lab.load.gather import gather, parts_of
from capi_lab.load.records import Records
from capi_lab.load.result import Loaded
from capi_lab.load.values import event_times, repeats
from capi_lab.tables import EVENTS
from capi_lab.words import LoadDrop
from tests.load.corruption import assert_damage_is_told, lines_with_text, zstd

HOUR = "2026-01-01T00:{:02d}:00Z"


def read(part: Part) -> Loaded:
    """Read a small format of our own: JSON objects with an id, a time and at times a click id."""
    objects, unparsable = read_json_records(part)
    records = Records(objects, unparsable, part, "test events")
    records.require("id")
    intake = records.intake()
    intake.frame = pd.DataFrame({"row_id": records.col("id"), "_time": records.col("at"), "gclid": records.col("g")})
    if intake.frame["gclid"].isna().all():
        intake.frame = intake.frame.drop(columns="gclid")
    intake.drop(intake.frame["row_id"].isna(), LoadDrop.NO_ID)
    intake.drop(repeats(intake.frame["row_id"]), LoadDrop.DUPLICATE_ID)
    times = event_times(intake.frame["_time"], intake, tz=None, column="at")
    intake.note_count(len(times), "{n} lines with a time")
    frame = intake.frame.drop(columns="_time").assign(event_time=times, channel="pixel", event_name="x")
    return intake.loaded(EVENTS, frame)


def lines(*ids: str, g: str | None = None) -> bytes:
    return b"".join(
        json.dumps({"id": one, "at": HOUR.format(n % 60), **({"g": g} if g else {})}).encode() + b"\n"
        for n, one in enumerate(ids)
    )


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "CHUNK", 100)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
@pytest.mark.parametrize("chunk", [7, 60, 1 << 20])
def test_however_a_file_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes], chunk: int
) -> None:
    """Plain, gzip or zstd, in pieces of any size: the lines come whole, in order, numbered, without the byte mark."""
    data = lines(*map(str, range(40))) + b'{"id": "last, without line end"}'
    path = tmp_path / "x.jsonl"
    path.write_bytes(pack(b"\xef\xbb\xbf" + data))
    monkeypatch.setattr(gathering, "CHUNK", chunk)
    parts = list(parts_of(path, split="json"))
    assert b"".join(part.data or b"" for part in parts) == data
    for before, after in itertools.pairwise(parts):
        assert after.first == before.first + (before.data or b"").count(b"\n")
    assert parts[0].first == 1


def test_patterns_lists_and_equal_names(tmp_path: Path) -> None:
    """A pattern is sorted, a file named twice is read once, and equal names in two folders stay apart."""
    for folder in ("b", "a"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.log").write_bytes(b"one\n")
    names = [part.name for part in parts_of(str(tmp_path / "*" / "x.log"))]
    assert names == ["x.log", "x.log#2"]
    paths = [part.path.parent.name for part in parts_of([tmp_path / "b" / "x.log", str(tmp_path / "*" / "*.log")])]
    assert paths == ["b", "a"]
    with pytest.raises(LoadError, match=r"no file matches '\*\.txt'"):
        list(parts_of(str(tmp_path / "*.txt")))
    with pytest.raises(LoadError, match="list of files is empty"):
        list(parts_of([]))
    odd = tmp_path / "odd[1].log"
    odd.write_bytes(b"one\n")
    assert [part.name for part in parts_of(odd)] == ["odd[1].log"]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("streamed", [False, True])
def test_one_account_over_all_parts(tmp_path: Path, streamed: bool) -> None:
    """Ids repeated across pieces and files are dropped by reason, counts add up, and columns need not agree."""
    (tmp_path / "1.jsonl").write_bytes(lines(*map(str, range(30))))
    (tmp_path / "2.jsonl.gz").write_bytes(gzip.compress(lines("29", "30", "31", g="G1") + b"{broken\n"))
    (tmp_path / "3.jsonl").write_bytes(b"")
    (tmp_path / "4.jsonl").write_bytes(lines("0", "", "32"))
    to = tmp_path / "out.parquet" if streamed else None
    loaded = gather(str(tmp_path / "?.jsonl*"), read, split="json", to=to)
    report = loaded.report
    assert report.source == "4 files"
    assert report.dropped == {"unparsable": 1, "no_id": 1, "duplicate_id": 2}
    assert (report.rows_in, report.rows_out) == (37, 33)
    assert loaded.df["row_id"].tolist() == [str(i) for i in range(33)]
    assert loaded.df["gclid"].dropna().tolist() == ["G1", "G1"]
    assert report.notes == ("35 lines with a time", "1 files are empty")
    assert loaded.file == to
    if to:
        assert sorted(p.name for p in tmp_path.iterdir()) == ["1.jsonl", "2.jsonl.gz", "3.jsonl", "4.jsonl", to.name]


@pytest.mark.usefixtures("small_parts")
def test_streamed_and_held_are_the_same_table(tmp_path: Path) -> None:
    """Written part by part or held in memory and written then: the same rows, types and report."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines(*map(str, range(1, 51))) + lines("a", "b", g="G1") + lines("7", "c"))
    held = gather(path, read, split="json")
    streamed = gather(path, read, split="json", to=tmp_path / "streamed.parquet")
    assert streamed.report == held.report
    again = pd.read_parquet(held.to_parquet(tmp_path / "held.parquet"))
    pd.testing.assert_frame_equal(again, held.df)
    pd.testing.assert_frame_equal(streamed.df, held.df)
    assert cl.load.table(tmp_path / "streamed.parquet", "events").df["row_id"].tolist() == held.df["row_id"].tolist()


@pytest.mark.usefixtures("small_parts")
def test_a_part_without_a_line_of_the_format(tmp_path: Path) -> None:
    """Pieces in which nothing fits count as unparsable lines; a file in which nothing fits is refused."""
    path, other = tmp_path / "x.jsonl", tmp_path / "y.jsonl"
    path.write_bytes(lines("1", "2") + b"no json at all\n" * 30 + lines("3"))
    loaded = gather(path, read, split="json")
    assert loaded.report.dropped == {"unparsable": 30}
    assert loaded.report.rows_in == 33
    other.write_bytes(b'{"no": "id"}\n' * 30)
    for both in ([path, other], [other, path], other):
        with pytest.raises(LoadError, match=r"'y\.jsonl' has no field 'id'"):
            gather(both, read, split="json")


@pytest.mark.usefixtures("small_parts")
def test_a_damaged_archive_leaves_no_table(tmp_path: Path) -> None:
    """A truncated archive is an error, and nothing lies at the target; what lay there before still does."""
    packed = tmp_path / "x.jsonl.gz"
    whole = lines(*map(str, range(500)))
    to = tmp_path / "out.parquet"
    for pack, word in ((gzip.compress, "gzip"), (zstd, "zstd")):
        packed.write_bytes(pack(whole)[:-20])
        with pytest.raises(LoadError, match=f"truncated {word}"):
            gather(packed, read, split="json", to=to)
        assert [p.name for p in tmp_path.iterdir()] == [packed.name]
    with pytest.raises(LoadError, match="folder exists"):
        gather(packed, read, split="json", to=tmp_path / "no folder" / "out.parquet")


def test_an_array_is_not_cut(tmp_path: Path) -> None:
    """An array or a pretty-printed object is read whole; JSON text may hold a line separator."""
    path = tmp_path / "x.json"
    records = [{"id": str(n), "at": HOUR.format(n)} for n in range(3)]
    for text in (json.dumps(records), json.dumps(records, indent=1), json.dumps(records[0], indent=1)):
        path.write_text(text)
        assert [part.data for part in parts_of(path, split="json")] == [None]
        assert gather(path, read, split="json").report.rows_out in (1, 3)
    path.write_text('{"id": "a\u2028b", "at": "2026-01-01T00:00:00Z"}\n{"id": "c"}\n', encoding="utf-8")
    assert gather(path, read, split="json").df["row_id"].tolist() == ["a\u2028b"]


def test_damage(tmp_path: Path) -> None:
    """A damaged file, or a truncated archive of it, is an error or a closed account."""
    assert_damage_is_told(
        lambda path: gather(path, read, split="lines"), lines(*map(str, range(1, 20))), tmp_path, "x.jsonl",
        rows=lines_with_text, n=6,
    )  # fmt: skip
