"""Bring together what the other rooms measured, suppress what is small, and say first what matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from capi_lab import plots
from capi_lab.engine import to_frame
from capi_lab.errors import InputError
from capi_lab.measure import coverage, pair_causes, suppress_small, waterfall
from capi_lab.platforms import platform
from capi_lab.reconcile import Reconciled, clock_findings
from capi_lab.report.page import Finding, Report, Section
from capi_lab.report.parts import (
    CALLED,
    SUPPRESSED,
    days_section,
    how_many,
    match_section,
    picture,
    send_section,
    share,
    what_if_section,
)
from capi_lab.words import Outcome, Setup

if TYPE_CHECKING:
    from capi_lab.engine import TableLike
    from capi_lab.load import Loaded
    from capi_lab.model import MatchRates

__all__ = ["report"]

_MOST, _MORE = str(Setup.BOTH), str(Setup.INCREMENTAL)
_DOUBLE_IS_MUCH = 0.01  # of pairs; below it, a handful of late events explains it
_DEFINITIONS = {
    "coverage": "conversions a setup reports ÷ conversions in the ledger. It says nothing about matching.",
    "incremental": "conversions pixel and server together report and the pixel does not ÷ conversions in the ledger",
    "pair": "a conversion both channels report",
    "double-counted": "a conversion the platform would count twice: its rule does not see that two events are one",
    "accepted, matched, attributed": "the API took the row; the platform tied it to an account or click; it credited "
    "it to a click inside its window. Three different things.",
    "interval": "95 % unless said otherwise, robust to customers who buy more than once where the ledger names them",
}


def report(
    rec: Reconciled,
    *,
    now: datetime,
    by: Sequence[str] = (),
    receipts: TableLike | None = None,
    reports: TableLike | None = None,
    marks: TableLike | None = None,
    match: MatchRates | pd.DataFrame | None = None,
    what_if: pd.DataFrame | None = None,
    more: Sequence[Section] = (),
    notes: Mapping[str, str] | Sequence[Loaded] = (),
    alarms_per_year: float | None = 1.0,
    min_cell: int = 10,
    level: float = 0.95,
    title: str | None = None,
) -> Report:
    """Make a report of one reconciled log: findings on top, then coverage, dedup, match, what-if, send status.

    Parameters
    ----------
    rec : Reconciled
    now : datetime
        When it is made, with its zone.
    by : sequence of str
        Columns of the ledger to break coverage down by, one section part each. Columns it lacks are refused.
    receipts, reports, marks : optional
        As for `capi_lab.waterfall`. Receipts are also counted by status (`capi_lab.send_outcome`), those of other
        platforms too.
    match : MatchRates or DataFrame, optional
        As `capi_lab.match_rates` or `capi_lab.match_rate` returns it.
    what_if : DataFrame, optional
        As `capi_lab.what_if` returns it.
    more : sequence of Section
        Further parts; they stand before the definitions.
    notes : sequence of Loaded, or mapping
        What is known of the data: what the loaders returned (their accounts name counts only), or texts by source.
    alarms_per_year : float, optional
        How many false alarms a year to put up with where each day is held against the days before
        (`capi_lab.trend`); a channel that fell in the last seven days is an alert. None leaves that part out, and so
        does a log of too few days.
    min_cell : int
        Cells of fewer conversions are suppressed everywhere.
    level : float
        Of the intervals.
    title : str, optional

    Returns
    -------
    Report

    Raises
    ------
    InputError
        ``now`` has no zone, or ``min_cell`` is negative.
    UnknownNameError
        The ledger lacks a column of ``by``.
    ContractError
        A table given is not what its argument asks for.
    """
    if now.tzinfo is None:
        raise InputError("now has no zone: give datetime.now(UTC)")
    if min_cell < 0:
        raise InputError("min_cell counts conversions: 0 or more")
    findings: list[Finding] = []
    sections = [
        _coverage(rec, by, level, min_cell, findings),
        None if alarms_per_year is None else days_section(rec, alarms_per_year, level, min_cell, findings),
        _dedup(rec, level, min_cell, findings),
        _clocks(rec, min_cell, findings),
        None if match is None else match_section(match, rec.platform, min_cell, findings),
        None if what_if is None else what_if_section(what_if, min_cell, findings),
        None if receipts is None else send_section(receipts, min_cell, findings),
        _fates(rec, receipts, reports, marks, level, min_cell, findings),
        *more,
        Section("definitions", "What the words mean", notes=tuple(f"{a}: {b}" for a, b in _DEFINITIONS.items())),
    ]
    if notes:
        sections.append(Section("data", "What is known of the data", notes=_known(notes)))
    findings.sort(key=lambda one: not one.alert)
    return Report(
        title or f"What {platform(rec.platform).spec.title} gets to see",
        now,
        _origin(rec),
        tuple(findings),
        tuple(one for one in sections if one is not None),
    )


def _known(notes: Mapping[str, str] | Sequence[Loaded]) -> tuple[str, ...]:
    if isinstance(notes, Mapping):
        return tuple(f"{source}: {text}" for source, text in notes.items())
    accounts = (str(one.report).splitlines() for one in notes)
    return tuple("; ".join(" ".join(line.split()) for line in lines) for lines in accounts)


def _origin(rec: Reconciled) -> tuple[str, ...]:
    ledger = rec.conversion_table
    if "origin" not in ledger.columns:
        return ()
    found = to_frame(ledger.select("origin").distinct())["origin"]
    return tuple(sorted(found.dropna()))


def _coverage(rec: Reconciled, by: Sequence[str], level: float, min_cell: int, findings: list[Finding]) -> Section:
    channels = rec.channels
    if not channels:
        text = "The log holds no event, neither of the pixel nor of the server: what they report is not known."
        findings.append(Finding(text, alert=True, where="coverage"))
        return Section("coverage", "Which conversions are reported", text)
    known = channels if len(channels) == 1 else [*CALLED, _MOST, _MORE]

    def measured(name: str | None) -> pd.DataFrame:
        table = suppress_small(coverage(rec, by=name, level=level), min_cell)
        return table[table["setup"].isin(known)].reset_index(drop=True)

    whole = measured(None)
    at = whole.set_index("setup")
    tables, pictures = {"All conversions": whole}, {}
    if whole["value"].notna().any():
        pictures["Coverage by setup"] = picture(plots.plot_coverage, whole)
    first, most = at.loc[known[0]], at.loc[_MOST if _MOST in known else known[0]]
    if pd.notna(first["value"]):
        head = f"The {CALLED[known[0]]} reports {share(first)} of {first['n']:,.0f} conversions"
        if _MOST in known:
            rest = f"; with the server {share(most)} are reported. The server adds {share(at.loc[_MORE])}."
        else:
            silent = next(name for setup, name in CALLED.items() if setup != known[0])
            rest = f". The log holds no event of the {silent}: what it reports is not known."
        findings.append(Finding(head + rest, alert=False, where="coverage"))
    else:
        text = (
            f"The coverage of all conversions is suppressed: a number of it is of less than {min_cell} conversions. "
            "For your own eyes min_cell=1 (--min-cell 1) shows it."
        )
        findings.append(Finding(text, alert=False, where="coverage"))
    for name in by:
        table = measured(name)
        tables[f"By {name}"] = table
        if table["value"].notna().any():
            pictures[f"Coverage by {name}"] = picture(partial(plots.plot_coverage, title=f"Coverage by {name}"), table)
        findings.extend(_worse(table, name, most))
    text = "A conversion is seen if an event of the channel is linked to it, whether or not the platform counts it."
    hidden = sum(int(table["suppressed"].sum()) for table in tables.values())
    note = (f"{hidden} rows are suppressed: {SUPPRESSED.format(min_cell)}.",) if hidden else ()
    return Section("coverage", "Which conversions are reported", text, tables, pictures, note)


def _worse(table: pd.DataFrame, name: str, whole: pd.Series) -> list[Finding]:
    """Name the group whose coverage is worst beyond what chance gives: its interval ends below the whole's."""
    rows = table[(table["setup"] == whole.name) & table["high"].notna()]
    rows = rows[rows["high"] < whole["low"]].sort_values("value")
    if rows.empty:
        return []
    worst = rows.iloc[0]
    others = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
    return [
        Finding(
            f"{name} {worst[name] if pd.notna(worst[name]) else '(missing)'} is covered least: {share(worst)} of "
            f"{worst['n']:,.0f} conversions, against {whole['value']:.1%} of all{others}.",
            alert=False,
            where="coverage",
        )
    ]


def _dedup(rec: Reconciled, level: float, min_cell: int, findings: list[Finding]) -> Section | None:
    causes = pair_causes(rec, level)
    if causes.empty:
        return None
    shown = suppress_small(causes, min_cell)
    twice = causes[causes["outcome"] == str(Outcome.DOUBLE_COUNTED)]
    if len(twice):
        k, n = int(twice["k"].sum()), int(causes["n"].iloc[0])
        hidden = shown.loc[twice.index, "suppressed"]
        of = "" if n < min_cell else f" of {n:,}"
        share_of = "" if hidden.any() or not of else f" ({k / n:.1%})"
        top = twice["cause"][~hidden].fillna("unknown").str.replace("_", " ").head(1)
        often = "".join(f"; most often: {cause}" for cause in top)
        text = f"{how_many(twice['k'], hidden, min_cell)}{of} pairs{share_of} would be counted twice{often}."
        findings.append(Finding(text, alert=min_cell <= k > _DOUBLE_IS_MUCH * n, where="dedup"))
    tables = {"Pairs by outcome and cause": shown}
    pictures = {}
    if shown[shown["cause"].notna()]["value"].notna().any():
        pictures["What is wrong with the pairs"] = picture(plots.plot_causes, shown)
    return Section("dedup", "Would each conversion be counted once", tables=tables, pictures=pictures)


def _clocks(rec: Reconciled, min_cell: int, findings: list[Finding]) -> Section | None:
    found = clock_findings(rec)
    if not found.findings:
        return None
    for one in found.findings:
        findings.append(
            Finding(f"Clock of {one.clock} against {one.against}: {one.remedy}", alert=True, where="clocks")
        )
    table = suppress_small(found.table, min_cell).assign(
        offset=found.table["offset"].astype("str"), before=found.table["before"].astype("str")
    )
    return Section("clocks", "Clocks that disagree", tables={"Proposals, none of them applied": table})


def _fates(
    rec: Reconciled,
    receipts: TableLike | None,
    reports: TableLike | None,
    marks: TableLike | None,
    level: float,
    min_cell: int,
    findings: list[Finding],
) -> Section:
    wf = waterfall(rec, receipts, reports, marks=marks, level=level)
    table = suppress_small(wf, min_cell)
    if sentence := wf.sentence(table):
        findings.append(Finding(sentence, alert=False, where="fates"))
    broken = wf.conservation[~wf.conservation["holds"]]
    if len(broken):
        findings.append(
            Finding(f"{len(broken)} laws of the waterfall do not hold: do not use it", alert=True, where="fates")
        )
    tables = {"Steps and buckets": table}
    if len(wf.reported):
        tables["What the platform reports (totals, not tied to conversions)"] = suppress_small(wf.reported, min_cell)
    drawn = table["value"].notna().any()
    pictures = {"From the ledger to the platform": picture(plots.plot_waterfall, table)} if drawn else {}
    told = [remark.text for remark in wf.remarks if remark.fewest is None or remark.fewest >= min_cell]
    if untold := len(wf.remarks) - len(told):
        told.append(f"Left out: remarks that name fewer than {min_cell} conversions ({untold}).")
    if hidden := int(table["suppressed"].sum()):
        told.append(f"{hidden} rows are suppressed: {SUPPRESSED.format(min_cell)}.")
    if (table["k_pixel"].isna() & ~table["suppressed"]).any():
        told.append(f"k_pixel is left out where it would tell of fewer than {min_cell} conversions.")
    return Section("fates", "What became of each conversion", tables=tables, pictures=pictures, notes=tuple(told))
