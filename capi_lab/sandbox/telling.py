"""What platforms tell afterwards of what they were sent: each route's own report, from the sandbox's books."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd

from capi_lab.platforms.server import Refusal
from capi_lab.sandbox.books import table
from capi_lab.sandbox.counting import Mark
from capi_lab.sandbox.doors import Answer, Call, Door
from capi_lab.sandbox.doors.door import reply
from capi_lab.sandbox.kept import Kept

if TYPE_CHECKING:
    from capi_lab.simulate.answer import Answer as Knowledge

__all__ = ["TELLERS", "Told"]

_NEVER = timedelta(0)
_KEYS = MappingProxyType({"email": "email", "phone": "phone", "external_id": "external_id", "client_ip": "ip_address",
                          "user_agent": "user_agent", "fbc": "fbc"})  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A question to one route, and the books it is answered from.

    Parameters
    ----------
    door : Door
    kept : Kept
    call : Call
    now : float
        Epoch seconds.
    knows : callable
        Gives the platform's `Answer` for rows of its books.
    """

    door: Door
    kept: Kept
    call: Call
    now: float
    knows: Callable[[Door, pd.DataFrame], Knowledge]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Every row that was received, with the day it came."""
        requests = list(self.kept.of(self.door.spec.name, self.door.route.name))
        frame = table(self.door, self.kept, requests)
        return frame.assign(day=frame["received_time"].dt.strftime("%Y-%m-%d"))

    @cached_property
    def known(self) -> pd.DataFrame:
        """What is counted, with ``matched`` and ``attributed`` (missing where nobody knows)."""
        counted = self.rows[self.rows["counted"]].reset_index(drop=True)
        if counted.empty:
            return counted.assign(matched=False, attributed=pd.NA)
        found = self.knows(self.door, self.rows).rows
        return counted.assign(matched=found["matched"].to_numpy(), attributed=found["attributed"].array)

    @property
    def body(self) -> Mapping[str, Any]:
        """The question's body."""
        try:
            parsed = json.loads(self.call.body or b"{}")
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}


def request_status(told: Told) -> Answer:
    """Google's Data Manager: counts by reason, once it has had its time."""
    asked = told.call.query.get("requestId", "")
    found = next((one for one in told.kept.of(told.door.spec.name) if one.request_id == asked), None)
    if found is None or found.route != told.door.route.name:
        return told.door.refuse_with("INVALID_REQUEST_ID")
    reading = told.door.route.reading
    busy = (reading.first_after if reading is not None else None) or _NEVER
    to = told.kept.body(found)["destinations"][0]
    if told.now - found.at < busy.total_seconds():
        return reply(200, {"requestStatusPerDestination": [{"destination": to, "requestStatus": "PROCESSING"}]})
    reasons = pd.Series([found.codes[at] for at, mark in enumerate(found.marks) if mark == Mark.LATE], dtype="str")
    n = len(found.marks)
    state = "SUCCESS" if reasons.empty else "FAILED" if len(reasons) == n else "PARTIAL_SUCCESS"
    one: dict[str, Any] = {
        "destination": to,
        "requestStatus": state,
        "eventsIngestionStatus": {"recordCount": str(n)},
    }
    if len(reasons):
        counts = reasons.value_counts().sort_index()
        named = [{"reason": f"PROCESSING_ERROR_REASON_{why}", "recordCount": str(k)} for why, k in counts.items()]
        one["errorInfo"] = {"errorCounts": named}
    return reply(200, {"requestStatusPerDestination": [one]})


def upload_summary(told: Told) -> Answer:
    """Answer for the Google Ads API: what was uploaded, by conversion action or all together, day by day."""
    asked = str(told.body.get("query", ""))
    found = re.search(r"FROM\s+(offline_conversion_upload_(client|conversion_action)_summary)", asked)
    if found is None:
        return told.door.refuse(Refusal.UNREADABLE)
    by_action = found[2] == "conversion_action"
    action = re.search(r"conversion_action_id\s*=\s*'?(\d+)", asked)
    rows = told.rows.assign(action=told.rows["event_name"].str.extract(r"([^/]*)$", expand=False))
    if action is not None:
        rows = rows[rows["action"] == action[1]]
    parts = rows.groupby("action", sort=True) if by_action else [("", rows)] if len(rows) else []
    name = "".join(word.capitalize() if i else word for i, word in enumerate(found[1].split("_")))
    return reply(200, {"results": [{name: _uploads(rows, str(key), by_action=by_action)} for key, rows in parts]})


def _uploads(rows: pd.DataFrame, action: str, *, by_action: bool) -> dict[str, Any]:
    days = rows.groupby("day", sort=True)["accepted"].agg(["sum", "size"])
    good, n = int(rows["accepted"].sum()), len(rows)
    told = {
        "client": "GOOGLE_ADS_API",
        "status": "EXCELLENT" if good == n else "NEEDS_ATTENTION",
        "totalEventCount": str(n),
        "successfulEventCount": str(good),
        "lastUploadDateTime": rows["received_time"].max().strftime("%Y-%m-%d %H:%M:%S"),
        "dailySummaries": [
            {"uploadDate": day, "successfulCount": str(one["sum"]), "failedCount": str(one["size"] - one["sum"])}
            for day, one in days.iterrows()
        ],
    }
    return told | ({"conversionActionId": action, "conversionActionName": f"action {action}"} if by_action else {})


def dataset_quality(told: Told) -> Answer:
    """Meta's dataset quality: for each event name how many carry which key, and a score.

    The score is ours: ten times the share that is matched. Meta publishes no weights.
    """
    web = []
    for name, rows in told.known.groupby("event_name", sort=True):
        n = len(rows)
        shares = {theirs: rows[ours].notna().mean() if ours in rows else 0.0 for ours, theirs in _KEYS.items()}
        lacking = n - round(shares["fbc"] * n)
        feedback = [
            {"identifier": key, "coverage": {"percentage": round(100 * share, 2)}} for key, share in shares.items()
        ]
        quality: dict[str, Any] = {
            "composite_score": round(10 * rows["matched"].mean(), 1),
            "match_key_feedback": feedback,
            "diagnostics": [
                {
                    "name": "Click id is missing",
                    "percentage": round(100 * lacking / n, 2),
                    "affected_event_count": lacking,
                    "total_event_count": n,
                }
            ],
        }
        web.append({"event_name": name, "event_match_quality": quality})
    return reply(200, {"web": web})


def goal_report(told: Told) -> Answer:
    """Microsoft's report by goal: what was attributed, and why the rest was not.

    A sandbox has no goals of its own: the ids asked for are taken for the goals' names in the order they came in. Where
    nobody knows when the clicks were, what is matched counts as attributed.
    """
    ids = [str(one) for one in told.body.get("GoalIds") or []]
    names = told.rows["event_name"].dropna().drop_duplicates().tolist()
    start, end = (
        pd.to_datetime(told.body.get(name), utc=True, errors="coerce") for name in ("StartDateUtc", "EndDateUtc")
    )
    goals = []
    for goal, name in zip(ids, names, strict=False):
        came = told.rows[told.rows["event_name"] == name]
        came = came[came["accepted"] & (came["received_time"] >= start) & (came["received_time"] <= end)]
        goals.append(_goal(goal, name, came, told.known))
    return reply(200, {"OfflineGoalConversionSummaries": goals, "PartialErrors": []})


def _goal(goal: str, name: str, came: pd.DataFrame, known: pd.DataFrame) -> dict[str, Any]:
    place = ["request_id", "row"]
    rows = came.merge(known[[*place, "matched", "attributed"]], on=place, how="left")
    matched = rows["matched"].fillna(value=False).astype(bool)
    attributed = rows["attributed"].astype("boolean").fillna(matched.astype("boolean")).astype(bool) & matched
    why = pd.Series("NoMatchingClickFound", index=rows.index).mask(matched, "OutsideGoalLookbackWindow")
    why = why.mask(~rows["counted"], "DuplicateConversionKey")

    def told(part: pd.Series, prefix: str) -> dict[str, Any]:
        good, n = int(attributed[part].sum()), int(part.sum())
        alerts = why[part & ~attributed].value_counts().sort_index()
        rate = round(good / n, 6) if n else 0.0
        return {
            f"{prefix}SuccessCount": str(good),
            f"{prefix}UnattributedCount": str(n - good),
            f"{prefix}SuccessRate": rate,
            f"{prefix}Alerts": [{"UnattributedReason": reason, "Count": str(k)} for reason, k in alerts.items()],
        }

    days = [{"GoalId": goal, "UploadDate": day, **told(rows["day"] == day, "")} for day in sorted(rows["day"].unique())]
    whole = told(pd.Series(data=True, index=rows.index), "Overall")
    return {"GoalId": goal, "ConversionName": name, **whole, "DailySummaries": days}


TELLERS: Mapping[tuple[str, str], Callable[[Told], Answer]] = MappingProxyType(
    {
        ("meta", "capi"): dataset_quality,
        ("google", "data_manager"): request_status,
        ("google", "ads_api"): upload_summary,
        ("microsoft", "offline"): goal_report,
    }
)
"""Who answers the routes that have a report; a test holds them to `Route.reading`."""
