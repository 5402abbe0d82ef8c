"""What pixel and server report of a ledger, mechanism by mechanism.

Traits (country, browser, consent, blocker, private mode) are drawn once per customer, mishaps (page left,
script failed, server failed) once per order. Each mechanism has a random stream of its own, so that turning
one knob leaves every other draw as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capi_lab.errors import InputError
from capi_lab.platforms import platform as platform_named
from capi_lab.simulate.browsers import browser_shares
from capi_lab.simulate.world import World
from capi_lab.tables import CONVERSIONS, EVENTS, checked
from capi_lab.words import Channel, Consent, GapCause, Origin

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Observation", "observe"]

_STREAMS = (
    "country", "browser", "consent", "blocker", "lists", "brave", "private", "strict", "known",
    "page_left", "script", "server", "ids", "reload", "pixel_delay", "server_delay",
)  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class Observation:
    """Two channels' view of one ledger.

    Parameters
    ----------
    conversions : DataFrame
        The ledger, with the customers' segments and consent.
    events : DataFrame
        Contract ``events``.
    truth : DataFrame
        One row per conversion: every `GapCause` that was active (bool, whether or not another was too),
        ``seen_pixel``, ``seen_capi``. No log shows this.
    """

    conversions: pd.DataFrame
    events: pd.DataFrame
    truth: pd.DataFrame

    def __repr__(self) -> str:
        """Show sizes, never rows: the ledger may hold people's data."""
        return (
            f"Observation: {len(self.conversions):,} conversions, {len(self.events):,} events; seen by the pixel "
            f"{self.truth['seen_pixel'].mean():.1%}, by the server {self.truth['seen_capi'].mean():.1%}"
        )


def observe(
    conversions: pd.DataFrame, world: World, *, rng: np.random.Generator, platform: str = "meta"
) -> Observation:
    """Lay tracking loss on a ledger.

    Parameters
    ----------
    conversions : DataFrame
        Contract ``conversions``. Orders of one ``user_key`` share their traits; an order without one is a
        customer of its own. ``country``, ``browser``, ``os``, ``device``, consent and ``event_id`` are drawn or
        made where missing; what the ledger says of a customer is what happens to it.
    world : World
    rng : numpy Generator
        Same state, same tables.
    platform : str
        To which platform both channels report.

    Returns
    -------
    Observation
        ``origin`` is ``semi-synthetic`` where the ledger is ``real``, else the ledger's own.

    Raises
    ------
    ContractError
        The ledger breaks its contract.
    UnknownNameError
        No such platform, or no browser shares for a country.
    """
    spec = platform_named(platform).spec
    ledger = checked(CONVERSIONS, conversions).reset_index(drop=True)
    streams = dict(zip(_STREAMS, rng.spawn(len(_STREAMS)), strict=True))
    person, of_person = _customers(ledger)
    traits = _traits(_known(ledger, of_person, len(person)), world, streams)
    for name in ("country", "browser", "os", "device"):
        drawn = pd.Series(traits[name].to_numpy()[of_person], dtype="str")
        drawn = drawn.mask(drawn == "")  # the shares do not tell every operating system
        ledger[name] = ledger[name].fillna(drawn) if name in ledger else drawn
    causes = _causes(traits.iloc[of_person].reset_index(drop=True), len(ledger), world, streams)
    refused = causes[str(GapCause.NO_CONSENT)]
    shared = "o-" + ledger["conversion_id"]
    origin = ledger["origin"] if "origin" in ledger else pd.Series(str(Origin.REAL), index=ledger.index)
    ledger = ledger.assign(
        consent_ad_user_data=np.where(refused, str(Consent.DENIED), str(Consent.GRANTED)),
        event_id=ledger["event_id"].fillna(shared) if "event_id" in ledger else shared,
        origin=origin.where(origin != str(Origin.REAL), str(Origin.SEMI_SYNTHETIC)),
    )
    gate = refused if world.consent_gate else np.zeros(len(ledger), dtype=bool)
    pixel_losses = [c for c in causes.columns if c != str(GapCause.SERVER_FAILED)]
    truth = causes.assign(
        conversion_id=ledger["conversion_id"],
        seen_pixel=~causes[pixel_losses].any(axis=1),
        seen_capi=~(causes[str(GapCause.SERVER_FAILED)] | gate),
    )
    known = traits["known"].to_numpy()[of_person]
    events = _events(ledger, truth, known, world, streams, spec.event_names, platform)
    first = ["conversion_id", "seen_pixel", "seen_capi"]
    truth = truth[first + [c for c in truth.columns if c not in first]]
    return Observation(checked(CONVERSIONS, ledger), events, truth)


def _customers(ledger: pd.DataFrame) -> tuple[Any, NDArray[np.int64]]:
    key = ledger["user_key"] if "user_key" in ledger else pd.Series(None, index=ledger.index, dtype="str")
    codes, people = pd.factorize(key.fillna("order " + ledger["conversion_id"]))
    return people, codes.astype(np.int64)


def _known(ledger: pd.DataFrame, of_person: NDArray[np.int64], n: int) -> pd.DataFrame:
    """Return what the ledger says of each customer: the first value of each trait, missing where it says nothing."""
    nothing = pd.Series([None] * n, dtype="str")
    names = ("country", "browser", "os", "device", "consent_ad_user_data")
    return pd.DataFrame({n: ledger[n].groupby(of_person).first() if n in ledger else nothing for n in names})


def _traits(known: pd.DataFrame, world: World, streams: dict[str, np.random.Generator]) -> pd.DataFrame:
    """Draw every customer once; what the ledger knows is not drawn, and what is drawn fits it."""
    n = len(known)
    countries = sorted(world.country_weights)
    weights = np.array([world.country_weights[c] for c in countries], dtype=float)
    country = streams["country"].choice(len(countries), size=n, p=weights / weights.sum())
    own = known["country"].notna().to_numpy()
    if own.any():
        countries = sorted({*countries, *known["country"].dropna()})
        unknown = [c for c in countries if c not in world.consent_deny]
        if unknown:
            raise InputError(f"World.consent_deny lacks {', '.join(unknown)}, which the ledger has")
        place = {name: code for code, name in enumerate(countries)}
        drawn = np.array([place[c] for c in sorted(world.country_weights)])[country]
        country = np.where(own, known["country"].map(place).fillna(0).astype("int64"), drawn)
    u = streams["browser"].random(n)
    parts = []
    for code, name in enumerate(countries):
        shares = browser_shares(name)
        rows = np.flatnonzero(country == code)
        cuts = np.cumsum(shares["share"].to_numpy())
        pick = np.minimum(np.searchsorted(cuts, u[rows], side="right"), len(shares) - 1)
        parts.append(shares.iloc[pick][["browser", "os", "device"]].assign(row=rows, country=name))
    traits = pd.concat(parts).sort_values("row", ignore_index=True).drop(columns="row")
    for name in ("browser", "os", "device"):
        traits[name] = known[name].reset_index(drop=True).fillna(traits[name]).astype("str")
    consent = known["consent_ad_user_data"].reset_index(drop=True)
    refuses = streams["consent"].random(n) < np.array([world.consent_deny[c] for c in countries])[country]
    refuses = np.where(consent.notna(), consent == Consent.DENIED, refuses)
    browser, device = traits["browser"], traits["device"]
    blocker = np.where(device == "desktop", world.blocker_desktop, world.blocker_mobile)
    blocker = np.minimum(np.where(browser == "Firefox", blocker * world.blocker_firefox_factor, blocker), 1.0)
    private = streams["private"].random(n) < world.private_mode
    brave = (streams["brave"].random(n) < world.brave_of_chrome) & (browser == "Chrome")
    strict = (streams["strict"].random(n) < world.firefox_strict) & (browser == "Firefox")
    return traits.assign(
        no_consent=refuses,
        blocker=(streams["blocker"].random(n) < blocker) & (streams["lists"].random(n) < world.list_blocks_pixel),
        # Private windows of Safari and Firefox block known trackers; Chrome's block cookies only.
        browser_private=brave | strict | (private & browser.isin(["Safari", "Firefox"])),
        known=streams["known"].random(n) < world.known_customer,
    )


def _causes(traits: pd.DataFrame, n: int, world: World, streams: dict[str, np.random.Generator]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            str(GapCause.NO_CONSENT): traits["no_consent"],
            str(GapCause.BLOCKER): traits["blocker"],
            str(GapCause.BROWSER_PRIVATE): traits["browser_private"],
            str(GapCause.PAGE_LEFT): streams["page_left"].random(n) < world.page_left,
            str(GapCause.SCRIPT_FAILED): streams["script"].random(n) < world.script_failed,
            str(GapCause.SERVER_FAILED): streams["server"].random(n) < world.server_failed,
        }
    )


def _events(
    ledger: pd.DataFrame,
    truth: pd.DataFrame,
    known: NDArray[np.bool_],
    world: World,
    streams: dict[str, np.random.Generator],
    names: Any,
    platform: str,
) -> pd.DataFrame:
    """Write down what each channel sent, with late, repeated and unlike ids."""
    n = len(ledger)
    u = streams["ids"].random((n, 2))
    pixel_id = ledger["event_id"].where(u[:, 0] >= world.id_mismatch, "p-" + ledger["conversion_id"])
    lacking = u[:, 1] < world.id_missing
    on_pixel = u[:, 1] < world.id_missing / 2  # half on either side
    seconds = {
        "pixel": 1 + streams["pixel_delay"].exponential(2.0, n),
        "server": streams["server_delay"].lognormal(np.log(30.0), 1.5, n),
        "reload": 60 + streams["reload"].exponential(3600.0, n),
    }
    again = streams["reload"].random(n) < world.reload
    common = {
        "platform": platform,
        "event_name": ledger["event_name"].map(lambda name: names.get(name, name)),
        "conversion_id": ledger["conversion_id"],
        "value": ledger["value"] if "value" in ledger else np.nan,
        "currency": ledger["currency"] if "currency" in ledger else None,
        "external_id": (ledger["user_key"] if "user_key" in ledger else pd.Series(None, index=ledger.index)).where(
            known
        ),
        "origin": ledger["origin"],
    }

    def report(channel: Channel, tag: str, rows: Any, ids: pd.Series, delay: Any, happened: Any) -> pd.DataFrame:
        frame = pd.DataFrame(
            common
            | {
                "row_id": tag + ledger["conversion_id"],
                "channel": str(channel),
                "event_id": ids,
                "event_time": (ledger["event_time"] + pd.to_timedelta(np.round(happened), unit="s")).dt.as_unit("us"),
                "received_time": (ledger["event_time"] + pd.to_timedelta(np.round(delay, 3), unit="s")).dt.as_unit(
                    "us"
                ),
            }
        )
        return frame[np.asarray(rows)]

    seen = truth["seen_pixel"].to_numpy()
    pixel_ids = pixel_id.mask(lacking & on_pixel)
    parts = [
        report(Channel.PIXEL, "p-", seen, pixel_ids, seconds["pixel"], np.zeros(n)),
        report(Channel.PIXEL, "r-", seen & again, pixel_ids, seconds["reload"] + 1, seconds["reload"]),
        report(
            Channel.CAPI,
            "s-",
            truth["seen_capi"],
            ledger["event_id"].mask(lacking & ~on_pixel),
            seconds["server"],
            np.zeros(n),
        ),
    ]
    events = pd.concat(parts, ignore_index=True)
    events = events.sort_values(["received_time", "row_id"], ignore_index=True)
    for name in ("event_name", "currency", "external_id", "platform", "channel", "row_id", "event_id", "origin"):
        events[name] = events[name].astype("str")
    return checked(EVENTS, events)
