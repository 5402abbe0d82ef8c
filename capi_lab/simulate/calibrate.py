"""Fit chosen numbers of a world to what a shop measured, and say what the measurements cannot tell.

Simulation-based: worlds drawn from the priors are run once; how each measured share follows from the parameters is
read off them as a smooth surface (a quadratic in the parameters, of the share's log-odds). Data then meet that surface
and the priors in the usual way. Chosen over a search with the simulator in the loop because the answer does not hang on
the noise of single runs, every posterior after the first is cheap, and how well the surface fits can be checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from capi_lab.errors import ContractError, InputError
from capi_lab.simulate.priors import Priors, hypercube, many_shares
from capi_lab.simulate.shares import Wanted, shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.simulate.world import World

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["Calibration", "Surface", "calibrate", "fit_to", "surface_of"]

_STARTS, _WALKERS, _STEPS, _BURN, _THIN = 4_000, 80, 500, 150, 5
_LITTLE, _FIRM = 0.9, 0.7
"""A posterior wider than 0.9 of its prior learnt next to nothing; correlations above 0.7 are a ridge."""


@dataclass(frozen=True, slots=True)
class Surface:
    """How shares follow from parameters: fitted to worlds drawn from the priors.

    Parameters
    ----------
    world : World
    platform : str
    priors : Priors
    wanted : list of Wanted
    beta : ndarray, shape (features, shares)
        Of the log-odds.
    inverse : ndarray, shape (features, features)
        Of the normal equations: how far the fit itself is uncertain.
    lack, noise : ndarray
        Variance of the log-odds about the surface that is no noise of the runs; that is.
    one, correlation : ndarray
        Variance of a share for one counted thing, over p(1 - p); correlations between the shares of one shop.
    """

    world: World
    platform: str
    priors: Priors
    wanted: list[Wanted]
    beta: Floats
    inverse: Floats
    lack: Floats
    noise: Floats
    one: Floats
    correlation: Floats

    def logits(self, unit: Floats) -> Floats:
        """Return the log-odds of the shares; shape (..., shares)."""
        return np.asarray(_features(unit) @ self.beta)

    def doubt(self, unit: Floats) -> Floats:
        """Return the surface's own variance at one place."""
        x = _features(unit)
        return np.asarray(self.lack + float(x @ self.inverse @ x) * (self.lack + self.noise))


def _features(unit: Floats) -> Floats:
    """Return 1, the parameters, their squares and products; shape (..., features)."""
    x = 2 * np.asarray(unit) - 1
    i, j = np.triu_indices(x.shape[-1])
    return np.concatenate([np.ones((*x.shape[:-1], 1)), x, x[..., i] * x[..., j]], axis=-1)


def surface_of(
    world: World, wanted: Sequence[Wanted], priors: Priors, *, platform: str, orders: int, seed: int
) -> Surface:
    """Run worlds of the priors and fit the surface."""
    d = len(priors.names)
    features = 1 + d + d * (d + 1) // 2
    n = max(60, 6 * features)
    unit = hypercube(n, d, seed)
    seeds = np.random.default_rng([seed, 2]).integers(2**63, size=n).tolist()
    found, variance = many_shares(
        priors.worlds(world, unit), wanted, platform=platform, orders=orders, seeds=seeds, label="calibrate"
    )
    low = 0.5 / orders
    p = np.clip(found, low, 1 - low)
    if np.isnan(p).any():
        empty = [wanted[i].name for i in np.flatnonzero(np.isnan(p).any(axis=0)).tolist()]
        raise InputError(f"nothing to count for {', '.join(empty)} in some worlds: raise orders")
    x, y = _features(unit), np.log(p / (1 - p))
    inverse = np.asarray(np.linalg.inv(x.T @ x), dtype=np.float64)
    beta = np.asarray(inverse @ x.T @ y, dtype=np.float64)
    residual = ((y - x @ beta) ** 2).sum(axis=0) / (n - features)
    noise = np.asarray((variance / (p * (1 - p)) ** 2).mean(axis=0), dtype=np.float64)
    middle = shares(world.with_values(dict(zip(priors.names, priors.mode, strict=True))), wanted,
                    platform=platform, n=max(orders, 200_000), seed=seed)  # fmt: skip
    at = np.clip(middle.values, low, 1 - low)
    spread, correlation = middle.spread
    return Surface(
        world, platform, priors, list(wanted), beta, inverse, np.maximum(residual - noise, 0.0), noise,
        spread / (at * (1 - at)), correlation,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class Calibration:
    """A world fitted to measured shares.

    Parameters
    ----------
    table : DataFrame
        One row per parameter: ``parameter``, ``prior_low``, ``prior_mode``, ``prior_high``, ``value`` (posterior
        median), ``low``, ``high`` (equal-tailed), ``level``, ``narrowing`` (posterior over prior standard deviation: 1
        is nothing learnt).
    fit : DataFrame
        One row per target: ``target``, ``measured``, ``predicted``, ``low``, ``high``, ``z`` (distance in standard
        errors of the measurement).
    draws : DataFrame
        Parameters from the posterior, equally weighted.
    correlation : DataFrame
        Of the draws.
    world : World
        With the medians.
    statement : str
        What the targets cannot tell, in words.
    mixing : float
        Halves of the walk compared (split R-hat): above 1.05 the intervals are not to be trusted.
    """

    table: pd.DataFrame
    fit: pd.DataFrame
    draws: pd.DataFrame
    correlation: pd.DataFrame
    world: World
    statement: str
    mixing: float

    def worlds(self, n: int, rng: np.random.Generator) -> list[World]:
        """Return worlds from the posterior, to carry its uncertainty into a what-if.

        Parameters
        ----------
        n : int
        rng : numpy Generator
        """
        rows = self.draws.iloc[rng.integers(0, len(self.draws), n)]
        return [self.world.with_values({str(k): v for k, v in row.items()}) for row in rows.to_dict("records")]

    def __repr__(self) -> str:
        """Show the parameters, the fit, and what is not known."""
        lines = [f"Calibration of {len(self.table)} parameters to {len(self.fit)} targets"]
        lines += [
            f"  {row.parameter:<24} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}] at {row.level:.0%}; prior "
            f"[{row.prior_low:g}, {row.prior_high:g}], narrowed to {row.narrowing:.0%}"
            for row in self.table.itertuples()
        ]
        lines += [
            f"  {row.target:<24} measured {row.measured:.3f}, fitted {row.predicted:.3f}  (z {row.z:+.1f})"
            for row in self.fit.itertuples()
        ]
        return "\n".join([*lines, self.statement])


def calibrate(
    world: World,
    targets: pd.DataFrame,
    rng: np.random.Generator,
    *,
    fit: Sequence[str],
    platform: str = "meta",
    priors: Mapping[str, tuple[float, float, float]] | None = None,
    level: float = 0.9,
    orders: int = 32_768,
) -> Calibration:
    """Fit chosen parameters of a world to a shop's own aggregates.

    Parameters
    ----------
    world : World
        What is not fitted stays as it is here, as if it were known.
    targets : DataFrame
        One row per measured share: ``quantity`` (see `capi_lab.simulate.QUANTITIES`), ``k`` and ``n`` (counts; ``k`` of
        ``n``), or ``low`` and ``high`` instead of ``k`` where only a range of it is told; optionally ``country``,
        ``browser``, ``os``, ``device`` (missing: all). All are taken to be of the same shop and time.
    rng : numpy Generator
    fit : sequence of str
        Parameters, as `World.table` names them, such as ``"page_left"``, ``"consent_deny.DE"``.
    platform : str
        Whose matching the targets are about.
    priors : mapping, optional
        Parameter to (low, mode, high) of a triangular prior. Default: the table's.
    level : float
        Of the intervals.
    orders : int
        Of each simulated world.

    Returns
    -------
    Calibration

    Raises
    ------
    ContractError
        A column of ``targets`` is missing, or a count impossible.
    InputError
        Nothing to fit, or to fit to.
    UnknownNameError
        No such parameter, quantity, platform, country or browser.

    Notes
    -----
    Measured log-odds are taken as normal about the surface of `Surface`, with the variance and the correlations the
    simulation gives shares of that many orders (customers repeat, and shares overlap), plus the surface's own doubt.
    The posterior is drawn by an ensemble walk (Goodman & Weare 2010), in the log-odds of each parameter's place in its
    prior.
    """
    wanted, measured, variance = _targets(targets)
    if not fit:
        raise InputError("fit must name one parameter at least")
    chosen = Priors(fit, priors)
    seed = int(rng.integers(2**31))
    surface = surface_of(world, wanted, chosen, platform=platform, orders=orders, seed=seed)
    return fit_to(surface, measured, variance, rng, level=level)


def _targets(targets: pd.DataFrame) -> tuple[list[Wanted], Floats, Floats]:
    """Return what was measured: which shares, n of each beside the share, and how wide a told range is."""
    absent = [(name, "column is missing", None) for name in ("quantity", "n") if name not in targets]
    ranged = {"low", "high"} <= set(targets.columns)
    if "k" not in targets and not ranged:
        absent.append(("k", "column is missing", None))
    if absent:
        raise ContractError("targets", absent)
    if targets.empty:
        raise InputError("targets must have a row at least")
    n = targets["n"].to_numpy(dtype=np.float64)
    k = targets["k"].to_numpy(dtype=np.float64) if "k" in targets else np.full(len(n), np.nan)
    width = np.zeros(len(n))
    if ranged:
        low, high = (targets[name].to_numpy(dtype=np.float64) for name in ("low", "high"))
        told = np.isnan(k) & ~np.isnan(low)
        k, width = np.where(told, (low + high) / 2, k), np.where(told, high - low, 0.0)
    bad = ~((n > 0) & (k >= 0) & (k <= n) & (width >= 0))
    if bad.any():
        raise ContractError("targets", [("k", "must be counts with 0 <= k <= n and n above 0", int(bad.sum()))])
    groups = [name for name in ("country", "browser", "os", "device") if name in targets]
    wanted = [
        Wanted(str(row["quantity"]), **{name: str(row[name]) for name in groups if not pd.isna(row[name])})
        for row in targets.to_dict("records")
    ]
    return wanted, np.stack([k, n], axis=1), (width / n) ** 2 / 12


def fit_to(surface: Surface, measured: Floats, extra: Floats, rng: np.random.Generator, *, level: float) -> Calibration:
    """Draw the posterior on a fitted surface.

    Parameters
    ----------
    surface : Surface
    measured : ndarray, shape (shares, 2)
        k and n.
    extra : ndarray
        Variance of each share for being told as a range.
    rng : numpy Generator
    level : float
    """
    from scipy import special

    k, n = measured.T
    p = (k + 0.5) / (n + 1)
    y = np.log(p / (1 - p))
    d = len(surface.priors.names)
    steep = 1 / (p * (1 - p))
    error = surface.one * steep / n + extra * steep**2
    scale = np.sqrt(error)
    own = surface.correlation * np.outer(scale, scale) + np.diag(1e-12 + 0 * scale)

    def log_posterior(z: Floats, root: Floats) -> Floats:
        unit = special.expit(z)
        off = (y - surface.logits(unit)) @ root
        jacobian = (special.log_expit(z) + special.log_expit(-z)).sum(axis=-1)
        return np.asarray(-0.5 * (off**2).sum(axis=-1) + surface.priors.log_density(unit) + jacobian)

    def weigh(unit: Floats) -> Floats:
        return np.linalg.cholesky(np.linalg.inv(own + np.diag(surface.doubt(unit))))

    root = weigh((surface.priors.mode - surface.priors.low) / (surface.priors.high - surface.priors.low))
    starts = special.logit(surface.priors.quantile(rng.random((_STARTS, d))))
    best = starts[np.argsort(-log_posterior(starts, root), kind="stable")[:_WALKERS]]
    root = weigh(special.expit(best[0]))  # the surface's own doubt hangs, weakly, on where we are
    path = _walk(lambda z: log_posterior(z, root), best, rng)
    unit = special.expit(path.reshape(-1, d))
    return _result(surface, unit, y, own, _mixing(path), level)


def _walk(log_density: Callable[[Floats], Floats], start: Floats, rng: np.random.Generator) -> Floats:
    """Draw by the affine-invariant stretch move (Goodman & Weare 2010); shape (steps kept, walkers, parameters).

    A ridge, or parameters of unlike scale, cost it nothing, and there is nothing to tune.
    """
    walkers, d = start.shape
    half = walkers // 2
    now, height = start.copy(), log_density(start)
    kept = []
    for step in range(_STEPS):
        for mine in (slice(0, half), slice(half, walkers)):
            others = now[half:] if mine.start == 0 else now[:half]
            stretch = (1 + rng.random(half)) ** 2 / 2  # density proportional to 1 / sqrt, between 1/2 and 2
            partner = others[rng.integers(0, len(others), half)]
            new = partner + stretch[:, None] * (now[mine] - partner)
            above = log_density(new)
            taken = np.log(rng.random(half)) < (d - 1) * np.log(stretch) + above - height[mine]
            now[mine] = np.where(taken[:, None], new, now[mine])
            height[mine] = np.where(taken, above, height[mine])
        if step >= _BURN and step % _THIN == 0:
            kept.append(now.copy())
    return np.array(kept)


def _mixing(path: Floats) -> float:
    """Return the worst split R-hat (Gelman & Rubin 1992): between halves of the walk over within; 1 is settled."""
    steps = len(path) // 2
    halves = np.stack([path[:steps].reshape(-1, path.shape[-1]), path[-steps:].reshape(-1, path.shape[-1])])
    within = halves.var(axis=1, ddof=1).mean(axis=0)
    between = halves.mean(axis=1).var(axis=0, ddof=1)
    return float(np.sqrt(1 + between / within).max())


def _result(surface: Surface, unit: Floats, y: Floats, own: Floats, mixing: float, level: float) -> Calibration:
    priors = surface.priors
    draws = pd.DataFrame(priors.values(unit), columns=priors.names)
    tails = [(1 - level) / 2, 0.5, (1 + level) / 2]
    low, middle, high = draws.quantile(tails).to_numpy()
    narrowing = draws.std().to_numpy() / priors.sd
    table = pd.DataFrame(
        {
            "parameter": priors.names, "prior_low": priors.low, "prior_mode": priors.mode, "prior_high": priors.high,
            "value": middle, "low": low, "high": high, "level": level, "narrowing": narrowing,
        }
    )  # fmt: skip
    told = 1 / (1 + np.exp(-surface.logits(unit)))
    below, predicted, above = np.quantile(told, tails, axis=0)
    z = (y - np.log(predicted / (1 - predicted))) / np.sqrt(np.diag(own))
    fit = pd.DataFrame(
        {
            "target": [one.name for one in surface.wanted], "measured": 1 / (1 + np.exp(-y)), "predicted": predicted,
            "low": below, "high": above, "z": z,
        }
    )  # fmt: skip
    world = surface.world.with_values(dict(zip(priors.names, middle.tolist(), strict=True)))
    correlation = draws.corr()
    return Calibration(table, fit, draws, correlation, world, _statement(table, fit, draws, priors), mixing)


def _statement(table: pd.DataFrame, fit: pd.DataFrame, draws: pd.DataFrame, priors: Priors) -> str:
    """Say in words what the targets leave open."""
    lines = []
    blind = table.loc[table["narrowing"] > _LITTLE, "parameter"].tolist()
    if blind:
        lines.append(f"The targets say next to nothing of {', '.join(blind)}: what is shown is the prior.")
    scaled = draws.to_numpy() / priors.sd
    values = np.linalg.eigvalsh(np.atleast_2d(np.cov(scaled.T)))
    known = [name for name in table["parameter"] if name not in blind]
    correlation = draws.corr().to_numpy()
    names = list(draws.columns)
    for i, one in enumerate(names):
        for j in range(i + 1, len(names)):
            other = names[j]
            if abs(correlation[i, j]) > _FIRM and one in known and other in known:
                less = "less" if correlation[i, j] < 0 else "more"
                lines.append(
                    f"{one} and {other} are known together only: more of one with {less} of the other fits as well."
                )
    wide = int((values > _LITTLE**2).sum())
    learnt = len(names) - wide
    lines.append(f"Of {len(names)} directions among the parameters the targets inform {learnt}.")
    far = fit.loc[fit["z"].abs() > 3, "target"].tolist()
    if far:
        lines.append(
            f"No world of these priors gives {', '.join(far)}: a fixed parameter, a prior or the data is wrong."
        )
    lines.append("Parameters that were not fitted are taken as known; their own doubt is not in these intervals.")
    return "\n".join(lines)
