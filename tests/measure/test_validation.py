"""A part of `make validate`: intervals hold the truth as often as they claim, and the controls fail."""

from __future__ import annotations

import numpy as np
import pytest

from tests import validation
from tests.depth import THOROUGH
from tests.validation import CASES, Case, validate

# How many shops, and how many cases of the family, where the suite may not take long.
BRIEF = {
    validation.coverage_cases: (200, 3),
    validation.matching_cases: (200, 2),
    validation.comparison_cases: (100, 2),
    validation.recapture_cases: (25, None),
    validation.gap_cases: (40, None),
    validation.outcome_cases: (40, 4),
    validation.totals_cases: (40, None),
    validation.bucket_cases: (15, None),
    validation.survival_cases: (15, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("family", CASES, ids=lambda family: family.__name__)
def test_intervals_hold_what_they_claim(family) -> None:
    """Of 200 shops 91 to 99 % of the 95 % intervals hold the truth (limits of 99 % of samples); controls lie below."""
    sets, first = (200, None) if THOROUGH else BRIEF.get(family, (200, None))
    found = validate(sets, validation.SEED, (family,), first)
    assert found
    wrong = [f"{one.function}, {one.design}: {one.covered:.3f}" for one in found if not one.holds()]
    assert not wrong


def test_false_alarms_keep_the_stated_rate() -> None:
    """Over 74,400 days without a change in each kind of series, no more alarms than stated, and half again for luck."""
    alarms = validation.false_alarms(200, np.random.default_rng(validation.SEED))
    assert (alarms["judged"] == 200 * 372).all()
    assert (alarms["ratio"] < 1.5).all()
    assert (alarms["ratio"].iloc[1:] > 0.5).all(), "an alarm that never rings is no alarm"


def test_the_check_can_fail() -> None:
    """Intervals a seventh too short, or shifted, or far too wide do not pass, nor does a control that holds."""
    rng = np.random.default_rng(1)
    value = rng.normal(0, 1, 1000)
    truth = np.zeros(1000)

    def judged(half: float, shift: float = 0.0, *, control: bool = False) -> bool:
        return Case("f", "d", value - half + shift, value + half + shift, value, truth, control).holds()

    assert judged(1.96)
    assert not judged(1.96 * 0.85)
    assert not judged(1.96, 0.6)
    assert not judged(3.0)
    assert not judged(1.96, control=True)
    assert judged(1.0, control=True)
    edge = {half: Case("f", "d", value - half, value + half, value, truth, near_edge=True) for half in (1.5, 3.0)}
    assert edge[3.0].holds()
    assert not edge[1.5].holds()
    assert "wider than it claims" in validation.lines([edge[3.0]])[-1]


def test_some_rows_can_be_written_anew() -> None:
    """A run of some families replaces their rows of the page and adds new ones; the others stay as they were."""
    page = validation.PAGE.read_text(encoding="utf-8")
    kept, alarms = validation.beside(page, [])
    assert all(row in page for row in [*kept, *alarms])
    name = "|".join(kept[5].split("|")[:3])
    rows, _ = validation.beside(page, [f"{name}| 7 | 0.5 |", "| new | shop | 7 | 0.5 |"])
    assert rows == [*kept[:5], f"{name}| 7 | 0.5 |", *kept[6:], "| new | shop | 7 | 0.5 |"]
