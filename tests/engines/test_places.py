"""Tables stay where they lie, and what is run there comes back in its declared types."""

from __future__ import annotations

from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import capi_lab as cl
from capi_lab.engine import materialise, place_beside, run, to_frame
from tests.engines import logs


@pytest.fixture
def shop(tmp_path: Path) -> tuple[ibis.BaseBackend, pd.DataFrame, pd.DataFrame]:
    """A DuckDB file of the user's, and what is in it."""
    rng = np.random.default_rng(1)
    conversions = logs.ledger(rng, 300)
    events = logs.events(rng, conversions, 3000)
    own = ibis.duckdb.connect(tmp_path / "shop.duckdb")
    for name, frame in (("conversions", conversions), ("events", events)):
        frame.to_parquet(tmp_path / f"{name}.parquet")
        own.raw_sql(f"CREATE TABLE {name} AS FROM '{tmp_path / name}.parquet'")
    own.disconnect()
    return ibis.duckdb.connect(tmp_path / "shop.duckdb", read_only=True), conversions, events


def same(ours: pd.DataFrame, theirs: pd.DataFrame, key: str) -> None:
    pd.testing.assert_frame_equal(ours.sort_values(key, ignore_index=True), theirs.sort_values(key, ignore_index=True))


@pytest.mark.parametrize("platform", sorted(cl.PLATFORMS))
def test_a_connection_of_ones_own_does_all_the_work(shop, platform: str) -> None:
    """A file opened for reading gives what frames give, histories that are replayed among them."""
    own, conversions, events = shop
    there = cl.reconcile(own.table("conversions"), own.table("events"), platform)
    here = cl.reconcile(conversions, events, platform)
    assert there.event_table.get_backend() is own
    same(there.events, here.events, "row_id")
    same(there.conversions, here.conversions, "conversion_id")
    same(there.pairs, here.pairs, "conversion_id")


def test_frames_are_brought_to_the_table(shop) -> None:
    """A ledger in memory joins events in a file, whichever of the two is the frame."""
    own, conversions, events = shop
    here = cl.reconcile(conversions, events).summary
    assert cl.reconcile(conversions, own.table("events")).summary == here
    assert cl.reconcile(own.table("conversions"), pa.Table.from_pandas(events, preserve_index=False)).summary == here


def test_rows_beside_a_table_belong_to_its_engine(shop) -> None:
    """They can be run alone and joined afterwards."""
    own, _, _ = shop
    rows = materialise(place_beside(pd.DataFrame({"row_id": ["r1", None]}), own.table("events")))
    assert rows.get_backend() is own
    assert len(to_frame(own.table("events").join(rows, "row_id"))) == 1


def test_results_keep_their_types() -> None:
    """A sum of whole numbers, an instant and a missing text are the same after a step was kept."""
    table = ibis.memtable(
        pd.DataFrame(
            {"flag": [True, True], "text": [None, "x"], "time": pd.to_datetime(["2026-03-29T01:30:00.000001Z"] * 2)}
        )
    )
    query = table.aggregate(n=table.flag.sum(), text=table.text.min(), time=table.time.max(), none=ibis.null("string"))
    kept = materialise(query)
    assert kept.schema() == query.schema()
    assert run(kept).schema.field("n").type == pa.int64()
    assert run(kept).to_pylist() == run(query).to_pylist()


def test_a_table_that_lies_nowhere_is_only_written() -> None:
    """There is nothing to run: the step stays part of the query."""
    nowhere = ibis.table({"a": "int64"}, name="nowhere").filter(ibis._.a > 1)
    assert materialise(nowhere) is nowhere
