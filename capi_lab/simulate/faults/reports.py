"""Faults of what a report says and when it comes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np
import pandas as pd

from capi_lab.errors import InputError
from capi_lab.simulate.faults.fault import Fault, random_ids
from capi_lab.simulate.log import Flags, Log, Rows
from capi_lab.words import Channel, ClockFault, PairCause

__all__ = [
    "AddShipping",
    "ChangeCurrency",
    "ChangeValue",
    "NaiveTime",
    "RenameEvent",
    "SendLate",
    "ServerBeforePixel",
    "SkewClock",
]


@dataclass(frozen=True, slots=True)
class RenameEvent(Fault):
    """One channel spells the event's name otherwise. Cause ``event_name_differs``.

    Parameters
    ----------
    rate : float
    channel : str
        ``pixel`` or ``capi``.
    to : str, optional
        The other name; it must mean the same. Default: the other case, ``Purchase`` becomes ``pURCHASE``.
    """

    channel: str = Channel.CAPI
    to: str | None = None
    cause: ClassVar[PairCause] = PairCause.EVENT_NAME_DIFFERS

    def fits(self, log: Log) -> Flags:
        """Pairs whose reports of the channel all have another name now."""
        names = log.column("event_name")
        return log.every(self.channel, (self._renamed(names) != names).to_numpy(dtype=bool))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Rename."""
        rows = log.rows(chosen, self.channel)
        log.put("event_name", rows, self._renamed(log.get("event_name", rows)))
        return rows

    def _renamed(self, names: pd.Series) -> pd.Series:
        return names.str.swapcase() if self.to is None else names.where(names == self.to, self.to)


@dataclass(frozen=True, slots=True)
class SendLate(Fault):
    """One channel's reports arrive days late. Cause ``outside_window``.

    Parameters
    ----------
    rate : float
    channel : str
        ``pixel`` or ``capi``.
    by : timedelta
        At least so late; up to half as much again. Shows only where it is longer than the platform's window.
    """

    channel: str = Channel.CAPI
    by: timedelta = timedelta(days=3)
    cause: ClassVar[PairCause] = PairCause.OUTSIDE_WINDOW

    def fits(self, log: Log) -> Flags:
        """All pairs."""
        return log.every(self.channel, log.there("row_id"))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Move the receipt; a log without receipt times has the event's time moved, which it is read by."""
        delay = log.per_row(1 + rng.random(log.n) / 2) * self.by.total_seconds()
        rows = log.rows(chosen, self.channel)
        log.move("received_time" if log.has_receipts(rows) else "event_time", rows, delay[rows])
        return rows


@dataclass(frozen=True, slots=True)
class ServerBeforePixel(Fault):
    """The server's report has no id and is received first, so that a fallback that wants the browser first fails.

    Cause ``pixel_after_server_fallback``.

    Parameters
    ----------
    rate : float
    column : str
        As for `DropEventId`.
    key : str
        The person's key both reports carry: ``external_id``, ``fbp``, ``ttp``. Made up where either lacks it.
    gap : timedelta
        From the server's receipt to the browser's.
    """

    column: str = "event_id"
    key: str = "external_id"
    gap: timedelta = timedelta(minutes=1)
    cause: ClassVar[PairCause] = PairCause.PIXEL_AFTER_SERVER_FALLBACK

    def fits(self, log: Log) -> Flags:
        """Pairs of which every report carries the id."""
        return log.every(None, log.there(self.column))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Blank the server's id, tie both by the key, let the browser's reports arrive after the server's."""
        made_up = log.per_row(random_ids(rng, log.n))
        server, pixel = log.rows(chosen, Channel.CAPI), log.rows(chosen, Channel.PIXEL)
        rows = np.concatenate([server, pixel])
        log.put(self.column, server, None)
        own = log.per_row(log.common(self.key))[rows]
        log.put(self.key, rows, np.where(own == None, made_up[rows], own))  # noqa: E711
        log.arrive_after(pixel, server, self.gap.total_seconds())
        return rows


@dataclass(frozen=True, slots=True)
class SkewClock(Fault):
    """One channel's clock is wrong: ``event_time`` moves, the receipt does not. Cause ``clock_skew``.

    Parameters
    ----------
    rate : float
    channel : str
        ``pixel`` or ``capi``.
    by : timedelta
        Positive: the clock runs ahead.
    """

    channel: str = Channel.CAPI
    by: timedelta = timedelta(hours=2)
    cause: ClassVar[PairCause] = PairCause.CLOCK_SKEW

    def fits(self, log: Log) -> Flags:
        """All pairs."""
        return log.every(self.channel, log.there("row_id"))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Move the time of the event."""
        rows = log.rows(chosen, self.channel)
        log.move("event_time", rows, np.full(len(rows), self.by.total_seconds()))
        return rows


@dataclass(frozen=True, slots=True)
class NaiveTime(Fault):
    """One channel writes local time without a zone, and whoever reads it forgets daylight saving. Cause ``dst_step``.

    Parameters
    ----------
    rate : float
    channel : str
        ``pixel`` or ``capi``.
    tz : str
        The zone of the clock.
    read_as : str
        ``standard``: with the zone's winter offset, an hour off all summer; ``first``: right, but the hour that is
        double in autumn is always the first one; ``utc``: as if it were UTC, off by the whole offset.
    """

    channel: str = Channel.CAPI
    tz: str = "Europe/Berlin"
    read_as: str = "standard"
    cause: ClassVar[str] = ClockFault.DST_STEP
    pairs_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.read_as not in ("standard", "first", "utc"):
            raise InputError("read_as of NaiveTime must be standard, first or utc")
        Fault.__post_init__(self)

    def fits(self, log: Log) -> Flags:
        """Conversions any of whose reports of the channel is read as another time."""
        off = (self._seconds(log.column("event_time")) != 0).to_numpy(dtype=bool)
        return log.reported_by(self.channel) & ~log.every(self.channel, ~off)

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Move the times."""
        rows = log.rows(chosen, self.channel)
        seconds = self._seconds(log.get("event_time", rows)).to_numpy(dtype=float)
        log.move("event_time", rows, seconds)
        return np.asarray(rows[seconds != 0])

    def _seconds(self, times: pd.Series) -> pd.Series:
        wall = times.dt.tz_convert(self.tz).dt.tz_localize(None)
        if self.read_as == "first":
            read = wall.dt.tz_localize(self.tz, ambiguous=np.ones(len(wall), dtype=bool), nonexistent="shift_forward")
        else:
            year = times.min().year if len(times) else 2000
            ends = [pd.Timestamp(year, month, 1, tz=self.tz).utcoffset() for month in (1, 7)]
            winter = min(one for one in ends if one is not None) if self.read_as == "standard" else timedelta(0)
            read = (wall - winter).dt.tz_localize("UTC")
        return (read - times).dt.total_seconds()


@dataclass(frozen=True, slots=True)
class ChangeValue(Fault):
    """One channel reports another amount, with tax or without. Cause ``value_differs``.

    Parameters
    ----------
    rate : float
    channel : str
        ``pixel`` or ``capi``.
    factor : float
        The amount times this.
    """

    channel: str = Channel.CAPI
    factor: float = 1.19
    cause: ClassVar[PairCause] = PairCause.VALUE_DIFFERS

    def fits(self, log: Log) -> Flags:
        """Pairs whose reports of the channel carry an amount that changes by a cent at least."""
        if not log.has("value"):
            return np.zeros(log.n, dtype=bool)
        change = (log.column("value") * (self.factor - 1)).abs().fillna(0).to_numpy()
        return log.every(self.channel, change >= 0.01)

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Multiply."""
        rows = log.rows(chosen, self.channel)
        log.put("value", rows, (log.get("value", rows) * self.factor).round(2))
        return rows


@dataclass(frozen=True, slots=True)
class AddShipping(Fault):
    """One channel reports the amount with shipping. Cause ``value_differs``.

    Parameters
    ----------
    rate : float
    channel : str
        ``pixel`` or ``capi``.
    fee : float
        In the order's currency.
    """

    channel: str = Channel.PIXEL
    fee: float = 4.90
    cause: ClassVar[PairCause] = PairCause.VALUE_DIFFERS

    def fits(self, log: Log) -> Flags:
        """Pairs whose reports of the channel carry an amount."""
        return log.every(self.channel, log.there("value"))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Add the fee."""
        rows = log.rows(chosen, self.channel)
        log.put("value", rows, (log.get("value", rows) + self.fee).round(2))
        return rows


@dataclass(frozen=True, slots=True)
class ChangeCurrency(Fault):
    """One channel reports the amount in another currency. Cause ``currency_differs``.

    Parameters
    ----------
    rate : float
    channel : str
        ``pixel`` or ``capi``.
    to : str
        ISO 4217.
    """

    channel: str = Channel.CAPI
    to: str = "CHF"
    cause: ClassVar[PairCause] = PairCause.CURRENCY_DIFFERS

    def fits(self, log: Log) -> Flags:
        """Pairs whose reports of the channel carry another currency."""
        if not log.has("currency"):
            return np.zeros(log.n, dtype=bool)
        return log.every(self.channel, log.there("currency") & (log.column("currency") != self.to).to_numpy(dtype=bool))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Put the currency; the amount stays."""
        rows = log.rows(chosen, self.channel)
        log.put("currency", rows, self.to)
        return rows
