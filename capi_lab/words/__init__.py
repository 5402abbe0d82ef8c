"""The vocabulary as enums: one word, one meaning, in columns, plots and docs alike.

Each member is a plain string (`enum.StrEnum`), so tables hold the words themselves.
`docs/glossary.md` explains them to readers.
"""

from __future__ import annotations

from enum import StrEnum

from capi_lab.words.clicks import ClickFix, ClickStep
from capi_lab.words.sending import ReceiptStatus

__all__ = [
    "Bucket",
    "Caveat",
    "Channel",
    "ClickFate",
    "ClickFix",
    "ClickStep",
    "ClockFault",
    "Consent",
    "CreditModel",
    "Delivery",
    "Device",
    "DropReason",
    "Engine",
    "Evidence",
    "Fate",
    "GapCause",
    "HashVerdict",
    "IdSource",
    "Ineligible",
    "Interval",
    "KeySet",
    "Link",
    "LoadDrop",
    "MatchedBy",
    "Origin",
    "Outcome",
    "OwnId",
    "PairCause",
    "ReceiptStatus",
    "ServerFault",
    "Setup",
    "Step",
    "Storage",
    "Stratum",
    "Tie",
]


class Channel(StrEnum):
    """Who reported an event: the browser or the server."""

    PIXEL = "pixel"
    CAPI = "capi"


class Setup(StrEnum):
    """Which channels run; ``incremental`` is what the second adds to the first, paired."""

    PIXEL = "pixel"
    CAPI = "capi"
    BOTH = "pixel+capi"
    INCREMENTAL = "incremental"


class Origin(StrEnum):
    """Where a table's rows come from; only ``real`` rows may ever reach a live platform."""

    REAL = "real"
    SIMULATED = "simulated"
    SEMI_SYNTHETIC = "semi-synthetic"


class Consent(StrEnum):
    """A person's answer for one purpose; missing means not known."""

    GRANTED = "granted"
    DENIED = "denied"


class Link(StrEnum):
    """How an event was tied to a conversion of the ledger."""

    ORDER_ID = "order_id"
    EVENT_ID = "event_id"
    DECLARED_KEY = "declared_key"
    NONE = "none"


class ClockFault(StrEnum):
    """What is wrong with a clock, as far as linked pairs show it."""

    UNIT = "unit"
    WHOLE_HOURS = "whole_hours"
    DST_STEP = "dst_step"
    STEP = "step"
    CONSTANT_OFFSET = "constant_offset"
    DRIFT = "drift"


class Tie(StrEnum):
    """What ties a click to a conversion (``tied_by``); besides, the name of a column both carry."""

    CLICK_ID = "click_id"


class OwnId(StrEnum):
    """What clicks say of an id that an order carries already (``<id>_tied_by`` of `attach_clicks`)."""

    CLICK_ID = "click_id"
    KEPT = "kept"
    OWN = "own"


class CreditModel(StrEnum):
    """How a conversion's credit is shared among its clicks."""

    LAST = "last"
    FIRST = "first"
    LINEAR = "linear"


class Device(StrEnum):
    """The kind of device a user agent names; the words are those of GA4's ``device.category`` and of the samples."""

    MOBILE = "mobile"
    TABLET = "tablet"
    DESKTOP = "desktop"
    TV = "tv"
    CONSOLE = "console"
    BOT = "bot"


class Engine(StrEnum):
    """What renders the page: cookie limits hang on it, not on the browser's name."""

    BLINK = "Blink"
    WEBKIT = "WebKit"
    GECKO = "Gecko"
    TRIDENT = "Trident"


class ClickFate(StrEnum):
    """What became of an ad click's id until the order: the first that happened."""

    NO_CLICK = "no_click"
    NO_CONSENT = "no_consent"
    STRIPPED = "stripped"
    REDIRECT_LOST = "redirect_lost"
    CAPTURE_FAILED = "capture_failed"
    JAR_LEFT = "jar_left"
    DEVICE_CHANGED = "device_changed"
    SESSION_ENDED = "session_ended"
    CLEARED = "cleared"
    EXPIRED = "expired"
    KEPT = "kept"


class Storage(StrEnum):
    """Who sets the cookie that keeps a click id: Safari's limits hang on it."""

    JS_COOKIE = "js_cookie"
    CLOAKED = "cloaked"
    FIRST_PARTY = "first_party"


class Evidence(StrEnum):
    """How well a number is known."""

    PRIMARY = "primary"
    INDEPENDENT = "independent"
    VENDOR = "vendor"
    ASSUMED = "assumed"


class DropReason(StrEnum):
    """Why the platform would not count an event of its own."""

    DUPLICATE_OTHER_CHANNEL = "duplicate_other_channel"
    DUPLICATE_SAME_CHANNEL = "duplicate_same_channel"
    BROWSER_PREFERRED = "browser_preferred"
    FALLBACK_KEY = "fallback_key"


class Outcome(StrEnum):
    """What became of a conversion that both channels reported."""

    DEDUPLICATED = "deduplicated"
    DOUBLE_COUNTED = "double_counted"
    OVER_MERGED = "over_merged"
    UNKNOWN = "unknown"


class PairCause(StrEnum):
    """What is wrong with a pair: why it was not deduplicated, or what does not agree although it was."""

    MISSING_EVENT_ID = "missing_event_id"
    ID_TYPE_OR_PADDING = "id_type_or_padding"
    ID_PREFIX_OR_CASE = "id_prefix_or_case"
    EVENT_NAME_DIFFERS = "event_name_differs"
    OUTSIDE_WINDOW = "outside_window"
    ID_REUSED = "id_reused"
    NEW_ID_ON_RELOAD = "new_id_on_reload"
    VALUE_DIFFERS = "value_differs"
    CURRENCY_DIFFERS = "currency_differs"
    CLOCK_SKEW = "clock_skew"
    PIXEL_AFTER_SERVER_FALLBACK = "pixel_after_server_fallback"
    UNKNOWN = "unknown"


class GapCause(StrEnum):
    """Why a channel did not report a conversion."""

    NO_CONSENT = "no_consent"
    BLOCKER = "blocker"
    BROWSER_PRIVATE = "browser_private"
    PAGE_LEFT = "page_left"
    SCRIPT_FAILED = "script_failed"
    SERVER_FAILED = "server_failed"
    INELIGIBLE = "ineligible"
    UNATTRIBUTED = "unattributed"


class HashVerdict(StrEnum):
    """What is wrong with a hashed match key that somebody else made."""

    OK = "ok"
    DOUBLE_HASHED = "double_hashed"
    EMPTY_HASH = "empty_hash"
    NOT_NORMALISED = "not_normalised"
    WRONG_COUNTRY = "wrong_country"
    WRONG_ENCODING = "wrong_encoding"
    MD5 = "md5"
    SHA1 = "sha1"
    NOT_A_HASH = "not_a_hash"
    MISSING = "missing"
    UNKNOWN = "unknown"


class IdSource(StrEnum):
    """Where a click id was found."""

    URL = "url"
    COOKIE = "cookie"
    COLUMN = "column"
    META = "meta"


class Ineligible(StrEnum):
    """Why a conversion may not, or need not, be sent to a platform; where several apply, the first of this list."""

    CONSENT_DENIED = "consent_denied"
    CONSENT_MISSING = "consent_missing"
    TEST_ORDER = "test_order"
    FUTURE_TIME = "future_time"
    TOO_OLD = "too_old"
    BEFORE_CLICK = "before_click"
    WRONG_SOURCE = "wrong_source"
    WRONG_EVENT = "wrong_event"
    NO_MATCH_KEY = "no_match_key"
    TOO_BROAD = "too_broad"
    CLICK_TOO_OLD = "click_too_old"
    PERSONAL_ID = "personal_id"
    MALFORMED_ID = "malformed_id"
    CONFLICTING_IDS = "conflicting_ids"
    MISSING_FIELD = "missing_field"
    BAD_FIELD = "bad_field"


class Stratum(StrEnum):
    """By what a platform could match an event: exclusive, the strongest counts."""

    CLICK_ID = "click_id"
    PII_ONLY = "pii_only"
    IP_ONLY = "ip_only"
    NONE = "none"


class KeySet(StrEnum):
    """By what a platform could match an event, `Stratum.PII_ONLY` told apart by the keys that name the person."""

    CLICK_ID = "click_id"
    EMAIL_PHONE = "email_phone"
    EMAIL_ONLY = "email_only"
    PHONE_ONLY = "phone_only"
    NAME_ONLY = "name_only"
    IP_ONLY = "ip_only"
    NONE = "none"


class MatchedBy(StrEnum):
    """What tied an event to a click or an account, the strongest first."""

    CLICK_ID = "click_id"
    EMAIL = "email"
    PHONE = "phone"
    COOKIE = "cookie"
    IP = "ip"


class ServerFault(StrEnum):
    """What a sandbox's server does wrong on purpose."""

    THROTTLED = "throttled"
    THROTTLED_SILENTLY = "throttled_silently"
    SERVER_ERROR = "server_error"
    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    TRUNCATED_REPLY = "truncated_reply"
    HTML_REPLY = "html_reply"
    SLOW_REPLY = "slow_reply"
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - a word, no secret
    ONE_BAD_ROW = "one_bad_row"
    MANY_BAD_ROWS = "many_bad_rows"
    ALREADY_EXISTS = "already_exists"


class Interval(StrEnum):
    """How the interval of a rate is made; all but the last are taken on effective counts where customers repeat."""

    WILSON = "wilson"
    EXACT = "exact"
    JEFFREYS = "jeffreys"
    BOOTSTRAP = "bootstrap"


class Caveat(StrEnum):
    """Why an estimate of what nobody saw may be of something else."""

    CONSENT_NOT_KNOWN = "consent_not_known"
    CONSENT_GATES_BOTH = "consent_gates_both"
    BROWSER_TRIGGERED = "browser_triggered"
    TRIGGER_NOT_KNOWN = "trigger_not_known"
    LISTS_DEPEND = "lists_depend"
    FEW_IN_BOTH = "few_in_both"


class Delivery(StrEnum):
    """How far a pixel's request got, as the browser's log shows it."""

    ANSWERED = "answered"
    UNANSWERED = "unanswered"
    BLOCKED = "blocked"


class LoadDrop(StrEnum):
    """Why a loader left a row of the file out of the table."""

    UNPARSABLE = "unparsable"
    NO_TIME = "no_time"
    AMBIGUOUS_LOCAL_TIME = "ambiguous_local_time"
    NO_ID = "no_id"
    NO_COUNT = "no_count"
    DUPLICATE_ID = "duplicate_id"
    DUPLICATE_ROW = "duplicate_row"
    CONTINUATION_LINE = "continuation_line"
    TEST_ORDER = "test_order"
    CANCELLED = "cancelled"
    NOT_PAID = "not_paid"
    OTHER_SOURCE = "other_source"
    OTHER_RECORD = "other_record"
    RENEWAL = "renewal"
    BOT = "bot"
    NOT_A_VISIT = "not_a_visit"
    STATIC_FILE = "static_file"
    HTTP_STATUS = "http_status"
    NOT_A_PIXEL = "not_a_pixel"
    COPIED_REQUEST = "copied_request"
    BLOCKED_REQUEST = "blocked_request"
    NO_CLICK_ID = "no_click_id"
    REPEATED_CLICK = "repeated_click"


class Step(StrEnum):
    """How far a conversion can get, in order; from ``server`` on each step is a part of the one before."""

    TRUTH = "truth"
    PIXEL = "pixel"
    SERVER = "server"
    ACCEPTED = "accepted"
    COUNTED = "counted"
    MATCHED = "matched"
    ATTRIBUTED = "attributed"

    @property
    def label(self) -> str:
        """What passes the step, for readers."""
        return _STEP_LABELS.get(self.value, self.value)


_STEP_LABELS = {
    "truth": "in the ledger",
    "pixel": "seen by the pixel",
    "server": "pixel or server",
    "accepted": "pixel or accepted",
}


class Fate(StrEnum):
    """What a waterfall's bucket means for whoever sends."""

    THROUGH = "through"
    IGNORED = "ignored"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNTIED = "untied"


class Bucket(StrEnum):
    """Where a conversion ends; every one in exactly one."""

    INELIGIBLE = "ineligible"
    SKIPPED = "skipped"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    RETRY = "retry"
    REPLY_UNKNOWN = "reply_unknown"
    NO_RECEIPT = "no_receipt"
    OVER_MERGED = "over_merged"
    NOT_MATCHED = "not_matched"
    MATCH_UNKNOWN = "match_unknown"
    NOT_ATTRIBUTED = "not_attributed"
    ATTRIBUTION_UNKNOWN = "attribution_unknown"
    PIXEL_ONLY = "pixel_only"
    DEDUPLICATED = "deduplicated"
    DOUBLE_COUNTED = "double_counted"
    NOT_REPLAYED = "not_replayed"
    SERVER_ONLY = "server_only"
