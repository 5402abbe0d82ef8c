"""A platform's dedup rule as the platform runs it: one event after the other, in the order they are received.

`capi_lab.dedup` replays the rule over a whole log in an engine; this one keeps a state and answers as events come in,
for whoever plays the platform (`capi_lab.answer`, a sandbox). Tests hold the two to the same verdicts.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from capi_lab.errors import InputError
from capi_lab.platforms.rules import DedupRule, Keep
from capi_lab.words import Channel, DropReason

__all__ = ["Deduper", "Verdict"]

_ENDLESS = 2**62


class Verdict(NamedTuple):
    """What became of one event; a later event can still change it (see `Deduper.receive`).

    Parameters
    ----------
    kept : bool
    drop_reason : DropReason or None
    duplicate_of : str or None
        ``row_id`` of the kept event that stands for it.
    """

    kept: bool
    drop_reason: DropReason | None = None
    duplicate_of: str | None = None


@dataclass(slots=True, eq=False)
class _Counted:
    """One counted conversion: which event stands for it, since when its window runs, who was absorbed by it."""

    row: str
    channel: str
    since: int
    clock: int
    absorbed: list[tuple[str, str]] | None = None  # row, channel; most absorb nobody

    def absorb(self, *rows: tuple[str, str]) -> None:
        """Take copies in."""
        if self.absorbed is None:
            self.absorbed = []
        self.absorbed += rows


class Deduper:
    """Marks events as kept or dropped while they come in.

    Parameters
    ----------
    rule : DedupRule
    same_channel : bool, optional
        Do repeats within one channel merge? Default: what the rule documents or assumes.

    Notes
    -----
    Events must come in order of receipt; those of one microsecond browser first, then by ``row_id``, if the result is
    to be that of `capi_lab.dedup`. Events of a channel that takes no part are kept and absorb nothing. Memory grows
    with what was received: a platform does not know which id comes back.
    """

    def __init__(self, rule: DedupRule, *, same_channel: bool | None = None) -> None:
        self.rule = rule
        self._same_channel = rule.merges_same_channel if same_channel is None else same_channel
        self._window = _ENDLESS if rule.window is None else _microseconds(rule.window)
        self._near = -1 if rule.prefer is None else _microseconds(rule.prefer.within)
        self._live: dict[tuple[Any, ...], dict[str, list[_Counted]]] = {}
        self._people: dict[tuple[str, ...], deque[tuple[_Counted, Mapping[str, Any], bool]]] = defaultdict(deque)
        self._of: dict[str, tuple[_Counted | None, DropReason | None]] = {}
        self._last = -_ENDLESS
        if rule.fallback and rule.fallback.window is None and rule.window is None:
            raise InputError("a fallback needs a window of its own where the rule has none")

    def receive(self, event: Mapping[str, Any], clock: int) -> Verdict:
        """Take one event in.

        Parameters
        ----------
        event : mapping
            ``row_id``, ``channel``, ``event_name`` and the columns of the rule; None where missing.
        clock : int
            When it was received, in microseconds; not before the last one's.

        Returns
        -------
        Verdict
            As of now. A browser's copy that is preferred drops the server's that was kept so far: ask `verdict` again
            when all is in.

        Raises
        ------
        InputError
            It came before the last one, or its ``row_id`` was received before.
        """
        row, channel = event["row_id"], str(event["channel"])
        if clock < self._last:
            raise InputError("events must be given in order of receipt")
        if row in self._of:
            raise InputError("column 'row_id' repeats: every event needs an id of its own")
        self._last = clock
        self._of[row] = self._place(event, row, channel, clock) if channel in self.rule.channels else (None, None)
        return self.verdict(row)

    def receive_all(self, events: Iterable[tuple[Mapping[str, Any], int]]) -> None:
        """Take many in; see `receive`."""
        for event, clock in events:
            self.receive(event, clock)

    def verdict(self, row_id: str) -> Verdict:
        """Say what became of an event received before, as of now."""
        counted, reason = self._of[row_id]
        if counted is None or counted.row == row_id:
            return Verdict(kept=True)
        return Verdict(False, reason, counted.row)

    @property
    def kept(self) -> int:
        """Events kept so far."""
        return sum(counted is None or counted.row == row for row, (counted, _) in self._of.items())

    # -- the rule --------------------------------------------------------------------------------------------

    def _place(
        self, event: Mapping[str, Any], row: str, channel: str, clock: int
    ) -> tuple[_Counted | None, DropReason | None]:
        key = self._key(event, self.rule.key, "key")
        complete = key is not None
        if key is None and self.rule.instead:
            key = self._key(event, self.rule.instead, "instead")
        live: dict[str, list[_Counted]] = {}
        if key is not None:
            live = self._live.setdefault(key, {})
            if self.rule.keep is Keep.PIXEL:
                return self._browser_wins(live, row, channel, clock)
            keeper = self._absorber(live, channel, clock)
            if keeper is not None and self._preferred(keeper, channel, clock):
                # The same conversion goes on under the preferred copy; its window still runs from the first.
                del live[keeper.channel][0]
                self._take_place(keeper, row, channel, clock)
                live.setdefault(channel, []).append(keeper)
                self._remember(event, keeper, complete=complete)
                return keeper, None
            if keeper is not None:
                keeper.absorb((row, channel))
                return keeper, _reason(channel, keeper)
        partner = self._fallback(event, channel, clock, complete=complete)
        if partner is not None:
            return partner, DropReason.FALLBACK_KEY
        counted = _Counted(row, channel, clock, clock)
        if key is not None:
            live.setdefault(channel, []).append(counted)
        self._remember(event, counted, complete=complete)
        return counted, None

    def _key(self, event: Mapping[str, Any], names: tuple[str, ...], tag: str) -> tuple[Any, ...] | None:
        parts: list[Any] = [tag]
        blanks = self.rule.missing_matches if tag == "key" else ()
        if blanks and all(event.get(name) is None for name in blanks):
            return None  # all of them missing is no key at all
        for name in names:
            value = event.get(name)
            if value is None:
                if name not in blanks:
                    return None
                value = ""
            parts.append(value.lower() if name in self.rule.blind_to_case else value)
        return tuple(parts)

    def _absorber(self, live: dict[str, list[_Counted]], channel: str, clock: int) -> _Counted | None:
        """Return the first received of the counted conversions that may absorb an event of ``channel``."""
        oldest, keeper = clock - self._window, None
        for name, queue in live.items():
            stale = 0  # most keys hold one event: a list is a sixth of a deque
            while stale < len(queue) and queue[stale].since < oldest:
                stale += 1
            if stale:
                del queue[:stale]
            if queue and (self._same_channel or name != channel) and (keeper is None or queue[0].since < keeper.since):
                keeper = queue[0]
        return keeper

    def _preferred(self, keeper: _Counted, channel: str, clock: int) -> bool:
        prefer = self.rule.prefer
        return bool(prefer and channel == prefer.channel != keeper.channel and clock - keeper.since <= self._near)

    def _browser_wins(
        self, live: dict[str, list[_Counted]], row: str, channel: str, clock: int
    ) -> tuple[_Counted, DropReason | None]:
        """Keep the first of the browser's, whenever it comes; only a key without one keeps the server's."""
        pixel, server = (live.setdefault(str(one), []) for one in (Channel.PIXEL, Channel.CAPI))
        keeper = pixel[0] if pixel else None
        if keeper is None and channel == Channel.PIXEL and server:
            keeper = server[0]
            for other in list(server)[1:]:  # kept beside it so far
                keeper.absorb((other.row, other.channel), *(other.absorbed or ()))
            server.clear()
            self._take_place(keeper, row, channel, clock)
            pixel.append(keeper)
            return keeper, None
        if keeper is None and server and self._same_channel:
            keeper = server[0]
        if keeper is not None and (channel != keeper.channel or self._same_channel):
            keeper.absorb((row, channel))
            return keeper, _reason(channel, keeper)
        counted = _Counted(row, channel, clock, clock)
        if channel == Channel.CAPI or not pixel:
            live[channel].append(counted)
        return counted, None

    def _take_place(self, keeper: _Counted, row: str, channel: str, clock: int) -> None:
        """Let another event stand for a conversion, and say again why the copies were dropped."""
        self._of[keeper.row] = (keeper, DropReason.BROWSER_PREFERRED)
        keeper.row, keeper.channel, keeper.clock = row, channel, clock
        for one, of in keeper.absorbed or ():
            early = self.rule.keep is Keep.PIXEL  # whatever came before it gives way to the browser's
            self._of[one] = (keeper, DropReason.BROWSER_PREFERRED if early else _reason(of, keeper))
        keeper.absorbed = None

    # -- without an id ---------------------------------------------------------------------------------------

    def _fallback(self, event: Mapping[str, Any], channel: str, clock: int, *, complete: bool) -> _Counted | None:
        rule = self.rule.fallback
        if rule is None or channel == rule.first or (rule.needs_no_id and complete):
            return None
        window = rule.window or self.rule.window
        oldest = clock - (_ENDLESS if window is None else _microseconds(window))
        best: _Counted | None = None
        for level, key in enumerate(rule.keys):
            value = event.get(key)
            if value is None:
                continue
            known = self._people.get((event["event_name"], key, value))
            if known is None:
                continue
            while known and known[0][0].clock < oldest:
                known.popleft()
            for one, theirs, has_key in known:
                if complete and has_key:
                    continue
                # Compared on the first key that both carry.
                if any(event.get(k) is not None and theirs.get(k) is not None for k in rule.keys[:level]):
                    continue
                if best is None or (one.clock, one.row) < (best.clock, best.row):
                    best = one
        return best

    def _remember(self, event: Mapping[str, Any], counted: _Counted, *, complete: bool) -> None:
        rule = self.rule.fallback
        if rule is None or counted.channel != rule.first:
            return
        for key in rule.keys:
            if event.get(key) is not None:
                self._people[event["event_name"], key, event[key]].append((counted, event, complete))


def _reason(channel: str, keeper: _Counted) -> DropReason:
    same = channel == keeper.channel
    return DropReason.DUPLICATE_SAME_CHANNEL if same else DropReason.DUPLICATE_OTHER_CHANNEL


def _microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
