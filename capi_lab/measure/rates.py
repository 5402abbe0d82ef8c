"""A rate is k of n with an interval; repeated customers make it wider.

Orders of one customer share a browser, a blocker and a consent answer. An interval that takes them for
independent is too narrow: docs/validation.md says how often each interval holds the truth, and keeps plain Wilson
on repeated customers as a negative control.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from capi_lab.errors import InputError, UnknownNameError
from capi_lab.words import Interval

__all__ = [
    "CLUSTER",
    "TWO_WAY",
    "WILSON",
    "check_level",
    "effective_clusters",
    "interval_of",
    "limits",
    "spread_of",
    "wilson",
]

WILSON = "wilson"
CLUSTER = "wilson, cluster-robust n_eff"
TWO_WAY = "wilson, two-way cluster n_eff"

Floats = NDArray[np.float64]


def check_level(level: float) -> None:
    """Raise `InputError` where ``level`` is no level."""
    if not 0 < level < 1:
        raise InputError("level must lie between 0 and 1, e.g. 0.95")


def wilson(k: float, n: float, level: float = 0.95, *, quantile: float | None = None) -> tuple[float, float]:
    """Wilson score interval for k of n; both may be fractional (effective counts).

    Parameters
    ----------
    k, n : float
        0 <= k <= n.
    level : float
        E.g. 0.95.
    quantile : float, optional
        Use this instead of the normal quantile (a t quantile where there are few clusters).

    Returns
    -------
    low, high : float
        NaN where n is 0.

    Notes
    -----
    Wilson 1927; equal to ``scipy.stats.binomtest(k, n).proportion_ci(level, "wilson")`` for whole numbers.
    """
    shrink = 1.0 if quantile is None else (_normal(level) / quantile) ** 2
    low, high = limits([k * shrink], [n * shrink], level)
    return float(low[0]), float(high[0])


def limits(k: ArrayLike, n: ArrayLike, level: float = 0.95, method: str = Interval.WILSON) -> tuple[Floats, Floats]:
    """Interval of each of many proportions; counts may be fractional (effective counts).

    Parameters
    ----------
    k, n : array_like
        0 <= k <= n, of one shape.
    level : float
    method : str
        A word of `capi_lab.words.Interval` other than ``bootstrap``: ``wilson``, ``exact`` (Clopper and Pearson 1934)
        or ``jeffreys`` (equal tails of Beta(k + 1/2, n - k + 1/2); 0 and 1 where k is 0 or n).

    Returns
    -------
    low, high : arrays of float
        NaN where n is 0.
    """
    k, n = np.asarray(k, "float64"), np.asarray(n, "float64")
    none, all_of_them = k <= 0, k >= n
    tail = (1 - level) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        if method == Interval.WILSON:
            p, zz = k / n, _normal(level) ** 2
            centre = (p + zz / (2 * n)) / (1 + zz / n)
            half = np.sqrt(zz) / (1 + zz / n) * np.sqrt(p * (1 - p) / n + zz / (4 * n * n))
            low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
        elif method == Interval.EXACT:
            low, high = stats.beta.ppf(tail, k, n - k + 1), stats.beta.ppf(1 - tail, k + 1, n - k)
        elif method == Interval.JEFFREYS:
            low, high = (stats.beta.ppf(q, k + 0.5, n - k + 0.5) for q in (tail, 1 - tail))
        else:
            raise UnknownNameError("interval method", method, [str(word) for word in Interval])
    low, high = np.where(none, 0.0, low), np.where(all_of_them, 1.0, high)
    known = n > 0
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def interval_of(
    sums: pd.DataFrame,
    level: float,
    method: str = Interval.WILSON,
    crossed: tuple[pd.DataFrame, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Turn sums over clusters into rates with intervals.

    Parameters
    ----------
    sums : DataFrame
        One row per rate with ``k``, ``n`` (sums of numerator and denominator), ``clusters`` (how many),
        ``units`` (how many rows) and the sums over clusters ``kk``, ``kn``, ``nn`` of squares and
        products of the per-cluster k and n, and ``nnnn`` of the fourth power of n.
    level : float
    method : str
        ``wilson``, ``exact`` or ``jeffreys``, taken on the effective counts.
    crossed : (DataFrame, DataFrame), optional
        The same rates summed over a second kind of cluster, and over the cells in which the two cross.

    Returns
    -------
    DataFrame
        ``value``, ``low``, ``high``, ``method``; index as ``sums``.

    Notes
    -----
    With per-cluster k_g, n_g and e_g = k_g - p n_g, Var(p) = G/(G-1) * sum(e_g^2) / n^2; the interval is that of
    n_eff = p(1-p)/Var(p) (Korn and Graubard 1998), shrunk by (z/t)^2. G is the effective number of clusters
    n^2/sum(n_g^2), which is their number where they are of one size: a few customers with very many orders are not as
    much evidence as many with few (Carter, Schnepel and Steigerwald 2017). The t has sum(n_g^2)^2/sum(n_g^4) - 1
    degrees of freedom: Satterthwaite's where all orders of a customer are alike, and again G-1 for one size. Where p is
    0 or 1 the data cannot show any correlation: n_eff is then n^2/sum(n_g^2), as if orders of one
    customer were copies of each other. Where every cluster is one unit of weight 1 this is the plain interval.

    Two ways: V_1 + V_2 - V_12 (Cameron, Gelbach and Miller 2011), not below the greater of V_1 and V_2, and t on the
    fewer degrees of freedom.
    """
    k, n = (sums[name].to_numpy("float64") for name in ("k", "n"))
    number, g, freedom = sums["clusters"].to_numpy("float64"), effective_clusters(sums), degrees_of_freedom(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.clip(k / n, 0.0, 1.0)
        variance = spread_of(sums, p)
        if crossed is not None:
            other, cell = crossed
            both = spread_of(other, p)
            variance = np.maximum(np.maximum(variance, both), variance + both - spread_of(cell, p))
            number = np.minimum(number, other["clusters"].to_numpy("float64"))
            g = np.minimum(g, effective_clusters(other))
            freedom = np.minimum(freedom, degrees_of_freedom(other))
        seen = (variance > 0) & (p > 0) & (p < 1)
        n_eff = np.where(seen, p * (1 - p) / np.where(seen, variance, 1.0), g)
    # Every row a cluster of its own, each of weight 1 and wholly in or out.
    flat = np.isclose(sums["nn"], n) & np.isclose(n, number) & np.isclose(sums["kk"], k) & (number == sums["units"])
    quantile = stats.t.ppf(0.5 + level / 2, freedom)
    n_eff = np.where(flat, n, n_eff * (_normal(level) / quantile) ** 2)
    low, high = limits(p * n_eff, n_eff, level, method)
    several = flat | (number >= 2)  # one customer says nothing about the next
    low, high = np.where(several, low, 0.0), np.where(several, high, 1.0)
    known = n > 0
    words = np.where(
        flat | ~known, str(method), f"{method}, {'two-way cluster' if crossed else 'cluster-robust'} n_eff"
    )
    numbers = {"value": p, "low": low, "high": high}
    blank = {name: np.where(known, values, np.nan) for name, values in numbers.items()}
    return pd.DataFrame({**blank, "method": pd.array(words.tolist(), dtype="str")}, index=sums.index)


def spread_of(sums: pd.DataFrame, value: Floats) -> Floats:
    """Return the cluster-robust variance of each ratio k/n whose value is ``value``; see `interval_of`."""
    kk, kn, nn, n = (sums[name].to_numpy("float64") for name in ("kk", "kn", "nn", "n"))
    squares, g = np.maximum(kk - 2 * value * kn + value * value * nn, 0.0), effective_clusters(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread: Floats = g / np.maximum(g - 1, 0.5) * squares / (n * n)
    return spread


def effective_clusters(sums: pd.DataFrame) -> Floats:
    """Return n^2/sum(n_g^2): as many clusters of one size would be as much evidence."""
    n, nn = (sums[name].to_numpy("float64") for name in ("n", "nn"))
    number: Floats = np.divide(n * n, nn, out=np.zeros_like(n), where=nn > 0)
    return number


def degrees_of_freedom(sums: pd.DataFrame) -> Floats:
    """Return sum(n_g^2)^2/sum(n_g^4) - 1, not below 1; see `interval_of`."""
    nn, fourth = (sums[name].to_numpy("float64") for name in ("nn", "nnnn"))
    freedom: Floats = np.maximum(np.divide(nn * nn, fourth, out=np.zeros_like(nn), where=fourth > 0) - 1, 1.0)
    return freedom


def _normal(level: float) -> float:
    return float(stats.norm.ppf(0.5 + level / 2))
