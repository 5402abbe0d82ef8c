"""Look at a file before anything is computed of it: what it is, what is in it, and whether it can be used."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capi_lab.errors import InputError, NaiveTimeError
from capi_lab.identity import inspect_hashes
from capi_lab.load.anyformat import find_format, load_found
from capi_lab.load.files import Paths, source_files
from capi_lab.load.result import Loaded, LoadReport
from capi_lab.platforms import PLATFORMS
from capi_lab.tables import CLICK_ID_COLUMNS, MATCH_KEY_COLUMNS, Table, contract
from capi_lab.words import HashVerdict, LoadDrop

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FileCheck", "Fill", "check"]

_BATCH = 65_536
# An address or user agent is sent in clear text, a digest of anything else has one of these lengths at least.
_DIGEST = r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}|[A-Za-z0-9+/]{43}="
_FIRST_YEAR = 2000  # an epoch read in too small a unit lands in 1970
_MANY = 0.5  # a share of rows that makes a table useless rather than dirty
_SUSPICIOUS = frozenset(HashVerdict) - {HashVerdict.OK, HashVerdict.MISSING, HashVerdict.NOT_A_HASH}


@dataclass(frozen=True, slots=True)
class Fill:
    """How many rows carry a value in a column: ``k`` of ``n``."""

    column: str
    k: int
    n: int

    @property
    def share(self) -> float:
        """The share filled; 0 where there are no rows."""
        return self.k / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True, repr=False)
class FileCheck:
    """What a file is and what is in it; no value of a row.

    Parameters
    ----------
    source : str
        The file's name, or how many there are.
    format : str
        The loader that reads it.
    report : LoadReport or None
        The account of every row; None where the times need a zone.
    fills : tuple of Fill
        Of each match key and id the table has a column for.
    first, last : datetime or None
        Earliest and latest time, UTC.
    currencies : dict
        Rows by currency, most first; under ``""`` those with an amount and none.
    hashes : dict
        Column to verdicts (`capi_lab.words.HashVerdict`) with their rows, for columns that hold digests.
    findings : tuple of str
        What to look at.
    reasons : tuple of str
        Why the file cannot be used; empty where it can.
    """

    source: str
    format: str
    report: LoadReport | None
    fills: tuple[Fill, ...] = ()
    first: datetime | None = None
    last: datetime | None = None
    currencies: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, dict[str, int]] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the file can be used."""
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return asdict(self) | {
            "usable": self.usable,
            "notes": list(self.report.notes) if self.report else [],
            "fills": {fill.column: {"k": fill.k, "n": fill.n} for fill in self.fills},
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
        }

    def __repr__(self) -> str:
        lines = [str(self.report) if self.report else self.source, f"  read by   load.{self.format}"]
        if self.first and self.last:
            lines.append(f"  times     {self.first:%Y-%m-%d %H:%M:%S} to {self.last:%Y-%m-%d %H:%M:%S} UTC")
        if self.fills:
            lines.append("  filled")
            lines += [f"    {one.column:<22} {one.k:>11,} of {one.n:,}  {one.share:>6.1%}" for one in self.fills]
        if self.currencies:
            lines.append("  currency  " + ", ".join(f"{name or 'none'} {n:,}" for name, n in self.currencies.items()))
        for column, verdicts in self.hashes.items():
            lines.append(f"  hashes    {column}: " + ", ".join(f"{word} {n:,}" for word, n in verdicts.items()))
        lines += [f"  look at:  {text}" for text in self.findings]
        return "\n".join([*lines, *([f"not usable: {text}" for text in self.reasons] or ["usable"])])


def check(
    path: Paths, *, tz: str | None = None, as_format: str | None = None, now: datetime | None = None
) -> FileCheck:
    """Find out what a file is, load it, and say what is in it and whether it can be used.

    Parameters
    ----------
    path : str, Path or sequence
        A file, a pattern, or a list of files of one format.
    tz : str, optional
        Zone of times that carry none.
    as_format : str, optional
        The loader, or the contract table, to read it as. Default: what the file shows itself to be.
    now : datetime, optional
        Times later than this are counted; without it none is.

    Returns
    -------
    FileCheck
        Request logs and page calls are loaded as visits. Large files are read in parts.

    Raises
    ------
    LoadError
        The file cannot be read, is damaged, or is of no format we know.
    UnknownNameError
        ``as_format`` is none.
    ContractError
        A value of it breaks the contract of its table.
    InputError
        ``now`` has no zone.

    Notes
    -----
    Not usable: no row is left; more rows are unparsable than loaded; most times are impossible; times carry no zone
    and ``tz`` is not given; no event carries an order id or event id, so that nothing could be linked. What is only
    dirty is a finding.
    """
    if now is not None and now.tzinfo is None:
        raise InputError("now has no zone: give datetime.now(UTC)")
    found = find_format(path, as_format)
    with tempfile.TemporaryDirectory(prefix="capi-lab-") as folder:
        try:
            loaded = load_found(found, path, tz=tz, to=Path(folder) / "rows.parquet")
        except NaiveTimeError as error:
            return FileCheck(source_files(path)[0].name, found.loader, None, reasons=(str(error),))
        tally = _Tally(contract(loaded.report.table), now)
        for frame in _batches(loaded):
            tally.add(frame)
    return tally.result(found.loader, loaded.report)


def _batches(loaded: Loaded) -> Iterator[pd.DataFrame]:
    if loaded.file is None:
        yield loaded.df
        return
    from pyarrow import parquet

    with parquet.ParquetFile(loaded.file) as file:
        for batch in file.iter_batches(_BATCH):
            yield batch.to_pandas()


class _Tally:
    """What is counted over all rows, some at a time."""

    def __init__(self, table: Table, now: datetime | None) -> None:
        self.table, self.now = table, now
        self.rows = 0
        self.filled: Counter[str] = Counter()
        self.seen: set[str] = set()
        self.first: pd.Timestamp | None = None
        self.last: pd.Timestamp | None = None
        self.times: Counter[str] = Counter()
        self.currencies: Counter[str] = Counter()
        self.hashes: dict[str, Counter[str]] = {}
        self.linked = 0

    @property
    def time(self) -> str | None:
        """The column that says when a row happened."""
        return next((one.name for one in self.table.columns if one.kind == "time" and one.required), None)

    @property
    def watched(self) -> list[str]:
        """Match keys and ids the table may have."""
        ids = [one.name for one in self.table.columns if one.is_id and not one.unique]
        return list(dict.fromkeys([*MATCH_KEY_COLUMNS, *CLICK_ID_COLUMNS, *ids, "user_agent", "consent_ad_user_data"]))

    def add(self, frame: pd.DataFrame) -> None:
        """Count some rows."""
        self.rows += len(frame)
        for name in self.watched:
            if name in frame:
                self.seen.add(name)
                self.filled[name] += int(frame[name].notna().sum())
        links = [frame[name].notna() for name in ("conversion_id", "event_id") if name in frame]
        self.linked += int((links[0] | links[-1]).sum()) if links else 0
        if self.time:
            self._add_times(frame[self.time].dropna())
        if "value" in frame:
            priced = frame[frame["value"].notna()]
            codes = (
                priced["currency"].fillna("").value_counts().to_dict() if "currency" in priced else {"": len(priced)}
            )
            self.currencies.update({code: n for code, n in codes.items() if n})
        for key in MATCH_KEY_COLUMNS:
            if key in frame:
                self._add_hashes(key, frame[key].dropna())

    def _add_times(self, times: pd.Series) -> None:
        if times.empty:
            return
        low, high = times.min(), times.max()
        self.first = low if self.first is None else min(self.first, low)
        self.last = high if self.last is None else max(self.last, high)
        self.times["early"] += int((times.dt.year < _FIRST_YEAR).sum())
        self.times["future"] += int((times > self.now).sum()) if self.now is not None else 0
        self.times["midnight"] += int((times == times.dt.normalize()).sum())

    def _add_hashes(self, key: str, values: pd.Series) -> None:
        platform = next((name for name, one in PLATFORMS.items() if _hashes(one.spec.match_keys, key)), None)
        if platform is None or values.empty:
            return
        digest = values.str.fullmatch(_DIGEST).fillna(value=False)
        if digest.any():
            counts = self.hashes.setdefault(key, Counter())
            found = inspect_hashes(values[digest], key=key, platform=platform)
            counts.update(dict(zip(found["verdict"], found["k"].astype(int).tolist(), strict=True)))

    def result(self, format_: str, report: LoadReport) -> FileCheck:
        """Judge what was counted."""
        fills = tuple(Fill(name, self.filled[name], self.rows) for name in self.watched if name in self.seen)
        order = [str(verdict) for verdict in HashVerdict]
        return FileCheck(
            report.source,
            format_,
            report,
            fills,
            self.first.to_pydatetime() if self.first is not None else None,
            self.last.to_pydatetime() if self.last is not None else None,
            dict(sorted(self.currencies.items(), key=lambda one: (-one[1], one[0]))),
            {key: {word: found[word] for word in order if found[word]} for key, found in self.hashes.items()},
            tuple(self._findings(report)),
            tuple(self._reasons(report)),
        )

    def _findings(self, report: LoadReport) -> Iterator[str]:
        if self.table.name != "reports" and self.rows > 1 and self.times["midnight"] == self.rows:
            yield "every time is midnight UTC: days without a time of day"
        if self.times["early"]:
            yield f"{self.times['early']:,} times are before {_FIRST_YEAR}: a wrong unit, or empty dates"
        if self.times["future"]:
            yield f"{self.times['future']:,} times are later than now: a wrong clock or zone"
        if (several := sum(1 for code in self.currencies if code)) > 1:
            yield f"{several:,} currencies: amounts do not add up without a rate"
        if self.currencies.get(""):
            yield f"{self.currencies['']:,} amounts have no currency: a platform would refuse or misread them"
        for key, verdicts in self.hashes.items():
            bad = {word: n for word, n in verdicts.items() if word in _SUSPICIOUS}
            if bad:
                yield f"'{key}' has suspicious hashes: " + ", ".join(f"{word} {n:,}" for word, n in bad.items())
            clear = self.filled[key] - sum(verdicts.values())
            if clear:
                yield f"'{key}' mixes {sum(verdicts.values()):,} digests with {clear:,} values in clear text"
        can_click = self.table.name in ("conversions", "visits") and self.rows
        if can_click and not any(self.filled[name] for name in CLICK_ID_COLUMNS):
            yield "no row carries a click id"

    def _reasons(self, report: LoadReport) -> Iterator[str]:
        if not self.rows:
            most = max(report.dropped.items(), key=lambda one: one[1], default=None)
            yield "no row is left" + (f": {most[1]:,} are {most[0]}" if most else "")
            return
        unparsable = report.dropped.get(str(LoadDrop.UNPARSABLE), 0)
        if unparsable > report.rows_out:
            yield f"{unparsable:,} rows are unparsable, {report.rows_out:,} were loaded: a cut or different file?"
        wrong = self.times["early"] + self.times["future"]
        if wrong > _MANY * self.rows:
            yield f"{wrong:,} of {self.rows:,} times are impossible: a wrong unit, clock or zone"
        if self.table.name == "events" and not self.linked:
            yield "no event carries an order id or event id: nothing can be linked or deduplicated"


def _hashes(keys: Any, key: str) -> bool:
    return any(one.source == key and one.hashed for one in keys)
