"""What LinkedIn's refusals mean and what to do.

A reply is named by ``code``, else ``serviceErrorCode``, else its HTTP status: gateway, service and schema check
write three different bodies.
"""

from __future__ import annotations

from datetime import timedelta

from capi_lab.platforms.route import OutcomeStatus, StatusRule

__all__ = ["CODES"]

_NO, _AGAIN = OutcomeStatus.REJECTED, OutcomeStatus.RETRY
_TOKEN = "renew LINKEDIN_ACCESS_TOKEN: OAuth tokens live 60 days, those of the Direct API do not expire"  # noqa: S105

CODES = (
    StatusRule("VERSION_MISSING", _NO, "the version header is missing", "set `version`", None, False),
    StatusRule(
        "NONEXISTENT_VERSION",
        _NO,
        "this API version was switched off or never was",
        "set a newer `version`",
        None,
        False,
    ),
    StatusRule("INVALID_ACCESS_TOKEN", _NO, "the access token is invalid", _TOKEN, None, False),
    StatusRule("REVOKED_ACCESS_TOKEN", _NO, "the access token was revoked", _TOKEN, None, False),
    StatusRule("EXPIRED_ACCESS_TOKEN", _NO, "the access token is expired", _TOKEN, None, False),
    StatusRule("EMPTY_ACCESS_TOKEN", _NO, "the access token is empty", "set LINKEDIN_ACCESS_TOKEN", None, False),
    StatusRule("65600", _NO, "the access token is invalid", _TOKEN, None, False),
    StatusRule("65601", _NO, "the access token was revoked", _TOKEN, None, False),
    StatusRule(
        "http 400",
        _NO,
        "an event is older than 90 days or in the future, or the rule belongs to the Insight Tag",
        "take such events out; make a rule with the method CONVERSIONS_API",
    ),
    StatusRule("http 401", _NO, "the credential was refused", _TOKEN, None, False),
    StatusRule(
        "http 403",
        _NO,
        "either no such conversion rule, or the token's member has no role or scope for its ad account",
        "check conversion_id first, then the role (campaign manager or higher) and the scope rw_conversions",
        None,
        False,
    ),
    StatusRule("http 422", _NO, "a field is unknown, missing or of a wrong type", "mend the named rows"),
    StatusRule("http 426", _NO, "this API version was switched off", "set a newer `version`", None, False),
    StatusRule("http 423", _AGAIN, "locked for the moment", "", timedelta(seconds=5), False),
    StatusRule("http 429", _AGAIN, "more requests than the quota allows", "", timedelta(minutes=1), False),
)
