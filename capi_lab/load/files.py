"""Name, open and decompress files; read them as text, CSV or JSON. What is wrong becomes one clear `LoadError`."""

from __future__ import annotations

import csv
import glob
import gzip
import io
import json
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from capi_lab.errors import LoadError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "Part",
    "Paths",
    "Source",
    "is_parquet",
    "looks_like_json",
    "name_of",
    "open_bytes",
    "open_text",
    "piece_of",
    "plain_errors",
    "read_csv",
    "read_json_lines",
    "read_json_records",
    "read_parquet",
    "require_columns",
    "source_files",
]

_WARNINGS = Lock()  # what becomes of them is a setting of all threads
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Part:
    """One file, or a run of whole lines of one; every reader here takes it where it takes a path.

    Parameters
    ----------
    name : str
        File name without its folder, no two files of one load alike; for messages and row ids.
    path : Path
    first : int
        Number of the first line, from 1.
    data : bytes, optional
        The lines, decompressed, without a byte-order mark. None: the whole file, still to be read.
    is_json : bool
        ``data`` are JSON lines, as the beginning of the file showed.
    """

    name: str
    path: Path
    first: int = 1
    data: bytes | None = None
    is_json: bool = False


Paths: TypeAlias = str | Path | Sequence[str | Path]
"""What a loader takes: a path, a pattern such as ``logs/*.gz``, or a list of them."""

Source: TypeAlias = str | Path | Part
"""What a reader takes: one file, or a part of one."""


def name_of(source: Source) -> str:
    """Return the file's name without its folder."""
    return source.name if isinstance(source, Part) else Path(source).name


def piece_of(source: Source) -> bytes | None:
    """Return the lines of a part of a file; None for a whole file, still to be read."""
    return source.data if isinstance(source, Part) else None


def source_files(path: Paths) -> list[Part]:
    """List the files a path, a pattern or a list of them stands for.

    Returns
    -------
    list of Part
        In the order given, the files of a pattern sorted by path; each file once, however often it was named.
        Files that share a name get ``#2``, ``#3`` ... behind it, or their row ids would be the same.

    Raises
    ------
    LoadError
        A pattern matches nothing, or the list is empty.
    """
    found: dict[Path, None] = {}
    for one in [path] if isinstance(path, str | Path) else path:
        text = str(one)
        if glob.has_magic(text) and not _exists(one):
            matches = sorted(name for name in glob.glob(text, recursive=True) if Path(name).is_file())
            if not matches:
                raise LoadError(f"no file matches '{Path(text).name}': check the pattern and its folder")
            found.update((Path(name), None) for name in matches)
        else:
            found[Path(one)] = None
    if not found:
        raise LoadError("the list of files is empty: name at least one")
    files, seen, times = [], set(), dict[str, int]()
    for file in found:
        if _identity(file) in seen:
            continue
        seen.add(_identity(file))
        times[file.name] = nth = times.get(file.name, 0) + 1
        files.append(Part(file.name if nth == 1 else f"{file.name}#{nth}", file))
    return files


def _exists(path: str | Path) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def _identity(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError):
        return path


@contextmanager
def plain_errors(name: str) -> Iterator[None]:
    """Turn whatever opening, decompressing and decoding a file can raise into a `LoadError` that says what to do."""
    try:
        yield
    except FileNotFoundError:
        raise LoadError(f"there is no file '{name}': check the path") from None
    except IsADirectoryError:
        raise LoadError(f"'{name}' is a folder: name a file in it") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise LoadError(f"'{name}' is a damaged or truncated gzip file: download it again") from None
    except UnicodeDecodeError:
        raise LoadError(f"'{name}' is not UTF-8 text: export it as UTF-8") from None
    except OSError as error:  # also what Arrow raises for a broken zstd stream
        if error.errno is None:
            raise LoadError(f"'{name}' is a damaged or truncated zstd file: download it again") from None
        raise LoadError(f"'{name}' cannot be read ({type(error).__name__}): check its permissions") from None


@contextmanager
def open_bytes(source: Source, raw: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
    """Open a file, or a part of one, as decompressed bytes; gzip and zstd are known by their first bytes.

    Parameters
    ----------
    source : path or Part
    raw : binary file, optional
        The file itself, already open, so that a caller can watch how far it was read.

    Raises
    ------
    LoadError
        The file is missing, empty, or a truncated or damaged archive; also while it is being read.
    """
    name = name_of(source)
    if isinstance(source, Part) and source.data is not None:
        with plain_errors(name):
            yield io.BytesIO(source.data)
        return
    path = source.path if isinstance(source, Part) else Path(source)
    with plain_errors(name), raw or path.open("rb") as file:
        head = file.read(4)
        if not head:
            raise LoadError(f"'{name}' is empty: export it again")
        file.seek(0)
        if head.startswith(_GZIP):
            with gzip.GzipFile(fileobj=file) as stream:
                yield stream  # type: ignore[misc]
        elif head == _ZSTD:
            import pyarrow as pa

            with pa.CompressedInputStream(file, "zstd") as stream:
                yield stream
        else:
            yield file


@contextmanager
def open_text(source: Source, *, errors: str = "strict") -> Iterator[IO[str]]:
    """Open a text file, plain, gzip or zstd, as UTF-8.

    Parameters
    ----------
    source : path or Part
    errors : str
        What to do with bytes that are not UTF-8; logs take ``backslashreplace``, as the servers themselves do.

    Raises
    ------
    LoadError
        As `open_bytes`; or the text is not UTF-8.
    """
    with (
        plain_errors(name_of(source)),
        open_bytes(source) as stream,
        io.TextIOWrapper(stream, encoding="utf-8-sig", errors=errors, newline="") as text,
    ):
        yield text


def read_csv(path: Source, *, delimiter: str = ",") -> pd.DataFrame:
    """Read a CSV file with every column as text; a repeated header name gets ``.1``, ``.2`` ...

    Raises
    ------
    LoadError
        As `open_text`; or a line has more fields than the header, or a quote is never closed.
    """
    import pandas as pd

    with open_text(path) as text:
        try:
            with _WARNINGS, warnings.catch_warnings():
                # A line longer than the header: pandas would warn and cut it, or take its start for an index.
                warnings.simplefilter("error", pd.errors.ParserWarning)
                return pd.read_csv(
                    text, sep=delimiter, dtype="str", index_col=False, keep_default_na=False, na_values=[""]
                )
        except pd.errors.EmptyDataError:
            raise LoadError(f"'{name_of(path)}' holds no columns: is it the right file?") from None
        except (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error) as error:
            where = "".join(ch for ch in str(error) if ch.isascii() and (ch.isdigit() or ch == " ")).split()
            line = f" near line {where[1]}" if len(where) > 1 else ""
            raise LoadError(
                f"'{name_of(path)}' cannot be split into columns by {delimiter!r}{line}: "
                "wrong delimiter, an unclosed quote, or a cut file"
            ) from None


def is_parquet(path: Source) -> bool:
    """Say whether a file begins as Parquet does."""
    if piece_of(path) is not None:
        return False
    file = path.path if isinstance(path, Part) else Path(path)
    if not file.is_file():
        return False
    with plain_errors(name_of(path)), file.open("rb") as raw:
        return raw.read(4) == b"PAR1"


def looks_like_json(path: Source) -> bool:
    """Say whether the first sign of a file opens a JSON object or array, whatever bytes follow.

    Of a part of a file its beginning says nothing, for it may be damaged: how the file was cut does.
    """
    if isinstance(path, Part) and path.data is not None:
        return path.is_json
    with open_bytes(path) as stream:
        return stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def read_parquet(path: Source) -> pa.Table:
    """Read a Parquet file as it is typed.

    Raises
    ------
    LoadError
        The file is missing or no Parquet.
    """
    from pyarrow import parquet

    name, file = name_of(path), path.path if isinstance(path, Part) else Path(path)
    if not file.exists():
        raise LoadError(f"there is no file '{name}': check the path")
    try:
        return parquet.read_table(file)
    except Exception as error:  # pyarrow raises several classes for a damaged file
        raise LoadError(f"'{name}' cannot be read as Parquet ({type(error).__name__})") from None


def require_columns(frame: pd.DataFrame, names: list[str], path: Source, *, hint: str = "") -> None:
    """Raise `LoadError` naming the columns that are not there and those that are."""
    absent = [name for name in names if name not in frame.columns]
    if not absent:
        return
    if len(frame.columns) == 1:
        hint = "only one column was found: the delimiter is probably wrong"
    raise LoadError(
        f"'{name_of(path)}' lacks column{'s' * (len(absent) > 1)} {', '.join(map(repr, absent))}"
        + (f"; {hint}" if hint else "")
    )


def read_json_records(
    path: Source, *, under: tuple[str, ...] = (), without: str = ""
) -> tuple[list[dict[str, Any]], int]:
    """Read objects from a JSON array, an object that wraps one, or JSON lines.

    Parameters
    ----------
    path : path
    under : tuple of str
        Keys that may wrap the array (``orders``) or a single object (``order``).
    without : str, optional
        A key to throw away wherever it stands, while reading: what is large and not needed.

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
    if isinstance(path, Part) and path.data is not None:
        lines_, _, unparsable = read_json_lines(path, under=under, without=without)
        return lines_, unparsable
    name = name_of(path)
    with open_text(path) as text:
        content = text.read()
    if not content.strip():
        raise LoadError(f"'{name}' is empty: export it again")
    try:
        whole = json.loads(content, object_hook=partial(_lighter, without) if without else None)
    except (ValueError, RecursionError):
        # Not splitlines(): JSON text may hold other line separators as they are.
        lines = [line for line in content.split("\n") if line.strip()]
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


def read_json_lines(
    part: Part, *, under: tuple[str, ...] = (), without: str = ""
) -> tuple[list[dict[str, Any]], list[int], int]:
    """Read JSON lines each by itself; beside what `read_json_records` returns, the number of each record's line.

    Raises
    ------
    LoadError
        No line is an object. A line that is no UTF-8 is none, and unparsable.
    """
    records, numbers, unparsable = list[dict[str, Any]](), list[int](), 0
    objects, decoded = 0, True
    hook = partial(_lighter, without) if without else None
    for number, line in enumerate((part.data or b"").split(b"\n"), part.first):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode(), object_hook=hook)
        except (ValueError, RecursionError) as error:
            record, decoded = None, decoded and not isinstance(error, UnicodeDecodeError)
        if not isinstance(record, dict):
            unparsable += 1
            continue
        objects += 1
        inner = next((record[key] for key in under if key in record), record)
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                records.append(one)
                numbers.append(number)
            else:
                unparsable += 1
    if not objects:
        problem = (
            "is neither JSON nor JSON lines: a cut or different file?"
            if decoded
            else "is not UTF-8 text: export it as UTF-8"
        )
        raise LoadError(f"'{part.name}' {problem}")
    return records, numbers, unparsable


def _lighter(key: str, record: dict[str, Any]) -> dict[str, Any]:
    record.pop(key, None)
    return record


def _object(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
