"""A file that already is one of our tables, or becomes one by renaming columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capi_lab.errors import LoadError
from capi_lab.load.clicks import add_click_ids
from capi_lab.load.files import read_csv, read_json_records, read_parquet, require_columns
from capi_lab.load.marks import Mark
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.values import (
    as_text,
    blank_to_missing,
    currency_codes,
    event_times,
    money,
    repeats,
    text_column,
)
from capi_lab.tables import TABLES, Table, contract
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["table"]

MARKS = {
    "table": tuple(
        Mark(fields=(one.required,), options={"kind": one.name}) for one in TABLES.values() if one.name != "reports"
    )
}


def table(
    path: str | Path,
    kind: str,
    columns: Mapping[str, str] | None = None,
    tz: str | None = None,
    *,
    delimiter: str = ",",
) -> Loaded:
    """Read a CSV, JSON, JSON-lines or Parquet file as one of the contract tables.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv``, ``.json``, ``.jsonl``/``.ndjson`` (each also ``.gz``) or ``.parquet``.
    kind : str
        ``conversions``, ``events``, ``clicks``, ``visits``, ``reports`` or ``receipts``.
    columns : mapping, optional
        Their column name to ours, e.g. ``{"Order": "conversion_id"}``. Columns not named keep their name.
    tz : str, optional
        Zone of times that carry none, e.g. ``"Europe/Berlin"``. No default: a guess moves events across days.
    delimiter : str
        Of a CSV file.

    Returns
    -------
    Loaded
        Rows without an id or a time are dropped and counted, and so are later rows of a repeated id.
        Events and clicks without a row id get one from their line; cookie columns ``_fbc``, ``_fbp`` ...
        are read where ``fbc``, ``fbp`` are absent.

    Raises
    ------
    LoadError
        The file cannot be read, or a required column is missing.
    NaiveTimeError
        Times carry no zone and ``tz`` is not given.
    ContractError
        A value is outside the contract.
    """
    wanted = contract(kind)
    frame, unparsable, format_ = _read(Path(path), delimiter)
    frame = _renamed(frame, columns or {}, path)
    intake = Intake(Path(path).name, format_, frame, unparsable=unparsable)
    unique = next((column.name for column in wanted.columns if column.unique), None)
    if unique and unique not in frame.columns and kind != "conversions":
        intake.note(f"no column '{unique}': rows are numbered as they stand in the file")
        frame = frame.assign(**{unique: text_column(f"{Path(path).name}:{n}" for n in range(1, len(frame) + 1))})
        frame = intake.frame = frame.set_axis(intake.frame.index)
    require_columns(frame, list(wanted.required), path, hint="map yours with columns={'theirs': 'ours'}")
    for name in frame.columns:
        column = next((c for c in wanted.columns if c.name == name), None)
        if (column is None and frame[name].dtype == "object") or (column and column.kind == "text"):
            frame = frame.assign(**{name: _as_text(frame[name], ids=bool(column and column.is_id))})
    intake.frame = frame
    for name in wanted.required:
        if wanted.column(name).kind == "text":
            reason = LoadDrop.NO_ID if wanted.column(name).is_id else LoadDrop.UNPARSABLE
            intake.drop(intake.frame[name].isna(), reason)
    return intake.loaded(wanted, _typed(intake, wanted, tz, unique))


def _read(path: Path, delimiter: str) -> tuple[pd.DataFrame, int, str]:
    import pandas as pd

    suffix = next((s for s in reversed(path.suffixes) if s != ".gz"), "").lower()
    if suffix == ".parquet":
        # Whole numbers beside missing ones stay whole: as floats, long ids would be rounded.
        return read_parquet(path).to_pandas(integer_object_nulls=True), 0, "Parquet"
    if suffix in (".json", ".jsonl", ".ndjson"):
        records, unparsable = read_json_records(path)
        names = list(dict.fromkeys(name for record in records for name in record))
        columns = {name: pd.Series([record.get(name) for record in records], dtype="object") for name in names}
        return pd.DataFrame(columns, index=range(len(records))), unparsable, "JSON"
    if suffix in (".csv", ".tsv", ".txt", ""):
        return read_csv(path, delimiter="\t" if suffix == ".tsv" else delimiter), 0, "CSV"
    raise LoadError(f"'{path.name}': cannot tell the format from '{suffix}'; use .csv, .json, .jsonl or .parquet")


def _renamed(frame: pd.DataFrame, columns: Mapping[str, str], path: str | Path) -> pd.DataFrame:
    if columns:
        require_columns(frame, list(columns), path, hint="the mapping is {'theirs': 'ours'}")
    renamed = frame.rename(columns=dict(columns))
    double = sorted(set(renamed.columns[renamed.columns.duplicated()]))
    if double:
        raise LoadError(f"two columns would both be called {', '.join(map(repr, double))}: map only one of them")
    return renamed


def _as_text(values: pd.Series, *, ids: bool) -> pd.Series:
    values = blank_to_missing(as_text(values))
    return values.mask(values == "0") if ids else values


def _typed(intake: Intake, wanted: Table, tz: str | None, unique: str | None) -> pd.DataFrame:
    """Convert times and numbers, drop what has no time, read cookie columns, drop repeated ids."""
    import pandas as pd

    for column in wanted.columns:
        if column.kind == "time" and column.name in intake.frame:
            times = event_times(intake.frame[column.name], intake, tz=tz, column=column.name, drop=column.required)
            intake.frame = intake.frame.assign(**{column.name: times})
    frame = intake.frame
    for column in wanted.columns:
        if column.kind == "number" and column.name in frame and not pd.api.types.is_numeric_dtype(frame[column.name]):
            frame = frame.assign(**{column.name: money(_as_text(frame[column.name], ids=False), intake, column.name)})
    if "currency" in frame:
        frame = frame.assign(currency=currency_codes(frame["currency"], intake))
    if "origin" in wanted.names and "origin" not in frame:
        frame = frame.assign(origin="real")
    cookies = [name for name in ("_fbc", "_fbp", "_gcl_aw", "_ttp", "_uetmsclkid") if name in frame]
    ours = [name for name in ("fbc", "fbp") if name in frame and wanted.name != "clicks"]
    if cookies or ours:
        header = _cookie_header(frame, [(n, n) for n in cookies] + [(n, f"_{n}") for n in ours])
        # The grammar decides what is kept: a malformed fbc column is used no more than a malformed cookie.
        frame = add_click_ids(frame.drop(columns=ours), intake, cookies=header)
    intake.frame = frame
    if unique:
        again = repeats(frame[unique])
        if again.any():
            whole = frame.duplicated(keep="first") & again
            intake.note_count(
                int((again & ~whole).sum()),
                "{n} rows repeat an id with other values; the first row of each id was kept",
            )
        intake.drop(again, LoadDrop.DUPLICATE_ID)
    return intake.frame


def _cookie_header(frame: pd.DataFrame, names: list[tuple[str, str]]) -> pd.Series:
    """Write cookie columns as the header they came from, so that one grammar reads them all."""
    parts: Any = None
    for column, cookie in names:
        piece = (f"{cookie}=" + frame[column].astype("str")).fillna("")
        parts = piece if parts is None else parts + "; " + piece
    return parts
