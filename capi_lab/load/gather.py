"""One load out of many files and many pieces of them, in little memory, with one account.

A loader whose body reads one file becomes one that reads patterns, lists and files larger than memory by two lines:
the public function calls `gather` with its old body, which then gets a `Part` where it had the path::

    def my_events(path: Paths, *, tz: str | None = None, to: str | Path | None = None) -> Loaded:
        return gather(path, lambda part: _my_events(part, tz), split="json", to=to)
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from capi_lab.errors import LoadError
from capi_lab.load.ahead import read_ahead
from capi_lab.load.files import Part, Paths, looks_like_json, open_bytes, plain_errors, source_files
from capi_lab.load.parquet import Repeat, RowWriter, Surplus, numbered, surplus_rows
from capi_lab.load.result import Loaded, LoadReport
from capi_lab.tables import checked, contract, in_contract_order
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Split", "gather", "parts_of"]

CHUNK = 16 << 20
"""Bytes of text a part holds, about; whole lines. A reader needs some ten times that while it works on it."""
_LONGEST_LINE = 64 << 20
_HEAD = 1 << 20
_BYTE_MARK = b"\xef\xbb\xbf"
_SHOW_AFTER = 2.0  # seconds; shorter loads need no progress bar

Split = Literal["lines", "json", "text", "files"]
"""How a file may be cut: at any line end; at line ends if it holds JSON lines, else not at all; at line ends unless it
opens as JSON; or never."""


def gather(
    path: Paths,
    read: Callable[[Part], Loaded],
    *,
    split: Split | Callable[[Part], Split] = "files",
    to: str | Path | None = None,
    repeated: LoadDrop = LoadDrop.DUPLICATE_ID,
    also: Sequence[Repeat] = (),
) -> Loaded:
    """Read files part by part and close one account over all of them.

    Parameters
    ----------
    path : str, Path or sequence
        A file, a pattern such as ``logs/*.gz``, or a list of them.
    read : callable
        `Part` to `Loaded`: a loader's body. Row ids it makes up must hold ``part.name`` and count from ``part.first``.
        A `LoadError` it raises for a part of a file means that nothing there has the format: the lines count as
        unparsable, and the error is raised only where a whole file is like that. The same goes for `Loaded.doubt`,
        but rows are counted as they are.
    split : {"lines", "json", "text", "files"} or callable
        A callable says it of each file.
    to : str or Path, optional
        Write the rows to this Parquet file part by part and hold none of them; in the order of the files.
    repeated : LoadDrop
        Reason to drop later rows of an id the contract wants unique, across all parts.
    also : sequence of Repeat
        What else makes a row the repeat of another; judged over all parts, so that where a file was cut is no matter.

    Returns
    -------
    Loaded

    Raises
    ------
    LoadError
        No file, an unreadable one, one without a single line of the format, or ``to`` cannot be written. An empty
        file among others is counted in the report, alone it is an error.
    """
    books, files = _Books(), source_files(path)
    with ExitStack() as stack:
        writer = stack.enter_context(RowWriter(to)) if to is not None else None
        frames: list[pd.DataFrame] = []
        for loaded in stack.enter_context(closing(books.entered(_parts(files, split), read))):
            if writer is None:
                frames.append(loaded.df)
            else:
                writer.write(loaded.df)
        report = books.report(files)
        table = contract(report.table)
        numbering = {rule.number for rule in also}
        ids = [Repeat((c.name,), repeated) for c in table.columns if c.unique and c.name not in numbering]
        rules = [*ids, *also]
        if writer is not None:
            surplus = writer.surplus(rules)
            report = _without(report, rules, surplus)
            named = [pair for pair in zip(rules, surplus, strict=True) if pair[0].number and len(pair[1].rows)]
            writer.finish(_dropped(rules, surplus), table.names, partial(_numbered, named) if named else None)
            return Loaded(None, report, Path(to))  # type: ignore[arg-type]
        if books.parts == 1 and not also:
            return Loaded(frames[0], report)
        frame = _stacked(frames)
        rules = [rule for rule in rules if rule.time or not frame[rule.keys[0]].dropna().is_unique]
        surplus = surplus_rows(frame, rules)
        for rule, found in zip(rules, surplus, strict=True):
            if rule.number and len(found.rows):
                frame.loc[found.rows, rule.number] = [
                    f"{key}#{nth}" for key, nth in zip(frame[rule.keys[0]].iloc[found.rows], found.nth, strict=True)
                ]
        gone = _dropped(rules, surplus)
        frame = frame.drop(index=gone).reset_index(drop=True) if len(gone) else frame
        if any(list(one.columns) != list(frame.columns) for one in frames):
            frame = in_contract_order(checked(table, frame), table)  # a column some parts lack
        return Loaded(frame, _without(report, rules, surplus))


def _stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    # Empty frames carry no rows but could spoil the type of a column.
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(filled, ignore_index=True)


def _dropped(rules: Sequence[Repeat], surplus: list[Surplus]) -> np.ndarray:
    import numpy as np

    rows = [found.rows for rule, found in zip(rules, surplus, strict=True) if rule.reason is not None]
    return np.sort(np.concatenate([np.empty(0, "int64"), *rows]))


def _numbered(named: list[tuple[Repeat, Surplus]], table: Any, start: int) -> Any:
    for rule, surplus in named:
        table = numbered(table, start, rule, surplus)
    return table


def _without(report: LoadReport, rules: Sequence[Repeat], surplus: list[Surplus]) -> LoadReport:
    dropped, findings = Counter(report.dropped), dict(report.findings)
    for rule, found in zip(rules, surplus, strict=True):
        n = len(found.rows)
        if n and rule.reason is not None:
            dropped[str(rule.reason)] += n
        elif n:
            findings[rule.note] = n
    gone = dropped.total() - sum(report.dropped.values())
    closed = replace(report, rows_out=report.rows_out - gone, dropped=dict(dropped), findings=findings)
    closed.close()
    return closed


class _Books:
    """The sum of the parts' reports, and what became of parts that have none."""

    def __init__(self) -> None:
        self.parts = 0
        self.total: LoadReport | None = None
        self.lost = 0
        self.empty = 0

    def entered(self, parts: Iterator[Part], read: Callable[[Part], Loaded]) -> Generator[Loaded]:
        """Read every part, add its report, and hand on its rows."""
        with closing(read_ahead(parts, read)) as ahead:
            yield from self._added(ahead)

    def _added(self, ahead: Iterator[tuple[Part, Callable[[], Loaded]]]) -> Iterator[Loaded]:
        file, good, error = "", True, None
        for part, outcome in ahead:
            if part.name != file:
                self._refuse(good, error)
                file, good, error = part.name, False, None
            if part.data == b"":
                self.empty += 1
                good = True
                continue
            try:
                loaded = outcome()
            except LoadError as failure:
                if part.data is None:
                    raise
                error = error or failure
                self.lost += sum(1 for line in part.data.split(b"\n") if line.strip())
                continue
            good, error = good or loaded.doubt is None, error or loaded.doubt
            self.parts += 1
            self.total = _sum(self.total, loaded.report) if self.total else loaded.report
            yield loaded
        self._refuse(good, error)

    @staticmethod
    def _refuse(good: bool, error: LoadError | None) -> None:
        if not good and error is not None:
            raise error

    def report(self, files: list[Part]) -> LoadReport:
        """Close the account over all parts."""
        if self.total is None:
            raise LoadError(
                f"'{files[0].name}' is empty: export it again" if len(files) == 1 else "all files are empty"
            )
        dropped = Counter(self.total.dropped)
        dropped[str(LoadDrop.UNPARSABLE)] += self.lost
        findings = dict(self.total.findings)
        if self.empty:
            findings["{n} files are empty"] = self.empty
        report = replace(
            self.total,
            source=files[0].name if len(files) == 1 else f"{len(files):,} files",
            rows_in=self.total.rows_in + self.lost,
            dropped={reason: n for reason, n in dropped.items() if n},
            findings=findings,
        )
        report.close()
        return report


def _sum(one: LoadReport, other: LoadReport) -> LoadReport:
    findings = dict(one.findings)
    for text, n in other.findings.items():
        findings[text] = None if n is None else (findings.get(text) or 0) + n
    return replace(
        one,
        rows_in=one.rows_in + other.rows_in,
        rows_out=one.rows_out + other.rows_out,
        expanded=one.expanded + other.expanded,
        dropped=dict(Counter(one.dropped) + Counter(other.dropped)),
        findings=findings,
    )


def parts_of(path: Paths, *, split: Split = "lines") -> Iterator[Part]:
    """Cut files into parts of whole lines, decompressed, with a progress bar where it takes a while.

    Parameters
    ----------
    path : str, Path or sequence
    split : {"lines", "json", "text", "files"}
        See `Split`. A file that is not cut is one part without ``data``.

    Returns
    -------
    iterator of Part
        About 16 MB each. An empty file is one part with empty ``data`` if there are others, else an error.

    Raises
    ------
    LoadError
        As `capi_lab.load.files.open_bytes`; or a line is longer than 64 MB.
    """
    return _parts(source_files(path), split)


def _parts(files: list[Part], split: Split | Callable[[Part], Split]) -> Iterator[Part]:
    with _progress(files) as bar:
        for file in files:
            with plain_errors(file.name):
                size = file.path.stat().st_size
            if size == 0 and len(files) > 1:
                yield replace(file, data=b"")
            elif _stays_whole(file, how := split(file) if callable(split) else split):
                yield file
                bar.update(size)
            else:
                yield from _cut(replace(file, is_json=how == "json"), bar)


def _stays_whole(file: Part, split: Split) -> bool:
    if split == "json":
        return not _is_json_lines(file)
    return split == "files" or (split == "text" and looks_like_json(file))


def _cut(file: Part, bar: Any) -> Iterator[Part]:
    with plain_errors(file.name):
        raw: Any = _Watched(file.path.open("rb"), bar)
    with open_bytes(file, raw) as stream:
        number, rest = 1, b""
        while True:
            block = stream.read(CHUNK)
            if number == 1 and not rest:  # nothing was read yet
                block = block.removeprefix(_BYTE_MARK)
            if not block:
                if rest:
                    yield replace(file, first=number, data=rest)
                return
            end = block.rfind(b"\n") + 1
            if not end:
                rest += block
                if len(rest) > _LONGEST_LINE:
                    raise LoadError(f"'{file.name}' has a line longer than 64 MB: is it a text file?")
                continue
            data, rest = b"".join((rest, memoryview(block)[:end])), block[end:]
            yield replace(file, first=number, data=data)
            number += data.count(b"\n")


def _is_json_lines(file: Part) -> bool:
    """Say whether one of the first lines is an object by itself; a pretty-printed object or array has none."""
    with open_bytes(file) as stream:
        head = stream.read(_HEAD).removeprefix(_BYTE_MARK)
    if head.lstrip()[:1] == b"[":
        return False
    for line in head.split(b"\n", 20)[:20]:
        try:
            if isinstance(json.loads(line), dict):
                return True
        except (ValueError, RecursionError):
            continue
    return False


class _Watched:
    """A binary file that tells the progress bar how far it was read."""

    def __init__(self, raw: IO[bytes], bar: Any) -> None:
        self._raw, self._bar = raw, bar

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size)
        self._bar.update(len(data))
        return data

    def seek(self, *where: int) -> int:
        return self._raw.seek(*where)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __enter__(self) -> _Watched:
        return self

    def __exit__(self, *why: object) -> None:
        self._raw.close()


def _progress(files: list[Part]) -> Any:
    from tqdm import tqdm

    total = sum(file.path.stat().st_size for file in files if file.path.is_file())
    label = files[0].name if len(files) == 1 else f"{len(files):,} files"
    # None: no bar where nobody looks, such as a log file; a notebook is no terminal, but is looked at.
    hidden = None if "ipykernel" not in sys.modules else False
    return tqdm(total=total, desc=label, unit="B", unit_scale=True, delay=_SHOW_AFTER, disable=hidden, leave=False)
