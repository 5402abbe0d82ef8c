"""A simulated shop: contract tables, and a truth they agree with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import capi_lab as cl
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.identity import hash_column
from capi_lab.simulate.people import user_agent
from capi_lab.tables import CLICKS, CONVERSIONS, EVENTS, checked
from capi_lab.words import ClickFate, GapCause

CAUSES = [str(c) for c in (GapCause.NO_CONSENT, GapCause.BLOCKER, GapCause.BROWSER_PRIVATE, GapCause.PAGE_LEFT, GapCause.SCRIPT_FAILED)]  # fmt: skip  # noqa: E501


def simulate(world: cl.World | None = None, *, n: int = 20_000, platform: str = "meta", seed: int = 3) -> cl.Simulation:
    return cl.simulate(world or cl.World(), rng=np.random.default_rng(seed), n=n, platform=platform)


@pytest.fixture(scope="module")
def sim() -> cl.Simulation:
    return simulate()


@pytest.mark.parametrize("platform", cl.PLATFORMS)
def test_tables_keep_their_contracts_and_agree(platform: str) -> None:
    """In the contract's types already; events and clicks are those truth says there are, with the click id it says."""
    sim = simulate(n=3000, platform=platform)
    for table, contract in ((sim.conversions, CONVERSIONS), (sim.events, EVENTS), (sim.clicks, CLICKS)):
        pd.testing.assert_frame_equal(checked(contract, table), table)
    truth, spec = sim.truth.set_index("conversion_id"), cl.PLATFORMS[platform].spec
    assert list(truth.index) == list(sim.conversions["conversion_id"])
    for channel, column in (("pixel", "seen_pixel"), ("capi", "seen_capi")):
        reported = set(sim.events.loc[sim.events["channel"] == channel, "conversion_id"])
        assert reported == set(truth.index[truth[column]])
    rule = next(one for one in spec.click_ids if one.is_click)
    has_id = sim.conversions[rule.param].notna().to_numpy()
    assert (has_id == truth["click_id_kept"].to_numpy()).all()
    assert sim.conversions[rule.param].dropna().str.fullmatch(rule.pattern).all()
    for other in spec.click_ids:
        if not other.is_click:
            assert sim.conversions[other.param].str.fullmatch(other.pattern).all()
    carried = sim.events.merge(
        sim.conversions[["conversion_id", rule.param]], on="conversion_id", suffixes=("", "_own")
    )
    assert (carried[rule.param].fillna("") == carried[f"{rule.param}_own"].fillna("")).all()
    assert set(truth["click_row_id"].dropna()) == set(sim.clicks["click_row_id"])
    assert sim.clicks["landing_url"].map(cl.identity.click_ids_from_url).map(len).min() == 1


def test_truth_adds_up(sim: cl.Simulation) -> None:
    """The pixel misses exactly what a cause hit; fates tell kept ids from lost ones; lags lie inside the world's."""
    truth = sim.truth
    assert (truth["seen_pixel"] == ~truth[CAUSES].any(axis=1)).all()
    assert (truth["seen_capi"] == ~(truth["no_consent"] | truth["server_failed"])).all()
    assert set(truth["click_id_fate"]) <= set(ClickFate)
    assert ((truth["click_id_fate"] == "kept") == truth["click_id_kept"]).all()
    assert ((truth["click_id_fate"] == "no_click") == ~truth["ad_click"]).all()
    assert (truth["lag_days"].notna() == truth["ad_click"]).all()
    assert truth["lag_days"].max() <= cl.World().lag_max_days
    clicked = truth.merge(sim.clicks, on="click_row_id").merge(sim.conversions, on="conversion_id")
    lag = (clicked["event_time"] - clicked["click_time_x"]).dt.total_seconds() / 86400
    assert np.allclose(lag, clicked["lag_days"], atol=2e-5)
    assert (clicked["in_window"] == (clicked["lag_days"] < 7)).all()
    gap = cl.gap_by_cause(truth, seen="seen_pixel")
    assert abs(gap["shapley"].sum() - (1 - truth["seen_pixel"].mean())) < 1e-12


def test_nobody_is_real(sim: cl.Simulation) -> None:
    """Addresses at example domains, 555 numbers, documentation IPs; mistyped ones cannot be hashed, the others can."""
    orders = sim.conversions.merge(sim.truth, on="conversion_id")
    good = orders[orders["email_given"] & ~orders["email_mistyped"]]
    assert good["email"].str.fullmatch(r"[a-z]+\.[0-9a-f]{16}@example\.(com|net|org)").all()
    assert good["user_key"].groupby(good["email"]).nunique().max() == 1
    assert orders["phone"].dropna()[~orders["phone_mistyped"]].str.fullmatch(r"\+1 \d{3} 555 \d{4}").all()
    assert orders["client_ip"].str.startswith("2001:db8:").all()
    assert (orders["email"].notna() == orders["email_given"]).all()
    for key in ("email", "phone"):
        readable = hash_column(orders[key], key, "meta").notna()
        assert (readable == (orders[f"{key}_given"] & ~orders[f"{key}_mistyped"])).all()
    assert set(sim.events["origin"]) == set(sim.clicks["origin"]) == {"simulated"}


def test_browsers_call_themselves_what_they_are(sim: cl.Simulation) -> None:
    """Our reader of user agents finds the browser and device the order has."""
    orders = sim.conversions.drop_duplicates(["browser", "device"])
    read = cl.browser_of(orders["user_agent"])
    assert read["browser"].tolist() == orders["browser"].tolist()
    assert read["device"].tolist() == orders["device"].tolist()
    assert user_agent("Lynx", "desktop") is None


def test_traits_belong_to_customers(sim: cl.Simulation) -> None:
    """A customer's orders share browser, consent, address and jar; two customers share none of their keys."""
    orders = sim.conversions.merge(sim.truth, on="conversion_id")
    by_person = orders.groupby("user_key")
    for name in ("country", "browser", "no_consent", "blocker", "private_mode", "client_ip", "fbp", "email_given"):
        assert (by_person[name].nunique() <= 1).all(), name
    assert orders["fbp"].nunique() == orders["user_key"].nunique()
    assert by_person.size().mean() == pytest.approx(cl.World().orders_per_customer, rel=0.03)


def test_reports_come_late_twice_and_under_other_ids(sim: cl.Simulation) -> None:
    """Shares of reloads, repeated calls, unlike and lacking ids are the world's; nothing arrives before its order."""
    events, world = sim.events, cl.World()
    assert (events["received_time"] > events["event_time"]).all()
    pixel, server = (events[events["channel"] == name] for name in ("pixel", "capi"))

    def near(some: pd.Series, p: float) -> bool:
        return abs(some.mean() - p) < 4 * (p * (1 - p) / len(some)) ** 0.5

    assert near(
        pixel.drop_duplicates("conversion_id")["event_id"].str.startswith("p-").fillna(False), world.id_mismatch
    )
    assert near(pixel.groupby("conversion_id").size() == 2, world.reload)
    assert near(server.groupby("conversion_id").size() == 2, world.server_retry * world.retry_repeats)
    assert near(server["event_id"].isna(), world.id_missing / 2)
    assert pixel["email"].isna().all()
    assert server["email"].notna().mean() > 0.9
    known = server["fbp"].notna()
    assert (server.loc[known, "external_id"].notna()).all()
    assert near(known.groupby(server["external_id"].fillna(server["conversion_id"])).first(), 0.34)


def test_a_longer_run_begins_with_the_shorter(sim: cl.Simulation) -> None:
    """Neither n nor threads nor the size of a chunk changes an order that both have."""
    few = cl.simulate(cl.World(), rng=np.random.default_rng(3), n=700, threads=2)
    pd.testing.assert_frame_equal(few.conversions, sim.conversions.head(700))
    pd.testing.assert_frame_equal(few.truth, sim.truth.head(700))
    both = sim.events[sim.events["conversion_id"].isin(few.conversions["conversion_id"])]
    pd.testing.assert_frame_equal(
        few.events.sort_values("row_id", ignore_index=True), both.sort_values("row_id", ignore_index=True)
    )


def test_files_hold_what_memory_would(tmp_path: Path, sim: cl.Simulation) -> None:
    """Written block by block, with one thread or two: the same rows, as plain text and times; nothing half done."""
    for threads in (1, 2):
        run = cl.simulate(cl.World(), rng=np.random.default_rng(3), n=20_000, to=tmp_path / "shop", threads=threads)
        assert run.counts == sim.counts
        assert repr(run) == repr(sim)
        for name in ("conversions", "events", "clicks", "truth"):
            path, frame = getattr(run, name), getattr(sim, name)
            back = pq.read_table(path).to_pandas()
            key = frame.columns[0]
            pd.testing.assert_frame_equal(
                back.sort_values(key, ignore_index=True), frame.sort_values(key, ignore_index=True)
            )
        assert not list((tmp_path / "shop").glob("*.part"))


def ledger(n: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "conversion_id": [f"A{i}" for i in range(n)],
            "event_name": "lead",
            "event_time": pd.Timestamp("2026-03-01 10:00", tz="UTC"),
            "user_key": [f"u{i}" for i in rng.integers(0, n // 2, n)],
            "email": [f"jane{i}@example.com" if i % 2 else None for i in range(n)],
            "country": "DE",
            "note": "kept",
            "origin": "real",
        }
    )


def test_a_world_is_laid_on_a_ledger() -> None:
    """What the ledger says stands, what it lacks is made up, amounts never; the order of rows is nothing."""
    own = ledger()
    sim = cl.simulate(cl.World().on(own), rng=np.random.default_rng(5))
    for name in ("conversion_id", "event_name", "user_key", "email", "country", "note"):
        pd.testing.assert_series_equal(sim.conversions[name], own[name].astype("str"))
    assert sim.conversions["value"].isna().all()
    assert sim.events["currency"].isna().all()
    assert sim.conversions["phone"].notna().mean() == pytest.approx(0.6, abs=0.05)
    assert set(sim.conversions["origin"]) == set(sim.events["origin"]) == {"semi-synthetic"}
    assert (sim.truth["email_given"] == own["email"].notna()).all()
    assert set(sim.events["event_name"]) == {"Lead"}
    assert sim.truth["no_consent"].mean() == pytest.approx(0.45, abs=0.06)
    back = cl.simulate(cl.World().on(own.iloc[::-1]), rng=np.random.default_rng(5))
    pd.testing.assert_frame_equal(
        back.truth.sort_values("conversion_id", ignore_index=True),
        sim.truth.sort_values("conversion_id", ignore_index=True),
    )
    assert "jane" not in repr(cl.World().on(own)) + repr(sim) + sim._repr_html_()


def test_faults_are_laid_on_and_told(sim: cl.Simulation) -> None:
    """Truth names each order's faults."""
    hurt = cl.simulate(cl.World(), rng=np.random.default_rng(3), n=2000, faults=[cl.faults.DropEventId(0.1)])
    hit = hurt.truth["faults"].dropna()
    assert set(hit) == {"DropEventId"}
    both = (hurt.truth["seen_pixel"] & hurt.truth["seen_capi"]).sum()
    assert 0.05 * both < len(hit) < 0.15 * both


def test_wrong_calls_are_refused(tmp_path: Path) -> None:
    """What cannot be meant is an error that says what to do; an open gate is told wherever the run is shown."""
    rng = np.random.default_rng(1)
    with pytest.raises(InputError, match="leave out n"):
        cl.simulate(cl.World().on(ledger(10)), rng=rng, n=5)
    with pytest.raises(InputError, match="inject"):
        cl.simulate(cl.World(), rng=rng, to=tmp_path, faults=[cl.faults.DropEventId(0.1)])
    with pytest.raises(InputError, match="1 or more"):
        cl.simulate(cl.World(), rng=rng, n=0)
    with pytest.raises(UnknownNameError, match="platform"):
        cl.simulate(cl.World(), rng=rng, platform="myspace")
    assert "NOT gated" in repr(simulate(replace(cl.World(), consent_gate=False), n=10))
