"""Priors over the numbers of a world: drawn, and what follows from them before any data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.errors import InputError, UnknownNameError
from capi_lab.simulate.headlines import HEADLINES
from capi_lab.simulate.mixer import ready
from capi_lab.simulate.parameters import BY_PLATFORM, PARAMETERS
from capi_lab.simulate.shares import Wanted, shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.simulate.world import World

__all__ = ["RANGES", "PriorPredictive", "Priors", "prior_predictive"]

RANGES: Mapping[str, tuple[float, float]] = {
    "pixel_coverage": (0.55, 0.75),
    "click_id_match": (0.70, 0.90),
    "click_id_attributed": (0.70, 0.90),
    "pii_only_match": (0.20, 0.40),
}
"""What practitioners say of a pixel alone, of click ids and of hashed PII alone: compared with, never put in."""


class Priors:
    """Triangular priors of some numbers of a world, and the map from the unit cube to them.

    Parameters
    ----------
    names : sequence of str
        As `World.table` names them.
    given : mapping, optional
        Name to (low, mode, high) where it is not the table's.

    Raises
    ------
    UnknownNameError
        A name is none of the table's.
    InputError
        A prior has no width, or its mode lies outside.
    """

    def __init__(self, names: Sequence[str], given: Mapping[str, tuple[float, float, float]] | None = None) -> None:
        known = {one.name: (one.low, one.default, one.high) for one in PARAMETERS}
        for name in (*names, *(given or {})):
            if name not in known:
                raise UnknownNameError("parameter", name, known)
        self.names = list(dict.fromkeys(names))
        ends = np.array([(given or {}).get(name, known[name]) for name in self.names], dtype=np.float64).reshape(-1, 3)
        self.low, self.mode, self.high = ends.T
        wrong = [n for n, (a, m, b) in zip(self.names, ends, strict=True) if not (a < b and a <= m <= b)]
        if wrong:
            raise InputError(f"the prior of {', '.join(wrong)} must have low < high and its mode between them")
        self._at = (self.mode - self.low) / (self.high - self.low)

    def values(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return parameters for places between their ends, 0 to 1; shape (..., parameters)."""
        return self.low + unit * (self.high - self.low)

    def quantile(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return places between the ends for quantiles: the inverse of the triangular distribution."""
        c = self._at
        left = np.sqrt(u * c)
        right = 1 - np.sqrt((1 - u) * (1 - c))
        return np.where(u < c, left, right)

    def log_density(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log density of places between the ends, summed over parameters."""
        c = self._at
        with np.errstate(divide="ignore", invalid="ignore"):
            up, down = 2 * unit / c, 2 * (1 - unit) / (1 - c)
        density = np.where(unit < c, up, down)
        return np.asarray(np.log(np.maximum(density, 1e-300)).sum(axis=-1))

    @property
    def sd(self) -> NDArray[np.float64]:
        """Standard deviations."""
        a, m, b = self.low, self.mode, self.high
        return np.asarray(np.sqrt((a * a + m * m + b * b - a * m - a * b - m * b) / 18))

    def worlds(self, world: World, unit: NDArray[np.float64]) -> list[World]:
        """Return the world with each row's parameters."""
        return [world.with_values(dict(zip(self.names, row, strict=True))) for row in self.values(unit).tolist()]


def hypercube(n: int, d: int, seed: int) -> NDArray[np.float64]:
    """Return a Latin hypercube sample of the unit cube, shape (n, d)."""
    from scipy.stats import qmc

    return np.asarray(qmc.LatinHypercube(d, rng=np.random.default_rng(seed)).random(n))


def many_shares(
    worlds: Sequence[World], wanted: Sequence[Wanted], *, platform: str, orders: int, seeds: Sequence[int], label: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return shares of many worlds and the variance of each, both of shape (worlds, wanted); both cores, a bar."""
    from tqdm import tqdm

    ready(orders * len(worlds))

    def one(job: tuple[World, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found = shares(job[0], wanted, platform=platform, n=orders, seed=job[1])
        with np.errstate(divide="ignore"):
            return found.values, found.spread[0] / found.n.sum(axis=0)

    jobs = list(zip(worlds, seeds, strict=True))
    with ThreadPoolExecutor(2) as pool:
        rows = list(tqdm(pool.map(one, jobs), total=len(jobs), desc=label, delay=2, disable=None, leave=False))
    values, variances = zip(*rows, strict=True)
    return np.array(values), np.array(variances)


@dataclass(frozen=True, slots=True, repr=False)
class PriorPredictive:
    """What a world's priors say of its shares before any data.

    Parameters
    ----------
    table : DataFrame
        One row per share: ``quantity``, ``median``, ``low``, ``high`` (of 95 % of the draws), ``range_low``,
        ``range_high`` (what practitioners say, missing where nothing), ``inside`` (share of draws inside that).
    drivers : DataFrame
        ``quantity``, ``parameter``, ``src`` (standardised regression coefficient: standard deviations the share moves
        with one of the parameter), ``r2`` (of the whole regression); the strongest first.
    draws : DataFrame
        One row per draw: every parameter and every share.
    """

    table: pd.DataFrame
    drivers: pd.DataFrame
    draws: pd.DataFrame

    def __repr__(self) -> str:
        """Show the shares, their ranges and what drives them most."""
        lines = [f"Prior predictive, {len(self.draws):,} worlds"]
        for row in self.table.itertuples():
            inside = (
                "" if np.isnan(row.inside) else f"  {row.inside:.0%} in {row.range_low:.0%} to {row.range_high:.0%}"
            )
            lines.append(f"  {row.quantity:<22} {row.median:.3f} [{row.low:.3f}, {row.high:.3f}]{inside}")
            mine = self.drivers[self.drivers["quantity"] == row.quantity].head(4)
            lines.append("    " + ", ".join(f"{one.parameter} {one.src:+.2f}" for one in mine.itertuples()))
        return "\n".join(lines)


def prior_predictive(
    world: World,
    n: int = 600,
    seed: int = 0,
    *,
    platform: str = "meta",
    orders: int = 40_000,
    parameters: Sequence[str] | None = None,
) -> PriorPredictive:
    """Draw worlds from the priors and see what shares follow, and which parameters drive them.

    Parameters
    ----------
    world : World
        What is not drawn stays as it is here.
    n : int
        Worlds, a Latin hypercube over the priors of `World.table`.
    seed : int
    platform : str
        Whose matching; other platforms' parameters stay.
    orders : int
        Of each world.
    parameters : sequence of str, optional
        Which to draw. Default: all that describe customers, browsers, clicks and this platform, for the countries the
        world has; not how many live where.

    Returns
    -------
    PriorPredictive

    Raises
    ------
    InputError
        Fewer worlds than the regression needs.

    Notes
    -----
    No draw is conditioned on the ranges shown. Coefficients are of an ordinary regression of the standardised shares
    on the standardised parameters; `r2` says how much of a share that explains.
    """
    names = list(parameters) if parameters is not None else _all(world, platform)
    if n < len(names) + 10:
        raise InputError(f"n must be {len(names) + 10} or more for {len(names)} parameters")
    priors = Priors(names)
    unit = priors.quantile(hypercube(n, len(names), seed))
    wanted = [Wanted(name) for name in HEADLINES]
    seeds = np.random.default_rng([seed, 1]).integers(2**63, size=n).tolist()
    found, _ = many_shares(
        priors.worlds(world, unit), wanted, platform=platform, orders=orders, seeds=seeds, label="worlds"
    )
    drawn = pd.DataFrame(priors.values(unit), columns=names)
    results = pd.DataFrame(found, columns=list(HEADLINES))
    rows = []
    for name in HEADLINES:
        low, middle, high = np.quantile(results[name], [0.025, 0.5, 0.975])
        ends = RANGES.get(name, (np.nan, np.nan))
        inside = results[name].between(*ends).mean() if name in RANGES else np.nan
        rows.append((name, middle, low, high, *ends, inside))
    columns = ["quantity", "median", "low", "high", "range_low", "range_high", "inside"]
    drivers = pd.concat([_drivers(drawn, results[name]) for name in HEADLINES], ignore_index=True)
    return PriorPredictive(pd.DataFrame(rows, columns=columns), drivers, pd.concat([drawn, results], axis=1))


def _all(world: World, platform: str) -> list[str]:
    """Return the parameters that can move a share of this platform in this world."""
    found = []
    for one in PARAMETERS:
        whole, _, key = one.name.partition(".")
        if whole == "country_weights" or not one.low < one.high:
            continue
        if whole in BY_PLATFORM and key != platform:
            continue
        if whole == "consent_deny" and not world.country_weights.get(key):
            continue
        found.append(one.name)
    return found


def _drivers(drawn: pd.DataFrame, share: pd.Series) -> pd.DataFrame:
    x = (drawn - drawn.mean()) / drawn.std()
    y = (share - share.mean()) / share.std()
    coefficients, *_ = np.linalg.lstsq(x.to_numpy(), y.to_numpy(), rcond=None)
    r2 = 1 - float(((y - x.to_numpy() @ coefficients) ** 2).sum() / (y**2).sum())
    table = pd.DataFrame({"quantity": share.name, "parameter": drawn.columns, "src": coefficients, "r2": r2})
    return table.iloc[np.argsort(-np.abs(coefficients), kind="stable")]
