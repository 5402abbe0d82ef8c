"""The type of a platform's rule about its pixel: which requests report events, and where they carry what.

Pixels are documented less than interfaces for servers: what was only seen in captured requests says so in its source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from capi_lab.sources import Source

__all__ = ["Carries", "PixelEndpoint", "PixelField", "PixelRule", "fields"]


class Carries(StrEnum):
    """What a request to an endpoint is."""

    EVENT = "events"
    COPY = "a copy of an event that another endpoint gets"
    NONE = "no event: settings, user data alone, telemetry"


@dataclass(frozen=True, slots=True)
class PixelEndpoint:
    """Where a pixel sends to.

    Parameters
    ----------
    host, path : str
        Patterns of the whole host, in lower case, and of the whole path. A group of ``path`` is the pixel's id.
    carries : Carries
    account : str
        How the pixel's id is written around the group of ``path``, ``{}`` for it.
    batched : bool
        Each line of a body is an event of its own and shares the URL's parameters.
    """

    host: str
    path: str
    carries: Carries = Carries.EVENT
    account: str = "{}"
    batched: bool = False


@dataclass(frozen=True, slots=True)
class PixelField:
    """Where a request carries one of our columns.

    Parameters
    ----------
    names : tuple of str
        Parameters, the first that has a value. A JSON body's are paths (``context.page.url``), and so are those of a
        parameter in `PixelRule.nested`.
    pattern : str
        What a whole value looks like; its first group is kept, nothing where that group took no part. Empty: any.
    words : mapping
        Their words for ours; a word that is not there is missing. Empty: kept as it is.
    """

    names: tuple[str, ...]
    pattern: str = ""
    words: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def read(self, sent: Mapping[str, str]) -> str | None:
        """Read the column out of a request's parameters; None where it is not there or not of the form."""
        value = next((sent[name] for name in self.names if sent.get(name, "").strip()), None)
        if value is not None and self.pattern:
            shape = re.fullmatch(self.pattern, value)
            value = shape[1] if shape else None
        return self.words.get(value or "") if self.words else value


@dataclass(frozen=True, slots=True)
class PixelRule:
    """How to read the requests of a platform's pixel.

    Parameters
    ----------
    endpoints : tuple of PixelEndpoint
        The first that fits a request.
    fields : mapping
        Our column to `PixelField`. ``event_time`` is the browser's own time of the event, ``pixel_id`` the pixel,
        tag or account, ``conversion_action`` the platform's name of what is counted.
    sources : mapping
        Name of a parameter above, or ``fields.<column>``, to its `Source`; a test demands one for each.
    no_events : frozenset of str
        Event names of requests that report nothing.
    unnamed : tuple of (parameter, name)
        What a request without an event name is called: by the first of these parameters it has, by any for ``""``.
    nested : tuple of str
        Parameters whose value is a query string of its own.
    packed : tuple of str
        Parameters whose value is the JSON body in base64.
    """

    endpoints: tuple[PixelEndpoint, ...]
    fields: Mapping[str, PixelField]
    sources: Mapping[str, Source]
    no_events: frozenset[str] = frozenset()
    unnamed: tuple[tuple[str, str], ...] = ()
    nested: tuple[str, ...] = ()
    packed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))


def fields(**names: str | tuple[str, ...]) -> dict[str, PixelField]:
    """Write fields that are kept as they are: our column to a parameter or several."""
    return {ours: PixelField((theirs,) if isinstance(theirs, str) else theirs) for ours, theirs in names.items()}
