"""Any input to one Ibis table that keeps its contract, checked at the boundary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import ibis
import pandas as pd

from capi_lab.engine.places import backend_of, default_backend, instants, place_beside, run, to_frame
from capi_lab.errors import ContractError, InputError, LoadError
from capi_lab.tables import Table, checked

if TYPE_CHECKING:
    import pyarrow

__all__ = ["TableLike", "as_table", "same_kind"]

TableLike: TypeAlias = "pd.DataFrame | pyarrow.Table | ibis.Table | str | Path"


def as_table(data: TableLike, contract: Table, *, beside: ibis.Table | None = None) -> ibis.Table:
    """Turn any input into an Ibis table that keeps the contract.

    Parameters
    ----------
    data : DataFrame, pyarrow.Table, path or glob of Parquet files, or Ibis table
    contract : Table
        Checked here, at the boundary: a frame in pandas, anything else by one aggregate query.
    beside : Ibis table, optional
        Frames and Parquet paths are handed to this table's engine, so that the two can be joined.

    Returns
    -------
    Ibis table
        Same rows; times in UTC.

    Raises
    ------
    ContractError
        A column is missing, has the wrong type, or holds missing or repeated values where it must not.
    LoadError
        A path matches no file.
    InputError
        ``data`` is none of the above.
    """
    if isinstance(data, pd.DataFrame):
        return place_beside(_arrow(contract, checked(contract, data)), beside)
    if isinstance(data, str | Path):
        table = _open_parquet(data, beside)
    elif isinstance(data, ibis.Table):
        table = instants(data)
    elif type(data).__module__.startswith("pyarrow"):
        _refuse_names(contract, list(data.column_names))
        table = place_beside(data, beside)
    else:
        raise InputError(
            f"cannot read a {type(data).__name__} as table '{contract.name}': "
            "give a DataFrame, an Arrow table, a Parquet path or glob, or an Ibis table"
        )
    return _checked_by_query(contract, table)


def _refuse_names(contract: Table, names: list[Any]) -> None:
    """Refuse column names an engine cannot tell apart, or that are no text."""
    odd = [str(name) for name in names if not isinstance(name, str)]
    if odd:
        raise ContractError(contract.name, [(name, "column name is no text: rename it", None) for name in odd])
    folded = pd.Series([name.casefold() for name in names], dtype="object")
    twice = [names[i] for i in folded.index[folded.duplicated(keep=False)]]
    if twice:
        raise ContractError(
            contract.name, [(name, "column names differ by case only, or repeat: rename one", None) for name in twice]
        )


def _arrow(contract: Table, frame: pd.DataFrame) -> pyarrow.Table:
    """Hand a frame to the engine; a column of ours or of the caller's that cannot go there is named."""
    import pyarrow as pa

    _refuse_names(contract, list(frame.columns))
    arrays, problems = {}, []
    for name in frame.columns:
        try:
            array = pa.chunked_array(pa.array(frame[name], from_pandas=True))
        except (pa.ArrowException, TypeError, ValueError, NotImplementedError):
            array = None
        if array is None or isinstance(array.type, pa.BaseExtensionType) or pa.types.is_interval(array.type):
            problems.append(
                (name, f"{frame[name].dtype} cannot be carried through: drop the column or make it text", None)
            )
        else:
            arrays[name] = array
    if problems:
        raise ContractError(contract.name, problems)
    return pa.table(arrays)


def _open_parquet(path: str | Path, beside: ibis.Table | None) -> ibis.Table:
    text = str(path)
    folder, name = Path(text).parent, Path(text).name
    if "*" in name or "?" in name:
        found = any(folder.glob(name)) if not any(ch in str(folder) for ch in "*?") else True
    else:
        found = Path(text).exists()
    if not found:
        raise LoadError(f"no file matches the Parquet path '{Path(text).name}': check the folder and the pattern")
    backend = default_backend() if beside is None else backend_of(beside)
    try:
        return instants(backend.read_parquet(text))
    except Exception as error:  # each engine has its own error class
        raise LoadError(
            f"'{Path(text).name}' cannot be read as Parquet ({type(error).__name__}): "
            "use cl.load.table(...) for CSV or JSON"
        ) from None


def _checked_by_query(contract: Table, table: ibis.Table) -> ibis.Table:
    """Check schema, missing values, allowed values and uniqueness in one aggregate."""
    typed, query, meaning = checks(contract, table)
    if meaning:
        found = run(query).to_pylist()[0]
        failed = [(*meaning[key], int(n)) for key, n in found.items() if n]
        if failed:
            raise ContractError(contract.name, failed)
    return typed


def checks(contract: Table, table: ibis.Table) -> tuple[ibis.Table, ibis.Table, dict[str, tuple[str, str]]]:
    """Hold a table's schema to the contract and count what breaks it.

    Returns
    -------
    typed : Ibis table
        In the contract's types.
    query : Ibis table
        One row: how many values fail each check.
    meaning : dict
        Column and check behind each column of ``query``.

    Raises
    ------
    ContractError
        A column is missing or of the wrong type.
    """
    schema = table.schema()
    problems: list[tuple[str, str, int | None]] = [
        (name, "column is missing", None) for name in contract.required if name not in schema
    ]
    casts: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    meaning: dict[str, tuple[str, str]] = {}
    for column in contract.columns:
        if column.name not in schema:
            continue
        dtype, value = schema[column.name], table[column.name]
        wanted = {"text": "string", "time": "timestamp('UTC')", "number": "float64"}[column.kind]
        if dtype.is_null() or dtype.is_unknown():  # a Parquet column that is missing in every row
            casts[column.name] = ibis.null(wanted)
            value = casts[column.name]
        elif column.kind == "text" and not dtype.is_string():
            problems.append((column.name, f"is {dtype}, must be text", None))
        elif column.kind == "time" and not (dtype.is_timestamp() and dtype.timezone):
            problems.append((column.name, f"is {dtype}, must be a timestamp in UTC", None))
        elif column.kind == "number" and not dtype.is_numeric():
            problems.append((column.name, f"is {dtype}, must be a number", None))
        elif column.kind == "number":
            number = value.cast("float64")
            casts[column.name] = (
                ibis.ifelse(number.isnan(), ibis.null("float64"), number) if dtype.is_floating() else number
            )
        elif column.is_id and column.kind == "text":
            value = casts[column.name] = value.nullif("")
        for check, expr in _count_checks(column, value).items():
            key = f"c{len(counts)}"
            counts[key], meaning[key] = expr, (column.name, check)
    if problems:
        raise ContractError(contract.name, problems)
    query = table.aggregate([expr.name(key) for key, expr in counts.items()])
    return (table.mutate(**casts) if casts else table), query, meaning


def _count_checks(column: Any, value: Any) -> dict[str, Any]:
    checks = {}
    if column.required:
        checks["value is missing: drop or fill these rows"] = value.isnull().sum().fill_null(0)
    if column.unique:
        checks["value is not unique: drop or rename repeated rows"] = value.count() - value.nunique()
    if column.allowed:
        outside = value.notnull() & ~value.isin(column.allowed)
        checks[f"value is not one of {', '.join(column.allowed)}"] = outside.sum().fill_null(0)
    return checks


def same_kind(data: TableLike, table: ibis.Table) -> pd.DataFrame | ibis.Table:
    """Answer a DataFrame or Arrow input with a DataFrame, a Parquet or Ibis input with an Ibis table."""
    return table if isinstance(data, str | Path | ibis.Table) else to_frame(table)
