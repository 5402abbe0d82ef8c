"""The answers of the platforms' reporting interfaces, each to counts of the contract ``reports``.

Where each format was read: see `capi_lab.load.reports`. A reader yields one item for each record of an answer: why it
is left out, or the rows it becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from capi_lab.errors import LoadError
from capi_lab.load.buckets import exact_count, share_of
from capi_lab.load.google_ads import dotted
from capi_lab.load.records import listed
from capi_lab.platforms.google.status import DestinationStatus, IngestState, decode_status
from capi_lab.words import LoadDrop

__all__ = ["ANSWERS", "Answer", "Context", "Item", "Row", "day_text", "goal_day"]

Row = dict[str, Any]
Item = tuple[LoadDrop | None, list[Row]]
_SUMMARIES = {
    "offline_conversion_upload_client_summary": "by uploading client",
    "offline_conversion_upload_conversion_action_summary": "by conversion action",
}


@dataclass(frozen=True, slots=True)
class Context:
    """What the caller knows and an answer may not say: its day, Meta's totals by event name."""

    day: str | None
    totals: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """A kind of answer: its name, how one is known, and its reader."""

    format: str
    fits: Callable[[Row], bool]
    read: Callable[[Row, Context], Iterator[Item]]


def _number(value: Any) -> float | None:
    """Read a count out of JSON, where int64 is text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return exact_count(str(value))


def day_text(value: Any) -> str | None:
    """Read the day of a date or time as it is named; None where it is none."""
    try:
        day = date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        return None
    return day.isoformat() if 2000 <= day.year < 2100 else None


def _answer_day(answer: Row, context: Context) -> str:
    found = day_text(answer["day"]) if "day" in answer else context.day
    if found is None:
        raise LoadError("the answer names no day: say when it was read or sent with day='2026-11-26'")
    return found


def _quality(answer: Row, context: Context) -> Iterator[Item]:
    """Read Meta's dataset quality: one item an event name."""
    day = _answer_day(answer, context)
    for event in listed(answer["web"]):
        name = event.get("event_name") if isinstance(event, dict) else None
        if not isinstance(name, str) or not name:
            yield LoadDrop.UNPARSABLE, []
            continue
        quality = event.get("event_match_quality")
        quality = quality if isinstance(quality, dict) else {}
        found = [one for one in listed(quality.get("diagnostics")) if isinstance(one, dict)]
        told = [n for one in found if (n := _number(one.get("total_event_count"))) is not None]
        told = [float(context.totals[name])] if name in context.totals else told
        if not told:
            yield LoadDrop.NO_COUNT, []
            continue
        row = {"platform": "meta", "day": day, "metric": "received", "event_name": name}
        total, bounds = max(told), {"low": min(told), "high": max(told)} if len(set(told)) > 1 else {}
        score = _number(quality.get("composite_score"))
        rows = [{**row, "stratum": "all", "count": total, **bounds, "match_quality": score}]
        for key in listed(quality.get("match_key_feedback")):
            coverage = key.get("coverage") if isinstance(key, dict) and key.get("identifier") == "fbc" else None
            percentage = _number(coverage.get("percentage")) if isinstance(coverage, dict) else None
            if percentage is not None and percentage <= 100:
                count, low, high = share_of(total, percentage)
                rows.append({**row, "stratum": "click_id", "count": count, "low": low, "high": high})
        yield None, _identified(rows)


def _uploads(answer: Row, _: Context) -> Iterator[Item]:
    """Read Google Ads' upload summaries: one item a summary's day."""
    pages = [row for row in listed(answer.get("results")) if isinstance(row, dict)]
    for row in pages or ([] if "results" in answer else [answer]):
        flat = dotted(row)
        kind = next((kind for kind in _SUMMARIES if any(key.startswith(f"{kind}.") for key in flat)), None)
        if kind is None:
            yield LoadDrop.OTHER_RECORD, []
        else:
            yield from _summary({key.removeprefix(f"{kind}."): value for key, value in flat.items()}, _SUMMARIES[kind])


def _summary(one: Row, view: str) -> Iterator[Item]:
    action = one.get("conversion_action_name") or one.get("conversion_action_id")
    shared = {"platform": "google", "client": one.get("client"), "conversion_action": action, "_view": view}
    days = [dotted(each) for each in listed(one.get("daily_summaries")) if isinstance(each, dict)]
    if not days:
        names = {"successful": "successful_event_count", "pending": "pending_event_count", "all": "total_event_count"}
        good, pending, all_ = (_number(one.get(name)) for name in names.values())
        failed = None if all_ is None else max(all_ - (good or 0) - (pending or 0), 0.0)
        days = [
            {
                "upload_date": one.get("last_upload_date_time"),
                "successful_count": good,
                "pending_count": pending,
                "failed_count": failed,
            }
        ]
    for each in days:
        day = day_text(each.get("upload_date"))
        told = [_number(each.get(f"{name}_count")) for name in ("successful", "failed", "pending")]
        if all(number is None for number in told):
            yield LoadDrop.NO_COUNT, []
        elif day is None:
            yield LoadDrop.NO_TIME, []
        else:  # the API leaves zeros out
            good, failed, pending = (number or 0.0 for number in told)
            row = {**shared, "day": day, "stratum": "all"}
            open_ = {"low": good, "high": good + pending} if pending else {}
            received = {**row, "metric": "received", "count": good + failed + pending}
            yield None, _identified([received, {**row, "metric": "accepted", "count": good, **open_}])


def _statuses(answer: Row, context: Context) -> Iterator[Item]:
    """Read Data Manager's request status: one item a destination."""
    day, states = _answer_day(answer, context), decode_status(answer)
    for one, status in zip(listed(answer["requestStatusPerDestination"]), states, strict=True):
        sent = one if isinstance(one, dict) else {}
        if any(name.startswith("audienceMembers") for name in sent):
            yield LoadDrop.OTHER_RECORD, []
            continue
        if status.records is None:
            yield LoadDrop.NO_COUNT, []
            continue
        destination = sent.get("destination")
        action = destination.get("productDestinationId") if isinstance(destination, dict) else None
        row = {"platform": "google", "day": day, "stratum": "all", "conversion_action": action}
        rows = [{**row, "metric": "received", "count": float(status.records)}]
        accepted = _accepted(status)
        if accepted is not None:
            rows.append({**row, "metric": "accepted", **accepted})
        # Requests of one day look alike: only an id kept beside the answer tells a second reading of one.
        request = answer.get("requestId")
        yield None, _identified(rows, request) if isinstance(request, str) else rows


def _accepted(status: DestinationStatus) -> Row | None:
    """Count what was not refused; a record with several errors may be counted under each."""
    records, errors = float(status.records or 0), status.errors.values()
    if status.state is IngestState.FAILED:
        return {"count": 0.0}
    if status.state is IngestState.SUCCESS or (status.state is IngestState.PARTIAL_SUCCESS and errors):
        low = max(records - sum(errors), 0.0)
        high = max(records - max(errors, default=0), 0.0)
        return {"count": low} | ({"low": low, "high": high} if low != high else {})
    return None


def _goals(answer: Row, context: Context) -> Iterator[Item]:
    """Read Microsoft's report by goal, or of the account: one item a day."""
    goals = listed(answer.get("OfflineGoalConversionSummaries"))
    for each in goals if "OfflineGoalConversionSummaries" in answer else [answer]:
        goal = each if isinstance(each, dict) else {}
        days = [one for one in listed(goal.get("DailySummaries")) if isinstance(one, dict)]
        for one in days:
            yield goal_day(one, goal)
        if not days:
            overall = {"SuccessCount": "OverallSuccessCount", "UnattributedCount": "OverallUnattributedCount"}
            yield goal_day({ours: goal.get(theirs) for ours, theirs in overall.items()}, goal, context.day)


def goal_day(one: Row, goal: Row, day: str | None = None) -> Item:
    """Read a day of Microsoft's report, out of an answer or a table; with a count of failures it is by account."""
    good = _number(one.get("SuccessCount"))
    by_goal = one.get("UnattributedCount") is not None
    bad = _number(one.get("UnattributedCount" if by_goal else "FailureCount"))
    day = day_text(one.get("UploadDate")) or day
    if good is None or bad is None:
        return LoadDrop.NO_COUNT, []
    if day is None:
        return LoadDrop.NO_TIME, []
    names = (where.get(name) for name in ("ConversionName", "GoalId") for where in (one, goal))
    row = {
        "platform": "microsoft",
        "day": day,
        "stratum": "all",
        "conversion_action": next((str(name) for name in names if name), None),
    }
    metric = "matched" if by_goal else "accepted"
    received = {**row, "metric": "received", "count": good + bad}
    return None, _identified([received, {**row, "metric": metric, "count": good}])


def _identified(rows: list[Row], *more: str) -> list[Row]:
    """Name each row by what it counts, so that a second file's count of the same is known."""
    key = ("platform", "day", "metric", "stratum", "event_name", "conversion_action", "client")
    return [{**row, "report_row_id": "/".join([*(str(row.get(name) or "") for name in key), *more])} for row in rows]


def _has_uploads(answer: Row) -> bool:
    rows = listed(answer.get("results")) or [answer]
    return any(name in _SUMMARIES for row in rows if isinstance(row, dict) for name in dotted(dict.fromkeys(row)))


ANSWERS = (
    Answer("Data Manager request status", lambda one: "requestStatusPerDestination" in one, _statuses),
    Answer("Meta dataset quality", lambda one: isinstance(one.get("web"), list), _quality),
    Answer(
        "Microsoft offline conversion report",
        lambda one: "OfflineGoalConversionSummaries" in one or isinstance(one.get("DailySummaries"), list),
        _goals,
    ),
    Answer("Google Ads upload summary", _has_uploads, _uploads),
)
"""The kinds of answers there are; the first that fits."""
