"""The cluster bootstrap, of any number of customers: alike customers are drawn together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWS", "bootstrap_limits"]

DRAWS = 2000

Floats = NDArray[np.float64]


def bootstrap_limits(
    k: Floats, n: Floats, times: NDArray[np.int64], level: float, rng: np.random.Generator, draws: int = DRAWS
) -> tuple[Floats, Floats]:
    """Percentile interval of ratios of sums, whole clusters being drawn with replacement.

    Parameters
    ----------
    k, n : arrays of shape (cells, rates)
        Numerator and denominator of one cluster of each kind; clusters with the same numbers are one cell.
    times : array of int, shape (cells,)
        How many clusters a cell stands for.
    level : float
    rng : Generator
    draws : int

    Returns
    -------
    low, high : arrays of shape (rates,)
        NaN where no cluster has a denominator.

    Notes
    -----
    Drawing G clusters one by one is drawing the numbers of each cell from a multinomial distribution, so the work
    depends on how many different clusters there are and not on how many (Davison and Hinkley 1997, section 2.4).
    """
    number = int(times.sum())
    if number == 0:
        return np.full(k.shape[1], np.nan), np.full(k.shape[1], np.nan)
    drawn = rng.multinomial(number, times / number, size=draws).astype("float64")
    below = drawn @ n
    value = np.divide(drawn @ k, below, out=np.full(below.shape, np.nan), where=below > 0)
    known = ~np.isnan(value).all(axis=0)
    ends = np.full((2, k.shape[1]), np.nan)
    ends[:, known] = np.nanquantile(value[:, known], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return ends[0], ends[1]
