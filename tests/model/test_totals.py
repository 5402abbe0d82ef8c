"""Match rates out of batch totals alone: they hold the truth as often as they claim, or say that they cannot know."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError
from capi_lab.model.totals import duncan_davis, inflation_of, least_squares, spread_of
from tests.model.worlds import RATES, STRATA, batches, told


@pytest.mark.parametrize("rho", [0.0, 0.02])
def test_the_variance_is_that_of_the_mechanism(rho: float) -> None:
    """Totals drawn 40,000 times scatter as the formula says; with rho 0 less than binomial ones would."""
    rng = np.random.default_rng(2)
    sent = np.array([300, 250, 100, 40])
    rates = RATES if rho == 0 else rng.beta(RATES * (1 / rho - 1), (1 - RATES) * (1 / rho - 1), (40_000, 4))
    drawn = rng.binomial(sent, rates, (40_000, 4)).sum(axis=1)
    stated = float(spread_of(sent[None, :].astype("float64"), RATES, rho)[0])
    assert drawn.var() == pytest.approx(stated, rel=0.04)
    p = sent @ RATES / sent.sum()
    assert bool(stated < sent.sum() * p * (1 - p)) is (rho == 0)


@pytest.mark.parametrize(("concentration", "rho"), [(5, 0.0), (50, 0.01), (500, 0.03)])
def test_intervals_hold_the_truth(concentration: float, rho: float) -> None:
    """Of 4 x 60 intervals 91 to 99 % hold it, whatever the days' mixes and scatter."""
    rng = np.random.default_rng(int(concentration))
    held, wide = [], []
    for _ in range(60):
        sent, matched = batches(rng, concentration, rho)
        found = least_squares(sent, matched, 0.95)
        held.append((found.low <= RATES) & (found.high >= RATES))
        wide.append(found.high - found.low)
        assert ((found.value >= 0) & (found.value <= 1)).all()
    assert 0.91 <= np.mean(held) <= 0.99
    assert np.mean(wide) < {5: 0.05, 50: 0.2, 500: 0.6}[int(concentration)]


def test_bounds_are_those_of_a_plain_loop_and_hold_what_happened() -> None:
    """Duncan and Davis's bounds, batch by batch; what really happened lies within them."""
    rng = np.random.default_rng(3)
    sent = rng.multinomial(200, [0.6, 0.3, 0.08, 0.02], 12).astype("float64")
    each = rng.binomial(sent.astype(int), RATES)
    matched = each.sum(axis=1).astype("float64")
    low, high = duncan_davis(sent, matched, matched)
    for s in range(4):
        least = sum(max(0.0, m - (row.sum() - row[s])) for row, m in zip(sent, matched, strict=True))
        most = sum(min(row[s], m) for row, m in zip(sent, matched, strict=True))
        assert low[s] == pytest.approx(least / sent[:, s].sum())
        assert high[s] == pytest.approx(most / sent[:, s].sum())
        assert low[s] <= each[:, s].sum() / sent[:, s].sum() <= high[s]


def test_a_table_of_totals() -> None:
    """The public call gives the numbers above, shows the prior beside, and the prior only helps."""
    sent, matched = batches(np.random.default_rng(4), 50)
    fit = cl.match_rates(*told(sent, matched))
    plain = least_squares(sent, matched, 0.95)
    table = fit.table.set_index("stratum").loc[list(STRATA)]
    assert table["data_low"].to_numpy() == pytest.approx(plain.low)
    assert table["data_high"].to_numpy() == pytest.approx(plain.high)
    assert table["identifiable"].all()
    assert not fit.statements
    assert ((table["low"] < RATES) & (table["high"] > RATES)).all()
    width, alone = table["high"] - table["low"], table["data_high"] - table["data_low"]
    assert (width < alone * 1.08).all()
    assert table.loc["click_id", ["prior_low", "prior_high"]].tolist() == [0.7, 0.9]
    assert table.loc["em", ["prior_low", "prior_high"]].tolist() == [0, 1], "a stratum nobody spoke of has a flat one"
    assert (table["from_data"] > 0.9).all()
    assert "google" in repr(fit)
    assert "<table" in fit._repr_html_()
    assert fit.predict(pd.DataFrame({"stratum": ["ip", "click_id"]}))["probability"].tolist() == pytest.approx(
        table.loc[["ip", "click_id"], "value"].tolist()
    )
    again = cl.match_rates(*told(sent, matched))
    pd.testing.assert_frame_equal(again.table, fit.table)


def test_what_cannot_be_told_apart_is_said() -> None:
    """The same mix every day: intervals of the data alone are all of [0, 1], the posterior is the prior's, in words."""
    sent = np.outer(np.arange(500, 560), [0.5, 0.3, 0.15, 0.05]).round(6) * 2
    matched = np.round(sent @ RATES)
    fit = cl.match_rates(*told(sent, matched))
    assert not fit.table["identifiable"].any()
    assert fit.table["data_low"].eq(0).all()
    assert fit.table["data_high"].eq(1).all()
    assert len(fit.statements) == 4
    assert all("not identifiable" in one for one in fit.statements)
    assert "NOT IDENTIFIABLE" in repr(fit)
    assert np.isinf(inflation_of(sent)).all()
    click = fit.table.set_index("stratum").loc["click_id"]
    assert click["high"] - click["low"] > 0.3, "no false precision"
    # As many days as strata: nothing left to see the scatter by.
    few = cl.match_rates(*told(*batches(np.random.default_rng(1), 5, days=4)))
    assert not few.table["identifiable"].any()


def test_ranges_are_wider_than_counts_and_hold_the_truth() -> None:
    """Totals told as ranges of ten percent leave more open, and mean the same."""
    sent, matched = batches(np.random.default_rng(6), 5)
    exact, ranged = cl.match_rates(*told(sent, matched)), cl.match_rates(*told(sent, matched, width=10))
    wide = [one.table.set_index("stratum").loc[list(STRATA)] for one in (exact, ranged)]
    lengths = [(one["high"] - one["low"]).to_numpy() for one in wide]
    assert (lengths[1] > 1.3 * lengths[0]).all()
    assert ((wide[1]["low"] < RATES) & (wide[1]["high"] > RATES)).all()
    assert wide[1]["method"].str.contains("interval-censored").all()


def test_a_stratum_told_apart_counts_once() -> None:
    """Where the platform also tells the matched of one stratum, that is a batch of its own, and the rest another."""
    rng = np.random.default_rng(8)
    sent = np.tile([400.0, 600.0], (40, 1))
    each = rng.binomial(sent.astype(int), [0.86, 0.38])
    reports, counts = told(np.column_stack([sent, 0 * sent]), each.sum(axis=1).astype("float64"))
    counts = counts[counts["n"] > 0]
    assert cl.match_rates(reports, counts).table["identifiable"].sum() == 0
    apart = reports.assign(stratum="click_id", count=each[:, 0].astype("float64"))
    counts["stratum"] = counts["stratum"].replace("em_ph", "pii_only")
    fit = cl.match_rates(pd.concat([reports, apart]), counts, priors=None)
    table = fit.table.set_index("stratum")
    assert table["identifiable"].all()
    assert table.loc["click_id", "value"] == pytest.approx(each[:, 0].sum() / 16_000, abs=1e-3)
    assert table.loc["pii_only", "value"] == pytest.approx(each[:, 1].sum() / 24_000, abs=1e-3)


def test_totals_of_nothing_are_refused() -> None:
    """No counts sent, none of those days, more matched than sent: each says what to do."""
    reports, counts = told(*batches(np.random.default_rng(1), 5))
    with pytest.raises(InputError, match="sent="):
        cl.match_rates(reports)
    with pytest.raises(InputError, match="count days alike"):
        cl.match_rates(reports, counts.assign(day=counts["day"] + pd.Timedelta(hours=1)))
    with pytest.raises(InputError, match="more than was sent"):
        cl.match_rates(reports.assign(count=5000), counts)
    with pytest.raises(InputError, match="no metric 'matched'"):
        cl.match_rates(reports.assign(metric="attributed"), counts)
    with pytest.raises(InputError, match="sent= goes with totals"):
        cl.match_rates(pd.DataFrame({"stratum": ["none"], "k": [1], "n": [2]}), counts)
