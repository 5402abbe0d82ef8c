"""Two reports of each conversion side by side, with the forms of their ids, and who else has the same id."""

from __future__ import annotations

from typing import Any

import ibis

from capi_lab.platforms.rules import DedupRule
from capi_lab.reconcile.ids import core, unpadded
from capi_lab.words import Channel, DropReason, Link

__all__ = [
    "beside_each_other",
    "carried",
    "id_columns",
    "key_id",
    "reports_of",
    "seen_by_both",
    "shared_with_others",
    "with_several_ids",
]

_NO_IDS = ("event_name", "event_time")


def seen_by_both(ledger: ibis.Table) -> ibis.Table:
    """Return what the ledger says of conversions both channels saw."""
    both = ledger.filter(ledger.seen_pixel & ledger.seen_capi)
    return both.select(
        conversion_id="conversion_id",
        counted="counted",
        ledger_time="event_time",
        ledger_value=_column(both, "value", "float64"),
        ledger_currency=_column(both, "currency"),
    )


def _column(table: ibis.Table, name: str, dtype: str = "string") -> Any:
    """Return a column, all missing where the table lacks it."""
    return table[name].cast(dtype) if name in table.columns else ibis.null(dtype)


def carried(name: str) -> str:
    """Name the column of what the event itself carried: linking moved its own order id aside."""
    return "reported_conversion_id" if name == "conversion_id" else name


def id_columns(rule: DedupRule) -> list[str]:
    """Return the columns of the key that are ids."""
    return [name for name in rule.key if name not in _NO_IDS]


def key_id(table: ibis.Table, rule: DedupRule) -> Any:
    """Return the first id of the key."""
    return table[carried(id_columns(rule)[0])]


def reports_of(linked: ibis.Table, both: ibis.Table, rule: DedupRule) -> ibis.Table:
    """Keep what the diagnosis reads: ids of the key as ``k0`` ..., fallback keys as ``f0`` ...

    The other forms of the ids, ``u0`` and ``c0`` ..., are worked out only where a conversion is counted twice.
    """
    counts = both.select(pair_id="conversion_id", pair_counted="counted")
    events = linked.join(counts, linked.conversion_id == counts.pair_id)
    received = events.received_time if "received_time" in events.columns else ibis.null("timestamp('UTC', 6)")
    columns: dict[str, Any] = {}
    for i, name in enumerate(id_columns(rule)):
        value = events[carried(name)]
        columns |= {f"k{i}": value} | {
            f"{tag}{i}": ibis.ifelse(events.pair_counted > 1, form(value), ibis.null("string"))
            for tag, form in (("u", unpadded), ("c", core))
        }
    columns |= {f"f{i}": _column(events, name) for i, name in enumerate(rule.fallback.keys if rule.fallback else ())}
    return events.select(
        row_id="row_id",
        conversion_id="conversion_id",
        channel="channel",
        event_name="event_name",
        kept="kept",
        copy_of=events.duplicate_of.fill_null(events.row_id),
        takes_value=("," + events.merged.fill_null("") + ",").contains(",value,"),
        clock=received.fill_null(events.event_time),
        happened="event_time",
        received=received,
        value=_column(events, "value", "float64"),
        currency=_column(events, "currency").upper(),
        **columns,
    )


def beside_each_other(both: ibis.Table, plain: ibis.Table, several: ibis.Table, rule: DedupRule) -> ibis.Table:
    """Put the two reports to compare side by side; ``second_`` is missing where there is only one."""
    names = plain.columns
    one_channel = len(rule.channels) == 1
    side = ibis.ifelse((plain.channel == str(Channel.PIXEL)) | ibis.literal(one_channel), 0, 1)
    rows = several.mutate(rank=ibis.ifelse(several.kept, 0, 1))
    order = ibis.window(
        group_by="conversion_id", order_by=[rows.rank, rows.clock, ibis.desc(rows.channel), rows.row_id]
    )
    rows = rows.mutate(place=ibis.row_number().over(order), leader=rows.channel.first().over(order))
    # The leader, then counted before dropped, then the other channel's before its own.
    after = ibis.cases((rows.place == 0, 0), else_=1 + 2 * rows.rank + ibis.ifelse(rows.channel == rows.leader, 1, 0))
    rows = rows.mutate(after=after)
    rows = rows.mutate(place=ibis.row_number().over(group_by="conversion_id", order_by=[rows.after, rows.place]))
    two = rows.filter(rows.place < 2)
    pixel_first = ibis.window(group_by="conversion_id", order_by=[ibis.desc(two.channel), two.clock, two.place])
    two = two.mutate(side=ibis.row_number().over(pixel_first))
    sides = ibis.union(plain.select(*names, side=side.cast("int64")), two.select(*names, side=two.side.cast("int64")))
    first, second = (
        sides.filter(sides.side == i).select(**{f"{tag}_{name}": name for name in names})
        for i, tag in enumerate(("first", "second"))
    )
    pairs = both.join(first, both.conversion_id == first.first_conversion_id)
    return pairs.left_join(second, pairs.conversion_id == second.second_conversion_id)


def with_several_ids(several: ibis.Table) -> ibis.Table:
    """Conversions one channel reported under ids that have nothing in common."""
    ids = unpadded(several.c0)
    per = several.group_by("conversion_id", "channel").aggregate(low=ids.min(), high=ids.max())
    return per.filter(per.low != per.high).select("conversion_id").distinct().mutate(again=ibis.literal(value=True))


def shared_with_others(pairs: ibis.Table, linked: ibis.Table, ledger: ibis.Table, rule: DedupRule) -> ibis.Table:
    """Conversions tied up with another one, and by which row: ``by_id`` where an id they share did it."""
    own = linked.select(
        "row_id", "conversion_id", "duplicate_of", "drop_reason", id=key_id(linked, rule), event_id="event_id",
        link="link",
    )  # fmt: skip
    dropped = own.filter(own.duplicate_of.notnull()).mutate(
        by_id=(own.drop_reason != str(DropReason.FALLBACK_KEY)) & own.id.notnull()
    )
    keepers = own.select(keeper_row="row_id", keeper="conversion_id")
    across = dropped.join(keepers, dropped.duplicate_of == keepers.keeper_row)
    across = across.filter(across.conversion_id != across.keeper)
    found = [
        across.select("conversion_id", "by_id", other_row_id="keeper_row", other_conversion_id="keeper"),
        across.select(
            conversion_id="keeper", by_id="by_id", other_row_id="row_id", other_conversion_id=across.conversion_id
        ),
        _same_id_elsewhere(pairs, own),
    ]
    if id_columns(rule)[0] == "conversion_id" and "event_id" in ledger.columns:
        found.append(_order_ids_taken_over(own, ledger))
    others = ibis.union(*found)
    order = [ibis.desc(others.by_id), others.other_row_id, others.other_conversion_id]
    others = others.mutate(place=ibis.row_number().over(group_by="conversion_id", order_by=order))
    return others.filter(others.place == 0).drop("place")


def _same_id_elsewhere(pairs: ibis.Table, own: ibis.Table) -> ibis.Table:
    """Of pairs counted twice under ids that differ: another conversion that reports one of the two ids."""
    twice = pairs.filter((pairs.counted > 1) & (pairs.first_k0 != pairs.second_k0))
    ids = ibis.union(*(twice.select(pair="conversion_id", pair_id=twice[name]) for name in ("first_k0", "second_k0")))
    holders = own.semi_join(ids, own.id == ids.pair_id)
    holders = holders.group_by("id", "conversion_id").aggregate(row=holders.row_id.min())
    # Two holders are enough to find one that is not the pair itself; an id on 100,000 orders stays one row.
    ends = holders.group_by(end_id=holders.id).aggregate(
        low=holders.conversion_id.min(), high=holders.conversion_id.max()
    )
    ends = ends.filter(ends.low != ends.high)
    hits = ids.join(ends, ids.pair_id == ends.end_id)
    hits = hits.mutate(another=ibis.ifelse(hits.low == hits.pair, hits.high, hits.low))
    hits = hits.join(holders, [hits.end_id == holders.id, hits.another == holders.conversion_id])
    return hits.select(
        conversion_id=hits.pair, by_id=ibis.literal(value=True), other_row_id="row", other_conversion_id="another"
    )


def _order_ids_taken_over(own: ibis.Table, ledger: ibis.Table) -> ibis.Table:
    """Events tied to a conversion by its order id although their event id is another conversion's."""
    owners = ledger.filter(ledger.event_id.notnull()).group_by(owner_id=ibis._.event_id)
    owners = owners.aggregate(owner=ibis._.conversion_id.min(), n=ibis._.count()).filter(ibis._.n == 1)
    rows = own.filter(own.link == str(Link.ORDER_ID))
    rows = rows.join(owners, rows.event_id == owners.owner_id)
    return rows.filter(rows.owner != rows.conversion_id).select(
        "conversion_id", by_id=ibis.literal(value=True), other_row_id="row_id", other_conversion_id="owner"
    )
