"""Chance that belongs to a thing: the same thing, the same draw, in every batch and any order.

A draw is a keyed hash (SipHash) of what it belongs to. Nothing is stored and nothing is drawn in sequence, so that
rows can come in any number of pieces, and changing a probability changes nobody else's draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["keyed_seed", "keyed_uniforms"]

_KEY = 16  # characters SipHash takes as its key


def keyed_seed(seed: int, *words: str) -> str:
    """Return the key of one kind of draw."""
    return hashlib.sha256("/".join((str(seed), *words)).encode()).hexdigest()[:_KEY]


def keyed_uniforms(seed: int, words: Iterable[str], values: pd.Series) -> NDArray[np.float64]:
    """Draw one number in [0, 1) for each value.

    Parameters
    ----------
    seed : int
    words : iterable of str
        What is drawn: unlike words give independent draws.
    values : Series of text
        To whom each draw belongs.

    Returns
    -------
    ndarray of float64
        NaN where the value is missing, which is below no probability.
    """
    hashed = pd.util.hash_array(
        values.fillna("").to_numpy(dtype=object), hash_key=keyed_seed(seed, *words), categorize=False
    )
    return np.where(values.isna(), np.nan, (hashed >> np.uint64(11)) * 2.0**-53)
