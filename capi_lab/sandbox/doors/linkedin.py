"""LinkedIn's server: all rows or none; a refusal names the bad rows in its text, each check in a text of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capi_lab.platforms.server import Refusal
from capi_lab.sandbox.doors.door import Answer, Batch, Call, Door, reply
from capi_lab.sandbox.shape import Complaint

__all__ = ["LinkedinDoor"]


class _Single(dict[str, Any]):
    """The body of an event that came without a list around it."""


class LinkedinDoor(Door):
    """Route ``capi``."""

    def parsed(self, call: Call) -> Any:
        """Read a batch, or a single event, which comes without a list around it."""
        body = super().parsed(call)
        if isinstance(body, dict) and "elements" not in body and "conversion" in body:
            return _Single(elements=[body])
        return body

    def account(self, call: Call, batch: Batch, row: Mapping[str, Any]) -> str:
        """Return nothing: an id is one event in the whole ad account, whatever the rule."""
        return ""

    def columns(self, row: Any, name: str) -> tuple[dict[str, Any], list[Complaint]]:
        """Read a row; names in clear text and a lead are as good as the identifiers we send."""
        columns, faults = super().columns(row, name)
        if isinstance(row, dict) and not faults:
            info = row["user"].get("userInfo", {})
            for ours, plain in (("first_name", "firstName"), ("last_name", "lastName")):
                if info.get(plain):
                    columns.setdefault(ours, info[plain])
            if "lead" in row["user"]:
                columns.setdefault("external_id", row["user"]["lead"])
        return columns, faults

    def refused(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say the first complaint's kind, with every row that has one of it."""
        first = complaints[0]
        status = self.server.status(first.code)
        rule = self.route.status_of(first.code)
        text = "unknown error" if rule is None else rule.meaning
        same = [one for one in complaints if one.code == first.code and one.row is not None]
        if first.row is not None and first.code == self.server.refusals[Refusal.BAD_FIELD]:
            lines = [f"Index: {one.row}, ERROR :: /{_pointer(one)} :: {text}\n" for one in same]
            return reply(status, {"message": "".join(lines), "status": status})
        if first.row is not None:
            listed = sorted({one.row for one in same if one.row is not None})
            return reply(status, {"message": f"{text}: indices {listed} (0-indexed)", "status": status})
        body = {"status": status, "message": text}
        if not first.code.startswith("http "):
            body["code"] = first.code
        return reply(status, body)

    def taken(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say 201 for each row; for one that came alone, without a word more."""
        if isinstance(batch.body, _Single):
            return reply(201, None)
        return reply(200, {"elements": [{"status": 201} for _ in batch.rows]})


def _pointer(one: Complaint) -> str:
    return (one.field.partition("[].")[2] or "user").replace(".", "/").replace("[]", "")
