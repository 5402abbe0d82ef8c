"""Faults by which a report never arrives, or arrives again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np

from capi_lab.simulate.faults.fault import Fault
from capi_lab.simulate.log import Flags, Log, Rows
from capi_lab.words import Channel, Consent, DropReason, GapCause

__all__ = [
    "BlockPixel",
    "FailScript",
    "FailServer",
    "HidePixel",
    "LeavePage",
    "LoseEveryNth",
    "LoseSilently",
    "MarkTestOrder",
    "Outage",
    "RefuseConsent",
    "ReloadPage",
    "ResendReport",
]


@dataclass(frozen=True, slots=True)
class _Lost(Fault):
    """A channel's reports of a conversion are taken out."""

    channel: str = Channel.PIXEL
    pairs_only: ClassVar[bool] = False

    def fits(self, log: Log) -> Flags:
        """Conversions the channel reports."""
        return log.reported_by(self.channel)

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Take the reports out."""
        return log.drop(log.rows(chosen, self.channel))


@dataclass(frozen=True, slots=True)
class BlockPixel(_Lost):
    """A blocker's list covers the pixel. Cause ``blocker``.

    Parameters
    ----------
    rate : float
    channel : str
    """

    cause: ClassVar[str] = GapCause.BLOCKER


@dataclass(frozen=True, slots=True)
class HidePixel(_Lost):
    """The browser itself keeps the pixel out. Cause ``browser_private``.

    Parameters
    ----------
    rate : float
    channel : str
    """

    cause: ClassVar[str] = GapCause.BROWSER_PRIVATE


@dataclass(frozen=True, slots=True)
class LeavePage(_Lost):
    """The thank-you page is left before the pixel has fired. Cause ``page_left``.

    Parameters
    ----------
    rate : float
    channel : str
    """

    cause: ClassVar[str] = GapCause.PAGE_LEFT


@dataclass(frozen=True, slots=True)
class FailScript(_Lost):
    """The tag is broken on some pages. Cause ``script_failed``.

    Parameters
    ----------
    rate : float
    channel : str
    """

    cause: ClassVar[str] = GapCause.SCRIPT_FAILED


@dataclass(frozen=True, slots=True)
class FailServer(_Lost):
    """A network error nobody retried. Cause ``server_failed``.

    Parameters
    ----------
    rate : float
    channel : str
    """

    channel: str = Channel.CAPI
    cause: ClassVar[str] = GapCause.SERVER_FAILED


@dataclass(frozen=True, slots=True)
class LoseSilently(_Lost):
    """A report is missing and nothing tells why. Cause ``unattributed``.

    Parameters
    ----------
    rate : float
    channel : str
    """

    cause: ClassVar[str] = GapCause.UNATTRIBUTED


@dataclass(frozen=True, slots=True)
class LoseEveryNth(_Lost):
    """Every n-th server report in the order of the conversions is lost, as by a counter gone wrong.

    Cause ``server_failed``.

    Parameters
    ----------
    rate : float
        One in n: 0.1 takes every tenth.
    channel : str
    """

    channel: str = Channel.CAPI
    cause: ClassVar[str] = GapCause.SERVER_FAILED

    def choose(self, log: Log, rng: np.random.Generator) -> Flags:
        """Take the conversion at which the count passes a whole number."""
        steps = np.floor((log.place_in_time(self.fits(log)) + 1) * self.rate + 1e-9)
        return np.asarray(steps > np.floor(log.place_in_time(self.fits(log)) * self.rate + 1e-9), dtype=bool)


@dataclass(frozen=True, slots=True)
class Outage(_Lost):
    """One stretch of time without any report of a channel. Cause ``server_failed``.

    Parameters
    ----------
    rate : float
        Share of the conversions that lie in it.
    channel : str
    """

    channel: str = Channel.CAPI
    cause: ClassVar[str] = GapCause.SERVER_FAILED

    def choose(self, log: Log, rng: np.random.Generator) -> Flags:
        """Take conversions that follow each other, from a drawn one on; past the last, from the first on."""
        fits = self.fits(log)
        n = int(fits.sum())
        start = np.floor(rng.random() * n)
        return np.asarray((log.place_in_time(fits) - start) % max(n, 1) < round(self.rate * n), dtype=bool)


@dataclass(frozen=True, slots=True)
class RefuseConsent(Fault):
    """Somebody refuses consent, and both channels keep silent. Cause ``no_consent``.

    Parameters
    ----------
    rate : float
    """

    cause: ClassVar[str] = GapCause.NO_CONSENT
    pairs_only: ClassVar[bool] = False

    def fits(self, log: Log) -> Flags:
        """All conversions that are reported."""
        return log.reported_by(None)

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Write it into the ledger, and take all reports out."""
        log.put_ledger("consent_ad_user_data", chosen, str(Consent.DENIED))
        return log.drop(log.rows(chosen, None))


@dataclass(frozen=True, slots=True)
class MarkTestOrder(Fault):
    """An order is a test, which the server rightly leaves out. Cause ``ineligible``.

    Parameters
    ----------
    rate : float
    """

    cause: ClassVar[str] = GapCause.INELIGIBLE
    pairs_only: ClassVar[bool] = False

    def fits(self, log: Log) -> Flags:
        """Conversions the server reports."""
        return log.reported_by(Channel.CAPI)

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Set the ledger's ``test_order``, and take the server's reports out."""
        log.put_ledger("test_order", chosen, True)
        return log.drop(log.rows(chosen, Channel.CAPI))


@dataclass(frozen=True, slots=True)
class ResendReport(Fault):
    """The reply is lost on the network, so the server sends the same report again. Cause ``duplicate_same_channel``.

    Parameters
    ----------
    rate : float
    channel : str
    after : timedelta
        Mean time until it does, exponential.
    """

    channel: str = Channel.CAPI
    after: timedelta = timedelta(minutes=5)
    cause: ClassVar[str] = DropReason.DUPLICATE_SAME_CHANNEL
    pairs_only: ClassVar[bool] = False

    def fits(self, log: Log) -> Flags:
        """Conversions the channel reports."""
        return log.reported_by(self.channel)

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Add a copy; only its receipt is later."""
        delay = rng.exponential(self.after.total_seconds(), log.n)
        rows = log.append(log.first_rows(chosen, self.channel), "resent")
        log.move("received_time", rows, log.per_row(delay)[rows])
        return rows


@dataclass(frozen=True, slots=True)
class ReloadPage(Fault):
    """The thank-you page is loaded again and reports under the same id. Cause ``duplicate_same_channel``.

    Parameters
    ----------
    rate : float
    after : timedelta
        Mean time between the two page views, exponential.
    """

    after: timedelta = timedelta(hours=1)
    cause: ClassVar[str] = DropReason.DUPLICATE_SAME_CHANNEL
    pairs_only: ClassVar[bool] = False

    def fits(self, log: Log) -> Flags:
        """Conversions the browser reports."""
        return log.reported_by(Channel.PIXEL)

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Add a copy with a time of its own."""
        delay = np.round(1 + rng.exponential(self.after.total_seconds(), log.n))
        rows = log.append(log.first_rows(chosen, Channel.PIXEL), "reloaded")
        for name in ("event_time", "received_time"):
            log.move(name, rows, log.per_row(delay)[rows])
        return rows
