"""Who a platform takes an event to be from: what it could be matched by, and what it is matched by.

The platform's own side of a match is chance that belongs to a thing (`keyed`): whether a person has an account,
whether the account knows this very address or number, what became of this very click id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.identity import KEY_RULES, hash_column
from capi_lab.simulate.keyed import keyed_uniforms
from capi_lab.words import Channel, MatchedBy, Stratum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.platforms.spec import PlatformSpec
    from capi_lab.simulate.world import World

__all__ = ["Known", "canonical_clicks", "identifiers", "match"]

_COOKIES = frozenset({"Chrome"})
"""Browsers in which a known tracker still reads its own cookies on other sites."""


@dataclass(frozen=True, slots=True)
class Known:
    """What one platform can read of events; one value a row, None where there is none.

    Parameters
    ----------
    email, phone : Series
        Digests as the platform compares them.
    ip : Series
        Address and user agent as one text; None where the platform takes both and one is missing.
    click : Series
        The click id itself, whatever it was wrapped in.
    person : Series
        To whom the platform's knowledge of a person belongs.
    """

    email: pd.Series
    phone: pd.Series
    ip: pd.Series
    click: pd.Series
    person: pd.Series

    @property
    def stratum(self) -> pd.Series:
        """The strongest thing each row could be matched by, as a `Stratum`."""
        conditions = [self.click.notna(), self.email.notna() | self.phone.notna(), self.ip.notna()]
        words = [str(one) for one in Stratum]
        return pd.Series(np.select(conditions, words[:3], words[3]), index=self.click.index, dtype="str")


def identifiers(events: pd.DataFrame, people: pd.DataFrame, spec: PlatformSpec) -> Known:
    """Read what a platform can compare.

    Parameters
    ----------
    events : DataFrame
        With any of the match keys and click ids, raw or hashed.
    people : DataFrame
        Same index: what is known of each row's person besides (``email``, ``phone``, ``user_key``, ``country``).
    spec : PlatformSpec
    """
    rules, country = KEY_RULES[spec.name], _column(events, "country").fillna(_column(people, "country"))

    def digest(frame: pd.DataFrame, key: str) -> pd.Series:
        if key not in rules or key not in frame or frame[key].isna().all():
            return _nothing(events)
        return hash_column(frame[key], key, spec.name, country)

    email, phone = digest(events, "email"), digest(events, "phone")
    address, agent = _column(events, "client_ip"), _column(events, "user_agent")
    ip = address + " " + agent if "user_agent" in rules else address
    ip = ip if "client_ip" in rules else _nothing(events)
    person = digest(people, "email")
    for other in (
        digest(people, "phone"),
        email,
        phone,
        _column(people, "user_key"),
        *(_column(events, name) for name in ("user_key", "external_id", "fbp", "ttp", "visitor_id")),
        ip,
    ):
        person = person.fillna(other)
    return Known(email, phone, ip, _click_of(events, spec), person)


def canonical_clicks(values: pd.Series, param: str, spec: PlatformSpec) -> pd.Series:
    """Return click ids as the platform compares them: out of what wraps them, and in one spelling."""
    for rule in spec.click_ids:
        if rule.param == param and rule.wraps is not None:
            return values.str.extract(rule.wraps.pattern, expand=False)
        if rule.param == param and rule.core:
            parts = values.str.extract(rule.core)
            return parts.fillna("").agg("".join, axis=1).str.lower().where(parts[0].notna())
    return values


def _click_of(events: pd.DataFrame, spec: PlatformSpec) -> pd.Series:
    """Return the first click id of each row, in the order of the spec; the bare one after what wraps it."""
    found = _nothing(events)
    for rule in spec.click_ids:
        if rule.is_click:
            for param in (rule.param, *((rule.wraps.param,) if rule.wraps else ())):
                found = found.fillna(canonical_clicks(_column(events, param), param, spec))
    return found.mask(found == "")


def match(
    known: Known,
    channel: pd.Series,
    browser: pd.Series,
    clicker: NDArray[np.bool_],
    world: World,
    platform: str,
    seed: int,
) -> pd.Series:
    """Say by what each row is matched: a `MatchedBy`, missing where by nothing.

    Parameters
    ----------
    known : Known
    channel, browser : Series
    clicker : ndarray of bool
        The platform saw this person click.
    world : World
    platform : str
    seed : int

    Notes
    -----
    Measurement model: a click id works unless it was garbled, belongs to another account, was filtered or may not be
    linked; else the person needs an account, and the account this address, this number, or this connection. Whoever
    clicked an ad was signed in with ``signed_in_at_click``. A browser that still lends third-party cookies shows the
    pixel its user with ``pixel_signed_in``.
    """
    able = world.matching(platform)

    def under(mechanism: str, values: pd.Series, chance: float | NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(keyed_uniforms(seed, (platform, mechanism), values) < chance, dtype=bool)

    lost = np.zeros(len(known.click), dtype=bool)
    for fate in ("cid_corrupt", "cid_foreign", "cid_invalid", "cid_optout"):
        lost |= under(fate, known.click, getattr(world, fate))
    account = under("account", known.person, np.where(clicker, able.signed_in_at_click, able.account))
    reads = (channel == str(Channel.PIXEL)) & browser.isin(_COOKIES)
    ways = {
        MatchedBy.CLICK_ID: known.click.notna().to_numpy() & ~lost,
        MatchedBy.EMAIL: account & under("em_eq", known.email, able.em_eq),
        MatchedBy.PHONE: account & under("ph_eq", known.phone, able.ph_eq),
        MatchedBy.COOKIE: account & reads.to_numpy(dtype=bool) & under("cookie", known.person, world.pixel_signed_in),
        MatchedBy.IP: account & under("ip_match", known.ip, able.ip_match),
    }
    found = np.select(list(ways.values()), [str(way) for way in ways], default="")
    return pd.Series(found, index=known.click.index, dtype="str").mask(found == "")


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name] if name in frame else _nothing(frame)


def _nothing(frame: pd.DataFrame) -> pd.Series:
    return pd.Series(None, index=frame.index, dtype="str")
