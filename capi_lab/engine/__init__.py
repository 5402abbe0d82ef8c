"""Any input to one Ibis expression, pandas out at the edge.

A DataFrame, an Arrow table, a Parquet path or glob, or an Ibis table goes in (`inputs`); code in between is written
once in Ibis, with the few words Ibis lacks from `portable`; the embedded DuckDB runs it unless the caller's Ibis table
lives elsewhere (`places`).
"""

from capi_lab.engine.inputs import TableLike, as_table, same_kind
from capi_lab.engine.places import (
    backend_of,
    batches,
    default_backend,
    in_pandas,
    is_empty,
    joins_asof,
    limit_engine,
    materialise,
    place_beside,
    run,
    same_backend,
    to_frame,
)
from capi_lab.engine.portable import epoch_microseconds, from_epoch_microseconds

__all__ = [
    "TableLike",
    "as_table",
    "backend_of",
    "batches",
    "default_backend",
    "epoch_microseconds",
    "from_epoch_microseconds",
    "in_pandas",
    "is_empty",
    "joins_asof",
    "limit_engine",
    "materialise",
    "place_beside",
    "run",
    "same_backend",
    "same_kind",
    "to_frame",
]
