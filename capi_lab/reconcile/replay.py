"""The rule, event by event, for the few sessions whose verdicts depend on their whole history."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import ibis
import pyarrow as pa

from capi_lab.engine import place_beside, run
from capi_lab.words import Channel, DropReason

__all__ = ["replay"]

_BATCH = 100_000


def replay(
    rows: ibis.Table, key: list[str], *, same_channel: bool, window: int, within: int, preferred: Channel | None
) -> ibis.Table:
    """Go through each session in order of receipt.

    Parameters
    ----------
    rows : Ibis table
        From `capi_lab.reconcile.sessions.cut_into_sessions`.
    key : list of str
    same_channel : bool
    window : int
        Microseconds.
    within : int
        Microseconds by which an event of the channel ``preferred`` may come later and still be the one kept; -1: never.
    preferred : Channel or None

    Returns
    -------
    Ibis table
        ``row_id``, ``drop_reason``, ``duplicate_of`` of those dropped, on the engine of ``rows``.

    Notes
    -----
    The rows of long sessions leave the engine for this and their verdicts go back; memory grows with those rows only.
    """
    history = rows.order_by([*key, "session", "at"]).select("row_id", "channel", "clock", "never_kept", "at")
    table = run(history)
    steps = (
        step
        for batch in table.to_batches(max_chunksize=_BATCH)
        for step in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    found = _replay(steps, window, within, preferred, same_channel=same_channel)
    return place_beside(_dropped(found), rows)


def _dropped(found: Iterator[tuple[str, DropReason, str]]) -> pa.Table:
    columns: tuple[list[str], list[str], list[str]] = ([], [], [])
    for row, reason, of in found:
        columns[0].append(row)
        columns[1].append(str(reason))
        columns[2].append(of)
    names = ("row_id", "drop_reason", "duplicate_of")
    return pa.table({name: pa.array(values, pa.string()) for name, values in zip(names, columns, strict=True)})


@dataclass(slots=True)
class _Kept:
    """One counted conversion: which row stands for it, and since when its window runs."""

    row: str
    since: int
    channel: str


def _replay(
    steps: Iterable[tuple[str, str, int, bool, int]],
    window: int,
    within: int,
    preferred: Channel | None,
    *,
    same_channel: bool,
) -> Iterator[tuple[str, DropReason, str]]:
    """Yield those dropped: row, reason, the row that stands for it."""
    live: dict[str, deque[_Kept]] = {}
    absorbed: list[tuple[str, str, _Kept]] = []
    for row, channel, clock, never_kept, at in steps:
        if at == 0:  # a new session
            yield from _named(absorbed)
            live = {str(one): deque() for one in Channel}
            absorbed = []
        for queue in live.values():
            while queue and queue[0].since < clock - window:
                queue.popleft()
        keeper = _absorber(live, channel, same_channel=same_channel)
        if keeper is None:
            if not never_kept:
                live[channel].append(_Kept(row, clock, channel))
            continue
        near = channel == preferred != keeper.channel and clock - keeper.since <= within
        if near and not never_kept:
            live[keeper.channel].popleft()
            yield keeper.row, DropReason.BROWSER_PREFERRED, row
            # The same conversion goes on under the preferred copy; its window still runs from the first.
            keeper.row, keeper.channel = row, channel
            live[channel].append(keeper)
        else:
            absorbed.append((row, channel, keeper))
    yield from _named(absorbed)


def _named(absorbed: list[tuple[str, str, _Kept]]) -> Iterator[tuple[str, DropReason, str]]:
    """Name, at the end of a session, which row stands for each absorbed one: a later copy may have taken its place."""
    for row, channel, keeper in absorbed:
        same = channel == keeper.channel
        yield row, DropReason.DUPLICATE_SAME_CHANNEL if same else DropReason.DUPLICATE_OTHER_CHANNEL, keeper.row


def _absorber(live: dict[str, deque[_Kept]], channel: str, *, same_channel: bool) -> _Kept | None:
    """Return the first received of the kept events that may absorb one of ``channel``."""
    queues = (queue for name, queue in live.items() if queue and (same_channel or name != channel))
    return min((queue[0] for queue in queues), key=lambda kept: kept.since, default=None)
