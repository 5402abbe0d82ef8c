"""Coverage: the right k of the right n, with intervals that hold what they promise."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.measure.rates import CLUSTER, WILSON, wilson
from tests.depth import THOROUGH


def seen(frame: pd.DataFrame) -> cl.Reconciled:
    """Wrap a ledger whose seen flags are known already."""
    table = ibis.memtable(frame)
    return cl.Reconciled("meta", False, table, table, rule=cl.PLATFORMS["meta"].spec.dedup)


def shop(n: int, rng: np.random.Generator, **columns: object) -> pd.DataFrame:
    base = {
        "conversion_id": [str(i) for i in range(n)],
        "seen_pixel": rng.random(n) < 0.6,
        "seen_capi": rng.random(n) < 0.8,
    }
    return pd.DataFrame(base | columns)


def test_setups_count_what_they_say(tiny) -> None:
    """Pixel sees orders 1 and 2, server 1 and 3, both together 1 to 3; the server adds one."""
    table = cl.coverage(cl.reconcile(*tiny)).set_index("setup")
    assert table["k"].to_dict() == {"pixel": 2, "capi": 2, "pixel+capi": 3, "incremental": 1}
    assert (table["n"] == 4).all()
    assert table["value"].tolist() == [0.5, 0.5, 0.75, 0.25]


def test_by_value_and_by_segment(tiny) -> None:
    """Weighted by value the shares are of money; groups keep their own denominators."""
    rec = cl.reconcile(*tiny)
    value = cl.coverage(rec, weight="value").set_index("setup")
    assert value["k"].tolist() == [30.0, 40.0, 60.0, 30.0]
    assert (value["n"] == 100.0).all()
    by = cl.coverage(rec, by=["browser"]).set_index(["browser", "setup"])
    assert by.loc[("Safari", "pixel"), "k"] == 2
    assert by.loc[("Chrome", "pixel"), "k"] == 0
    assert by["n"].unique().tolist() == [2]


@pytest.mark.parametrize(("k", "n"), [(616, 1000), (0, 10), (10, 10), (1, 1), (3, 7)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_equals_scipy(k: int, n: int, level: float) -> None:
    """Our formula on whole numbers is scipy's; 616 of 1000 gives the published interval."""
    theirs = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert wilson(k, n, level) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    if (k, n, level) == (616, 1000, 0.95):
        assert wilson(k, n) == pytest.approx((0.585466, 0.645646), abs=1e-6)


def test_unclustered_orders_get_plain_wilson() -> None:
    """One order per customer, no customer column, or cluster=None: the interval is Wilson's."""
    frame = shop(500, np.random.default_rng(1))
    frame["user_key"] = [f"u{i}" for i in range(500)]
    k = int(frame["seen_pixel"].sum())
    for rec, kwargs in [
        (seen(frame), {}),
        (seen(frame.drop(columns="user_key")), {}),
        (seen(frame.assign(user_key="same")), {"cluster": None}),
        (seen(frame.assign(user_key=pd.Series([None] * 500, dtype="str"))), {}),
    ]:
        row = cl.coverage(rec, **kwargs).iloc[0]
        assert row["method"] == WILSON
        assert (row["low"], row["high"]) == pytest.approx(wilson(k, 500), abs=1e-12)


def test_cluster_interval_equals_its_formula() -> None:
    """n_eff = p(1-p)/Var with Var = G/(G-1) sum(e^2)/n^2 and effective G, computed here a second way from the rows."""
    rng = np.random.default_rng(2)
    frame = shop(300, rng)
    frame["user_key"] = [f"u{i}" for i in rng.integers(0, 60, 300)]
    row = cl.coverage(seen(frame)).iloc[0]
    p = frame["seen_pixel"].mean()
    e = (frame["seen_pixel"] - p).groupby(frame["user_key"]).sum()
    sizes = frame["user_key"].value_counts()
    g = 300**2 / (sizes**2).sum()
    assert g < len(e)
    n_eff = p * (1 - p) / (g / (g - 1) * (e**2).sum() / 300**2)
    freedom = (sizes**2).sum() ** 2 / (sizes**4).sum() - 1
    expected = wilson(p * n_eff, n_eff, quantile=float(stats.t.ppf(0.975, freedom)))
    assert row["method"] == CLUSTER
    assert (row["low"], row["high"]) == pytest.approx(expected, abs=1e-12)


DATA_SETS, USERS = 1000, 400


@pytest.fixture(scope="module")
def repeated_customers() -> tuple[pd.DataFrame, float]:
    """A thousand shops of 400 customers; 30 % block for good, and orders repeat (two a customer on average)."""
    rng = np.random.default_rng(20261123)
    orders = 1 + rng.poisson(1.0, DATA_SETS * USERS)
    blocked = np.repeat(rng.random(DATA_SETS * USERS) < 0.3, orders)
    user = np.repeat(np.arange(DATA_SETS * USERS), orders)
    pixel = ~blocked & (rng.random(len(user)) < 0.9)
    frame = pd.DataFrame(
        {
            "conversion_id": pd.Series(np.arange(len(user))).astype("str"),
            "shop": user // USERS,
            "user_key": pd.Series(user).astype("str"),
            "value": rng.lognormal(3, 0.5, len(user)),
            "seen_pixel": pixel,
            "seen_capi": pixel,
        }
    )
    return frame, 0.7 * 0.9


def share_covered(frame: pd.DataFrame, truth: float, **kwargs: object) -> float:
    table = cl.coverage(seen(frame), by="shop", **kwargs)
    table = table[table["setup"] == "pixel"]
    assert len(table) == DATA_SETS
    return float(((table["low"] <= truth) & (truth <= table["high"])).mean())


@pytest.mark.parametrize("kwargs", [{}, {"weight": "value"}], ids=["orders", "value"])
def test_intervals_hold_the_truth_when_customers_repeat(repeated_customers, kwargs) -> None:
    """Of 1,000 shops, 93.2 to 96.8 % of the 95 % intervals hold the true coverage (binomial limits, 1 %)."""
    assert 0.932 <= share_covered(*repeated_customers, **kwargs) <= 0.968


def test_plain_wilson_fails_the_same_test(repeated_customers) -> None:
    """Negative control: taking repeated customers for independent holds the truth far too seldom."""
    assert share_covered(*repeated_customers, cluster=None) < 0.90


@settings(max_examples=100 if THOROUGH else 12)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_laws(n: int, seed: int) -> None:
    """Both >= either; incremental = both - pixel; 0 <= low <= value <= high <= 1; groups add up."""
    rng = np.random.default_rng(seed)
    frame = shop(n, rng, user_key=[f"u{i}" for i in rng.integers(0, max(1, n // 2), n)])
    frame["browser"] = rng.choice(["a", "b"], n)
    table = cl.coverage(seen(frame)).set_index("setup")
    value = table["value"]
    assert value["pixel+capi"] >= max(value["pixel"], value["capi"])
    assert value["incremental"] == pytest.approx(value["pixel+capi"] - value["pixel"])
    assert ((table["low"] <= value + 1e-12) & (value <= table["high"] + 1e-12)).all()
    assert table[["low", "high"]].min().min() >= 0
    assert table[["low", "high"]].max().max() <= 1
    by = cl.coverage(seen(frame), by="browser")
    assert by.groupby("setup")["k"].sum().to_dict() == table["k"].to_dict()


def test_perfect_coverage_still_has_an_interval() -> None:
    """200 of 200 orders of 20 customers is as much evidence as 20 of 20, not as 200 of 200."""
    frame = shop(200, np.random.default_rng(0)).assign(seen_pixel=True, user_key=[f"u{i % 20}" for i in range(200)])
    row = cl.coverage(seen(frame)).iloc[0]
    assert (row["value"], row["high"]) == (1.0, 1.0)
    assert row["low"] < wilson(20, 20)[0] + 1e-9
    alone = cl.coverage(seen(frame.assign(user_key="one"))).iloc[0]
    assert (alone["low"], alone["high"]) == (0.0, 1.0)


def test_missing_segment_is_a_group() -> None:
    """Orders without a browser are shown as such, not lost."""
    frame = shop(10, np.random.default_rng(0), browser=["x"] * 6 + [None] * 4)
    table = cl.coverage(seen(frame), by="browser")
    assert table.groupby("browser", dropna=False)["n"].first().tolist() == [6, 4]


def test_wrong_questions_are_refused() -> None:
    """Unknown columns, unknown weights, mixed currencies, negative values, odd levels."""
    frame = shop(4, np.random.default_rng(0), value=[1.0, 2.0, 3.0, None], currency=["EUR", "EUR", "USD", "USD"])
    rec = seen(frame)
    with pytest.raises(UnknownNameError, match="no_such"):
        cl.coverage(rec, by="no_such")
    with pytest.raises(UnknownNameError, match="weight"):
        cl.coverage(rec, weight="margin")
    with pytest.raises(InputError, match="2 currencies"):
        cl.coverage(rec, weight="value")
    with pytest.raises(InputError, match="level"):
        cl.coverage(rec, level=95)
    with pytest.raises(InputError, match="negative in 1 rows"):
        cl.coverage(seen(frame.assign(value=[-1.0, 1, 1, 1], currency="EUR")), weight="value")
    by = cl.coverage(rec, by="currency", weight="value")
    assert by[by["setup"] == "pixel"]["n"].tolist() == [3.0, 3.0]


def test_small_cells_are_blanked_together() -> None:
    """A group below the size, or with a telling k or n-k, loses all its numbers, and the next smallest; others stay."""
    rng = np.random.default_rng(3)
    frame = shop(1005, rng, browser=["big"] * 600 + ["middle"] * 400 + ["rare"] * 5)
    table = cl.suppress_small(cl.coverage(seen(frame), by="browser"), 10).set_index(["browser", "setup"])
    for name in ("rare", "middle"):
        assert table.loc[name]["suppressed"].all()
        assert table.loc[name][["k", "n", "value", "low", "high"]].isna().all().all()
    assert table.loc["big"][["k", "n", "value"]].notna().all().all()
    nearly = shop(100, rng).assign(seen_pixel=[True] * 97 + [False] * 3, seen_capi=True)
    assert cl.suppress_small(cl.coverage(seen(nearly)), 10)["suppressed"].all()


def test_amounts_are_suppressed_by_the_conversions_behind_them() -> None:
    """One big order is one person: its amount is blanked however large it is."""
    browsers = ["big"] * 600 + ["middle"] * 400 + ["rare"]
    frame = shop(1001, np.random.default_rng(5), value=[1.0] * 1000 + [4999.0], browser=browsers)
    table = cl.suppress_small(cl.coverage(seen(frame), by="browser", weight="value"), 10).set_index("browser")
    assert table.loc["rare"][["k", "n", "value", "conversions_k", "conversions_n"]].isna().all().all()
    assert table.loc["middle"][["k", "n"]].isna().all().all()  # else what is left of the sum would tell
    assert table.loc["big"]["n"].eq(600.0).all()


def test_missing_values_of_any_engine_are_left_out() -> None:
    """NaN in an Arrow table is no value, as None is."""
    import pyarrow as pa

    conversions = pa.table(
        {
            "conversion_id": ["1", "2"],
            "event_name": ["purchase", "purchase"],
            "event_time": pa.array([0, 0], pa.timestamp("us", "UTC")),
            "value": [1.0, float("nan")],
        }
    )
    events = pa.table(
        {
            "row_id": ["a"],
            "channel": ["pixel"],
            "event_name": ["Purchase"],
            "event_time": pa.array([0], pa.timestamp("us", "UTC")),
            "conversion_id": ["1"],
        }
    )
    row = cl.coverage(cl.reconcile(conversions, events), weight="value").iloc[0]
    assert (row["k"], row["n"], row["conversions_n"]) == (1.0, 1.0, 1)


def test_gap_parts_add_up() -> None:
    """Shapley parts sum to the missed share to 1e-12; a loss without a cause is unattributed."""
    rng = np.random.default_rng(4)
    truth = pd.DataFrame(rng.random((500, 3)) < 0.2, columns=["no_consent", "blocker", "page_left"])
    truth["seen_pixel"] = ~truth.any(axis=1)
    gap = cl.gap_by_cause(truth, seen="seen_pixel")
    assert gap["shapley"].sum() == pytest.approx(1 - truth["seen_pixel"].mean(), abs=1e-12)
    assert (gap["only"] <= gap["shapley"]).all()
    truth.loc[truth["seen_pixel"], "seen_pixel"] = False
    rest = cl.gap_by_cause(truth, seen="seen_pixel").set_index("cause")
    assert rest.loc["unattributed", "shapley"] > 0
    assert rest["shapley"].sum() == pytest.approx(1.0)
    truth["server_failed"] = True
    assert "server_failed" not in set(cl.gap_by_cause(truth, seen="seen_pixel")["cause"])
    with pytest.raises(InputError, match="which losses"):
        cl.gap_by_cause(truth)
    with pytest.raises(ContractError, match="no_such"):
        cl.gap_by_cause(truth, ["no_such"])
    with pytest.raises(InputError, match="nothing to split"):
        cl.gap_by_cause(truth.iloc[:0], seen="seen_pixel")


def test_gap_by_hand() -> None:
    """Three orders: one lost twice over, one lost to one cause, one seen."""
    truth = pd.DataFrame({"blocker": [True, True, False], "page_left": [True, False, False]})
    gap = cl.gap_by_cause(truth, ["blocker", "page_left"]).set_index("cause")
    assert gap["shapley"].to_dict() == pytest.approx({"blocker": 1.5 / 3, "page_left": 0.5 / 3})
    assert gap["only"].to_dict() == pytest.approx({"blocker": 1 / 3, "page_left": 0.0})
    assert gap["k"].to_dict() == {"blocker": 2, "page_left": 1}


def test_other_readings_of_the_gap_by_hand() -> None:
    """Sequential follows the order given and sums to the gap; marginal sums to more; unattributed stands last."""
    truth = pd.DataFrame(
        {
            "blocker": [True, True, False, False],
            "page_left": [True, False, True, False],
            "seen_pixel": [False, False, False, False],
            "user_key": ["a", "a", None, None],
        }
    )
    gap = cl.gap_by_cause(truth, ["blocker", "page_left"], seen="seen_pixel").set_index("cause")
    assert gap["sequential"].to_dict() == {"blocker": 0.5, "page_left": 0.25, "unattributed": 0.25}
    assert gap["marginal"].to_dict() == {"blocker": 0.5, "page_left": 0.5, "unattributed": 0.25}
    assert gap["only"].to_dict() == {"blocker": 0.25, "page_left": 0.25, "unattributed": 0.25}
    turned = cl.gap_by_cause(truth, ["blocker", "page_left"], seen="seen_pixel", order=["page_left", "blocker"])
    assert turned.set_index("cause")["sequential"].to_dict() == {
        "blocker": 0.25,
        "page_left": 0.5,
        "unattributed": 0.25,
    }
    assert list(turned["cause"])[-1] == "unattributed"
    assert ((gap["low"] <= gap["shapley"]) & (gap["shapley"] <= gap["high"])).all()
    alone = cl.gap_by_cause(truth, ["blocker", "page_left"], seen="seen_pixel", cluster=None)
    assert set(gap["method"]) == {CLUSTER}
    assert alone.set_index("cause").loc["unattributed", "method"] == WILSON
    with pytest.raises(InputError, match="order must name each cause once"):
        cl.gap_by_cause(truth, ["blocker", "page_left"], order=["blocker"])
    with pytest.raises(UnknownNameError, match="shop"):
        cl.gap_by_cause(truth, ["blocker"], cluster="shop")
