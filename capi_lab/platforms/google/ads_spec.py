"""The Google Ads API's facts: the older way in, closed to new users, still needed by those who are in."""

from __future__ import annotations

from datetime import date, timedelta
from types import MappingProxyType

from capi_lab.platforms.google.codes import ADS_API as CODES
from capi_lab.platforms.google.needs import FULL_ADDRESS, HAS_CLICK, SHARED, unless
from capi_lab.platforms.google.sending import ADS_CORRECTIONS, ADS_READING, ADS_SENDING, ADS_SENDING_SOURCES, ADS_TOKEN
from capi_lab.platforms.google.server import ADS_SERVER, METHODS
from capi_lab.platforms.google.settings import (
    ACTION_ID,
    CLICK_ID_POLICY,
    COUNTING,
    CUSTOMER_ID,
    LOGIN_CUSTOMER_ID,
    MISSING_CONSENT,
    MISSING_CONSENT_SOURCE,
    TRANSACTION_ID,
    VALIDATE_ONLY,
)
from capi_lab.platforms.needs import (
    WEB,
    Chosen,
    Condition,
    FreshClick,
    Has,
    HasChosen,
    Need,
    Not,
    Recent,
    Usable,
    all_of,
    any_of,
)
from capi_lab.platforms.route import Auth, AuthStyle, BadRow, FieldRule, Limits, Route, Setting, TimeFormat
from capi_lab.platforms.rules import Assumption, DedupRule, Keep
from capi_lab.sources import Confidence, Source
from capi_lab.words import Channel, Ineligible

__all__ = [
    "ADS_API",
    "BRAID_WITH_USER_DATA",
    "CONSENT_WORDS",
    "ENHANCEMENT_FRESH",
    "ENHANCEMENT_MAX_AGE",
    "ENVIRONMENTS",
    "METHODS",
]

_DOCS = "https://developers.google.com/google-ads/api"
_CLIENT = "https://github.com/googleads/google-ads-python"
_READ = date(2026, 11, 23)
_BUILT = date(2026, 10, 15)

ENVIRONMENTS = MappingProxyType({"web": "WEB", "app": "APP"})
"""Our ``action_source`` to ``conversionEnvironment``; there are no other words, and it may be left out."""

CONSENT_WORDS = MappingProxyType({"granted": "GRANTED", "denied": "DENIED"})
"""Unlike the Data Manager's, without a prefix."""

ENHANCEMENT_MAX_AGE = timedelta(days=54)
ENHANCEMENT_FRESH = timedelta(hours=24)
"""A conversion older than this cannot be adjusted."""

BRAID_WITH_USER_DATA = Assumption(
    value=False,
    question="May user identifiers go beside a gbraid or wbraid without gclid? An older page forbids it.",
)
"""Where False, the identifiers are left out."""

_CLICK = "conversions[]"
_CHANGE = "conversionAdjustments[]"
_ADDRESS = f"{_CHANGE}.userIdentifiers[].addressInfo"

_ENHANCING, _CLICKING = Chosen("operation", "enhancement"), Chosen("operation", "click")
_PERSON = any_of(Usable("email"), Usable("phone"))


def _people_sent() -> Condition:
    """Ask for identifiers that are not left out beside a braid."""
    if BRAID_WITH_USER_DATA.value:
        return _PERSON
    return all_of(_PERSON, any_of(Has("gclid"), Not(any_of(Has("gbraid"), Has("wbraid")))))


_NEEDS = (
    *SHARED,
    Need("G23", Ineligible.TOO_OLD, unless(_ENHANCING, Recent()), "older than 90 days: no longer taken"),
    Need(
        "G23",
        Ineligible.TOO_OLD,
        unless(_CLICKING, Recent(ENHANCEMENT_MAX_AGE)),
        "older than 54 days: can no longer be enhanced",
    ),
    Need(
        "G09",
        Ineligible.WRONG_SOURCE,
        any_of(_CLICKING, Not(Has("action_source")), WEB),
        "only web conversions can be enhanced",
    ),
    Need(
        "A05",
        Ineligible.MISSING_FIELD,
        unless(_CLICKING, HasChosen("transaction_id")),
        "an enhancement needs the tag's order id",
    ),
    Need(
        "G10",
        Ineligible.MISSING_FIELD,
        any_of(_ENHANCING, HasChosen("transaction_id"), Has("gclid")),
        "no resend would be safe",
    ),
    Need(
        "G11",
        Ineligible.NO_MATCH_KEY,
        any_of(_ENHANCING, HAS_CLICK, _PERSON),
        "neither click id nor usable e-mail or phone",
    ),
    Need(
        "G11",
        Ineligible.NO_MATCH_KEY,
        any_of(_CLICKING, _PERSON, FULL_ADDRESS),
        "no usable e-mail, phone or full address to enhance with",
    ),
    Need(
        "G16",
        Ineligible.CONFLICTING_IDS,
        unless(_ENHANCING, Not(all_of(Has("gbraid"), Has("wbraid")))),
        "gbraid and wbraid exclude each other: two clicks in one row",
    ),
    Need(
        "G25",
        Ineligible.CLICK_TOO_OLD,
        any_of(_ENHANCING, FreshClick(), Not(HAS_CLICK), _people_sent()),
        "only a click older than 90 days could be matched",
    ),
)

ADS_API = Route(
    name="ads_api",
    title="Google Ads API",
    method="POST",
    url="https://googleads.googleapis.com/{version}/customers/{customer_id}:{operation}",
    auth=Auth(
        AuthStyle.BEARER,
        "Authorization",
        ("GOOGLE_ACCESS_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"),
        "scope https://www.googleapis.com/auth/adwords; developer tokens are ignored since 2026-09-09",
        token=ADS_TOKEN,
    ),
    settings=(
        CUSTOMER_ID,
        ACTION_ID,
        LOGIN_CUSTOMER_ID,
        Setting("version", "API version", r"v\d{2,3}", default="v26"),
        Setting(
            "operation",
            "click: offline clicks and leads; enhancement: adds user data to the tag's conversion",
            r"click|enhancement",
            default="click",
            account=True,
        ),
        TRANSACTION_ID,
        CLICK_ID_POLICY,
        COUNTING,
        MISSING_CONSENT,
        VALIDATE_ONLY,
        Setting(
            "adjustment_time",
            "when the enhancement was made, as yyyy-mm-dd hh:mm:ss+hh:mm; Google wants it after the conversion",
            r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}[+-]\d{2}:\d{2}",
            required=False,
        ),
        Setting(
            "conversion_time",
            "write the conversion's time and gclid into an enhancement; Google recommends it",
            r"true|false",
            default="true",
        ),
    ),
    limits=Limits(
        batch_rows=2000,
        max_age=timedelta(days=90),
        future=timedelta(seconds=60),
        identifiers=5,
        click_max_age=timedelta(days=90),
        click_min_age=timedelta(hours=6),
    ),
    needs=_NEEDS,
    time=TimeFormat.ADS,
    fields=(
        FieldRule("partialFailure", "true", "yes", None, "false is refused"),
        FieldRule("validateOnly", "true", "no", None, "setting"),
        FieldRule(
            f"{_CLICK}.conversionAction", "resource name", "yes", None, "its customer part is ignored", names_event=True
        ),
        FieldRule(f"{_CLICK}.conversionDateTime", "time with offset", "yes", "event_time", "no fractions"),
        FieldRule(f"{_CLICK}.conversionValue", "number", "no", "value", "currency units, no micros"),
        FieldRule(f"{_CLICK}.currencyCode", "ISO 4217", "with a value", "currency"),
        FieldRule(f"{_CLICK}.orderId", "text", "for dedup", "conversion_id", "or event_id"),
        FieldRule(f"{_CLICK}.conversionEnvironment", "WEB or APP", "no", "action_source"),
        FieldRule(f"{_CLICK}.consent.adUserData", "GRANTED or DENIED", "EEA, UK, CH", "consent_ad_user_data"),
        FieldRule(f"{_CLICK}.gclid", "text", "an identifier", "gclid", "byte for byte"),
        FieldRule(f"{_CLICK}.gbraid", "text", "an identifier", "gbraid", "byte for byte"),
        FieldRule(f"{_CLICK}.wbraid", "text", "an identifier", "wbraid", "byte for byte"),
        FieldRule(f"{_CLICK}.userIdentifiers[].userIdentifierSource", "FIRST_PARTY", "no"),
        FieldRule(f"{_CLICK}.userIdentifiers[].hashedEmail", "SHA-256 hex", "an identifier", "email"),
        FieldRule(f"{_CLICK}.userIdentifiers[].hashedPhoneNumber", "SHA-256 hex", "an identifier", "phone"),
        FieldRule(f"{_CHANGE}.conversionAction", "resource name", "yes", None, "type WEBPAGE", names_event=True),
        FieldRule(f"{_CHANGE}.adjustmentType", "ENHANCEMENT", "yes"),
        FieldRule(f"{_CHANGE}.orderId", "text", "yes", "conversion_id", "byte for byte the tag's; or event_id"),
        FieldRule(f"{_CHANGE}.adjustmentDateTime", "time with offset", "no", None, "setting"),
        FieldRule(f"{_CHANGE}.gclidDateTimePair.gclid", "text", "no", "gclid"),
        FieldRule(f"{_CHANGE}.gclidDateTimePair.conversionDateTime", "time with offset", "recommended", "event_time"),
        FieldRule(f"{_CHANGE}.userAgent", "text, clear", "no", "user_agent", "the tag's; only beside identifiers"),
        FieldRule(f"{_CHANGE}.userIdentifiers[].userIdentifierSource", "FIRST_PARTY", "no"),
        FieldRule(f"{_CHANGE}.userIdentifiers[].hashedEmail", "SHA-256 hex", "an identifier", "email"),
        FieldRule(f"{_CHANGE}.userIdentifiers[].hashedPhoneNumber", "SHA-256 hex", "an identifier", "phone"),
        FieldRule(f"{_ADDRESS}.hashedFirstName", "SHA-256 hex", "all four", "first_name"),
        FieldRule(f"{_ADDRESS}.hashedLastName", "SHA-256 hex", "all four", "last_name"),
        FieldRule(f"{_ADDRESS}.countryCode", "alpha-2, clear", "all four", "country"),
        FieldRule(f"{_ADDRESS}.postalCode", "text, clear", "all four", "postal_code"),
    ),
    codes=CODES,
    bad_row=BadRow.BY_FLAG,
    resend=True,
    dedup=DedupRule(
        key=("event_name", "conversion_id"),
        window=None,
        same_channel=True,
        keep=Keep.FIRST,
        instead=("event_name", "gclid", "event_time"),
        channels=(Channel.CAPI,),
    ),
    server=ADS_SERVER,
    hosts=("googleads.googleapis.com",),
    sending=ADS_SENDING,
    reading=ADS_READING,
    corrections=ADS_CORRECTIONS,
    sources={
        **ADS_SENDING_SOURCES,
        "url": Source(f"{_DOCS}/reference/rpc/v26", _READ, Confidence.HIGH),
        "url.closed": Source(
            "https://developers.google.com/ads/blog/posts/2026/05/changes-to-offline-click-conversion",
            _READ,
            Confidence.HIGH,
            "click uploads are closed to new users since 2026-06-15; how the list is kept since then is not documented",
        ),
        "settings.version": Source(
            _CLIENT, _BUILT, Confidence.HIGH, "google-ads 34.0.0 ships v23 to v26; v26 is to end in November 2027"
        ),
        "settings.conversion_time": Source(
            f"{_CLIENT}/blob/main/examples/remarketing/upload_enhanced_conversions_for_web.py",
            _READ,
            Confidence.HIGH,
            "optional but recommended; the sample sets no adjustment time",
        ),
        "settings.missing_consent": MISSING_CONSENT_SOURCE,
        "settings.adjustment_time": Source(
            f"{_DOCS}/reference/rpc/latest/ConversionAdjustment", _READ, Confidence.HIGH, "after the conversion's"
        ),
        "auth": Source(
            f"{_DOCS}/docs/api-policy/developer-token", _READ, Confidence.HIGH, "access belongs to the Cloud project"
        ),
        "limits": Source(
            f"{_DOCS}/docs/conversions/upload-clicks", _READ, Confidence.HIGH, "2,000 rows, 5 identifiers, 90 days"
        ),
        "limits.click_min_age": Source(_CLIENT, _BUILT, Confidence.HIGH, "TOO_RECENT_EVENT, TOO_RECENT_CLICK: 6 hours"),
        "limits.future": Source(
            f"{_DOCS}/docs/conversions/upload-clicks",
            _READ,
            Confidence.ASSUMED,
            "nothing is documented; 60 s is ours, for clocks that run ahead",
        ),
        "limits.enhancement": Source(_CLIENT, _BUILT, Confidence.HIGH, "CONVERSION_EXPIRED after 54 days"),
        "limits.enhancement_delivery": Source(
            f"{_DOCS}/docs/conversions/enhance-conversions", _READ, Confidence.HIGH, "within 24 hours"
        ),
        "needs": Source(
            _CLIENT,
            _BUILT,
            Confidence.HIGH,
            "and what limits, fields and consent are read from; G25: EXPIRED_EVENT; that a resend must be safe is ours",
        ),
        "fields": Source(_CLIENT, _BUILT, Confidence.HIGH, "v26 types"),
        "fields.address": Source(
            _CLIENT,
            _BUILT,
            Confidence.HIGH,
            "adjustments only; street, city and state are optional, normalised otherwise than by the Data Manager, "
            "and not sent",
        ),
        "fields.allowlisted": Source(
            "https://developers.google.com/ads/blog/posts/2026/01/changes-to-ip-address-and-session",
            _READ,
            Confidence.HIGH,
            "userIpAddress and session attributes are for listed accounts only and not sent",
        ),
        "fields.consent": Source(_CLIENT, _BUILT, Confidence.HIGH, "adPersonalization is for user lists only"),
        "fields.braid_with_user_data": Source(
            f"{_DOCS}/docs/conversions/upload-clicks",
            _READ,
            Confidence.ASSUMED,
            "VALUE_MUST_BE_UNSET in an older copy; not confirmed for v26",
        ),
        "codes": Source(_CLIENT, _BUILT, Confidence.HIGH, "enums of v26; what to retry is partly our reading"),
        "bad_row": Source(f"{_DOCS}/docs/best-practices/partial-failures", _READ, Confidence.HIGH),
        "server": Source(
            _CLIENT, _BUILT, Confidence.HIGH, "enums of v26; which reason a fault gets is partly our reading"
        ),
        "resend": Source(_CLIENT, _BUILT, Confidence.HIGH, "ORDER_ID_ALREADY_IN_USE, CLICK_CONVERSION_ALREADY_EXISTS"),
        "dedup.key": Source(
            _CLIENT,
            _BUILT,
            Confidence.HIGH,
            "conversion action and order id; inside one request all copies are refused (DUPLICATE_ORDER_ID)",
        ),
        "dedup.window": Source(_CLIENT, _BUILT, Confidence.ASSUMED, "no end is published"),
        "dedup.same_channel": Source(_CLIENT, _BUILT, Confidence.HIGH, "ORDER_ID_ALREADY_IN_USE"),
        "dedup.keep": Source(_CLIENT, _BUILT, Confidence.HIGH, "later ones are refused and change nothing"),
        "dedup.instead": Source(_CLIENT, _BUILT, Confidence.HIGH, "CLICK_CONVERSION_ALREADY_EXISTS"),
        "dedup.channels": Source(
            f"{_DOCS}/docs/conversions/upload-clicks",
            _READ,
            Confidence.HIGH,
            "tag and upload report to different conversion actions, which are independent",
        ),
    },
)
