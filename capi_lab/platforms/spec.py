"""The types a platform's rules are written in.

A platform is one frozen `PlatformSpec`: facts only, no pandas, no clock, no network. Whatever needs a
rule (validator, dedup replay, simulator, sender) reads that value. A fact the platform does not document
is an `Assumption`, so that it can be seen and overridden instead of hiding in code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType

from capi_lab.words import Channel

__all__ = [
    "Assumption",
    "BrowserPreference",
    "ClickIdRule",
    "Confidence",
    "DedupRule",
    "FallbackRule",
    "Platform",
    "PlatformSpec",
    "Source",
]


class Confidence(StrEnum):
    """How far a fact is known."""

    HIGH = "high"
    """Read on the official page or in official source code."""
    MEDIUM = "medium"
    """Through a third party that quotes the official page."""
    LOW = "low"
    """Vendor, blog or a single user's report."""
    ASSUMED = "assumed"
    """Not documented anywhere we could read; a setting."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was read, when, and how far it is known."""

    url: str
    checked: date
    confidence: Confidence
    note: str = ""


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
    sources : mapping
        Field name (or ``field.part``) to its `Source`; a test demands one for each fact.
    """

    name: str
    title: str
    event_names: Mapping[str, str]
    dedup: DedupRule
    click_ids: tuple[ClickIdRule, ...]
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
