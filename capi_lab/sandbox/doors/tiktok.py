"""TikTok's server: HTTP 200 to nearly everything, the code decides, and the first bad row is named in the message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capi_lab.platforms.server import Refusal
from capi_lab.sandbox.doors.door import Answer, Batch, Call, Door, reply
from capi_lab.sandbox.shape import Complaint

__all__ = ["TiktokDoor"]


class TiktokDoor(Door):
    """Route ``events_api``."""

    def account(self, call: Call, batch: Batch, row: Mapping[str, Any]) -> str:
        """Return the event source, which is one per request."""
        return str(batch.body.get("event_source_id"))

    def refused(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say the first complaint; its message names the row."""
        first = min(complaints, key=lambda one: -1 if one.row is None else one.row)
        rule = self.route.status_of(first.code)
        message = "unknown error" if rule is None else rule.meaning
        if first.row is not None:
            message = f"Batch.{first.row}.{first.field.partition('[].')[2] or 'event'}: {message}"
        return self._said(first.code, message, batch)

    def taken(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say OK, or of a request whose rows are all there already that it is a duplicate."""
        there = self.server.refusals[Refusal.THERE]
        known = {one.row for one in complaints if one.code == there}
        if len(known) == len(batch.rows):
            return self._said(there, "duplicated request", batch)
        return self._said("0", "OK", batch)

    def _said(self, code: str, message: str, batch: Batch) -> Answer:
        body = {"code": int(code), "message": message, "request_id": batch.request_id, "data": {}}
        return reply(self.server.status(code), body)
