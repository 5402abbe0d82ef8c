"""A world made ready for drawing: chances become thresholds and tables, once, before the first block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntFlag
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special, stats

from capi_lab.errors import InputError
from capi_lab.identity.cookies import SCRIPT_COOKIE_LIMITS
from capi_lab.platforms import platform as platform_named
from capi_lab.simulate.browsers import browser_shares
from capi_lab.simulate.draws import WORD, Draws, threshold, uniform
from capi_lab.words import Storage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.platforms.spec import PlatformSpec
    from capi_lab.simulate.world import Matching, World

__all__ = ["NEIGHBOURS", "Cell", "Cells", "Lag", "Picker", "Plan", "Trait", "cells_of"]

NEIGHBOURS = 256
"""Orders that share one pool of customers: simulations of any length cluster alike, and one is a part of the longer."""

_LEVELS = 256  # of the latent privacy factor
_BROWSER_CAP = timedelta(days=400)  # Chrome 104 and what follows it
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cell:
    """A country with a browser: what most chances hang on."""

    country: str
    browser: str
    os: str
    device: str


class Trait(IntFlag):
    """What belongs to a customer, as bits of a word whose upper half is the number of the cell.

    `BUILT_IN` blocks by itself (Brave, Firefox in strict mode, private windows of Safari and Firefox); `CHROME` is
    where a third-party cookie can still be read (Edge, Samsung Internet and Opera block known trackers' as they come).
    """

    NO_CONSENT = 1
    BLOCKER = 2
    HARDENED = 4
    PRIVATE = 8
    CLEARS = 16
    BUILT_IN = 32
    SAFARI = 256
    FIREFOX = 512
    CHROME = 1024
    MOBILE = 2048


def _flags(cell: Cell) -> Trait:
    found = Trait.MOBILE if cell.device != "desktop" else Trait(0)
    kinds = {"Safari": Trait.SAFARI, "Firefox": Trait.FIREFOX, "Chrome": Trait.CHROME}
    return found | kinds.get(cell.browser, Trait(0))


class Lag:
    """The law of the time from click to order, cut at the world's longest.

    Parameters
    ----------
    world : World
    """

    def __init__(self, world: World) -> None:
        self._days = np.geomspace(1e-4, world.lag_max_days, 2048)
        minutes = 1 - np.exp(-self._days * 1440 / world.lag_same_minutes)
        slow = stats.norm.cdf(np.log(self._days / world.lag_median_days) / world.lag_sigma)
        self._cdf = world.lag_same * minutes / minutes[-1] + (1 - world.lag_same) * slow / slow[-1]
        self._cdf[-1] = 1.0

    def share_within(self, time: timedelta) -> float:
        """Return the share of lags no longer than ``time``."""
        days = time / _DAY
        return float(np.interp(days, self._days, self._cdf, left=0.0, right=1.0))

    def days(self, draws: NDArray[np.uint32]) -> NDArray[np.float64]:
        """Return the lags of draws, in days: the longer, the greater the draw."""
        return np.interp(uniform(draws), self._cdf, self._days)


class Cells:
    """The cells of a run and the chances in each, by level of the latent privacy factor.

    Parameters
    ----------
    world : World
    rows : list of Cell
    """

    def __init__(self, world: World, rows: list[Cell]) -> None:
        self.rows = rows
        blocker = []
        for cell in rows:
            some = world.blocker_desktop if cell.device == "desktop" else world.blocker_mobile
            more = world.blocker_firefox_factor if cell.browser == "Firefox" else 1.0
            blocker.append(min(1.0, some * more) * world.list_blocks_pixel)
        hard = {"Chrome": world.brave_of_chrome, "Firefox": world.firefox_strict}
        hardened = [hard.get(cell.browser, 0.0) for cell in rows]
        self.refuses = _by_level([world.consent_deny[c.country] for c in rows], world.privacy_rho)
        self.blocks = _by_level(blocker, world.privacy_rho)
        self.hardened = _by_level(hardened, world.privacy_rho)
        self.private = _by_level([world.private_mode] * len(rows), world.privacy_rho)
        self.words = np.array([i << 16 | _flags(c) for i, c in enumerate(rows)], dtype=np.uint32)


def _by_level(chances: Sequence[float], rho: float) -> NDArray[np.uint32]:
    """Return thresholds per chance and level, flat: their mean over the levels is the chance itself.

    A person's level is the quantile of a standard normal factor; what has chance p happens where
    sqrt(rho) factor + sqrt(1 - rho) noise is among the lowest p (one-factor Gaussian copula).
    """
    if rho >= 1:
        raise InputError("World.privacy_rho must be below 1")
    z = special.ndtri((np.arange(_LEVELS) + 0.5) / _LEVELS)
    p, of = np.unique(np.asarray(chances, dtype=np.float64), return_inverse=True)
    found = np.repeat(p[:, None], _LEVELS, axis=1)
    within = (p > 0) & (p < 1)
    if rho > 0 and within.any():
        low, high = np.full((2, int(within.sum())), [[-40.0], [40.0]])
        for _ in range(60):  # bisection: the mean grows with the cut
            cut = (low + high) / 2
            levels = special.ndtr((cut[:, None] - math.sqrt(rho) * z) / math.sqrt(1 - rho))
            less = levels.mean(axis=1) < p[within]
            low, high = np.where(less, cut, low), np.where(less, high, cut)
        found[within] = levels
    return np.asarray(threshold(found[of]).ravel())


def cells_of(world: World) -> tuple[list[Cell], NDArray[np.float64]]:
    """Return the cells of a world's customers and their shares, which sum to 1."""
    rows, shares = [], []
    total = sum(world.country_weights.values())
    for country, weight in sorted(world.country_weights.items()):
        if not weight:
            continue
        cells, share = _cells_in(country)
        desktop = np.array([cell.device == "desktop" for cell in cells])
        tilted = share * np.where(desktop, world.device_tilt, 1.0)
        shares.append(tilted / tilted.sum() * weight / total)
        rows += cells
    return rows, np.concatenate(shares)


@cache
def _cells_in(country: str) -> tuple[list[Cell], NDArray[np.float64]]:
    """Return a country's cells and their shares; who compares a thousand worlds asks for them a thousand times."""
    table = browser_shares(country)
    kinds = table[["browser", "os", "device"]].itertuples(index=False)
    return [Cell(country, b, o, d) for b, o, d in kinds], table["share"].to_numpy(dtype=np.float64)


class Picker:
    """Turn draws into numbers of cells, by 2**12 places, and comparisons where a boundary lies in one.

    Parameters
    ----------
    shares : ndarray of float
    """

    def __init__(self, shares: NDArray[np.float64]) -> None:
        self._cuts = threshold(np.cumsum(shares) / shares.sum(), WORD - 1)
        places = np.arange(4096, dtype=np.uint64) << np.uint64(20)
        self._first = np.searchsorted(self._cuts, places, side="right").astype(np.uint16)
        last = np.searchsorted(self._cuts, places + np.uint64((1 << 20) - 1), side="right")
        self._parted = last > self._first
        self._steps = int((last - self._first).max())
        self._last = len(shares) - 1

    def pick(self, draws: NDArray[np.uint32]) -> NDArray[np.uint16]:
        """Return a cell for each draw."""
        place = (draws >> np.uint32(20)).astype(np.intp)
        cell = self._first.take(place)
        some = np.flatnonzero(self._parted.take(place))  # few places have a boundary inside
        draw, found = draws.take(some), cell.take(some)
        for _ in range(self._steps):
            found += draw >= self._cuts[found]
        cell[some] = np.minimum(found, np.uint16(self._last))
        return np.asarray(cell)


@dataclass(frozen=True)
class Plan:
    """What the engine reads: one world, one platform, one seed.

    Parameters
    ----------
    world : World
    platform : str
    seed : int
    """

    world: World
    platform: str
    seed: int

    @cached_property
    def draws(self) -> Draws:
        """All randomness there is."""
        return Draws(self.seed)

    @cached_property
    def spec(self) -> PlatformSpec:
        """The platform's rules."""
        return platform_named(self.platform).spec

    @cached_property
    def matching(self) -> Matching:
        """What the platform can do with an event."""
        return self.world.matching(self.platform)

    @cached_property
    def lag(self) -> Lag:
        """The law of the time from click to order."""
        return Lag(self.world)

    @cached_property
    def _cells(self) -> tuple[Cells, Picker]:
        rows, shares = cells_of(self.world)
        return Cells(self.world, rows), Picker(shares)

    @property
    def cells(self) -> Cells:
        """The cells of customers the world draws."""
        return self._cells[0]

    @property
    def picker(self) -> Picker:
        """Which of them a draw means."""
        return self._cells[1]

    def within(self, time: timedelta) -> Any:
        """Return how many draws of the lag are no longer than ``time``."""
        return threshold(self.lag.share_within(time), WORD - 1)

    @cached_property
    def session(self) -> Any:
        """Draws whose order falls within an hour of the click: same browser, same window, same jar."""
        return self.within(timedelta(hours=1))

    @cached_property
    def in_window(self) -> Any:
        """Draws whose order falls inside the platform's click window."""
        return self.within(self.matching.window)

    @cached_property
    def kept_anywhere(self) -> Any:
        """Draws outlived by no cookie: the platform sets it for so long."""
        return self.within(self.cookie_life)

    @cached_property
    def safari_lives(self) -> tuple[Any, Any, Any]:
        """Draws outlived by a cookie on Safari: as first set, renewed, and renewed for a second week."""
        after_ad, week = (limit.life for limit in SCRIPT_COOKIE_LIMITS)
        week /= self.world.use_days
        first = {
            Storage.JS_COOKIE: after_ad,
            Storage.CLOAKED: week,
            Storage.FIRST_PARTY: self.cookie_life,
        }[self.world.storage]
        return tuple(self.within(min(self.cookie_life, max(first, one))) for one in (first, week, 2 * week))

    @cached_property
    def cookie_life(self) -> timedelta:
        """How long the platform's click cookie lives where no browser shortens it."""
        return min(_BROWSER_CAP, next(one.life for one in self.spec.click_ids if one.is_click))

    @cached_property
    def surely_cleared(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Draws of the clearing that come before any order, and the least that may, by the lag's upper 12 bits."""
        shortest = np.arange(4096, dtype=np.uint32) << np.uint32(20)
        days = self.lag.days(shortest), self.lag.days(shortest + np.uint32((1 << 20) - 1))
        most, least = (np.exp(-lag / max(self.world.clear_days, 1e-9)) * WORD for lag in days)
        # Two draws of room for rounding: what lies between is told by the times themselves.
        return tuple(np.clip(cut, 0, WORD - 1).astype(np.uint32) for cut in (most + 2, least - 2))

    @cached_property
    def slots(self) -> int:
        """Customers in a pool of `NEIGHBOURS` orders, so that those who order do it as often as the world says."""
        mean = self.world.orders_per_customer
        if mean < 1.02:
            return NEIGHBOURS  # each order its own customer
        low, high = 1e-9, mean
        for _ in range(80):
            rate = (low + high) / 2
            low, high = (rate, high) if rate / -math.expm1(-rate) < mean else (low, rate)
        return max(1, round(NEIGHBOURS / rate))

    @property
    def alone(self) -> bool:
        """Each order is a customer of its own."""
        return self.world.orders_per_customer < 1.02
