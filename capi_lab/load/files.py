"""Open a file as text, CSV or JSON; whatever is wrong with it becomes one clear `LoadError`."""

from __future__ import annotations

import csv
import gzip
import io
import json
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from capi_lab.errors import LoadError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["open_text", "read_csv", "read_json_records", "require_columns"]

_GZIP = b"\x1f\x8b"


@contextmanager
def open_text(path: str | Path, *, errors: str = "strict") -> Iterator[IO[str]]:
    """Open a text file, plain or gzip, as UTF-8.

    Parameters
    ----------
    path : str or Path
    errors : str
        What to do with bytes that are not UTF-8; logs take ``backslashreplace``, as the servers themselves do.

    Raises
    ------
    LoadError
        The file is missing, empty, a truncated gzip, or not UTF-8; also while it is being read.
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            head = raw.read(2)
            if not head:
                raise LoadError(f"'{path.name}' is empty: export it again")
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if head == _GZIP else raw
            with io.TextIOWrapper(stream, encoding="utf-8-sig", errors=errors, newline="") as text:
                yield text
    except FileNotFoundError:
        raise LoadError(f"there is no file '{path.name}': check the path") from None
    except IsADirectoryError:
        raise LoadError(f"'{path.name}' is a folder: name a file in it") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise LoadError(f"'{path.name}' is a damaged or truncated gzip file: download it again") from None
    except UnicodeDecodeError:
        raise LoadError(f"'{path.name}' is not UTF-8 text: export it as UTF-8") from None


def read_csv(path: str | Path, *, delimiter: str = ",") -> pd.DataFrame:
    """Read a CSV file with every column as text; a repeated header name gets ``.1``, ``.2`` ...

    Raises
    ------
    LoadError
        As `open_text`; or a line has more fields than the header, or a quote is never closed.
    """
    import pandas as pd

    with open_text(path) as text:
        try:
            with warnings.catch_warnings():
                # A line longer than the header: pandas would warn and cut it, or take its start for an index.
                warnings.simplefilter("error", pd.errors.ParserWarning)
                return pd.read_csv(
                    text, sep=delimiter, dtype="str", index_col=False, keep_default_na=False, na_values=[""]
                )
        except pd.errors.EmptyDataError:
            raise LoadError(f"'{Path(path).name}' holds no columns: is it the right file?") from None
        except (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error) as error:
            where = "".join(ch for ch in str(error) if ch.isascii() and (ch.isdigit() or ch == " ")).split()
            line = f" near line {where[1]}" if len(where) > 1 else ""
            raise LoadError(
                f"'{Path(path).name}' cannot be split into columns by {delimiter!r}{line}: "
                "wrong delimiter, an unclosed quote, or a cut file"
            ) from None


def require_columns(frame: pd.DataFrame, names: list[str], path: str | Path, *, hint: str = "") -> None:
    """Raise `LoadError` naming the columns that are not there and those that are."""
    absent = [name for name in names if name not in frame.columns]
    if not absent:
        return
    if len(frame.columns) == 1:
        hint = "only one column was found: the delimiter is probably wrong"
    raise LoadError(
        f"'{Path(path).name}' lacks column{'s' * (len(absent) > 1)} {', '.join(map(repr, absent))}"
        + (f"; {hint}" if hint else "")
    )


def read_json_records(path: str | Path, *, under: tuple[str, ...] = ()) -> tuple[list[dict[str, Any]], int]:
    """Read objects from a JSON array, an object that wraps one, or JSON lines.

    Parameters
    ----------
    path : path
    under : tuple of str
        Keys that may wrap the array (``orders``) or a single object (``order``).

    Returns
    -------
    records : list of dict
    unparsable : int
        Lines, or array members, that are no JSON object.

    Raises
    ------
    LoadError
        As `open_text`; or the whole file is no JSON.
    """
    name = Path(path).name
    with open_text(path) as text:
        content = text.read()
    if not content.strip():
        raise LoadError(f"'{name}' is empty: export it again")
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        lines = [line for line in content.splitlines() if line.strip()]
        records = [_object(line) for line in lines]
        good = [record for record in records if record is not None]
        if not good:
            raise LoadError(f"'{name}' is neither JSON nor JSON lines: a cut or different file?") from None
        return good, len(lines) - len(good)
    if isinstance(whole, dict):
        wrapped = next((whole[key] for key in under if key in whole), whole)
        whole = wrapped if isinstance(wrapped, list) else [wrapped]
    if not isinstance(whole, list):
        raise LoadError(f"'{name}' holds no list of objects: is it the right file?")
    good = [record for record in whole if isinstance(record, dict)]
    return good, len(whole) - len(good)


def _object(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
