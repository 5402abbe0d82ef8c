"""LinkedIn's rules, each with its source.

Read from stored copies of the official pages, its Postman collection and its Python client; what the pages do not
say was measured by others and written up. Nothing here was tried against the live API.
"""

from __future__ import annotations

from datetime import date, timedelta
from types import MappingProxyType

from capi_lab.platforms.linkedin.codes import CODES
from capi_lab.platforms.linkedin.pixel import PIXEL
from capi_lab.platforms.linkedin.sending import CORRECTIONS, READING, SENDING, SENDING_SOURCES, TOKEN
from capi_lab.platforms.linkedin.server import SERVER
from capi_lab.platforms.needs import (
    NOT_DENIED,
    ChosenSince,
    Currency,
    Has,
    Impersonal,
    Need,
    Past,
    Recent,
    Usable,
    ValueWithin,
    all_of,
    any_of,
)
from capi_lab.platforms.route import Auth, AuthStyle, BadRow, FieldRule, Limits, Route, Setting, TimeFormat
from capi_lab.platforms.rules import (
    Assumption,
    AttributionWindow,
    ClickIdRule,
    ConsentRule,
    Dated,
    DedupRule,
    Keep,
    ReportRule,
)
from capi_lab.platforms.spec import PlatformSpec, match_keys
from capi_lab.sources import Confidence, Source
from capi_lab.words import Ineligible

__all__ = ["HASHED_NAMES_SINCE", "ID_TYPES", "SPEC", "VERSION_MONTHS"]

_SHEET = date(2026, 11, 23)
_DOCS = "https://learn.microsoft.com/en-us/linkedin/marketing"
_API = f"{_DOCS}/integrations/ads-reporting/conversions-api"
_SCHEMA = f"{_DOCS}/integrations/ads-reporting/conversions-api-schema?view=li-lms-2026-03"
_FAQ = f"{_DOCS}/conversions/conversions-faq"
_DEDUP = f"{_DOCS}/conversions/deduplication"
_COOKIES = f"{_DOCS}/conversions/enabling-first-party-cookies?view=li-lms-2026-03"
_POSTMAN = "https://github.com/api-evangelist/linkedin"
_TAG = "https://github.com/linkedin-developers/linkedin-capi-tag-template"

ID_TYPES = MappingProxyType(
    {
        "SHA256_EMAIL": "email",
        "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID": "li_fat_id",
        "PLAINTEXT_IP_ADDRESS": "client_ip",
    }
)
"""LinkedIn's ``idType`` to our column, in the order they are written."""

HASHED_NAMES_SINCE = "202609"
"""First version that knows hashed names; an earlier one would refuse the whole request for an unknown field."""

VERSION_MONTHS = 11
"""A version older than this many months is about to be switched off: each lives a year."""

_NEEDS = (
    Need("L01", Ineligible.TOO_OLD, Recent(), "older than 90 days: the whole request would be refused"),
    Need("L02", Ineligible.FUTURE_TIME, Past(), "in the future: the whole request would be refused"),
    Need(
        "L03",
        Ineligible.NO_MATCH_KEY,
        any_of(
            Usable("email"),
            Usable("client_ip"),
            Has("li_fat_id"),
            all_of(Usable("first_name"), Usable("last_name"), ChosenSince("version", HASHED_NAMES_SINCE)),
            Usable("external_id"),
        ),
        "no identifier LinkedIn takes (it takes no phone)",
    ),
    Need("L04", Ineligible.BAD_FIELD, Currency(), "currency is no ISO-4217 code, which LinkedIn would not notice"),
    Need("L05", Ineligible.BAD_FIELD, ValueWithin(0), "value is infinite or negative"),
    Need("L06", Ineligible.CONSENT_DENIED, NOT_DENIED, "consent is denied"),
    Need(
        "L07",
        Ineligible.PERSONAL_ID,
        Impersonal("external_id"),
        "external_id looks like an e-mail or phone, and goes in clear text",
    ),
)

_CAPI = Route(
    name="capi",
    title="Conversions API",
    method="POST",
    url="https://api.linkedin.com/rest/conversionEvents",
    auth=Auth(
        AuthStyle.BEARER,
        "Authorization",
        ("LINKEDIN_ACCESS_TOKEN",),
        "Direct API token from Signals Manager, or OAuth with rw_conversions",
        token=TOKEN,
    ),
    settings=(
        Setting(
            "conversion_id",
            "number of the conversion rule; its type is the name of every event",
            r"\d{1,19}",
            account=True,
        ),
        Setting("version", "API version, YYYYMM; each lives a year", r"\d{6}", default="202609"),
    ),
    limits=Limits(batch_rows=5000, max_age=timedelta(days=90), fresh=timedelta(days=1)),
    needs=_NEEDS,
    time=TimeFormat.MILLISECONDS,
    fields=(
        FieldRule("elements[].conversion", "URN of the rule", "yes", None, "setting conversion_id", names_event=True),
        FieldRule("elements[].conversionHappenedAt", "epoch milliseconds", "yes", "event_time"),
        FieldRule("elements[].conversionValue.currencyCode", "ISO 4217", "with amount", "currency"),
        FieldRule("elements[].conversionValue.amount", "decimal as text", "with currencyCode", "value"),
        FieldRule("elements[].eventId", "text", "for dedup", "event_id"),
        FieldRule("elements[].user.userIds", "list", "yes", None, "may be empty, must be there"),
        FieldRule("elements[].user.userIds[].idType", "one of three words", "with idValue", None),
        FieldRule(
            "elements[].user.userIds[].idValue",
            "SHA-256 hex, text or IPv4",
            "with idType",
            None,
            "email hashed; li_fat_id byte for byte; client_ip public IPv4 in clear",
        ),
        *(
            FieldRule(f"elements[].user.userIds[idType={kind}].idValue", "the same", "no", column)
            for kind, column in ID_TYPES.items()
        ),
        FieldRule("elements[].user.userInfo.hashedFirstName", "SHA-256 hex", "with last name", "first_name"),
        FieldRule("elements[].user.userInfo.hashedLastName", "SHA-256 hex", "with first name", "last_name"),
        FieldRule("elements[].user.userInfo.countryCode", "ISO 3166-1 alpha-2", "no", "country", "only beside names"),
        FieldRule("elements[].user.externalIds", "list of one text", "no", "external_id", "clear, byte for byte"),
    ),
    codes=CODES,
    bad_row=BadRow.SINKS_BATCH,
    resend=Assumption(
        value=False,
        question="Do two server events with the same eventId count once? Nothing is said of it, nor is there an "
        "idempotency header.",
    ),
    dedup=DedupRule(
        key=("event_id",),
        window=None,
        same_channel=Assumption(
            value=False,
            question="Do two tag events, or two server events, with the same event id merge? One live log saw the "
            "counters rise for an exact copy.",
        ),
        keep=Keep.PIXEL,
    ),
    server=SERVER,
    hosts=("api.linkedin.com",),
    sending=SENDING,
    reading=READING,
    corrections=CORRECTIONS,
    sources={
        **SENDING_SOURCES,
        "url": Source(_API, date(2026, 8, 25), Confidence.HIGH, "batches as in LinkedIn's own client and collection"),
        "settings.version": Source(
            f"{_DOCS}/integrations/migrations",
            _SHEET,
            Confidence.MEDIUM,
            "no default exists, each lives 12 months; 202608 is on an official page, 202609 in public code",
        ),
        "auth": Source(_API, date(2026, 8, 25), Confidence.HIGH),
        "limits": Source(_API, date(2026, 8, 25), Confidence.HIGH, "5,000 events, 90 days"),
        "limits.fresh": Source(
            "https://learn.microsoft.com/en-us/linkedin/marketing/conversions/conversions-faq",
            date(2026, 3, 1),
            Confidence.HIGH,
            "real time, within a day",
        ),
        "limits.future": Source(_API, date(2026, 8, 25), Confidence.MEDIUM, "a future time was measured to be refused"),
        "needs": Source(
            _SCHEMA,
            date(2026, 3, 1),
            Confidence.HIGH,
            "and what limits, fields and consent are read from; how old a click may be is not published",
        ),
        "fields": Source(
            _SCHEMA,
            date(2026, 3, 1),
            Confidence.HIGH,
            "hashed names are known from one public sender only (low); amount as text, userIds always there and no "
            "unknown field were measured (medium)",
        ),
        "codes": Source(
            "https://github.com/rudderlabs/rudder-transformer",
            _SHEET,
            Confidence.MEDIUM,
            "recorded replies and a public measurement log; waiting times are ours",
        ),
        "bad_row": Source(_API, date(2026, 8, 25), Confidence.MEDIUM, "three senders agree; the pages do not say it"),
        "server": Source(
            _API,
            date(2026, 8, 25),
            Confidence.MEDIUM,
            "a public measurement log and recorded replies; which status too many events get is assumed",
        ),
        "resend": Source(_DEDUP, _SHEET, Confidence.ASSUMED, "server and server is not described"),
        "dedup.key": Source(
            _DEDUP,
            _SHEET,
            Confidence.HIGH,
            "ad account and event id, not the rule: one id for a lead and a purchase makes one of them. The account "
            "is the same in all your rows",
        ),
        "dedup.window": Source(
            _DEDUP, _SHEET, Confidence.ASSUMED, "no window is published: none is assumed; 90 days is an age limit"
        ),
        "dedup.same_channel": Source(_DEDUP, _SHEET, Confidence.ASSUMED, "only tag and server is described"),
        "dedup.keep": Source(
            _DEDUP, _SHEET, Confidence.HIGH, "the tag's; value and identifiers of the server's are lost with it"
        ),
    },
)

SPEC = PlatformSpec(
    name="linkedin",
    title="LinkedIn",
    event_names={
        "add_payment_info": "ADD_BILLING_INFO",
        "add_to_cart": "ADD_TO_CART",
        "add_to_wishlist": "ADD_TO_LIST",
        "begin_checkout": "START_CHECKOUT",
        "contact": "CONTACT",
        "donate": "DONATE",
        "download": "DOWNLOAD",
        "lead": "LEAD",
        "page_view": "KEY_PAGE_VIEW",
        "purchase": "PURCHASE",
        "schedule": "SCHEDULE",
        "search": "SEARCH",
        "sign_up": "SIGN_UP",
        "start_trial": "START_TRIAL",
        "submit_application": "SUBMIT_APPLICATION",
        "subscribe": "SUBSCRIBE",
        "view_item": "VIEW_CONTENT",
    },
    match_keys=match_keys(
        "linkedin",
        {
            "email": "SHA256_EMAIL",
            "first_name": "hashedFirstName",
            "last_name": "hashedLastName",
            "country": "countryCode",
            "external_id": "externalIds",
            "client_ip": "PLAINTEXT_IP_ADDRESS",
        },
    ),
    click_ids=(ClickIdRule("li_fat_id", cookie="li_fat_id", life=timedelta(days=30)),),
    consent=ConsentRule(missing="nothing: no consent field; do not send what was not consented to"),
    windows=(
        AttributionWindow(
            "click",
            timedelta(days=30),
            (timedelta(days=1), timedelta(days=7), timedelta(days=90), timedelta(days=365)),
            "of the rule; 365 for five of its types only",
        ),
        AttributionWindow(
            "view",
            timedelta(days=7),
            (timedelta(days=1), timedelta(days=30), timedelta(days=90), timedelta(days=365)),
            "of the rule; 365 for five of its types only",
        ),
    ),
    reports=ReportRule(
        MappingProxyType({"attributed": Dated.EVENT}),
        models=Assumption(value=False, question="Do LinkedIn's reports hold modelled conversions?"),
    ),
    routes=(_CAPI,),
    pixel=PIXEL,
    sources={
        "event_names": Source(
            _SCHEMA,
            date(2026, 8, 21),
            Confidence.MEDIUM,
            "types of a rule, not names of events: an event names its rule; list through a public sender",
        ),
        "match_keys": Source(_SCHEMA, date(2026, 3, 1), Confidence.HIGH, "no phone; names since 202609 (low)"),
        "click_ids": Source(
            _COOKIES, date(2026, 3, 1), Confidence.MEDIUM, "30 days from the latest click; the form is not documented"
        ),
        "id_types": Source(_TAG, date(2026, 5, 29), Confidence.HIGH, f"plain IP addresses; collection: {_POSTMAN}"),
        "consent": Source(_SCHEMA, date(2026, 3, 1), Confidence.HIGH),
        "windows": Source(
            _SCHEMA, date(2026, 3, 1), Confidence.HIGH, f"an event may be 90 days old, its click 90 days older ({_FAQ})"
        ),
        "reports": Source(
            _API,
            date(2026, 8, 25),
            Confidence.ASSUMED,
            "adAnalytics counts attributed ones by day; no match is told; that the day is the conversion's, and that "
            "nothing is modelled, are ours",
        ),
        "windows.end_inside": Source(_SCHEMA, date(2026, 3, 1), Confidence.ASSUMED, "not said: assumed inside"),
    },
)
