"""The Google Ads API: HTTP 200 even where rows fail, each failed row's slot empty and its error indexed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capi_lab.platforms.server import Refusal
from capi_lab.sandbox.doors.door import Answer, Batch, Call, Door, reply
from capi_lab.sandbox.doors.google_data_manager import rpc_error
from capi_lab.sandbox.shape import Complaint

__all__ = ["GoogleAdsDoor"]

_ECHOED = ("gclid", "gbraid", "wbraid", "conversionAction", "conversionDateTime", "adjustmentType", "orderId")
_SNAKE = {"conversions": "conversions", "conversionAdjustments": "conversion_adjustments"}


class GoogleAdsDoor(Door):
    """Route ``ads_api``."""

    def account(self, call: Call, batch: Batch, row: Mapping[str, Any]) -> str:
        """Return the conversion action; its customer part is ignored, as Google does.

        An enhancement is of the tag's conversion, which is in no books of ours: it stands apart.
        """
        action = str(row.get("conversionAction")).rpartition("/")[2]
        apart = batch.name != self.shape.lists[0] and self.correction(row) is None
        return f"enhanced/{action}" if apart else action

    def columns(self, row: Any, name: str) -> tuple[dict[str, Any], list[Complaint]]:
        """Read a row; a correction may name its conversion by click and time instead of an order id."""
        columns, faults = super().columns(row, name)
        if isinstance(row, dict) and name != self.shape.lists[0] and self.correction(row) is not None:
            faults = [one for one in faults if not one.field.endswith(".orderId") or "orderId" in row]
        return columns, faults

    def checked(self, batch: Batch) -> Complaint | None:
        """Ask for partial failure, without which Google takes nothing."""
        if batch.body.get("partialFailure") is not True:
            return self.complain(Refusal.NO_FLAG, "partialFailure")
        return None

    def sinks(self, batch: Batch, bad: int) -> bool:
        """Sink nothing: partial failure is on."""
        return False

    def refused(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say that the request as a whole is wrong."""
        first = complaints[0]
        status = self.server.status(first.code)
        rule = self.route.status_of(first.code)
        message = "unknown error" if rule is None else rule.meaning
        details = [] if status in (401, 404) else [self._failure(complaints, batch)]
        return reply(status, rpc_error(first.code, status, message, details))

    def taken(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Echo the rows that were taken; one failure holds the errors of all the others."""
        bad = {one.row for one in complaints}
        body: dict[str, Any] = {"jobId": str(2**31 + len(self.kept.requests))}
        if batch.body.get("validateOnly") is not True:
            body["results"] = [
                {} if at in bad else {name: row[name] for name in _ECHOED if name in row}
                for at, row in enumerate(batch.rows)
            ]
        if complaints:
            rule = self.route.status_of(complaints[0].code)
            body["partialFailureError"] = {
                "code": 3,
                "message": "" if rule is None else rule.meaning,
                "details": [self._failure(complaints, batch)],
            }
        return reply(200, body)

    def _failure(self, complaints: Sequence[Complaint], batch: Batch) -> dict[str, Any]:
        version = "v26" if not self.server.versions else self.server.versions[-1]
        errors = []
        for one in sorted(complaints, key=lambda one: one.row or 0):
            rule = self.route.status_of(one.code)
            error: dict[str, Any] = {
                "errorCode": {_family(batch.name): one.code},
                "message": "" if rule is None else rule.meaning,
            }
            if one.row is not None:
                place: dict[str, Any] = {"fieldName": _SNAKE[batch.name]}
                if one.row:
                    place["index"] = one.row  # 0 is left out, as their serialiser does
                inner = [{"fieldName": part} for part in one.field.partition("[].")[2].split(".") if part]
                error["location"] = {"fieldPathElements": [place, *inner]}
            errors.append(error)
        return {
            "@type": f"type.googleapis.com/google.ads.googleads.{version}.errors.GoogleAdsFailure",
            "errors": errors,
            "requestId": batch.request_id,
        }


def _family(name: str) -> str:
    return "conversionUploadError" if name == "conversions" else "conversionAdjustmentUploadError"
