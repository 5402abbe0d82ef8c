"""Every number a simulated world rests on, as data: default, prior, how well it is known, where from.

A headline (coverage, match rate, recall) is never here: it comes out of the mechanisms. `World` takes its defaults
from this table and nowhere else. Figures and grades: calibration of 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from capi_lab.words import Evidence

__all__ = ["BY_COUNTRY", "BY_PLATFORM", "PARAMETERS", "Parameter", "default"]

Kind = Literal["share", "positive"]
P, I, V, A = Evidence.PRIMARY, Evidence.INDEPENDENT, Evidence.VENDOR, Evidence.ASSUMED  # noqa: E741


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a world.

    Parameters
    ----------
    field : str
        The field of `World`.
    default, low, high : float
        Mode and ends of a triangular prior; equal ends where nothing is known to vary.
    grade : Evidence
    source : str
    meaning : str
    key : str
        Country or platform, where the field holds one value for each; else empty.
    kind : str
        ``share`` lies in [0, 1], ``positive`` above 0.
    off : float or None
        The value with which the mechanism loses nothing; None where the parameter is no loss.
    """

    field: str
    default: float
    low: float
    high: float
    grade: Evidence
    source: str
    meaning: str
    key: str = ""
    kind: Kind = "share"
    off: float | None = None

    @property
    def name(self) -> str:
        """``field`` or ``field.key``: what `World.with_values` takes."""
        return f"{self.field}.{self.key}" if self.key else self.field


def _each(
    field: str,
    meaning: str,
    off: float | None = None,
    /,
    **rows: tuple[float, float, float, Evidence, str],
) -> tuple[Parameter, ...]:
    return tuple(Parameter(field, *row, meaning, key=key, off=off) for key, row in rows.items())


_OURS = "no usable source: assumed"
_CONSENT = (
    "studies of banners (50-67 % refuse an equally visible button), scaled to orders: consenting visitors buy more"
)
_PEW = "Pew Research Center, US adults, February to June 2025"
_NO_MS = "no published figure found: a guess, wide on purpose"
_WORTH = "no published figure; the one judgement made after a first run (list-match rates of vendors as a check)"
_SCRIPTED = "page-loss figures are not published: assumed"

PARAMETERS: tuple[Parameter, ...] = (
    # -- who orders, with what ---------------------------------------------------------------------------------
    *_each(
        "country_weights",
        "share of customers from the country (weights; they need not sum to 1)",
        US=(0.55, 0.55, 0.55, A, "a blend to be replaced by the shop's own"),
        GB=(0.15, 0.15, 0.15, A, "a blend to be replaced by the shop's own"),
        DE=(0.15, 0.15, 0.15, A, "a blend to be replaced by the shop's own"),
        FR=(0.15, 0.15, 0.15, A, "a blend to be replaced by the shop's own"),
    ),
    Parameter(
        "device_tilt", 1.0, 0.7, 2.0, A, "browser shares are page views; desktop converts better",
        "desktop browsers order this many times as often as they view pages", kind="positive",
    ),
    Parameter(
        "orders_per_customer", 2.0, 1.0, 4.0, A, "CDNOW: 2.96 orders per customer in 18 months",
        "mean orders of one customer: they share browser, consent and accounts", kind="positive",
    ),
    Parameter(
        "value_median", 45.0, 20.0, 120.0, A, _OURS, "median order value, in the country's currency", kind="positive"
    ),
    Parameter("value_sigma", 0.8, 0.5, 1.2, A, _OURS, "sigma of the log of the order value", kind="positive"),
    # -- consent and blocking ----------------------------------------------------------------------------------
    *_each(
        "consent_deny",
        "share of customers who refuse marketing consent",
        0.0,
        US=(0.06, 0.02, 0.15, A, _CONSENT),
        GB=(0.25, 0.10, 0.40, A, _CONSENT),
        DE=(0.45, 0.20, 0.60, A, _CONSENT),
        FR=(0.40, 0.20, 0.60, A, _CONSENT),
    ),
    Parameter(
        "blocker_desktop", 0.27, 0.18, 0.42, V, "eyeo 2023 (US desktop 27 %) via MarketingCharts, 2023-12-14",
        "share of desktop customers with a content blocker", off=0.0,
    ),
    Parameter(
        "blocker_mobile", 0.10, 0.03, 0.22, A, "surveys say 22 %, in-app and VPN blockers counted in",
        "share of mobile customers with a content blocker that acts in the browser", off=0.0,
    ),
    Parameter(
        "blocker_firefox_factor", 1.8, 1.0, 2.6, I, "a technical blog's server log, about 2018-2020 (upper bound)",
        "Firefox users block this many times as often (capped at 1)", kind="positive", off=1.0,
    ),
    Parameter(
        "list_blocks_pixel", 0.65, 0.40, 0.90, A,
        "which list covers which pixel was measured (EasyPrivacy 2026-07-20); how many run such a list is assumed",
        "share of blockers whose lists cover the pixel", off=0.0,
    ),
    Parameter(
        "brave_of_chrome", 0.03, 0.01, 0.05, A, "Brave reports itself as Chrome",
        "share of Chrome that is Brave: blocks the pixel and strips click ids", off=0.0,
    ),
    Parameter(
        "private_mode", 0.06, 0.02, 0.12, A, "DuckDuckGo 2017 has use, not purchases",
        "share of customers who buy in a private window: Safari and Firefox then block the pixel, Chrome does not",
        off=0.0,
    ),
    Parameter(
        "firefox_strict", 0.10, 0.05, 0.20, A, _OURS, "share of Firefox in strict mode, which blocks trackers", off=0.0
    ),
    Parameter(
        "privacy_rho", 0.2, 0.0, 0.6, A, "people who refuse also block and browse privately; how many is not published",
        "correlation of consent, blocker and built-in blocking within a person (one-factor Gaussian copula)",
    ),
    # -- the page and the server -------------------------------------------------------------------------------
    Parameter("page_left", 0.05, 0.01, 0.10, A, _SCRIPTED, "orders whose thank-you page is never reached", off=0.0),
    Parameter("script_failed", 0.04, 0.01, 0.10, A, _SCRIPTED, "pages on which the tag does not run", off=0.0),
    Parameter("server_failed", 0.01, 0.002, 0.03, A, _OURS, "server calls lost after all retries", off=0.0),
    Parameter("server_retry", 0.02, 0.0, 0.10, A, _OURS, "server calls that had to be made again, later", off=0.0),
    Parameter(
        "retry_repeats", 0.25, 0.0, 0.6, A, _OURS, "repeated server calls whose first try had arrived after all",
        off=0.0,
    ),
    Parameter(
        "pixel_delay_seconds", 2.0, 0.5, 5.0, A, _OURS, "mean time from order to the pixel's receipt", kind="positive"
    ),
    Parameter(
        "server_delay_seconds", 30.0, 2.0, 3600.0, A, _OURS, "median time from order to the server call",
        kind="positive",
    ),
    Parameter("server_delay_sigma", 1.5, 0.5, 2.5, A, _OURS, "sigma of the log of that time", kind="positive"),
    Parameter(
        "retry_delay_seconds", 900.0, 60.0, 14400.0, A, _OURS, "mean wait before a server call is made again",
        kind="positive",
    ),
    Parameter(
        "id_missing", 0.02, 0.0, 0.05, I, "surplus and placeholder ids in the public GA4 sample, audit of 2026-10",
        "pairs in which one event lacks the shared id", off=0.0,
    ),
    Parameter("id_mismatch", 0.05, 0.01, 0.15, I, "the same sample", "pairs whose two ids differ", off=0.0),
    Parameter("reload", 0.03, 0.0, 0.08, I, "the same sample", "thank-you pages loaded again, pixel too", off=0.0),
    # -- the click and its id ----------------------------------------------------------------------------------
    Parameter(
        "ad_click", 0.30, 0.15, 0.50, A, "a traffic-mix number: replace it by the shop's own",
        "orders with a click on the platform's ads within the longest lag",
    ),
    Parameter(
        "lag_same", 0.55, 0.35, 0.75, I, "GA4 sample: half of purchases within about an hour of the first touch",
        "share of ad-driven orders placed in the session of the click",
    ),
    Parameter(
        "lag_same_minutes", 20.0, 10.0, 30.0, A, _OURS, "mean lag of those, in minutes (exponential)", kind="positive"
    ),
    Parameter(
        "lag_median_days", 2.5, 1.0, 5.0, I, "GA4 sample: mean 3.4 days, 90th percentile 14 days",
        "median lag of the others, in days (lognormal)", kind="positive",
    ),
    Parameter("lag_sigma", 1.3, 1.0, 1.7, I, "the same sample", "sigma of the log of their lag", kind="positive"),
    Parameter(
        "lag_max_days", 30.0, 30.0, 30.0, A, "the longest click window most accounts use",
        "clicks older than this are none; the lag's law is cut there", kind="positive",
    ),
    Parameter(
        "param_lost", 0.04, 0.01, 0.15, A, _OURS, "landings that lose the click id to a redirect", off=0.0
    ),
    Parameter(
        "capture_fail", 0.03, 0.0, 0.10, A, _OURS, "landings whose script does not store the id", off=0.0
    ),
    Parameter(
        "mail_click", 0.0, 0.0, 0.05, A, "ads are rarely opened there",
        "Safari clicks opened from Mail or Messages, where the system strips click ids", off=0.0,
    ),
    *_each(
        "iab",
        "share of the platform's mobile clicks that open in its in-app browser",
        0.0,
        meta=(0.75, 0.5, 0.9, A, _OURS),
        google=(0.0, 0.0, 0.1, A, "search opens the system's browser"),
        tiktok=(0.75, 0.5, 0.9, A, _OURS),
        linkedin=(0.75, 0.5, 0.9, A, _OURS),
        microsoft=(0.0, 0.0, 0.1, A, "search opens the system's browser"),
    ),
    Parameter(
        "iab_switch", 0.60, 0.3, 0.9, A, _OURS,
        "in-app clicks whose later order is placed in the system's browser, which has another cookie jar", off=0.0,
    ),
    Parameter("xdev", 0.20, 0.10, 0.35, A, _OURS, "later orders placed on another device than the click", off=0.0),
    Parameter(
        "clear_share", 0.31, 0.10, 0.40, I, "comScore, June 2007: 31 % of US home PCs clear at least monthly",
        "share of customers who clear cookies", off=0.0,
    ),
    Parameter(
        "clear_days", 14.0, 7.0, 30.0, A, "7 % cleared more than four times in that month",
        "mean days between two clearings of theirs (exponential)", kind="positive",
    ),
    Parameter(
        "itp_regap_visit", 0.35, 0.1, 0.6, A, _OURS,
        "Safari: visits within the 24 hours after a decorated landing that renew a script's cookie to 7 days", off=1.0,
    ),
    Parameter(
        "week_renewal", 0.0, 0.0, 0.5, A, "depends on how often the shop's visitors come back",
        "Safari: visits within the 7 use-days that restart them once, for 14 in all", off=1.0,
    ),
    Parameter(
        "use_days", 1.0, 0.7, 1.0, A, "days without browser use do not count against the 7",
        "share of days on which a Safari user uses the browser",
    ),
    # -- what the platform can do with an event ----------------------------------------------------------------
    Parameter("cid_corrupt", 0.03, 0.0, 0.10, A, _OURS, "click ids cut, re-cased or garbled on the way", off=0.0),
    Parameter("cid_foreign", 0.04, 0.0, 0.10, A, _OURS, "click ids of another ad account", off=0.0),
    Parameter("cid_invalid", 0.03, 0.0, 0.06, A, _OURS, "clicks the platform filters as invalid", off=0.0),
    Parameter(
        "cid_optout", 0.05, 0.0, 0.12, A, "what app-tracking refusal leaves behind on the web",
        "clicks the platform may not link to a person", off=0.0,
    ),
    Parameter("email_given", 0.96, 0.85, 1.0, A, _OURS, "customers whose orders have an e-mail address"),
    Parameter("phone_given", 0.60, 0.2, 0.9, A, _OURS, "customers whose orders have a phone number"),
    Parameter("pii_bad", 0.03, 0.005, 0.10, A, _OURS, "addresses and numbers typed so that none can be read", off=0.0),
    Parameter(
        "known_customer", 0.5, 0.2, 0.9, A, _OURS,
        "customers whose events carry the shop's own customer id, and whose server events the browser's",
    ),
    *_each(
        "account",
        "share of customers with an account on the platform",
        meta=(0.74, 0.60, 0.82, I, _PEW + ": Facebook 71 %, Instagram 50 %"),
        google=(0.88, 0.78, 0.95, I, _PEW + ": YouTube 84 %"),
        tiktok=(0.37, 0.27, 0.47, I, _PEW),
        linkedin=(0.31, 0.20, 0.65, I, "Pew Research Center, US adults, 2023 wave: 30 %"),
        microsoft=(0.40, 0.15, 0.65, A, _NO_MS),
    ),
    *_each(
        "em_eq",
        "shop e-mail address equals the account's, given an account",
        meta=(0.40, 0.28, 0.55, A, _WORTH),
        google=(0.42, 0.29, 0.55, A, "about the share of gmail in consumer lists x main account"),
        tiktok=(0.30, 0.17, 0.43, A, _WORTH),
        linkedin=(0.50, 0.37, 0.63, A, _WORTH),
        microsoft=(0.30, 0.10, 0.55, A, _NO_MS),
    ),
    *_each(
        "ph_eq",
        "shop phone number equals the account's, given an account",
        meta=(0.30, 0.15, 0.45, A, _WORTH),
        google=(0.15, 0.05, 0.30, A, _WORTH),
        tiktok=(0.45, 0.30, 0.60, A, _WORTH),
        linkedin=(0.10, 0.0, 0.25, A, _WORTH),
        microsoft=(0.10, 0.0, 0.25, A, _NO_MS),
    ),
    *_each(
        "ip_match",
        "IP address and user agent lead to the right person",
        meta=(0.06, 0.0, 0.12, A, _OURS),
        google=(0.0, 0.0, 0.05, A, _OURS),
        tiktok=(0.05, 0.0, 0.12, A, _OURS),
        linkedin=(0.0, 0.0, 0.05, A, _OURS),
        microsoft=(0.0, 0.0, 0.05, A, _NO_MS),
    ),
    *_each(
        "signed_in_at_click",
        "ad clickers signed in to the platform when they click (their `account`)",
        meta=(0.98, 0.90, 1.0, A, _OURS),
        google=(0.75, 0.60, 0.90, A, _OURS),
        tiktok=(0.95, 0.90, 1.0, A, _OURS),
        linkedin=(0.95, 0.90, 1.0, A, _OURS),
        microsoft=(0.50, 0.20, 0.80, A, _NO_MS),
    ),
    Parameter(
        "pixel_signed_in", 0.7, 0.4, 0.9, A, _OURS,
        "account holders whose browser, where third-party cookies work, shows the pixel who they are",
    ),
    Parameter(
        "modelled", 0.10, 0.0, 0.35, A, "no platform says how much",
        "share of the attributed conversions reported that were never observed, where a platform models", off=0.0,
    ),
)  # fmt: skip
"""All parameters, in the order of the story."""

BY_COUNTRY = frozenset({"country_weights", "consent_deny"})
BY_PLATFORM = frozenset({"iab", "account", "em_eq", "ph_eq", "ip_match", "signed_in_at_click"})


def default(field: str) -> float | Mapping[str, float]:
    """Return a field's default: a number, or a frozen mapping of country or platform to one."""
    rows = [one for one in PARAMETERS if one.field == field]
    if len(rows) == 1 and not rows[0].key:
        return rows[0].default
    return MappingProxyType({one.key: one.default for one in rows})
