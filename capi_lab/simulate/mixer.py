"""The mixing of a counter into 32 random bits, as passes of numpy or, where numba is installed, as compiled loops.

Three rounds of multiply and xor-shift (constants of the *triple32* mixer, C. Wellons), with half of a 64-bit key added
before the first and the second. Two rounds show a bias in the lower half. Both ways give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words: TypeAlias = NDArray[np.uint32]
    Flags: TypeAlias = NDArray[np.bool_]

__all__ = ["PASSES", "Mixer", "compiled", "current", "ready"]

_PAYS = 60_000_000  # orders: two seconds to import and compile, 35 ns saved an order (benchmarks/simulate.py)
_HALF = np.uint32(0xFFFF)


class Mixer(NamedTuple):
    """Ways to mix ``x`` with the two halves of a key; all arrays are of uint32, of one length.

    Parameters
    ----------
    words : callable
        ``(x, first, second)`` to 32 bits each. ``second`` may be an array, for `PASSES`.
    halves : callable
        The same, to the lower and the upper 16 bits of each.
    hits : callable
        ``(x, first, second, cut)``: which of the words are less than ``cut``.
    """

    words: Callable[..., Words]
    halves: Callable[..., tuple[Words, Words]]
    hits: Callable[..., Flags]


def _words(x: Words, first: np.uint32, second: np.uint32 | Words) -> Words:
    x = x + first
    turned = np.right_shift(x, 17)
    np.bitwise_xor(x, turned, out=x)
    np.multiply(x, np.uint32(0xED5AD4BB), out=x)
    np.right_shift(x, 11, out=turned)
    np.bitwise_xor(x, turned, out=x)
    np.add(x, second, out=x)
    np.multiply(x, np.uint32(0xAC4C1B51), out=x)
    np.right_shift(x, 15, out=turned)
    np.bitwise_xor(x, turned, out=x)
    np.multiply(x, np.uint32(0x31848BAB), out=x)
    np.right_shift(x, 14, out=turned)
    np.bitwise_xor(x, turned, out=x)
    return x


def _halves(x: Words, first: np.uint32, second: np.uint32 | Words) -> tuple[Words, Words]:
    word = _words(x, first, second)
    upper = np.right_shift(word, 16)
    np.bitwise_and(word, _HALF, out=word)
    return word, upper


def _hits(x: Words, first: np.uint32, second: np.uint32 | Words, cut: np.uint32) -> Flags:
    return np.less(_words(x, first, second), cut)


PASSES = Mixer(_words, _halves, _hits)
"""One operation after the other over the whole array."""


@cache
def compiled() -> Mixer | None:
    """Return the mixer as machine code, one loop over the array; None where numba is not installed.

    It takes some two seconds, most of them to import numba, which keeps its code beside this file or in a cache.
    """
    try:
        import numba
    except ImportError:
        return None
    one = numba.njit(_one)
    try:
        build = numba.njit(nogil=True, cache=True)
        build(_one)
    except RuntimeError:  # there is no place it could keep code in
        build = numba.njit(nogil=True)

    @build
    def words(x, first, second):  # type: ignore[no-untyped-def]
        out = np.empty_like(x)
        for i in range(x.size):
            out[i] = one(x[i], first, second)
        return out

    @build
    def halves(x, first, second):  # type: ignore[no-untyped-def]
        lower, upper = np.empty_like(x), np.empty_like(x)
        for i in range(x.size):
            word = one(x[i], first, second)
            lower[i] = word & _HALF
            upper[i] = word >> np.uint32(16)
        return lower, upper

    @build
    def hits(x, first, second, cut):  # type: ignore[no-untyped-def]
        out = np.empty(x.size, np.bool_)
        for i in range(x.size):
            out[i] = one(x[i], first, second) < cut
        return out

    return Mixer(words, halves, hits)


def ready(orders: int) -> None:
    """Have the mixer compiled where so many orders will be drawn that it pays."""
    if orders >= _PAYS:
        compiled()


def current() -> Mixer:
    """Return the compiled mixer if it was asked for before, else `PASSES`."""
    return (compiled() if compiled.cache_info().currsize else None) or PASSES


def _one(x: np.uint32, first: np.uint32, second: np.uint32) -> np.uint32:
    """Mix one counter; read by the compiler only."""
    x = np.uint32(x + first)
    x = np.uint32((x ^ (x >> np.uint32(17))) * np.uint32(0xED5AD4BB))
    x = np.uint32((x ^ (x >> np.uint32(11))) + second)
    x = np.uint32(x * np.uint32(0xAC4C1B51))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x31848BAB))
    return np.uint32(x ^ (x >> np.uint32(14)))
