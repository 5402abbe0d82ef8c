"""Two lists as four cells, one of which nobody can count: estimators of it, from whole customers.

Every function takes ``counts``: one line per kind of customer, with how many of their conversions are on both lists
(n11), on the first only (n10), on the second only (n01), and how many such customers there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["Unseen", "chao", "chapman", "lincoln_petersen", "log_linear", "odds_ratio"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Unseen:
    """How many conversions are on neither list, with the variance of that estimate; independent ones add up."""

    number: float
    variance: float

    def __add__(self, other: Unseen) -> Unseen:
        return Unseen(self.number + other.number, self.variance + other.variance)

    def limits(self, level: float) -> tuple[float, float]:
        """Log-normal interval: [f/C, f C] with C = exp(z sqrt(ln(1 + Var/f²))) (Chao 1987)."""
        if not self.number > 0:
            return 0.0, float(stats.norm.ppf(0.5 + level / 2) * np.sqrt(max(self.variance, 0.0)))
        z = float(stats.norm.ppf(0.5 + level / 2))
        spread = float(np.exp(z * np.sqrt(np.log1p(self.variance / self.number**2))))
        return self.number / spread, self.number * spread


def lincoln_petersen(counts: Floats) -> Unseen:
    """n10 n01 / n11: N = n1 n2 / m."""
    return odds_ratio(counts, 1.0)


def odds_ratio(counts: Floats, psi: float) -> Unseen:
    """Psi n10 n01 / n11 (psi = 1: Lincoln and Petersen); a stratum with none on both counts as if it had one.

    Notes
    -----
    The error of N(psi) is the sum over conversions of a number that hangs on their cell: -f/n11, f/n10, f/n01 and -1
    with f the unseen, so that its variance is f²/n11 + f²/n10 + f²/n01 + f where conversions are independent.
    """
    n11, n10, n01 = _totals(counts)
    n11 = max(n11, 1.0)
    unseen = psi * n10 * n01 / n11
    parts = np.array([-unseen / n11, psi * n01 / n11, psi * n10 / n11])
    plain = float(parts**2 @ np.array([n11, n10, n01])) + unseen
    return Unseen(unseen, plain * _effect(counts, parts))


def chapman(counts: Floats) -> Unseen:
    """(n1 + 1)(n2 + 1)/(m + 1) - 1 - n, with the variance of Seber 1970."""
    n11, n10, n01 = _totals(counts)
    first, second = n11 + n10, n11 + n01
    unseen = n10 * n01 / (n11 + 1)
    variance = (first + 1) * (second + 1) * n10 * n01 / ((n11 + 1) ** 2 * (n11 + 2))
    parts = np.array([-unseen / (n11 + 1), n01 / (n11 + 1), n10 / (n11 + 1)])
    return Unseen(float(unseen), float(variance) * _effect(counts, parts))


def chao(counts: Floats) -> Unseen:
    """f1²/(4 f2): a lower bound where some conversions are easier to see than others (Chao 1987)."""
    n11, n10, n01 = _totals(counts)
    once = n10 + n01
    n11 = max(n11, 1.0)
    unseen = once * once / (4 * n11)
    parts = np.array([-unseen / n11, once / (2 * n11), once / (2 * n11)])
    plain = float(parts**2 @ np.array([n11, n10, n01])) + unseen
    return Unseen(unseen, plain * _effect(counts, parts))


def log_linear(strata: list[Floats], design: Floats) -> Unseen:
    """Unseen of a Poisson model: each stratum its own size, each list its own odds, additive in the columns.

    Parameters
    ----------
    strata : list of arrays
        ``counts`` of each.
    design : array of shape (strata, columns)
        First column ones; the others code what a stratum is.

    Notes
    -----
    log mu_ijx = u_x + i (X b)_x + j (X c)_x over the cells that can be seen; the one that cannot is exp(u_x). With one
    column of indicators this is Lincoln and Petersen's estimator in every stratum. Fitted by Newton's method.
    """
    cells = np.array([_totals(one) for one in strata])
    number, width = design.shape
    own = np.eye(number)
    nothing = np.zeros((number, width))
    rows = np.vstack(
        [np.hstack([own, design, design]), np.hstack([own, design, nothing]), np.hstack([own, nothing, design])]
    )
    seen = cells.T.ravel()  # on both, on the first only, on the second only: stratum by stratum
    fitted = np.maximum(seen, 0.5)
    beta = np.linalg.lstsq(rows * np.sqrt(fitted)[:, None], np.log(fitted) * np.sqrt(fitted), rcond=None)[0]
    for _ in range(100):
        fitted = np.exp(np.clip(rows @ beta, -30, 30))
        information = rows.T @ (rows * fitted[:, None])
        step = np.linalg.lstsq(information, rows.T @ (seen - fitted), rcond=None)[0]
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    unseen = np.exp(beta[:number])
    slope = np.concatenate([unseen, np.zeros(2 * width)])
    covariance = np.linalg.pinv(rows.T @ (rows * np.exp(rows @ beta)[:, None]))
    # What one conversion in a cell adds to the estimate, less the one it is.
    influence = (rows @ covariance @ slope).reshape(3, number)
    plain = float(slope @ covariance @ slope) + float(unseen.sum())
    squares = np.array([_squares(one, influence[:, x]) for x, one in enumerate(strata)])
    alone = np.array([influence[:, x] ** 2 @ cells[x] for x in range(number)])
    effect = max(1.0, float(squares.sum() / alone.sum())) if alone.sum() > 0 else 1.0
    return Unseen(float(unseen.sum()), plain * effect)


def _totals(counts: Floats) -> Floats:
    totals: Floats = counts[:, :3].T @ counts[:, 3]
    return totals


def _squares(counts: Floats, parts: Floats) -> float:
    """Sum over customers of the square of what all their conversions add."""
    return float(((counts[:, :3] @ parts) ** 2) @ counts[:, 3])


def _effect(counts: Floats, parts: Floats) -> float:
    """Return how many times more repeated customers spread the estimate than as many independent conversions."""
    alone = float(parts**2 @ _totals(counts))
    return max(1.0, _squares(counts, parts) / alone) if alone > 0 else 1.0
