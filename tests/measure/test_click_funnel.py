"""The click-id funnel counts what a plain reader of the logs would, and names what each loss needs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.words import ClickFix, ClickStep
from tests.measure.funnel_plain import walk

START = pd.Timestamp("2026-03-01", tz="UTC")
DAY = pd.Timedelta("1D")


def texts(values: object) -> pd.Series:
    return pd.Series(values, dtype="str")


def random_world(seed: int, n: int = 500) -> dict[str, object]:
    """Draw clicks, pages, orders and what followed, with every gap a log can have."""
    rng = np.random.default_rng(seed)
    some = rng.random
    day = rng.integers(0, 30, n)
    clicks = pd.DataFrame(
        {
            "click_row_id": texts([f"b{i}" for i in range(n)]), "platform": "meta", "param": "fbclid",
            "click_id": texts([f"Id-{i}" for i in range(n)]), "click_time": START + day * DAY,
            "click_date": texts(day),
        }
    )  # fmt: skip
    landed = np.flatnonzero(some(n) < 0.8)
    time = clicks["click_time"].iloc[landed].reset_index(drop=True) + pd.to_timedelta(
        rng.integers(0, 86_000, len(landed)), unit="s"
    )
    moved = some(len(landed)) < 0.3
    user = rng.integers(0, 200, n)
    address = [f"192.0.2.{i % 250}" for i in landed]
    known = texts(np.where(some(len(landed)) < 0.6, [f"u{i}" for i in user[landed]], None))
    jar = texts(np.where(some(len(landed)) < 0.8, [f"v{i}" for i in landed], None))
    first = pd.DataFrame(
        {
            "visit_row_id": texts([f"l{i}" for i in landed]), "visit_time": time, "client_ip": address,
            "page_url": texts([f"https://shop.example.com/go?fbclid=Id-{i}" for i in landed]),
            "status": texts(np.where(moved, "302", "200")), "user_agent": "Mozilla/5.0",
            "fbclid": texts([f"Id-{i}" for i in landed]), "user_key": known, "visitor_id": jar,
        }
    )  # fmt: skip
    target = first[moved & (some(len(landed)) < 0.8)]
    keeps = some(len(target)) < 0.7
    wait = pd.to_timedelta(rng.integers(0, 90, len(target)), unit="s")
    target = target.assign(
        visit_row_id="t" + target["visit_row_id"], status="200", visit_time=target["visit_time"] + wait,
        fbclid=target["fbclid"].where(keeps),
    )  # fmt: skip
    at = START + pd.to_timedelta(rng.integers(0, 31 * 86_400, n), unit="s")
    kept = some(n) < 0.5
    orders = pd.DataFrame(
        {
            "conversion_id": texts([f"o{i}" for i in range(n)]), "event_name": "purchase", "event_time": at,
            "user_key": texts(np.where(some(n) < 0.7, [f"u{i}" for i in user], None)),
            "visitor_id": texts(np.where(some(n) < 0.7, [f"v{i}" for i in rng.integers(0, n, n)], None)),
            "fbc": texts(np.where(kept, [f"fb.1.1767225600000.Id-{i}" for i in range(n)], None)),
            "client_ip": None, "user_agent": "Mozilla/5.0",
        }
    ).astype({"client_ip": "str"})  # fmt: skip
    page = orders[some(n) < 0.8]
    minutes = pd.to_timedelta(rng.integers(-15, 150, len(page)), unit="min")
    page = pd.DataFrame(
        {
            "visit_row_id": "c" + page["conversion_id"], "visit_time": page["event_time"] - minutes, "status": "200",
            "page_url": "https://shop.example.com/checkout", "fbc": page["fbc"].where(some(len(page)) < 0.8),
            "user_key": page["user_key"], "visitor_id": page["visitor_id"], "client_ip": "198.51.100.7",
            "user_agent": "Mozilla/5.0",
        }
    )  # fmt: skip
    went = orders[some(n) < 0.9]
    events = pd.DataFrame(
        {
            "row_id": "e" + went["conversion_id"], "channel": "capi", "platform": "meta", "event_name": "Purchase",
            "event_time": went["event_time"], "conversion_id": went["conversion_id"],
            "fbc": went["fbc"].where(some(len(went)) < 0.9),
        }
    )  # fmt: skip
    replies = dict(zip(went["conversion_id"], rng.choice(["accepted", "rejected", "retry", "unknown"], len(went),
                                                         p=[0.7, 0.1, 0.1, 0.1]), strict=True))  # fmt: skip
    said = {one: bool(some() < 0.6) for one in went["conversion_id"] if some() < 0.8}
    visits = pd.concat([first, target, page], ignore_index=True)
    return {"clicks": clicks, "visits": visits, "orders": orders, "events": events, "replies": replies, "said": said}


def funnel(world: dict[str, object], **more: object) -> cl.ClickIdFunnel:
    receipts = pd.DataFrame({"conversion_id": world["replies"].keys(), "status": world["replies"].values()})
    marks = pd.DataFrame({"conversion_id": world["said"].keys(), "attributed": world["said"].values()})
    return cl.click_id_funnel(
        world["clicks"], world["visits"], world["orders"], world["events"], platform="meta", receipts=receipts,
        attribution=marks, on=("user_key", "visitor_id"), **more,
    )  # fmt: skip


def test_every_step_is_what_a_plain_reader_counts(tmp_path: Path) -> None:
    """k, n and the lost rows of each step equal those of a loop over all rows; row order and files change nothing."""
    world = random_world(5)
    found = funnel(world)
    plain = list(
        walk(world["clicks"], world["visits"], world["orders"], world["events"], world["replies"], world["said"],
             timedelta(days=7))
    )  # fmt: skip
    counts = {(row.step, row.k, row.n) for row in found.table.itertuples()}
    steps = [str(step) for step in ClickStep]
    assert counts == {(s, sum(ok for at, _, ok in plain if at == s), sum(at == s for at, _, _ in plain)) for s in steps}
    lost = {(row.step, row.conversion_id) for row in found.lost[found.lost["unit"] == "orders"].itertuples()}
    asked = {(at, id_) for at, id_, ok in plain if not ok and at not in ("came", "landed", "redirected")}
    assert asked <= lost
    assert {step for step, _ in lost - asked} <= {"checkout", "order"}  # lost, but of a buyer no click is tied to
    assert found.table["value"].between(found.table["low"] - 1e-12, found.table["high"] + 1e-12).all()

    shuffled = {k: v.sample(frac=1, random_state=1) if isinstance(v, pd.DataFrame) else v for k, v in world.items()}
    for name in ("visits", "orders"):
        shuffled[name].to_parquet(tmp_path / f"{name}.parquet")
        shuffled[name] = str(tmp_path / f"{name}.parquet")
    again = funnel(shuffled)
    pd.testing.assert_frame_equal(found.table, again.table)
    pd.testing.assert_frame_equal(found.lost, again.lost)


def test_each_loss_names_what_would_have_kept_the_id() -> None:
    """In a simulated shop, whose truth is known, ids that Safari deleted ask for the server's cookie, and so on."""
    sim = cl.simulate(cl.World(known_customer=1.0), rng=np.random.default_rng(3), n=6000)
    clicks, orders = sim.clicks, sim.conversions
    found = cl.click_id_funnel(clicks, None, orders, sim.events, platform="meta", by="lag_band")
    truth = sim.truth.set_index("conversion_id")["click_id_fate"]
    lost = found.rows("order").assign(fate=lambda f: f["conversion_id"].map(truth))
    same = lost[lost["fate"].isin(["expired", "no_consent", "capture_failed"])]
    share = pd.crosstab(same["fate"], same["fix"], normalize="index")
    assert share.loc["expired", str(ClickFix.OWN_SERVER_COOKIE)] > 0.9
    assert share.loc["no_consent", str(ClickFix.ASK_CONSENT)] == 1.0
    early = same[(same["fate"] == "capture_failed") & (same["lag"] <= pd.Timedelta("1h"))]
    assert set(early["fix"]) == {str(ClickFix.STORE_ON_LANDING)}
    assert set(found.rows("event")["fix"]) == {str(ClickFix.SEND_EVERY_ORDER)}
    # Ids die with time, and what nobody observed is not in the table.
    on_order = found.table[(found.table["step"] == "order") & found.table["lag_band"].isin(["1h", "1d", "7d"])]
    assert on_order["lag_band"].tolist() == ["1h", "1d", "7d"]
    assert on_order["value"].is_monotonic_decreasing
    assert {"bought", "landed", "redirected", "checkout", "accepted", "attributed"} == set(found.unseen)
    assert not set(found.unseen) & set(found.table["step"])
    assert found.fixes["k"].sum() == len(found.lost)
    assert (found.fixes.groupby(["lag_band", "step"])["value"].sum().round(12) == 1).all()


def test_it_reads_well_and_shows_nobody() -> None:
    """Text and HTML name steps, counts, losses and remedies, and no row's value."""
    found = funnel(random_world(6, n=120), by="browser")
    shown = [step for step in ClickStep if step not in (ClickStep.BOUGHT, ClickStep.LANDED, ClickStep.CAME)]
    shown.append(ClickStep.CAME)  # orders have a browser, clicks that never landed have none
    for text in (repr(found), found._repr_html_()):
        assert all(step.label in text for step in shown)
        assert "fbclid" not in text
        assert "192.0.2" not in text
        assert "Id-" not in text
    assert "by browser" in repr(found)


def test_nothing_given_is_not_nothing_lost() -> None:
    """Without clicks, visits and events no step is a zero: each is said to be not observed, and what would show it."""
    orders = random_world(8, n=40)["orders"]
    found = cl.click_id_funnel(None, None, orders, platform="meta")
    assert set(found.unseen) == {str(step) for step in ClickStep}
    assert found.table.empty
    assert found.lost.empty
    assert repr(found).count("not observed") == len(ClickStep)
    assert "came" in cl.click_id_funnel(None, None, orders, platform="meta", by="lag_band").unseen


def test_logs_that_do_not_meet_say_so() -> None:
    """Clicks bought in another year, a landing nobody's, no server event: no step is made up, and none fails."""
    world = random_world(9, n=40)
    clicks = world["clicks"].assign(click_time=world["clicks"]["click_time"] - 365 * DAY, campaign="c")
    pixel = world["events"].assign(channel="pixel")
    found = cl.click_id_funnel(clicks, world["visits"].drop(columns="user_key"), world["orders"], pixel,
                               platform="meta", on="visitor_id", by="campaign")  # fmt: skip
    assert {"bought", "landed"} <= set(found.unseen)
    assert any("left out: 40" in note for note in found.notes)
    event = found.table[found.table["step"] == "event"]
    assert event["k"].sum() == 0 < event["n"].sum()
    assert set(found.rows("event")["fix"]) == {str(ClickFix.SEND_EVERY_ORDER)}
    assert "nan" not in repr(found)


def test_what_cannot_be_is_refused() -> None:
    """An unknown platform, step, column or pattern is named."""
    world = random_world(7, n=30)
    with pytest.raises(UnknownNameError, match="platform"):
        cl.click_id_funnel(None, None, world["orders"], platform="nobody")
    with pytest.raises(InputError, match="regular expression"):
        cl.click_id_funnel(None, None, world["orders"], platform="meta", checkout="(")
    with pytest.raises(InputError, match="'step'"):
        cl.click_id_funnel(None, None, world["orders"], platform="meta", by="step")
    with pytest.raises(UnknownNameError, match="cluster_of_mine"):
        cl.click_id_funnel(None, None, world["orders"], platform="meta", cluster="cluster_of_mine")
