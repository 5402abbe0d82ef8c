"""Conversions held packed: the same rows as a frame gives, in a fraction of its memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.engine import in_pandas
from capi_lab.send import held
from capi_lab.send.held import Held, Packed
from capi_lab.tables import CONVERSIONS, checked
from tests.contracts.examples import NOW, ROUTES, SETTINGS, example_rows
from tests.send.door import Door, door
from tests.send.worlds import planned, sent, told

DECIDING = ("conversion_id", "event_name", "event_time", "value")


def _frame(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Conversions with columns of every type, own ones too, missing here and there."""
    some = rng.random(n) < 0.7
    times = pd.Series(pd.to_datetime(rng.integers(0, 10**9, n), unit="s", utc=True))
    return pd.DataFrame(
        {
            "conversion_id": pd.Series([f"o{i}" for i in range(n)], dtype="str"),
            "event_name": pd.Series(["purchase"] * n, dtype="str"),
            "event_time": times.dt.as_unit("us"),
            "value": np.where(some, rng.random(n), np.nan),
            "email": pd.Series([f"a{i}@shop.example" if one else None for i, one in enumerate(some)], dtype="str"),
            "eligible": pd.Series([bool(one) for one in some], dtype="bool"),
            "own_number": pd.Series(rng.integers(0, 9, n)),
            "own_broken": pd.Series(np.where(some, 3, None), dtype="float64"),
            "own_text": pd.Series([None] * n, dtype="str"),
        }
    )


def _table(frame: pd.DataFrame) -> pa.Table:
    broken = frame["own_broken"].astype("Int64")  # as a Parquet file has it: whole numbers, some missing
    table = pa.Table.from_pandas(frame.assign(own_broken=broken), preserve_index=False)
    return table.replace_schema_metadata(None)


def _packed(table: pa.Table, cut: int) -> Packed:
    batches = table.to_batches(max_chunksize=cut) or [pa.RecordBatch.from_pylist([], schema=table.schema)]
    return Packed(batches, lambda arrow: checked(CONVERSIONS, in_pandas(arrow)), DECIDING)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 60), cut=st.integers(1, 25), batch=st.integers(1, 12), seed=st.integers(0, 99))
def test_packed_rows_are_the_frames_rows(n: int, cut: int, batch: int, seed: int) -> None:
    """However the table comes in pieces, is packed and is put in order, any rows are what the frame has there."""
    rng = np.random.default_rng(seed)
    table = _table(_frame(n, rng))
    want = Held(checked(CONVERSIONS, in_pandas(table)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held, "BATCH", batch)
        patch.setattr(held, "_BINS", 3)
        packed = _packed(table, cut)
        pd.testing.assert_frame_equal(packed.deciding, want.deciding[list(DECIDING)])
        orders = [np.arange(n), rng.permutation(n), np.arange(n)[::-1].copy()]
        packed.in_order(orders[seed % 3])
        for places in (*orders, rng.permutation(n)[: n // 2], np.arange(0)):
            if n:
                pd.testing.assert_frame_equal(packed.rows(places), want.rows(places), check_index_type=False)
        pd.testing.assert_frame_equal(packed.whole(), want.whole(), check_index_type=False)


def test_packed_is_small() -> None:
    """What is the same in every row takes next to nothing, and of the rest at most what it is."""
    n = 50_000
    frame = _frame(n, np.random.default_rng(1)).assign(user_agent="Mozilla/5.0 (X11; Linux x86_64) Example/1.0")
    packed = _packed(_table(frame), 10_000)
    assert sum(map(len, packed._packed)) < frame.memory_usage(deep=True).sum() / 3


@pytest.mark.parametrize("place", ROUTES, ids="/".join)
def test_a_plan_of_a_file_is_the_plan_of_its_rows(tmp_path: Path, place: tuple[str, str]) -> None:
    """Planned from Parquet and from the frame: same rows, reasons, contents and fingerprint, on every route."""
    platform, route = place
    rows = example_rows(41).sample(frac=1, random_state=3).reset_index(drop=True)
    rows.loc[3, "event_time"] -= pd.Timedelta(days=400)
    rows.loc[7, "event_id"] = rows.loc[8, "event_id"]
    rows.loc[9, "conversion_id"] = "other"
    rows["eligible"] = [None, False] + [True] * 39
    path = tmp_path / "rows.parquet"
    rows.to_parquet(path)
    known = {"settings": SETTINGS[place], "now": NOW, "route": route, "host": "http://127.0.0.1:9"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held, "BATCH", 6)
        plans = [cl.plan(one, platform, **known) for one in (rows, path, pa.Table.from_pandas(rows))]
        assert isinstance(plans[1].held, Packed)
        bodies = [[request.json for request in plan.bodies()] for plan in plans]
    for plan, body in zip(plans[1:], bodies[1:], strict=True):
        pd.testing.assert_frame_equal(plan.rows, plans[0].rows, check_categorical=False)
        assert plan.fingerprint == plans[0].fingerprint
        assert body == bodies[0]
    assert plans[0].rows["action"].nunique() > 1


def test_a_plan_of_a_file_is_sent(tmp_path: Path) -> None:
    """A file's rows leave as a frame's do, and a second plan of the file has nothing to send."""
    with door() as box, cl.Outbox(tmp_path / "outbox.sqlite") as ledger:
        assert isinstance(box, Door)
        path = tmp_path / "rows.parquet"
        planned(box, ledger, "meta").conversions.to_parquet(path)
        known = {"settings": SETTINGS["meta", "capi"], "now": NOW, "host": box.url, "outbox": ledger}
        assert told(sent(cl.plan(path, "meta", **known))) == [("accepted", "")] * 4
        assert not len(cl.plan(path, "meta", **known).to_send)
