"""Columns of many short texts and times, made from bytes all at once instead of row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Flags = NDArray[np.bool_]

__all__ = [
    "TEXT",
    "TIME",
    "Coded",
    "choice",
    "constant",
    "digits",
    "frame_of",
    "hexes",
    "names",
    "table_of",
    "text",
    "times",
]

TEXT = pa.large_string()
TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class Coded:
    """A text column as places in a list of texts: another table repeats it without copying a letter.

    Parameters
    ----------
    texts : Array
    index : ndarray of int, or None
        Place of each row's text; None where there is one for each row, in order.
    missing : ndarray of bool, or None
    """

    texts: pa.Array
    index: NDArray[Any] | None = None
    missing: Flags | None = None

    def at(self, rows: NDArray[np.intp], missing: Flags | None = None) -> Coded:
        """Return the column of some rows; ``missing`` of them, besides."""
        index = rows if self.index is None else self.index.take(rows)
        lacking = None if self.missing is None else self.missing.take(rows)
        if missing is not None:
            lacking = missing if lacking is None else lacking | missing
        return Coded(self.texts, index, lacking)

    def without(self, missing: Flags) -> Coded:
        """Return the column with more of it missing."""
        index = np.arange(len(missing)) if self.index is None else self.index
        return Coded(self.texts, index, missing if self.missing is None else self.missing | missing)

    def arrow(self) -> pa.Array:
        """Return it for a table; a dictionary where texts repeat."""
        if self.index is None:
            return self.texts
        index = np.ascontiguousarray(self.index, dtype=np.int32)
        texts, missing = self.texts, self.missing
        if texts.null_count:  # Parquet wants what is missing told by the places, not by the list
            lacking = np.asarray(texts.is_null())[index]
            missing = lacking if missing is None else missing | lacking
            texts = pa.Array.from_buffers(TEXT, len(texts), [None, *texts.buffers()[1:]], offset=texts.offset)
        codes = pa.Array.from_buffers(pa.int32(), len(index), [_valid(missing), pa.py_buffer(index)])
        return pa.DictionaryArray.from_arrays(codes, texts, safe=False)

    def plain(self) -> pa.Array:
        """Return it as plain text."""
        return self.texts if self.index is None else self.arrow().dictionary_decode()


@cache
def _four() -> NDArray[np.uint32]:
    """Return the four decimal digits of each number below 10,000, as one number each."""
    places = np.arange(10_000)
    table = np.stack([places // 10**power % 10 + ord("0") for power in (3, 2, 1, 0)], axis=1)
    return np.ascontiguousarray(table.astype(np.uint8)).view(np.uint32).ravel()


def digits(values: NDArray[Any], width: int) -> Bytes:
    """Return decimal digits with leading zeros: shape (n, ``width``); ``width`` is a multiple of 4."""
    table, left = _four(), values
    out = np.empty((len(values), width // 4), dtype=np.uint32)
    for place in range(width // 4 - 1, -1, -1):
        higher = left // 10_000
        out[:, place] = table[left - higher * 10_000]
        left = higher
    return out.view(np.uint8)


def hexes(words: Sequence[NDArray[np.uint32]], *, mixed: bool = False) -> Bytes:
    """Return eight hexadecimal digits a word: shape (n, 8 words).

    ``mixed`` writes both cases (``A b C d E f``), so that a change of case shows.
    """
    four_bits = np.stack(words, axis=1).view(np.uint8)
    out = np.concatenate([four_bits >> np.uint8(4), four_bits & np.uint8(15)], axis=1)
    step = np.uint8(7) + ((out & np.uint8(1)) << np.uint8(5)) if mixed else np.uint8(39)
    step = (out > 9).view(np.uint8) * step
    out += np.uint8(ord("0"))
    out += step
    return out


def names(choices: Sequence[str], which: NDArray[Any]) -> Bytes:
    """Return one of some names, all as long as each other, for each row."""
    words = np.array([one.encode() for one in choices])
    return words.take(which).view(np.uint8).reshape(len(which), words.itemsize)


def _valid(missing: Flags | None) -> Any:
    return None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))


def text(n: int, pieces: Sequence[str | Bytes], missing: Flags | None = None) -> Coded:
    """Return a text column of pieces side by side: fixed texts, and arrays of bytes of shape (n, width)."""
    # As words of fixed length, which are copied in one go a row.
    parts = [np.array(p.encode()) if isinstance(p, str) else p.view(f"S{p.shape[1]}")[:, 0] for p in pieces]
    out = np.empty(n, dtype=[(f"{i}", part.dtype) for i, part in enumerate(parts)])
    for i, part in enumerate(parts):
        out[f"{i}"] = part
    width = out.dtype.itemsize
    offsets = np.arange(0, n * width + 1, width, dtype=np.int64)
    buffers = [_valid(missing), pa.py_buffer(offsets), pa.py_buffer(out)]
    return Coded(pa.Array.from_buffers(TEXT, n, buffers))


def times(microseconds: NDArray[np.int64], missing: Flags | None = None) -> pa.Array:
    """Return a column of times from microseconds since 1970."""
    return pa.Array.from_buffers(TIME, len(microseconds), [_valid(missing), pa.py_buffer(microseconds)])


def choice(words: Sequence[str | None], which: NDArray[Any]) -> Coded:
    """Return one of a few texts for each row; None is missing."""
    missing = np.array([word is None for word in words])
    texts = pa.array([word or "" for word in words], type=TEXT)
    return Coded(texts, which, missing[which] if missing.any() else None)


def constant(word: str, n: int) -> Coded:
    """Return the same text for each row."""
    return choice([word], np.zeros(n, dtype=np.int32))


def table_of(columns: Mapping[str, Any]) -> pa.Table:
    """Return a table of columns, coded or Arrow's own."""
    return pa.table({name: one.arrow() if isinstance(one, Coded) else one for name, one in columns.items()})


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return a frame in the contract's types: text is text, whatever it was coded as."""
    plain = [c.cast(TEXT) if pa.types.is_dictionary(c.type) else c for c in table.columns]
    return pa.table(plain, names=table.column_names).to_pandas()
