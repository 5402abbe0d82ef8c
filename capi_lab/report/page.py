"""A finished report: what it says, and how it is written out."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from capi_lab.errors import InputError

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

__all__ = ["Finding", "Report", "Section"]

# A spreadsheet runs a cell that begins with one of these as a formula.
_FORMULA = re.compile(r"^[=+\-@\t\r]")
_SHARES = frozenset({
    "value", "low", "high", "shapley", "only", "level", "baseline", "prior_low", "prior_high", "from_data",
})  # fmt: skip
_COUNTS = frozenset({
    "k", "n", "k_pixel", "low_k", "high_k", "days", "touched", "covered", "matched", "matched_low", "matched_high",
    "attributed",
})  # fmt: skip
# Said once, above the table, where it is the same in every row.
_ONCE = ("method", "level", "denominator")


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence that stands on top.

    Parameters
    ----------
    text : str
    alert : bool
        Something is wrong, rather than merely so.
    where : str
        Name of the section it rests on.
    """

    text: str
    alert: bool
    where: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report.

    Parameters
    ----------
    name : str
        Short, of letters, digits and ``_``; names the exported tables.
    title, text : str
    tables : mapping of str to DataFrame
        Caption to table; small cells are suppressed already.
    pictures : mapping of str to bytes
        What a picture shows to its PNG.
    notes : tuple of str
    """

    name: str
    title: str
    text: str = ""
    tables: Mapping[str, pd.DataFrame] | None = None
    pictures: Mapping[str, bytes] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Report:
    """Findings and sections, to look at, to write and to export.

    Parameters
    ----------
    title : str
    made : datetime
    origin : tuple of str
        What the ledger's rows say they are: ``real``, ``simulated``, ``semi-synthetic``.
    findings : tuple of Finding
        Alerts first.
    sections : tuple of Section
    """

    title: str
    made: datetime
    origin: tuple[str, ...]
    findings: tuple[Finding, ...]
    sections: tuple[Section, ...]

    @property
    def html(self) -> str:
        """The whole page: styles and pictures inside, no script, light and dark, printable."""
        return _template("page.html").render(report=self, table=_html_table, picture=_data_uri)

    @property
    def markdown(self) -> str:
        """The same without pictures."""
        return _template("page.md").render(report=self, table=_text_table)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by section and number, as exported."""
        return {
            f"{section.name}_{number}": table
            for section in self.sections
            for number, table in enumerate((section.tables or {}).values(), 1)
        }

    def write(self, folder: str | Path) -> dict[str, Path]:
        """Write the page, its text form and every table.

        Parameters
        ----------
        folder : str or Path
            Made if absent. Files of the same names are replaced.

        Returns
        -------
        dict
            ``html``, ``markdown``, and each table by its name to its CSV file; a Parquet file of the same name lies
            beside it. In CSV a text that a spreadsheet would run as a formula has an apostrophe before it.

        Raises
        ------
        InputError
            The folder cannot be made.
        """
        folder = Path(folder)
        try:
            (folder / "tables").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder '{folder.name}' for the report: {error.strerror}") from None
        written = {"html": folder / "report.html", "markdown": folder / "report.md"}
        written["html"].write_text(self.html, encoding="utf-8")
        written["markdown"].write_text(self.markdown, encoding="utf-8")
        for name, table in self.tables.items():
            written[name] = folder / "tables" / f"{name}.csv"
            spreadsheet_safe(table).to_csv(written[name], index=False)
            table.to_parquet(written[name].with_suffix(".parquet"), index=False)
        return written

    def __repr__(self) -> str:
        """Show the findings."""
        lines = [f"{self.title} ({', '.join(self.origin) or 'origin unknown'})"]
        lines += [f"  {'!' if one.alert else '-'} {one.text}" for one in self.findings]
        lines.append(f"  {len(self.sections)} sections, {len(self.tables)} tables; .write(folder) writes the page")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return _template("findings.html").render(report=self)


def spreadsheet_safe(table: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before texts, and names of columns, that a spreadsheet would run as a formula."""

    def safe(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value

    texts = {
        name: table[name].map(safe)
        for name in table.columns
        if not (pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_datetime64_any_dtype(table[name]))
    }
    return table.assign(**texts).rename(columns=safe)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Write a table's cells as text for people: shares as per cents, counts with thousands, missing as a dash."""

    def cell(name: str, value: Any) -> str:
        if pd.isna(value):
            return "–"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if name in _SHARES:
            return f"{value:.1%}"
        if name in _COUNTS:
            return f"{value:,.0f}"
        if isinstance(value, float):
            return f"{value:,.2f}"
        return str(value)

    if "suppressed" in table and not table["suppressed"].any():
        table = table.drop(columns="suppressed")
    return pd.DataFrame({name: [cell(str(name), value) for value in table[name]] for name in table.columns})


def captioned(table: pd.DataFrame, caption: str) -> tuple[pd.DataFrame, str]:
    """Move what is the same in every row, such as the denominator, out of the table and into its caption."""
    same = [name for name in _ONCE if name in table and table[name].notna().all() and table[name].nunique() == 1]
    said = [f"{name} {shown(table[[name]].head(1))[name].iloc[0]}" for name in same]
    return shown(table.drop(columns=same)), caption + (f" ({'; '.join(said)})" if said else "")


def _html_table(table: pd.DataFrame, caption: str) -> Markup:
    """Write a table with its caption; every cell is escaped."""
    from markupsafe import Markup, escape

    written, caption = captioned(table, caption)
    html = written.to_html(index=False, border=0, escape=True, classes="")
    return Markup(re.sub(r"^<table[^>]*>", f"<table><caption>{escape(caption)}</caption>", html))  # noqa: S704


def _text_table(table: pd.DataFrame, caption: str) -> str:
    written, caption = captioned(table, caption)
    rows = [list(written.columns), *written.to_numpy().tolist()]
    cells = [[str(cell).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([f"*{caption}*", "", lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=name.endswith(".html"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = files("capi_lab.report").joinpath(f"{name}.j2").read_text(encoding="utf-8")
    return environment.from_string(text)
