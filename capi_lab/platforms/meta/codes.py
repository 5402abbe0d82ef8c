"""What Meta's error codes mean and what to do. Its advice: handle by code, the text may change."""

from __future__ import annotations

from datetime import timedelta

from capi_lab.platforms.route import OutcomeStatus, StatusRule

__all__ = ["CODES"]

_NO, _AGAIN = OutcomeStatus.REJECTED, OutcomeStatus.RETRY

CODES = (
    StatusRule("100/2804001", _NO, "a click id is badly formatted", "drop fbc from that row and send it again"),
    StatusRule("100/2804003", _NO, "an event is older than 7 days", "take old events out before sending"),
    StatusRule("100/2804050", _NO, "an event's identifiers are too thin", "add a match key"),
    StatusRule(
        "100/33", _NO, "the dataset does not exist or is out of reach", "check dataset_id and access", None, False
    ),
    StatusRule(
        "100/34", _NO, "the dataset does not exist or is out of reach", "check dataset_id and access", None, False
    ),
    StatusRule("100", _NO, "a parameter is invalid", "one bad event sinks the batch: send halves to find it"),
    StatusRule("190", _NO, "the access token is invalid or expired", "renew META_ACCESS_TOKEN", None, False),
    StatusRule("3", _NO, "the app lacks the permission", "grant dataset access to the token", None, False),
    StatusRule("10", _NO, "the app lacks the permission", "grant dataset access to the token", None, False),
    StatusRule("200..299", _NO, "the token lacks a permission", "grant dataset access to the token", None, False),
    StatusRule(
        "368", _NO, "temporarily blocked for policy", "look into Account Quality; no automatic retry", None, False
    ),
    StatusRule("1", _AGAIN, "unknown error on Meta's side", "", timedelta(seconds=5), False),
    StatusRule("2", _AGAIN, "service temporarily down", "", timedelta(seconds=5), False),
    StatusRule("5000", _AGAIN, "unknown error on Meta's side", "", timedelta(seconds=5), False),
    StatusRule("negative", _AGAIN, "internal error on Meta's side", "", timedelta(seconds=5), False),
    StatusRule("4", _AGAIN, "too many calls by the app", "", timedelta(minutes=1), False),
    StatusRule("17", _AGAIN, "too many calls by the user", "", timedelta(minutes=1), False),
    StatusRule("32", _AGAIN, "too many calls for the page", "", timedelta(minutes=1), False),
    StatusRule("341", _AGAIN, "application limit reached", "", timedelta(minutes=1), False),
    StatusRule("613", _AGAIN, "rate limit reached", "", timedelta(minutes=1), False),
    StatusRule("80000..80014", _AGAIN, "business use case limit reached", "", timedelta(minutes=5), False),
)
