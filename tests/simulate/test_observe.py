"""The loss model: mechanisms in, coverage out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.simulate import browser_shares
from capi_lab.words import GapCause


def ledger(n: int = 3000, users: int = 1200, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    times = pd.Timestamp("2026-02-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 90 * 86400, n), unit="s")
    return pd.DataFrame(
        {
            "conversion_id": [f"{i}" for i in range(n)],
            "event_name": "purchase",
            "event_time": pd.Series(times).dt.as_unit("us"),
            "value": rng.lognormal(3, 1, n),
            "currency": "USD",
            "user_key": [f"u{i}" for i in rng.integers(0, users, n)],
            "origin": "real",
        }
    )


def values(seen: cl.simulate.Observation | object) -> pd.Series:
    return cl.coverage(cl.reconcile(seen.conversions, seen.events)).set_index("setup")["value"]


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_all_causes_off_gives_coverage_one() -> None:
    """Nothing lost, every id shared: both channels see all, and the platform counts each order once."""
    seen = cl.observe(ledger(), cl.World.lossless(), rng=rng())
    rec = cl.reconcile(seen.conversions, seen.events)
    table = cl.coverage(rec).set_index("setup")
    assert table["value"].to_dict() == {"pixel": 1.0, "capi": 1.0, "pixel+capi": 1.0, "incremental": 0.0}
    assert (rec.conversions["counted"] == 1).all()
    assert (rec.pairs["outcome"] == "deduplicated").all()


@pytest.mark.parametrize(
    "knob",
    ["blocker_desktop", "private_mode", "brave_of_chrome", "firefox_strict", "page_left", "script_failed"],
)
def test_each_pixel_mechanism_lowers_pixel_coverage_only(knob: str) -> None:
    """Switching one mechanism on costs the pixel and leaves every server event as it was (paired draws)."""
    world = dataclasses.replace(cl.World.lossless(), list_blocks_pixel=1.0, blocker_firefox_factor=1.0)
    base, worse = (cl.observe(ledger(), w, rng=rng()) for w in (world, dataclasses.replace(world, **{knob: 0.4})))
    assert values(worse)["pixel"] < values(base)["pixel"] == 1.0
    server = [s.events[s.events["channel"] == "capi"].reset_index(drop=True) for s in (base, worse)]
    pd.testing.assert_frame_equal(*server)


def test_consent_is_a_common_cause() -> None:
    """With the gate on, no setup sees more than the consenting share; off, the server sees all."""
    world = dataclasses.replace(cl.World.lossless(), consent_deny=dict.fromkeys(["US", "GB", "DE", "FR"], 0.3))
    gated = cl.observe(ledger(), world, rng=rng())
    consented = (gated.conversions["consent_ad_user_data"] == "granted").mean()
    assert values(gated)["pixel+capi"] == pytest.approx(consented)
    assert values(cl.observe(ledger(), dataclasses.replace(world, consent_gate=False), rng=rng()))["capi"] == 1.0


def test_traits_belong_to_customers() -> None:
    """Two orders of one customer share browser, country, consent and blocker."""
    seen = cl.observe(ledger(), cl.World(), rng=rng())
    both = seen.conversions.merge(seen.truth, on="conversion_id")
    for name in ("country", "browser", "device", "no_consent", "blocker", "browser_private"):
        assert (both.groupby("user_key")[name].nunique() <= 1).all()
    assert both.groupby("user_key")["page_left"].nunique().max() == 2


def test_same_seed_same_tables_and_truth_matches_events() -> None:
    """A run is reproducible, and events exist exactly where truth says so."""
    one, two = (cl.observe(ledger(), cl.World(), rng=rng()) for _ in range(2))
    pd.testing.assert_frame_equal(one.events, two.events)
    for channel, column in (("pixel", "seen_pixel"), ("capi", "seen_capi")):
        reported = set(one.events.loc[one.events["channel"] == channel, "conversion_id"])
        assert reported == set(one.truth.loc[one.truth[column], "conversion_id"])
    lost = one.truth[[c for c in GapCause if c in one.truth and c != GapCause.SERVER_FAILED]].any(axis=1)
    assert (one.truth["seen_pixel"] == ~lost).all()


def test_rows_say_that_they_are_not_real() -> None:
    """Tracking laid on real orders is semi-synthetic, on simulated ones simulated."""
    assert set(cl.observe(ledger(50), cl.World(), rng=rng()).events["origin"]) == {"semi-synthetic"}
    made = ledger(50).assign(origin="simulated")
    assert set(cl.observe(made, cl.World(), rng=rng()).conversions["origin"]) == {"simulated"}


def test_segments_of_the_ledger_are_kept() -> None:
    """Browsers that the ledger knows are not drawn again."""
    own = ledger(200).assign(browser="Safari")
    assert set(cl.observe(own, cl.World(), rng=rng()).conversions["browser"]) == {"Safari"}


def test_losses_follow_the_ledgers_own_traits() -> None:
    """Where everybody in Germany refuses, German orders are not seen and American ones are; ids stay the ledger's."""
    world = dataclasses.replace(cl.World.lossless(), consent_deny={"US": 0.0, "GB": 0.0, "DE": 1.0, "FR": 0.0})
    own = ledger(400).assign(country=["DE", "US"] * 200, user_key=None, event_id=["mine", None] * 200)
    own["event_id"] = own["event_id"].where(own["event_id"].isna(), own["conversion_id"] + "-mine")
    seen = cl.observe(own, world, rng=rng())
    by_country = seen.truth.groupby(seen.conversions["country"])["seen_pixel"].mean()
    assert by_country.to_dict() == {"DE": 0.0, "US": 1.0}
    assert seen.conversions["event_id"].iloc[0] == "0-mine"
    told = cl.observe(own.assign(country="US", consent_ad_user_data="denied"), world, rng=rng())
    assert not told.truth["seen_pixel"].any()
    with pytest.raises(InputError, match="lacks JP"):
        cl.observe(own.assign(country="JP"), world, rng=rng())
    assert "0" in repr(seen)
    assert "mine" not in repr(seen)


def test_browser_shares_are_the_shipped_ones() -> None:
    """Shares sum to 1; the US has the published Safari share on iOS (23.43 % of page views)."""
    us = browser_shares("US")
    assert us["share"].sum() == pytest.approx(1)
    raw = us.set_index(["browser", "os"])["share"]
    assert raw["Safari", "iOS"] / raw["Chrome", "Android"] == pytest.approx(23.43 / 23.60, rel=1e-3)
    with pytest.raises(UnknownNameError, match="country"):
        browser_shares("XX")


def test_the_shipped_sample_is_what_the_generator_makes() -> None:
    """The sample is complete, semi-synthetic and inside the practitioners' range, which no constant says."""
    shop = cl.load.sample("cdnow")
    assert (len(shop.conversions), shop.conversions["user_key"].nunique()) == (69_659, 23_570)
    assert shop.conversions["value"].sum() == pytest.approx(2_500_315.63)
    assert set(shop.events["origin"]) == set(shop.conversions["origin"]) == {"semi-synthetic"}
    assert shop.conversions["event_time"].max() < pd.Timestamp("2026-11-01", tz="UTC")
    assert 0.55 <= shop.truth["seen_pixel"].mean() <= 0.75
    again = cl.observe(
        shop.conversions.drop(columns=["country", "browser", "os", "device"]).assign(origin="real"),
        cl.World(),
        rng=np.random.default_rng(20261123).spawn(2)[1],
    )
    pd.testing.assert_frame_equal(again.truth, shop.truth)
    pd.testing.assert_frame_equal(again.events, shop.events)
    assert "cdnow" in cl.load.samples()
    with pytest.raises(UnknownNameError, match="cdnow"):
        cl.load.sample("nope")
