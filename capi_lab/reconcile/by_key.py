"""Which events their key drops.

Three tiers, each exact, each taking only what the one before leaves over:

1. One hash aggregate per key settles the plain pairs, one browser and one server event: nearly all of a log.
2. The rows of other keys fall into sessions, wherever more than a window passes without an event: nothing kept before
   can absorb anything after. A session no longer than the window has a closed form (`sessions`).
3. Longer sessions depend on their whole history and are replayed event by event (`replay`).

The rows come in narrow: ``row_id``, ``channel``, ``clock`` (microseconds), and the key's parts as ``k0``, ``k1`` ...,
all present. Out come ``row_id``, ``drop_reason`` and ``duplicate_of`` of those that are dropped.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import ibis

from capi_lab.engine import is_empty, materialise
from capi_lab.platforms.rules import DedupRule, Keep
from capi_lab.reconcile.replay import replay
from capi_lab.reconcile.sessions import cut_into_sessions, drop_in_sessions, pixel_wins
from capi_lab.words import Channel, DropReason

__all__ = ["DROPPED", "drop_by_key", "microseconds"]

DROPPED = {"row_id": "string", "drop_reason": "string", "duplicate_of": "string"}


def drop_by_key(
    rows: ibis.Table, key: list[str], rule: DedupRule, *, same_channel: bool, never_kept: ibis.Table | None = None
) -> ibis.Table:
    """Return the rows their key drops.

    Parameters
    ----------
    rows : Ibis table
    key : list of str
        The columns of the key in ``rows``.
    rule : DedupRule
    same_channel : bool
        Do repeats within one channel merge?
    never_kept : Ibis table, optional
        ``row_id`` of rows that are dropped for another reason, and so absorb nothing.

    Returns
    -------
    Ibis table
        Reads results that were run once: asking it twice costs little.
    """
    flag = ibis.literal(value=False)
    if never_kept is not None:
        rows = rows.left_join(never_kept.select(other_row_id="row_id"), [("row_id", "other_row_id")])
        flag = rows.other_row_id.notnull()
    rows = rows.select("row_id", "channel", "clock", *key, never_kept=flag)
    settled = materialise(_pairs(_by_key(rows, key, same_channel=same_channel), key, rule))
    others = settled.filter(settled.row_id.isnull()).select(*key)
    pairs = settled.filter(settled.row_id.notnull()).select(*DROPPED)
    if is_empty(others):
        return pairs
    few = rows.semi_join(others, key)
    return ibis.union(pairs, *map(materialise, _longer(few, key, rule, same_channel=same_channel)))


def microseconds(duration: timedelta) -> int:
    """Return a duration in whole microseconds."""
    return round(duration.total_seconds() * 1_000_000)


def _by_key(rows: ibis.Table, key: list[str], *, same_channel: bool) -> ibis.Table:
    """Sum up each key in which anything may be dropped."""
    pixel = rows.channel == str(Channel.PIXEL)
    keys = rows.group_by(key).aggregate(
        n=rows.count(),
        n_pixel=pixel.cast("int64").sum(),
        n_never_kept=rows.never_kept.cast("int64").sum(),
        pixel_clock=rows.clock.min(where=pixel),
        capi_clock=rows.clock.min(where=~pixel),
        pixel_row=rows.row_id.min(where=pixel),
        capi_row=rows.row_id.min(where=~pixel),
    )
    return keys.filter(keys.n > 1) if same_channel else keys.filter((keys.n_pixel > 0) & (keys.n_pixel < keys.n))


def _pairs(keys: ibis.Table, key: list[str], rule: DedupRule) -> ibis.Table:
    """Settle keys of one browser and one server event; of the others only the key itself remains."""
    pair = (keys.n == 2) & (keys.n_pixel == 1) & (keys.n_never_kept == 0)
    pixel_first = keys.pixel_clock <= keys.capi_clock
    apart = (keys.pixel_clock - keys.capi_clock).abs()
    inside = ibis.literal(value=True) if rule.window is None else apart <= microseconds(rule.window)
    if rule.keep is Keep.PIXEL:
        swapped = ~pixel_first
    elif rule.prefer:
        near = apart <= microseconds(rule.prefer.within)
        swapped = near & ~pixel_first if rule.prefer.channel is Channel.PIXEL else near & pixel_first
    else:
        swapped = ibis.literal(value=False)
    pixel_kept = pixel_first != swapped
    keys = keys.filter(~pair | inside)
    settled = keys.mutate(
        row_id=ibis.ifelse(pixel_kept, keys.capi_row, keys.pixel_row),
        drop_reason=ibis.ifelse(
            swapped,
            ibis.literal(str(DropReason.BROWSER_PREFERRED)),
            ibis.literal(str(DropReason.DUPLICATE_OTHER_CHANNEL)),
        ),
        duplicate_of=ibis.ifelse(pixel_kept, keys.pixel_row, keys.capi_row),
    )
    nothing: Any = ibis.null("string")
    return settled.select(
        **{name: ibis.ifelse(pair, ibis.null(keys[name].type()), keys[name]) for name in key},
        **{name: ibis.ifelse(pair, settled[name], nothing) for name in DROPPED},
    )


def _longer(few: ibis.Table, key: list[str], rule: DedupRule, *, same_channel: bool) -> list[ibis.Table]:
    """Settle the keys with more than a pair."""
    if rule.keep is Keep.PIXEL:
        return [pixel_wins(few, key, same_channel=same_channel)]
    window = None if rule.window is None else microseconds(rule.window)
    within = microseconds(rule.prefer.within) if rule.prefer else None
    rows = materialise(cut_into_sessions(few, key, window))
    short, rest = rows.limit(0), rows
    if _closed_form(rule):
        short, rest = rows.filter(~rows.long), rows.filter(rows.long)
    found = [drop_in_sessions(short, key, same_channel=same_channel, within=within)]
    if is_empty(rest):
        return found
    replayed = replay(
        rest,
        key,
        same_channel=same_channel,
        window=_ENDLESS if window is None else window,
        within=-1 if within is None else within,
        preferred=rule.prefer.channel if rule.prefer else None,
    )
    return [*found, replayed]


_ENDLESS = 2**62


def _closed_form(rule: DedupRule) -> bool:
    """Say whether the closed form fits: it takes the browser for the preferred and the first channel."""
    first = rule.fallback.first if rule.fallback else Channel.PIXEL
    preferred = rule.prefer.channel if rule.prefer else Channel.PIXEL
    return first is preferred is Channel.PIXEL
