"""How many agreements chance alone would give: one stream shifted in time, recounted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from capi_lab.errors import InputError

__all__ = ["DAY_US", "beyond_chance", "default_shifts", "exposures", "refuse_near"]

DAY_US = 86_400_000_000
_SHIFTS = 10  # each way


def default_shifts(period: int, within: int) -> list[int]:
    """Choose shifts (microseconds) for a period: whole days where it is long enough, so that hours stay hours.

    Ten each way. A log shorter than three weeks is cut into 21 steps instead, none so short that a true pair
    could still be near; a log too short for that has no null, and the list is empty.
    """
    step = DAY_US if period >= (2 * _SHIFTS + 1) * DAY_US else max(period // (2 * _SHIFTS + 1), 2 * within + 1)
    return [sign * step * i for i in range(1, _SHIFTS + 1) if step * i <= period // 2 for sign in (-1, 1)]


def refuse_near(shifts: list[int], within: int) -> None:
    """Raise `InputError` where a shifted true pair could still be within the distance."""
    if any(abs(shift) <= 2 * within for shift in shifts):
        raise InputError("a shift must be longer than twice `within`: a true pair could still be near after it")


def exposures(shifts: list[int], period: int) -> NDArray[np.float64]:
    """Return the share of the period in which a shifted stream still meets the other one."""
    return np.array([max(0.0, 1 - abs(shift) / max(period, 1)) for shift in shifts], dtype="float64")


def beyond_chance(
    observed: int,
    counts: NDArray[np.float64],
    exposure: NDArray[np.float64],
    level: float,
    *,
    sizes: tuple[int, int] = (0, 0),
) -> tuple[float, float, float, float]:
    """Return expected by chance, excess, and the interval of the excess.

    Parameters
    ----------
    observed : int
        Pairs found without a shift.
    counts, exposure : arrays
        Pairs per shift, and the share of the period that shift leaves.
    level : float
    sizes : (int, int)
        Rows of the two streams; 0 where not known.

    Returns
    -------
    expected, excess, low, high : float
        NaN where there is no null.

    Notes
    -----
    The excess answers "how many of the pairs before us are no accident". Observed = these + C, C ~ Poisson(E); E is
    known from the shifts as a Gamma (Jeffreys), so C is negative binomial, and the interval is ``observed`` minus its
    quantiles, not below 0. Where the counts of the shifts scatter more than Poisson (bursts, popular prices), C is
    widened by that factor (quasi-Poisson). And where true pairs are much of both streams, accidents come in twos (A's
    event near B's order means B's event near A's order), which the shifts do not show: C is widened by 1 + the share
    of pairs that are of two true ones, M²/(events × others).
    """
    weight = float(exposure.sum())
    if not weight > 0:
        return (float("nan"),) * 4
    total = float(counts.sum())
    expected = total / weight
    scatter = 1.0
    if total > 0 and len(counts) > 1:
        usual = exposure[exposure > 0] * expected
        scatter = max(1.0, float(((counts[exposure > 0] - usual) ** 2 / usual).sum()) / (len(usual) - 1))
    if min(sizes) > 0:
        scatter *= 1 + min(1.0, max(0.0, observed - expected) ** 2 / (sizes[0] * sizes[1]))
    chance = stats.nbinom(total / scatter + 0.5, weight / (weight + 1))
    tail = (1 - level) / 2
    most, least = scatter * float(chance.ppf(1 - tail)), scatter * float(chance.ppf(tail))
    return expected, observed - expected, max(0.0, observed - most), max(0.0, observed - least)
