"""Which rows of two tables agree in their keys and lie near each other in time.

A join on a distance has no hash; a join on a slice of time has one. So each row of one side stands in the two
slices its neighbourhood can touch, each row of the other in its own, and the distance is checked afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis

__all__ = ["pairs_near", "report_of"]


def report_of(events: ibis.Table) -> Any:
    """Name the report a row belongs to: repeats of an event id are one report, a row without one is its own."""
    return ibis.ifelse(events.event_id.notnull(), ibis.literal("e") + events.event_id, "r" + events.row_id)


def pairs_near(left: ibis.Table, right: ibis.Table, on: Sequence[str], within: int) -> ibis.Table:
    """Join rows that are equal in ``on`` and at most ``within`` microseconds apart.

    Parameters
    ----------
    left, right : Ibis table
        With ``left_us`` and ``right_us`` (int64) and the columns of ``on``; other columns must not share names.
    on : sequence of str
        Missing values agree with nothing.
    within : int
        Microseconds; the bound itself is near.
    """
    width = 2 * within + 1  # the neighbourhood holds this many microseconds, so it touches two slices at most
    first = (right.right_us - within) // width
    slices = ibis.union(right.mutate(slice=first), right.mutate(slice=first + 1))
    joined = left.mutate(slice=left.left_us // width).join(slices, [*on, "slice"])
    apart = joined.left_us - joined.right_us
    return joined.filter((apart <= within) & (apart >= -within)).drop("slice")
