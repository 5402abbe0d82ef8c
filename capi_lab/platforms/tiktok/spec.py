"""TikTok's rules, each with its source.

The developer portal is a script-rendered site: only the endpoint's own page was read as full text, the others
through those who quote them. Nothing here was tried against the live API.
"""

from __future__ import annotations

from datetime import date, timedelta
from types import MappingProxyType

from capi_lab.identity.rules import KEY_RULES
from capi_lab.platforms.needs import (
    NOT_DENIED,
    Chosen,
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
    FallbackRule,
    MergeRule,
    ReportRule,
)
from capi_lab.platforms.spec import PlatformSpec, match_keys
from capi_lab.platforms.tiktok.codes import CODES
from capi_lab.platforms.tiktok.pixel import PIXEL
from capi_lab.platforms.tiktok.sending import CORRECTIONS, READING, SENDING, SENDING_SOURCES
from capi_lab.platforms.tiktok.server import SERVER
from capi_lab.sources import Confidence, Source
from capi_lab.words import Channel, Ineligible

__all__ = ["ACTION_SOURCES", "CURRENCIES", "LISTS", "OFFLINE_KEYS", "OWN_IDS", "SPEC"]

_READ = date(2026, 11, 23)
_PORTAL = "https://business-api.tiktok.com/portal/docs"
_HELP = "https://ads.tiktok.com/help/article"
_ENDPOINT = f"{_PORTAL}?id=1771101303285761"
_PARAMETERS = f"{_PORTAL}?id=1771101151059969"
_DEDUP_DOC = f"{_PORTAL}?id=1771100965992450"
_DEDUP_HELP = f"{_HELP}/event-deduplication"
_SDK = "https://github.com/tiktok/tiktok-business-api-sdk"
_TAG = "https://github.com/tiktok/gtm-template-eapi"

ACTION_SOURCES = MappingProxyType(
    {"web": frozenset({"web"}), "offline": frozenset({"store", "phone", "email", "chat", "other"})}
)
"""TikTok's ``event_source`` to those of our ``action_source`` that belong under it; app events fit neither."""

LISTS = frozenset({"email", "phone"})
"""Match keys that go as lists, since a person may have several."""

OFFLINE_KEYS = LISTS
"""The only match keys an offline event may carry."""

CURRENCIES = frozenset(
    """
    AED ARS AUD BDT BHD BIF BOB BRL CAD CHF CLP CNY COP CRC CZK DKK DZD EGP EUR GBP GTQ HKD HNL HUF IDR ILS INR ISK
    JPY KES KHR KRW KWD KZT MAD MOP MXN MYR NGN NIO NOK NZD OMR PEN PHP PKR PLN PYG QAR RON RUB SAR SEK SGD THB TRY
    TWD UAH USD VES VND ZAR
    """.split()  # noqa: SIM905 - a list of words reads better so
)
"""Currencies on the endpoint's page; others are reported, not refused."""

OWN_IDS = ("ttclid", "ttp")
"""Click and browser id: identifiers of the platform's own."""

_OFFLINE_AGE = timedelta(days=28)

_EVENT_NAMES = MappingProxyType(
    {
        "add_payment_info": "AddPaymentInfo",
        "add_to_cart": "AddToCart",
        "add_to_wishlist": "AddToWishlist",
        "application_approval": "ApplicationApproval",
        "begin_checkout": "InitiateCheckout",
        "contact": "Contact",
        "customize_product": "CustomizeProduct",
        "download": "Download",
        "find_location": "FindLocation",
        "lead": "Lead",
        "purchase": "Purchase",
        "schedule": "Schedule",
        "search": "Search",
        "sign_up": "CompleteRegistration",
        "start_trial": "StartTrial",
        "submit_application": "SubmitApplication",
        "subscribe": "Subscribe",
        "view_item": "ViewContent",
    }
)

_WEB, _OFFLINE = Chosen("event_source", "web"), Chosen("event_source", "offline")
_WEB_KEYS = tuple(Usable(key) for key in KEY_RULES["tiktok"])
_NEEDS = (
    Need("T01", Ineligible.TOO_OLD, Recent(), "older than 7 days (28 for offline events)"),
    Need("T02", Ineligible.FUTURE_TIME, Past(), "in the future by more than 60 s"),
    Need(
        "T03",
        Ineligible.NO_MATCH_KEY,
        any_of(_OFFLINE, *_WEB_KEYS, *(Has(one) for one in OWN_IDS)),
        "neither a usable match key nor ttclid or ttp",
    ),
    Need(
        "T03",
        Ineligible.NO_MATCH_KEY,
        any_of(_WEB, *(Usable(key) for key in sorted(OFFLINE_KEYS))),
        "offline needs a usable email or phone",
    ),
    Need("T04", Ineligible.MISSING_FIELD, any_of(_OFFLINE, Url("page_url")), "web needs an absolute page_url"),
    Need(
        "T05",
        Ineligible.WRONG_SOURCE,
        any_of(
            *(all_of(Chosen("event_source", one), Is("action_source", ACTION_SOURCES[one])) for one in ACTION_SOURCES)
        ),
        "action_source is missing or does not fit the event_source",
    ),
    Need("T06", Ineligible.BAD_FIELD, Currency(), "currency is no ISO-4217 code"),
    Need("T07", Ineligible.BAD_FIELD, ValueWithin(0), "value is infinite or negative"),
    Need("T08", Ineligible.CONSENT_DENIED, NOT_DENIED, "consent is denied"),
    Need(
        "T09",
        Ineligible.WRONG_EVENT,
        any_of(_WEB, EventIs(frozenset(_EVENT_NAMES.values()))),
        "offline takes TikTok's standard events only",
    ),
    Need(
        "T10",
        Ineligible.CLICK_TOO_OLD,
        any_of(_OFFLINE, FreshClick(), Not(Has("ttclid")), *_WEB_KEYS, Has("ttp")),
        "only a click older than 28 days could be matched",
    ),
)

_EVENTS_API = Route(
    name="events_api",
    title="Events API 2.0",
    method="POST",
    url="https://business-api.tiktok.com/open_api/v1.3/event/track/",
    auth=Auth(
        AuthStyle.HEADER,
        "Access-Token",
        ("TIKTOK_ACCESS_TOKEN",),
        "made in Events Manager, or a developer app's with Measurement > Report Conversion Event",
    ),
    settings=(
        Setting(
            "event_source_id",
            "pixel code (web) or Offline Event Set ID (offline)",
            r"[A-Za-z0-9_\-]{4,64}",
            account=True,
        ),
        Setting(
            "event_source",
            "where all events of a request happened; app and crm events need ids that conversions do not hold",
            r"web|offline",
            default="web",
        ),
        Setting(
            "test_event_code",
            "shows events under Test Events only",
            r"[A-Za-z0-9_\-]{4,40}",
            required=False,
            counts=False,
            trial=True,
        ),
    ),
    limits=Limits(
        batch_rows=1000,
        max_age=timedelta(days=7),
        max_age_of=MappingProxyType(dict.fromkeys(sorted(ACTION_SOURCES["offline"]), _OFFLINE_AGE)),
        future=timedelta(seconds=60),
        click_max_age=timedelta(days=28),
        fresh=timedelta(hours=1),
    ),
    needs=_NEEDS,
    time=TimeFormat.SECONDS,
    fields=(
        FieldRule("event_source", "web or offline", "yes", None, "setting"),
        FieldRule("event_source_id", "text", "yes", None, "setting"),
        FieldRule("test_event_code", "text", "no", None, "setting"),
        FieldRule("data[].event", "text", "yes", "event_name", "offline: standard names only"),
        FieldRule("data[].event_time", "epoch seconds", "yes", "event_time"),
        FieldRule("data[].event_id", "text", "for dedup", "event_id", "never a number"),
        FieldRule("data[].user.email", "list of SHA-256 hex", "offline: or phone", "email"),
        FieldRule("data[].user.phone", "list of SHA-256 hex", "offline: or email", "phone", "hashed with its +"),
        FieldRule("data[].user.external_id", "SHA-256 hex", "no", "external_id", "web"),
        FieldRule("data[].user.first_name", "SHA-256 hex", "no", "first_name", "web"),
        FieldRule("data[].user.last_name", "SHA-256 hex", "no", "last_name", "web"),
        FieldRule("data[].user.zip_code", "SHA-256 hex", "no", "postal_code", "web"),
        FieldRule("data[].user.city", "text", "no", "city", "web; clear"),
        FieldRule("data[].user.state", "text", "no", "region", "web; clear"),
        FieldRule("data[].user.country", "ISO 3166-1 alpha-2", "no", "country", "web; clear, lower case"),
        FieldRule("data[].user.ip", "address", "no", "client_ip", "web"),
        FieldRule("data[].user.user_agent", "text", "no", "user_agent", "web; byte for byte"),
        FieldRule("data[].user.ttclid", "text", "no", "ttclid", "web; byte for byte, of any length"),
        FieldRule("data[].user.ttp", "text", "no", "ttp", "web; byte for byte"),
        FieldRule("data[].page.url", "URL", "web", "page_url", "whole, with its query"),
        FieldRule("data[].page.referrer", "URL", "no", "referrer_url", "web"),
        FieldRule("data[].properties.value", "number", "for value reports", "value", "0 is a value"),
        FieldRule("data[].properties.currency", "ISO 4217", "with value", "currency"),
        FieldRule("data[].properties.order_id", "text", "no", "conversion_id"),
        FieldRule("data[].properties.content_type", "product", "with contents", None),
        FieldRule("data[].properties.contents[].content_id", "text", "with contents", "items", "never a number"),
        FieldRule("data[].properties.contents[].content_name", "text", "no", "items"),
        FieldRule("data[].properties.contents[].quantity", "integer", "no", "items"),
        FieldRule("data[].properties.contents[].price", "number", "no", "items", "of one piece"),
    ),
    codes=CODES,
    bad_row=BadRow.SINKS_BATCH,
    resend=True,
    dedup=DedupRule(
        key=("event_name", "event_id"),
        window=timedelta(hours=48),
        same_channel=True,
        merge=MergeRule(
            within=timedelta(minutes=5),
            fill=(
                "email",
                "phone",
                "external_id",
                "first_name",
                "last_name",
                "city",
                "region",
                "postal_code",
                "country",
                "client_ip",
                "user_agent",
                "ttclid",
                "ttp",
                "value",
                "currency",
            ),
        ),
        fallback=FallbackRule(keys=("ttp",), first=Channel.PIXEL, window=timedelta(minutes=5), needs_no_id=True),
    ),
    server=SERVER,
    hosts=("business-api.tiktok.com",),
    sending=SENDING,
    reading=READING,
    corrections=CORRECTIONS,
    sources={
        **SENDING_SOURCES,
        "url": Source(_ENDPOINT, _READ, Confidence.HIGH, "Events API 2.0 lives under path version v1.3"),
        "auth": Source(_ENDPOINT, _READ, Confidence.HIGH, "a header of its own, neither Bearer nor query"),
        "settings.event_source_id": Source(
            _ENDPOINT, _READ, Confidence.ASSUMED, "which id is documented, its form is not: the pattern is ours"
        ),
        "limits": Source(_ENDPOINT, _READ, Confidence.HIGH, "1 to 1,000 events; more and the whole request fails"),
        "limits.max_age": Source(
            _ENDPOINT, _READ, Confidence.ASSUMED, "no age limit is documented for the web; 7 days are ours"
        ),
        "limits.max_age_of": Source(
            "https://docs.amperity.com/operator/events_tiktok_ads.html",
            _READ,
            Confidence.MEDIUM,
            "a partner's page citing TikTok: 28 days; it says so of web events too, where we stay careful",
        ),
        "limits.fresh": Source(_ENDPOINT, _READ, Confidence.ASSUMED, "real time is recommended; the hour is ours"),
        "limits.future": Source(
            _ENDPOINT, _READ, Confidence.ASSUMED, "no tolerance is documented; 60 s is ours, for clocks that run ahead"
        ),
        "limits.click_max_age": Source(
            f"{_HELP}/tiktok-click-id",
            _READ,
            Confidence.MEDIUM,
            "valid for the click window set in Attribution Manager; the longest is 28 days",
        ),
        "needs": Source(
            _ENDPOINT,
            _READ,
            Confidence.HIGH,
            "and what limits, fields, consent and action_sources are read from; offline keys and events: as fields",
        ),
        "needs.T10": Source(
            f"{_HELP}/tiktok-click-id",
            _READ,
            Confidence.ASSUMED,
            "it would be taken; that nothing can be matched follows from the 28 days",
        ),
        "fields": Source(
            _ENDPOINT,
            _READ,
            Confidence.HIGH,
            f"names and address are not on it but on Parameters ({_PARAMETERS}), read through partners; offline takes "
            f"email or phone only ({_HELP}/about-events-api-for-offline)",
        ),
        "codes": Source(
            f"{_SDK}/blob/main/python_sdk/business_api_client/tiktok_business/tiktok_code.py",
            date(2026, 2, 27),
            Confidence.HIGH,
            "meanings; which to retry, and after how long, is ours. No Retry-After is documented",
        ),
        "bad_row": Source(
            "https://hightouch.com/docs/destinations/tiktok",
            _READ,
            Confidence.MEDIUM,
            "the batch fails, the message names the first bad index",
        ),
        "server": Source(
            _ENDPOINT,
            _READ,
            Confidence.MEDIUM,
            "refusals with HTTP 200: through senders' recorded replies; that a stale or future time gets 40002 is "
            "assumed, as is that unknown fields are ignored",
        ),
        "resend": Source(_DEDUP_HELP, _READ, Confidence.HIGH, "two server events with one id count once for 48 h"),
        "dedup.key": Source(_ENDPOINT, _READ, Confidence.HIGH, "and event_source_id, which is one per request"),
        "dedup.window": Source(_DEDUP_HELP, _READ, Confidence.HIGH, "48 h from the first event; page of May 2025"),
        "dedup.same_channel": Source(
            _DEDUP_HELP, _READ, Confidence.HIGH, "pixel and pixel, and server and server, are both described"
        ),
        "dedup.keep": Source(_DEDUP_HELP, _READ, Confidence.HIGH, "the first received, in either direction"),
        "dedup.merge": Source(
            _DEDUP_DOC,
            date(2026, 9, 14),
            Confidence.MEDIUM,
            "across channels within 5 minutes the first is filled up from the later one; the help page can be read as "
            "if dedup began after 5 minutes, its older table and this page say otherwise. Which fields is ours: what "
            "TikTok takes",
        ),
        "dedup.fallback": Source(
            _DEDUP_DOC,
            date(2026, 9, 14),
            Confidence.MEDIUM,
            "a server event without event_id, by _ttp for 5 minutes; needs first-party cookies; help pages until May "
            "2024 mention it",
        ),
    },
)

SPEC = PlatformSpec(
    name="tiktok",
    title="TikTok",
    event_names=_EVENT_NAMES,
    aliases={"CompletePayment": "purchase", "SubmitForm": "lead"},
    match_keys=match_keys(
        "tiktok",
        {
            "email": "email",
            "phone": "phone",
            "external_id": "external_id",
            "first_name": "first_name",
            "last_name": "last_name",
            "city": "city",
            "region": "state",
            "postal_code": "zip_code",
            "country": "country",
            "client_ip": "ip",
            "user_agent": "user_agent",
        },
    ),
    click_ids=(
        ClickIdRule("ttclid", cookie="ttclid", life=timedelta(days=30)),
        ClickIdRule("ttp", cookie="_ttp", life=timedelta(days=395), is_click=False),
    ),
    consent=ConsentRule(missing="nothing: no consent field; limited_data_use limits use for US states"),
    windows=(
        AttributionWindow(
            "click", timedelta(days=7), (timedelta(days=1), timedelta(days=14), timedelta(days=28)), "or off"
        ),
        AttributionWindow("view", timedelta(days=1), (timedelta(days=7),), "or off"),
        AttributionWindow("engagement", timedelta(days=1), (timedelta(days=7),), "6 seconds watched; default assumed"),
    ),
    reports=ReportRule(
        MappingProxyType({"received": Dated.RECEIPT, "attributed": Dated.CLICK}),
        models=Assumption(value=True, question="Do TikTok's reports hold modelled conversions?"),
    ),
    routes=(_EVENTS_API,),
    pixel=PIXEL,
    sources={
        "event_names": Source(f"{_HELP}/supported-standard-events", date(2025, 9, 1), Confidence.HIGH),
        "aliases": Source(
            f"{_HELP}/supported-standard-events",
            date(2025, 9, 1),
            Confidence.HIGH,
            "renamed in May 2025; whether old and new names deduplicate against each other is not known",
        ),
        "match_keys": Source(_ENDPOINT, _READ, Confidence.HIGH, "and Parameters for names and address (medium)"),
        "click_ids": Source(
            _TAG,
            date(2024, 5, 30),
            Confidence.HIGH,
            f"ttclid 30 days in TikTok's own tag; _ttp 13 months ({_HELP}/using-cookies-with-tiktok-pixel)",
        ),
        "consent": Source(_ENDPOINT, _READ, Confidence.HIGH),
        "windows": Source(
            _DEDUP_DOC,
            date(2026, 9, 14),
            Confidence.MEDIUM,
            "through a handbook quoting /adgroup/create/; fixed once the ad group is made",
        ),
        "windows.end_inside": Source(_DEDUP_DOC, date(2026, 9, 14), Confidence.ASSUMED, "not said: assumed inside"),
        "reports": Source(
            "https://business-api.tiktok.com/portal/docs",
            _READ,
            Confidence.ASSUMED,
            "pixel/event/stats counts events; the day of attributed ones and modelling are ours",
        ),
        "currencies": Source(_ENDPOINT, _READ, Confidence.HIGH),
        "action_sources": Source(
            _ENDPOINT, _READ, Confidence.ASSUMED, "four event sources are documented; which of our words fit is ours"
        ),
    },
)
