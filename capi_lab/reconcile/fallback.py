"""Which events without an id are taken for copies of a browser event of the same person."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta

import ibis

from capi_lab.engine import materialise
from capi_lab.reconcile.by_key import microseconds

__all__ = ["acquainted", "matches"]


def acquainted(rows: ibis.Table, few: ibis.Table, keys: Sequence[str]) -> ibis.Table:
    """Keep the events of ``rows`` that share name and any of ``keys`` with one of ``few``: nobody else can match.

    Parameters
    ----------
    rows, few : Ibis table
        With ``event_name`` and the keys.
    keys : sequence of str

    Returns
    -------
    Ibis table
        Some of ``rows``, read from a result that was run once.
    """
    parts = [rows.semi_join(few.select("event_name", key), ["event_name", key]) for key in keys]
    return materialise(ibis.union(*parts, distinct=True) if len(parts) > 1 else parts[0])


def matches(later: ibis.Table, first: ibis.Table, keys: Sequence[str], window: timedelta) -> ibis.Table:
    """Match events to the earliest one of the first channel inside the window; row_id, duplicate_of.

    Two events are compared on the first key that both carry: so, for each key, the later events are
    split by which stronger keys they carry, and the first ones must lack those.
    """
    found = []
    for level, key in enumerate(keys):
        for carried in itertools.product((False, True), repeat=level):
            mine, theirs = [later[key].notnull()], [first[key].notnull()]
            for stronger, has in zip(keys, carried, strict=False):
                mine.append(later[stronger].notnull() if has else later[stronger].isnull())
                if has:
                    theirs.append(first[stronger].isnull())
            found.append(_earliest(later.filter(mine), first.filter(theirs), key, microseconds(window)))
    hits = ibis.union(*found) if len(found) > 1 else found[0]
    order = ibis.row_number().over(group_by=hits.row_id, order_by=[hits.clock, hits.duplicate_of])
    return hits.mutate(order=order).filter(lambda t: t.order == 0).select("row_id", "duplicate_of")


def _earliest(later: ibis.Table, first: ibis.Table, key: str, window: int) -> ibis.Table:
    """Per later event, the earliest first-channel event with the same name and key inside the window."""
    stream = ibis.union(
        *[
            rows.select(event_name=rows.event_name, key=rows[key], clock=rows.clock, row_id=rows.row_id, first=flag)
            for rows, flag in ((first, ibis.literal(value=True)), (later, ibis.literal(value=False)))
        ]
    )
    frame = ibis.range_window(
        preceding=window, following=0, group_by=[stream.event_name, stream.key], order_by=stream.clock
    )
    start = stream.clock.min(where=stream.first).over(frame)
    hits = stream.mutate(start=start).filter(lambda t: ~t.first & t.start.notnull())
    starts = first.group_by(event_name=first.event_name, key=first[key], clock=first.clock).aggregate(
        duplicate_of=first.row_id.min()
    )
    joined = hits.join(
        starts.rename(start_clock="clock"),
        [
            hits.event_name == starts.event_name,
            hits.key == starts.key,
            hits.start == starts.clock,
        ],
    )
    return joined.select(row_id="row_id", clock="start", duplicate_of="duplicate_of")
