"""Faults laid on a log: composable, seeded, and all of them on the list."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab import faults
from capi_lab.errors import InputError
from capi_lab.words import PairCause


@cache
def log() -> tuple[pd.DataFrame, pd.DataFrame]:
    """400 orders, each reported once by either channel."""
    orders = cl.load.sample("cdnow").conversions.sort_values("event_time").iloc[30_000:30_400]
    orders = orders.drop(columns=["event_id", "consent_ad_user_data"])
    seen = cl.observe(orders, cl.World.lossless(), rng=np.random.default_rng(2))
    return seen.conversions, seen.events


def inject(*some: faults.Fault, seed: int = 1, disjoint: bool = False) -> cl.simulate.Injected:
    return cl.inject(*log(), some, rng=np.random.default_rng(seed), disjoint=disjoint)


def hit_by(hit: cl.simulate.Injected, fault: str) -> set[str]:
    return set(hit.faults.loc[hit.faults["fault"] == fault, "conversion_id"])


EVERY = [getattr(faults, name)(0.1) for name in faults.__all__ if name != "Fault"]


def test_there_is_a_fault_for_every_cause() -> None:
    """No cause of a pair goes untested; each fault says in its docstring which one it is."""
    assert {fault.cause for fault in EVERY} == set(PairCause)
    assert all(f"``{fault.cause}``" in (type(fault).__doc__ or "") for fault in EVERY)


@pytest.mark.parametrize("fault", EVERY, ids=lambda fault: type(fault).__name__)
def test_what_changed_is_what_is_listed(fault) -> None:
    """The listed rows differ from before, no other row does; a tenth of the orders is hit; rows are only added."""
    hit = inject(fault)
    before, after = log()[1].set_index("row_id"), hit.events.set_index("row_id")
    listed = {row for rows in hit.faults["row_ids"].dropna() for row in rows.split(",")}
    common = before.index.intersection(after.index)
    assert len(common) == len(before)
    columns = [name for name in before.columns if name != "origin"]
    new = after.loc[common, columns]
    same = (new == before[columns]) | (new.isna() & before[columns].isna())
    changed = set(same.index[~same.all(axis=1)]) | (set(after.index) - set(before.index))
    assert changed == listed
    hits = hit.faults.dropna(subset="row_ids")
    assert 20 <= len(hits) <= 60
    assert set(hit.faults["cause"]) == {str(fault.cause)}
    assert set(hit.events["origin"]) == {"semi-synthetic"}
    by_order = after["conversion_id"].str.lstrip("#")
    if fault.cause is not PairCause.ID_REUSED:
        assert hits["conversion_id"].tolist() == [by_order[rows.split(",")[0]] for rows in hits["row_ids"]]


def test_same_seed_same_log_and_faults_keep_out_of_each_others_draws() -> None:
    """Adding a fault, raising a rate or shuffling rows leaves the others' choices as they were."""
    one, two = inject(*EVERY), inject(*EVERY)
    for a, b in zip(one, two, strict=True):
        pd.testing.assert_frame_equal(a, b)
    alone, beside = inject(faults.ChangeValue(0.1)), inject(faults.SendLate(0.2), faults.ChangeValue(0.1))
    assert hit_by(alone, "ChangeValue") == hit_by(beside, "ChangeValue")
    more = inject(faults.ChangeValue(0.2))
    assert hit_by(alone, "ChangeValue") < hit_by(more, "ChangeValue")
    twice = inject(faults.ChangeValue(0.1), faults.ChangeValue(0.1))
    assert len(twice.faults) > len(set(twice.faults["conversion_id"])) > len(alone.faults)
    conversions, events = (frame.sample(frac=1, random_state=3) for frame in log())
    shuffled = cl.inject(conversions, events, EVERY, rng=np.random.default_rng(1))
    pd.testing.assert_frame_equal(shuffled.faults, one.faults)
    pd.testing.assert_frame_equal(
        *(x.events.sort_values("row_id", ignore_index=True)[one.events.columns] for x in (shuffled, one))
    )
    assert hit_by(inject(faults.ChangeValue(0.1), seed=2), "ChangeValue") != hit_by(alone, "ChangeValue")


def test_an_id_is_lost_only_where_the_order_of_arrival_is_right() -> None:
    """Where the server's report came first it is another fault: a fallback would fail for that."""
    hit = inject(faults.DropEventId(1.0))
    times = log()[1].pivot(index="conversion_id", columns="channel", values="received_time")
    in_order = set(times.index[times["pixel"] <= times["capi"]])
    assert set(hit.faults["conversion_id"]) == in_order
    assert 0 < len(in_order) < len(times)


def test_disjoint_faults_share_no_conversion() -> None:
    """Not even the one whose id another took."""
    hit = inject(*EVERY, *EVERY, disjoint=True)
    per_fault = hit.faults.groupby("conversion_id")["fault"].nunique()
    assert (per_fault == 1).all()
    assert not inject(*EVERY).faults["conversion_id"].is_unique


def test_a_reused_id_is_the_one_of_the_order_before() -> None:
    """Both of them are listed, the giver without rows; the taker's events carry the giver's id."""
    hit = inject(faults.ReuseEventId(0.1, within=timedelta(days=1)))
    takers = hit.faults.dropna(subset="row_ids")
    givers = set(hit.faults["conversion_id"]) - set(takers["conversion_id"])
    ids = hit.events.set_index("row_id")["event_id"]
    owner = dict(zip(log()[0]["event_id"], log()[0]["conversion_id"], strict=True))
    times = log()[0].set_index("conversion_id")["event_time"]
    for taker in takers.itertuples():
        from_whom = {owner[ids[row]] for row in taker.row_ids.split(",")}
        assert len(from_whom) == 1
        assert from_whom <= givers
        assert from_whom == {taker.other_conversion_id}
        gap = times[taker.conversion_id] - times[from_whom.pop()]
        assert pd.Timedelta(0) <= gap <= pd.Timedelta(days=1)


def test_what_a_log_does_not_hold_cannot_break() -> None:
    """No ids, values or receipts: those faults hit nothing; the rest still works, and nothing is invented."""
    conversions, events = log()
    bare = events[["row_id", "channel", "event_name", "event_time", "conversion_id"]]
    hit = cl.inject(conversions, bare, EVERY, rng=np.random.default_rng(1))
    assert set(hit.faults["fault"]) == {"RenameEvent", "SendLate", "SkewClock"}
    assert set(hit.events.columns) == {*bare.columns, "origin"}
    nothing = cl.inject(conversions, events.iloc[:0], EVERY, rng=np.random.default_rng(1))
    assert len(nothing.events) == len(nothing.faults) == 0
    one_channel = cl.inject(conversions, events[events["channel"] == "pixel"], EVERY, rng=np.random.default_rng(1))
    assert one_channel.faults.empty


def test_events_are_found_by_event_id_too() -> None:
    """A log without order ids is hit as well, through the ledger's event ids."""
    conversions, events = log()
    hit = cl.inject(
        conversions, events.drop(columns="conversion_id"), [faults.DropEventId(1.0)], rng=np.random.default_rng(1)
    )
    assert len(hit.faults) > 300
    rows = hit.events.set_index("row_id")["event_id"]
    assert rows[hit.faults["row_ids"]].isna().all()


def test_the_result_shows_sizes_only_and_bad_rates_are_refused() -> None:
    """A ledger may hold people's data; a rate is a probability."""
    assert repr(inject(faults.DropEventId(0.1))).startswith("Injected: 400 conversions, 8")
    with pytest.raises(InputError, match="DropEventId"):
        faults.DropEventId(1.5)
