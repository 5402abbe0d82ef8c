"""The waterfall told again, conversion by conversion, in plain Python."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def last_reply(receipts: list[Row]) -> tuple[str, str] | None:
    """An acceptance stands; else the last row sent; a skipped row only where there is no other."""
    accepted = [r for r in receipts if r["status"] == "accepted"]
    sent = [r for r in receipts if r["status"] not in ("accepted", "skipped")]
    pool = accepted or sent or receipts
    if not pool:
        return None
    times = [r["sent_at"] for r in pool if r["sent_at"] is not None]
    latest = [r for r in pool if r["sent_at"] == max(times)] if times else pool
    best = min(latest, key=lambda r: (r["status"], r["code"] in (None, ""), r["code"] or ""))
    return best["status"], best["code"] or "unknown"


def place(
    conversion: Row, events: list[Row], receipts: list[Row] | None, mark: Row | None, cause: str | None
) -> tuple[str, str, str | None, str]:
    """Return step, bucket, reason and fate of one conversion.

    ``events`` are those linked to it, with ``channel`` and ``kept``; ``receipts`` None where none were given;
    ``mark`` is its row of marks (empty where it has none), None where no marks were given.
    """
    pixel_events = [e for e in events if e["channel"] == "pixel"]
    server_events = [e for e in events if e["channel"] == "capi"]
    mark_row = {} if mark is None else mark
    eligible = mark_row.get("eligible")
    answer = None if receipts is None else last_reply(receipts)
    status, code = answer or (None, "unknown")
    was_sent = bool(server_events) or status in ("accepted", "rejected", "retry", "unknown")

    if not pixel_events and not was_sent:
        if eligible is False:
            return "server", "ineligible", mark_row.get("ineligible_reason") or "unknown", "ignored"
        if status == "skipped":
            return "server", "skipped", code, "failed" if eligible else "ignored"
        if eligible is None:
            return "server", "not_sent", "eligibility_unknown", "unknown"
        return "server", "not_sent", "unknown", "failed"

    if receipts is not None and not pixel_events and status != "accepted":
        if status == "rejected":
            return "accepted", "rejected", code, "failed"
        if status == "retry":
            return "accepted", "retry", code, "failed"
        if status == "unknown":
            return "accepted", "reply_unknown", code, "unknown"
        return "accepted", "no_receipt", None, "unknown"

    refused = status in ("rejected", "retry")
    only_by_receipt = bool(pixel_events) and not server_events and was_sent and not refused
    kept = sum(e["kept"] for e in events)
    if pixel_events and server_events and refused and kept > 0:
        kept = max(1, sum(e["kept"] for e in pixel_events))
    if events and kept == 0 and not only_by_receipt:
        return "counted", "over_merged", cause or "unknown", "failed"

    last = "counted"
    for step, no, dunno in (
        ("matched", "not_matched", "match_unknown"),
        ("attributed", "not_attributed", "attribution_unknown"),
    ):
        if conversion["told"].get(step):
            last = step
            if mark_row.get(step) is None:
                return step, dunno, None, "unknown"
            if mark_row[step] is False:
                return step, no, None, "untied"
    if only_by_receipt:
        return last, "not_replayed", None, "through"
    if kept > 1:
        return last, "double_counted", cause or "unknown", "through"
    if pixel_events and was_sent and not refused:
        return last, "deduplicated", None, "through"
    return last, "pixel_only" if pixel_events else "server_only", None, "through"
