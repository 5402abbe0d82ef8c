"""What a platform counts of what it was sent: its dedup rule, event by event, as they come in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Any

from capi_lab.platforms.deduper import Deduper, Verdict
from capi_lab.platforms.rules import DedupRule
from capi_lab.words import Channel

__all__ = ["Changed", "Counting", "Mark"]


class Mark(IntEnum):
    """What was done with a row when it came; a byte each, since there may be millions."""

    REFUSED = 0
    TAKEN = 1
    LATE = 2
    """Taken, but told afterwards to have come to nothing."""
    CHANGE = 3
    """Taken: it changes a conversion and is none."""


class Changed(Enum):
    """What became of a change."""

    DONE = "done"
    NOT_THERE = "nothing there to change"
    AGAIN = "done before"


class Counting:
    """The events of one route, as its platform counts them.

    Parameters
    ----------
    rule : DedupRule
    correctable : bool
        Conversions can be taken back: they are remembered by their keys.
    """

    def __init__(self, rule: DedupRule, *, correctable: bool) -> None:
        self._rule = rule
        self._rows: dict[tuple[Any, ...], str] | None = {} if correctable else None
        self._gone: set[str] = set()
        self._changes: set[tuple[Any, ...]] = set()
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
        return self._key(self.event(account, columns), account, self._rule.key)

    def _key(self, event: Mapping[str, Any], account: str, names: tuple[str, ...]) -> tuple[Any, ...] | None:
        blank = self._rule.missing_matches
        values = tuple(event.get(name) for name in names)
        lacking = any(value is None and name not in blank for name, value in zip(names, values, strict=True))
        if not names or lacking or (blank and all(event.get(name) is None for name in blank)):
            return None
        return (account, names, *values)

    def change(self, account: str, columns: Mapping[str, Any], kind: str, content: Any, *, withdraw: bool) -> Changed:
        """Change a conversion that is there, or take it back.

        Parameters
        ----------
        account : str
            Of the conversion.
        columns : mapping
            What names it.
        kind : str
        content : hashable
            The same kind with the same content is the same change.
        withdraw : bool
            It no longer counts.
        """
        event = self.event(account, columns)
        keys = (self._key(event, account, names) for names in (self._rule.key, self._rule.instead))
        row = next((self._rows[key] for key in keys if self._rows is not None and key in self._rows), None)
        if row is None:
            return Changed.NOT_THERE
        change = (row, kind) if withdraw else (row, kind, content)
        if row in self._gone or change in self._changes:
            return Changed.AGAIN
        self._changes.add(change)
        if withdraw:
            self._gone.add(row)
        return Changed.DONE

    def once(self, change: tuple[Any, ...]) -> Changed:
        """Take in a change of something that is not in these books."""
        found = Changed.AGAIN if change in self._changes else Changed.DONE
        self._changes.add(change)
        return found

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
        verdict = self._of(account).receive(event, self._clock)
        if self._rows is not None and verdict.kept:
            for names in (self._rule.key, self._rule.instead):
                if (key := self._key(event, account, names)) is not None:
                    self._rows[key] = row_id
        return verdict

    def _of(self, account: str) -> Deduper:
        found = self._accounts.get(account)
        if found is None:
            found = self._accounts[account] = Deduper(self._rule)
        return found

    def counts(self, row_id: str, account: str) -> bool:
        """Say whether a row that was taken stands for a conversion, as of now."""
        return row_id not in self._gone and self._accounts[account].verdict(row_id).kept

    @property
    def counted(self) -> int:
        """Conversions counted, over all accounts."""
        return sum(one.kept for one in self._accounts.values()) - len(self._gone)
