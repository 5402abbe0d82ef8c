"""Match rates out of row outcomes, shared between platforms and days, and predictions that are calibrated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.measure.strata import possessed
from capi_lab.model.fitted import stratum_of
from capi_lab.model.outcomes import effective, pooled, scatter
from capi_lab.model.priors import FLAT
from tests.simulate.test_answer import server_events

COUNTS = pd.DataFrame({"stratum": ["click_id", "pii_only"], "k": [860, 1520], "n": [1000, 4000]})


@pytest.fixture(scope="module")
def answered() -> pd.DataFrame:
    """Server events of 12,000 orders and what a platform makes of them."""
    events = server_events(12_000, "meta", np.random.default_rng(3))
    rows = cl.answer(events, "meta", cl.World(), 5).rows
    return events.assign(matched=rows["matched"].to_numpy(), by=rows["matched_by"].to_numpy())


def test_with_much_data_it_is_the_share() -> None:
    """Counts of thousands: rate and interval are those of the data, whatever was believed."""
    table = cl.match_rates(COUNTS).table.set_index("stratum")
    assert table["value"].tolist() == pytest.approx([0.86, 0.38], abs=0.002)
    for name, width in (("low", -1), ("high", 1)):
        exact = [p + width * 1.96 * (p * (1 - p) / n) ** 0.5 for p, n in ((0.86, 1000), (0.38, 4000))]
        assert table[name].tolist() == pytest.approx(exact, abs=0.003)
    assert (table["from_data"] > 0.99).all()


def test_with_little_data_the_prior_is_seen() -> None:
    """Three rows, all matched: far from certain; without a prior a wider interval, around a Beta's of such counts."""
    few = pd.DataFrame({"stratum": ["pii_only"], "k": [3], "n": [3]})
    mine, flat = cl.match_rates(few).table.iloc[0], cl.match_rates(few, priors=None).table.iloc[0]
    assert mine["value"] < flat["value"] < 1
    assert mine["from_data"] < 0.6
    assert mine["prior_source"].startswith("practitioners")
    other = cl.match_rates(few, priors={"pii_only": cl.Prior(0.7, 0.8, "own history")}).table.iloc[0]
    assert other["value"] > mine["value"]


def test_platforms_lend_each_other_what_they_lack() -> None:
    """A platform with ten rows is pulled to the others; one with thousands is not; a stratum it never had is theirs."""
    shops = [("a", "pii_only", 1200, 4000), ("b", "pii_only", 1240, 4000), ("c", "pii_only", 8, 10)]
    shops += [("a", "ip_only", 40, 1000), ("b", "ip_only", 50, 1000)]
    fit = cl.match_rates(pd.DataFrame(shops, columns=["platform", "stratum", "k", "n"]), priors=None)
    table = fit.table.set_index(["platform", "stratum"])["value"]
    assert table["a", "pii_only"] == pytest.approx(0.30, abs=0.01)
    assert 0.3 < table["c", "pii_only"] < 0.72
    lent = fit.table.set_index(["platform", "stratum"]).loc[("c", "ip_only")]
    assert lent["value"] < 0.3
    assert not lent["identifiable"]
    assert any("no row" in one for one in fit.statements)
    with pytest.raises(InputError, match="say which"):
        fit.predict(COUNTS)
    with pytest.raises(UnknownNameError):
        fit.predict(COUNTS, "d")


def test_intervals_hold_the_truth_with_repeated_customers() -> None:
    """Four platforms, customers alike in all: 91 to 99 % of 95 % intervals hold; those that ignore customers do not."""
    rng = np.random.default_rng(9)
    held, naive = [], []
    for _ in range(60):
        truth = rng.beta(0.35 * 30, 0.65 * 30, 4)
        size = 1 + rng.poisson(1.5, (4, 150))
        own = rng.random((4, 150)) < truth[:, None]
        k, n = (own * size).sum(axis=1).astype("float64"), size.sum(axis=1).astype("float64")
        sums = pd.DataFrame(
            {
                "platform": list("abcd"), "stratum": "s", "k": k, "n": n, "kk": (own * size**2).sum(axis=1),
                "kn": (own * size**2).sum(axis=1), "nn": (size**2).sum(axis=1),
                "nnnn": (size**4).sum(axis=1), "clusters": 150, "units": n,
            }
        )  # fmt: skip
        seen = effective(sums, sums.assign(clusters=1), 0.95)
        for rows, kept in ((seen["n_eff"].to_numpy(), held), (n, naive)):
            ends = np.quantile(pooled(k / n * rows, rows, FLAT, rng)[0], [0.025, 0.975], axis=0)
            kept.append((ends[0] <= truth) & (truth <= ends[1]))
    assert 0.91 <= np.mean(held) <= 0.99
    assert np.mean(naive) < 0.9, "the negative control"


def test_days_scatter_as_the_moments_say() -> None:
    """Days drawn with correlation .05 show it; days that only differ by chance show next to none."""
    rng = np.random.default_rng(1)
    n = rng.poisson(80, 400)
    for rho in (0.0, 0.05):
        p = rng.beta(0.4 * (1 / rho - 1), 0.6 * (1 / rho - 1), 400) if rho else np.full(400, 0.4)
        assert scatter(pd.DataFrame({"k": rng.binomial(n, p), "n": n})) == pytest.approx(rho, abs=0.012)


def test_rows_predictions_and_days(answered: pd.DataFrame) -> None:
    """Predictions are the fitted rates, row by row in the caller's order, and their sum is what was matched."""
    for fine in (False, True):
        fit = cl.match_rates(answered, platform="meta", by_keys=fine)
        table = fit.table.set_index("stratum")
        shuffled = answered.sample(frac=1, random_state=1)
        told = fit.predict(shuffled)
        assert told.index.equals(shuffled.index)
        assert told["stratum"].value_counts().to_dict() == table["n"].to_dict()
        assert shuffled["matched"].groupby(told["stratum"]).sum().to_dict() == table["k"].to_dict()
        assert told["probability"].tolist() == pytest.approx(table["value"].loc[told["stratum"]].tolist())
        assert told["probability"].sum() == pytest.approx(answered["matched"].sum(), rel=0.02)
        assert fit.days.groupby("stratum")["n"].sum().to_dict() == table["n"].to_dict()
        assert "example.com" not in repr(fit) + fit._repr_html_()
    assert set(table.index) == {"click_id", "email_phone", "email_only", "phone_only", "none"}


def reliability(probability: pd.Series, matched: pd.Series) -> pd.DataFrame:
    """Group rows by what was said of them, and beside it put what was."""
    pairs = pd.DataFrame({"said": probability, "was": matched.astype(float)})
    return pairs.groupby(pairs["said"].round(6)).agg(said=("said", "mean"), was=("was", "mean"), n=("was", "size"))


def test_predictions_are_calibrated_where_nobody_looked(answered: pd.DataFrame) -> None:
    """Half the customers are fitted, the other half predicted: shares lie near, and Brier near that of an oracle.

    In the other world nothing is as assumed: half of the customers are of another kind, and half of their click ids
    belong to another account. What is said is still right on average, and finer strata come nearer to what was.
    """
    kind = answered["user_key"].str[1].isin(list("123"))
    odd = cl.World().with_values({"account.meta": 0.95, "cid_foreign": 0.5, "ph_eq.meta": 0.02})
    strange = cl.answer(answered.drop(columns=["matched", "by"]), "meta", odd, 6).rows["matched"].to_numpy()
    has = possessed(answered, "meta").loc[answered["row_id"]]
    half = answered["user_key"].str[-1].isin(list("02468")).to_numpy()
    for matched in (answered["matched"].to_numpy(), np.where(kind, strange, answered["matched"])):
        brier = []
        for fine in (False, True):
            rows = pd.DataFrame({"stratum": stratum_of(has, by_keys=fine).to_numpy(), "matched": matched})
            counts = rows[half].groupby("stratum", as_index=False)["matched"].agg(k="sum", n="size")
            told = cl.match_rates(counts).predict(rows[~half])
            was = rows.loc[~half, "matched"]
            found = reliability(told["probability"], was)
            error = np.sqrt(found["said"] * (1 - found["said"]) / found["n"] * 2.5 + 1e-4)  # customers repeat
            assert (np.abs(found["said"] - found["was"]) < 3.3 * error).all()
            brier.append(float(((told["probability"] - was) ** 2).mean()))
            oracle = was.groupby(told["stratum"]).transform("mean")
            assert brier[-1] < float(((oracle - was) ** 2).mean()) + 0.002
        assert brier[1] < brier[0] + 0.0005


def test_the_beta_is_the_conjugate_one() -> None:
    """One platform, a flat prior, many rows: the posterior's quantiles are those of Beta(k + 1, n - k + 1)."""
    drawn, _ = pooled(np.array([380.0]), np.array([1000.0]), FLAT, np.random.default_rng(0))
    exact = stats.beta.ppf([0.025, 0.5, 0.975], 381, 621)
    assert np.quantile(drawn[:, 0], [0.025, 0.5, 0.975]) == pytest.approx(exact, abs=0.004)


def test_unusable_input_is_refused() -> None:
    """No outcome known, impossible counts, a prior that is no range."""
    with pytest.raises(InputError, match="no row says"):
        cl.match_rates(COUNTS.assign(k=0, n=0))
    with pytest.raises(ContractError, match="more than n"):
        cl.match_rates(COUNTS.assign(k=5000))
    with pytest.raises(InputError, match="range"):
        cl.Prior(0.4, 0.2, "")
    with pytest.raises(InputError, match="no stratum"):
        cl.match_rates(COUNTS).predict(pd.DataFrame({"stratum": ["none"]}))
