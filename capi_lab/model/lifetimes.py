"""Lifetimes of which one only knows that they ended after one visit and before another.

Two estimates of S(t), the share still there after t days. One assumes nothing (Turnbull 1976; for one visit each the
isotonic regression of what was seen, Groeneboom and Wellner 1992). It converges slowly and has no plain interval. The
other is a mixture of what browsers' rules allow,

    S(t) = exp(-rate t) (w_d1 [t < d1] + w_d2 [t < d2] + ... + w_none),

with point masses at 0 (gone before the first visit could tell) and at each rule's end, thinned by clearing at a
constant rate. It is fitted by maximum likelihood. An interval is the range S(t) takes over all parameters that are not
significantly less likely (profile likelihood), which, unlike a bootstrap, holds where the curve steps, and at the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

__all__ = ["ALWAYS", "Mixture", "Spans", "fit_mixture", "npmle"]

Floats = NDArray[np.float64]
Value: TypeAlias = "Callable[[Floats], tuple[float, Floats]]"
ALWAYS = -1.0
"""Left end of a span whose visit showed nothing: the lifetime may be 0."""
_RATES = (0.003, 0.03, 0.2)  # a day, to start from
_LARGEST_RATE = 20.0
_TINY = 1e-300
_ROUNDED = 0.01


@dataclass(frozen=True)
class Spans:
    """Lifetimes known to lie in (left, right], in days.

    Parameters
    ----------
    left : array
        Last visit that showed it, or `ALWAYS`.
    right : array
        First visit after that which did not, or infinity.
    count : array
        How many there are of each.
    """

    left: Floats
    right: Floats
    count: Floats

    @classmethod
    def of(cls, left: Floats, right: Floats) -> Spans:
        """Count equal spans."""
        both, count = np.unique(np.column_stack([left, right]), axis=0, return_counts=True)
        return cls(both[:, 0], both[:, 1], count.astype("float64"))

    @property
    def n(self) -> float:
        """How many lifetimes there are."""
        return float(self.count.sum())

    def rounded(self, rules: Floats) -> Spans:
        """Return fewer spans whose days are rounded to one per cent, on the same side of every rule."""

        def near(days: Floats) -> Floats:
            inside = np.isfinite(days) & (days > 0)
            some = np.exp(np.round(np.log(days[inside]) / _ROUNDED) * _ROUNDED)
            for rule in rules:
                before = days[inside] < rule
                some = np.where(before, np.minimum(some, np.nextafter(rule, 0)), np.maximum(some, rule))
            result = days.copy()
            result[inside] = some
            return result

        both, place = np.unique(np.column_stack([near(self.left), near(self.right)]), axis=0, return_inverse=True)
        return Spans(both[:, 0], both[:, 1], np.asarray(np.bincount(place.ravel(), weights=self.count), "float64"))

    @property
    def one_visit(self) -> bool:
        """Whether each lifetime was looked at once."""
        return bool(((self.left == ALWAYS) ^ np.isinf(self.right)).all())

    def __add__(self, other: Spans) -> Spans:
        return Spans(*(np.concatenate(pair) for pair in zip(vars(self).values(), vars(other).values(), strict=True)))


def npmle(spans: Spans, *, gap: float = 1e-4, rounds: int = 20_000) -> tuple[Floats, Floats]:
    """Return where the survival curve can step, and its height from there on.

    Parameters
    ----------
    spans : Spans
    gap : float
        Stop where the log-likelihood is at most this much below its maximum.
    rounds : int
        At most so many rounds of self-consistency.

    Returns
    -------
    days, survival : arrays
        Between two visits the curve is not determined; it is drawn as late as it may step.
    """
    if spans.one_visit:
        at = np.where(np.isinf(spans.right), spans.left, spans.right)
        days, place = np.unique(at, return_inverse=True)
        n = np.bincount(place, weights=spans.count)
        there = np.bincount(place, weights=spans.count * np.isinf(spans.right))
        return days, np.asarray(optimize.isotonic_regression(there / n, weights=n, increasing=False).x)
    ends = _innermost(spans)
    first = np.searchsorted(ends, spans.left, side="right")
    last = np.searchsorted(ends, spans.right, side="right")
    mass = np.full(len(ends), 1 / len(ends))
    for _ in range(rounds):
        total = np.concatenate([[0.0], np.cumsum(mass)])
        weight = spans.count / np.maximum(total[last] - total[first], _TINY)
        change = np.zeros(len(ends) + 1)
        np.add.at(change, first, weight)
        np.add.at(change, last, -weight)
        slope = np.cumsum(change)[:-1]
        if slope.max() - spans.n <= gap:  # the likelihood is concave: it cannot gain more than this
            break
        mass = mass * slope / spans.n
    finite = np.isfinite(ends)
    return ends[finite], 1 - np.cumsum(mass[finite])


def _innermost(spans: Spans) -> Floats:
    """Return the right ends of the intervals that can hold mass: a left end with a right end next after it."""
    points = np.concatenate([spans.left, spans.right])
    opens = np.concatenate([np.ones(len(spans.left)), np.zeros(len(spans.right))])
    order = np.lexsort((opens, points))  # (left, right]: at one point what ends comes before what begins
    points, opens = points[order], opens[order]
    return np.unique(points[1:][(opens[:-1] == 1) & (opens[1:] == 0)])


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture.

    Parameters
    ----------
    spans : Spans
        What it was fitted to.
    rules : array
        Days at which a rule ends lifetimes.
    weights : array
        Of 0, of each rule and, last, of no rule; they sum to 1.
    rate : float
        Of clearing, a day.
    log_likelihood : float
    """

    spans: Spans
    rules: Floats
    weights: Floats
    rate: float
    log_likelihood: float

    def survival(self, days: Floats) -> Floats:
        """Return S(t)."""
        shares, _ = _Likelihood(self.spans, self.rules).shares(np.asarray(days, "float64"), self.rate)
        return np.asarray(shares @ self.weights)

    def interval(self, days: float, level: float = 0.95) -> tuple[float, float]:
        """Return the profile-likelihood interval of S(t)."""
        model, at = _Likelihood(self.spans, self.rules), np.array([days])

        def value(theta: Floats) -> tuple[float, Floats]:
            shares, slopes = model.shares(at, float(theta[-1]))
            return float(shares[0] @ theta[:-1]), np.append(shares[0], slopes[0] @ theta[:-1])

        return self._profile(model, value, level)

    def interval_of(self, place: int, level: float = 0.95) -> tuple[float, float]:
        """Return the profile-likelihood interval of a weight, or of the rate (place -1)."""

        def value(theta: Floats) -> tuple[float, Floats]:
            return float(theta[place]), np.eye(len(theta))[place]

        return self._profile(_Likelihood(self.spans, self.rules), value, level)

    def _profile(self, model: _Likelihood, value: Value, level: float) -> tuple[float, float]:
        """Find the least and greatest value over all parameters whose likelihood is not significantly lower."""
        room, best = float(stats.chi2.ppf(level, 1) / 2), np.append(self.weights, self.rate)
        lowest = self.log_likelihood - room
        low, high = (_extreme(model, best, value, lowest, room, sign) for sign in (1.0, -1.0))
        return low, high


def fit_mixture(spans: Spans, rules: Sequence[float]) -> Mixture:
    """Fit a mixture by maximum likelihood.

    Parameters
    ----------
    spans : Spans
    rules : sequence of float
        Days at which a rule ends lifetimes.
    """
    ends = np.asarray(rules, "float64")
    model = _Likelihood(spans, ends)
    width = len(model.ends)
    starts = [np.append(np.full(width, 1 / width), rate) for rate in _RATES]
    found = [model.minimise(model.lost, start) for start in starts]
    best = min(found, key=lambda one: model.lost(one)[0])
    best[:-1] = np.where(best[:-1] < 1e-9, 0.0, best[:-1])
    weights = best[:-1] / best[:-1].sum()
    return Mixture(spans, model.rules, weights, float(best[-1]), model(np.append(weights, best[-1]))[0])


class _Likelihood:
    """Log-likelihood of weights and rate, with its gradient; what was asked last is remembered."""

    def __init__(self, spans: Spans, rules: Floats) -> None:
        self.spans, self.rules = spans, rules
        self.ends = np.concatenate([[0.0], rules, [np.inf]])
        self._sides = [self._alive(side) for side in (spans.left, spans.right)]
        self._simplex = np.append(np.ones(len(self.ends)), 0.0)
        self._bounds = [(0.0, 1.0)] * len(self.ends) + [(0.0, _LARGEST_RATE)]
        self._last: tuple[bytes, tuple[float, Floats]] | None = None

    def _alive(self, days: Floats) -> tuple[Floats, Floats]:
        """Return days, and which components no rule has ended by then."""
        known = np.isfinite(days)
        t = np.where(known, np.maximum(days, 0.0), 0.0)
        return t, np.asarray((days[:, None] < self.ends) & known[:, None], dtype="float64")

    def shares(self, days: Floats, rate: float) -> tuple[Floats, Floats]:
        """Return of each day and component the share alive, and its slope in the rate."""
        t, alive = self._alive(days)
        share = alive * np.exp(-rate * t)[:, None]
        return share, -t[:, None] * share

    def _parts(self, theta: Floats) -> tuple[Floats, Floats, Floats]:
        """Return each span's chance by component, the chance, and its slope in the rate."""
        (t, a), (u, b) = self._sides
        first, second = np.exp(-theta[-1] * t), np.exp(-theta[-1] * u)
        a, b = a * first[:, None], b * second[:, None]
        weights = theta[:-1]
        return a - b, np.maximum((a - b) @ weights, _TINY), u * (b @ weights) - t * (a @ weights)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        key = theta.tobytes()
        if self._last is None or self._last[0] != key:
            by_part, chance, slope = self._parts(theta)
            weight = self.spans.count / chance
            value = float(self.spans.count @ np.log(chance)), np.append(weight @ by_part, slope @ weight)
            self._last = key, value
        return self._last[1]

    def lost(self, theta: Floats) -> tuple[float, Floats]:
        """Return what to minimise: minus the mean log-likelihood."""
        value, slope = self(theta)
        return -value / self.spans.n, -slope / self.spans.n

    def information(self, theta: Floats) -> Floats:
        """Return the sum of squared scores."""
        by_part, chance, slope = self._parts(theta)
        scores = np.column_stack([by_part, slope]) / chance[:, None]
        return np.asarray((scores * self.spans.count[:, None]).T @ scores)

    def minimise(self, what: Value, start: Floats, *more: dict[str, Any], rounds: int = 200) -> Floats:
        """Minimise a function over all parameters there can be."""
        whole = {"type": "eq", "fun": lambda x: x[:-1].sum() - 1, "jac": lambda _: self._simplex}
        found = optimize.minimize(
            what, start, jac=True, method="SLSQP", bounds=self._bounds, constraints=[whole, *more],
            options={"maxiter": rounds, "ftol": 1e-10},
        )  # fmt: skip
        return np.asarray(found.x, "float64")


def _extreme(model: _Likelihood, best: Floats, value: Value, lowest: float, room: float, sign: float) -> float:
    """Find the least (sign 1) or greatest (-1) value where the log-likelihood is ``lowest`` or more.

    From near where the quadratic approximation has it, until two searches have kept the bound; the farther one counts.
    """
    middle, slope = value(best)
    tangent = np.linalg.svd(model._simplex[None, :])[2][1:].T
    curved = tangent.T @ (model.information(best) + 1e-6 * model.spans.n * np.eye(len(best))) @ tangent
    step = tangent @ np.linalg.solve(curved, tangent.T @ slope)
    step *= np.sqrt(2 * room / max(float(slope @ step), 1e-12))
    bound = {
        "type": "ineq",
        "fun": lambda x: (model(x)[0] - lowest) / room,
        "jac": lambda x: model(x)[1] / room,
    }

    def aim(theta: Floats) -> tuple[float, Floats]:
        found, rises = value(theta)
        return sign * found, sign * rises

    found: list[float] = []
    even = np.append(np.full(len(best) - 1, 1 / (len(best) - 1)), best[-1])
    for far, blend in ((0.7, 0.0), (0.7, 0.3), (0.25, 0.0), (0.1, 0.05), (0.3, 0.8), (0.02, 0.01)):
        start = (1 - blend) * (best - sign * far * step) + blend * even
        start[:-1] = np.clip(start[:-1], 1e-3, 1.0)
        start[:-1] /= start[:-1].sum()
        start[-1] = np.clip(start[-1], 1e-4, _LARGEST_RATE)
        end = np.clip(model.minimise(aim, start, bound, rounds=100), 0.0, [*np.ones_like(even[:-1]), _LARGEST_RATE])
        end[:-1] /= end[:-1].sum()
        if model(end)[0] >= lowest - 1e-3 * room:
            found.append(value(end)[0])
        if len(found) == 2:
            break
    return min([middle, *found]) if sign > 0 else max([middle, *found])
