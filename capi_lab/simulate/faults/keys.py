"""Faults of what ties a report to a person or click: ids, hashes, consent, marks of tests."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from capi_lab.simulate.faults.fault import Fault, random_ids
from capi_lab.simulate.log import Flags, Log, Rows
from capi_lab.words import Channel, Consent, HashVerdict, Ineligible

__all__ = [
    "HashNothing",
    "HashTwice",
    "LeaveTestCode",
    "LowerCaseClickId",
    "SendBraidBesideGclid",
    "TruncateClickId",
    "WithdrawConsent",
]

_DIGEST = re.compile(r"[0-9a-f]{64}", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class _Rewritten(Fault):
    """A column is written otherwise, in a channel's reports; of the server's, in the ledger too, where it reads it."""

    column: str = "fbc"
    channel: str = Channel.CAPI
    pairs_only: ClassVar[bool] = False

    def fits(self, log: Log) -> Flags:
        """Conversions all of whose reports of the channel carry a value that changes."""
        values = log.column(self.column)
        there = log.there(self.column)
        changes = there & (self._written(values.where(there, "")) != values).to_numpy(dtype=bool)
        return log.reported_by(self.channel) & log.every(self.channel, changes)

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Write it otherwise."""
        rows = log.rows(chosen, self.channel)
        log.put(self.column, rows, self._written(log.get(self.column, rows)))
        if self.channel == Channel.CAPI and log.ledger_has(self.column):
            log.put_ledger(self.column, chosen, self._written)
        return rows

    @abstractmethod
    def _written(self, values: pd.Series) -> pd.Series:
        """Return the values as the fault spells them."""


@dataclass(frozen=True, slots=True)
class TruncateClickId(_Rewritten):
    """A click id is cut: a field too short, a URL cut off. Cause ``malformed_id``.

    Parameters
    ----------
    rate : float
    column : str
        ``fbc``, ``fbclid``, ``gclid`` ...
    channel : str
    """

    cause: ClassVar[str] = Ineligible.MALFORMED_ID

    def _written(self, values: pd.Series) -> pd.Series:
        """Leave out the last third, a character at least."""
        return values.map(lambda text: text[: len(text) - max(1, len(text) // 3)], na_action="ignore").astype("str")


@dataclass(frozen=True, slots=True)
class LowerCaseClickId(_Rewritten):
    """A click id is put into lower case, as by a URL rewriter: another click's id, or nobody's. Cause ``malformed_id``.

    Parameters
    ----------
    rate : float
    column : str
        ``fbc``, ``fbclid``, ``gclid`` ...
    channel : str
    """

    cause: ClassVar[str] = Ineligible.MALFORMED_ID

    def _written(self, values: pd.Series) -> pd.Series:
        return values.str.lower()


@dataclass(frozen=True, slots=True)
class HashTwice(_Rewritten):
    """A match key is hashed, and the digest hashed again. Cause ``double_hashed``.

    Parameters
    ----------
    rate : float
    column : str
        ``email``, ``phone`` ...
    channel : str
    """

    column: str = "email"
    cause: ClassVar[str] = HashVerdict.DOUBLE_HASHED

    def _written(self, values: pd.Series) -> pd.Series:
        def twice(text: str) -> str:
            once = text.lower() if _DIGEST.fullmatch(text) else _sha256(text.strip().lower())
            return _sha256(once)

        return values.map(twice, na_action="ignore").astype("str")


@dataclass(frozen=True, slots=True)
class HashNothing(_Rewritten):
    """The digest of an empty text stands where a match key belongs. Cause ``empty_hash``.

    Parameters
    ----------
    rate : float
    column : str
        ``email``, ``phone`` ...
    channel : str
    """

    column: str = "email"
    cause: ClassVar[str] = HashVerdict.EMPTY_HASH

    def _written(self, values: pd.Series) -> pd.Series:
        return values.where(values.isna(), _sha256(""))


@dataclass(frozen=True, slots=True)
class SendBraidBesideGclid(Fault):
    """A report carries a wbraid beside its gclid, which Google refuses. Cause ``conflicting_ids``.

    Parameters
    ----------
    rate : float
    channel : str
    """

    channel: str = Channel.CAPI
    cause: ClassVar[str] = Ineligible.CONFLICTING_IDS
    pairs_only: ClassVar[bool] = False

    def fits(self, log: Log) -> Flags:
        """Conversions whose reports of the channel carry a gclid and no wbraid."""
        return log.reported_by(self.channel) & log.every(self.channel, log.there("gclid") & ~log.there("wbraid"))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Make one up, the same in all reports and, if the server sends it, in the ledger."""
        ids = random_ids(rng, log.n)
        rows = log.rows(chosen, self.channel)
        log.put("wbraid", rows, log.per_row(ids)[rows])
        if self.channel == Channel.CAPI:
            log.put_ledger("wbraid", chosen, ids[chosen])
        return rows


@dataclass(frozen=True, slots=True)
class LeaveTestCode(Fault):
    """The mark of a test was left in. Cause ``test_order``; some platforms do not count such events.

    Parameters
    ----------
    rate : float
    channel : str
    code : str
        What stands in ``test_event_code``.
    """

    channel: str = Channel.CAPI
    code: str = "TEST12345"
    cause: ClassVar[str] = Ineligible.TEST_ORDER
    pairs_only: ClassVar[bool] = False

    def fits(self, log: Log) -> Flags:
        """Conversions the channel reports."""
        return log.reported_by(self.channel)

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Write the code."""
        rows = log.rows(chosen, self.channel)
        log.put("test_event_code", rows, self.code)
        return rows


@dataclass(frozen=True, slots=True)
class WithdrawConsent(Fault):
    """Consent was given at the click and withdrawn before the order, and the report went out. Cause ``consent_denied``.

    Parameters
    ----------
    rate : float

    Notes
    -----
    Only the ledger changes: the reports still say what was true at the click, so ``row_ids`` is missing.
    """

    cause: ClassVar[str] = Ineligible.CONSENT_DENIED
    pairs_only: ClassVar[bool] = False

    def fits(self, log: Log) -> Flags:
        """Conversions the server reports and whose ledger row does not say that consent is denied."""
        denied = log.ledger("consent_ad_user_data") == str(Consent.DENIED)
        return np.asarray(log.reported_by(Channel.CAPI) & ~denied.to_numpy(dtype=bool))

    def hit(self, log: Log, chosen: Flags, rng: np.random.Generator) -> Rows:
        """Write the withdrawal into the ledger."""
        log.put_ledger("consent_ad_user_data", chosen, str(Consent.DENIED))
        return np.zeros(0, dtype=np.int64)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
