"""The types a platform's rules are written in.

A platform is one frozen `PlatformSpec`: facts only, no pandas, no clock, no network. Whatever needs a
rule (validator, dedup replay, simulator, sender) reads that value. A fact the platform does not document
is an `Assumption`, so that it can be seen and overridden instead of hiding in code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from capi_lab.errors import InputError
from capi_lab.identity.rules import KEY_RULES, Encoding
from capi_lab.sources import Confidence, Source
from capi_lab.words import Channel

__all__ = [
    "Assumption",
    "BrowserPreference",
    "ClickIdRule",
    "Confidence",
    "DedupRule",
    "FallbackRule",
    "MatchKey",
    "Platform",
    "PlatformSpec",
    "Source",
    "match_keys",
]


@dataclass(frozen=True, slots=True)
class Assumption:
    """A switch for something the platform does not document.

    Parameters
    ----------
    value : bool
        What we assume unless told otherwise.
    question : str
        What is not known, as a question.
    """

    value: bool
    question: str


@dataclass(frozen=True, slots=True)
class BrowserPreference:
    """Near-ties: within ``within`` of each other, the copy of ``channel`` is the one kept."""

    channel: Channel
    within: timedelta


@dataclass(frozen=True, slots=True)
class FallbackRule:
    """Dedup for events where either side lacks the event id.

    Parameters
    ----------
    keys : tuple of str
        Identity columns, strongest first: two events are compared on the first key that both carry.
    first : Channel
        Only an event of the *other* channel can be dropped, and only after an event of this one.
    """

    keys: tuple[str, ...]
    first: Channel


@dataclass(frozen=True, slots=True)
class DedupRule:
    """When two reports count as one.

    Parameters
    ----------
    key : tuple of str
        Columns whose exact, case-sensitive equality makes two events candidates; a missing value never matches.
    window : timedelta
        Counted in receipt time from the first kept event; the end itself is inside.
    same_channel : Assumption
        Do two events of one channel with the same key merge too?
    prefer : BrowserPreference or None
        Which copy stays when the two arrive almost together.
    fallback : FallbackRule or None
        What happens without an event id.
    """

    key: tuple[str, ...]
    window: timedelta
    same_channel: Assumption
    prefer: BrowserPreference | None = None
    fallback: FallbackRule | None = None


@dataclass(frozen=True, slots=True)
class ClickIdRule:
    """A click or browser id the platform reads.

    Parameters
    ----------
    param : str
        Our column.
    cookie : str
        The first-party cookie that keeps it.
    life : timedelta
        How long that cookie lives unless a browser cuts it short.
    """

    param: str
    cookie: str
    life: timedelta


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
        MatchKey(field, key, rules[key].normaliser, rules[key].hashed, rules[key].encoding)
        for key, field in fields.items()
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
    dedup : DedupRule
    click_ids : tuple of ClickIdRule
    match_keys : tuple of MatchKey
        Sources of these are in `capi_lab.identity.KEY_RULES`.
    sources : mapping
        Field name (or ``field.part``) to its `Source`; a test demands one for each fact.
    """

    name: str
    title: str
    event_names: Mapping[str, str]
    dedup: DedupRule
    click_ids: tuple[ClickIdRule, ...]
    match_keys: tuple[MatchKey, ...]
    sources: Mapping[str, Source]

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_names", MappingProxyType(dict(self.event_names)))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    def canonical_event(self, reported: str) -> str | None:
        """Return the canonical name for a reported one, whatever its spelling; None for a custom event."""
        return self.reported_names.get(fold_event_name(reported))

    @property
    def reported_names(self) -> Mapping[str, str]:
        """Folded reported name to canonical name; canonical names themselves are understood too."""
        names = {fold_event_name(canonical): canonical for canonical in self.event_names}
        return names | {fold_event_name(ours): canonical for canonical, ours in self.event_names.items()}


def fold_event_name(name: str) -> str:
    """Lower-case and keep letters and digits only: ``AddToCart``, ``add_to_cart`` and ``ADD TO CART`` are one."""
    return "".join(ch for ch in name.lower() if ch.isascii() and ch.isalnum())


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform: its rules, and its wires by route."""

    spec: PlatformSpec
    wires: Mapping[str, object] = field(default_factory=dict)
