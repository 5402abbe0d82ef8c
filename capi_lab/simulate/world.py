"""The knobs of a simulated shop's tracking.

Their defaults, priors and grades of evidence are data in `parameters`; none of them is a headline. Whatever share of
conversions a pixel sees comes out of the mechanisms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from capi_lab.errors import InputError, UnknownNameError
from capi_lab.platforms import platform as platform_named
from capi_lab.simulate import parameters
from capi_lab.simulate.parameters import BY_COUNTRY, BY_PLATFORM, PARAMETERS, Parameter
from capi_lab.words import Storage

if TYPE_CHECKING:
    import pandas as pd

    from capi_lab.simulate.ledger import LaidWorld

__all__ = ["LAGS", "PRESETS", "Matching", "World"]

LAGS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        # GA4 sample: half within an hour, 90 % within a week.
        "ecom": {},
        # Long consideration; assumed.
        "b2b": {"lag_same": 0.15, "lag_median_days": 14.0, "lag_sigma": 1.2, "lag_max_days": 90.0},
        # Chapelle, KDD 2014: 35 % within an hour, 50 % within a day, 13 % after two weeks.
        "criteo": {"lag_same": 0.35, "lag_median_days": 3.44, "lag_sigma": 1.67},
    }
)
"""Named laws of the time from click to order: what they change of a `World`."""

PRESETS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "blend": {},
        **{
            country: {f"country_weights.{one}": float(one == country) for one in ("US", "GB", "DE", "FR")}
            for country in ("US", "GB", "DE", "FR")
        },
        # Work addresses: few are a private account's, many are LinkedIn's (vendors' list-match rates).
        "b2b": {
            "account.linkedin": 0.65,
            "em_eq.meta": 0.25,
            "em_eq.google": 0.25,
            "device_tilt": 2.0,
            "orders_per_customer": 1.0,
            **LAGS["b2b"],
        },
    }
)
"""Named worlds: what they change of the default one."""

_SETTINGS = """
    consent_gate : bool
        Server events need consent too. Off is a breach of the law in most places, not a feature.
    storage : Storage or str
        Who sets the cookie that keeps a click id: ``js_cookie`` (a script), ``cloaked`` (a server under a CNAME, or of
        a third party's addresses), ``first_party`` (the shop's own server).
    ltp_everywhere : bool
        What if Safari stripped click ids in normal browsing too? It does not (Safari 26, released version).
    start : str
        First day of the simulated orders, ``YYYY-MM-DD``, UTC.
    days : int
        How many days they are spread over.
"""


class Matching(NamedTuple):
    """What one platform can do with an event (see `World.table` for meanings)."""

    account: float
    em_eq: float
    ph_eq: float
    ip_match: float
    signed_in_at_click: float
    iab: float
    window: timedelta


def _number(name: str) -> float:
    return cast(float, parameters.default(name))


def _each(name: str) -> Any:
    return field(default_factory=lambda: cast("Mapping[str, float]", parameters.default(name)))


@dataclass(frozen=True, kw_only=True, repr=False)
class World:
    """One shop's customers, browsers and tracking set-up, and what platforms can match.

    Every number has a default, a prior and a grade of evidence: `World.table`. Frozen, hashable, and the same after
    `to_dict` and `from_dict`.

    Raises
    ------
    InputError
        A value is outside its range, or a country or platform lacks a value.
    """

    country_weights: Mapping[str, float] = _each("country_weights")
    device_tilt: float = _number("device_tilt")
    orders_per_customer: float = _number("orders_per_customer")
    value_median: float = _number("value_median")
    value_sigma: float = _number("value_sigma")
    consent_deny: Mapping[str, float] = _each("consent_deny")
    blocker_desktop: float = _number("blocker_desktop")
    blocker_mobile: float = _number("blocker_mobile")
    blocker_firefox_factor: float = _number("blocker_firefox_factor")
    list_blocks_pixel: float = _number("list_blocks_pixel")
    brave_of_chrome: float = _number("brave_of_chrome")
    private_mode: float = _number("private_mode")
    firefox_strict: float = _number("firefox_strict")
    privacy_rho: float = _number("privacy_rho")
    page_left: float = _number("page_left")
    script_failed: float = _number("script_failed")
    server_failed: float = _number("server_failed")
    server_retry: float = _number("server_retry")
    retry_repeats: float = _number("retry_repeats")
    pixel_delay_seconds: float = _number("pixel_delay_seconds")
    server_delay_seconds: float = _number("server_delay_seconds")
    server_delay_sigma: float = _number("server_delay_sigma")
    retry_delay_seconds: float = _number("retry_delay_seconds")
    id_missing: float = _number("id_missing")
    id_mismatch: float = _number("id_mismatch")
    reload: float = _number("reload")
    ad_click: float = _number("ad_click")
    lag_same: float = _number("lag_same")
    lag_same_minutes: float = _number("lag_same_minutes")
    lag_median_days: float = _number("lag_median_days")
    lag_sigma: float = _number("lag_sigma")
    lag_max_days: float = _number("lag_max_days")
    param_lost: float = _number("param_lost")
    capture_fail: float = _number("capture_fail")
    mail_click: float = _number("mail_click")
    iab: Mapping[str, float] = _each("iab")
    iab_switch: float = _number("iab_switch")
    xdev: float = _number("xdev")
    clear_share: float = _number("clear_share")
    clear_days: float = _number("clear_days")
    itp_regap_visit: float = _number("itp_regap_visit")
    week_renewal: float = _number("week_renewal")
    use_days: float = _number("use_days")
    cid_corrupt: float = _number("cid_corrupt")
    cid_foreign: float = _number("cid_foreign")
    cid_invalid: float = _number("cid_invalid")
    cid_optout: float = _number("cid_optout")
    email_given: float = _number("email_given")
    phone_given: float = _number("phone_given")
    pii_bad: float = _number("pii_bad")
    known_customer: float = _number("known_customer")
    account: Mapping[str, float] = _each("account")
    em_eq: Mapping[str, float] = _each("em_eq")
    ph_eq: Mapping[str, float] = _each("ph_eq")
    ip_match: Mapping[str, float] = _each("ip_match")
    signed_in_at_click: Mapping[str, float] = _each("signed_in_at_click")
    pixel_signed_in: float = _number("pixel_signed_in")
    modelled: float = _number("modelled")
    consent_gate: bool = True
    storage: Storage = Storage.JS_COOKIE
    ltp_everywhere: bool = False
    start: str = "2026-07-01"
    days: int = 90

    def __post_init__(self) -> None:
        kinds = {one.field: one.kind for one in PARAMETERS}
        for name, kind in kinds.items():
            value = getattr(self, name)
            mapped = name in BY_COUNTRY | BY_PLATFORM
            if mapped is not isinstance(value, Mapping):
                raise InputError(f"World.{name} must be a {'mapping of names to numbers' if mapped else 'number'}")
            if mapped:
                object.__setattr__(self, name, value := MappingProxyType({k: float(v) for k, v in value.items()}))
            else:
                object.__setattr__(self, name, value := float(value))
            numbers = list(value.values()) if mapped else [value]
            if kind == "share" and not all(0 <= number <= 1 for number in numbers):
                raise InputError(f"World.{name} must lie in [0, 1]")
            if kind == "positive" and not all(0 < number < float("inf") for number in numbers):
                raise InputError(f"World.{name} must be finite and above 0")
        if not self.country_weights or sum(self.country_weights.values()) <= 0:
            raise InputError("World.country_weights needs a country with a positive weight")
        absent = set(self.country_weights) - set(self.consent_deny)
        if absent:
            raise InputError(f"World.consent_deny lacks {', '.join(sorted(absent))}, which country_weights has")
        if self.use_days == 0:
            raise InputError("World.use_days must be above 0")
        if self.orders_per_customer < 1:
            raise InputError("World.orders_per_customer must be 1 or more: a customer is somebody who ordered")
        if self.storage not in tuple(Storage):
            raise UnknownNameError("storage", str(self.storage), Storage)
        object.__setattr__(self, "storage", Storage(self.storage))
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", self.start) or self.days < 1:
            raise InputError("World.start must be a day as YYYY-MM-DD, and World.days 1 or more")

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def __reduce__(self) -> Any:  # frozen mappings do not pickle by themselves
        return World.from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        """Show what differs from the default world."""
        mine, default = self.to_dict(), _DEFAULTS
        return f"World({', '.join(f'{k}={v!r}' for k, v in mine.items() if v != default[k])})"

    @classmethod
    def preset(cls, name: str = "blend", *, lag: str = "ecom") -> World:
        """Return a named world.

        Parameters
        ----------
        name : str
            ``blend`` (US .55, GB, DE and FR .15 each), ``US``, ``GB``, ``DE``, ``FR``, or ``b2b``, which brings its
            own lag.
        lag : str
            ``ecom``, ``b2b`` or ``criteo``.

        Raises
        ------
        UnknownNameError
            No such preset or lag; lists those there are.
        """
        if name not in PRESETS:
            raise UnknownNameError("preset", name, PRESETS)
        if lag not in LAGS:
            raise UnknownNameError("lag", lag, LAGS)
        return cls().with_values({**LAGS[lag], **PRESETS[name]})

    @classmethod
    def lossless(cls) -> World:
        """Return a world in which nothing is lost and every pair shares its id."""
        off = {one.name: one.off for one in PARAMETERS if one.off is not None}
        return replace(cls().with_values(off), storage=Storage.FIRST_PARTY)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> World:
        """Return the world `to_dict` described; what is absent is the default.

        Raises
        ------
        UnknownNameError
            No such field.
        """
        known = [one.name for one in fields(cls)]
        for name in values:
            if name not in known:
                raise UnknownNameError("field of World", name, known)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as numbers, texts and plain dicts: what JSON can hold."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = {k: dict(v) if isinstance(v, Mapping) else v for k, v in found.items()}
        return plain | {"storage": str(self.storage)}

    def with_values(self, values: Mapping[str, float]) -> World:
        """Return this world with some numbers changed.

        Parameters
        ----------
        values : mapping
            Names of `table` to numbers, such as ``{"page_left": .02, "consent_deny.DE": .3}``.

        Raises
        ------
        UnknownNameError
            No such parameter.
        """
        changed: dict[str, Any] = {}
        known = {one.field for one in PARAMETERS}
        for name, value in values.items():
            whole, _, key = name.partition(".")
            if whole not in known or bool(key) is not (whole in BY_COUNTRY | BY_PLATFORM):
                raise UnknownNameError("parameter", name, [one.name for one in PARAMETERS])
            if key:
                changed.setdefault(whole, dict(getattr(self, whole)))[key] = value
            else:
                changed[whole] = value
        return replace(self, **changed)

    def values(self) -> dict[str, float]:
        """Return every number under the name `table` and `with_values` use."""
        found: dict[str, float] = {}
        for whole in dict.fromkeys(one.field for one in PARAMETERS):
            value = getattr(self, whole)
            found |= {f"{whole}.{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {whole: value}
        return found

    def on(self, conversions: pd.DataFrame) -> LaidWorld:
        """Lay this world on a ledger: its orders, values and customers stay, what tracking saw of them is drawn.

        Parameters
        ----------
        conversions : DataFrame
            Contract ``conversions``. Orders of one ``user_key`` share their traits. What the ledger says of a customer
            (country, browser, system, device, consent) and of an order is what happens; e-mail addresses, phone
            numbers and the like are made up where it has no such column, amounts never. Click ids are drawn anew.

        Returns
        -------
        LaidWorld
            For `simulate`. Rows of real origin become ``semi-synthetic``.

        Raises
        ------
        ContractError
            The ledger breaks its contract.
        """
        from capi_lab.simulate.ledger import LaidWorld

        return LaidWorld(self, conversions)

    def matching(self, platform: str) -> Matching:
        """Return what one platform can do with an event; the click window is its spec's.

        Raises
        ------
        UnknownNameError
            No such platform, or the world has no value for it.
        """
        window = platform_named(platform).spec.window("click").default
        found = {}
        for name in Matching._fields[:-1]:
            values = getattr(self, name)
            if platform not in values:
                raise UnknownNameError(f"platform in World.{name}", platform, values)
            found[name] = values[platform]
        return Matching(**found, window=window)

    @staticmethod
    def table() -> pd.DataFrame:
        """Return every parameter with its prior and what is known of it.

        Returns
        -------
        DataFrame
            ``name``, ``default`` (the mode), ``low`` and ``high`` (ends of a triangular prior), ``grade`` (a word of
            `Evidence`), ``source``, ``meaning``.
        """
        import pandas as pd

        names = ("name", "default", "low", "high", "grade", "source", "meaning")
        table = pd.DataFrame([[getattr(one, name) for name in names] for one in PARAMETERS], columns=list(names))
        return table.assign(grade=table["grade"].map(str))


def _described(rows: tuple[Parameter, ...]) -> str:
    """Write the parameters' section of the docstring from the data, so that it is stated once."""
    lines = ["", "    Parameters", "    ----------"]
    for whole in dict.fromkeys(one.field for one in rows):
        first = next(one for one in rows if one.field == whole)
        kind = "mapping of country" if whole in BY_COUNTRY else "mapping of platform" if whole in BY_PLATFORM else ""
        lines += [f"    {whole} : {kind + ' to float' if kind else 'float'}", f"        {first.meaning}."]
    return "\n".join(lines)


World.__doc__ = f"{World.__doc__}{_described(PARAMETERS)}{_SETTINGS}"
_DEFAULTS = World().to_dict()
