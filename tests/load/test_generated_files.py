"""Formats of which there is no public sample: written by `make_samples`, loaded back, and damaged."""

from __future__ import annotations

import io
import string
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import CapiLabError
from capi_lab.identity.clickids import is_missing
from tests.depth import THOROUGH
from tests.load.made_pixels import PIXEL_FORMATS, URL_LIST
from tests.load.make_samples import FORMATS as FILES
from tests.load.make_samples import PLACES, Format, expected, files, known_rows

FORMATS = [*FILES, *PIXEL_FORMATS, URL_LIST]
NAMES = [one.name for one in FORMATS]


def load(one: Format, path: Path) -> cl.load.Loaded:
    return getattr(cl.load, one.loader)(path, **one.options)


def assert_same(loaded: cl.load.Loaded, rows: list[dict], holds: tuple[str, ...]) -> None:
    """Every row is there, with every column the format holds; order does not matter."""
    assert (loaded.report.rows_in, loaded.report.rows_out, loaded.report.dropped) == (len(rows), len(rows), {})
    columns = list(holds)
    got = loaded.df[columns].sort_values(columns, ignore_index=True)
    want = expected(rows)[columns].sort_values(columns, ignore_index=True)
    pd.testing.assert_frame_equal(got, want)


@pytest.mark.parametrize("one", FORMATS, ids=NAMES)
def test_known_rows_come_back(one: Format, tmp_path: Path) -> None:
    """What was written is what is loaded: ids with leading zeros, units, zones, quotes and click ids."""
    rows = known_rows()
    assert_same(load(one, one.to(tmp_path, rows)), rows, one.holds)


# A line of a list has nothing by which another file's could be the same.
NO_IDS = {URL_LIST.name}


@pytest.mark.parametrize("one", [f for f in FORMATS if f.name not in NO_IDS], ids=lambda one: one.name)
def test_two_files_are_one_load(one: Format, tmp_path: Path) -> None:
    """Rows in two files, one row in both, load as from one file; into Parquet as well."""
    rows = known_rows()
    files = []
    for name, part in (("a", rows[:4]), ("b", rows[3:])):
        (tmp_path / name).mkdir()
        files.append(one.to(tmp_path / name, part))
    loaded = getattr(cl.load, one.loader)(files, **one.options)
    written = getattr(cl.load, one.loader)(files, **one.options, to=tmp_path / "all.parquet")
    assert (loaded.report.rows_in, sum(loaded.report.dropped.values())) == (len(rows) + 1, 1)
    assert written.report == loaded.report
    columns = list(one.holds)
    want = expected(rows)[columns].sort_values(columns, ignore_index=True)
    for frame in (loaded.df, written.df):
        pd.testing.assert_frame_equal(frame[columns].sort_values(columns, ignore_index=True), want)


_IDS = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12).filter(
    lambda text: not is_missing(text) and text != "0"
)
_WORDS = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=12).filter(
    lambda text: not is_missing(text) and not text.startswith("'")
)


@st.composite
def drawn_rows(draw: st.DrawFn) -> list[dict]:
    rows = known_rows(draw(st.integers(1, 5)))
    ids = draw(st.lists(_IDS, min_size=len(rows), max_size=len(rows), unique=True))
    seen: list[str] = []
    for row, id_ in zip(rows, ids, strict=True):
        currency = draw(st.sampled_from(["EUR", "USD", *PLACES]))
        click = f"{draw(_IDS)}{len(seen)}"
        seen.append(click)
        row |= {
            "id": id_,
            "time": draw(st.integers(1_500_000_000, 1_900_000_000)),
            "currency": currency,
            "minor": draw(st.integers(1, 10_000_000)),
            "click": click,
            "page": f"https://shop.example/?gclid={click}",
            "first": draw(_WORDS),
            "last": draw(_WORDS),
            "city": draw(_WORDS),
        }
    return rows


@settings(max_examples=4 if THOROUGH else 2, suppress_health_check=list(HealthCheck))
@given(rows=drawn_rows())
@pytest.mark.parametrize("one", FORMATS, ids=NAMES)
def test_any_rows_come_back(one: Format, rows: list[dict], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Writing a table in a format and loading it back is the identity, for what the format can hold."""
    assert_same(load(one, one.to(tmp_path_factory.mktemp("g"), rows)), rows, one.holds)


@pytest.mark.parametrize("one", FORMATS, ids=NAMES)
def test_damage_is_an_error_or_is_counted(one: Format, tmp_path: Path) -> None:
    """Cut, flip or insert bytes: our own error, or an account in which every row is found again."""
    rows = known_rows()
    whole = one.to(tmp_path, rows).read_bytes()
    rng = np.random.default_rng(20261125)
    path = tmp_path / f"damaged{one.suffix}"
    for kind in ("cut", "flip", "insert") * 2:
        at = int(rng.integers(len(whole)))
        noise = rng.integers(0, 256, size=3, dtype=np.uint8).tobytes()
        tail = {"cut": b"", "flip": noise[:1] + whole[at + 1 :], "insert": noise + whole[at:]}[kind]
        path.write_bytes(whole[:at] + tail)
        try:
            loaded = load(one, path)
        except CapiLabError as error:
            assert not any(row["email"] in str(error) or row["id"] in str(error) for row in rows)
        else:
            report = loaded.report
            assert report.rows_in + report.expanded == report.rows_out + sum(report.dropped.values())
            assert kind != "cut" or report.rows_in <= len(rows)


SHIPPED = Path(__file__).parents[2] / "data" / "formats"


def test_the_shipped_files_are_those_of_the_generator() -> None:
    """What lies in ``data/formats`` is what the generator writes, so that its documentation stays true."""
    made = files()
    assert sorted(path.name for path in SHIPPED.iterdir()) == sorted(made)
    for name, content in made.items():
        if name.endswith(".parquet"):  # whose bytes hold the writer's version
            pd.testing.assert_frame_equal(pd.read_parquet(SHIPPED / name), pd.read_parquet(io.BytesIO(content)))
        else:
            assert (SHIPPED / name).read_bytes() == content, name


@pytest.mark.parametrize("name", sorted(path.name for path in SHIPPED.iterdir()))
def test_every_shipped_file_is_known_by_its_content(name: str) -> None:
    """`cl.check` finds the format of each and reads it whole; other names and bare times are not guessed at."""
    if name == "ledger_csv.csv":
        with pytest.raises(CapiLabError, match="columns="):
            cl.check(SHIPPED / name)
        return
    zone = next((one.options.get("tz") for one in FORMATS if f"{one.name}{one.suffix}" == name), None)
    if zone:
        assert "without a zone" in str(cl.check(SHIPPED / name))
    report = cl.check(SHIPPED / name, tz=zone).report
    assert report.rows_out > 0
    assert not set(report.dropped) & {"unparsable", "no_id", "no_time"}
