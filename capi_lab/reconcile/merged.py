"""Which fields a kept event takes over from the copies that were dropped."""

from __future__ import annotations

from functools import reduce
from typing import Any

import ibis

from capi_lab.platforms.rules import MergeRule
from capi_lab.reconcile.by_key import microseconds

__all__ = ["merged_fields"]


def merged_fields(table: ibis.Table, dropped: ibis.Table, clock: Any, rule: MergeRule) -> ibis.Table:
    """Name, per kept event, the columns it takes over.

    Parameters
    ----------
    table : Ibis table
        Events.
    dropped : Ibis table
        ``row_id`` and ``duplicate_of``.
    clock : Ibis int64
        Of ``table``, in microseconds.
    rule : MergeRule

    Returns
    -------
    Ibis table
        ``merged_row_id`` and ``merged`` (names, comma-separated, in the rule's order) of events that take something.
    """
    fill = [name for name in rule.fill if name in table.columns]
    replace = [name for name in rule.replace if name in table.columns]
    columns = {f"v{i}": table[name] for i, name in enumerate([*replace, *fill])}
    rows = table.select(row_id=table.row_id, channel=table.channel, clock=clock, **columns)
    links = dropped.select(gone="row_id", kept="duplicate_of")
    pairs = links.join(rows, links.gone == rows.row_id).drop("row_id")
    theirs = rows.rename({f"kept_{name}": name for name in rows.columns})
    pairs = pairs.join(theirs, pairs.kept == theirs.kept_row_id)
    gives = ibis.literal(value=True)
    if rule.across_channels_only:
        gives = gives & (pairs.channel != pairs.kept_channel)
    if rule.from_channel:
        gives = gives & (pairs.channel == str(rule.from_channel))
    if rule.within:
        gives = gives & ((pairs.clock - pairs.kept_clock).abs() <= microseconds(rule.within))
    empty = {i: pairs[f"kept_v{i}"].isnull() for i in range(len(replace), len(columns))}
    none_of_them = reduce(lambda a, b: a & b, empty.values(), ibis.literal(value=True))
    taken = {}
    for i in range(len(columns)):
        takes = gives & pairs[f"v{i}"].notnull()
        if i >= len(replace):
            takes = takes & (none_of_them if rule.fill_together else empty[i])
        taken[f"t{i}"] = takes.any()
    per = pairs.group_by(merged_row_id=pairs.kept).aggregate(**taken)
    parts = [ibis.ifelse(per[f"t{i}"], f",{name}", "") for i, name in enumerate([*replace, *fill])]
    names = reduce(lambda a, b: a + b, parts, ibis.literal(""))
    per = per.select("merged_row_id", merged=names)
    return per.filter(per.merged != "").mutate(merged=ibis._.merged.substr(1))
