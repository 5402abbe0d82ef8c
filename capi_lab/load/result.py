"""What every loader returns: the table, and an account of every row that is not in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from capi_lab.tables import Table, checked, in_contract_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from capi_lab.errors import LoadError
    from capi_lab.words import LoadDrop

__all__ = ["Intake", "LoadReport", "Loaded"]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The account of one load: ``rows_in + expanded == rows_out + sum(dropped.values())``.

    Parameters
    ----------
    source : str
        File name (not its folder) or pattern.
    format, table : str
        Which format was read, which contract came out.
    rows_in, rows_out : int
        Rows of the file, rows of the table.
    expanded : int
        Rows the table has beyond one per row of the file (a request with two click ids is two clicks).
    dropped : dict
        Reason (`capi_lab.words.LoadDrop`) to number of rows.
    findings : dict
        What was found and kept, and what the format cannot tell: text to its count, which stands for ``{n}`` in
        it, or to None where there is nothing to count. Never a value of a row.
    """

    source: str
    format: str
    table: str
    rows_in: int
    rows_out: int
    expanded: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    findings: dict[str, int | None] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """The findings in words."""
        return tuple(text if n is None else text.format(n=f"{n:,}") for text, n in self.findings.items())

    def close(self) -> None:
        """Assert that every row is accounted for: these are our own books."""
        lost = self.rows_in + self.expanded - self.rows_out - sum(self.dropped.values())
        assert lost == 0, f"{lost} rows unaccounted for in {self.format}"  # noqa: S101

    def __str__(self) -> str:
        lines = [f"{self.source}: {self.format} -> {self.table}", f"  rows in   {self.rows_in:>12,}"]
        lines += [f"  - {reason:<24} {n:>9,}" for reason, n in self.dropped.items()]
        if self.expanded:
            lines.append(f"  + {'several per row':<24} {self.expanded:>9,}")
        lines.append(f"  rows out  {self.rows_out:>12,}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


class Loaded:
    """A loaded table and its report.

    Parameters
    ----------
    df : DataFrame or None
        Keeps the contract named in ``report.table``. None where the rows went to ``file``.
    report : LoadReport
    file : Path, optional
        Parquet file that holds the rows; `df` reads it when it is asked for.
    doubt : LoadError, optional
        Why this part of a file may not be of the format; the error of the whole file if no part is free of doubt.
    """

    def __init__(
        self,
        df: pd.DataFrame | None,
        report: LoadReport,
        file: Path | None = None,
        *,
        doubt: LoadError | None = None,
    ) -> None:
        self.doubt = doubt
        self._df = df
        self.report = report
        self.file = file

    @property
    def df(self) -> pd.DataFrame:
        """The table. Where it was written to `file`, the whole file is read, once."""
        if self._df is None:
            import pandas as pd

            self._df = pd.read_parquet(self.file)
        return self._df

    def to_parquet(self, path: str | Path) -> Path:
        """Write the table to a Parquet file, which every function that takes a table also takes.

        Parameters
        ----------
        path : str or Path
            Is replaced, and only once everything is written.

        Returns
        -------
        Path

        Raises
        ------
        LoadError
            The file cannot be written there.
        """
        from capi_lab.load.parquet import RowWriter

        with RowWriter(path) as writer:
            writer.write(self.df)
            writer.finish()
        return Path(path)

    def __repr__(self) -> str:
        """Show the report, never the rows: they hold people's data."""
        return str(self.report)

    def _repr_html_(self) -> str:
        return f'<pre style="font-family:monospace">{escape(str(self.report))}</pre>'


class Intake:
    """A table on its way in: rows are taken out only with a reason, and everything is counted.

    Parameters
    ----------
    source, format : str
        For the report.
    frame : DataFrame
        One row per row of the file.
    unparsable : int
        Rows of the file that could not even be split into fields.
    doubt : LoadError, optional
        See `Loaded`.
    """

    def __init__(
        self,
        source: str,
        format: str,  # noqa: A002
        frame: pd.DataFrame,
        *,
        unparsable: int = 0,
        doubt: LoadError | None = None,
    ) -> None:
        self.source = source
        self.doubt = doubt
        self.format = format
        self.frame = frame
        self.rows_in = len(frame) + unparsable
        self.dropped: Counter[str] = Counter({"unparsable": unparsable} if unparsable else {})
        self.findings: dict[str, int | None] = {}

    def drop(self, rows: pd.Series, reason: LoadDrop) -> None:
        """Take out the rows where ``rows`` (bool, same index as the frame) is true."""
        n = int(rows.sum())
        if n:
            self.dropped[str(reason)] += n
            self.frame = self.frame[~rows]

    def drop_each(self, reasons: Sequence[LoadDrop | None]) -> None:
        """Take out the rows that have a reason; one for each row of the frame."""
        import pandas as pd

        self.dropped.update(str(reason) for reason in reasons if reason is not None)
        self.frame = self.frame[pd.Series([reason is None for reason in reasons], index=self.frame.index, dtype=bool)]

    def note(self, text: str) -> None:
        """Record a finding once; it must not hold a value of a row."""
        self.findings.setdefault(text)

    def note_count(self, n: int, text: str) -> None:
        """Record a finding with its count, if there is one; ``{n}`` in ``text`` is the count, which adds up."""
        if n:
            self.findings[text] = (self.findings.get(text) or 0) + n

    def loaded(self, table: Table, frame: pd.DataFrame | None = None, *, expanded: int = 0) -> Loaded:
        """Check the contract and close the account."""
        result = self.frame if frame is None else frame
        result = in_contract_order(checked(table, result.reset_index(drop=True)), table)
        report = LoadReport(
            source=self.source,
            format=self.format,
            table=table.name,
            rows_in=self.rows_in,
            rows_out=len(result),
            expanded=expanded,
            dropped=dict(self.dropped),
            findings=dict(self.findings),
        )
        report.close()
        return Loaded(result, report, doubt=self.doubt)
