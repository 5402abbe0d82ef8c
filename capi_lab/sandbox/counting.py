"""What a platform counts of what it was sent: its dedup rule, event by event, as they come in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from capi_lab.platforms.deduper import Deduper, Verdict
from capi_lab.platforms.rules import DedupRule
from capi_lab.words import Channel

__all__ = ["Counting", "Mark"]


class Mark(IntEnum):
    """What was done with a row when it came; a byte each, since there may be millions."""

    REFUSED = 0
    TAKEN = 1
    LATE = 2
    """Taken, but told afterwards to have come to nothing."""


class Counting:
    """The events of one route, as its platform counts them.

    Parameters
    ----------
    rule : DedupRule
    """

    def __init__(self, rule: DedupRule) -> None:
        self._rule = rule
        self._needed = tuple(dict.fromkeys((*rule.key, *rule.instead, *(rule.fallback.keys if rule.fallback else ()))))
        self._accounts: dict[str, Deduper] = {}
        self._clock = 0

    def event(self, account: str, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the rule reads of a row; a route whose rows name no event has its goal in ``account``."""
        event = {"event_name": account}
        for name in self._needed:
            value = columns.get(name)
            if value is not None and value != "":
                event[name] = value[0] if isinstance(value, list) else value
        return event

    def known_by(self, account: str, columns: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Return the key of a row that has a whole one."""
        event = self.event(account, columns)
        values = tuple(event.get(name) for name in self._rule.key)
        lacking = [
            name
            for name, value in zip(self._rule.key, values, strict=True)
            if value is None and name not in self._rule.missing_matches
        ]
        blank = self._rule.missing_matches
        if lacking or (blank and all(event.get(name) is None for name in blank)):
            return None
        return (account, *values)

    def add(self, row_id: str, account: str, columns: Mapping[str, Any], at: float) -> Verdict:
        """Take a server's event in.

        Parameters
        ----------
        row_id : str
        account : str
            Whatever else two events must share: the dataset, the conversion action, the goal.
        columns : mapping
        at : float
            Time of receipt, epoch seconds.
        """
        self._clock = max(self._clock, round(at * 1e6))
        event = self.event(account, columns) | {"row_id": row_id, "channel": str(Channel.CAPI)}
        return self._of(account).receive(event, self._clock)

    def _of(self, account: str) -> Deduper:
        found = self._accounts.get(account)
        if found is None:
            found = self._accounts[account] = Deduper(self._rule)
        return found

    def counts(self, row_id: str, account: str) -> bool:
        """Say whether a row that was taken stands for a conversion, as of now."""
        return self._accounts[account].verdict(row_id).kept

    @property
    def counted(self) -> int:
        """Conversions counted, over all accounts."""
        return sum(one.kept for one in self._accounts.values())
