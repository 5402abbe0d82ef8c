"""Rows to one Parquet file, piece by piece, without ever holding all of them."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from capi_lab.errors import LoadError
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import pandas as pd

__all__ = ["Repeat", "RowWriter", "Surplus", "numbered", "surplus_rows"]

_GROUP = 200_000  # rows; small pieces are gathered to row groups of about this size
_MEMORY = "400MB"  # DuckDB goes to disk beyond this


@dataclass(frozen=True, slots=True)
class Repeat:
    """When a row only repeats another: it has the same keys, and comes later.

    Parameters
    ----------
    keys : tuple of str
        Columns. With ``time``, missing equals missing; without, a missing id repeats nothing.
    reason : LoadDrop or None
        Why it is dropped. None: it is kept, and counted under ``note``.
    time : str, optional
        Then only a row at most ``seconds`` after the one before it repeats it.
    seconds : float
    order : str
        Decides between rows of equal ``time``.
    note : str
        With ``{n}`` for how many.
    only : tuple of str
        Column and the value a row must have there to be looked at.
    number : str
        Column that becomes the key with ``#2``, ``#3`` ... behind it, by the order of the rows.
    """

    keys: tuple[str, ...]
    reason: LoadDrop | None
    time: str = ""
    seconds: float = 0.0
    order: str = ""
    note: str = ""
    only: tuple[str, str] | tuple[()] = ()
    number: str = ""


@dataclass(frozen=True, slots=True)
class Surplus:
    """Rows that only repeat another: their positions, from 0, ascending, and which of its like each is, from 2.

    Parameters
    ----------
    rows, nth : ndarray of int64
        Without a meaning in ``nth`` where the rule goes by time.
    """

    rows: np.ndarray
    nth: np.ndarray


def surplus_rows(rows: Any, repeats: Sequence[Repeat]) -> list[Surplus]:
    """Find the rows that only repeat another.

    Parameters
    ----------
    rows : DataFrame or list of Path
        A table, or the Parquet files it is in, in order.
    repeats : sequence of Repeat
        A row that one of them takes out is not there for the next.

    Returns
    -------
    list of Surplus
        For each of ``repeats``.
    """
    import duckdb
    import numpy as np

    if not repeats:
        return []
    names = sorted({name for one in repeats for name in (*one.keys, one.time, one.order, *one.only[:1]) if name})
    columns = ", ".join(f'"{name}"' for name in names)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        con.execute(f"SET memory_limit = '{_MEMORY}'; SET temp_directory = '{folder}'; SET TimeZone = 'UTC'")
        with suppress(duckdb.Error):  # the load has a bar of its own; a notebook without widgets refuses the switch
            con.execute("SET enable_progress_bar = false")
        if isinstance(rows, list):
            before = _rows_before(rows)
            con.register("before", before)
            con.from_parquet(
                [str(file) for file in rows], filename=True, file_row_number=True, union_by_name=True
            ).create_view("files")
            con.execute(
                f"CREATE VIEW rows AS SELECT {columns}, file_row_number + rows_before AS n "  # noqa: S608
                "FROM files JOIN before USING (filename)"
            )
        else:
            con.register("rows", rows[names].assign(n=range(len(rows))))
        con.execute("CREATE TABLE gone (n BIGINT)")
        found = []
        for one in repeats:
            surplus = con.execute(_query(one), one.only[1:]).fetchnumpy()
            found.append(Surplus(surplus["n"].astype("int64"), surplus.get("nth", np.empty(0)).astype("int64")))
            if one.reason is not None:
                con.register("more", _frame(found[-1].rows))
                con.execute("INSERT INTO gone SELECT n FROM more")
        return found


def _query(one: Repeat) -> str:
    """Write the query for the positions of surplus rows; the names in it are our contracts' own."""
    keys = ", ".join(f'"{key}"' for key in one.keys)
    only = f' WHERE "{one.only[0]}" = ?' if one.only else ""
    rows = f"(SELECT * FROM rows ANTI JOIN gone USING (n){only})"  # noqa: S608
    if not one.time:
        # Only ids that occur twice are joined: usually none is.
        present = " AND ".join(f'"{key}" IS NOT NULL' for key in one.keys)
        twice = f"SELECT {keys} FROM looked WHERE {present} GROUP BY {keys} HAVING count(*) > 1"  # noqa: S608
        like = f"row_number() OVER (PARTITION BY {keys} ORDER BY n)"
        nth = f"SELECT n, {like} AS nth FROM looked JOIN ({twice}) USING ({keys})"  # noqa: S608
        return f"WITH looked AS {rows} SELECT n, nth FROM ({nth}) WHERE nth > 1 ORDER BY n"  # noqa: S608
    gap = f'epoch_us("{one.time}") - epoch_us(lag("{one.time}") OVER same)'
    same = f'WINDOW same AS (PARTITION BY {keys} ORDER BY "{one.time}", "{one.order}")'
    gaps = f"SELECT n, {gap} AS gap FROM {rows} {same}"  # noqa: S608
    return f"SELECT n FROM ({gaps}) WHERE gap <= {round(one.seconds * 1e6)} ORDER BY n"  # noqa: S608


def _rows_before(files: list[Path]) -> pd.DataFrame:
    import pandas as pd
    from pyarrow import parquet

    counts = pd.Series([parquet.read_metadata(file).num_rows for file in files], dtype="int64")
    return pd.DataFrame({"filename": [str(file) for file in files], "rows_before": counts.cumsum() - counts})


def _frame(numbers: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"n": numbers})


def numbered(table: Any, start: int, rule: Repeat, surplus: Surplus) -> Any:
    """Write the key with its number over the ids of surplus rows.

    Parameters
    ----------
    table : pyarrow.Table
    start : int
        Position of its first row among all rows.
    rule : Repeat
        One with ``number``.
    surplus : Surplus
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    low, high = np.searchsorted(surplus.rows, [start, start + table.num_rows])
    if low == high:
        return table
    rows, nth = surplus.rows[low:high] - start, surplus.nth[low:high]
    keys = table[rule.keys[0]].combine_chunks().take(pa.array(rows)).cast(pa.string())
    names = pc.binary_join_element_wise(keys, pc.cast(pa.array(nth), pa.string()), "#").cast(pa.large_string())
    mask = np.zeros(table.num_rows, bool)
    mask[rows] = True
    at = table.column_names.index(rule.number)
    column = table[rule.number].combine_chunks().cast(pa.large_string())
    named = pc.replace_with_mask(column, pa.array(mask), names)
    return table.set_column(at, rule.number, named.cast(table.schema.field(at).type))


class RowWriter:
    """A Parquet file in the making; it appears under its name only when it is complete.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    LoadError
        The folder is not there or cannot be written to.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._files: list[Path] = []
        self._writer: Any = None
        self._pending: list[Any] = []
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=".loading-", dir=self.path.parent))
        except OSError as error:
            raise LoadError(
                f"'{self.path.name}' cannot be written ({type(error).__name__}): check that its folder exists"
            ) from None

    def __enter__(self) -> RowWriter:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Throw away what was not finished."""
        self._close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, frame: pd.DataFrame) -> None:
        """Add rows; their columns may differ from those before."""
        import pyarrow as pa

        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        if self._pending and self._pending[0].schema != table.schema:
            self._flush()
        self._pending.append(table)
        if sum(one.num_rows for one in self._pending) >= _GROUP:
            self._flush()

    def surplus(self, repeats: Sequence[Repeat]) -> list[Surplus]:
        """Find the written rows that only repeat another; see `surplus_rows`."""
        self._close()
        return surplus_rows(self._files, repeats)

    def finish(
        self,
        without: np.ndarray | None = None,
        order: Sequence[str] = (),
        change: Callable[[Any, int], Any] | None = None,
    ) -> None:
        """Put the file in its place.

        Parameters
        ----------
        without : ndarray, optional
            Positions of rows to leave out.
        order : sequence of str
            Columns that come first.
        change : callable, optional
            What to make of a run of rows, an Arrow table, and the position of its first.
        """
        self._close()
        if len(self._files) == 1 and (without is None or not len(without)) and change is None:
            self._move(self._files[0])
            return
        self._move(self._rewritten(without, order, change))

    def _rewritten(
        self, without: np.ndarray | None, order: Sequence[str], change: Callable[[Any, int], Any] | None
    ) -> Path:
        import numpy as np
        import pyarrow as pa
        from pyarrow import parquet

        schema = pa.unify_schemas([parquet.read_schema(file) for file in self._files])
        known = [name for name in order if name in schema.names]
        schema = pa.schema([schema.field(name) for name in [*known, *(n for n in schema.names if n not in known)]])
        result, position = self._folder / "result.parquet", 0
        with parquet.ParquetWriter(result, schema, compression="zstd") as writer:
            for file in self._files:
                with parquet.ParquetFile(file) as pieces:
                    for batch in pieces.iter_batches(_GROUP):
                        numbers = np.arange(position, position + batch.num_rows)
                        keep = np.ones(len(numbers), bool) if without is None else ~np.isin(numbers, without)
                        table = pa.Table.from_batches([batch])
                        table = (table if change is None else change(table, position)).filter(pa.array(keep))
                        position += batch.num_rows
                        columns = [
                            table[one.name] if one.name in table.column_names else pa.nulls(table.num_rows, one.type)
                            for one in schema
                        ]
                        writer.write_table(pa.table(columns, schema=schema))
        return result

    def _flush(self) -> None:
        """Write what is pending as one row group, to a new file where the columns changed."""
        import pyarrow as pa
        from pyarrow import parquet

        if not self._pending:
            return
        table = pa.concat_tables(self._pending)
        self._pending = []
        if self._writer is not None and self._writer.schema != table.schema:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._files.append(self._folder / f"{len(self._files)}.parquet")
            self._writer = parquet.ParquetWriter(self._files[-1], table.schema, compression="zstd")
        self._writer.write_table(table)

    def _close(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _move(self, file: Path) -> None:
        try:
            file.replace(self.path)
        except OSError as error:
            raise LoadError(f"'{self.path.name}' cannot be replaced ({type(error).__name__})") from None
