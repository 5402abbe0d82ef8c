"""Replicating estimators over worlds whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError


def robust(sim: cl.Simulation) -> pd.DataFrame:
    """Cover by the pixel: its interval made from customers, and the one that takes orders for independent."""
    seen, n = sim.truth["seen_pixel"].astype(float), len(sim.truth)
    p = seen.mean()
    away = (seen - p).groupby(sim.conversions["user_key"].to_numpy()).sum()
    half = 1.96 * np.sqrt((away**2).sum()) / n
    naive = binomtest(int(seen.sum()), n).proportion_ci(0.95, method="wilson")
    return pd.DataFrame(
        {
            "quantity": ["pixel_coverage", "naive"],
            "value": p,
            "low": [p - half, naive.low],
            "high": [p + half, naive.high],
        }
    )


def test_tells_an_honest_interval_from_one_that_forgets_that_customers_repeat() -> None:
    """The negative control fails: nominal 95 % hold much less; both are unbiased."""
    world = cl.World()
    alone = cl.study(lambda sim: robust(sim).iloc[:1], world, 2, 1, orders=500)  # truth out of the mechanisms
    truth = alone.table["truth"].item()
    found = cl.study(robust, world, 60, 4, orders=1_000, truth={"pixel_coverage": truth, "naive": truth})
    table = found.table.set_index("quantity")
    assert table.loc["pixel_coverage", "coverage_low"] < 0.95 < table.loc["pixel_coverage", "coverage_high"]
    assert table.loc["naive", "coverage_high"] < 0.95
    assert (table["bias_over_se"].abs() < 0.4).all()
    assert table.loc["pixel_coverage", "width"] > 1.2 * table.loc["naive", "width"]
    assert "of 60 intervals hold it" in repr(found)


def test_sums_up_as_by_hand() -> None:
    """Bias, its size in standard errors, coverage with its own interval, width: of numbers known beforehand."""
    values = iter([1.0, 2.0, 6.0, np.nan])

    def one(_: cl.Simulation) -> pd.DataFrame:
        value = next(values)
        return pd.DataFrame({"quantity": ["x"], "value": [value], "low": [value - 1], "high": [value + 1]})

    found = cl.study(one, cl.World(), 4, 1, truth={"x": 2.0}, orders=300, workers=1)
    row = found.table.iloc[0]
    assert (row["worlds"], row["intervals"], row["covered"]) == (3, 3, 2)
    assert row["bias"] == pytest.approx(1.0)
    assert row["se"] == pytest.approx(np.std([-1, 0, 4], ddof=1))
    assert row["bias_over_se"] == pytest.approx(1 / np.std([-1, 0, 4], ddof=1))
    ends = binomtest(2, 3).proportion_ci(0.95, method="wilson")
    assert (row["coverage_low"], row["coverage_high"], row["width"]) == (ends.low, ends.high, 2.0)


def test_workers_change_nothing_and_a_longer_study_begins_like_a_shorter() -> None:
    """World i hangs on the seed and i alone; a study over a prior draws its worlds from that too."""

    def some(rng: np.random.Generator) -> cl.World:
        return cl.World().with_values({"page_left": rng.uniform(0, 0.3)})

    def told(sim: cl.Simulation) -> dict[str, float]:
        return {"page_left": sim.world.page_left}

    def left(sim: cl.Simulation) -> pd.DataFrame:
        return pd.DataFrame({"quantity": ["page_left"], "value": [sim.truth["page_left"].mean()]})

    runs = [cl.study(left, some, n, 6, truth=told, orders=400, workers=w).draws for n, w in ((6, 1), (6, 3), (3, 2))]
    pd.testing.assert_frame_equal(runs[0], runs[1])
    pd.testing.assert_frame_equal(runs[0].iloc[:3], runs[2])
    assert runs[0]["truth"].nunique() == 6
    assert (runs[0]["value"] - runs[0]["truth"]).abs().max() < 0.08
    assert cl.study(left, some, 2, 6, truth=told, orders=400).table["intervals"].item() == 0


def test_says_what_is_missing() -> None:
    """No truth, no column, one world: no study."""
    bare = pd.DataFrame({"quantity": ["of our own"], "value": [1.0]})
    with pytest.raises(InputError, match="of our own"):
        cl.study(lambda _: bare, cl.World(), 2, 1, orders=300)
    with pytest.raises(ContractError, match="value: column"):
        cl.study(lambda _: bare[["quantity"]], cl.World(), 2, 1, orders=300, truth={})
    with pytest.raises(ContractError, match="not unique"):
        cl.study(lambda _: pd.concat([bare, bare]), cl.World(), 2, 1, orders=300, truth={"of our own": 1})
    with pytest.raises(InputError, match="2 or more"):
        cl.study(lambda _: bare, cl.World(), 1, 1)
