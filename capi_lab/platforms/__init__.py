"""The platforms: one folder each, read through `PLATFORMS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from capi_lab.errors import UnknownNameError
from capi_lab.platforms.meta import META
from capi_lab.platforms.spec import Platform, PlatformSpec

__all__ = ["PLATFORMS", "Platform", "PlatformSpec", "platform"]

PLATFORMS: Mapping[str, Platform] = MappingProxyType({one.spec.name: one for one in (META,)})
"""Every platform by name. A new one is a folder and its name here."""


def platform(name: str) -> Platform:
    """Return the platform called ``name``; `UnknownNameError` lists those there are."""
    try:
        return PLATFORMS[name]
    except KeyError:
        raise UnknownNameError("platform", name, PLATFORMS) from None
