"""The platform's dedup rule, replayed over a log."""

from __future__ import annotations

import dataclasses
import random
from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.engine import as_table, to_frame
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.reconcile.dedup import dedup_readings, mark
from capi_lab.tables import EVENTS
from tests.depth import THOROUGH
from tests.reconcile.greedy import HOURS_48, MINUTES_5, Row, greedy_meta

START = int(pd.Timestamp("2026-03-01", tz="UTC").timestamp()) * 1_000_000


def frame(rows: list[Row]) -> pd.DataFrame:
    times = pd.to_datetime([START + r.clock for r in rows], unit="us", utc=True)
    text = {
        name: pd.Series([getattr(r, attribute) for r in rows], dtype="str")
        for name, attribute in {
            "row_id": "row_id",
            "channel": "channel",
            "event_name": "name",
            "event_id": "event_id",
            "external_id": "external_id",
            "fbp": "fbp",
        }.items()
    }
    return pd.DataFrame(text | {"event_time": pd.Series(times).dt.as_unit("us")})


def verdicts(result: pd.DataFrame) -> dict[str, tuple[bool, str | None, str | None]]:
    return {
        row.row_id: (
            bool(row.kept),
            None if pd.isna(row.drop_reason) else row.drop_reason,
            None if pd.isna(row.duplicate_of) else row.duplicate_of,
        )
        for row in result.itertuples()
    }


# Clocks that sit on the rule's edges: ties, the 5-minute and 48-hour ends to the microsecond, chains beyond.
EDGES = sorted(
    {
        base + step + nudge
        for base in (0, HOURS_48, 2 * HOURS_48, HOURS_48 // 2)
        for step in (0, MINUTES_5, HOURS_48)
        for nudge in (-1, 0, 1)
        if base + step + nudge >= 0
    }
)


def some_log(draw: random.Random) -> list[Row]:
    """Draw one small log, dense with ties and edges."""
    ids = draw.choice([["e"], ["e", None], ["e", "f", None], [None], [f"e{i}" for i in range(4)]])
    people = draw.choice([[None], ["u", None], ["u", "v", None]])
    browsers = draw.choice([[None], ["b", None], ["b", "c"]])
    # Some logs are short enough for nothing to expire in them, some span several windows.
    longest = draw.choice([2 * MINUTES_5, HOURS_48, 3 * HOURS_48])
    return [
        Row(
            row_id=f"r{i:02d}",
            channel=draw.choice(["pixel", "capi"]),
            name=draw.choice(["Purchase", "Purchase", "purchase"]),
            event_id=draw.choice(ids),
            clock=draw.choice([draw.choice(EDGES), draw.randrange(longest)]),
            external_id=draw.choice(people),
            fbp=draw.choice(browsers),
        )
        for i in range(draw.randint(1, 14))
    ]


def many(logs_: list[list[Row]]) -> list[Row]:
    """Put many small logs into one, each with names and ids of its own, so that one run checks them all."""
    return [
        Row(f"{k}-{r.row_id}", r.channel, f"{r.name}{k}", r.event_id, r.clock, r.external_id, r.fbp)
        for k, log in enumerate(logs_)
        for r in log
    ]


@pytest.mark.parametrize("seed", range(2))
def test_equals_a_plain_greedy_loop(seed: int) -> None:
    """Every verdict, reason and partner equals the greedy loop's, over 1,200 adversarial logs."""
    draw = random.Random(seed)
    rows = many([some_log(draw) for _ in range(600)])
    same_channel = bool(seed % 2)
    result = cl.dedup(frame(rows), "meta", same_channel=same_channel)
    assert verdicts(result) == greedy_meta(rows, same_channel=same_channel)
    other = greedy_meta(rows, same_channel=not same_channel)
    words = {False: "same channel kept apart", True: "same channel merged"}
    assert result.attrs["kept_by_reading"] == {
        words[same_channel]: int(result["kept"].sum()),
        words[not same_channel]: sum(kept for kept, _, _ in other.values()),
    }


# One or two events, with clocks on and about every edge of the rule: small enough to shrink to the point.
pairs = st.lists(
    st.builds(
        Row,
        row_id=st.just("r"),
        channel=st.sampled_from(["pixel", "capi"]),
        name=st.just("P"),
        event_id=st.sampled_from(["e", "e", None]),
        clock=st.one_of(st.sampled_from(EDGES), st.integers(0, 3 * HOURS_48)),
        external_id=st.sampled_from(["u", None]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=15 if THOROUGH else 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=pairs, same_channel=st.booleans())
@example([Row("r", "capi", "P", "e", 0), Row("r", "pixel", "P", "e", MINUTES_5)], False)
@example([Row("r", "capi", "P", "e", 0), Row("r", "pixel", "P", "e", MINUTES_5 + 1)], False)
@example([Row("r", "pixel", "P", "e", 0), Row("r", "capi", "P", "e", HOURS_48)], False)
@example([Row("r", "pixel", "P", "e", 0), Row("r", "capi", "P", "e", HOURS_48 + 1)], False)
def test_edges_of_the_rule(rows: list[Row], same_channel: bool) -> None:
    """A few events on the edges: the 5 minutes and the 48 hours are inside, a microsecond more is not."""
    named = [dataclasses.replace(row, row_id=f"r{i}") for i, row in enumerate(rows)]
    rule = cl.PLATFORMS["meta"].spec.dedup
    marked = mark(as_table(frame(named), EVENTS), rule, same_channel=same_channel)
    assert verdicts(to_frame(marked)) == greedy_meta(named, same_channel=same_channel)


def test_dense_keys_over_many_windows() -> None:
    """One id reused every few hours for weeks by both channels is replayed as the greedy loop does."""
    rows = [Row(f"r{i:03d}", "pixel" if i % 3 else "capi", "Purchase", "same", i * HOURS_48 // 7) for i in range(200)]
    for merged in (False, True):
        assert verdicts(cl.dedup(frame(rows), "meta", same_channel=merged)) == greedy_meta(rows, same_channel=merged)


def test_bursts_of_server_events_before_the_browser() -> None:
    """Several server events, then several browser events: the k-th takes the place of the k-th while it is in time."""
    minute = MINUTES_5 // 5
    bursts = (
        ([0, 1, 2], [3, 3, 3, 3]),  # all in time, and one more browser event than server events
        ([0, 1, 2], [4, 9, 9]),  # the second is too late, and so are all after it
        ([0, 4], [6, 6]),  # the first is too late already
        ([0, 0, 0], [1]),
        ([0, 2, 6, 7], [3, 4]),  # server events after the first browser event
    )
    rows = [
        Row(f"{burst}{channel}{i}", channel, f"P{burst}", "e", at * minute)
        for burst, both in enumerate(bursts)
        for channel, clocks in zip(("capi", "pixel"), both, strict=True)
        for i, at in enumerate(clocks)
    ]
    for merged in (False, True):
        assert verdicts(cl.dedup(frame(rows), "meta", same_channel=merged)) == greedy_meta(rows, same_channel=merged)


def test_a_rule_that_prefers_the_server_is_replayed() -> None:
    """A rule outside the closed form takes the long way: within the near-tie the server's copy stays."""
    meta = cl.PLATFORMS["meta"].spec.dedup
    assert meta.prefer
    server = dataclasses.replace(meta, prefer=dataclasses.replace(meta.prefer, channel=cl.words.Channel.CAPI))
    rows = [Row("a", "pixel", "P", "e", 0), Row("b", "capi", "P", "e", 1), Row("c", "capi", "P", "e", 2)]
    assert cl.dedup(frame(rows[:2]), "meta", rule=server)["kept"].tolist() == [False, True]
    assert cl.dedup(frame(rows), "meta", rule=server)["kept"].tolist() == [False, True, True]


def test_row_order_and_parquet_files_do_not_matter(tmp_path) -> None:
    """Shuffled rows, and the same rows split over Parquet files, give the same verdicts."""
    rows = [
        Row(f"r{i}", "pixel" if i % 2 else "capi", "Purchase", f"e{i // 3}", (i * 7919) % 50 * MINUTES_5 // 2)
        for i in range(60)
    ]
    table = frame(rows)
    expected = verdicts(cl.dedup(table, "meta"))
    assert verdicts(cl.dedup(table.sample(frac=1, random_state=1), "meta")) == expected
    table.iloc[:20].to_parquet(tmp_path / "a.parquet")
    table.iloc[20:].to_parquet(tmp_path / "b.parquet")
    lazy = cl.dedup(str(tmp_path / "*.parquet"), "meta")
    assert verdicts(lazy.to_pandas()) == expected


def test_rows_come_back_in_the_callers_order_with_the_callers_index() -> None:
    """Rows are marked, never deleted or moved: index, order and extra columns are the input's."""
    table = frame([Row("b", "capi", "P", "e", 1), Row("a", "pixel", "P", "e", 0)]).assign(note=["x", "y"])
    table.index = pd.Index([7, 3])
    result = cl.dedup(table, "meta")
    assert list(result.index) == [7, 3]
    assert list(result["row_id"]) == ["b", "a"]
    assert list(result["note"]) == ["x", "y"]
    assert list(result["kept"]) == [False, True]


def test_receipt_not_event_time_is_the_clock() -> None:
    """A server event that happened at once but was received 49 hours later is counted again."""
    table = frame([Row("a", "pixel", "P", "e", 0), Row("b", "capi", "P", "e", 0)])
    late = table.assign(received_time=[table["event_time"][0], table["event_time"][0] + pd.Timedelta("49h")])
    assert cl.dedup(table, "meta")["kept"].tolist() == [True, False]
    assert cl.dedup(late, "meta")["kept"].tolist() == [True, True]


def test_names_and_ids_are_compared_exactly() -> None:
    """``Purchase`` and ``purchase`` are two events, and so are ids that differ in case."""
    table = frame(
        [
            Row("a", "pixel", "Purchase", "e", 0),
            Row("b", "capi", "purchase", "e", 1),
            Row("c", "capi", "Purchase", "E", 1),
        ]
    )
    assert cl.dedup(table, "meta")["kept"].all()


def test_both_readings_are_reported() -> None:
    """A reload is kept under one reading and merged under the other; the table says which is assumed."""
    table = frame([Row("a", "pixel", "P", "e", 0), Row("b", "pixel", "P", "e", 1)])
    readings = dedup_readings(table, "meta").set_index("reading")
    assert readings["kept"].to_dict() == {"same channel kept apart": 2, "same channel merged": 1}
    assert readings["assumed"].to_dict() == {"same channel kept apart": True, "same channel merged": False}


def test_wrong_inputs_say_what_to_do() -> None:
    """An unknown platform, rows of another platform, and a repeated row id are refused by name and count."""
    table = frame([Row("a", "pixel", "P", "e", 0), Row("b", "capi", "P", "e", 1)])
    with pytest.raises(UnknownNameError, match=r"known: .*meta"):
        cl.dedup(table, "mega")
    with pytest.raises(InputError, match="2 rows"):
        cl.dedup(table.assign(platform="elsewhere"), "meta")
    with pytest.raises(ContractError, match=r"row_id: value is not unique.*1 row\b"):
        cl.dedup(table.assign(row_id="a"), "meta")


def test_empty_log() -> None:
    """No events give no events."""
    assert len(cl.dedup(frame([Row("a", "pixel", "P", "e", 0)]).iloc[:0], "meta")) == 0


def test_another_rule_can_be_replayed() -> None:
    """What hangs on an assumption: the same log under a window of one hour."""
    table = frame([Row("a", "pixel", "P", "e", 0), Row("b", "capi", "P", "e", MINUTES_5 * 24)])
    short = dataclasses.replace(cl.PLATFORMS["meta"].spec.dedup, window=timedelta(hours=1))
    assert cl.dedup(table, "meta")["kept"].tolist() == [True, False]
    assert cl.dedup(table, "meta", rule=short)["kept"].tolist() == [True, True]
