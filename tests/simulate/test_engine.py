"""The bare engine: what becomes of orders, held against closed forms and its invariants."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

import capi_lab as cl
from capi_lab.simulate.engine import blocks, has, journeys, match, traits_of
from capi_lab.simulate.plan import Cell, Cells, Lag, Plan, Trait, cells_of
from capi_lab.simulate.world import LAGS
from capi_lab.words import Storage

N = 60_000
INDEPENDENT = cl.World(privacy_rho=0.0, orders_per_customer=1.0)


def drawn(world: cl.World, n: int = N, seed: int = 1, platform: str = "meta") -> dict[str, Any]:
    """Return what was drawn of all orders, as flat arrays."""
    plan = Plan(world, platform, seed)
    found: dict[str, list[Any]] = {}
    for block in blocks(plan, n):
        j = journeys(plan, block, traits_of(plan, block.people))
        m = match(plan, block, j)
        click = np.zeros(len(j.click_id), dtype=bool)
        click[j.click.rows] = True
        parts = {name: getattr(j, name) for name in ("traits", "seen_pixel", "seen_capi", "captured", "click_id")}
        parts |= {name: getattr(m, name) for name in m.__slots__} | {"click": click, "person": block.of_person}
        parts |= {name: getattr(j, name) for name in ("page_left", "script_failed", "server_failed")}
        for name, values in parts.items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in found.items()}


def near(k: int, n: int, p: float) -> bool:
    """Say whether k of n is what chance p gives, within four standard errors."""
    return abs(k - n * p) <= 4 * (n * p * (1 - p)) ** 0.5


def test_pixel_and_server_coverage_are_the_product_of_what_survives() -> None:
    """Without dependence, each cell's coverage is a product; the blend is the mean over cells."""
    world, found = INDEPENDENT, drawn(INDEPENDENT)
    rows, shares = cells_of(world)
    expected = server = 0.0
    for cell, share in zip(rows, shares, strict=True):
        blocker = world.blocker_desktop if cell.device == "desktop" else world.blocker_mobile
        blocker *= world.blocker_firefox_factor if cell.browser == "Firefox" else 1
        built_in = {"Chrome": world.brave_of_chrome, "Firefox": world.firefox_strict}.get(cell.browser, 0)
        private = world.private_mode if cell.browser in ("Safari", "Firefox") else 0
        consent = 1 - world.consent_deny[cell.country]
        server += share * consent
        expected += share * consent * (1 - blocker * world.list_blocks_pixel) * (1 - built_in) * (1 - private)
    assert near(found["seen_pixel"].sum(), N, expected * (1 - world.page_left) * (1 - world.script_failed))
    assert near(found["seen_capi"].sum(), N, server * (1 - world.server_failed))


def test_click_id_match_rate_is_the_product_of_four_failures() -> None:
    """By click id, an event leads to its click unless the id is corrupt, foreign, invalid or opted out."""
    found, w = drawn(INDEPENDENT), INDEPENDENT
    with_id = found["click_id"] & found["seen_capi"]
    rate = (1 - w.cid_corrupt) * (1 - w.cid_foreign) * (1 - w.cid_invalid) * (1 - w.cid_optout)
    assert near((with_id & found["by_click"]).sum(), with_id.sum(), rate)
    assert (found["by_click"] <= found["click_id"]).all()


def test_pii_only_match_rate_is_its_closed_form() -> None:
    """Without a click: account, and equal e-mail or phone or address; each drawn apart."""
    world, able = replace(INDEPENDENT, ad_click=0.0), INDEPENDENT.matching("meta")
    found, good = drawn(world), 1 - world.pii_bad
    misses = (1 - world.email_given * good * able.em_eq) * (1 - world.phone_given * good * able.ph_eq)
    rate = able.account * (1 - misses * (1 - able.ip_match))
    sent = found["seen_capi"]
    assert near((sent & found["matched"]).sum(), sent.sum(), rate)


@pytest.mark.parametrize("storage", Storage)
def test_storage_leaves_event_coverage_as_it_was(storage: Storage) -> None:
    """Paired draws: who sets the cookie, and what strips ids, changes no event that is sent, on any platform."""
    base = drawn(cl.World())
    for change in ({"storage": storage}, {"storage": storage, "ltp_everywhere": True}):
        other = drawn(replace(cl.World(), **change))
        for name in ("seen_pixel", "seen_capi", "click", "traits"):
            np.testing.assert_array_equal(other[name], base[name])
    better = drawn(replace(cl.World(), storage=storage))["click_id"]
    assert (base["click_id"] <= better).all(), "a longer life never loses an id a shorter one kept"


def test_all_causes_off_is_exactly_one() -> None:
    """Nothing lost: every order is seen by both, every click id is kept and leads to its click."""
    found = drawn(cl.World.lossless())
    assert found["seen_pixel"].all()
    assert found["seen_capi"].all()
    assert (found["click_id"] == found["click"]).all()
    assert (found["by_click"] == found["click"]).all()
    assert found["matched"][found["click"]].all()


def test_union_is_bounded_by_consent_and_by_its_parts() -> None:
    """With the gate on nothing is seen of those who refuse; off, the server sees them."""
    found = drawn(cl.World())
    either, refused = found["seen_pixel"] | found["seen_capi"], has(found["traits"], Trait.NO_CONSENT)
    assert either.sum() <= (~refused).sum()
    assert not (either & refused).any()
    assert either.sum() >= max(found["seen_pixel"].sum(), found["seen_capi"].sum())
    open_gate = drawn(cl.World(consent_gate=False))
    assert (open_gate["seen_capi"] == ~found["server_failed"]).all()
    np.testing.assert_array_equal(open_gate["seen_pixel"], found["seen_pixel"])


def test_one_knob_moves_one_draw() -> None:
    """A higher chance hits the same orders and more, and leaves every other draw alone."""
    base, worse = drawn(cl.World()), drawn(cl.World(page_left=0.2, xdev=0.5))
    assert (base["page_left"] <= worse["page_left"]).all()
    assert (worse["click_id"] <= base["click_id"]).all()
    for name in ("traits", "script_failed", "server_failed", "seen_capi", "click", "captured", "by_email"):
        np.testing.assert_array_equal(worse[name], base[name])


def test_platforms_share_people_and_not_clicks() -> None:
    """The same customers under every platform; whose ads they click is drawn for each."""
    meta, google = drawn(cl.World()), drawn(cl.World(), platform="google")
    np.testing.assert_array_equal(meta["seen_pixel"], google["seen_pixel"])
    np.testing.assert_array_equal(meta["seen_capi"], google["seen_capi"])
    together = (meta["click"] & google["click"]).sum()
    assert near(together, N, cl.World().ad_click ** 2)


def test_blocks_may_be_cut_anywhere() -> None:
    """A run begun later, or cut off earlier, draws what the whole run draws."""
    plan = Plan(cl.World(), "meta", 9)

    def seen(n: int, start: int = 0) -> list[bool]:
        parts = (journeys(plan, b, traits_of(plan, b.people)).seen_pixel for b in blocks(plan, n, start))
        return np.concatenate(list(parts)).tolist()

    whole = seen(50_000)
    for start, stop in ((0, 1), (0, 32_768), (32_767, 32_769), (20_000, 50_000)):
        assert seen(stop, start) == whole[start:stop]


@pytest.mark.parametrize("rho", [0.0, 0.2, 0.6])
def test_the_privacy_factor_keeps_margins_and_raises_pixel_coverage(rho: float) -> None:
    """Chances stay what they are; losses overlap the more, the stronger the factor."""
    cells = Cells(cl.World(privacy_rho=rho), [Cell("DE", "Firefox", "", "desktop")])
    world = cl.World()
    blocks_too = min(1.0, world.blocker_desktop * world.blocker_firefox_factor) * world.list_blocks_pixel
    for levels, p in ((cells.refuses, world.consent_deny["DE"]), (cells.blocks, blocks_too)):
        assert levels.mean() / 65536 == pytest.approx(p, abs=1e-5)
    found, base = drawn(cl.World(privacy_rho=rho)), drawn(cl.World(privacy_rho=0.0))
    assert bool(found["seen_pixel"].sum() > base["seen_pixel"].sum()) is (rho > 0)


@pytest.mark.parametrize(
    ("lag", "expected"), [("ecom", (0.52, 0.66, 0.91, 0.97)), ("criteo", (0.335, 0.515, 0.829, 0.926))]
)
def test_lags_follow_their_law(lag: str, expected: tuple[float, ...]) -> None:
    """Shares within an hour, a day, a week, a fortnight; draws turn into those times; the longest is a cut."""
    world = cl.World.preset(lag=lag)
    law = Lag(world)
    times = [timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=14)]
    slow = stats.norm.cdf(np.log([1 / 24, 1, 7, 14, 30]) - np.log(world.lag_median_days), scale=world.lag_sigma)
    minutes = 1 - np.exp(-np.array([60, 1440, 7 * 1440, 14 * 1440]) / world.lag_same_minutes)
    exact = world.lag_same * minutes + (1 - world.lag_same) * slow[:4] / slow[4]
    assert [law.share_within(t) for t in times] == pytest.approx(exact.tolist(), abs=2e-3)
    assert exact.tolist() == pytest.approx(expected, abs=0.006)
    assert law.share_within(timedelta(days=30)) == 1.0
    draws = np.linspace(0, 2**32 - 1, 5001).astype(np.uint32)
    days = law.days(draws)
    assert (np.diff(days) >= 0).all()
    assert days.max() <= world.lag_max_days
    assert (days <= 1).mean() == pytest.approx(law.share_within(times[1]), abs=1e-3)
    assert set(LAGS) == {"ecom", "b2b", "criteo"}


def test_safari_forgets_sooner_and_other_browsers_do_not_care() -> None:
    """Storage mode lifts recall on Safari only, in order: script, cloaked server, own server."""
    recall: dict[str, list[float]] = {"safari": [], "others": []}
    for storage in Storage:
        found = drawn(replace(cl.World.preset("US"), storage=storage))
        safari = has(found["traits"], Trait.SAFARI)
        for name, some in (("safari", safari), ("others", ~safari)):
            ads = some & found["click"] & found["seen_capi"]
            recall[name].append(float((ads & found["click_id"]).sum() / ads.sum()))
    assert recall["safari"] == sorted(recall["safari"])
    assert recall["safari"][2] > recall["safari"][0] + 0.05
    assert len(set(recall["others"])) == 1


def test_orders_share_customers_as_often_as_the_world_says() -> None:
    """Mean orders of those who order; with one each, nobody comes twice."""
    plan = Plan(cl.World(orders_per_customer=3.0), "meta", 4)
    people = np.concatenate([b.of_person + b.people.low[0].astype(np.intp) for b in blocks(plan, N)])
    assert len(people) / len(np.unique(people)) == pytest.approx(3.0, rel=0.02)
    alone = next(iter(blocks(Plan(INDEPENDENT, "meta", 4), 1000)))
    assert len(np.unique(alone.of_person)) == 1000
