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
from capi_lab.words import GapCause, PairCause


@cache
def log() -> tuple[pd.DataFrame, pd.DataFrame]:
    """400 orders, each reported once by either channel."""
    orders = cl.load.sample("cdnow").conversions.sort_values("event_time").iloc[30_000:30_400]
    orders = orders.drop(columns=["event_id", "consent_ad_user_data"])
    seen = cl.observe(orders, cl.World.lossless(), rng=np.random.default_rng(2))
    # What a server knows of them; half the addresses hashed already.
    known = pd.DataFrame({"conversion_id": sorted(seen.conversions["conversion_id"])})
    known["email"] = [f"Person{i}@Example.com" if i % 2 else f"{i:064x}" for i in range(len(known))]
    known["gclid"] = [f"Gclid-{i:024d}Xy" for i in range(len(known))]
    known["fbc"] = [f"fb.1.1700000000000.IwAR{i:020d}Ab" for i in range(len(known))]
    events = seen.events.merge(known, on="conversion_id", how="left")
    server = events["channel"] == "capi"
    events = events.assign(**{name: events[name].where(server) for name in ("email", "gclid", "fbc")})
    return seen.conversions.merge(known, on="conversion_id", how="left"), events


def inject(*some: faults.Fault, seed: int = 1, disjoint: bool = False) -> cl.simulate.Injected:
    return cl.inject(*log(), some, rng=np.random.default_rng(seed), disjoint=disjoint)


def hit_by(hit: cl.simulate.Injected, fault: str) -> set[str]:
    return set(hit.faults.loc[hit.faults["fault"] == fault, "conversion_id"])


EVERY = [getattr(faults, name)(0.1) for name in faults.__all__ if name != "Fault"]


def test_there_is_a_fault_for_every_cause() -> None:
    """No cause of a pair or of a gap goes untested; each fault says in its docstring which one it is."""
    assert {fault.cause for fault in EVERY} >= set(PairCause) | set(GapCause)
    assert all(f"``{fault.cause}``" in (type(fault).__doc__ or "") for fault in EVERY)


LOSSES = {
    "BlockPixel", "FailScript", "FailServer", "HidePixel", "LeavePage", "LoseEveryNth", "LoseSilently", "MarkTestOrder",
    "Outage", "RefuseConsent", "ReloadPage", "ResendReport",
}  # fmt: skip


@pytest.mark.parametrize("fault", EVERY, ids=lambda fault: type(fault).__name__)
def test_what_changed_is_what_is_listed(fault) -> None:
    """The listed rows differ from before, or are gone, no other row does or is; a tenth of the orders is hit."""
    hit = inject(fault)
    before, after = log()[1].set_index("row_id"), hit.events.set_index("row_id")
    listed = {row for rows in hit.faults["row_ids"].dropna() for row in rows.split(",")}
    common = before.index.intersection(after.index)
    columns = [name for name in before.columns if name != "origin"]
    new = after.loc[common, columns]
    old = before.loc[common, columns]
    same = (new == old) | (new.isna() & old.isna())
    changed = set(same.index[~same.all(axis=1)]) | (set(after.index) ^ set(before.index))
    extra = [name for name in after.columns if name not in before.columns and name != "origin"]
    changed |= set(after.index[after[extra].notna().any(axis=1)])
    assert changed == listed
    ledger_only = isinstance(fault, faults.WithdrawConsent)
    hits = hit.faults if ledger_only else hit.faults.dropna(subset="row_ids")
    assert 20 <= len(hits) <= 60
    assert set(hit.faults["cause"]) == {str(fault.cause)}
    assert set(hit.events["origin"]) == {"semi-synthetic"}
    by_order = pd.concat([after, before])["conversion_id"].str.lstrip("#")
    by_order = by_order[~by_order.index.duplicated()]
    if fault.cause is not PairCause.ID_REUSED and not ledger_only:
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


def test_every_nth_and_an_outage_take_what_they_say() -> None:
    """Every tenth order by time loses its server report; an outage takes orders that follow each other."""
    order = log()[0].sort_values(["event_time", "conversion_id"])["conversion_id"].tolist()
    nth = hit_by(inject(faults.LoseEveryNth(0.1)), "LoseEveryNth")
    assert nth == set(order[9::10])
    out = sorted(order.index(one) for one in hit_by(inject(faults.Outage(0.2)), "Outage"))
    assert len(out) == 80
    gaps = [b - a for a, b in zip(out, [*out[1:], out[0] + 400], strict=True)]
    assert sorted(gaps)[-1] == 321
    assert set(gaps) == {1, 321}


def test_what_is_lost_is_lost_for_the_faults_that_follow() -> None:
    """A report that was taken out is neither changed nor resent, and its order is no pair any more."""
    hit = inject(faults.FailServer(1.0), faults.ChangeValue(1.0), faults.ResendReport(1.0), faults.ReloadPage(1.0))
    assert set(hit.faults["fault"]) == {"FailServer", "ReloadPage"}
    assert (hit.events["channel"] == "pixel").all()
    assert len(hit.events) == 800


def test_what_a_server_reads_from_the_ledger_is_wrong_there_too() -> None:
    """Cut ids, second hashes and a braid beside a gclid stand in the ledger; only the orders hit are touched."""
    before = log()[0].set_index("conversion_id")
    for fault, column in (
        (faults.TruncateClickId(0.2), "fbc"),
        (faults.LowerCaseClickId(0.2, column="gclid"), "gclid"),
        (faults.HashTwice(0.2), "email"),
        (faults.HashNothing(0.2), "email"),
    ):
        hit = inject(fault)
        after = hit.conversions.set_index("conversion_id")
        events = hit.events[hit.events["channel"] == "capi"].set_index("conversion_id")
        assert (events[column] == after[column].loc[events.index]).all()
        touched = set(after.index[after[column] != before[column].loc[after.index]])
        assert touched == set(hit.faults["conversion_id"])
    both = inject(faults.SendBraidBesideGclid(0.2)).conversions.dropna(subset="wbraid")
    assert both["gclid"].notna().all()
    assert cl.identity.inspect_hashes(
        inject(faults.HashTwice(1.0)).conversions["email"],
        pd.Series(log()[0]["email"].to_numpy()).where(lambda text: text.str.contains("@")),
        key="email", platform="meta",
    ).set_index("verdict")["k"]["double_hashed"] == 200  # fmt: skip


def test_consent_withdrawn_and_tests_are_told_by_the_ledger() -> None:
    """Who refused is silent in both channels, who withdrew is still reported; neither may be sent."""
    refused, withdrew = inject(faults.RefuseConsent(0.3)), inject(faults.WithdrawConsent(0.3))
    for hit, reported in ((refused, 0), (withdrew, 2)):
        denied = set(hit.conversions.loc[hit.conversions["consent_ad_user_data"] == "denied", "conversion_id"])
        assert denied == set(hit.faults["conversion_id"])
        assert hit.events["conversion_id"].isin(denied).sum() == reported * len(denied)
    tests = inject(faults.MarkTestOrder(0.3))
    marked = tests.conversions["test_order"].fillna(False).astype(bool)
    assert set(tests.conversions.loc[marked, "conversion_id"]) == set(tests.faults["conversion_id"])


def test_local_time_without_a_zone_is_an_hour_off_in_summer_only() -> None:
    """Winter's offset all year: right in winter, one hour late in summer; read as UTC, two; the double hour, one."""
    days = pd.to_datetime(["2026-01-15 10:00", "2026-07-15 10:00", "2026-10-25 00:30", "2026-10-25 01:30"], utc=True)
    events = pd.DataFrame(
        {
            "row_id": list("abcd"),
            "channel": "capi",
            "event_name": "Purchase",
            "event_time": days.as_unit("us"),
            "conversion_id": list("1234"),
        }
    )
    orders = events[["conversion_id", "event_name", "event_time"]]
    for read_as, hours in (("standard", [0, 1, 1, 0]), ("utc", [1, 2, 2, 1]), ("first", [0, 0, 0, -1])):
        hit = cl.inject(orders, events, [faults.NaiveTime(1.0, read_as=read_as)], rng=np.random.default_rng(1))
        off = (hit.events["event_time"] - events["event_time"]) / pd.Timedelta(hours=1)
        assert off.tolist() == hours, read_as
        assert len(hit.faults) == sum(one != 0 for one in hours)
    with pytest.raises(InputError, match="read_as"):
        faults.NaiveTime(0.1, read_as="guess")


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
    need_nothing = {"RenameEvent", "SendLate", "SkewClock", "NaiveTime", "LeaveTestCode", "WithdrawConsent"}
    assert set(hit.faults["fault"]) == need_nothing | {name for name in faults.__all__ if name in LOSSES}
    assert set(hit.events.columns) == {*bare.columns, "origin", "test_event_code"}
    nothing = cl.inject(conversions, events.iloc[:0], EVERY, rng=np.random.default_rng(1))
    assert len(nothing.events) == len(nothing.faults) == 0
    pixel = events[events["channel"] == "pixel"]
    one_channel = cl.inject(conversions, pixel, EVERY, rng=np.random.default_rng(1))
    browsers = {"BlockPixel", "HidePixel", "LeavePage", "FailScript", "LoseSilently", "RefuseConsent", "ReloadPage"}
    assert set(one_channel.faults["fault"]) == browsers


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
