"""Microsoft's two servers: offline conversions reject rows alone, UET as the request's flag says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capi_lab.platforms.microsoft.codes import NUMBER_OF
from capi_lab.platforms.microsoft.uet_spec import DETAILS_LISTED
from capi_lab.platforms.server import Refusal
from capi_lab.sandbox.doors.door import Answer, Batch, Call, Door, reply
from capi_lab.sandbox.shape import Complaint

__all__ = ["OfflineDoor", "UetDoor"]

_NAME_OF = {number: name for name, number in NUMBER_OF.items()}
_FLAG = "continueOnValidationError"


class OfflineDoor(Door):
    """Route ``offline``."""

    def account(self, call: Call, batch: Batch, row: Mapping[str, Any]) -> str:
        """Return the ad account and the goal's name."""
        return f"{call.headers.get('customeraccountid', '')}/{row.get('ConversionName')}"

    def refused(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Write a fault: nothing was processed."""
        first = complaints[0]
        number, name, message = self._error(first.code)
        error = {"Code": number, "ErrorCode": name, "Message": message, "Detail": None}
        body = {"TrackingId": batch.request_id, "Type": "AdApiFaultDetail", "Errors": [error]}
        return reply(self.server.status(first.code), body, {"TrackingId": batch.request_id})

    def taken(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Name the bad rows; those not named were taken."""
        errors = []
        for one in sorted(complaints, key=lambda one: one.row or 0):
            number, name, message = self._error(one.code)
            errors.append(
                {
                    "Index": one.row,
                    "Code": number,
                    "ErrorCode": name,
                    "Message": message,
                    "Details": None,
                    "FieldPath": None,
                    "Type": "BatchError",
                    "ForwardCompatibilityMap": None,
                }
            )
        return reply(200, {"PartialErrors": errors}, {"TrackingId": batch.request_id})

    def _error(self, code: str) -> tuple[int, str, str]:
        rule = self.route.status_of(code)
        message = "unknown error" if rule is None else rule.meaning
        return (int(code), _NAME_OF.get(code, "InternalError"), message) if code.isdigit() else (0, code, message)


class UetDoor(Door):
    """Route ``uet``."""

    def sinks(self, batch: Batch, bad: int) -> bool:
        """Sink all where the request does not say otherwise, or where nothing is left."""
        return bad > 0 and (batch.body.get(_FLAG) is not True or bad == len(batch.rows))

    def refused(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say that nothing was processed, with the first few reasons."""
        whole = [one for one in complaints if one.row is None]
        code = whole[0].code if whole else self.server.refusals[Refusal.BAD_FIELD]
        status = self.server.status(code)
        return reply(status, {"eventsReceived": 0, "error": self._error(code, complaints)})

    def taken(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say how many were processed, with the first few errors and warnings."""
        bad = {one.row for one in complaints if not one.harmless}
        body: dict[str, Any] = {"eventsReceived": len(batch.rows) - len(bad)}
        if complaints:
            kind = self.server.refusals[Refusal.BAD_FIELD] if bad else "ValidationWarning"
            body["error"] = self._error(kind, complaints)
        return reply(200, body)

    def _error(self, code: str, complaints: Sequence[Complaint]) -> dict[str, Any]:
        rule = self.route.status_of(code)
        rows = sorted((one for one in complaints if one.row is not None), key=lambda one: one.row or 0)
        details = [
            {
                "index": one.row,
                "propertyName": f"data[{one.row}].{one.field.partition('[].')[2] or 'userData'}",
                "errorMessage": "" if (found := self.route.status_of(one.code)) is None else found.meaning,
                "errorCode": one.code,
                "isWarning": one.harmless,
            }
            for one in rows[:DETAILS_LISTED]
        ]
        return {"code": code, "message": "" if rule is None else rule.meaning, "details": details}
