"""Match rates of strata out of row outcomes: what platforms have in common is shared between them, days likewise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from capi_lab.measure.rates import degrees_of_freedom, effective_clusters, limits, spread_of
from capi_lab.model.priors import Prior

__all__ = ["day_sums", "effective", "pooled", "scatter", "shrunk_days"]

Floats = NDArray[np.float64]
_DRAWS = 4000
_MEANS, _SIZES = 41, 25
# How far platforms lie apart: sd of their rates over sqrt(mean (1 - mean)), up to which a flat prior goes.
_FARTHEST = 0.6


def day_sums(cells: pd.DataFrame) -> pd.DataFrame:
    """Sum cells over days as over clusters: what `interval_of` takes, by platform and stratum."""
    squares = cells.assign(
        kk=cells["k"] ** 2, kn=cells["k"] * cells["n"], nn=cells["n"] ** 2, nnnn=cells["n"] ** 4, clusters=1
    )
    found = squares.groupby(["platform", "stratum"], as_index=False)[
        ["k", "n", "kk", "kn", "nn", "nnnn", "clusters"]
    ].sum()
    return found.assign(units=found["n"])


def effective(by_person: pd.DataFrame | None, by_day: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return rates with intervals and the number of independent rows they are worth.

    Parameters
    ----------
    by_person : DataFrame or None
        Sums over customers (`interval_of`), by ``platform`` and ``stratum``.
    by_day : DataFrame
        Sums over days; used where there are ten or more.
    level : float

    Returns
    -------
    DataFrame
        ``platform``, ``stratum``, ``k``, ``n``, ``value``, ``low``, ``high``, ``n_eff``.

    Notes
    -----
    Customers repeat and days differ: the greater variance counts, never less than that of independent rows. Few
    clusters make t quantiles (see `interval_of`), and so fewer effective rows.
    """
    table = by_day.sort_values(["platform", "stratum"], ignore_index=True)
    k, n = table["k"].to_numpy("float64"), table["n"].to_numpy("float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.clip(np.where(n > 0, k / n, 0.0), 0.0, 1.0)
    worth = n.copy()
    z = stats.norm.ppf(0.5 + level / 2)
    person = None if by_person is None else by_person.sort_values(["platform", "stratum"], ignore_index=True)
    for sums, least in ((person, 2), (table, 10)):
        if sums is None:
            continue
        g = effective_clusters(sums)
        plain = (sums["clusters"] == sums["units"]).to_numpy()  # each row stands alone
        use = (sums["clusters"].to_numpy() >= least) & ~plain & (n > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = spread_of(sums, p)
            t = stats.t.ppf(0.5 + level / 2, degrees_of_freedom(sums))
            rows = np.where((p > 0) & (p < 1), p * (1 - p) / variance, g if least == 2 else n) * (z / t) ** 2
        worth = np.where(use, np.minimum(worth, rows), worth)
    low, high = limits(p * worth, worth, level)
    return table[["platform", "stratum", "k", "n"]].assign(
        value=np.where(n > 0, p, np.nan), low=low, high=high, n_eff=worth
    )


def pooled(k: Floats, n: Floats, prior: Prior, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw the rates of P platforms in one stratum, given what each was seen to match.

    Parameters
    ----------
    k, n : arrays of P
        Effective counts; n may be 0.
    prior : Prior
        Of the mean over platforms.
    rng : Generator

    Returns
    -------
    draws : array of shape (draws, P)
    blind : array of draws
        A platform's rate before any data.

    Notes
    -----
    theta_p ~ Beta(m c, (1 - m) c); m has the prior, 1/sqrt(1 + c) is flat. The posterior of (m, c) is summed on a grid
    (beta-binomial marginals), that of theta_p given them is a Beta: no hyperparameter is fixed at an estimate.
    """
    means = stats.beta.ppf((np.arange(_MEANS) + 0.5) / _MEANS, *prior.beta()).clip(1e-4, 1 - 1e-4)
    apart = (np.arange(_SIZES) + 0.5) / _SIZES * _FARTHEST
    sizes = 1 / apart**2 - 1
    m, c = (grid.ravel() for grid in np.meshgrid(means, sizes))
    a, b = (m * c)[:, None], ((1 - m) * c)[:, None]
    weight = (special.betaln(a + k, b + n - k) - special.betaln(a, b)).sum(axis=1)
    weight = np.exp(weight - weight.max())
    at = rng.choice(len(m), _DRAWS, p=weight / weight.sum())
    draws = rng.beta(a[at] + k, b[at] + n - k)
    any_of_them = rng.integers(len(m), size=_DRAWS)
    return draws, rng.beta(a[any_of_them, 0], b[any_of_them, 0])


def scatter(cells: pd.DataFrame) -> float:
    """Return how alike outcomes of one day are (intraclass correlation, by moments), 0 where no more than chance."""
    k, n = cells["k"].to_numpy("float64"), cells["n"].to_numpy("float64")
    k, n = k[n > 0], n[n > 0]
    if len(n) < 3 or not 0 < k.sum() < n.sum():
        return 0.0
    p = k.sum() / n.sum()
    expected = len(n) - 1
    found = ((k - n * p) ** 2 / (n * p * (1 - p))).sum()
    more = (n - 1).sum() - (n * (n - 1)).sum() / n.sum()
    return float(np.clip((found - expected) / more, 0.0, 0.99)) if more > 0 else 0.0


def shrunk_days(cells: pd.DataFrame, draws: dict[str, pd.DataFrame], level: float) -> pd.DataFrame:
    """Pull each day's rate towards its platform's, as far as days scatter no more than chance makes them."""
    parts = []
    tail = (1 - level) / 2
    for (platform, stratum), own in cells.groupby(["platform", "stratum"], sort=True):
        theta = draws[str(platform)][str(stratum)].to_numpy()
        rho = scatter(own)
        size = 1 / max(rho, 1e-6) - 1
        k, n = own["k"].to_numpy("float64"), own["n"].to_numpy("float64")
        mean = (size * theta.mean() + k) / (size + n)
        variance = mean * (1 - mean) / (size + n + 1) + (size / (size + n)) ** 2 * theta.var()
        worth = np.maximum(mean * (1 - mean) / variance - 1, 1e-3)
        ends = [stats.beta.ppf(q, mean * worth, (1 - mean) * worth) for q in (tail, 1 - tail)]
        parts.append(own.assign(value=mean, low=ends[0], high=ends[1], rho=rho))
    found = pd.concat(parts).sort_values(["platform", "day", "stratum"], ignore_index=True)
    return found[["platform", "day", "stratum", "k", "n", "value", "low", "high", "rho"]]
