"""A rate is k of n with an interval; repeated customers make it wider.

Orders of one customer share a browser, a blocker and a consent answer. An interval that takes them for
independent is too narrow: on simulated shops plain Wilson holds the truth in about 83 % of cases instead
of 95 % (`tests/measure/test_coverage.py` keeps that as a negative control).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

__all__ = ["CLUSTER", "WILSON", "interval_of", "wilson"]

WILSON = "wilson"
CLUSTER = "wilson, cluster-robust n_eff"


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
    if not n > 0:
        return float("nan"), float("nan")
    z = float(stats.norm.ppf(0.5 + level / 2)) if quantile is None else quantile
    p, zz = k / n, z * z
    centre = (p + zz / (2 * n)) / (1 + zz / n)
    half = z / (1 + zz / n) * np.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    low, high = centre - half, centre + half
    return (0.0 if k <= 0 else max(0.0, float(low))), (1.0 if k >= n else min(1.0, float(high)))


def interval_of(sums: pd.DataFrame, level: float) -> pd.DataFrame:
    """Turn sums over clusters into rates with intervals.

    Parameters
    ----------
    sums : DataFrame
        One row per rate with ``k``, ``n`` (sums of numerator and denominator), ``clusters`` (how many),
        ``units`` (how many rows) and the sums over clusters ``kk``, ``kn``, ``nn`` of squares and
        products of the per-cluster k and n.
    level : float

    Returns
    -------
    DataFrame
        ``value``, ``low``, ``high``, ``method``; index as ``sums``.

    Notes
    -----
    With per-cluster k_g, n_g and e_g = k_g - p n_g, Var(p) = G/(G-1) * sum(e_g^2) / n^2; Wilson on
    n_eff = p(1-p)/Var(p) (Korn and Graubard 1998) with a t quantile on G-1 degrees of freedom. Where p is
    0 or 1 the data cannot show any correlation: n_eff is then n^2/sum(n_g^2), as if orders of one
    customer were copies of each other. Where every cluster is one unit of weight 1 this is plain Wilson.
    """
    rows = []
    for row in sums.itertuples(index=False):
        k, n, g = float(row.k), float(row.n), int(row.clusters)
        if not n > 0:
            rows.append((np.nan, np.nan, np.nan, WILSON))
            continue
        p = min(max(k / n, 0.0), 1.0)
        if g == row.units and np.isclose(row.nn, n) and np.isclose(n, g):
            rows.append((p, *wilson(k, n, level), WILSON))
            continue
        spread = max(float(row.kk) - 2 * p * float(row.kn) + p * p * float(row.nn), 0.0)
        if g < 2:
            rows.append((p, 0.0, 1.0, CLUSTER))  # one customer says nothing about the next
            continue
        variance = g / (g - 1) * spread / (n * n)
        n_eff = p * (1 - p) / variance if variance > 0 and 0 < p < 1 else n * n / float(row.nn)
        quantile = float(stats.t.ppf(0.5 + level / 2, g - 1))
        rows.append((p, *wilson(p * n_eff, n_eff, level, quantile=quantile), CLUSTER))
    return pd.DataFrame(rows, columns=["value", "low", "high", "method"], index=sums.index)
