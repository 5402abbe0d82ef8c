"""Where tables lie: the embedded DuckDB, or the engine of the caller's Ibis table; pandas only at the edge."""

from __future__ import annotations

import itertools
import re
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import ibis
import pandas as pd

from capi_lab.errors import InputError

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "backend_of",
    "default_backend",
    "instants",
    "is_empty",
    "joins_asof",
    "limit_engine",
    "materialise",
    "place_beside",
    "run",
    "same_backend",
    "to_frame",
]

# Folders for what does not fit into memory; the last one is in use, all live as long as the process.
_SCRATCH: list[tempfile.TemporaryDirectory[str]] = []
_NUMBERS = itertools.count()
_WRITING = threading.Lock()
_WRITERS = [0, True]  # how many expressions are being written now, and what the caller's option was before


# -- the embedded engine -----------------------------------------------------------------------------------


@cache
def default_backend() -> Any:
    """Return the embedded DuckDB, one per process, in UTC whatever the machine's zone."""
    backend = ibis.duckdb.connect()
    backend.raw_sql("SET TimeZone = 'UTC'")
    if not sys.stdout.isatty():  # a progress bar is for people, not for pipes
        with suppress(duckdb.Error):  # in a notebook without ipywidgets there is none, and DuckDB says so
            backend.raw_sql("SET enable_progress_bar = false")
    _spill_into(backend, None)
    return backend


def limit_engine(memory: str | None = None, *, spill_to: str | Path | None = None, threads: int | None = None) -> None:
    """Bound what the embedded DuckDB takes of the machine; what does not fit into memory goes to disk.

    For frames, Arrow tables and Parquet paths. An Ibis table of your own is bounded by its connection:
    ``ibis.duckdb.connect(memory_limit="2GB", temp_directory=...)``.

    Parameters
    ----------
    memory : str, optional
        Such as ``"2GB"`` or ``"500MB"``. Default: leave as it is (DuckDB takes 80 % of the machine's).
    spill_to : path, optional
        An existing folder on a disk with room; a folder of ours inside it is removed when the process ends.
        Default: the system's temporary folder. Choose before the first large query.
    threads : int, optional
        At least 1.

    Raises
    ------
    InputError
        A value DuckDB cannot use, or a folder that is not there or that can no longer be changed.
    """
    backend = default_backend()
    if memory is not None and not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", memory):
        raise InputError("memory must be a size such as '2GB' or '500MB'")
    if threads is not None and threads < 1:
        raise InputError("threads must be at least 1")
    if spill_to is not None:
        _spill_into(backend, Path(spill_to))
    if memory is not None:
        # Without promising an order of rows the engine writes results as they come; nothing of ours relies on one.
        backend.raw_sql("SET preserve_insertion_order = false")
        backend.raw_sql(f"SET memory_limit = '{memory}'")
    if threads is not None:
        backend.raw_sql(f"SET threads = {int(threads)}")


def _scratch() -> Path:
    """Return the folder in use; a connection of the caller's may need one before the embedded engine starts."""
    if not _SCRATCH:
        _SCRATCH.append(tempfile.TemporaryDirectory(prefix="capi-lab-"))
    return Path(_SCRATCH[-1].name)


def _spill_into(backend: Any, parent: Path | None) -> None:
    """Let the engine, and `materialise`, write into a new folder of ours."""
    if parent is not None and not parent.is_dir():
        raise InputError(f"no folder '{parent.name}' to spill into: make it first")
    folder = tempfile.TemporaryDirectory(prefix="capi-lab-", dir=parent)
    quoted = str(Path(folder.name) / "spill").replace("'", "''")
    try:
        backend.raw_sql(f"SET temp_directory = '{quoted}'")
    except Exception:  # DuckDB's own class
        raise InputError("the engine has spilled already: choose the folder before the first large query") from None
    _SCRATCH.append(folder)


# -- which engine ------------------------------------------------------------------------------------------


def _backends(table: ibis.Table) -> tuple[list[Any], bool]:
    """Return the backends a table reads from, and whether it reads from a table that lies nowhere."""
    return table._find_backends()  # type: ignore[no-any-return]


def backend_of(table: ibis.Table) -> Any:
    """Return the backend a table lives on; memtables belong to none, so DuckDB takes them."""
    backends, _ = _backends(table)
    return backends[0] if backends else default_backend()


def same_backend(first: ibis.Table, second: ibis.Table) -> None:
    """Raise `InputError` unless two tables can be joined where they lie."""
    ours, theirs = _backends(first)[0], _backends(second)[0]
    if ours and theirs and ours[0] is not theirs[0]:
        raise InputError("the tables live on different databases: read both through one connection, or as frames")


def joins_asof(*tables: ibis.Table) -> bool:
    """Tell whether the engine of these tables joins as-of on a (time, id) pair; else an ordered window must do."""
    return all(backend_of(table).name == "duckdb" for table in tables)


def _is_spark(backend: Any) -> bool:
    return bool(backend.name == "pyspark")


# -- rows in and out ---------------------------------------------------------------------------------------


def place_beside(rows: pyarrow.Table | pd.DataFrame, table: ibis.Table | None) -> ibis.Table:
    """Hand rows to the engine another table lives on.

    Parameters
    ----------
    rows : Arrow table, or DataFrame
    table : Ibis table, optional
        Without one, or where it lives nowhere, the rows may go anywhere.

    Returns
    -------
    Ibis table
    """
    import pyarrow as pa

    arrow = pa.Table.from_pandas(rows, preserve_index=False) if isinstance(rows, pd.DataFrame) else rows
    memory = ibis.memtable(arrow)
    backend = next(iter(_backends(table)[0]), None) if table is not None else None
    if backend is None or backend is default_backend():
        return memory
    # Bound to its engine here: a table in memory belongs to none, and would go to the embedded one when run alone.
    if _is_spark(backend):
        # Not by Ibis, which goes through pandas: a missing text may become the text "NaN" there.
        session = backend.raw_sql("SELECT 1").sparkSession
        return _view(backend, session.createDataFrame(arrow.replace_schema_metadata()), memory.schema())
    if backend.name == "duckdb":
        return _parquet(backend, memory)
    return backend.create_table(ibis.util.gen_name("capi_lab"), arrow, temp=True).cast(memory.schema())


@contextmanager
def _step_by_step() -> Iterator[None]:
    """Write selects one in the other, as they were said: DuckDB folds them itself, and in a fraction of Ibis's time.

    The option is the process's, so the first to come sets it and the last to go puts the caller's back.
    """
    with _WRITING:
        if not _WRITERS[0]:
            _WRITERS[1] = ibis.options.sql.fuse_selects
            ibis.options.sql.fuse_selects = False
        _WRITERS[0] += 1
    try:
        yield
    finally:
        with _WRITING:
            _WRITERS[0] -= 1
            if not _WRITERS[0]:
                ibis.options.sql.fuse_selects = bool(_WRITERS[1])


def _parquet(backend: Any, table: ibis.Table) -> ibis.Table:
    """Write a result to a file of ours and read it from there."""
    path = _scratch() / f"{next(_NUMBERS)}.parquet"
    with _step_by_step():
        backend.to_parquet(table, path)
    # Parquet has no name for some of DuckDB's own types: a sum of whole numbers would come back as floats.
    return backend.read_parquet(path).cast(table.schema())


def _view(backend: Any, frame: Any, schema: ibis.Schema) -> ibis.Table:
    """Name a Spark frame for as long as anything refers to it."""
    name = ibis.util.gen_name("capi_lab")
    frame.createOrReplaceTempView(name)
    view = backend.table(name)
    weakref.finalize(view.op(), _forget, frame.sparkSession, name).atexit = False
    return view.cast(schema)


def _forget(session: Any, name: str) -> None:
    with suppress(Exception):  # the session may be gone
        session.catalog.dropTempView(name)


def instants(table: ibis.Table) -> ibis.Table:
    """Give Spark's instants the zone that Ibis leaves out of their type; its zoneless times stay zoneless."""
    backends, _ = _backends(table)
    plain = [name for name, dtype in table.schema().items() if dtype.is_timestamp() and not dtype.timezone]
    if not plain or not backends or not _is_spark(backends[0]):
        return table
    fields = backends[0].raw_sql(backends[0].compile(table.select(plain))).schema.fields
    found = [field.name for field in fields if field.dataType.typeName() == "timestamp"]
    return table.cast(dict.fromkeys(found, "timestamp('UTC')")) if found else table


def run(table: ibis.Table) -> pyarrow.Table:
    """Run an expression where it lies and return Arrow; times in UTC whatever the session's zone."""
    backend = backend_of(table)
    if backend.name == "duckdb":
        with _step_by_step():
            return backend.to_pyarrow(table)
    if not _is_spark(backend):
        return backend.to_pyarrow(table)
    # Ibis goes through pandas here, which loses the zone and warns; Spark hands out Arrow itself.
    return _spark_frame(backend, table).toArrow().cast(table.schema().to_pyarrow())


def _spark_frame(backend: Any, table: ibis.Table) -> Any:
    backend._run_pre_execute_hooks(table)
    return backend.raw_sql(backend.compile(table))


def to_frame(table: ibis.Table) -> pd.DataFrame:
    """Run an expression and return pandas: text as ``str``, times as ``datetime64[us, UTC]``."""
    return in_pandas(run(table))


def in_pandas(table: pyarrow.Table) -> pd.DataFrame:
    """Return an Arrow table as pandas: text as ``str``, times as ``datetime64[us, UTC]``."""
    frame: pd.DataFrame = table.to_pandas()
    for name, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.DatetimeTZDtype):
            frame[name] = frame[name].dt.tz_convert("UTC").dt.as_unit("us")
    return frame


def batches(table: ibis.Table, rows: int) -> Iterator[pyarrow.RecordBatch]:
    """Run an expression and yield Arrow batches of about so many rows, one at least; DuckDB's as they come.

    Ask nothing else of the engine before the last one: its connection has one answer at a time.
    """
    import pyarrow as pa

    backend, n = backend_of(table), 0
    if backend.name == "duckdb":
        # Not Ibis's own way: DuckDB 2 renamed what it calls.
        backend._run_pre_execute_hooks(table)
        with _step_by_step():
            answer = backend.con.sql(backend.compile(table))
        found = (getattr(answer, "to_arrow_reader", None) or answer.fetch_arrow_reader)(rows)
    else:
        found = run(table).to_batches(max_chunksize=rows)
    for batch in found:
        n += 1
        yield batch
    if not n:
        yield pa.RecordBatch.from_pylist([], schema=table.schema().to_pyarrow())


def materialise(table: ibis.Table) -> ibis.Table:
    """Run an expression once and return a table that only reads the result.

    On DuckDB, the embedded one or the caller's, the result is a temporary Parquet file that lives as long as the
    process: it may be larger than memory. Spark checkpoints it: to the session's checkpoint folder where one is set,
    else on its executors, memory first, then disk. Any other engine makes a temporary table. What no table refers to
    any more is let go. A table that lies nowhere (`ibis.table`) has nothing to run and comes back as it is, so that
    its SQL can be written.
    """
    backends, lies_nowhere = _backends(table)
    if lies_nowhere:
        return table
    backend = backends[0] if backends else default_backend()
    if backend.name == "duckdb":
        return _parquet(backend, table)
    if _is_spark(backend):
        # Not persist: Spark would look through the whole history of every table again with each new query.
        frame = _spark_frame(backend, table)
        return _view(backend, frame.checkpoint() if _has_folder(frame) else frame.localCheckpoint(), table.schema())
    return table.cache().cast(table.schema())


def _has_folder(frame: Any) -> bool:
    """Say whether the user gave Spark a folder for checkpoints; a remote session does not tell."""
    try:
        return frame.sparkSession.sparkContext.getCheckpointDir() is not None
    except Exception:
        return False


def is_empty(table: ibis.Table) -> bool:
    """Say whether an expression has no rows; a table that lies nowhere is taken to have some."""
    return not _backends(table)[1] and run(table.limit(1)).num_rows == 0
