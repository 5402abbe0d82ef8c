"""Match rates of strata out of batch totals alone: how many of each stratum were sent, how many of all were matched.

With fixed known counts n_ds the total of batch d has mean sum_s n_ds theta_s and variance
sum_s (n_ds + rho (n_ds^2 - n_ds)) theta_s (1 - theta_s): Poisson-binomial, which is less than binomial, plus what the
batches of one stratum scatter beyond that (beta-binomial, intraclass correlation rho).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

__all__ = [
    "Squares",
    "TotalsFit",
    "condition_of",
    "duncan_davis",
    "fit_totals",
    "inflation_of",
    "least_squares",
    "sampled",
    "spread_of",
]

Floats = NDArray[np.float64]

RHO_MEAN = 0.02
"""Mean of the exponential prior of rho where totals are ranges: these say next to nothing of it."""
_CHAINS, _SWEEPS = 2000, 40
_WALKERS, _STEPS, _KEEP = 64, 450, 5


@dataclass(frozen=True, slots=True)
class TotalsFit:
    """What totals say of the rates of S strata.

    Parameters
    ----------
    value, low, high : arrays of S
        From the data alone: box-constrained estimate, interval clipped to [0, 1].
    draws : array of shape (draws, S)
        Of the posterior, with the prior.
    rho : float
        Intraclass correlation of a batch's outcomes within a stratum.
    spare : int
        Batches beyond the unknowns.
    """

    value: Floats
    low: Floats
    high: Floats
    draws: Floats
    rho: float
    spare: int


def fit_totals(
    sent: Floats, low: Floats, high: Floats, level: float, prior: tuple[Floats, Floats], rng: np.random.Generator
) -> TotalsFit:
    """Estimate the rates of strata.

    Parameters
    ----------
    sent : array of shape (D, S)
        Counts of each stratum in each batch.
    low, high : arrays of D
        Matched in the batch; unequal where it is told as a range.
    level : float
    prior : (means, standard deviations), arrays of S
        Normal, cut to [0, 1]; an infinite standard deviation is a flat one.
    rng : Generator

    Notes
    -----
    Exact totals: weighted least squares with the variance above, iterated; rho by moments (Pearson's statistic equal
    to its degrees of freedom), t quantiles. Ranges: the likelihood of an interval-censored normal, sampled by the
    affine-invariant ensemble (Goodman and Weare 2010).
    """
    spare = len(sent) - int(np.linalg.matrix_rank(sent))
    if np.any(high > low):
        flat = (np.full(sent.shape[1], 0.5), np.full(sent.shape[1], np.inf))
        drawn, rho = sampled(sent, low, high, flat, rng)
        draws, _ = sampled(sent, low, high, prior, rng)
        ends = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return TotalsFit(np.median(drawn, axis=0), ends[0], ends[1], draws, float(rho), spare)
    alone = least_squares(sent, low, level)
    means, deviations = prior
    precision = alone.precision + np.diag(1 / deviations**2) + 1e-9 * np.eye(len(means))
    pull = alone.pull + means / deviations**2 + 1e-9 * 0.5
    draws = _in_box(np.asarray(np.linalg.solve(precision, pull), "float64"), precision, rng)
    return TotalsFit(alone.value, alone.low, alone.high, draws, alone.rho, spare)


class Squares(NamedTuple):
    """What exact totals say by themselves: see `least_squares`."""

    value: Floats
    low: Floats
    high: Floats
    rho: float
    precision: Floats
    pull: Floats


def least_squares(sent: Floats, matched: Floats, level: float) -> Squares:
    """Estimate rates from exact totals alone.

    Parameters
    ----------
    sent : array of shape (D, S)
    matched : array of D
    level : float

    Returns
    -------
    Squares
        ``value`` (within [0, 1]; NaN where the batches say nothing), ``low``, ``high`` (t interval of the free
        estimate, cut to [0, 1]), ``rho``; ``precision`` and ``pull``: the normal likelihood, as wide as that interval.
    """
    spare = len(sent) - int(np.linalg.matrix_rank(sent))
    free, boxed, variance, rho = _weighted(sent, matched)
    scaled = sent / np.sqrt(variance)[:, None]
    information = scaled.T @ scaled
    student = stats.t.ppf(0.5 + level / 2, spare) if spare > 0 else np.inf
    half = student * _errors(information)
    known = np.isfinite(half)
    low = np.where(known, np.clip(free - half, 0, 1), 0.0)
    high = np.where(known, np.clip(free + half, 0, 1), 1.0)
    shrink = (stats.norm.ppf(0.5 + level / 2) / student) ** 2
    pull = shrink * (scaled.T @ (matched / np.sqrt(variance)))
    return Squares(np.where(known, boxed, np.nan), low, high, rho, shrink * information, pull)


def spread_of(sent: Floats, rates: Floats, rho: float | Floats) -> Floats:
    """Return the variance of batches' totals."""
    each = rates * (1 - rates)
    variance: Floats = sent @ each + rho * (np.maximum(sent * sent - sent, 0.0) @ each)
    return variance


def condition_of(sent: Floats) -> float:
    """Return the condition number of the batches' counts, each column scaled to unit length (Belsley 1980)."""
    norms = np.sqrt((sent * sent).sum(axis=0))
    return float(np.linalg.cond(sent[:, norms > 0] / norms[norms > 0])) if norms.any() else float("inf")


def inflation_of(sent: Floats) -> Floats:
    """Return variance inflation factors: 1/(1 - R^2) of each stratum's counts on the others' (no intercept)."""
    found = np.ones(sent.shape[1])
    for s in range(sent.shape[1]):
        others = np.delete(sent, s, axis=1)
        whole = float(sent[:, s] @ sent[:, s])
        if not others.size or whole == 0:
            continue
        rest = sent[:, s] - others @ np.linalg.lstsq(others, sent[:, s], rcond=None)[0]
        left = float(rest @ rest)
        found[s] = whole / left if left > 1e-12 * whole else np.inf
    return found


def duncan_davis(sent: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return what each stratum's realised rate cannot lie outside of, over all batches (Duncan and Davis 1953).

    Per batch max(0, (M - (n - n_s))/n_s) and min(1, M/n_s), weighted by n_s.
    """
    others = sent.sum(axis=1, keepdims=True) - sent
    least = np.maximum(low[:, None] - others, 0.0).sum(axis=0)
    most = np.minimum(high[:, None], sent).sum(axis=0)
    n = sent.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n > 0, least / n, 0.0), np.where(n > 0, most / n, 1.0)


def _weighted(sent: Floats, matched: Floats) -> tuple[Floats, Floats, Floats, float]:
    """Iterate weighted least squares; return the free and the boxed estimate, the variances and rho."""
    total = sent.sum(axis=1)
    variance, rho, free = np.maximum(total, 1.0) / 4, 0.0, np.zeros(sent.shape[1])
    boxed = np.full(sent.shape[1], 0.5)
    freedom = len(sent) - np.linalg.matrix_rank(sent)
    for _ in range(50):
        root = np.sqrt(variance)
        before = boxed
        free = np.linalg.lstsq(sent / root[:, None], matched / root, rcond=None)[0]
        inside = (free >= 0).all() and (free <= 1).all()
        boxed = (
            free
            if inside
            else np.asarray(optimize.lsq_linear(sent / root[:, None], matched / root, (0, 1), method="bvls").x)
        )
        safe = np.clip(boxed, 0.01, 0.99)  # a rate of exactly 0 would make its batches infinitely sure
        rho = _scatter(sent, safe, (matched - sent @ free) ** 2, int(freedom))
        variance = np.maximum(spread_of(sent, safe, rho), 0.25)
        if np.abs(boxed - before).max() < 1e-7:
            break
    return free, boxed, variance, rho


def _scatter(sent: Floats, rates: Floats, squares: Floats, freedom: int) -> float:
    """Solve sum(e^2/v(rho)) = degrees of freedom."""
    if freedom < 1:
        return 0.0

    def beyond(rho: float) -> float:
        return float((squares / np.maximum(spread_of(sent, rates, rho), 0.25)).sum() - freedom)

    if beyond(0.0) <= 0:
        return 0.0
    return float(optimize.brentq(beyond, 0.0, 1.0, xtol=1e-6)) if beyond(1.0) < 0 else 1.0


def _errors(information: Floats) -> Floats:
    """Return standard errors; infinite for a stratum that shares in a direction the batches say nothing of."""
    scale = np.sqrt(np.diag(information))
    there = scale > 0
    found = np.full(len(scale), np.inf)
    if not there.any():
        return found
    size = scale[there]
    values, vectors = np.linalg.eigh(information[np.ix_(there, there)] / np.outer(size, size))
    seen = values > 1e-10 * values.max()
    blind = (vectors[:, ~seen] ** 2).sum(axis=1) > 1e-8
    errors = np.sqrt((vectors[:, seen] ** 2 / values[seen]).sum(axis=1)) / size
    found[there] = np.where(blind, np.inf, errors)
    return found


def _in_box(centre: Floats, precision: Floats, rng: np.random.Generator) -> Floats:
    """Draw from a normal cut to [0, 1] in each direction.

    Gibbs along the principal axes, in which the normal's directions are independent: along the rates themselves a
    ridge, which is what totals of like mixes leave, would hardly be walked.
    """
    values, axes = np.linalg.eigh(precision)
    root = np.sqrt(values)
    half = root[:, None] * axes.T
    mode = optimize.lsq_linear(half, half @ centre, (0.0, 1.0), method="bvls").x
    x = np.tile(np.clip(mode, 0.0, 1.0), (_CHAINS, 1))
    for _ in range(_SWEEPS):
        for s in range(len(centre)):
            axis = axes[:, s]
            move = np.abs(axis) > 1e-12
            with np.errstate(divide="ignore"):
                ends = np.sort([-x[:, move] / axis[move], (1 - x[:, move]) / axis[move]], axis=0)
            least, most = ends[0].max(axis=1), ends[1].min(axis=1)
            at = (x - centre) @ axis
            step = _between((at + least) * root[s], (at + most) * root[s], rng) / root[s] - at
            x = np.clip(x + step[:, None] * axis, 0.0, 1.0)
    return x


def _log_between(low: Floats, high: Floats) -> Floats:
    """Return the log of the normal's mass in [low, high], ``low`` not positive; exact far out in the tail, too."""
    mass: Floats = special.ndtr(high) - special.ndtr(low)
    thin = mass < 1e-200
    if not thin.any():
        found: Floats = np.log(mass)
    else:
        found = np.log(np.where(thin, 1.0, mass))
        top, gap = special.log_ndtr(high[thin]), special.log_ndtr(low[thin])
        with np.errstate(divide="ignore"):
            found[thin] = top + np.log(-np.expm1(np.minimum(gap - top, -1e-12)))
    return found


def _between(low: Floats, high: Floats, rng: np.random.Generator) -> Floats:
    """Draw from standard normals cut to [low, high], in the tail that is not lost to rounding."""
    flip = low > 0
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    least, most = special.ndtr(a), special.ndtr(b)
    x = np.clip(special.ndtri(least + (most - least) * rng.random(len(a))), a, b)
    found: Floats = np.where(flip, -x, x)
    return found


def sampled(
    sent: Floats, low: Floats, high: Floats, prior: tuple[Floats, Floats], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Draw rates given ranges of totals (`fit_totals`), and estimate rho.

    Any axes before these are data sets of their own, drawn together: many cost little more than one.

    Parameters
    ----------
    sent : array of shape (..., D, S)
    low, high : arrays of shape (..., D)
    prior : (means, standard deviations), arrays of S
    rng : Generator

    Returns
    -------
    draws : array of shape (..., draws, S)
    rho : array of shape (...)
    """
    sets, size = sent.shape[:-2], sent.shape[-1]
    exact = (high <= low)[..., None, :]
    no_exact = not exact.any()
    means, precisions = prior[0], 1 / prior[1] ** 2
    by_batch = np.swapaxes(sent, -1, -2)
    counts = np.maximum(by_batch * by_batch - by_batch, 0.0)
    least, most = low[..., None, :], high[..., None, :]

    def height(x: Floats) -> Floats:
        rates, rho = x[..., :-1], x[..., -1]
        inside = ((rates >= 0) & (rates <= 1)).all(axis=-1) & (rho >= 0) & (rho <= 1)
        rates = np.clip(rates, 0.0, 1.0)
        each = rates * (1 - rates)
        deviation = np.sqrt(np.maximum(each @ by_batch + np.clip(rho, 0, 1)[..., None] * (each @ counts), 0.25))
        mean = rates @ by_batch
        a, b = (least - mean) / deviation, (most - mean) / deviation
        a, b = np.where(a > 0, -b, a), np.where(a > 0, -a, b)
        ranged = _log_between(a, b)
        told = (ranged if no_exact else np.where(exact, -0.5 * a * a - np.log(deviation), ranged)).sum(axis=-1)
        told += -0.5 * (precisions * (rates - means) ** 2).sum(axis=-1) - rho / RHO_MEAN
        found: Floats = np.where(inside, told, -np.inf)
        return found

    middle = (low + high) / 2
    start = np.empty((*sets, 1, size))
    for at in np.ndindex(sets):
        start[at] = optimize.lsq_linear(sent[at], middle[at], (0.0, 1.0)).x
    x = np.concatenate(
        [
            np.clip(0.7 * start + 0.3 * rng.random((*sets, _WALKERS, size)), 0.001, 0.999),
            rng.exponential(RHO_MEAN, (*sets, _WALKERS, 1)).clip(0, 0.5),
        ],
        axis=-1,
    )
    now, half, kept = height(x), _WALKERS // 2, []
    for step in range(_STEPS):
        for mine, other in ((slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))):
            stretch = (rng.random((*sets, half)) + 1) ** 2 / 2
            chosen = rng.integers(0, half, (*sets, half))[..., None]
            partner = np.take_along_axis(x[..., other, :], chosen, axis=-2)
            moved = partner + stretch[..., None] * (x[..., mine, :] - partner)
            new = height(moved)
            takes = np.log(rng.random((*sets, half))) < size * np.log(stretch) + new - now[..., mine]
            x[..., mine, :] = np.where(takes[..., None], moved, x[..., mine, :])
            now[..., mine] = np.where(takes, new, now[..., mine])
        if step >= _STEPS // 3 and step % _KEEP == 0:
            kept.append(x.copy())
    draws = np.concatenate(kept, axis=-2)
    return draws[..., :-1], np.asarray(np.median(draws[..., -1], axis=-1))
