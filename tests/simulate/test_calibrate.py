"""Shares of a world, what priors say of them, and what measured shares say of a world."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.simulate.calibrate import fit_to
from capi_lab.simulate.priors import Priors
from capi_lab.simulate.shares import QUANTITIES, Wanted, shares
from tests.depth import THOROUGH
from tests.simulate.recover import FIT, WANTED, recovered, surface

N = 12_000


@pytest.fixture(scope="module")
def sim() -> cl.Simulation:
    return cl.simulate(cl.World(), rng=np.random.default_rng(3), n=N)


def test_shares_are_those_of_the_tables(sim: cl.Simulation) -> None:
    """The engine's counts, in all and by group, are what the tables of the same seed hold."""
    seed = int(np.random.default_rng(3).integers(2**63))
    wanted = [Wanted(name) for name in QUANTITIES]
    wanted += [Wanted("pixel_coverage", country="DE"), Wanted("server_coverage", browser="Safari", device="mobile")]
    found = shares(cl.World(), wanted, platform="meta", n=N, seed=seed)
    k = {one.name: n for one, n in zip(wanted, found.k.sum(axis=0), strict=True)}
    n = {one.name: n for one, n in zip(wanted, found.n.sum(axis=0), strict=True)}
    truth, orders = sim.truth, sim.conversions
    pixel, server = truth["seen_pixel"], truth["seen_capi"]
    assert (k["pixel_coverage"], k["server_coverage"]) == (pixel.sum(), server.sum())
    assert (k["union_coverage"], n["pixel_coverage"]) == ((pixel | server).sum(), N)
    assert k["incremental_coverage"] == (server & ~pixel).sum()
    assert (k["click_id_fill"], n["click_id_fill"]) == ((server & truth["click_id_kept"]).sum(), server.sum())
    assert n["click_id_recall"] == (server & truth["ad_click"]).sum()
    german = orders["country"] == "DE"
    assert (k["pixel_coverage (DE)"], n["pixel_coverage (DE)"]) == (pixel[german].sum(), german.sum())
    iphone = (orders["browser"] == "Safari") & (orders["device"] == "mobile")
    name = "server_coverage (Safari, mobile)"
    assert (k[name], n[name]) == (server[iphone].sum(), iphone.sum())
    assert n["pii_only_match"] == (server & ~truth["click_id_kept"]).sum()
    with pytest.raises(UnknownNameError, match="quantity"):
        Wanted("match rate")
    with pytest.raises(UnknownNameError, match="country"):
        shares(cl.World(), [Wanted("pixel_coverage", country="JP")], platform="meta", n=256, seed=1)


def test_the_platform_answers_the_tables_as_the_engine_would(sim: cl.Simulation) -> None:
    """Match rates by stratum of the answered events are those of the mechanisms, drawn anew."""
    rows = cl.answer(sim.events, "meta", sim.world, 5, clicks=sim.clicks, conversions=sim.conversions).rows
    server = rows[rows["channel"] == "capi"].drop_duplicates("conversion_id")
    names = ["all_match", "click_id_match_any", "click_id_match", "pii_only_match", "click_id_fill"]
    told = shares(cl.World(), [Wanted(name) for name in names], platform="meta", n=400_000, seed=1)
    expected, (one, _) = dict(zip(names, told.values, strict=True)), told.spread
    has_id = server["stratum"] == "click_id"
    clicked, alone = server[has_id], server[~has_id]
    measured = {
        "all_match": (server["matched"], one[0]),
        "click_id_match_any": (clicked["matched"], one[1]),
        "click_id_match": (clicked["matched_by"] == "click_id", one[2]),
        "pii_only_match": (alone["matched"], one[3]),
        "click_id_fill": (has_id, one[4]),
    }
    for name, (hits, variance) in measured.items():
        assert abs(hits.mean() - expected[name]) < 4 * np.sqrt(variance / len(hits)), name


def test_spread_is_that_of_customers_who_repeat(sim: cl.Simulation) -> None:
    """The variance of a share is the cluster-robust one by customer, about twice the binomial."""
    found = shares(
        cl.World(), [Wanted("pixel_coverage"), Wanted("server_coverage")], platform="meta", n=400_000, seed=4
    )
    one, correlation = found.spread
    seen = sim.truth[["seen_pixel", "seen_capi"]].astype(float)
    away = (seen - seen.mean()).groupby(sim.conversions["user_key"].to_numpy()).sum()
    by_customer = (away**2).sum().to_numpy() / len(seen)
    np.testing.assert_allclose(one, by_customer, rtol=0.12)
    assert (one / (found.values * (1 - found.values)) > 1.5).all()
    assert abs(correlation[0, 1] - away.corr().iloc[0, 1]) < 0.06


def test_priors_are_triangular() -> None:
    """Drawn by quantile, they have the density, mean and deviation of scipy's triangle."""
    from scipy import stats

    priors = Priors(["page_left", "server_failed"])
    u = (np.arange(2_000) + 0.5)[:, None] / 2_000 * np.ones(2)
    values = priors.values(priors.quantile(u))
    for i in range(2):
        width = priors.high[i] - priors.low[i]
        law = stats.triang((priors.mode[i] - priors.low[i]) / width, priors.low[i], width)
        np.testing.assert_allclose(values[:, i], law.ppf(u[:, i]))
        assert priors.sd[i] == pytest.approx(law.std())
    unit = np.array([0.2, 0.7])
    lone = [Priors([name]).log_density(unit[i : i + 1]) for i, name in enumerate(priors.names)]
    assert priors.log_density(unit) == pytest.approx(sum(float(one) for one in lone))
    with pytest.raises(UnknownNameError, match="parameter"):
        Priors(["no_such"])
    with pytest.raises(InputError, match="page_left"):
        Priors(["page_left"], {"page_left": (0.1, 0.05, 0.2)})


def test_prior_predictive_names_the_strongest_drivers() -> None:
    """Ranked as the mechanisms say; shares beside practitioners' ranges, which are nowhere put in."""
    names = ["list_blocks_pixel", "consent_deny.DE", "em_eq.meta", "ad_click", "cid_foreign", "server_failed"]
    found = cl.prior_predictive(cl.World(), 80, 3, orders=8_192, parameters=names)
    top = found.drivers.groupby("quantity", sort=False).first()
    assert top.loc["pii_only_match", "parameter"] == "em_eq.meta"
    assert top.loc["pii_attributed", "parameter"] == "ad_click"
    assert top.loc["click_id_match", "parameter"] == "cid_foreign"
    assert top.loc["pixel_coverage", "parameter"] in ("list_blocks_pixel", "consent_deny.DE")
    assert (top.loc[["pii_only_match", "click_id_match"], "r2"] > 0.8).all()
    assert found.table.set_index("quantity").loc["pixel_coverage", "inside"] > 0.5
    assert "% in 55% to 75%" in repr(found)
    again = cl.prior_predictive(cl.World(), 80, 3, orders=8_192, parameters=names)
    pd.testing.assert_frame_equal(found.draws, again.draws)
    with pytest.raises(InputError, match="n must be"):
        cl.prior_predictive(cl.World(), 10, 3, parameters=names)


@pytest.fixture(scope="module")
def fitted():
    return surface(32_768 if THOROUGH else 8_192)


def test_intervals_hold_the_parameters_nine_times_in_ten(fitted) -> None:
    """In 200 worlds in a thorough run (`make recover` prints them); in a few otherwise, within chance of it."""
    worlds = 200 if THOROUGH else 10
    table = recovered(fitted, range(worlds))
    each = table.groupby("parameter")["held"].mean()
    chance = 0.05 if THOROUGH else 3.5 * np.sqrt(0.09 / len(table))
    assert abs(table["held"].mean() - 0.9) <= chance
    if THOROUGH:
        assert each.between(0.85, 0.95).all()
    narrow = table.groupby("parameter")["narrowing"].mean()
    assert (narrow[["consent_deny.DE", "consent_deny.US", "em_eq.meta"]] < 0.35).all()
    assert table["mixing"].max() < 1.05


def test_says_what_the_targets_cannot_tell(fitted) -> None:
    """Blockers and pages left are one ridge; blurred shares leave the prior; what no world gives is said."""
    truth = shares(cl.World(), WANTED, platform="meta", n=20_480, seed=5)
    measured = np.stack([truth.k.sum(axis=0), truth.n.sum(axis=0)], axis=1)
    found = fit_to(fitted, measured, np.zeros(len(WANTED)), np.random.default_rng(1), level=0.9)
    assert "list_blocks_pixel and page_left are known together only" in found.statement
    assert "taken as known" in found.statement
    assert found.correlation.loc["list_blocks_pixel", "page_left"] < -0.7
    assert (found.fit["z"].abs() < 4).all()
    blurred = np.array([0.3] * len(WANTED)) ** 2  # told in ranges so wide that they say nothing
    blind = fit_to(fitted, measured, blurred, np.random.default_rng(1), level=0.9)
    assert "next to nothing" in blind.statement
    assert blind.table["narrowing"].mean() > 0.8
    wrong = measured.copy()
    wrong[1, 0] = 0.5 * wrong[1, 1]  # the server sees half, in all; but most, in each country
    assert (
        "No world of these priors gives"
        in fit_to(fitted, wrong, blurred * 0, np.random.default_rng(1), level=0.9).statement
    )


def test_calibrates_to_a_table_of_ones_own() -> None:
    """Counts by country, or ranges as platforms tell them; same seed, same answer; worlds carry the doubt on."""
    truth = cl.World().with_values({"consent_deny.DE": 0.3, "em_eq.meta": 0.5})
    wanted = [Wanted("server_coverage", country="DE"), Wanted("pii_only_match")]
    shop = shares(truth, wanted, platform="meta", n=40_960, seed=8)
    k, n = shop.k.sum(axis=0), shop.n.sum(axis=0)
    targets = pd.DataFrame(
        {
            "quantity": ["server_coverage", "pii_only_match"],
            "country": ["DE", None],
            "k": k,
            "n": n,
            "low": np.nan,
            "high": np.nan,
        }
    )
    fit = ("consent_deny.DE", "em_eq.meta")
    found = cl.calibrate(cl.World(), targets, np.random.default_rng(2), fit=fit, orders=8_192)
    table = found.table.set_index("parameter")
    for name, value in (("consent_deny.DE", 0.3), ("em_eq.meta", 0.5)):
        assert abs(table.loc[name, "value"] - value) < 0.03, name
        assert table.loc[name, "narrowing"] < 0.3
    assert found.world.consent_deny["DE"] == pytest.approx(table.loc["consent_deny.DE", "value"])
    worlds = found.worlds(50, np.random.default_rng(1))
    assert np.std([one.consent_deny["DE"] for one in worlds]) > 0.003
    again = cl.calibrate(cl.World(), targets, np.random.default_rng(2), fit=fit, orders=8_192)
    pd.testing.assert_frame_equal(again.table, found.table)
    ranged = targets.assign(k=[k[0], np.nan], low=[np.nan, k[1] - n[1] / 20], high=[np.nan, k[1] + n[1] / 20])
    wide = cl.calibrate(cl.World(), ranged, np.random.default_rng(2), fit=fit, orders=8_192).table.set_index(
        "parameter"
    )
    assert wide.loc["em_eq.meta", "narrowing"] > 1.5 * table.loc["em_eq.meta", "narrowing"]
    assert "fitted" in repr(found)


@pytest.mark.parametrize(
    ("targets", "fit", "error", "words"),
    [
        ({"quantity": ["pixel_coverage"], "k": [1]}, ["page_left"], ContractError, "n: column"),
        ({"quantity": ["pixel_coverage"], "n": [1]}, ["page_left"], ContractError, "k: column"),
        ({"quantity": ["pixel_coverage"], "k": [5], "n": [4]}, ["page_left"], ContractError, "counts"),
        ({"quantity": ["pixel"], "k": [5], "n": [9]}, ["page_left"], UnknownNameError, "quantity"),
        ({"quantity": ["pixel_coverage"], "k": [5], "n": [9]}, [], InputError, "one parameter"),
        ({"quantity": ["pixel_coverage"], "k": [5], "n": [9]}, ["page"], UnknownNameError, "parameter"),
    ],
)
def test_refuses_what_cannot_be_fitted(targets, fit, error, words) -> None:
    """Columns, counts and names are checked before anything is run."""
    with pytest.raises(error, match=words):
        cl.calibrate(cl.World(), pd.DataFrame(targets), np.random.default_rng(1), fit=fit)


def test_fits_are_of_the_parameters_asked_for() -> None:
    """The parameters recovered above are ones a shop can know too little of."""
    graded = cl.World.table().set_index("name")
    assert (graded.loc[list(FIT), "low"] < graded.loc[list(FIT), "high"]).all()
