"""Intervals of rates: published numbers, scipy, and plain formulas written apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import capi_lab as cl
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.measure.bootstrap import bootstrap_limits
from capi_lab.measure.rates import limits
from tests.measure.test_coverage import seen, shop


@pytest.mark.parametrize(
    ("method", "published"),
    [("wilson", (0.585466, 0.645646)), ("exact", (0.585050, 0.646265)), ("jeffreys", (0.585556, 0.645774))],
)
def test_616_of_1000(method: str, published: tuple[float, float]) -> None:
    """The three intervals of 616 of 1000 at 95 %, to the six digits published."""
    low, high = limits([616], [1000], 0.95, method)
    assert (low[0], high[0]) == pytest.approx(published, abs=5e-7)


def test_limits_equal_scipy() -> None:
    """Wilson and exact are scipy's for every k of n up to 12; Jeffreys has the tails of its Beta; ends are ends."""
    pairs = [(k, n) for n in range(1, 13) for k in range(n + 1)]
    k, n = np.array(pairs).T
    for method in ("wilson", "exact"):
        theirs = [stats.binomtest(int(a), int(b)).proportion_ci(0.9, method=method) for a, b in pairs]
        assert np.allclose(np.transpose(limits(k, n, 0.9, method)), [(c.low, c.high) for c in theirs], atol=1e-12)
    low, high = limits(k, n, 0.9, "jeffreys")
    inside = (k > 0) & (k < n)
    posterior = stats.beta(k[inside] + 0.5, n[inside] - k[inside] + 0.5)
    assert np.allclose(posterior.cdf(low[inside]), 0.05)
    assert np.allclose(posterior.sf(high[inside]), 0.05)
    assert (low[k == 0] == 0).all()
    assert (high[k == n] == 1).all()
    assert np.isnan(limits([0], [0])).all()
    with pytest.raises(UnknownNameError, match="exakt"):
        limits([1], [2], 0.95, "exakt")


def _by_hand(frame: pd.DataFrame, cluster: list[str]) -> tuple[float, float]:
    """Cluster-robust variance of the share the pixel saw, and the effective number of clusters, from the rows."""
    e = frame["seen_pixel"] - frame["seen_pixel"].mean()
    groups = e.groupby([frame[name] for name in cluster])
    number = len(frame) ** 2 / float((groups.size() ** 2).sum())
    return number / (number - 1) * float((groups.sum() ** 2).sum()) / len(frame) ** 2, number


@pytest.mark.parametrize("method", ["wilson", "exact", "jeffreys"])
def test_two_kinds_of_cluster(method: str) -> None:
    """Customers and days: V1 + V2 - V12, on effective counts and the t of the fewer clusters, as the formulas say."""
    rng = np.random.default_rng(11)
    day = rng.integers(0, 20, 600)
    user = rng.integers(0, 60, 600)
    frame = shop(600, rng, user_key=[f"u{i}" for i in user])
    frame["event_time"] = pd.Timestamp("2026-05-01 23:59:59.999999", tz="UTC") + pd.to_timedelta(day, unit="D")
    frame["seen_pixel"] = (rng.random(600) < np.where(day % 5 == 0, 0.2, 0.7)) & (user % 3 > 0)
    row = cl.coverage(seen(frame), cluster=("user_key", "day"), method=method).iloc[0]
    frame["day"] = day
    parts = [_by_hand(frame, names) for names in (["user_key"], ["day"], ["user_key", "day"])]
    variance = parts[0][0] + parts[1][0] - parts[2][0]
    assert variance > max(parts[0][0], parts[1][0])
    p, sizes = frame["seen_pixel"].mean(), np.bincount(day)
    freedom = (sizes**2).sum() ** 2 / (sizes**4).sum() - 1
    n_eff = p * (1 - p) / variance * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, freedom)) ** 2
    expected = [float(end[0]) for end in limits([p * n_eff], [n_eff], 0.95, method)]
    assert [row["low"], row["high"]] == pytest.approx(expected, abs=1e-12)
    assert row["method"] == f"{method}, two-way cluster n_eff"


def test_days_are_cut_in_utc() -> None:
    """A microsecond before and at midnight UTC are two days, before 1970 too."""
    ends = ["1969-12-30 23:59:59.999999", "1969-12-31", "2026-05-01 23:59:59.999999"]
    times = pd.to_datetime(ends, utc=True, format="ISO8601")
    frame = shop(3, np.random.default_rng(0)).assign(event_time=times)
    table = cl.coverage(seen(frame), by="day")
    found = table.loc[table["setup"] == "pixel", "day"].dt.strftime("%Y-%m-%d").tolist()
    assert found == ["1969-12-30", "1969-12-31", "2026-05-01"]


def test_bootstrap_draws_whole_customers() -> None:
    """Drawing counts of alike customers gives the interval of drawing customers one by one, as scipy does."""
    rng = np.random.default_rng(5)
    n = 1 + rng.poisson(1, 300)
    k = rng.binomial(n, rng.beta(2, 1, 300))
    pairs = pd.DataFrame({"k": k, "n": n}).value_counts()
    cells = np.array(pairs.index.tolist(), dtype="float64")
    found = bootstrap_limits(cells[:, :1], cells[:, 1:], pairs.to_numpy(), 0.95, np.random.default_rng(1), draws=20_000)
    theirs = stats.bootstrap(
        (k, n), lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis), paired=True, vectorized=True,
        method="percentile", n_resamples=20_000, rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    assert [float(end[0]) for end in found] == pytest.approx([theirs.low, theirs.high], abs=0.002)


def test_bootstrap_of_a_ledger() -> None:
    """Groups keep their own draws, a seed gives one table, and where all are seen the other interval stays."""
    rng = np.random.default_rng(6)
    frame = shop(400, rng, user_key=[f"u{i}" for i in rng.integers(0, 90, 400)], browser=["a", "b"] * 200)
    frame.loc[frame["browser"] == "b", "seen_capi"] = True
    one, again = (
        cl.coverage(seen(f), by="browser", method="bootstrap", rng=np.random.default_rng(1))
        for f in (frame, frame.iloc[::-1])
    )
    pd.testing.assert_frame_equal(one, again)
    robust = cl.coverage(seen(frame), by="browser")
    assert np.allclose(one[["low", "high"]], robust[["low", "high"]], atol=0.02)
    assert set(one["method"]) == {"cluster bootstrap", "wilson, cluster-robust n_eff"}
    sure = one["value"] == 1
    assert sure.any()
    assert (one.loc[sure, "low"] < 1).all()
    with pytest.raises(InputError, match="give rng"):
        cl.coverage(seen(frame), method="bootstrap")
    with pytest.raises(InputError, match="one kind of cluster"):
        cl.coverage(seen(frame), method="bootstrap", cluster=("user_key", "browser"), rng=rng)
    with pytest.raises(InputError, match="not more"):
        cl.coverage(seen(frame), cluster=("user_key", "browser", "conversion_id"))
    with pytest.raises(UnknownNameError, match="interval method"):
        cl.coverage(seen(frame), method="wald")


def test_paired_difference_by_hand() -> None:
    """Independent orders: Bonett and Price's interval and McNemar's exact test; orders of customers: robust ones."""
    pixel = [True] * 50 + [False] * 30 + [True] * 10 + [False] * 10
    capi = [True] * 50 + [True] * 30 + [False] * 20
    frame = pd.DataFrame({"conversion_id": [str(i) for i in range(100)], "seen_pixel": pixel, "seen_capi": capi})
    row = cl.paired_difference(seen(frame)).iloc[0]
    assert (row["setup"], row["against"], row["only_setup"], row["only_against"], row["n"]) == (
        "capi",
        "pixel",
        30,
        10,
        100,
    )
    p, q = 31 / 102, 11 / 102
    half = stats.norm.ppf(0.975) * np.sqrt((p + q - (p - q) ** 2) / 102)
    assert (row["low"], row["high"]) == pytest.approx((p - q - half, p - q + half))
    assert row["p_value"] == pytest.approx(stats.binomtest(30, 40, 0.5).pvalue)
    doubled = pd.concat([frame, frame.assign(conversion_id=frame["conversion_id"] + "b")], ignore_index=True)
    doubled["user_key"] = doubled["conversion_id"].str.removesuffix("b")
    twice = cl.paired_difference(seen(doubled)).iloc[0]
    assert twice["n"] == 200
    assert (twice["low"], twice["high"]) == pytest.approx((row["low"], row["high"]), abs=0.005), "copies add nothing"
    assert twice["method"] == "paired, cluster-robust"
    others = cl.paired_difference(seen(frame)).iloc[1:]
    assert others["value"].tolist() == pytest.approx([0.3, 0.1])
    assert others["p_value"].isna().all()
