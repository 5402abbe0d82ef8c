"""Meta's rules, each with its source.

Read from stored copies of the official pages; nothing here was tried against the live API.
"""

from __future__ import annotations

from datetime import date, timedelta
from types import MappingProxyType

from capi_lab.identity.rules import KEY_RULES
from capi_lab.platforms.meta.codes import CODES
from capi_lab.platforms.meta.pixel import PIXEL
from capi_lab.platforms.meta.sending import CORRECTIONS, READING, SENDING, SENDING_SOURCES
from capi_lab.platforms.meta.server import SERVER
from capi_lab.platforms.needs import (
    NOT_DENIED,
    WEB,
    Condition,
    Currency,
    EventIs,
    FreshClick,
    Has,
    Is,
    Need,
    Not,
    Past,
    Recent,
    Url,
    Usable,
    ValueWithin,
    Whole,
    all_of,
    any_of,
)
from capi_lab.platforms.route import Auth, AuthStyle, BadRow, FieldRule, Limits, Route, Setting, TimeFormat
from capi_lab.platforms.rules import (
    Assumption,
    AttributionWindow,
    BrowserPreference,
    ClickIdRule,
    ConsentRule,
    Dated,
    DedupRule,
    FallbackRule,
    ReportRule,
    Wrapped,
)
from capi_lab.platforms.spec import PlatformSpec, match_keys
from capi_lab.sources import Confidence, Source
from capi_lab.words import Channel, Ineligible

__all__ = ["ACTION_SOURCES", "OWN_IDS", "SPEC", "TOO_BROAD"]

_DOCS = "https://developers.facebook.com/documentation/ads-commerce/conversions-api"
_READ = date(2026, 9, 12)

_DEDUP_PAGE = f"{_DOCS}/deduplicate-pixel-and-server-events"
_EVENT_PAGE = f"{_DOCS}/parameters/server-event"

ACTION_SOURCES = MappingProxyType(
    {
        "web": "website",
        "app": "app",
        "store": "physical_store",
        "phone": "phone_call",
        "email": "email",
        "chat": "chat",
        "other": "other",
    }
)
"""Our ``action_source`` to Meta's."""

TOO_BROAD = (
    frozenset({"city", "country", "region", "postal_code", "gender", "user_agent"}),
    frozenset({"date_of_birth", "user_agent"}),
    frozenset({"first_name", "gender"}),
    frozenset({"last_name", "gender"}),
)
"""An event whose identifiers are only a subset of one of these is refused."""

OWN_IDS = ("fbc", "fbp")
"""Click and browser id: identifiers of the platform's own."""


def _some(*ids: str, beside: frozenset[str] = frozenset()) -> Condition:
    """Ask for one of these ids or of the match keys, other than those of ``beside``."""
    keys = (Usable(key) for key in KEY_RULES["meta"] if key not in beside)
    return any_of(*keys, *(Has(one) for one in ids))


def _narrow(*ids: str) -> Condition:
    """Ask for identifiers that not many people share."""
    return all_of(*(_some(*ids, beside=group) for group in TOO_BROAD))


_NEEDS = (
    Need("M01", Ineligible.TOO_OLD, Recent(), "older than 7 days (62 for a store): the whole request would be refused"),
    Need("M02", Ineligible.FUTURE_TIME, Past(), "in the future by more than 60 s"),
    Need("M03", Ineligible.NO_MATCH_KEY, _some(*OWN_IDS), "no usable match key"),
    Need(
        "M04",
        Ineligible.TOO_BROAD,
        any_of(Not(_some(*OWN_IDS)), _narrow(*OWN_IDS)),
        "identifiers are too broad: city, country, gender and the like only",
    ),
    Need(
        "M05",
        Ineligible.MISSING_FIELD,
        any_of(Not(WEB), all_of(Url("page_url"), Usable("user_agent"))),
        "website needs an absolute page_url and a user_agent",
    ),
    Need(
        "M06",
        Ineligible.MISSING_FIELD,
        any_of(Not(EventIs(frozenset({"Purchase"}))), all_of(Has("value"), Has("currency"))),
        "Purchase needs value and currency",
    ),
    Need("M07", Ineligible.BAD_FIELD, Currency(), "currency is no ISO-4217 code"),
    Need("M08", Ineligible.BAD_FIELD, ValueWithin(0), "value is infinite or negative"),
    Need(
        "M09",
        Ineligible.MALFORMED_ID,
        any_of(Not(Has("fbc")), Whole("fbc")),
        "fbc is malformed: the whole request would be refused",
    ),
    Need(
        "M10",
        Ineligible.WRONG_SOURCE,
        Not(Is("action_source", frozenset({"app"}))),
        "app events need app_data, which conversions do not hold",
    ),
    Need("M11", Ineligible.CONSENT_DENIED, NOT_DENIED, "consent is denied"),
    Need("M12", Ineligible.WRONG_SOURCE, Has("action_source"), "action_source is missing and will not be guessed"),
    Need(
        "M13",
        Ineligible.CLICK_TOO_OLD,
        any_of(FreshClick(), Not(Has("fbc")), all_of(_some("fbp"), _narrow("fbp"))),
        "only a click older than 90 days could be matched",
    ),
)

_CAPI = Route(
    name="capi",
    title="Conversions API",
    method="POST",
    url="https://graph.facebook.com/{version}/{dataset_id}/events",
    auth=Auth(
        AuthStyle.BODY,
        "access_token",
        ("META_ACCESS_TOKEN",),
        "system-user token, or one generated in Events Manager",
    ),
    settings=(
        Setting("dataset_id", "dataset or pixel the events belong to", r"\d{5,20}", account=True),
        Setting("version", "Graph API version", r"v\d{2,3}\.\d", default="v26.0"),
        Setting(
            "test_event_code",
            "shows events under Test Events; they still count, so never in production",
            r"[A-Z0-9]{4,20}",
            required=False,
            trial=True,
        ),
    ),
    limits=Limits(
        batch_rows=1000,
        max_age=timedelta(days=7),
        max_age_of=MappingProxyType({"store": timedelta(days=62)}),
        future=timedelta(seconds=60),
        click_max_age=timedelta(days=90),
        fresh=timedelta(hours=2),
    ),
    needs=_NEEDS,
    time=TimeFormat.SECONDS,
    fields=(
        FieldRule("data[].event_name", "text", "yes", "event_name", "standard or custom; case matters for dedup"),
        FieldRule("data[].event_time", "epoch seconds", "yes", "event_time"),
        FieldRule("data[].event_id", "text", "for dedup", "event_id"),
        FieldRule("data[].action_source", "one of nine words", "yes", "action_source"),
        FieldRule("data[].event_source_url", "URL", "website", "page_url"),
        FieldRule("data[].referrer_url", "URL", "no", "referrer_url"),
        FieldRule("data[].user_data.em", "list of SHA-256 hex", "a match key", "email"),
        FieldRule("data[].user_data.ph", "list of SHA-256 hex", "a match key", "phone"),
        FieldRule("data[].user_data.fn", "list of SHA-256 hex", "a match key", "first_name"),
        FieldRule("data[].user_data.ln", "list of SHA-256 hex", "a match key", "last_name"),
        FieldRule("data[].user_data.ge", "list of SHA-256 hex", "a match key", "gender"),
        FieldRule("data[].user_data.db", "list of SHA-256 hex", "a match key", "date_of_birth"),
        FieldRule("data[].user_data.ct", "list of SHA-256 hex", "a match key", "city"),
        FieldRule("data[].user_data.st", "list of SHA-256 hex", "a match key", "region"),
        FieldRule("data[].user_data.zp", "list of SHA-256 hex", "a match key", "postal_code"),
        FieldRule("data[].user_data.country", "list of SHA-256 hex", "a match key", "country"),
        FieldRule("data[].user_data.external_id", "list of SHA-256 hex", "a match key", "external_id"),
        FieldRule("data[].user_data.client_ip_address", "address", "a match key", "client_ip"),
        FieldRule("data[].user_data.client_user_agent", "text", "website", "user_agent"),
        FieldRule("data[].user_data.fbc", "text", "a match key", "fbc", "byte for byte"),
        FieldRule("data[].user_data.fbp", "text", "a match key", "fbp", "byte for byte"),
        FieldRule("data[].custom_data.value", "number", "Purchase", "value"),
        FieldRule("data[].custom_data.currency", "ISO 4217", "Purchase", "currency"),
        FieldRule("data[].custom_data.order_id", "text", "no", "conversion_id"),
        FieldRule("data[].custom_data.content_type", "product", "with contents", None),
        FieldRule("data[].custom_data.contents[].id", "text", "with contents", "items"),
        FieldRule("data[].custom_data.contents[].quantity", "integer", "no", "items"),
        FieldRule("data[].custom_data.contents[].item_price", "number", "no", "items"),
        FieldRule("test_event_code", "text", "no", None, "setting"),
        FieldRule("access_token", "text", "yes", None, "added when sent"),
    ),
    codes=CODES,
    bad_row=BadRow.SINKS_BATCH,
    resend=Assumption(
        value=False,
        question="Do two server events with the same event id count once? Only a browser and server pair is described.",
    ),
    dedup=DedupRule(
        key=("event_name", "event_id"),
        window=timedelta(hours=48),
        same_channel=Assumption(
            value=False,
            question="Do two browser events, or two server events, with the same event id merge as well?",
        ),
        prefer=BrowserPreference(channel=Channel.PIXEL, within=timedelta(minutes=5)),
        fallback=FallbackRule(keys=("external_id", "fbp"), first=Channel.PIXEL),
    ),
    server=SERVER,
    hosts=("graph.facebook.com",),
    sending=SENDING,
    reading=READING,
    corrections=CORRECTIONS,
    sources={
        **SENDING_SOURCES,
        "url": Source(f"{_DOCS}/using-the-api", _READ, Confidence.HIGH),
        "settings.version": Source(
            "https://github.com/facebook/facebook-python-business-sdk",
            date(2026, 11, 4),
            Confidence.HIGH,
            "SDK 26.0.3 pins v26.0; the pages copied in September still print v25.0",
        ),
        "auth": Source(
            f"{_DOCS}/using-the-api",
            _READ,
            Confidence.HIGH,
            "documented as query parameter and form field; we use the body, which is in no URL log",
        ),
        "limits": Source(
            f"{_DOCS}/using-the-api", _READ, Confidence.HIGH, "1,000 events, 7 days, 62 for physical_store"
        ),
        "limits.fresh": Source(
            f"{_DOCS}/using-the-api", _READ, Confidence.HIGH, "ideally within an hour; after two, delivery suffers"
        ),
        "limits.future": Source(
            f"{_DOCS}/using-the-api",
            _READ,
            Confidence.ASSUMED,
            "no tolerance is documented; 60 s is ours, for clocks that run ahead",
        ),
        "needs": Source(
            _EVENT_PAGE,
            _READ,
            Confidence.HIGH,
            "and what limits, fields, consent, click_ids and too_broad are read from",
        ),
        "needs.M13": Source(
            f"{_DOCS}/parameters/fbp-and-fbc",
            _READ,
            Confidence.ASSUMED,
            "it would be taken; that nothing can be matched follows from the 90 days",
        ),
        "fields": Source(_EVENT_PAGE, _READ, Confidence.HIGH, "and customer-information-parameters, custom-data"),
        "codes": Source(
            "https://developers.facebook.com/docs/marketing-api/error-reference",
            _READ,
            Confidence.MEDIUM,
            "throttling codes high, the rest through a sender's recorded replies",
        ),
        "bad_row": Source(f"{_DOCS}/using-the-api", _READ, Confidence.HIGH, "one bad event rejects the whole request"),
        "server": Source(
            "https://github.com/rudderlabs/rudder-transformer",
            _READ,
            Confidence.MEDIUM,
            "a sender's recorded replies; which HTTP status a code comes with is not reliable; unknown keys: a user's "
            "report; that a future time and a version off the list get code 100 is assumed",
        ),
        "server.other_fields": Source(
            "https://github.com/facebook/facebook-python-business-sdk", date(2026, 11, 4), Confidence.HIGH
        ),
        "resend": Source(_DEDUP_PAGE, _READ, Confidence.ASSUMED, "server and server is not described"),
        "dedup.key": Source(_DEDUP_PAGE, _READ, Confidence.HIGH),
        "dedup.window": Source(
            _DEDUP_PAGE,
            _READ,
            Confidence.HIGH,
            "48 h from receipt of the first event with that id, not from event_time",
        ),
        "dedup.same_channel": Source(
            _DEDUP_PAGE, _READ, Confidence.ASSUMED, "the page describes a browser and server pair only"
        ),
        "dedup.keep": Source(_DEDUP_PAGE, _READ, Confidence.HIGH, "the first; later ones are discarded"),
        "dedup.prefer": Source(_EVENT_PAGE, _READ, Confidence.HIGH, "within 5 minutes the browser event is favoured"),
        "dedup.fallback": Source(
            _DEDUP_PAGE,
            _READ,
            Confidence.HIGH,
            "event name with fbp and/or external_id; browser first, then server; external_id wins over fbp",
        ),
    },
)

SPEC = PlatformSpec(
    name="meta",
    title="Meta",
    event_names={
        "add_payment_info": "AddPaymentInfo",
        "add_to_cart": "AddToCart",
        "add_to_wishlist": "AddToWishlist",
        "begin_checkout": "InitiateCheckout",
        "contact": "Contact",
        "customize_product": "CustomizeProduct",
        "donate": "Donate",
        "find_location": "FindLocation",
        "lead": "Lead",
        "page_view": "PageView",
        "purchase": "Purchase",
        "schedule": "Schedule",
        "search": "Search",
        "sign_up": "CompleteRegistration",
        "start_trial": "StartTrial",
        "submit_application": "SubmitApplication",
        "subscribe": "Subscribe",
        "view_item": "ViewContent",
    },
    match_keys=match_keys(
        "meta",
        {
            "email": "em",
            "phone": "ph",
            "first_name": "fn",
            "last_name": "ln",
            "gender": "ge",
            "date_of_birth": "db",
            "city": "ct",
            "region": "st",
            "postal_code": "zp",
            "country": "country",
            "external_id": "external_id",
            "client_ip": "client_ip_address",
            "user_agent": "client_user_agent",
        },
    ),
    click_ids=(
        ClickIdRule(
            "fbc",
            cookie="_fbc",
            life=timedelta(days=90),
            pattern=r"fb\.\d+\.\d{10,}\.[^.]+(\.[A-Za-z0-9_-]{2}|\.[A-Za-z0-9_-]{8})?",
            strict=True,
            wraps=Wrapped("fbclid", "^fb[.][0-9]+[.][0-9]+[.]([^.]+)", made="fb.1.{milliseconds}.{id}"),
        ),
        ClickIdRule(
            "fbp",
            cookie="_fbp",
            life=timedelta(days=90),
            pattern=r"fb\.\d+\.\d{10,}\.\d+(\.[A-Za-z0-9_-]{2}|\.[A-Za-z0-9_-]{8})?",
            is_click=False,
        ),
    ),
    consent=ConsentRule(missing="nothing: no consent field; data_processing_options limits use for US states"),
    windows=(
        AttributionWindow("click", timedelta(days=7), (timedelta(days=1),), "28 days as a comparison is disputed"),
        AttributionWindow("view", timedelta(days=1)),
        AttributionWindow("engagement", timedelta(days=1), (), "engage-through, since March 2026"),
    ),
    reports=ReportRule(
        MappingProxyType({"received": Dated.RECEIPT, "attributed": Dated.CLICK}),
        by_click_id=("received",),
        models=Assumption(value=True, question="Do Meta's results hold modelled conversions?"),
    ),
    routes=(_CAPI,),
    pixel=PIXEL,
    sources={
        "event_names": Source(
            "https://developers.facebook.com/docs/meta-pixel/reference",
            _READ,
            Confidence.MEDIUM,
            "standard events, through a published schema that matches the page",
        ),
        "match_keys": Source(f"{_DOCS}/parameters/customer-information-parameters", _READ, Confidence.HIGH),
        "click_ids": Source(
            f"{_DOCS}/parameters/fbp-and-fbc",
            _READ,
            Confidence.HIGH,
            "90 days; four or five segments; a malformed fbc fails the request (medium)",
        ),
        "click_ids.made": Source(
            f"{_DOCS}/parameters/fbp-and-fbc",
            date(2026, 9, 12),
            Confidence.HIGH,
            "fb.subdomainIndex.creationTime.fbclid; creation is when the fbclid was first observed, in milliseconds",
        ),
        "consent": Source(_EVENT_PAGE, _READ, Confidence.HIGH),
        "windows": Source(
            "https://developers.facebook.com/docs/marketing-api/reference/ads-insights",
            date(2026, 11, 20),
            Confidence.MEDIUM,
            "7-day and 28-day view left on 2026-01-12",
        ),
        "windows.end_inside": Source(
            "https://developers.facebook.com/docs/marketing-api/reference/ads-insights",
            date(2026, 11, 20),
            Confidence.ASSUMED,
            "not said: assumed inside",
        ),
        "reports": Source(
            "https://developers.facebook.com/docs/marketing-api/reference/ads-insights",
            date(2026, 11, 20),
            Confidence.ASSUMED,
            "dataset quality tells events and the share with fbc, insights attributed ones; that these stand on the "
            "day of the click, and modelling, are ours",
        ),
        "too_broad": Source(f"{_DOCS}/best-practices", _READ, Confidence.HIGH, "since v13"),
        "action_sources": Source(_EVENT_PAGE, _READ, Confidence.HIGH),
    },
)
