"""Two lists without a ledger: published numbers, closed forms, and plain words on what cannot be known."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import capi_lab as cl
from capi_lab.errors import CaveatWarning, InputError
from capi_lab.measure.cells import chao, chapman, lincoln_petersen, log_linear, odds_ratio
from capi_lab.words import Caveat

PROTOTYPE = np.array([[1, 0, 0, 118_308], [0, 1, 0, 4_803], [0, 0, 1, 35_882]], dtype="float64")
BAND = [(0.5, 159_720), (1, 160_449), (2, 161_905), (5, 166_276), (10, 173_559)]


def lists(n11: int, n10: int, n01: int, n00: int = 0, **columns: object) -> pd.DataFrame:
    sizes = [n11, n10, n01, n00]
    pixel, capi = (np.repeat(flags, sizes) for flags in ([True, True, False, False], [True, False, True, False]))
    base = {"conversion_id": np.arange(sum(sizes)).astype(str), "seen_pixel": pixel, "seen_capi": capi}
    return pd.DataFrame(base | columns)


def test_published_example() -> None:
    """Chapman on 200 and 100 with 30 in both, by hand; Chao's bound; Lincoln and Petersen's n1 n2 / m."""
    counts = np.array([[1, 0, 0, 30], [0, 1, 0, 170], [0, 0, 1, 70]], dtype="float64")
    assert 270 + chapman(counts).number == pytest.approx(201 * 101 / 31 - 1)
    assert chapman(counts).variance == pytest.approx(201 * 101 * 170 * 70 / (31**2 * 32))
    assert 270 + lincoln_petersen(counts).number == pytest.approx(200 * 100 / 30)
    assert chao(counts).number == pytest.approx(240**2 / 120)
    z = stats.norm.ppf(0.975)
    f, v = chapman(counts).number, chapman(counts).variance
    c = np.exp(z * np.sqrt(np.log(1 + v / f**2)))
    assert chapman(counts).limits(0.95) == pytest.approx((f / c, f * c))


@pytest.mark.parametrize(("psi", "published"), BAND)
def test_sensitivity_band_of_the_prototype(psi: float, published: int) -> None:
    """The cells behind the published 160,449 ± 44 give the published band: N(psi) = n + psi n10 n01 / n11."""
    found = odds_ratio(PROTOTYPE, psi)
    assert PROTOTYPE[:, 3].sum() + found.number == pytest.approx(published, rel=1e-5)
    if psi == 1:
        assert np.sqrt(found.variance) == pytest.approx(44, abs=0.5)


def test_log_linear_is_sekar_deming_for_one_column() -> None:
    """One column: every stratum's own n10 n01 / n11. Two columns: the fitted margins are those observed."""
    rng = np.random.default_rng(3)
    cells = rng.integers(20, 300, (4, 3)).astype("float64")
    strata = [np.column_stack([np.eye(3), row]) for row in cells]
    one = np.column_stack([np.ones(4), np.eye(4)[:, 1:]])
    apart = [odds_ratio(stratum, 1) for stratum in strata]
    full = log_linear(strata, one)
    assert full.number == pytest.approx(sum(u.number for u in apart))
    assert full.variance == pytest.approx(sum(u.variance for u in apart))
    pooled = log_linear([np.column_stack([np.eye(3), cells.sum(axis=0)])], np.ones((1, 1)))
    assert pooled.number == pytest.approx(cells.sum(axis=0)[1] * cells.sum(axis=0)[2] / cells.sum(axis=0)[0])


def test_additive_log_linear_finds_the_truth_where_it_holds() -> None:
    """Browser and device shift each list's odds additively: expected counts give back the cell nobody saw, exactly."""
    rows, design, unseen = [], [], 0.0
    for browser in (0, 1):
        for device in (0, 1):
            size = 1000.0 + 300 * browser + 500 * device
            one, two = (
                1 / (1 + np.exp(-(a + b * browser + c * device))) for a, b, c in ((0.3, -1, 0.7), (1, 0.5, -0.4))
            )
            counts = size * np.array([one * two, one * (1 - two), (1 - one) * two])
            rows.append(np.column_stack([np.eye(3), counts]))
            design.append([1.0, browser, device])
            unseen += size * (1 - one) * (1 - two)
    assert log_linear(rows, np.array(design)).number == pytest.approx(unseen, rel=1e-8)


def test_copies_of_customers_add_no_evidence() -> None:
    """Every order three times under one customer: the estimate triples and so does its error."""
    once = np.array([[1, 0, 0, 300], [0, 1, 0, 80], [0, 0, 1, 60]], dtype="float64")
    thrice = once * [3, 3, 3, 1]
    for method in (lincoln_petersen, chao):
        a, b = method(once), method(thrice)
        assert b.number == pytest.approx(3 * a.number)
        assert np.sqrt(b.variance) == pytest.approx(3 * np.sqrt(a.variance), rel=0.1)


def test_table_and_warnings() -> None:
    """One row per estimator and psi; strata are summed; what cannot be known is said, in words and in plain English."""
    frame = pd.concat(
        [lists(300, 100, 60, browser="a", country="x"), lists(500, 50, 200, browser="b", country="y")],
        ignore_index=True,
    ).assign(conversion_id=lambda f: f.index.astype(str))
    with pytest.warns(CaveatWarning) as told:
        table = cl.recapture(frame, psi=[0.5, 2], strata="browser")
    assert len(told) == 2
    assert "triggered by the browser" in str(told[1].message)
    rows = table.set_index(["estimator", "psi"])
    assert rows.loc[("odds_ratio", 2.0), "estimate"] == pytest.approx(1210 + 2 * (20 + 20))
    assert rows.loc[("log_linear", 1.0), "estimate"] == pytest.approx(1250)
    assert rows.loc[("lincoln_petersen", 1.0), "estimate"] == pytest.approx(1210 + 150 * 260 / 800)
    assert (table["k"] == 1210).all()
    assert ((table["low"] < table["value"]) & (table["value"] < table["high"])).all()
    assert (table["value"] == table["k"] / table["estimate"]).all()
    with pytest.warns(CaveatWarning):
        by = cl.recapture(frame, by="country").set_index(["country", "estimator"])
    assert by.loc[("x", "log_linear"), "estimate"] == pytest.approx(460 + 20)


def test_caveats_hang_on_what_is_known() -> None:
    """Consent that gates both lists, a browser tag, dependent lists, few in both; none where nothing speaks against."""
    consent = ["granted"] * 460 + ["denied"] * 40
    sound = lists(300, 100, 45, 15, consent_ad_user_data="granted")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(cl.recapture(sound, trigger="backend")["caveats"]) == {""}
    with pytest.warns(CaveatWarning, match="consented conversions, not of all"):
        gated = cl.recapture(lists(300, 100, 60, 40, consent_ad_user_data=consent), trigger="backend")
    assert set(gated["caveats"]) == {Caveat.CONSENT_GATES_BOTH}
    with pytest.warns(CaveatWarning, match="not independent"), pytest.warns(CaveatWarning, match="coverage too high"):
        tagged = cl.recapture(lists(300, 10, 10, 200, consent_ad_user_data="granted"), trigger="browser")
    assert set(tagged["caveats"]) == {f"{Caveat.BROWSER_TRIGGERED}, {Caveat.LISTS_DEPEND}"}
    with pytest.warns(CaveatWarning, match="fewer than 7"):
        few = cl.recapture(lists(5, 10, 10, consent_ad_user_data="granted"), trigger="backend")
    assert set(few["caveats"]) == {Caveat.FEW_IN_BOTH}


def test_wrong_questions_are_refused() -> None:
    """Odds ratios of nought, a trigger nobody knows, lists with nothing in common."""
    with pytest.raises(InputError, match="psi"):
        cl.recapture(lists(1, 1, 1), psi=0)
    with pytest.raises(InputError, match="trigger"):
        cl.recapture(lists(1, 1, 1), trigger="server")
    with pytest.raises(InputError, match="both lists"):
        cl.recapture(lists(0, 5, 5))
