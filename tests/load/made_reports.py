"""Platforms' reports, written as their references show them, from counts we know."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

Row = dict[str, Any]


def known_days(n: int = 3) -> list[Row]:
    """Invent ``n`` days of uploads of one action each: what came, what was good, what is open."""
    return [
        {"day": f"2026-05-{17 + i:02}", "name": f"Sale {i}, big", "good": 40 + i, "bad": 2 * i, "open": i % 2}
        for i in range(n)
    ]


def expected(days: list[Row], platform: str, good: str, *, pending: bool = False) -> list[tuple]:
    """Return day, metric, count, low and high of each row, by a count of its own."""
    rows = []
    for one in days:
        extra = one["open"] if pending else 0
        rows.append((platform, one["day"], "received", float(one["good"] + one["bad"] + extra), None, None))
        bounds = (float(one["good"]), float(one["good"] + extra)) if extra else (None, None)
        rows.append((platform, one["day"], good, float(one["good"]), *bounds))
    return sorted(rows, key=str)


def google_summary(days: list[Row], *, action: bool = False) -> str:
    """What ``googleAds:search`` answers: camel case, int64 as text, zeros left out."""
    results = []
    for nth, one in enumerate(days):
        counts = {"successfulCount": one["good"], "failedCount": one["bad"], "pendingCount": one["open"]}
        summary: Row = {
            "resourceName": f"customers/1/x/{nth}~GOOGLE_ADS_API",
            "client": "GOOGLE_ADS_API",
            "status": "GOOD",
            "totalEventCount": "999",
            "lastUploadDateTime": "2026-06-01 12:00:00",
            "dailySummaries": [{"uploadDate": one["day"]} | {k: str(v) for k, v in counts.items() if v}],
            "jobSummaries": [{"jobId": "7", "successfulCount": "5"}],
        }
        if action:
            summary |= {"conversionActionId": str(nth), "conversionActionName": one["name"]}
        kind = "ConversionAction" if action else "Client"
        results.append({f"offlineConversionUpload{kind}Summary": summary})
    return json.dumps([{"results": results[:2], "fieldMask": "x"}, {"results": results[2:]}])


def microsoft_goals(days: list[Row]) -> str:
    """What ``QueryByGoalIds`` answers."""
    goals = [
        {
            "GoalId": str(nth),
            "ConversionName": one["name"],
            "OverallSuccessCount": one["good"],
            "OverallUnattributedCount": one["bad"],
            "OverallSuccessRate": 0.9,
            "OverallAlerts": [{"UnattributedReason": "NoMatchingClickFound", "Count": one["bad"]}],
            "DailySummaries": [
                {
                    "GoalId": str(nth), "UploadDate": f"{one['day']}T00:00:00Z", "SuccessCount": one["good"],
                    "UnattributedCount": one["bad"], "SuccessRate": 0.9, "Alerts": None,
                }
            ],
        }
        for nth, one in enumerate(days)
    ]  # fmt: skip
    return json.dumps({"OfflineGoalConversionSummaries": goals, "PartialErrors": []})


def microsoft_csv(days: list[Row]) -> str:
    """The same as a table with the answer's names."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["GoalId", "ConversionName", "UploadDate", "SuccessCount", "UnattributedCount", "SuccessRate"])
    writer.writerows([[n, one["name"], one["day"], one["good"], one["bad"], 0.9] for n, one in enumerate(days)])
    return text.getvalue()


def microsoft_account(days: list[Row]) -> str:
    """What ``OfflineConversionReports/Query`` answers: failures instead of what was not tied to a click."""
    daily = [
        {"UploadDate": f"{one['day']}T00:00:00", "SuccessCount": one["good"], "FailureCount": one["bad"]}
        for one in days
    ]
    return json.dumps({"DailySummaries": daily})


def meta_quality(events: dict[str, dict[str, Any]]) -> Row:
    """What ``/dataset_quality`` answers; by event name: ``total``, ``fbc``, ``score``."""
    return {
        "web": [
            {
                "event_name": name,
                "event_match_quality": {
                    "composite_score": one.get("score", 6.2),
                    "match_key_feedback": [
                        {"identifier": "email", "coverage": {"percentage": 80}},
                        *([{"identifier": "fbc", "coverage": {"percentage": one["fbc"]}}] if "fbc" in one else []),
                    ],
                    "diagnostics": [
                        {"name": "x", "percentage": 3, "affected_event_count": 1, "total_event_count": total}
                        for total in one.get("totals", [])
                    ],
                },
                "event_coverage": {"percentage": 70.1, "goal_percentage": 75},
            }
            for name, one in events.items()
        ]
    }


def request_status(*destinations: tuple[str, int | None, dict[str, int]]) -> Row:
    """What ``requestStatus:retrieve`` answers; by destination: state, records, errors."""
    return {
        "requestStatusPerDestination": [
            {
                "destination": {"operatingAccount": {"accountId": "1"}, "productDestinationId": f"77{nth}"},
                "requestStatus": state,
                **({"eventsIngestionStatus": {"recordCount": str(records)}} if records is not None else {}),
                "errorInfo": {
                    "errorCounts": [
                        {"reason": f"PROCESSING_ERROR_REASON_{reason}", "recordCount": str(n)}
                        for reason, n in errors.items()
                    ]
                },
            }
            for nth, (state, records, errors) in enumerate(destinations)
        ]
    }
