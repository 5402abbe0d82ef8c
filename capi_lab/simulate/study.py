"""Can an estimate be trusted? Replicate it over simulated worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.errors import ContractError, InputError
from capi_lab.simulate.run import Simulation, simulate
from capi_lab.simulate.shares import QUANTITIES, Wanted, shares

if TYPE_CHECKING:
    from capi_lab.simulate.world import World

__all__ = ["Study", "study"]

Estimator = Callable[[Simulation], pd.DataFrame]
Truth = Mapping[str, float] | Callable[[Simulation], Mapping[str, float]]
_MANY = 2_000_000


@dataclass(frozen=True, slots=True, repr=False)
class Study:
    """How an estimator did.

    Parameters
    ----------
    table : DataFrame
        One row per quantity: ``quantity``, ``worlds`` (replicates that gave a value), ``truth`` (mean), ``mean``,
        ``bias``, ``se`` (standard deviation of the errors over worlds), ``bias_over_se``, ``covered`` of ``intervals``
        held the truth: ``coverage`` with its own 95 % Wilson interval ``coverage_low``, ``coverage_high``; ``width``
        (mean).
    draws : DataFrame
        One row per world and quantity: ``world`` (number), ``quantity``, ``value``, ``low``, ``high``, ``truth``.
    """

    table: pd.DataFrame
    draws: pd.DataFrame

    def __repr__(self) -> str:
        """Show bias, interval coverage and width."""
        worlds = self.draws["world"].nunique()
        lines = [f"Study over {worlds:,} worlds"]
        for row in self.table.itertuples():
            told = (
                f"{row.coverage:.1%} of {row.intervals:,} intervals hold it [{row.coverage_low:.1%}, "
                f"{row.coverage_high:.1%}], mean width {row.width:.4f}"
                if row.intervals
                else "no intervals"
            )
            lines.append(
                f"  {row.quantity:<24} truth {row.truth:.4f}, bias {row.bias:+.4f} ({row.bias_over_se:+.2f} SE); {told}"
            )
        return "\n".join(lines)


def study(
    estimator: Estimator,
    world: World | Callable[[np.random.Generator], World],
    n: int,
    seed: int,
    *,
    truth: Truth | None = None,
    orders: int = 5_000,
    platform: str = "meta",
    workers: int = 2,
) -> Study:
    """Replicate an estimator over simulated worlds.

    Parameters
    ----------
    estimator : callable
        Takes a `Simulation`, returns a DataFrame with ``quantity`` and ``value``, and ``low`` and ``high`` where it
        gives intervals: ``lambda sim: cl.coverage(cl.reconcile(sim.conversions, sim.events)).rename(columns={"setup":
        "quantity"})``. It may look at ``sim.truth`` only if cheating is what is studied.
    world : World or callable
        The world, or what draws one: a study over a prior.
    n : int
        Worlds.
    seed : int
        World i has a stream of its own, (seed, i): neither the number of workers nor of worlds changes it.
    truth : mapping or callable, optional
        Quantity to its true value, or what says so of a simulation. Default: the share of that name in a very long run
        of the world's own mechanisms (`capi_lab.simulate.QUANTITIES`), which is what an estimate from one shop's
        orders is about.
    orders : int
        Of each world.
    platform : str
    workers : int
        Worlds at a time, in threads: numpy, Arrow and DuckDB let another run.

    Returns
    -------
    Study

    Raises
    ------
    ContractError
        The estimator's table lacks a column.
    InputError
        A quantity without a truth, or fewer than two worlds.

    Notes
    -----
    Quantities without a value in some worlds count where they have one (``worlds``). An interval of which an end is
    missing is none.
    """
    from tqdm import tqdm

    if n < 2 or workers < 1:
        raise InputError("n must be 2 or more, workers 1 or more")
    fixed = truth if isinstance(truth, Mapping) else None
    known: dict[str, float] = dict(fixed or {})

    def one(i: int) -> pd.DataFrame:
        rng = np.random.default_rng([seed, i])
        mine = world(rng) if callable(world) else world
        sim = simulate(mine, rng=rng, n=orders, platform=platform)
        found = _checked(estimator(sim))
        return found.assign(world=i, truth=_truths(found["quantity"], sim, mine))

    def _truths(names: pd.Series, sim: Simulation, mine: World) -> list[float]:
        if callable(truth):
            told: Mapping[str, float] = truth(sim)
        elif callable(world) and truth is None:
            told = _long_run(names, mine, platform, orders=_MANY // 10, seed=seed)
        else:
            told = known
        lacking = sorted(set(names) - set(told))
        if lacking:
            raise InputError(f"no truth for {', '.join(lacking)}: give truth=")
        return [told[name] for name in names]

    if truth is None and not callable(world):
        rng = np.random.default_rng([seed, 0])
        names = _checked(estimator(simulate(world, rng=rng, n=orders, platform=platform)))["quantity"]
        known |= _long_run(names, world, platform, orders=_MANY, seed=seed)
    with ThreadPoolExecutor(workers) as pool:
        parts = list(tqdm(pool.map(one, range(n)), total=n, desc="study", delay=2, disable=None, leave=False))
    draws = pd.concat(parts, ignore_index=True)
    draws = draws[["world", "quantity", "value", "low", "high", "truth"]]
    return Study(_summed_up(draws), draws)


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    absent = [(name, "column is missing", None) for name in ("quantity", "value") if name not in table]
    if absent:
        raise ContractError("what the estimator returns", absent)
    columns = {name: table[name] if name in table else np.nan for name in ("value", "low", "high")}
    found = pd.DataFrame({"quantity": table["quantity"].astype("str"), **columns}).reset_index(drop=True)
    if found["quantity"].duplicated().any():
        count = int(found["quantity"].duplicated().sum())
        raise ContractError("what the estimator returns", [("quantity", "value is not unique", count)])
    return found.astype(dict.fromkeys(("value", "low", "high"), "float64"))


def _long_run(names: pd.Series, world: World, platform: str, *, orders: int, seed: int) -> dict[str, float]:
    """Return the shares of those names in a run so long that its own noise does not count."""
    known = [name for name in dict.fromkeys(names) if name in QUANTITIES]
    if not known:
        return {}
    found = shares(world, [Wanted(name) for name in known], platform=platform, n=orders, seed=seed)
    return dict(zip(known, found.values.tolist(), strict=True))


def _summed_up(draws: pd.DataFrame) -> pd.DataFrame:
    from scipy.stats import binomtest

    rows = []
    for name, some in draws.groupby("quantity", sort=False):
        told = some.dropna(subset="value")
        error = told["value"] - told["truth"]
        ranged = told.dropna(subset=["low", "high"])
        covered = int(((ranged["low"] <= ranged["truth"]) & (ranged["truth"] <= ranged["high"])).sum())
        n = len(ranged)
        ends = binomtest(covered, n).proportion_ci(0.95, method="wilson") if n else None
        se = float(error.std()) if len(told) > 1 else np.nan
        rows.append(
            {
                "quantity": name,
                "worlds": len(told),
                "truth": told["truth"].mean(),
                "mean": told["value"].mean(),
                "bias": error.mean(),
                "se": se,
                "bias_over_se": error.mean() / se if se > 0 else (np.nan if error.mean() else 0.0),
                "covered": covered,
                "intervals": n,
                "coverage": covered / n if n else np.nan,
                "coverage_low": ends.low if ends else np.nan,
                "coverage_high": ends.high if ends else np.nan,
                "width": (ranged["high"] - ranged["low"]).mean(),
            }
        )
    return pd.DataFrame(rows)
