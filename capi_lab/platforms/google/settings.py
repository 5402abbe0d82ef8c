"""Settings that both of Google's routes take."""

from __future__ import annotations

from datetime import date

from capi_lab.platforms.route import Setting
from capi_lab.sources import Confidence, Source

__all__ = [
    "ACTION_ID",
    "ACTION_SOURCES_PAGE",
    "CLICK_ID_POLICY",
    "COUNTING",
    "CUSTOMER_ID",
    "LOGIN_CUSTOMER_ID",
    "MISSING_CONSENT",
    "MISSING_CONSENT_SOURCE",
    "TRANSACTION_ID",
    "VALIDATE_ONLY",
]

CUSTOMER_ID = Setting(
    "customer_id", "account that owns the conversion action, without hyphens", r"\d{10}", account=True
)
ACTION_ID = Setting(
    "conversion_action_id", "number of the conversion action, no resource name", r"\d{1,19}", account=True
)
LOGIN_CUSTOMER_ID = Setting(
    "login_customer_id", "manager account through which the credential comes", r"\d{10}", required=False
)
TRANSACTION_ID = Setting(
    "transaction_id",
    "column that holds the id the tag sends; it must be the same byte for byte",
    r"conversion_id|event_id",
    default="conversion_id",
)
CLICK_ID_POLICY = Setting(
    "click_id_policy",
    "google: gclid with gbraid if both are there; single: the first of gclid, gbraid, wbraid",
    r"google|single",
    default="google",
)
COUNTING = Setting(
    "counting",
    "how the conversion action counts, as set in the account",
    r"MANY_PER_CLICK|ONE_PER_CLICK",
    default="MANY_PER_CLICK",
)
MISSING_CONSENT = Setting(
    "missing_consent",
    "account: the account's own default answers where a row from the EEA, the UK or Switzerland says nothing; "
    "denied: nothing does, and Google does not process the row",
    r"account|denied",
    default="denied",
)
MISSING_CONSENT_SOURCE = Source(
    "https://developers.google.com/data-manager/api/devguides/diagnostics",
    date(2026, 11, 23),
    Confidence.MEDIUM,
    "UNKNOWN_CONSENT: row, request and account settings together gave nothing",
)
VALIDATE_ONLY = Setting(
    "validate_only", "Google checks the request and records nothing", r"true|false", default="false", trial=True
)

ACTION_SOURCES_PAGE = Source(
    "https://github.com/googleapis/google-cloud-python/tree/main/packages/google-ads-datamanager",
    date(2026, 10, 1),
    Confidence.HIGH,
    "six words; that an e-mail is OTHER and a chat MESSAGE is our reading",
)
