"""What Google's reasons mean and what to do, for both ways in. Its texts change; only the reasons are read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from capi_lab.platforms.route import OutcomeStatus, StatusRule

__all__ = ["ADS_API", "DATA_MANAGER", "FIELD_WARNINGS", "PROCESSING"]

_SIX_HOURS = timedelta(hours=6)
_MINUTE = timedelta(minutes=1)
_SECONDS = timedelta(seconds=5)


def _row(code: str, meaning: str, remedy: str = "") -> StatusRule:
    """Write a rule about one row that is at fault."""
    return StatusRule(code, OutcomeStatus.REJECTED, meaning, remedy)


def _account(code: str, meaning: str, remedy: str = "") -> StatusRule:
    """Write a rule about credential, settings or account: no other row would fare better."""
    return StatusRule(code, OutcomeStatus.REJECTED, meaning, remedy, None, row_fault=False)


def _again(code: str, meaning: str, wait: timedelta, remedy: str = "", *, row: bool = False) -> StatusRule:
    """Write a rule about something that passes by itself."""
    return StatusRule(code, OutcomeStatus.RETRY, meaning, remedy, wait, row_fault=row)


def _done(code: str, meaning: str) -> StatusRule:
    """Write a rule about something that Google has already."""
    return StatusRule(code, OutcomeStatus.ACCEPTED, meaning)


# The same on both routes: google.rpc codes under `error.status`, and reasons of Google's front end.
_COMMON = (
    _account("UNAUTHENTICATED", "the credential is missing, invalid or expired", "renew the token once"),
    _account("PERMISSION_DENIED", "the credential may not use this account", "give it access, or name the manager"),
    _account("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "the token lacks the scope of this API", "ask for consent again"),
    _account("SERVICE_DISABLED", "the API is not enabled in the Cloud project", "enable it"),
    _account("NOT_FOUND", "account or conversion action does not exist", "check customer_id and conversion_action_id"),
    _row("INVALID_ARGUMENT", "the request is invalid", "send halves to find the row"),
    _account("FAILED_PRECONDITION", "the account is not in a state that allows this", "check the account's settings"),
    _again("RESOURCE_EXHAUSTED", "quota used up", _MINUTE),
    _again("RATE_LIMIT_EXCEEDED", "too many requests in a minute", _MINUTE),
    _again("ABORTED", "another request got in the way", _SECONDS),
    _again("INTERNAL", "internal error on Google's side", _SECONDS),
    _again("INTERNAL_ERROR", "internal error on Google's side", _SECONDS),
    _again("UNAVAILABLE", "service temporarily down", _SECONDS),
    _again("DEADLINE_EXCEEDED", "Google took too long; rows may be there, the id makes a resend safe", _SECONDS),
    _again("UNKNOWN", "unknown error on Google's side", _SECONDS),
)

DATA_MANAGER = (
    _row("REQUIRED_FIELD_MISSING", "a required field is missing", "often eventSource, which the schema calls optional"),
    _row("INVALID_FORMAT", "a field is malformed"),
    _row("INVALID_HEX_ENCODING", "a digest is no hexadecimal text"),
    _row("INVALID_BASE64_ENCODING", "a digest is no Base64 text"),
    _row("INVALID_SHA256_FORMAT", "a digest is no SHA-256"),
    _row("INVALID_POSTAL_CODE", "the postcode is invalid", "drop the address"),
    _row("INVALID_COUNTRY_CODE", "the country is no alpha-2 code", "drop the address"),
    _row("INVALID_REGION_CODE", "the country is no alpha-2 code", "drop the address"),
    _row("INVALID_ENUM_VALUE", "a word is none of those allowed"),
    _row("INVALID_NUMBER_FORMAT", "a number is malformed"),
    _row("INVALID_CURRENCY_CODE", "currency is no ISO-4217 code"),
    _row("INVALID_EVENT", "the event is invalid"),
    _row("EVENT_TIME_INVALID", "the event's time is invalid", "too old, in the future, or before its click"),
    _row("NO_IDENTIFIERS_PROVIDED", "neither click id nor user data", "nothing could be matched: leave the row out"),
    _row("TOO_MANY_USER_IDENTIFIERS", "more than 10 identifiers of one person"),
    _row("INVALID_AD_IDENTIFIER_FOR_ACCOUNT", "the click id belongs to another account", "send it there"),
    _row("FIELD_VALUE_TOO_LONG", "a text is too long"),
    _row("FIELD_VALUE_TOO_SHORT", "a text is too short"),
    _row("TOO_MANY_ELEMENTS", "a list is too long"),
    _row("TOO_FEW_ELEMENTS", "a list is too short"),
    _row("CUSTOM_VARIABLE_VALUE_CONTAINS_PII", "a custom variable holds personal data"),
    _row("CUSTOM_VARIABLE_NOT_FOUND", "no such custom variable"),
    _row("INVALID_MERCHANT_ID", "the Merchant Center id is invalid"),
    _row("EVENT_SOURCE_AND_DESTINATION_MISMATCH", "eventSource does not fit the action", "a WEBPAGE action takes WEB"),
    _row("THIRD_PARTY_USER_DATA_NOT_ALLOWED", "third-party data is for data partners only"),
    _account("TOO_MANY_EVENTS", "more than 2,000 events in one request", "send smaller batches"),
    _account("TOO_MANY_DESTINATIONS", "more than 10 destinations"),
    _account("DUPLICATE_DESTINATION_REFERENCE", "two destinations share a reference"),
    _account("INVALID_DESTINATION", "the destination is invalid", "check customer_id and conversion_action_id"),
    _account("INVALID_CONVERSION_ACTION_ID", "no such conversion action", "check conversion_action_id"),
    _account("INVALID_CONVERSION_ACTION_TYPE", "the action takes no uploads", "use UPLOAD_CLICKS or WEBPAGE"),
    _account("DESTINATION_ACCOUNT_TYPE_MISMATCH", "the account is of another type"),
    _account("OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH", "the manager does not manage the account"),
    _account("NOT_ALLOWLISTED", "the account is not on the list for this feature"),
    _account("TERMS_AND_CONDITIONS_NOT_SIGNED", "terms are not accepted", "accept them in Google Ads"),
    _account("DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED", "terms are not accepted", "accept them"),
    _account("DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS", "enhanced conversions are off"),
    _account("DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS", "policy forbids enhanced conversions"),
    _account("INVALID_REQUEST_ID", "no such request"),
    _account("REQUEST_TOO_OLD", "the request's status is kept for about 50 days"),
    _again("CONVERSION_ACTION_TOO_RECENTLY_CREATED", "the conversion action is younger than 6 hours", _SIX_HOURS),
    *_COMMON,
)

ADS_API = (
    _done("CLICK_CONVERSION_ALREADY_EXISTS", "already there"),
    _done("ORDER_ID_ALREADY_IN_USE", "already there"),
    _done("CONVERSION_ALREADY_ENHANCED", "already enhanced"),
    _done("RESTATEMENT_ALREADY_EXISTS", "already restated"),
    _done("CONVERSION_ALREADY_RETRACTED", "already retracted"),
    _done("MORE_RECENT_RESTATEMENT_FOUND", "a later restatement is there"),
    _again("TOO_RECENT_EVENT", "the click is younger than 6 hours", _SIX_HOURS, row=True),
    _again("TOO_RECENT_CALL", "the call is younger than 6 hours", _SIX_HOURS, row=True),
    _again("TOO_RECENT_CONVERSION_ACTION", "the conversion action is younger than 6 hours", _SIX_HOURS),
    _again("TOO_RECENT_CONVERSION", "the conversion is too young to adjust", _SIX_HOURS, row=True),
    _again(
        "CONVERSION_NOT_FOUND",
        "the tag's conversion is not there, or not yet",
        _SIX_HOURS,
        "try for 24 hours, then compare order ids with the tag's",
        row=True,
    ),
    _row(
        "CLICK_NOT_FOUND", "unmatched, not failed: no ad click of this person", "normal for people who came otherwise"
    ),
    _row("EVENT_NOT_FOUND", "unmatched, not failed: the click id cannot be attributed"),
    _row("EXPIRED_EVENT", "the click is outside the action's window"),
    _row("EXPIRED_CALL", "the call is outside the action's window"),
    _row("CONVERSION_PRECEDES_EVENT", "the conversion is earlier than its click", "look for a time-zone slip"),
    _row("UNPARSEABLE_GCLID", "the gclid is damaged", "look for columns that cut or lower it"),
    _row("UNPARSEABLE_GBRAID", "the gbraid is damaged", "look for columns that cut or lower it"),
    _row("UNPARSEABLE_WBRAID", "the wbraid is damaged", "look for columns that cut or lower it"),
    _row("INVALID_CUSTOMER_FOR_CLICK", "the click belongs to another account", "send it there"),
    _row("UNAUTHORIZED_CUSTOMER", "the account may not upload for this click", "send to the account that owns it"),
    _row("DUPLICATE_CLICK_CONVERSION_IN_REQUEST", "twice in the request: none of the copies was taken", "send one"),
    _row("DUPLICATE_ORDER_ID", "order id twice in the request: none of the copies was taken", "send one"),
    _row("GBRAID_WBRAID_BOTH_SET", "gbraid and wbraid exclude each other", "send one"),
    _row("VALUE_MUST_BE_UNSET", "fields exclude each other", "send one click id, without user data beside a braid"),
    _row("ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID", "a braid needs an action that counts every one"),
    _row("INVALID_USER_IDENTIFIER", "an identifier is no SHA-256 digest"),
    _row("UNSUPPORTED_USER_IDENTIFIER", "an identifier of a kind not taken here", "click uploads take no address"),
    _account("CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS", "customer data terms are not accepted", "accept them"),
    _account("CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS", "enhanced conversions are off", "switch them on"),
    _account("CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS", "policy forbids enhanced conversions"),
    _account("CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCEMENT", "policy forbids enhanced conversions"),
    _account("NO_CONVERSION_ACTION_FOUND", "no such conversion action", "check conversion_action_id"),
    _account("INVALID_CONVERSION_ACTION_TYPE", "the action takes no such upload", "use UPLOAD_CLICKS or WEBPAGE"),
    _account("CONVERSION_ACTION_NOT_ELIGIBLE_FOR_ENHANCEMENT", "only a WEBPAGE action can be enhanced"),
    _row("CUSTOM_VARIABLE_VALUE_CONTAINS_PII", "a custom variable holds personal data"),
    _row("ORDER_ID_CONTAINS_PII", "the order id holds personal data", "use another id"),
    _row("CONVERSION_NOT_COMPLIANT_WITH_ATT_POLICY", "Apple's tracking policy forbids it"),
    _account("TOO_MANY_CONVERSIONS_IN_REQUEST", "more than 2,000 in one request", "send smaller batches"),
    _account("TOO_MANY_ADJUSTMENTS_IN_REQUEST", "more than 2,000 in one request", "send smaller batches"),
    _row("MISSING_ORDER_ID_FOR_WEBPAGE", "an enhancement needs the tag's order id"),
    _row("GCLID_DATE_TIME_PAIR_AND_ORDER_ID_BOTH_SET", "order id and click id with time exclude each other"),
    _row("CONVERSION_EXPIRED", "the conversion is older than 54 days"),
    _row("ADJUSTMENT_PRECEDES_CONVERSION", "the adjustment is earlier than its conversion"),
    _row("DUPLICATE_ENHANCEMENT_IN_REQUEST", "twice in the request", "send one"),
    _row("DUPLICATE_ADJUSTMENT_IN_REQUEST", "twice in the request", "send one"),
    _account("PARTIAL_FAILURE_MODE_REQUIRED", "partialFailure must be true"),
    _account(
        "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",
        "this way is closed to new users since 2026-06-15",
        "use route data_manager",
    ),
    _account("CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", "the Cloud project has test access only"),
    _account("ACTION_NOT_PERMITTED", "the Cloud project has test access only"),
    _account("USER_PERMISSION_DENIED", "the credential may not use this account", "set login_customer_id"),
    _again("TRANSIENT_ERROR", "temporary error on Google's side", _SECONDS),
    _again("CONCURRENT_MODIFICATION", "another request wrote at the same time", _SECONDS),
    _again("RESOURCE_TEMPORARILY_EXHAUSTED", "quota used up for the moment", _MINUTE),
    *_COMMON,
)

FIELD_WARNINGS: Mapping[str, str] = MappingProxyType(
    {
        "CUSTOM_VARIABLE_NOT_ENABLED": "a custom variable is not enabled",
        "CUSTOM_VARIABLE_NOT_PREDEFINED": "a custom variable is not defined",
        "CART_DATA_NOT_SUPPORTED_WITH_GBRAID_OR_WBRAID": "the cart was ignored beside a braid",
        "CART_DATA_ITEM_MERCHANT_PRODUCT_ID_MISSING": "a cart item lacks its product id",
        "CART_DATA_ITEM_UNIT_PRICE_MISSING": "a cart item lacks its price",
        "GENERIC": "a field was ignored",
        "INVALID_CLIENT_ID": "the client id was ignored",
        "INVALID_SUBDIVISION_CODE": "the region was ignored",
        "INVALID_REGION_CODE": "the country was ignored",
        "INVALID_SUBCONTINENT_CODE": "the subcontinent was ignored",
        "INVALID_CONTINENT_CODE": "the continent was ignored",
        "INVALID_DEVICE_CATEGORY": "the device category was ignored",
        "INVALID_DEVICE_SCREEN_RESOLUTION": "the screen size was ignored",
        "INVALID_MERCHANT_ID": "the Merchant Center id was ignored",
    }
)
"""What a 200 may warn of, without ``WARNING_REASON_``: the event was taken, a part of it was not."""

PROCESSING: Mapping[str, str] = MappingProxyType(
    {
        "EVENT_TOO_OLD": "outside the action's window",
        "DENIED_CONSENT": "consent is denied, by the row or by the account's default",
        "NO_CONSENT": "consent is missing where it is needed",
        "UNKNOWN_CONSENT": "row, request and account together gave no answer",
        "DUPLICATE_GCLID": "same gclid and time again: already counted",
        "DUPLICATE_TRANSACTION_ID": "same transaction id and action again: already counted",
        "INVALID_GCLID": "the gclid is damaged",
        "INVALID_GBRAID": "the gbraid is damaged",
        "INVALID_WBRAID": "the wbraid is damaged",
        "INVALID_AD_IDENTIFIERS": "the click ids do not go together",
        "INVALID_CLICK": "Google holds the click for invalid",
        "CLICK_NOT_FOUND": "unmatched, not failed: no ad click of this person",
        "TOO_RECENT_CLICK": "the click was younger than 6 hours: send again",
        "CONVERSION_PRECEDES_CLICK": "earlier than its click: look for a time-zone slip",
        "INVALID_OPERATING_ACCOUNT_FOR_CLICK": "the click belongs to another account",
        "OPERATING_ACCOUNT_MISMATCH_FOR_AD_IDENTIFIER": "the click id belongs to another account",
        "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID": "a braid needs an action that counts every one",
        "ORIGINAL_CONVERSIONS_NOT_FOUND": "nothing there to adjust",
        "INSUFFICIENT_MATCHED_TRANSACTIONS": "too few transaction ids are the tag's",
        "INSUFFICIENT_TRANSACTIONS": "too few transactions",
        "INVALID_CUSTOM_VARIABLE": "a custom variable is invalid",
        "CUSTOM_VARIABLE_NOT_ENABLED": "a custom variable is not enabled",
        "INVALID_MERCHANT_ID": "the Merchant Center id is invalid",
        "INVALID_EVENT": "the event is invalid",
        "INVALID_FORMAT": "a field is malformed",
        "DECRYPTION_ERROR": "an encrypted field could not be read",
        "INTERNAL_ERROR": "internal error on Google's side: send again",
        "EXTERNAL_ATTRIBUTION_DATA_MISSING": "the action wants external attribution data",
        "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED": "terms are not accepted",
    }
)
"""Reasons counted in the asynchronous status, as `google.status` spells them."""
