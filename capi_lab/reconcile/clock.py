"""Infer from linked pairs whose clock is wrong, and how; propose, never change.

The engine counts the distances between two reports of one conversion; the histograms, small by then, are judged in
`clock_judge`. `correct.correct_clock` applies a finding that somebody accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from html import escape

import ibis
import pandas as pd

from capi_lab.engine import epoch_microseconds, materialise, to_frame
from capi_lab.errors import InputError
from capi_lab.reconcile.by_key import microseconds
from capi_lab.reconcile.clock_judge import (
    DAY_US,
    FACTORS,
    FAR_US,
    HOUR_US,
    QUARTER_US,
    SHARP_US,
    Histograms,
    Judged,
    Strict,
    judge,
)
from capi_lab.reconcile.clock_words import remedy
from capi_lab.reconcile.clock_zones import CLOCK_RULES
from capi_lab.reconcile.given import Given, as_reconciled
from capi_lab.reconcile.reconciled import Reconciled
from capi_lab.words import Channel, ClockFault

__all__ = ["ClockFinding", "ClockFindings", "clock_findings"]

_SERIES = (("pixel", "ledger"), ("capi", "ledger"), ("pixel", "capi"))


@dataclass(frozen=True)
class ClockFinding:
    """One proposal about one clock.

    Parameters
    ----------
    clock, against : str
        Whose times (``pixel``, ``capi``, ``ledger``), and which it was compared with.
    fault : ClockFault
    judged : Judged
        Offsets, dates, zones and counts behind it; offsets are those of ``clock``.
    remedy : str
        In words.
    """

    clock: str
    against: str
    fault: ClockFault
    judged: Judged
    remedy: str


@dataclass(frozen=True, repr=False)
class ClockFindings:
    """What linked pairs say about the clocks.

    Parameters
    ----------
    findings : tuple of ClockFinding
        Proposals, to be accepted one by one with `capi_lab.correct_clock`.
    series : DataFrame
        One row per pair of clocks compared: ``clock``, ``against``, ``n`` (pairs), ``verdict`` (``fits``: no fault
        seen; ``finding``; ``thin``: too few pairs; ``blurred``: no distance is common enough to be a clock's).
    """

    findings: tuple[ClockFinding, ...]
    series: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row per finding.

        ``clock``, ``against``, ``fault``, ``offset`` (timedelta; later offset where it steps), ``before`` (offset
        before the step), ``since`` (UTC), ``factor`` (of a unit mistake), ``seconds_per_day`` (of a drift), ``zones``
        that fit (comma-separated), ``k`` of ``n`` pairs it explains, ``value`` (k/n), ``low``, ``high`` (Wilson,
        95 %), ``remedy``.
        """
        judged = [finding.judged for finding in self.findings]
        intervals = [j.interval() for j in judged]
        times = {"offset": [j.offset for j in judged], "before": [j.before for j in judged]}
        since = pd.Series([j.since for j in judged], dtype="Int64")
        return pd.DataFrame(
            {
                "clock": pd.Series([f.clock for f in self.findings], dtype="str"),
                "against": pd.Series([f.against for f in self.findings], dtype="str"),
                "fault": pd.Series([str(f.fault) for f in self.findings], dtype="str"),
                **{name: pd.Series(us, dtype="Int64").astype("timedelta64[us]") for name, us in times.items()},
                "since": since.astype("datetime64[us]").dt.tz_localize("UTC"),
                "factor": pd.Series([j.factor for j in judged], dtype="float64"),
                "seconds_per_day": pd.Series([j.per_day for j in judged], dtype="float64"),
                "zones": pd.Series([", ".join(j.zones) for j in judged], dtype="str"),
                "k": pd.Series([j.k for j in judged], dtype="int64"),
                "n": pd.Series([j.n for j in judged], dtype="int64"),
                "value": pd.Series([j.k / j.n for j in judged], dtype="float64"),
                "low": pd.Series([low for low, _ in intervals], dtype="float64"),
                "high": pd.Series([high for _, high in intervals], dtype="float64"),
                "remedy": pd.Series([f.remedy for f in self.findings], dtype="str"),
            }
        )

    def __repr__(self) -> str:
        lines = [f"Clocks: {len(self.findings)} proposed finding(s), nothing changed"]
        lines += [
            f"  {f.clock} against {f.against}: {f.fault}, {f.judged.k:,} of {f.judged.n:,} pairs. {f.remedy}"
            for f in self.findings
        ]
        lines += [
            f"  {row.clock} against {row.against}: {_VERDICTS[row.verdict]} ({row.n:,} pairs)"
            for row in self.series.itertuples(index=False)
            if row.verdict != "finding"
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f'<pre style="font-family:monospace">{escape(repr(self))}</pre>'


_VERDICTS = {
    "fits": "no fault seen",
    "thin": "unknown, too few pairs",
    "blurred": "unknown, no distance is common enough to be a clock's",
}


def clock_findings(
    rec: Given,
    *,
    tolerance: timedelta = timedelta(seconds=5),
    min_pairs: int = 30,
    min_share: float = 0.5,
    zones: Sequence[str] = CLOCK_RULES,
    platform: str = "meta",
) -> ClockFindings:
    """Find wrong clocks, zones and units in the distances between reports of one conversion.

    Parameters
    ----------
    rec : Reconciled, or (conversions, events)
        The tables in any form `reconcile` takes. Only events tied to a conversion count, the earliest per channel.
    tolerance : timedelta
        How close to a common distance a pair must lie to count for it. An offset is proposed beyond twice this.
    min_pairs : int
        Fewer pairs than this say nothing.
    min_share : float
        Share of the pairs a finding must explain.
    zones : sequence of str
        IANA names to try, most likely first; of zones that fit equally all are named.
    platform : str
        Where tables are given: whose dedup rule and names.

    Returns
    -------
    ClockFindings
        Nothing is changed. A fault both channels show against the ledger is the ledger's. The two channels are
        compared with each other only where neither can be judged against the ledger.

    Raises
    ------
    InputError
        A threshold out of range, or a zone that does not exist.

    Notes
    -----
    A server that stamps events a constant time after the order looks like a clock that is ahead: nothing in the log
    tells the two apart, which is why this proposes. A clean log gives no finding: a second hypothesis (step, zone,
    drift) must explain more pairs than one constant distance by ``max(min_pairs, 4 sqrt(n), 2-5 % of n)``.
    """
    if min_pairs < 1 or not 0 < min_share <= 1 or tolerance <= timedelta(0):
        raise InputError("min_pairs must be at least 1, min_share in (0, 1], tolerance positive")
    strict = Strict(tolerance_us=microseconds(tolerance), min_pairs=min_pairs, min_share=min_share, zones=tuple(zones))
    counted = _histograms(as_reconciled(rec, platform))
    judged = {series: judge(counted[series], strict) for series in _SERIES}
    known = [series for series in _SERIES[:2] if judged[series].verdict in ("fits", "finding")]
    used = _SERIES[:2] if known or judged[_SERIES[2]].verdict == "thin" else _SERIES
    findings = []
    for series in used:
        findings += [
            ClockFinding(*series, fault=j.fault, judged=j, remedy=remedy(series[0], j)) for j in judged[series].found
        ]
    rows = [(*series, counted[series].n, judged[series].verdict) for series in used]
    series_table = pd.DataFrame(rows, columns=["clock", "against", "n", "verdict"])
    return ClockFindings(tuple(_ledgers(findings, strict)), series_table)


def _ledgers(findings: list[ClockFinding], strict: Strict) -> list[ClockFinding]:
    """Turn a fault that both channels share into one of the ledger, seen from there."""
    mine = [f for f in findings if f.clock == str(Channel.PIXEL) and f.against == "ledger"]
    theirs = [f for f in findings if f.clock == str(Channel.CAPI)]
    kept = list(findings)
    for a in mine:
        for b in theirs:
            if a in kept and b in kept and a.judged.same_as(b.judged, strict.tolerance_us):
                turned = a.judged.turned(b.judged)
                at = kept.index(a)
                kept[at] = replace(
                    a, clock="ledger", against="pixel, capi", judged=turned, remedy=remedy("ledger", turned)
                )
                kept.remove(b)
    return kept


def _histograms(rec: Reconciled) -> dict[tuple[str, str], Histograms]:
    """Count, in the engine, how far apart the reports of a conversion are and when."""
    pairs = materialise(_pairs(rec))
    dt = pairs.dt
    faulted = [
        ((pairs.us.cast("float64") * factor - pairs.ref.cast("float64")).abs() <= 2 * DAY_US) & (dt.abs() > 2 * DAY_US)
        for factor in FACTORS
    ]
    totals = to_frame(
        pairs.group_by("clock", "against").aggregate(
            n=pairs.count(),
            first=pairs.ref.min(),
            last=pairs.ref.max(),
            **{f"f{i}": flag.sum().fill_null(0) for i, flag in enumerate(faulted)},
        )
    )
    usual = pairs.filter(~ibis.or_(*faulted) & (dt.abs() <= FAR_US))
    quarter = (usual.dt + QUARTER_US // 2) // QUARTER_US
    sharp = (usual.dt - quarter * QUARTER_US).abs() <= SHARP_US
    by_hour = usual.mutate(quarter=quarter).filter(sharp)
    by_hour = by_hour.group_by("clock", "against", "quarter", hour=by_hour.ref // HOUR_US).aggregate(n=ibis._.count())
    by_day = usual.group_by(
        "clock", "against", day=usual.ref // DAY_US, second=(usual.dt + 500_000) // 1_000_000
    ).aggregate(n=usual.count())
    hours, days = to_frame(by_hour), to_frame(by_day)
    found = {}
    for series in _SERIES:
        total, hour, day = (
            frame[(frame["clock"] == series[0]) & (frame["against"] == series[1])] for frame in (totals, hours, days)
        )
        row = total.iloc[0] if len(total) else None
        found[series] = Histograms(
            n=0 if row is None else int(row["n"]),
            first=0 if row is None else int(row["first"]),
            last=0 if row is None else int(row["last"]),
            by_factor={factor: 0 if row is None else int(row[f"f{i}"]) for i, factor in enumerate(FACTORS)},
            hours=hour[["hour", "quarter", "n"]].to_numpy("int64"),
            days=day[["day", "second", "n"]].to_numpy("int64"),
        )
    return found


def _pairs(rec: Reconciled) -> ibis.Table:
    """One row per conversion and pair of clocks: ``us`` (the clock), ``ref`` (the other), ``dt`` = us − ref."""
    events = rec.event_table.filter(rec.event_table.conversion_id.notnull())
    us = epoch_microseconds(events.event_time)
    pixel = events.channel == str(Channel.PIXEL)
    per = events.group_by(own_id=events.conversion_id).aggregate(pixel=us.min(where=pixel), capi=us.min(where=~pixel))
    ledger = rec.conversion_table.select("conversion_id", ledger=epoch_microseconds(rec.conversion_table.event_time))
    both = per.join(ledger, per.own_id == ledger.conversion_id)
    parts = [
        both.filter(both[clock].notnull() & both[against].notnull()).select(
            clock=ibis.literal(clock), against=ibis.literal(against), us=clock, ref=against
        )
        for clock, against in _SERIES
    ]
    return ibis.union(*parts).mutate(dt=lambda t: t.us - t.ref)
