"""Faults of the id that both channels share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np

from capi_lab.simulate.faults.fault import Fault, random_ids
from capi_lab.simulate.log import Flags, Log, Rows
from capi_lab.words import Channel, PairCause

__all__ = ["DesyncEventId", "DropEventId", "PadEventId", "PrefixEventId", "ReloadWithNewId", "ReuseEventId"]

_NUMBER_AT_END = r"^(?:[A-Za-z]+[^A-Za-z0-9]*)?[0-9]+$"


@dataclass(frozen=True, slots=True)
class DropEventId(Fault):
    """One channel's reports of a conversion lose their id. Cause ``missing_event_id``.

    Only where the browser's came first: the other order is a fault of its own, `ServerBeforePixel`.

    Parameters
    ----------
    rate : float
    channel : str
        ``pixel`` or ``capi``.
    column : str
        The id the platform compares: ``event_id``, or ``conversion_id`` where it goes by order ids.
    """

    channel: str = Channel.CAPI
    column: str = "event_id"
    cause: ClassVar[PairCause] = PairCause.MISSING_EVENT_ID

    def fits(self, log: Log) -> Flags:
        """Pairs whose reports of the channel all carry the id, and came in order."""
        return log.every(self.channel, log.there(self.column)) & log.browser_first()

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Blank the id."""
        rows = log.rows(chosen, self.channel)
        log.put(self.column, rows, None)
        return rows


@dataclass(frozen=True, slots=True)
class PadEventId(Fault):
    """One channel writes a numeric id with zeros in front, or as a decimal number. Cause ``id_type_or_padding``.

    Parameters
    ----------
    rate : float
    channel, column : str
        As for `DropEventId`. Only ids that are a number, with or without a word before it, can be hit.
    """

    channel: str = Channel.CAPI
    column: str = "event_id"
    cause: ClassVar[PairCause] = PairCause.ID_TYPE_OR_PADDING

    def fits(self, log: Log) -> Flags:
        """Pairs whose reports of the channel all carry a number."""
        return log.every(self.channel, log.matches(self.column, _NUMBER_AT_END))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Write half of them as ``123.0``, half as ``000123``."""
        decimal = log.per_row(rng.random(log.n) < 0.5)
        rows = log.rows(chosen, self.channel)
        ids = log.get(self.column, rows)
        padded = ids.str.replace(r"([0-9]+)$", r"000\1", regex=True)
        log.put(self.column, rows, padded.mask(decimal[rows], ids + ".0"))
        return rows


@dataclass(frozen=True, slots=True)
class PrefixEventId(Fault):
    """One channel's id has a word or ``#`` before it, or is in another case. Cause ``id_prefix_or_case``.

    Parameters
    ----------
    rate : float
    channel, column : str
        As for `DropEventId`.
    """

    channel: str = Channel.CAPI
    column: str = "event_id"
    cause: ClassVar[PairCause] = PairCause.ID_PREFIX_OR_CASE

    def fits(self, log: Log) -> Flags:
        """Pairs whose reports of the channel all carry the id."""
        return log.every(self.channel, log.there(self.column))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Put ``order_`` before a third, ``#`` before another, and the last in the other case if it has letters."""
        which = log.per_row(rng.integers(0, 3, log.n))
        rows = log.rows(chosen, self.channel)
        ids = log.get(self.column, rows)
        swapped = ids.str.swapcase().where(ids.str.contains("[A-Za-z]"), "order_" + ids)
        log.put(self.column, rows, swapped.mask(which[rows] == 0, "order_" + ids).mask(which[rows] == 1, "#" + ids))
        return rows


@dataclass(frozen=True, slots=True)
class DesyncEventId(Fault):
    """One channel makes up an id of its own. Nothing in a log tells why: cause ``unknown``.

    Parameters
    ----------
    rate : float
    channel, column : str
        As for `DropEventId`.
    """

    channel: str = Channel.CAPI
    column: str = "event_id"
    cause: ClassVar[PairCause] = PairCause.UNKNOWN

    def fits(self, log: Log) -> Flags:
        """Pairs whose reports of the channel all carry the id."""
        return log.every(self.channel, log.there(self.column))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Put a random id; one for all reports of a conversion."""
        made_up = log.per_row(random_ids(rng, log.n))
        rows = log.rows(chosen, self.channel)
        log.put(self.column, rows, made_up[rows])
        return rows


@dataclass(frozen=True, slots=True)
class ReuseEventId(Fault):
    """A conversion is reported under the id of the one before it. Cause ``id_reused``, of both.

    Parameters
    ----------
    rate : float
    column : str
        As for `DropEventId`.
    within : timedelta
        How long before it that one may have been.

    Notes
    -----
    Where faults may meet, lay this one last: a fault of the other conversion's id would part the two again.
    """

    column: str = "event_id"
    within: timedelta = timedelta(hours=1)
    cause: ClassVar[PairCause] = PairCause.ID_REUSED

    def fits(self, log: Log) -> Flags:
        """Pairs with another one of the same name shortly before, both with ids of their own."""
        before, gap = log.before
        have = log.every(None, log.there(self.column))
        near = (before >= 0) & (gap <= self.within.total_seconds())
        return np.asarray(have & near & have[np.maximum(before, 0)], dtype=bool)

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Put the id the server reports for the other one."""
        rows = log.rows(chosen, None)
        theirs = log.server_id(self.column)[np.maximum(log.before[0], 0)]
        log.put(self.column, rows, log.per_row(theirs)[rows])
        return rows

    def partner(self, log: Log) -> Rows | None:
        """Name the one whose id is taken."""
        return np.maximum(log.before[0], 0)


@dataclass(frozen=True, slots=True)
class ReloadWithNewId(Fault):
    """The thank-you page is loaded again and reports the conversion under a new id. Cause ``new_id_on_reload``.

    Parameters
    ----------
    rate : float
    column : str
        As for `DropEventId`.
    after : timedelta
        Mean time between the two page views, exponential, a minute at least.
    """

    column: str = "event_id"
    after: timedelta = timedelta(hours=1)
    cause: ClassVar[PairCause] = PairCause.NEW_ID_ON_RELOAD

    def fits(self, log: Log) -> Flags:
        """Pairs whose browser reports carry the id."""
        return log.every(Channel.PIXEL, log.there(self.column))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Add a browser report."""
        ids, delay = random_ids(rng, log.n), 60 + rng.exponential(self.after.total_seconds(), log.n)
        rows = log.append(log.first_rows(chosen, Channel.PIXEL), "again")
        log.put(self.column, rows, log.per_row(ids)[rows])
        for name in ("event_time", "received_time"):
            log.move(name, rows, log.per_row(np.round(delay))[rows])
        return rows
