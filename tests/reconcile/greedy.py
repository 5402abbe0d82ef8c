"""A plain greedy loop over one log, written from the words of the rule and of nothing else.

Used as the oracle of the engine's answer: it knows no Ibis, no keys' histories, no shortcuts.
"""

from __future__ import annotations

from dataclasses import dataclass

HOURS_48 = 48 * 3600 * 1_000_000
MINUTES_5 = 5 * 60 * 1_000_000


@dataclass
class Row:
    row_id: str
    channel: str
    name: str
    event_id: str | None
    clock: int
    external_id: str | None = None
    fbp: str | None = None


@dataclass
class Counted:
    copy: Row
    since: int


def same_person(a: Row, b: Row) -> bool:
    """Compare on external_id where both carry it, else on fbp where both carry that."""
    if a.external_id is not None and b.external_id is not None:
        return a.external_id == b.external_id
    return a.fbp is not None and a.fbp == b.fbp


def greedy_meta(rows: list[Row], *, same_channel: bool) -> dict[str, tuple[bool, str | None, str | None]]:
    """Return row_id -> (kept, drop_reason, duplicate_of)."""
    counted: list[Counted] = []
    by_key: list[tuple[Row, Counted]] = []
    result: dict[str, tuple[bool, str | None, str | None]] = {}
    for row in sorted(rows, key=lambda r: (r.clock, r.channel != "pixel", r.row_id)):
        near = None
        for one in counted:  # in the order in which their windows began
            if row.event_id is None or one.copy.event_id != row.event_id or one.copy.name != row.name:
                continue
            if not same_channel and one.copy.channel == row.channel:
                continue
            if row.clock - one.since > HOURS_48:
                continue
            if near is None or one.since < near.since:
                near = one
        if near is not None:
            tie = row.channel == "pixel" and near.copy.channel == "capi" and row.clock - near.since <= MINUTES_5
            if tie:
                result[near.copy.row_id] = (False, "browser_preferred", row.row_id)
                near.copy = row
                result[row.row_id] = (True, None, None)
            else:
                by_key.append((row, near))
            continue
        if row.channel == "capi":
            partner = None
            for one in counted:
                if one.copy.channel != "pixel" or one.copy.name != row.name:
                    continue
                if row.event_id is not None and one.copy.event_id is not None:
                    continue
                if not same_person(row, one.copy) or row.clock - one.copy.clock > HOURS_48:
                    continue
                order = (one.copy.clock, one.copy.row_id)
                if partner is None or order < (partner.clock, partner.row_id):
                    partner = one.copy
            if partner is not None:
                result[row.row_id] = (False, "fallback_key", partner.row_id)
                continue
        counted.append(Counted(row, row.clock))
        result[row.row_id] = (True, None, None)
    for row, one in by_key:
        reason = "duplicate_same_channel" if one.copy.channel == row.channel else "duplicate_other_channel"
        result[row.row_id] = (False, reason, one.copy.row_id)
    return result
