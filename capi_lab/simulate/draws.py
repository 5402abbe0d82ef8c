"""Random numbers by counter: a draw is a function of seed, mechanism and entity, of nothing else.

So turning one knob leaves every other draw as it was, and neither the size of a chunk, nor the order of rows, nor the
number of threads changes a result.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from capi_lab.simulate.mixer import PASSES, Mixer, current

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LANE", "WORD", "Draws", "Entities", "below", "threshold", "uniform"]

LANE, WORD = 2**16, 2**32
"""Draws are whole numbers below these; a chance is a threshold among them."""
_UPPER = 0x9E3779B1  # spreads the upper half of an entity's number over the key


class Entities(NamedTuple):
    """Numbers of things that happen or people there are, 64 bits in two halves.

    Parameters
    ----------
    low : ndarray of uint32
    high : ndarray of uint32, or int
        One for all of them where it is the same.
    """

    low: NDArray[np.uint32]
    high: NDArray[np.uint32] | int = 0

    def at(self, rows: NDArray[np.intp]) -> Entities:
        """Return some of them."""
        return Entities(self.low.take(rows), self.high if isinstance(self.high, int) else self.high.take(rows))

    @classmethod
    def span(cls, start: int, stop: int) -> Entities:
        """Return the numbers from ``start`` to ``stop``; both lie within the same 2**32."""
        return cls(_count(stop - start) + np.uint32(start & 0xFFFFFFFF), start >> 32)

    @classmethod
    def named(cls, names: Any) -> Entities:
        """Return numbers for texts: the same text, the same number, wherever it stands.

        Parameters
        ----------
        names : ndarray or Series of str
        """
        from pandas.util import hash_array

        wide = hash_array(np.asarray(names, dtype=object), categorize=False)
        return cls((wide & np.uint64(0xFFFFFFFF)).astype(np.uint32), (wide >> np.uint64(32)).astype(np.uint32))


def threshold(p: Any, one: int = LANE) -> Any:
    """Return the number of draws that are a hit, of ``one``: exact for 0 and 1, and to 1 in 65,536 between."""
    return np.rint(np.asarray(p, dtype=np.float64) * one).astype(np.uint32)


@cache
def _count(n: int) -> NDArray[np.uint32]:
    """Count from 0; blocks ask for the same lengths again and again."""
    count = np.arange(n, dtype=np.uint32)
    count.flags.writeable = False
    return count


@cache
def _cut(p: float, one: int) -> np.uint32:
    """Return the threshold of one chance; blocks ask for the same ones again and again."""
    return np.uint32(threshold(p, one))


class Draws:
    """Draws of one seed.

    Parameters
    ----------
    seed : int

    Notes
    -----
    `capi_lab.simulate.mixer` mixes the entity's number with a 64-bit key of seed and mechanism.
    `tests/simulate/test_draws.py` measures uniformity and dependence.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._keys = cache(self._key)

    def _key(self, mechanism: str) -> tuple[int, int]:
        digest = hashlib.blake2b(f"{self.seed} {mechanism}".encode(), digest_size=8).digest()
        return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")

    def _asked(self, mechanism: str, of: Entities) -> tuple[Mixer, tuple[NDArray[np.uint32], np.uint32, Any]]:
        """Return what mixes, and what is mixed: the lower halves, and the key, into which the upper ones go."""
        first, second = self._keys(mechanism)
        if isinstance(of.high, int):
            return current(), (of.low, np.uint32(first), np.uint32((second + of.high * _UPPER) & 0xFFFFFFFF))
        return PASSES, (of.low, np.uint32(first), of.high * np.uint32(_UPPER) + np.uint32(second))

    def words(self, mechanism: str, of: Entities) -> NDArray[np.uint32]:
        """Return 32 random bits for each entity."""
        mixer, asked = self._asked(mechanism, of)
        return mixer.words(*asked)

    def lanes(self, mechanisms: str, of: Entities) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Return two draws in [0, `LANE`) for each entity: the halves of one word, for two mechanisms."""
        mixer, asked = self._asked(mechanisms, of)
        return mixer.halves(*asked)

    def hit(self, mechanism: str, of: Entities, p: float) -> NDArray[np.bool_]:
        """Say of each entity whether what has chance ``p`` happens to it."""
        if p <= 0 or p >= 1:
            return np.full(len(of.low), p >= 1)
        mixer, asked = self._asked(mechanism, of)
        return mixer.hits(*asked, _cut(p, WORD - 1))


def uniform(words: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return words as numbers in (0, 1)."""
    return np.asarray((words + 0.5) / WORD, dtype=np.float64)


def below(lane: NDArray[np.uint32], p: float) -> NDArray[np.bool_]:
    """Say where a lane is a hit of chance ``p``."""
    return np.less(lane, _cut(p, LANE))
