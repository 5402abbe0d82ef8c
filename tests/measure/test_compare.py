"""Comparisons refuse unlike denominators, and take the mix out of a difference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.measure.rates import limits


def strata(k: list[int], n: list[int], names: str = "ab", **columns: object) -> pd.DataFrame:
    low, high = limits(k, n)
    table = pd.DataFrame({"browser": list(names[: len(k)]), "k": k, "n": n, "value": np.divide(k, n)})
    base = {"low": low, "high": high, "method": "wilson", "level": 0.95, "denominator": "conversions in the ledger"}
    return table.assign(**(base | columns))


def test_the_mix_is_taken_out() -> None:
    """Same rate in every browser, another mix: the crude difference is all mix, the standardised one is nought."""
    a, b = strata([900, 20], [1000, 100]), strata([90, 200], [100, 1000])
    row = cl.compare(a, b, over="browser").iloc[0]
    assert row["value"] == pytest.approx(0, abs=1e-12)
    assert row["crude"] == pytest.approx(920 / 1100 - 290 / 1100)
    assert row["by_mix"] == pytest.approx(row["crude"])
    assert row["low"] < 0 < row["high"]
    assert (row["k_a"], row["n_b"], row["left_out_a"]) == (920, 1100, 0)
    assert row["method"] == "mover, standardised over browser"


def test_standardised_by_hand() -> None:
    """With a's mix, with b's, with both, with one given: weighted means of the strata's differences."""
    a, b = strata([30, 40], [100, 50]), strata([20, 10], [40, 160])
    differences = a["value"] - b["value"]
    third = pd.DataFrame({"browser": ["b", "a"], "n": [1, 3]})
    weights = {"a": [100, 50], "b": [40, 160], "pooled": [140, 210]}
    for mix, w in weights.items():
        found = cl.compare(a, b, over="browser", mix=mix).iloc[0]["value"]
        assert found == pytest.approx(np.average(differences, weights=w))
    assert cl.compare(a, b, over="browser", mix=third).iloc[0]["value"] == pytest.approx(differences @ [0.75, 0.25])


def test_newcombes_interval() -> None:
    """56/70 against 48/80: 0.2, from 0.0524 to 0.3339 (Newcombe 1998, method 10)."""
    row = cl.compare(strata([56], [70]), strata([48], [80])).iloc[0]
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert row["browser"] == "a"


def test_unlike_things_are_refused() -> None:
    """Other denominators, levels or groups, numbers withheld, nothing in common."""
    a = strata([30, 40], [100, 50])
    with pytest.raises(InputError, match="a counts per 'conversions in the ledger', b per 'server events'"):
        cl.compare(a, a.assign(denominator="server events"))
    with pytest.raises(InputError, match="levels"):
        cl.compare(a, a.assign(level=0.9))
    with pytest.raises(InputError, match="grouped by different columns"):
        cl.compare(a, a.rename(columns={"browser": "country"}))
    with pytest.raises(InputError, match="suppressed"):
        cl.compare(a, a.assign(suppressed=True))
    with pytest.raises(InputError, match="no combination"):
        cl.compare(a, a.assign(browser=["x", "y"]))
    with pytest.raises(UnknownNameError, match="country"):
        cl.compare(a, a, over="country")
    with pytest.raises(UnknownNameError, match="mix"):
        cl.compare(a, a, over="browser", mix="c")
    with pytest.raises(ContractError, match="denominator: column is missing"):
        cl.compare(a, a.drop(columns="denominator"))


def test_what_one_side_lacks_is_said() -> None:
    """A browser that b does not have is left out, and how much of a that is stands beside."""
    a, b = strata([30, 40, 5], [100, 50, 50], "abc"), strata([20, 10], [40, 160])
    row = cl.compare(a, b, over="browser").iloc[0]
    assert (row["left_out_a"], row["left_out_b"]) == (0.25, 0)


def test_strata_of_match_rates_stand_apart_from_their_sum() -> None:
    """Row `all` takes no part in standardising; each stratum keeps its own denominator."""
    table = strata([80, 20, 100], [100, 100, 200], "abc").rename(columns={"browser": "stratum"})
    table = table.assign(stratum=["click_id", "pii_only", "all"], denominator=["x", "y", "z"], unknown=0)
    row = cl.compare(table, table, over="stratum").iloc[0]
    assert (row["n_a"], row["value"], row["denominator"]) == (200, 0, "each stratum's own")


def test_post_stratified_by_hand() -> None:
    """A log in which a browser is rare is weighed as the shop is; a stratum nobody saw is said to be missing."""
    table = strata([90, 2], [100, 10])
    mix = pd.DataFrame({"browser": ["a", "b", "c"], "n": [100, 100, 50]})
    row = cl.post_stratify(table, mix).iloc[0]
    assert row["value"] == pytest.approx(0.55)
    assert (row["k"], row["n"], row["left_out"]) == (92, 110, pytest.approx(0.2))
    half = [np.hypot(*(0.5 * (table["value"] - table["low"]))), np.hypot(*(0.5 * (table["high"] - table["value"])))]
    assert (row["low"], row["high"]) == pytest.approx((0.55 - half[0], 0.55 + half[1]))
    assert row["denominator"].endswith("mix given")
    with pytest.raises(InputError, match="weights of the mix"):
        cl.post_stratify(table, mix.assign(n=[1, -1, 1]))
    with pytest.raises(InputError, match="twice"):
        cl.post_stratify(table, mix.assign(browser="a"))
    with pytest.raises(UnknownNameError):
        cl.post_stratify(table, mix.rename(columns={"browser": "country"}))
