"""Google's rules, each with its source: what both routes share, and the Data Manager API.

Read from stored copies of the official pages and from the official generated clients; nothing here was tried
against the live API.
"""

from __future__ import annotations

from datetime import date, timedelta
from types import MappingProxyType

from capi_lab.platforms.google.ads_spec import ADS_API
from capi_lab.platforms.google.codes import DATA_MANAGER
from capi_lab.platforms.google.needs import CONSENT_COUNTRIES, DATA_MANAGER_NEEDS
from capi_lab.platforms.google.pixel import PIXEL
from capi_lab.platforms.google.sending import CORRECTIONS, READING, SENDING, SENDING_SOURCES, TOKEN
from capi_lab.platforms.google.server import DATA_MANAGER_SERVER
from capi_lab.platforms.google.settings import (
    ACTION_ID,
    ACTION_SOURCES_PAGE,
    CLICK_ID_POLICY,
    COUNTING,
    CUSTOMER_ID,
    LOGIN_CUSTOMER_ID,
    MISSING_CONSENT,
    MISSING_CONSENT_SOURCE,
    TRANSACTION_ID,
    VALIDATE_ONLY,
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
    MatchBuckets,
    MergeRule,
    ReportRule,
)
from capi_lab.platforms.spec import PlatformSpec, match_keys
from capi_lab.sources import Confidence, Source
from capi_lab.words import Channel

__all__ = ["ACTION_SOURCES", "SPEC"]

_DOCS = "https://developers.google.com/data-manager/api"
_EVENTS = f"{_DOCS}/devguides/events/google-ads"
_CLIENT = "https://github.com/googleapis/google-cloud-python/tree/main/packages/google-ads-datamanager"
_READ = date(2026, 11, 23)
_BUILT = date(2026, 10, 1)

ACTION_SOURCES = MappingProxyType(
    {
        "web": "WEB",
        "app": "APP",
        "store": "IN_STORE",
        "phone": "PHONE",
        "email": "OTHER",
        "chat": "MESSAGE",
        "other": "OTHER",
    }
)
"""Our ``action_source`` to ``eventSource``."""

_EVENT = "events[]"
_PERSON = f"{_EVENT}.userData.userIdentifiers[]"
_TO = "destinations[]"

_DATA_MANAGER = Route(
    name="data_manager",
    title="Data Manager API",
    method="POST",
    url="https://datamanager.googleapis.com/v1/events:ingest",
    auth=Auth(
        AuthStyle.BEARER,
        "Authorization",
        ("GOOGLE_ACCESS_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"),
        "scope https://www.googleapis.com/auth/datamanager; an adwords token gets 403; API keys are not taken",
        token=TOKEN,
    ),
    settings=(
        CUSTOMER_ID,
        ACTION_ID,
        LOGIN_CUSTOMER_ID,
        Setting(
            "kind",
            "UPLOAD_CLICKS for offline clicks and leads, WEBPAGE for the server's copy of a tag's conversion",
            r"UPLOAD_CLICKS|WEBPAGE",
            default="UPLOAD_CLICKS",
        ),
        TRANSACTION_ID,
        CLICK_ID_POLICY,
        COUNTING,
        MISSING_CONSENT,
        VALIDATE_ONLY,
    ),
    limits=Limits(
        batch_rows=2000,
        max_age=timedelta(days=90),
        future=timedelta(seconds=60),
        identifiers=10,
        click_max_age=timedelta(days=90),
        click_min_age=timedelta(hours=6),
    ),
    needs=DATA_MANAGER_NEEDS,
    time=TimeFormat.RFC3339,
    fields=(
        FieldRule(f"{_TO}.operatingAccount.accountType", "GOOGLE_ADS", "yes"),
        FieldRule(f"{_TO}.operatingAccount.accountId", "10 digits as text", "yes", None, "owns the conversion action"),
        FieldRule(f"{_TO}.loginAccount.accountType", "GOOGLE_ADS", "through a manager"),
        FieldRule(f"{_TO}.loginAccount.accountId", "10 digits as text", "through a manager"),
        FieldRule(
            f"{_TO}.productDestinationId",
            "number as text",
            "yes",
            None,
            "conversion action; no resource name",
            names_event=True,
        ),
        FieldRule("encoding", "HEX", "with user data"),
        FieldRule("validateOnly", "true", "no", None, "setting"),
        FieldRule(
            f"{_EVENT}.transactionId", "text", "WEBPAGE", "conversion_id", "byte for byte the tag's; or event_id"
        ),
        FieldRule(f"{_EVENT}.eventTimestamp", "RFC 3339", "yes", "event_time"),
        FieldRule(f"{_EVENT}.eventSource", "one of six words", "yes", "action_source", "optional by schema only"),
        FieldRule(f"{_EVENT}.conversionValue", "number", "no", "value", "currency units, no micros"),
        FieldRule(f"{_EVENT}.currency", "ISO 4217", "with a value", "currency"),
        FieldRule(f"{_EVENT}.consent.adUserData", "CONSENT_GRANTED or _DENIED", "EEA, UK, CH", "consent_ad_user_data"),
        FieldRule(
            f"{_EVENT}.consent.adPersonalization",
            "CONSENT_GRANTED or _DENIED",
            "EEA, UK, CH",
            "consent_ad_personalization",
        ),
        FieldRule(f"{_EVENT}.adIdentifiers.gclid", "text", "an identifier", "gclid", "byte for byte"),
        FieldRule(f"{_EVENT}.adIdentifiers.gbraid", "text", "an identifier", "gbraid", "byte for byte"),
        FieldRule(f"{_EVENT}.adIdentifiers.wbraid", "text", "an identifier", "wbraid", "byte for byte"),
        FieldRule(f"{_PERSON}.emailAddress", "SHA-256", "an identifier", "email"),
        FieldRule(f"{_PERSON}.phoneNumber", "SHA-256", "an identifier", "phone"),
        FieldRule(f"{_PERSON}.address.givenName", "SHA-256", "all four", "first_name"),
        FieldRule(f"{_PERSON}.address.familyName", "SHA-256", "all four", "last_name"),
        FieldRule(f"{_PERSON}.address.regionCode", "alpha-2, clear", "all four", "country"),
        FieldRule(f"{_PERSON}.address.postalCode", "text, clear", "all four", "postal_code"),
        FieldRule(f"{_EVENT}.eventDeviceInfo.userAgent", "text, clear", "no", "user_agent"),
        FieldRule(f"{_EVENT}.eventDeviceInfo.ipAddress", "address, clear", "no", "client_ip"),
    ),
    codes=DATA_MANAGER,
    bad_row=BadRow.SINKS_BATCH,
    resend=True,
    dedup=DedupRule(
        key=("event_name", "conversion_id"),
        window=None,
        same_channel=True,
        keep=Keep.FIRST,
        merge=MergeRule(
            within=None,
            fill=("email", "phone", "first_name", "last_name", "postal_code", "country"),
            replace=("value", "currency"),
            fill_together=True,
            across_channels_only=False,
            from_channel=Channel.CAPI,
        ),
        instead=("event_name", "gclid", "event_time"),
    ),
    server=DATA_MANAGER_SERVER,
    hosts=("datamanager.googleapis.com",),
    sending=SENDING,
    reading=READING,
    corrections=CORRECTIONS,
    sources={
        **SENDING_SOURCES,
        "url": Source(
            "https://github.com/googleapis/googleapis/blob/master/google/ads/datamanager/v1/ingestion_service.proto",
            _BUILT,
            Confidence.HIGH,
            "always /v1; feature levels are release notes",
        ),
        "auth": Source(f"{_DOCS}/devguides/quickstart/set-up-access", _READ, Confidence.HIGH),
        "settings.customer_id": Source(
            f"{_EVENTS}/online", _READ, Confidence.HIGH, "the account that owns the action; parent or child is refused"
        ),
        "settings.conversion_action_id": Source(f"{_EVENTS}/offline/send-events", _READ, Confidence.HIGH),
        "settings.click_id_policy": Source(
            "https://github.com/segmentio/action-destinations/pull/2365",
            _READ,
            Confidence.LOW,
            "gclid with gbraid: Google's guide through one uploader; a single id: most connectors",
        ),
        "settings.missing_consent": MISSING_CONSENT_SOURCE,
        "settings.counting": Source(
            _CLIENT, _BUILT, Confidence.HIGH, "the action's own setting, readable as conversion_action.counting_type"
        ),
        "limits": Source(
            f"{_DOCS}/devguides/limits",
            _READ,
            Confidence.HIGH,
            "2,000 events and 10 identifiers; the enum text of TOO_MANY_EVENTS says 10,000",
        ),
        "limits.max_age": Source(
            f"{_DOCS}/devguides/diagnostics",
            _READ,
            Confidence.ASSUMED,
            "no window is published; 90 days is the longest click window an action can have",
        ),
        "limits.click_min_age": Source(_CLIENT, _BUILT, Confidence.HIGH, "TOO_RECENT_EVENT, TOO_RECENT_CLICK: 6 hours"),
        "limits.future": Source(
            f"{_DOCS}/devguides/diagnostics",
            _READ,
            Confidence.ASSUMED,
            "nothing is documented; 60 s is ours, for clocks that run ahead",
        ),
        "limits.leads": Source(
            f"{_EVENTS}/offline/send-events",
            _READ,
            Confidence.LOW,
            "63 days for hashed user data without click id, by two senders; not enforced here",
        ),
        "needs": Source(
            f"{_DOCS}/devguides/concepts/understand-errors",
            _READ,
            Confidence.HIGH,
            "and what limits, fields and consent are read from; that a resend must be safe is ours",
        ),
        "needs.G25": Source(
            _CLIENT, _BUILT, Confidence.ASSUMED, "EXPIRED_EVENT is the click's age; no window is published here"
        ),
        "fields": Source(_CLIENT, _BUILT, Confidence.HIGH, "required or not: one careful reading of the guides"),
        "fields.event_source": Source(
            "https://github.com/googleapis/google-cloud-php/issues/9201",
            _READ,
            Confidence.MEDIUM,
            "missing gives 400 REQUIRED_FIELD_MISSING though the schema says optional",
        ),
        "fields.ip_only": Source(
            f"{_DOCS}/devguides/diagnostics",
            _READ,
            Confidence.MEDIUM,
            "whether an IP address alone is an identifier: Google's pages disagree",
        ),
        "fields.cart": Source(
            _CLIENT,
            _BUILT,
            Confidence.ASSUMED,
            "cartData is not written: unit prices must be net of tax, and product ids those of Merchant Center",
        ),
        "codes": Source(
            f"{_DOCS}/devguides/concepts/understand-errors", _READ, Confidence.HIGH, "reasons from client 0.9.4"
        ),
        "bad_row": Source(
            f"{_DOCS}/devguides/concepts/understand-errors", _READ, Confidence.HIGH, "one bad event refuses all"
        ),
        "server": Source(
            f"{_DOCS}/devguides/concepts/understand-errors",
            _READ,
            Confidence.HIGH,
            "which reason a fault gets, and which are told only later, is partly our reading",
        ),
        "resend": Source(f"{_EVENTS}/conversion-adjustments", _READ, Confidence.HIGH, "same id: an adjustment"),
        "dedup.key": Source(
            "https://support.google.com/google-ads-data-manager/answer/16288216",
            _READ,
            Confidence.HIGH,
            "conversion action and transaction id, exactly; event_name stands for the action, one per upload",
        ),
        "dedup.window": Source(f"{_EVENTS}/conversion-adjustments", _READ, Confidence.ASSUMED, "no end is published"),
        "dedup.same_channel": Source(
            "https://support.google.com/google-ads/answer/6386790",
            _READ,
            Confidence.HIGH,
            "tag and tag; server and server is an adjustment, by conversion-adjustments",
        ),
        "dedup.keep": Source(f"{_EVENTS}/conversion-adjustments", _READ, Confidence.HIGH, "the tag's gclid stays"),
        "dedup.merge": Source(
            f"{_EVENTS}/conversion-adjustments",
            _READ,
            Confidence.HIGH,
            "value and currency from the server; user data only if the kept one had none; not in the 14-day trial",
        ),
        "dedup.instead": Source(_CLIENT, _BUILT, Confidence.HIGH, "DUPLICATE_GCLID: same gclid, time and action"),
        "dedup.one_per_click": Source(
            _CLIENT,
            _BUILT,
            Confidence.HIGH,
            "a ONE_PER_CLICK action counts one per ad click; not part of the rule, which sees no clicks",
        ),
    },
)

SPEC = PlatformSpec(
    name="google",
    title="Google",
    event_names={
        "add_payment_info": "add_payment_info",
        "add_to_cart": "add_to_cart",
        "add_to_wishlist": "add_to_wishlist",
        "begin_checkout": "begin_checkout",
        "lead": "generate_lead",
        "page_view": "page_view",
        "purchase": "purchase",
        "search": "search",
        "sign_up": "sign_up",
        "view_item": "view_item",
    },
    match_keys=match_keys(
        "google",
        {
            "email": "emailAddress",
            "phone": "phoneNumber",
            "first_name": "givenName",
            "last_name": "familyName",
            "street": "addressLine",
            "city": "city",
            "region": "administrativeArea",
            "postal_code": "postalCode",
            "country": "regionCode",
            "client_ip": "ipAddress",
            "user_agent": "userAgent",
        },
    ),
    click_ids=(
        ClickIdRule("gclid", cookie="_gcl_aw", life=timedelta(days=90), pattern=r"[A-Za-z0-9_\-]{20,512}"),
        ClickIdRule(
            "gbraid",
            cookie="_gcl_ag",
            life=timedelta(days=90),
            pattern=r"[A-Za-z0-9_\-]{20,512}",
            excludes=("wbraid",),
        ),
        ClickIdRule(
            "wbraid",
            cookie="_gcl_gb",
            life=timedelta(days=90),
            pattern=r"[A-Za-z0-9_\-]{20,512}",
            excludes=("gclid", "gbraid"),
        ),
    ),
    consent=ConsentRule(
        fields=MappingProxyType(
            {"consent_ad_user_data": "adUserData", "consent_ad_personalization": "adPersonalization"}
        ),
        words=MappingProxyType({"granted": "CONSENT_GRANTED", "denied": "CONSENT_DENIED"}),
        missing="denied, for people in the EEA: not processed, not reported",
        missing_is_denied_in=CONSENT_COUNTRIES,
    ),
    windows=(AttributionWindow("click", timedelta(days=30), (), "1 to 90 days, by conversion action"),),
    reports=ReportRule(
        MappingProxyType({"received": Dated.RECEIPT, "accepted": Dated.RECEIPT, "attributed": Dated.CLICK}),
        buckets=MatchBuckets(((0, 19), (20, 30), *((low, low + 9) for low in range(31, 92, 10))), least=100),
        models=Assumption(value=True, question="Which share of the conversions column is modelled?"),
    ),
    routes=(_DATA_MANAGER, ADS_API),
    pixel=PIXEL,
    sources={
        "event_names": Source(
            "https://support.google.com/analytics/answer/9267735",
            _READ,
            Confidence.HIGH,
            "Analytics' names, as tags use them; uploads name a conversion action instead",
        ),
        "match_keys": Source(
            f"{_DOCS}/devguides/concepts/formatting",
            _READ,
            Confidence.HIGH,
            "street, city and region are for Analytics only and never sent; names, country and postcode go together",
        ),
        "click_ids": Source(
            "https://github.com/googleads/google-ads-python",
            date(2026, 10, 15),
            Confidence.MEDIUM,
            "exclusions are the Ads API's; Data Manager documents none; cookies and shape are observed, no contract",
        ),
        "consent": Source(
            "https://groups.google.com/g/adwords-api/c/mzNrs1rg6yI", _READ, Confidence.MEDIUM, "Google's support"
        ),
        "consent.missing_is_denied_in": Source(
            "https://groups.google.com/g/adwords-api/c/mzNrs1rg6yI",
            _READ,
            Confidence.MEDIUM,
            "the EEA; that the UK and Switzerland, which Google's consent policy names beside it, are treated alike "
            "is assumed",
        ),
        "windows": Source(_CLIENT, _BUILT, Confidence.HIGH),
        "windows.end_inside": Source(_CLIENT, _BUILT, Confidence.ASSUMED, "not said: assumed inside"),
        "reports": Source(
            _CLIENT,
            _BUILT,
            Confidence.ASSUMED,
            "upload summaries; the ranges are those of customer lists, which stand in for events: of these no match is "
            "told; days of attributed ones are of the click (support.google.com/google-ads/answer/2375435)",
        ),
        "action_sources": ACTION_SOURCES_PAGE,
    },
)
