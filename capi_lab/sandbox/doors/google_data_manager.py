"""Google's Data Manager: one bad row refuses all, named by its path; what became of the rest is asked for later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capi_lab.sandbox.doors.door import Answer, Batch, Call, Door, reply
from capi_lab.sandbox.shape import Complaint

__all__ = ["DataManagerDoor", "rpc_error"]

_STATUS_OF = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def rpc_error(code: str, status: int, message: str, details: list[dict[str, Any]]) -> dict[str, Any]:
    """Write an error as Google's interfaces do."""
    word = _STATUS_OF.get(status, "UNAVAILABLE" if status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": status, "message": message, "status": word, "details": details}}


class DataManagerDoor(Door):
    """Route ``data_manager``."""

    def account(self, call: Call, batch: Batch, row: Mapping[str, Any]) -> str:
        """Return the conversion action."""
        to = batch.body["destinations"][0]
        return f"{to['operatingAccount']['accountId']}/{to['productDestinationId']}"

    def refused(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Name every fault by its path."""
        status = self.server.status(complaints[0].code)
        rule = self.route.status_of(complaints[0].code)
        message = "unknown error" if rule is None else rule.meaning
        violations = [
            {"field": _place(one), "description": message, "reason": one.code}
            for one in complaints
            if one.row is not None or one.field
        ]
        domain = "datamanager.googleapis.com"
        details: list[dict[str, Any]] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": complaints[0].code,
                "domain": domain,
                "metadata": {"quota_limit": "IngestionRequestsPerMinutePerProject"} if status == 429 else {},
            },
            {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": f"t-{batch.request_id}"},
        ]
        if violations:
            details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations})
        return reply(status, rpc_error(complaints[0].code, status, message, details))

    def taken(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Give the number under which to ask later."""
        return reply(200, {"requestId": batch.request_id})


def _place(one: Complaint) -> str:
    """Write a path as Google does: in snake case, the list of events named twice."""
    inner = one.field.partition("[].")[2] if one.row is not None else one.field
    path = "".join(f"_{ch.lower()}" if ch.isupper() else ch for ch in inner).replace("[]", "[0]")
    if one.row is None:
        return path
    return f"events.events[{one.row}]" + (f".{path}" if path else "")
