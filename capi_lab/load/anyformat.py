"""Load a file of any format we know, by its content."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capi_lab.errors import InputError
from capi_lab.load.files import Paths, source_files
from capi_lab.load.result import Loaded
from capi_lab.load.signatures import Recognised, named_format, recognise
from capi_lab.load.table import table

__all__ = ["any_format", "find_format", "load_found"]


def any_format(
    path: Paths,
    *,
    tz: str | None = None,
    as_format: str | None = None,
    kind: str | None = None,
    columns: Mapping[str, str] | None = None,
    to: str | Path | None = None,
) -> Loaded:
    """Load files of a format that their content shows, with the loader for it.

    Parameters
    ----------
    path : str, Path or list
        A file, a pattern, or a list of files of one format.
    tz : str, optional
        Zone of times that carry none.
    as_format : str, optional
        The loader, or the contract table, to read it as. Default: what the file shows itself to be.
    kind : str, optional
        The contract table that is wanted; a file that holds another is refused.
    columns : mapping, optional
        Their column name to ours, for a file with columns of its own; it needs ``kind``, and is read with
        `capi_lab.load.table`.
    to : str or Path, optional
        Parquet file to write the rows to. Loaders that read in parts hold none of them meanwhile.

    Returns
    -------
    Loaded
        ``report.format`` and ``report.table`` say what was found. Request logs and page calls become visits.

    Raises
    ------
    LoadError
        The file cannot be read, is damaged, or is of no format we know.
    InputError
        It holds another table than ``kind``, or ``columns`` came without one.
    UnknownNameError
        ``as_format`` is none.
    NaiveTimeError
        Times carry no zone and ``tz`` is not given.
    ContractError
        A value breaks the contract of its table.
    """
    if columns:
        if kind is None:
            raise InputError("columns= needs kind=: which table the file is, e.g. kind='conversions'")
        return table(path, kind, columns, tz, to=to)
    loaded = load_found(find_format(path, as_format), path, tz=tz, to=to)
    if kind not in (None, loaded.report.table):
        raise InputError(f"'{loaded.report.source}' holds {loaded.report.table}, but was given for {kind}")
    return loaded


def find_format(path: Paths, as_format: str | None = None) -> Recognised:
    """Return the loader a format's name stands for, else the one the first file's content shows."""
    return named_format(as_format) if as_format else recognise(source_files(path)[0])


def load_found(found: Recognised, path: Paths, *, tz: str | None, to: str | Path | None) -> Loaded:
    """Load with a loader that was found; without holding the rows where it can."""
    from capi_lab import load

    loader = getattr(load, found.loader)
    options: dict[str, Any] = {"tz": tz, **found.options}
    streams = "to" in inspect.signature(loader).parameters
    loaded: Loaded = loader(path, **options | ({"to": to} if streams else {}))
    if to is not None and not streams:
        loaded.to_parquet(to)
    return loaded
