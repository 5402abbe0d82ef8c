"""The conversions of a plan: a frame that is there anyway, or a table packed into a fraction of its size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.send.bodies import PIECE

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["BATCH", "Held", "Packed"]

BATCH = PIECE
"""Rows packed together: as many as are written out at once."""
_BINS = 64  # at most so many parts, when rows are put into another order


class Held:
    """Conversions at hand as a frame.

    Parameters
    ----------
    frame : DataFrame
        Contract ``conversions``.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    @property
    def deciding(self) -> pd.DataFrame:
        """The columns a plan is made from, at least; every row."""
        return self._frame

    def rows(self, places: NDArray[np.int64]) -> pd.DataFrame:
        """Return every column of the rows at these places, in their order."""
        return self._frame.iloc[places]

    def whole(self) -> pd.DataFrame:
        """Return all of it."""
        return self._frame

    def in_order(self, order: NDArray[np.int64]) -> None:
        """Be told in which order rows will be asked for."""


class Packed(Held):
    """Conversions out of a table that need not fit into memory as it is: compressed, in pieces.

    They are packed in memory and not on disk, where e-mail addresses and phone numbers would outlive a crash.

    Parameters
    ----------
    batches : iterable of pyarrow RecordBatch
        Of one schema; read once, and there is at least one.
    typed : callable
        Arrow table to frame, in the contract's types.
    deciding : sequence of str
        Columns to keep at hand besides, where they are there.
    """

    def __init__(
        self, batches: Iterable[pa.RecordBatch], typed: Callable[[pa.Table], pd.DataFrame], deciding: Sequence[str]
    ) -> None:
        import pyarrow as pa

        self._typed, self._packed = typed, list[bytes]()
        self._broken: set[str] = set()  # whole numbers, some of them missing: in a frame of all, floats
        rest, kept = None, []
        for batch in batches:
            table = pa.Table.from_batches([batch])
            # A copy: an engine lets go of a batch's columns all together or not at all.
            kept.append(_pack(table.select([name for name in deciding if name in table.column_names])))
            self._broken |= {
                one.name for one in table.schema if pa.types.is_integer(one.type) and table[one.name].null_count
            }
            rest = table if rest is None else pa.concat_tables([rest, table])
            while rest.num_rows >= BATCH:
                self._packed.append(_pack(rest.slice(0, BATCH)))
                rest = rest.slice(BATCH)
        if rest is not None and (rest.num_rows or not self._packed):
            self._packed.append(_pack(rest))
        super().__init__(typed(pa.concat_tables(map(_unpack, kept))))
        self._at: NDArray[np.int64] | None = None  # where a row is packed, if not at its own place
        self._last: tuple[int, pa.Table] | None = None

    def rows(self, places: NDArray[np.int64]) -> pd.DataFrame:
        """Return every column of the rows at these places, in their order, labelled by place."""
        import pyarrow as pa

        at = places if self._at is None else self._at[places]
        parts, back = [], np.empty(len(at), dtype="int64")
        done = 0
        for number in np.unique(at // BATCH):
            mine = np.flatnonzero(at // BATCH == number)
            parts.append(self._batch(int(number)).take(at[mine] - number * BATCH))
            back[mine] = np.arange(done, done + len(mine))
            done += len(mine)
        table = pa.concat_tables(parts or [self._batch(0).slice(0, 0)])
        return self._as_frame(table.take(back)).set_axis(places)

    def whole(self) -> pd.DataFrame:
        """Return all of it, unpacked."""
        return self.rows(np.arange(len(self._frame)))

    def in_order(self, order: NDArray[np.int64]) -> None:
        """Pack the rows in the order in which they will be asked for, or each piece would be all over the table."""
        if self._at is not None or bool((np.diff(order) > 0).all()):
            return
        import pyarrow as pa

        at = np.empty(len(order), dtype="int64")
        at[order] = np.arange(len(order))
        size = -(-len(self._packed) // _BINS) * BATCH
        bins: list[list[tuple[NDArray[np.int64], bytes]]] = [[] for _ in range(-(-len(order) // size))]
        for number, packed in enumerate(self._packed):
            table, to = _unpack(packed), at[number * BATCH : (number + 1) * BATCH]
            self._packed[number] = b""
            for one in np.unique(to // size):
                mine = np.flatnonzero(to // size == one)
                bins[one].append((to[mine], _pack(table.take(mine))))
        self._packed = []
        for parts in bins:
            to = np.concatenate([places for places, _ in parts])
            table = pa.concat_tables([_unpack(packed) for _, packed in parts]).take(np.argsort(to))
            parts.clear()
            self._packed += [_pack(table.slice(start, BATCH)) for start in range(0, table.num_rows, BATCH)]
        self._at, self._last = at, None

    def _as_frame(self, table: pa.Table) -> pd.DataFrame:
        for at, one in enumerate(table.schema):
            if one.name in self._broken:
                table = table.set_column(at, one.name, table[one.name].cast("float64"))
        return self._typed(table)

    def _batch(self, number: int) -> pa.Table:
        if self._last is None or self._last[0] != number:
            self._last = number, _unpack(self._packed[number])
        return self._last[1]


def _pack(table: pa.Table) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks())
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _unpack(packed: bytes) -> pa.Table:
    import pyarrow as pa

    with pa.ipc.open_stream(packed) as reader:
        return reader.read_all()
