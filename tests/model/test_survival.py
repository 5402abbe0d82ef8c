"""Click-id survival: both estimates against ones written apart, and against worlds whose truth is known."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.model.lifetimes import ALWAYS, Mixture, Spans, fit_mixture, npmle

DAY = pd.Timedelta("1D")


def drawn(rng: np.random.Generator, n: int, weights: list[float], rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw one return each, an hour to a month after the landing, and whether the id was still known."""
    days = np.exp(rng.uniform(np.log(1 / 24), np.log(30), n))
    ends = np.array([0, 1, 7, np.inf])[rng.choice(4, n, p=weights)]
    return days, np.minimum(rng.exponential(1 / rate, n), ends) > days


def one_visit(days: np.ndarray, known: np.ndarray) -> Spans:
    return Spans.of(np.where(known, days, ALWAYS), np.where(known, np.inf, days))


def log_likelihood(spans: Spans, at: np.ndarray, survival: np.ndarray) -> float:
    """Say how likely spans are under a step curve; written apart, span by span."""
    total = 0.0
    for left, right, count in zip(spans.left, spans.right, spans.count, strict=True):
        alive = [1.0 if t == ALWAYS else 0.0 if np.isinf(t) else min([1.0, *survival[at <= t]]) for t in (left, right)]
        chance = alive[0] - alive[1]
        total += count * (np.log(chance) if chance > 0 else -1e9)
    return total


def test_one_visit_each_is_the_best_of_all_decreasing_curves() -> None:
    """On tiny data no decreasing curve with values i/j is as likely as the isotonic one."""
    values = sorted({i / j for j in range(1, 7) for i in range(j + 1)})
    for seed in range(6):
        rng = np.random.default_rng(seed)
        days = rng.integers(1, 5, 6).astype(float)
        spans = one_visit(days, rng.random(6) < 0.5)
        at, height = npmle(spans)
        assert (np.diff(height) <= 1e-12).all()
        best = max(
            log_likelihood(spans, at, np.array(curve))
            for curve in itertools.combinations_with_replacement(values[::-1], len(at))
        )
        assert log_likelihood(spans, at, height) == pytest.approx(best, abs=1e-9)


def test_several_visits_each_is_the_most_likely_curve() -> None:
    """Turnbull's curve is as likely as what a general optimiser finds over masses at all right ends."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        left = rng.integers(0, 6, 9).astype(float)
        right = left + rng.integers(1, 5, 9)
        left[rng.random(9) < 0.3], right[rng.random(9) < 0.3] = ALWAYS, np.inf
        spans = Spans.of(left, right)
        at, height = npmle(spans, gap=1e-9)
        points = np.unique([*spans.right, *spans.left[spans.left >= 0]])

        def lost(mass: np.ndarray, spans: Spans = spans, points: np.ndarray = points) -> float:
            inside = (points > spans.left[:, None]) & (points <= spans.right[:, None])
            return -float(spans.count @ np.log(np.maximum(inside @ mass, 1e-12)))

        even = np.full(len(points), 1 / len(points))
        whole = {"type": "eq", "fun": lambda mass: mass.sum() - 1}
        found = optimize.minimize(lost, even, method="SLSQP", bounds=[(0, 1)] * len(even), constraints=[whole])
        assert log_likelihood(spans, at, height) >= -found.fun - 1e-5


def test_reference_curve() -> None:
    """65 % end at a day and 35 % at a week, cleared every 60 days: the prototype's S(.9, 1.5, 6, 8)."""
    nothing = Spans.of(np.array([1.0]), np.array([2.0]))
    curve = Mixture(nothing, np.array([1.0, 7.0]), np.array([0, 0.65, 0.35, 0]), 1 / 60, 0.0)
    assert curve.survival(np.array([0.9, 1.5, 6, 8])).round(3).tolist() == [0.985, 0.341, 0.317, 0.0]


def test_profile_interval_is_what_a_grid_finds() -> None:
    """With one rule: over a fine grid of all parameters, the range of S(t) where the likelihood is not much lower."""
    days, known = drawn(np.random.default_rng(4), 150, [0.1, 0.5, 0.0, 0.4], 0.05)
    spans = one_visit(days, known)
    fit = fit_mixture(spans, [1.0])
    share = np.linspace(0, 1, 81)
    lost, ends = (axis.ravel() for axis in np.meshgrid(share, share))
    inside = lost + ends <= 1
    lost, ends = lost[inside], ends[inside]
    lines, curves = [], []
    for rate in np.linspace(0, 0.15, 46):
        alive = np.exp(-rate * days[:, None]) * (1 - lost - np.where(days[:, None] >= 1, ends, 0.0))
        chance = np.where(known[:, None], alive, 1 - alive)
        lines.append(np.log(np.maximum(chance, 1e-300)).sum(axis=0))
        curves.append([np.exp(-rate * t) * (1 - lost - (ends if t >= 1 else 0)) for t in (0.5, 5.0)])
    likely = np.array(lines)
    assert fit.log_likelihood >= likely.max() - 1e-9
    near = likely >= fit.log_likelihood - stats.chi2.ppf(0.95, 1) / 2
    for place, t in enumerate((0.5, 5.0)):
        values = np.array([one[place] for one in curves])[near]
        assert fit.interval(t) == pytest.approx((values.min(), values.max()), abs=0.012)


def shop(seed: int, n: int) -> pd.DataFrame:
    """Simulate a shop where everybody came by an ad and is known; one return each."""
    world = cl.World(
        private_mode=0.0, xdev=0.0, iab_switch=0.0, capture_fail=0.0, mail_click=0.0, clear_share=1.0, clear_days=60.0,
        lag_same=0.0, lag_median_days=2.0, lag_sigma=1.5, ad_click=1.0, use_days=1.0, brave_of_chrome=0.0,
        firefox_strict=0.0, orders_per_customer=1.0, consent_deny=dict.fromkeys(cl.World().consent_deny, 0.0),
    )  # fmt: skip
    sim = cl.simulate(world, rng=np.random.default_rng(seed), n=n)
    orders, clicks = sim.conversions, sim.clicks.set_index("click_row_id")
    truth = sim.truth[sim.truth["click_row_id"].notna()]
    clicks = clicks.loc[truth["click_row_id"]]
    bought = orders.loc[truth.index]
    landings = pd.DataFrame(
        {
            "visit_row_id": "l" + bought["conversion_id"], "visit_time": clicks["click_time"].array,
            "page_url": clicks["landing_url"].array, "user_agent": clicks["user_agent"].array,
            "fbclid": clicks["click_id"].array, "user_key": bought["user_key"],
        }
    )  # fmt: skip
    back = pd.DataFrame(
        {
            "visit_row_id": "r" + bought["conversion_id"], "visit_time": bought["event_time"],
            "page_url": "https://shop.example.com/account", "user_agent": bought["user_agent"], "fbc": bought["fbc"],
            "user_key": bought["user_key"],
        }
    )  # fmt: skip
    return pd.concat([landings, back], ignore_index=True)


def test_it_recovers_what_browsers_do() -> None:
    """In a simulated shop Safari ends 65 % of ids after a day and the rest after a week; others only clear cookies."""
    visits = shop(11, 6000)
    found = cl.click_id_survival(visits, level=0.999)
    parts = found.policy.set_index(["browser", "part"])
    for browser, part, truth in (
        ("Safari", "ends_at_1d", 0.65), ("Safari", "ends_at_7d", 0.35), ("Safari", "no_rule", 0.0),
        ("Chrome", "no_rule", 1.0), ("Chrome", "cleared_a_day", 1 / 60), ("Chrome", "lost_at_once", 0.0),
    ):  # fmt: skip
        one = parts.loc[(browser, part)]
        assert one["low"] - 1e-6 <= truth <= one["high"] + 1e-6, (browser, part)
    table = found.table[found.table["browser"].isin(["Chrome", "Safari"])].dropna(subset=["value"])
    rules = np.where(table["days"] < 1, 1.0, np.where(table["days"] < 7, 0.35, 0.0))
    truth = np.exp(-table["days"] / 60) * np.where(table["browser"] == "Safari", rules, 1.0)
    assert ((table["low"] <= truth + 1e-9) & (truth <= table["high"] + 1e-9)).all()
    assert (table["free"] - table["value"]).abs().max() < 0.08
    tests = found.tests.set_index("second")["p_value"]
    assert tests["Safari"] < 1e-10
    assert tests.drop(["all", "Safari"]).min() > 0.001
    lags = found.by_lag()
    assert lags[("Safari", "7d")] == pytest.approx(0.34, abs=0.05)
    assert lags[("Chrome", "7d")] > 0.9
    assert cl.KeepClickIds(survival=lags).survival == lags
    again = cl.click_id_survival(visits.sample(frac=1, random_state=1))
    for name, group in found.groups.items():
        assert again.groups[name].fit.log_likelihood == group.fit.log_likelihood
        np.testing.assert_array_equal(again.groups[name].spans.right, group.spans.right)
    assert "Safari" in repr(found)
    assert "<table" in found._repr_html_()


def test_like_browsers_are_seldom_told_apart() -> None:
    """Of 30 pairs of samples from one law few differ at 5 %."""
    rng = np.random.default_rng(2)
    small = 0
    for _ in range(30):
        fits = [fit_mixture(one_visit(*drawn(rng, 80, [0.1, 0.4, 0.2, 0.3], 0.03)), [1, 7]) for _ in range(2)]
        both = fit_mixture(fits[0].spans + fits[1].spans, [1, 7])
        ratio = 2 * (fits[0].log_likelihood + fits[1].log_likelihood - both.log_likelihood)
        small += stats.chi2.sf(max(ratio, 0.0), 4) < 0.05
    assert small <= stats.binom.ppf(0.999, 30, 0.05)


def plain_returns(visits: pd.DataFrame, every: bool) -> dict[str, tuple[float, float]]:
    """Follow each person by hand: the span of the one click that counts."""
    rows = sorted(visits.to_dict("records"), key=lambda v: (v["visit_time"], v["visit_row_id"]))
    first: dict[str, str] = {}
    for row in rows:
        if isinstance(row["gclid"], str):
            first.setdefault(row["gclid"], row["visit_row_id"])
    spans: dict[str, tuple[float, float]] = {}
    for person in {row["user_key"] for row in rows if isinstance(row["user_key"], str)}:
        click, landed, seen = None, None, []
        for row in (row for row in rows if row["user_key"] == person):
            if isinstance(row["gclid"], str) and first[row["gclid"]] == row["visit_row_id"]:
                if seen:
                    break
                click, landed = row["gclid"], row["visit_time"]
            elif click is not None and row["visit_time"] - landed >= pd.Timedelta("1h"):
                if isinstance(row["gclid"], str) and row["gclid"] in row["page_url"]:
                    continue
                seen.append(((row["visit_time"] - landed) / DAY, row["gclid"] == click))
        if seen:
            seen = seen if every else seen[:1]
            left = max([t for t, known in seen if known], default=ALWAYS)
            spans[person] = left, min([t for t, known in seen if not known and t > left], default=np.inf)
    return spans


@pytest.mark.parametrize("returns", ["first", "all"])
def test_returns_are_those_a_plain_reader_finds(returns: str) -> None:
    """Landings, re-landings, ids that come back in a URL, unknown visitors: the spans equal those of a loop."""
    rng = np.random.default_rng(9)
    n = 700
    minutes = rng.integers(0, 20 * 1440, n)
    person = rng.integers(0, 90, n)
    id_ = person * 3 + rng.integers(0, 3, n)
    has, in_url, login = rng.random(n) < 0.55, rng.random(n) < 0.3, rng.random(n) < 0.85
    visits = pd.DataFrame(
        {
            "visit_row_id": pd.Series([f"v{i}" for i in range(n)], dtype="str"),
            "visit_time": pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(minutes, unit="min"),
            "page_url": [f"https://shop.example.com/?gclid=Cj-{i}x" if u and h else "https://shop.example.com/"
                         for i, u, h in zip(id_, in_url, has, strict=True)],
            "gclid": pd.Series(np.where(has, [f"Cj-{i}x" for i in id_], None), dtype="str"),
            "user_key": pd.Series(np.where(login, [f"u{i}" for i in person], None), dtype="str"),
        }
    )  # fmt: skip
    found = cl.click_id_survival(visits, by=None, returns=returns)
    plain = plain_returns(visits, returns == "all")
    want = Spans.of(*(np.array(side) for side in zip(*plain.values(), strict=True)))
    got = found.groups["all"].spans
    assert got.n == want.n == len(plain)
    for side in ("left", "right", "count"):
        np.testing.assert_allclose(getattr(got, side), getattr(want, side))
    assert found.groups["all"].returns >= len(plain)
    assert any("URL carries the id" in note for note in found.notes)


def test_what_cannot_be_is_refused() -> None:
    """No log-ins, no returns, no such column or word: named."""
    visits = shop(1, 60)
    with pytest.raises(ContractError, match="visitor"):
        cl.click_id_survival(visits, on="visitor_id")
    with pytest.raises(UnknownNameError, match="campaign"):
        cl.click_id_survival(visits, by="campaign")
    with pytest.raises(InputError, match="returns must be"):
        cl.click_id_survival(visits, returns="last")
    with pytest.raises(InputError, match="follows a landing"):
        cl.click_id_survival(visits[visits["fbclid"].notna()])
    with pytest.raises(InputError, match="no column for a click id"):
        cl.click_id_survival(visits.drop(columns=["fbc", "fbclid"]))
