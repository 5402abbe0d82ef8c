"""Does `calibrate` get back the parameters that made the data? ``make recover`` runs all 200 worlds.

Parameters are drawn from their priors, a shop of 20,480 orders is drawn with them, its shares go in, and the 90 %
intervals that come out must hold the parameters nine times in ten. The surface is fitted once: it depends on no data.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

import capi_lab as cl
from capi_lab.simulate.calibrate import Surface, fit_to, surface_of
from capi_lab.simulate.priors import Priors
from capi_lab.simulate.shares import Wanted, shares

FIT = ("consent_deny.DE", "consent_deny.US", "list_blocks_pixel", "page_left", "em_eq.meta", "lag_same")
WANTED = [
    Wanted("pixel_coverage"),
    Wanted("server_coverage"),
    *(Wanted(name, country=country) for country in ("DE", "US") for name in ("pixel_coverage", "server_coverage")),
    Wanted("pixel_coverage", browser="Firefox"),
    Wanted("click_id_fill"),
    Wanted("pii_only_match"),
]
ORDERS = 20_480


def surface(orders: int = 32_768) -> Surface:
    """Fit the surface all worlds share."""
    return surface_of(cl.World(), WANTED, Priors(FIT), platform="meta", orders=orders, seed=1)


def recovered(fitted: Surface, seeds: range) -> pd.DataFrame:
    """Return whether the interval of each parameter holds the truth, one row a world and parameter."""
    priors, rows = fitted.priors, []
    for seed in seeds:
        rng = np.random.default_rng([7, seed])
        unit = priors.quantile(rng.random((1, len(FIT))))
        (world,), truth = priors.worlds(cl.World(), unit), priors.values(unit)[0]
        shop = shares(world, WANTED, platform="meta", n=ORDERS, seed=int(rng.integers(2**63)))
        measured = np.stack([shop.k.sum(axis=0), shop.n.sum(axis=0)], axis=1)
        found = fit_to(fitted, measured, np.zeros(len(WANTED)), rng, level=0.9)
        table = found.table.assign(seed=seed, truth=truth, mixing=found.mixing)
        rows.append(table.assign(held=(table["low"] <= truth) & (truth <= table["high"])))
    return pd.concat(rows, ignore_index=True)


def main() -> int:
    """Run 200 worlds and print how often each parameter's interval held it; 1 where not nine times in ten."""
    table = recovered(surface(), range(200))
    summary = table.groupby("parameter", sort=False)[["held", "narrowing"]].mean()
    print(summary.round(3).to_string())
    print(f"all: {table['held'].mean():.3f} of {len(table):,}; worst split R-hat {table['mixing'].max():.3f}")
    return int(not summary["held"].between(0.85, 0.95).all())


if __name__ == "__main__":
    sys.exit(main())
