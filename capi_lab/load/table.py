"""A file that already is one of our tables, or becomes one by renaming columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capi_lab.errors import LoadError
from capi_lab.load.clicks import add_click_ids
from capi_lab.load.files import (
    Part,
    Paths,
    piece_of,
    read_csv,
    read_json_lines,
    read_json_records,
    read_parquet,
    require_columns,
)
from capi_lab.load.gather import Split, gather
from capi_lab.load.result import Intake, Loaded
from capi_lab.load.signatures import Signature
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

SIGNATURES = {
    "table": tuple(
        Signature(fields=(one.required,), options={"kind": one.name})
        for one in TABLES.values()
        if one.name != "reports"
    )
}


def table(
    path: Paths,
    kind: str,
    columns: Mapping[str, str] | None = None,
    tz: str | None = None,
    *,
    delimiter: str = ",",
    to: str | Path | None = None,
) -> Loaded:
    """Read CSV, JSON, JSON-lines or Parquet files as one of the contract tables.

    Parameters
    ----------
    path : str, Path or list
        File, pattern or list of them: ``.csv``, ``.tsv``, ``.json``, ``.jsonl``/``.ndjson`` (each also ``.gz`` or
        ``.zst``) or ``.parquet``. JSON lines may be larger than memory; a file of another format is read whole.
    kind : str
        ``conversions``, ``events``, ``clicks``, ``visits``, ``reports`` or ``receipts``.
    columns : mapping, optional
        Their column name to ours, e.g. ``{"Order": "conversion_id"}``. Columns not named keep their name.
    tz : str, optional
        Zone of times that carry none, e.g. ``"Europe/Berlin"``. No default: a guess moves events across days.
    delimiter : str
        Of a CSV file.
    to : str or Path, optional
        Parquet file to write the rows to as they are read, in the order of the files, instead of holding them.

    Returns
    -------
    Loaded
        Rows without an id or a time are dropped and counted, and so are later rows of a repeated id.
        Events, clicks and visits without a row id get one from their place in the file; cookie columns ``_fbc``,
        ``_fbp`` ... are read where ``fbc``, ``fbp`` are absent.

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
    return gather(path, lambda part: _table(part, wanted, columns or {}, tz, delimiter), split=_split, to=to)


def _split(file: Part) -> Split:
    return "json" if _suffix(file.path) in _JSON else "files"


def _table(path: Part, wanted: Table, columns: Mapping[str, str], tz: str | None, delimiter: str) -> Loaded:
    frame, places, unparsable, format_ = _read(path, delimiter)
    frame, doubt = _with_columns(frame, list(columns), path, hint="the mapping is {'theirs': 'ours'}")
    frame = _renamed(frame, columns)
    intake = Intake(path.name, format_, frame, unparsable=unparsable)
    unique = next((column.name for column in wanted.columns if column.unique), None)
    if unique and unique != "conversion_id":
        frame = _numbered(frame, unique, path.name, places, intake)
    hint = "map yours with columns={'theirs': 'ours'}"
    frame, lacking = _with_columns(frame, list(wanted.required), path, hint=hint)
    intake.doubt = doubt or lacking
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


_JSON = (".json", ".jsonl", ".ndjson")


def _suffix(path: Path) -> str:
    return next((s for s in reversed(path.suffixes) if s.lower() not in (".gz", ".zst")), "").lower()


def _read(path: Part, delimiter: str) -> tuple[pd.DataFrame, Sequence[int], int, str]:
    """Return the rows, the place of each in the file, how many could not be read, and the format."""
    import pandas as pd

    suffix = _suffix(path.path)
    if suffix in _JSON:
        if piece_of(path) is not None:
            records, places, unparsable = read_json_lines(path)
        else:
            records, unparsable = read_json_records(path)
            places = list(range(1, len(records) + 1))
        names = list(dict.fromkeys(name for record in records for name in record))
        columns = {name: pd.Series([record.get(name) for record in records], dtype="object") for name in names}
        return pd.DataFrame(columns, index=range(len(records))), places, unparsable, "JSON"
    if suffix == ".parquet":
        # Whole numbers beside missing ones stay whole: as floats, long ids would be rounded.
        frame, format_ = read_parquet(path).to_pandas(integer_object_nulls=True), "Parquet"
    elif suffix in (".csv", ".tsv", ".txt", ""):
        frame, format_ = read_csv(path, delimiter="\t" if suffix == ".tsv" else delimiter), "CSV"
    else:
        raise LoadError(f"'{path.name}': cannot tell the format from '{suffix}'; use .csv, .json, .jsonl or .parquet")
    return frame, range(1, len(frame) + 1), 0, format_


def _numbered(frame: pd.DataFrame, unique: str, name: str, places: Sequence[int], intake: Intake) -> pd.DataFrame:
    """Give rows without a row id one from their place in the file, so that none is lost for want of one."""
    made = text_column(f"{name}:{place}" for place in places).set_axis(frame.index)
    own = _as_text(frame[unique], ids=True) if unique in frame.columns else text_column([None] * len(frame))
    own = own.set_axis(frame.index)
    intake.note_count(int(own.isna().sum()), "{n} rows without '" + unique + "' are numbered as they stand in the file")
    return frame.assign(**{unique: own.fillna(made)})


def _with_columns(
    frame: pd.DataFrame, names: list[str], path: Part, *, hint: str
) -> tuple[pd.DataFrame, LoadError | None]:
    """Refuse a file that lacks a column; in a piece of one, whose other lines may have it, nobody has a value."""
    try:
        require_columns(frame, names, path, hint=hint)
    except LoadError as error:
        if piece_of(path) is None:
            raise
        absent = [name for name in names if name not in frame.columns]
        return frame.assign(**{name: text_column([None] * len(frame)) for name in absent}), error
    return frame, None


def _renamed(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
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
