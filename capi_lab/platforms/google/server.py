"""What Google's two servers do with a request."""

from __future__ import annotations

from types import MappingProxyType

from capi_lab.platforms.server import Refusal, Server

__all__ = ["ADS_SERVER", "DATA_MANAGER_SERVER", "METHODS"]

METHODS = MappingProxyType({"click": "uploadClickConversions", "enhancement": "uploadConversionAdjustments"})
"""Setting ``operation`` to the method at the end of the URL."""

_STATUSES = {
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "RESOURCE_TEMPORARILY_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "TRANSIENT_ERROR": 500,
    "": 400,
}
_SHARED = {
    Refusal.NO_TOKEN: "UNAUTHENTICATED",
    Refusal.WRONG_TOKEN: "UNAUTHENTICATED",
    Refusal.EXPIRED_TOKEN: "UNAUTHENTICATED",
    Refusal.BAD_VERSION: "NOT_FOUND",
    Refusal.UNREADABLE: "INVALID_ARGUMENT",
    Refusal.EMPTY: "INVALID_ARGUMENT",
    Refusal.UNKNOWN_FIELD: "INVALID_ARGUMENT",
    Refusal.BAD_FIELD: "INVALID_ARGUMENT",
    Refusal.MISSING_FIELD: "INVALID_ARGUMENT",
}

_ACCOUNTS = (
    "ACCOUNT_TYPE_UNSPECIFIED",
    "GOOGLE_ADS",
    "DISPLAY_VIDEO_PARTNER",
    "DISPLAY_VIDEO_ADVERTISER",
    "DATA_PARTNER",
    "GOOGLE_ANALYTICS_PROPERTY",
    "GOOGLE_AD_MANAGER_AUDIENCE_LINK",
    "FLOODLIGHT_CONFIG",
    "GOOGLE_AD_MANAGER",
)


def _numbered(words: dict[str, str]) -> dict[str, str]:
    """Add the numbers of an enum's words, which Google's own client sends in their place."""
    return words | {str(number): ours for number, ours in enumerate(words.values())}


_TO, _EVENT = "destinations[]", "events[]"
_PERSON = f"{_EVENT}.userData.userIdentifiers[]"
_CONSENT = MappingProxyType(
    _numbered({"CONSENT_STATUS_UNSPECIFIED": "", "CONSENT_GRANTED": "granted", "CONSENT_DENIED": "denied"})
)

_OTHER = (
    "destinationReferences",
    "conversionCount",
    "cartData.*",
    "userProperties.*",
    "customVariables.*",
    "experimentalFields.*",
    "lastUpdatedTimestamp",
    "eventName",
    "clientId",
    "userId",
    "appInstanceId",
    "additionalEventParameters.*",
    "eventLocation.*",
    "thirdPartyUserData.*",
    "adIdentifiers.*",
    "eventDeviceInfo.*",
)

DATA_MANAGER_SERVER = Server(
    refusals=MappingProxyType(
        _SHARED
        | {
            Refusal.EMPTY: "REQUIRED_FIELD_MISSING",
            Refusal.TOO_MANY: "TOO_MANY_EVENTS",
            Refusal.BAD_FIELD: "INVALID_FORMAT",
            Refusal.MISSING_FIELD: "REQUIRED_FIELD_MISSING",
            Refusal.BAD_ROW: "INVALID_EVENT",
            Refusal.THROTTLED: "RESOURCE_EXHAUSTED",
            Refusal.BROKEN: "UNAVAILABLE",
        }
    ),
    statuses=MappingProxyType(_STATUSES),
    needs=MappingProxyType(
        {
            "G08": "EVENT_TIME_INVALID",
            "G09": "REQUIRED_FIELD_MISSING",
            "G11": "NO_IDENTIFIERS_PROVIDED",
            "G18/bad_field": "INVALID_CURRENCY_CODE",
            "G18/missing_field": "REQUIRED_FIELD_MISSING",
            "G19": "INVALID_NUMBER_FORMAT",
        }
    ),
    # Reasons of `google.codes.PROCESSING`.
    late=MappingProxyType({"G23": "EVENT_TOO_OLD", "G24": "DENIED_CONSENT", "G16": "INVALID_AD_IDENTIFIERS"}),
    malformed=MappingProxyType(
        {
            f"{_EVENT}.eventTimestamp": "EVENT_TIME_INVALID",
            f"{_EVENT}.eventSource": "INVALID_ENUM_VALUE",
            f"{_EVENT}.currency": "INVALID_CURRENCY_CODE",
            f"{_EVENT}.conversionValue": "INVALID_NUMBER_FORMAT",
            f"{_PERSON}.emailAddress": "INVALID_SHA256_FORMAT",
            f"{_PERSON}.phoneNumber": "INVALID_SHA256_FORMAT",
            f"{_PERSON}.address.givenName": "INVALID_SHA256_FORMAT",
            f"{_PERSON}.address.familyName": "INVALID_SHA256_FORMAT",
        }
    ),
    other_fields=(
        "consent.*",
        "encryptionInfo.*",
        f"{_TO}.reference",
        f"{_TO}.linkedAccount.*",
        f"{_TO}.operatingAccount.product",
        f"{_TO}.loginAccount.product",
        *(f"{_EVENT}.{name}" for name in _OTHER),
        *(f"{_PERSON}.address.{name}" for name in ("addressLine", "city", "administrativeArea")),
    ),
    words=MappingProxyType(
        {
            f"{_EVENT}.eventSource": MappingProxyType(
                _numbered(
                    {
                        "EVENT_SOURCE_UNSPECIFIED": "",
                        "WEB": "web",
                        "APP": "app",
                        "IN_STORE": "store",
                        "PHONE": "phone",
                        "OTHER": "other",
                        "MESSAGE": "chat",
                    }
                )
            ),
            "encoding": MappingProxyType(_numbered({"ENCODING_UNSPECIFIED": "", "HEX": "", "BASE64": ""})),
            **{
                f"{_TO}.{name}.accountType": MappingProxyType(_numbered(dict.fromkeys(_ACCOUNTS, "")))
                for name in ("operatingAccount", "loginAccount")
            },
            f"{_EVENT}.consent.adUserData": _CONSENT,
            f"{_EVENT}.consent.adPersonalization": _CONSENT,
        }
    ),
)

_CLICK, _CHANGE = "conversions[]", "conversionAdjustments[]"

ADS_SERVER = Server(
    refusals=MappingProxyType(
        _SHARED
        | {
            Refusal.TOO_MANY: "TOO_MANY_CONVERSIONS_IN_REQUEST",
            Refusal.NO_FLAG: "PARTIAL_FAILURE_MODE_REQUIRED",
            Refusal.BAD_ROW: "UNPARSEABLE_GCLID",
            Refusal.THROTTLED: "RESOURCE_TEMPORARILY_EXHAUSTED",
            Refusal.BROKEN: "TRANSIENT_ERROR",
            Refusal.THERE: "ORDER_ID_ALREADY_IN_USE",
            Refusal.THERE_BY_CLICK: "CLICK_CONVERSION_ALREADY_EXISTS",
            Refusal.TWICE: "DUPLICATE_ORDER_ID",
            Refusal.TOO_MANY_CHANGES: "TOO_MANY_ADJUSTMENTS_IN_REQUEST",
            Refusal.CHANGED: "CONVERSION_ALREADY_ENHANCED",
            Refusal.NOT_THERE: "CONVERSION_NOT_FOUND",
            Refusal.WITHDRAWN: "CONVERSION_ALREADY_RETRACTED",
            Refusal.RESTATED: "RESTATEMENT_ALREADY_EXISTS",
        }
    ),
    statuses=MappingProxyType(_STATUSES),
    needs=MappingProxyType(
        {
            "G16": "GBRAID_WBRAID_BOTH_SET",
            "G23": "EXPIRED_EVENT",
            "A05": "MISSING_ORDER_ID_FOR_WEBPAGE",
        }
    ),
    malformed=MappingProxyType(
        {
            f"{row}.userIdentifiers[].{name}": "INVALID_USER_IDENTIFIER"
            for row in (_CLICK, _CHANGE)
            for name in ("hashedEmail", "hashedPhoneNumber")
        }
    ),
    other_fields=(
        "customerId",
        "jobId",
        *(
            f"{_CLICK}.{name}"
            for name in ("externalAttributionData.*", "customVariables.*", "cartData.*", "customerType")
        ),
        f"{_CHANGE}.restatementValue.*",
        *(f"{_CHANGE}.userIdentifiers[].addressInfo.{name}" for name in ("hashedStreetAddress", "city", "state")),
    ),
    words=MappingProxyType(
        {
            f"{_CLICK}.conversionEnvironment": MappingProxyType({"WEB": "web", "APP": "app"}),
            f"{_CLICK}.consent.adUserData": MappingProxyType({"GRANTED": "granted", "DENIED": "denied"}),
            f"{_CHANGE}.adjustmentType": MappingProxyType({"ENHANCEMENT": "", "RESTATEMENT": "", "RETRACTION": ""}),
        }
    ),
    in_path=MappingProxyType({"operation": MappingProxyType({method: one for one, method in METHODS.items()})}),
    versions=("v23", "v24", "v25", "v26"),
    headers=MappingProxyType({"login-customer-id": "login_customer_id"}),
)
