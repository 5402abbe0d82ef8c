"""Shares of a simulated world, straight from the bare engine: no tables, many worlds.

Each is k of n over the orders of a run, in all or for some countries, browsers and devices. Sums are kept per pool of
customers, who repeat within it and nowhere else: how far pools differ says how far a shop of any size would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capi_lab.errors import UnknownNameError
from capi_lab.simulate.headlines import HEADLINES, drawn_blocks, parts
from capi_lab.simulate.plan import NEIGHBOURS, Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.simulate.world import World

__all__ = ["QUANTITIES", "Shares", "Wanted", "shares"]

_MORE = {
    "incremental_coverage": "sent by the server, not seen by the pixel / orders",
    "click_id_fill": "with a click id / server events",
}
QUANTITIES: Mapping[str, str] = HEADLINES | _MORE
"""What can be asked for, as *numerator / denominator*: the headlines, and what else a shop can count by itself."""

_GROUPS = ("country", "browser", "os", "device")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One share: a quantity, and whose.

    Parameters
    ----------
    quantity : str
        A name in `QUANTITIES`.
    country, browser, os, device : str, optional
        Of these customers' orders alone.
    """

    quantity: str
    country: str | None = None
    browser: str | None = None
    os: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise UnknownNameError("quantity", self.quantity, QUANTITIES)

    @property
    def name(self) -> str:
        """Quantity and group in one line."""
        group = ", ".join(value for name in _GROUPS if (value := getattr(self, name)) is not None)
        return f"{self.quantity} ({group})" if group else self.quantity


@dataclass(frozen=True, slots=True)
class Shares:
    """Sums of a run, per pool and wanted share.

    Parameters
    ----------
    k, n : ndarray of float, shape (pools, shares)
    """

    k: NDArray[np.float64]
    n: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.float64]:
        """The shares; NaN where there was nothing to count."""
        total = self.n.sum(axis=0)
        share = np.divide(self.k.sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0)
        return np.asarray(share, dtype=np.float64)

    @property
    def spread(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return each share's variance for one counted thing, and the correlations between shares of one shop.

        Linearised: what a pool has above its expectation, x - p n; customers repeat, and shares overlap.
        """
        pools = len(self.k)
        excess = self.k - np.nan_to_num(self.values) * self.n
        cov = excess.T @ excess / pools
        mean = self.n.mean(axis=0)
        one = np.divide(np.diag(cov), mean, out=np.zeros_like(mean), where=mean > 0)
        scale = np.sqrt(np.maximum(np.diag(cov), 1e-300))
        return one, cov / np.outer(scale, scale)


def shares(world: World, wanted: Sequence[Wanted], *, platform: str, n: int, seed: int) -> Shares:
    """Draw a world and count.

    Parameters
    ----------
    world : World
    wanted : sequence of Wanted
    platform : str
    n : int
        Orders.
    seed : int
        The same seed and another world: paired.
    """
    plan = Plan(world, platform, seed)
    masks = [_cells(plan, one) for one in wanted]
    places = [list(QUANTITIES).index(one.quantity) for one in wanted]
    sums: list[Any] = []
    for block, drawn in drawn_blocks(plan, n):
        sent = drawn.seen_capi
        both = parts(plan, block, drawn)
        both += [(sent & ~drawn.seen_pixel, np.ones(len(sent), dtype=bool)), (sent & drawn.click_id, sent)]
        cell = (drawn.traits >> np.uint32(16)).astype(np.intp)
        pools = np.arange(0, len(cell), NEIGHBOURS)
        inside = [None if mask is None else mask[cell] for mask in masks]
        sums.append(
            [
                [np.add.reduceat(side if mine is None else side & mine, pools, dtype=np.int64) for side in both[place]]
                for place, mine in zip(places, inside, strict=True)
            ]
        )
    k, of_n = np.concatenate([np.array(one).transpose(1, 2, 0) for one in sums], axis=1).astype(np.float64)
    return Shares(k, of_n)


def _cells(plan: Plan, wanted: Wanted) -> Any:
    """Return which cells a group holds; None for all."""
    asked = {name: value for name in _GROUPS if (value := getattr(wanted, name)) is not None}
    if not asked:
        return None
    table = pd.DataFrame([{name: getattr(cell, name) for name in _GROUPS} for cell in plan.cells.rows])
    for name, value in asked.items():
        if value not in set(table[name]):
            raise UnknownNameError(f"{name} of this world", value, sorted(set(table[name]) - {""}))
    mask = np.ones(len(table), dtype=bool)
    for name, value in asked.items():
        mask &= (table[name] == value).to_numpy()
    return mask
