"""The types of a platform's rules about events: when two are one, which ids it reads, which consent it wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from capi_lab.words import Channel

__all__ = [
    "Assumption",
    "AttributionWindow",
    "BrowserPreference",
    "ClickIdRule",
    "ConsentRule",
    "Dated",
    "DedupRule",
    "FallbackRule",
    "Keep",
    "MatchBuckets",
    "MergeRule",
    "ReportRule",
    "Wrapped",
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


class Keep(StrEnum):
    """Which of two events that are one stays."""

    FIRST = "first received"
    PIXEL = "the browser's, whenever it comes"
    NONE = "none of them"


@dataclass(frozen=True, slots=True)
class MergeRule:
    """What the kept event takes over from the dropped one.

    Parameters
    ----------
    within : timedelta or None
        Only if the later one came this soon; None for the whole window.
    fill : tuple of str
        Columns filled where the kept event's is missing.
    replace : tuple of str
        Columns the later event overwrites.
    fill_together : bool
        ``fill`` applies only if the kept event lacks *all* of those columns.
    across_channels_only : bool
        Only from an event of the other channel.
    from_channel : Channel or None
        Only a dropped event of this channel gives anything (Google: the server's value replaces the tag's, a second
        tag event gives nothing); None for either.
    """

    within: timedelta | None
    fill: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    fill_together: bool = False
    across_channels_only: bool = True
    from_channel: Channel | None = None


@dataclass(frozen=True, slots=True)
class FallbackRule:
    """Dedup for events where an event id is lacking.

    Parameters
    ----------
    keys : tuple of str
        Identity columns, strongest first: two events are compared on the first key that both carry.
    first : Channel
        Only an event of the *other* channel can be dropped, and only after an event of this one.
    window : timedelta or None
        Where it differs from the rule's own.
    needs_no_id : bool
        The later event itself must lack the id; else either side's lack is enough.
    """

    keys: tuple[str, ...]
    first: Channel
    window: timedelta | None = None
    needs_no_id: bool = False


@dataclass(frozen=True, slots=True)
class DedupRule:
    """When two reports count as one.

    Parameters
    ----------
    key : tuple of str
        Columns whose exact, case-sensitive equality makes two events candidates; a missing value never matches.
    window : timedelta or None
        Counted in receipt time from the first kept event; the end itself is inside. None: no end is known.
    same_channel : bool or Assumption
        Do two events of one channel with the same key merge too?
    keep : Keep
    prefer : BrowserPreference or None
        Which copy stays when the two arrive almost together.
    merge : MergeRule or None
        What the kept event takes over; None where nothing, or nothing documented.
    fallback : FallbackRule or None
        What happens without an event id.
    instead : tuple of str
        Key for events that lack a part of ``key`` (Google: click id and time); empty for none.
    blind_to_case : tuple of str
        Columns of ``key`` compared without regard to case.
    missing_matches : tuple of str
        Columns of ``key`` in which two missing values are equal, as long as one of these columns is there.
    channels : tuple of Channel
        Which channels take part.
    """

    key: tuple[str, ...]
    window: timedelta | None
    same_channel: bool | Assumption
    keep: Keep = Keep.FIRST
    prefer: BrowserPreference | None = None
    merge: MergeRule | None = None
    fallback: FallbackRule | None = None
    instead: tuple[str, ...] = ()
    blind_to_case: tuple[str, ...] = ()
    missing_matches: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = (Channel.PIXEL, Channel.CAPI)

    @property
    def merges_same_channel(self) -> bool:
        """The documented answer, or the assumed one."""
        return self.same_channel.value if isinstance(self.same_channel, Assumption) else self.same_channel


@dataclass(frozen=True, slots=True)
class Wrapped:
    """An id that another one holds inside: two spellings of one click.

    Parameters
    ----------
    param : str
        The inner id's name.
    pattern : str
        Its first group is the inner id; no shorthand classes, so that every engine reads it alike.
    made : str
        How the platform lets others make the outer id, with ``{id}`` for the inner one and ``{milliseconds}`` for the
        time it was first seen; empty where only the platform makes it.
    """

    param: str
    pattern: str
    made: str = ""


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
    pattern : str
        What a whole one looks like; a value that does not is reported.
    strict : bool
        A value that does not match makes the platform refuse the row; else it is only suspicious.
    is_click : bool
        False for browser ids.
    excludes : tuple of str
        Columns that must not be sent beside it.
    wraps : Wrapped or None
        The id of the URL inside this one, where the two name the same click.
    core : str
        Where one id has several spellings: a pattern whose groups, joined and in lower case, are the id itself. Empty
        where ids are compared byte for byte.
    """

    param: str
    cookie: str
    life: timedelta
    pattern: str = r"[A-Za-z0-9_.\-]+"
    strict: bool = False
    is_click: bool = True
    excludes: tuple[str, ...] = ()
    wraps: Wrapped | None = None
    core: str = ""


@dataclass(frozen=True, slots=True)
class ConsentRule:
    """What a platform wants to know of consent.

    Parameters
    ----------
    fields : mapping
        Our consent column to the platform's field; empty where it has none.
    words : mapping
        ``granted`` and ``denied`` in its words.
    missing : str
        What the platform takes a missing answer for.
    missing_is_denied_in : frozenset of str
        Countries (alpha-2) where it takes a missing ``consent_ad_user_data`` for denied.
    """

    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    words: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    missing: str = ""
    missing_is_denied_in: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AttributionWindow:
    """How long after a click or view a conversion may be credited.

    Parameters
    ----------
    touch : str
        ``click``, ``view`` or ``engagement``.
    default : timedelta
    options : tuple of timedelta
        Others an account can choose; empty where only the range is known (see ``note``).
    note : str
    end_inside : bool or Assumption
        Does a conversion exactly one window after the touch count?
    """

    touch: str
    default: timedelta
    options: tuple[timedelta, ...] = ()
    note: str = ""
    end_inside: bool | Assumption = Assumption(value=True, question="is the very end of a window inside it?")

    @property
    def includes_end(self) -> bool:
        """The documented answer, or the assumed one."""
        return self.end_inside.value if isinstance(self.end_inside, Assumption) else self.end_inside


class Dated(StrEnum):
    """Which day a platform counts a conversion on."""

    RECEIPT = "receipt"
    EVENT = "conversion"
    CLICK = "click"


@dataclass(frozen=True, slots=True)
class MatchBuckets:
    """A match rate told as a range of whole percentages.

    Parameters
    ----------
    ranges : tuple of (int, int)
        First and last percentage of each, ascending.
    least : int
        Fewer matches are not told at all.
    """

    ranges: tuple[tuple[int, int], ...]
    least: int


@dataclass(frozen=True, slots=True)
class ReportRule:
    """What a platform tells of what it made of events.

    Parameters
    ----------
    counts : mapping
        Which metrics of the contract ``reports`` it gives, and which day each is counted on.
    by_click_id : tuple of str
        Metrics it also gives for events with a click id.
    buckets : MatchBuckets or None
        A match rate it tells as a range.
    models : bool or Assumption
        Does ``attributed`` hold conversions it never observed?
    """

    counts: Mapping[str, Dated]
    by_click_id: tuple[str, ...] = ()
    buckets: MatchBuckets | None = None
    models: bool | Assumption = False

    @property
    def adds_modelled(self) -> bool:
        """The documented answer, or the assumed one."""
        return self.models.value if isinstance(self.models, Assumption) else self.models
