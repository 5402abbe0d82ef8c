"""What TikTok's return codes mean and what to do. They decide: a refusal comes with HTTP 200 as well.

Names are those of TikTok's own SDK; which codes are worth a retry, and after how long, is our reading.
"""

from __future__ import annotations

from datetime import timedelta

from capi_lab.platforms.route import OutcomeStatus, StatusRule

__all__ = ["CODES"]

_YES, _NO, _AGAIN = OutcomeStatus.ACCEPTED, OutcomeStatus.REJECTED, OutcomeStatus.RETRY
_TOKEN = "renew TIKTOK_ACCESS_TOKEN in Events Manager"  # noqa: S105 - a remedy, no secret
_SOON, _LATER = timedelta(seconds=5), timedelta(minutes=1)

CODES = (
    StatusRule("0", _YES, "taken"),
    StatusRule("40050", _YES, "a duplicated request: TikTok has it already"),
    StatusRule(
        "20001",
        OutcomeStatus.UNKNOWN,
        "partial success: some rows were taken, the reply does not say which",
        "compare with Events Manager; the same rows with the same event ids may be sent again",
    ),
    StatusRule("40000", _NO, "a parameter is invalid", "one bad event sinks the batch: send halves to find it"),
    StatusRule("40002", _NO, "a field has a wrong value or type", "mend the named row, or send halves to find it"),
    StatusRule("40061", _NO, "too many or too few events in one request", "send at most 1,000 at once"),
    StatusRule("40062", _NO, "personal data is not hashed", "hash email, phone and external_id with SHA-256"),
    StatusRule(
        "40001", _NO, "the token may not write to this event source", "check event_source_id and access", None, False
    ),
    StatusRule("40003", _NO, "forbidden", "check event_source_id and access", None, False),
    StatusRule("40006", _NO, "this API version is not served", "update capi_lab", None, False),
    StatusRule("40051", _NO, "this API version is not served", "update capi_lab", None, False),
    StatusRule("40063", _NO, "the partner name is not known to TikTok", "leave partner_name out", None, False),
    StatusRule("40101", _NO, "the partner is invalid", _TOKEN, None, False),
    StatusRule("40102", _NO, "the access token is expired", _TOKEN, None, False),
    StatusRule("40104", _NO, "the access token is empty", "set TIKTOK_ACCESS_TOKEN", None, False),
    StatusRule("40105", _NO, "the access token is invalid", _TOKEN, None, False),
    StatusRule("40106", _NO, "the user behind the token is invalid", _TOKEN, None, False),
    StatusRule("40118", _NO, "the account is not on TikTok's list for this feature", "ask TikTok", None, False),
    StatusRule("40130", _NO, "the token lacks the scope", "grant Measurement > Report Conversion Event", None, False),
    StatusRule("41000", _NO, "blocked by TikTok", "look into the account; no automatic retry", None, False),
    StatusRule("40100", _AGAIN, "too many requests", "", _SOON, False),
    StatusRule("40132", _AGAIN, "too many requests", "", _SOON, False),
    StatusRule("61000", _AGAIN, "too many requests", "", _LATER, False),
    StatusRule("50000", _AGAIN, "system error on TikTok's side", "", _SOON, False),
    StatusRule("50002", _AGAIN, "timeout on TikTok's side", "", _SOON, False),
    StatusRule("50000..59999", _AGAIN, "internal error on TikTok's side", "", _SOON, False),
    StatusRule("60001", _AGAIN, "maintenance at TikTok", "", _LATER, False),
)
