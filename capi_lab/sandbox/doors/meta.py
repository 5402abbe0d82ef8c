"""Meta's server: all rows or none, and no word about which one was bad."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from capi_lab.sandbox.doors.door import Answer, Batch, Call, Door, reply
from capi_lab.sandbox.shape import Complaint

__all__ = ["MetaDoor"]

_FORM = "application/x-www-form-urlencoded"
# How much of the app's quota is used, in percent: on every reply.
_USAGE = {"X-App-Usage": json.dumps({"call_count": 1, "total_cputime": 1, "total_time": 1})}


class MetaDoor(Door):
    """Route ``capi``."""

    def parsed(self, call: Call) -> Any:
        """Read JSON, or a form whose ``data`` is JSON text, as Meta's own client sends it."""
        if not call.headers.get("content-type", "").startswith(_FORM):
            return super().parsed(call)
        body: dict[str, Any] = dict(parse_qsl(call.body.decode(), keep_blank_values=True))
        if isinstance(body.get("data"), str):
            rows = json.loads(body["data"])
            body["data"] = [json.loads(row) if isinstance(row, str) else row for row in rows]
        return body

    def refused(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say the first complaint's code, and no row."""
        code, _, sub = complaints[0].code.partition("/")
        rule = self.route.status_of(complaints[0].code)
        message = "unknown error" if rule is None else rule.meaning
        status = self.server.status(complaints[0].code)
        error: dict[str, Any] = {
            "message": f"(#{code}) {message}",
            "type": "OAuthException",
            "code": int(code),
            "is_transient": status >= 500,
            "error_user_title": message,
            "fbtrace_id": batch.request_id,
        }
        if sub:
            error["error_subcode"] = int(sub)
        if complaints[0].field:
            error["error_data"] = {"blame_field_specs": [[complaints[0].field]]}
        return reply(status, {"error": error}, _USAGE)

    def taken(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say how many events were received."""
        body = {"events_received": len(batch.rows), "messages": [], "fbtrace_id": batch.request_id}
        return reply(200, body, _USAGE)

    def pace(self, call: Call, wait: int | None) -> Mapping[str, str]:
        """Tell of a used-up quota in Meta's own header, in minutes."""
        if wait is None:
            return {}
        minutes = -(-wait // 60)
        usage = {
            "type": "ads_management",
            "call_count": 100,
            "total_cputime": 100,
            "total_time": 100,
            "estimated_time_to_regain_access": minutes,
        }
        account = call.settings.get("dataset_id", "0")
        return {"X-Business-Use-Case-Usage": json.dumps({account: [usage]})}
