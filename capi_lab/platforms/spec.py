"""A platform as one typed value: facts only, no pandas, no clock, no network.

Whatever needs a rule (validator, dedup replay, simulator, sandbox, sender) reads that value. A fact the platform
does not document is an `Assumption`, so that it can be seen and overridden instead of hiding in code. The types
of the parts are in `rules` (events, consent, click ids) and `route` (endpoints).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from capi_lab.errors import InputError, UnknownNameError
from capi_lab.identity.rules import KEY_RULES, Encoding
from capi_lab.platforms.pixel import PixelRule
from capi_lab.platforms.route import Route
from capi_lab.platforms.rules import AttributionWindow, ClickIdRule, ConsentRule, DedupRule, ReportRule
from capi_lab.sources import Source

if TYPE_CHECKING:
    from capi_lab.platforms.wire import Wire

__all__ = ["MatchKey", "Platform", "PlatformSpec", "fold_event_name", "match_keys"]


@dataclass(frozen=True, slots=True)
class MatchKey:
    """An identifier the platform takes, and the form it wants it in.

    Parameters
    ----------
    field : str
        The platform's name for it.
    source : str
        Our column.
    normalise : str
        A name in `capi_lab.identity.NORMALISERS`.
    hashed : bool
        Sent as a SHA-256 digest, or in clear text.
    encoding : Encoding
        How the digest is written.
    """

    field: str
    source: str
    normalise: str
    hashed: bool
    encoding: Encoding


def match_keys(platform: str, fields: Mapping[str, str]) -> tuple[MatchKey, ...]:
    """Name the fields that carry a platform's match keys.

    Parameters
    ----------
    platform : str
        Whose `capi_lab.identity.KEY_RULES` say how each key is normalised and hashed.
    fields : mapping
        Our column to the platform's field; every key of the platform must be there.
    """
    rules = KEY_RULES[platform]
    if set(fields) != set(rules):
        raise InputError(f"match keys of {platform} without a field or a rule: {sorted(set(fields) ^ set(rules))}")
    return tuple(
        MatchKey(name, key, rules[key].normaliser, rules[key].hashed, rules[key].encoding)
        for key, name in fields.items()
    )


@dataclass(frozen=True, slots=True)
class PlatformSpec:
    """Everything `capi_lab` knows about one platform.

    Parameters
    ----------
    name, title : str
        Machine and display name.
    event_names : mapping
        Canonical event name to the platform's standard name.
    match_keys : tuple of MatchKey
        Their sources are in `capi_lab.identity.KEY_RULES`.
    click_ids : tuple of ClickIdRule
    consent : ConsentRule
    windows : tuple of AttributionWindow
    reports : ReportRule
    routes : tuple of Route
        The default one first.
    pixel : PixelRule
        How to read what its browser pixel sends.
    sources : mapping
        Field name to its `Source`; a test demands one for each fact.
    aliases : mapping
        The platform's former names to canonical event names: understood when read, never sent.
    """

    name: str
    title: str
    event_names: Mapping[str, str]
    match_keys: tuple[MatchKey, ...]
    click_ids: tuple[ClickIdRule, ...]
    consent: ConsentRule
    windows: tuple[AttributionWindow, ...]
    reports: ReportRule
    routes: tuple[Route, ...]
    pixel: PixelRule
    sources: Mapping[str, Source]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_names", MappingProxyType(dict(self.event_names)))
        object.__setattr__(self, "aliases", MappingProxyType(dict(self.aliases)))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    def route(self, name: str | None = None) -> Route:
        """Return the route called ``name``; without one, the default. `UnknownNameError` lists those there are."""
        if name is None:
            return self.routes[0]
        for one in self.routes:
            if one.name == name:
                return one
        raise UnknownNameError(f"route of {self.name}", name, [one.name for one in self.routes])

    @property
    def dedup(self) -> DedupRule:
        """The dedup rule of the default route."""
        return self.routes[0].dedup

    def click_id(self, param: str) -> ClickIdRule:
        """Return the rule of one click or browser id; `UnknownNameError` lists those there are."""
        for one in self.click_ids:
            if one.param == param:
                return one
        raise UnknownNameError(f"click id of {self.name}", param, [one.param for one in self.click_ids])

    def window(self, touch: str) -> AttributionWindow:
        """Return the window of a touch: ``click``, ``view`` or ``engagement``, or else `UnknownNameError`."""
        for one in self.windows:
            if one.touch == touch:
                return one
        raise UnknownNameError(f"attribution window of {self.name}", touch, [one.touch for one in self.windows])

    def canonical_event(self, reported: str) -> str | None:
        """Return the canonical name for a reported one, whatever its spelling; None for a custom event."""
        return self.reported_names.get(fold_event_name(reported))

    def spelled(self, standard: Collection[str]) -> frozenset[str]:
        """Return the event names of our tables that are sent under one of these names of the platform."""
        ours = {name for name, theirs in self.event_names.items() if theirs in standard}
        # A name the platform has no word for is passed on as it is.
        return frozenset(ours | {name for name in standard if name not in self.event_names})

    @property
    def reported_names(self) -> Mapping[str, str]:
        """Folded reported name to canonical name; canonical names themselves and former ones are understood too."""
        names = {fold_event_name(canonical): canonical for canonical in self.event_names}
        names |= {fold_event_name(former): canonical for former, canonical in self.aliases.items()}
        return names | {fold_event_name(ours): canonical for canonical, ours in self.event_names.items()}


def fold_event_name(name: str) -> str:
    """Lower-case and keep letters and digits only: ``AddToCart``, ``add_to_cart`` and ``ADD TO CART`` are one."""
    return "".join(ch for ch in name.lower() if ch.isascii() and ch.isalnum())


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform: its rules, and its wires.

    Parameters
    ----------
    spec : PlatformSpec
    wires : mapping
        Route name to `Wire`.
    """

    spec: PlatformSpec
    wires: Mapping[str, Wire] = field(default_factory=dict)

    def wire(self, route: str | None = None) -> Wire:
        """Return the wire of a route; without a name, of the default one."""
        return self.wires[self.spec.route(route).name]
