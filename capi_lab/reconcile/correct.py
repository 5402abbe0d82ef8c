"""Apply a proposal about a clock that somebody accepted."""

from __future__ import annotations

import itertools
from typing import Any

import ibis
import pandas as pd

from capi_lab.engine import (
    TableLike,
    as_table,
    epoch_microseconds,
    from_epoch_microseconds,
    same_kind,
    to_frame,
)
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.reconcile.clock import ClockFinding
from capi_lab.reconcile.clock_judge import DAY_US, FAR_US, Judged
from capi_lab.reconcile.clock_zones import segments
from capi_lab.tables import CONVERSIONS, EVENTS
from capi_lab.words import Channel, ClockFault

__all__ = ["correct_clock"]

_YEAR_2100 = 130 * 366 * DAY_US
# Where a time read with the wrong unit lies: (at least, below) in microseconds since 1970, for today's true times.
_MISREAD = {1e6: (0, 10**11), 1e3: (10**11, 10**14), 1e-3: (10**17, 2**62)}


def correct_clock(data: TableLike, finding: ClockFinding, *, zone: str | None = None) -> pd.DataFrame | ibis.Table:
    """Return the table with the times of one clock corrected as a finding proposes.

    Parameters
    ----------
    data : DataFrame, Arrow table, Parquet path or glob, or Ibis table
        Events, where the finding is about a channel: only that channel's rows change, tied or not. The ledger, where
        it is about the ledger.
    finding : ClockFinding
        One of ``clock_findings(rec).findings``.
    zone : str, optional
        Where several zones fit, which; default: the first. A finding of whole hours is corrected by the constant
        offset unless a zone is named.

    Returns
    -------
    DataFrame, or Ibis table where the input was a path or an Ibis table
        Same rows; ``event_time`` corrected, ``reported_event_time`` as it came, ``clock_correction`` the fault
        corrected for (missing where nothing changed). In the hour that a clock set back runs through twice, the
        earlier reading is taken and ``clock_correction`` says ``ambiguous``.

    Raises
    ------
    ContractError
        The table breaks its contract.
    InputError
        ``finding`` is none, or cannot be undone in the table: load the file anew with the right unit.
    UnknownNameError
        ``zone`` is not one that fits.

    Notes
    -----
    Better than correcting is loading the file anew with the zone or unit the finding names, where the file is at hand.
    """
    if not isinstance(finding, ClockFinding):
        raise InputError("give one of the findings: clock_findings(rec).findings[0]")
    contract = EVENTS if finding.clock in set(Channel) else CONVERSIONS
    table = as_table(data, contract)
    us = epoch_microseconds(table.event_time)
    concerned = table.channel == finding.clock if contract is EVENTS else ibis.literal(value=True)
    shift, unclear = _shift(table, us, concerned, finding.judged, zone)
    shift = ibis.ifelse(concerned, shift, 0).cast("int64")
    word = ibis.ifelse(unclear, f"{finding.fault} (ambiguous)", str(finding.fault))
    word = ibis.ifelse(shift != 0, word, ibis.null("string"))
    came = {"reported_event_time": table.event_time, "clock_correction": word}
    if "reported_event_time" in table.columns:
        came["reported_event_time"] = table.reported_event_time
    if "clock_correction" in table.columns:
        both = table.clock_correction + ", " + word
        came["clock_correction"] = ibis.coalesce(both, table.clock_correction, word)
    result = same_kind(data, table.mutate(event_time=from_epoch_microseconds(us - shift), **came))
    if isinstance(data, pd.DataFrame):
        key = "row_id" if contract is EVENTS else "conversion_id"
        result = result.set_index(key, drop=False).loc[data[key]].set_axis(data.index)
    return result


def _shift(table: ibis.Table, us: Any, concerned: Any, judged: Judged, zone: str | None) -> tuple[Any, Any]:
    """Return how many microseconds to take off each time, and whether that is unclear."""
    clear = ibis.literal(value=False)
    if judged.fault is ClockFault.UNIT:
        return _unit_shift(us, judged.factor or 1.0), clear
    if judged.fault is ClockFault.DRIFT:
        rate, start, since = (judged.per_day or 0.0) / 86_400, judged.offset or 0, judged.since or 0
        return ((us - since - start) * (rate / (1 + rate))).round().cast("int64") + start, clear
    if judged.fault is ClockFault.STEP:
        return _by_pieces(us, [(0, judged.before or 0), (judged.since or 0, judged.offset or 0)])
    if judged.fault is ClockFault.CONSTANT_OFFSET or (judged.fault is ClockFault.WHOLE_HOURS and zone is None):
        return ibis.literal(judged.offset or 0), clear
    fits = [fit for fit in judged.fits if zone is None or zone in fit.zones]
    if not fits:
        raise UnknownNameError("zone that fits", zone, [name for fit in judged.fits for name in fit.zones])
    span = to_frame(table.filter(concerned).aggregate(low=us.min(), high=us.max())).iloc[0].fillna(0)
    low, high = (min(max(int(span[name]) + by, 0), _YEAR_2100) for name, by in (("low", -FAR_US), ("high", FAR_US)))
    stretches = segments(zone or fits[0].zones[0], low, high)
    return _by_pieces(us, [(start, fits[0].sign * (offset - fits[0].base)) for start, offset in stretches])


def _by_pieces(us: Any, pieces: list[tuple[int, int]]) -> tuple[Any, Any]:
    """Undo offsets that hold from given true instants on; the first reading that is possible is taken."""
    cases, twice = [], [ibis.literal(value=False)]
    for (_, offset), (start, following) in itertools.pairwise(pieces):
        cases.append((us - offset < start, ibis.literal(offset).cast("int64")))
        twice.append((us - offset < start) & (us - following >= start))
    last = ibis.literal(pieces[-1][1]).cast("int64")
    return (ibis.cases(*cases, else_=last) if cases else last), ibis.or_(*twice)


def _unit_shift(us: Any, factor: float) -> Any:
    known = min(_MISREAD, key=lambda one: abs(one / factor - 1))
    if abs(known / factor - 1) > 1e-6:
        raise InputError("times this far off cannot be undone: load the file anew with the right unit")
    low, high = _MISREAD[known]
    true = us * round(known) if known > 1 else us // round(1 / known)
    return ibis.ifelse((us >= low) & (us < high), us - true, 0)
