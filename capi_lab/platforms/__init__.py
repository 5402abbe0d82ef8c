"""The platforms: one folder each, read through `PLATFORMS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from capi_lab.errors import UnknownNameError
from capi_lab.platforms.google import GOOGLE
from capi_lab.platforms.linkedin import LINKEDIN
from capi_lab.platforms.meta import META
from capi_lab.platforms.microsoft import MICROSOFT
from capi_lab.platforms.spec import Platform, PlatformSpec
from capi_lab.platforms.tiktok import TIKTOK

__all__ = ["PLATFORMS", "Platform", "PlatformSpec", "described", "platform"]

PLATFORMS: Mapping[str, Platform] = MappingProxyType(
    {one.spec.name: one for one in (META, GOOGLE, TIKTOK, MICROSOFT, LINKEDIN)}
)
"""Every platform by name. A new one is a folder and its name here."""


def described(name: str | None = None) -> str:
    """Return the rules as Markdown: one platform's, or the whole page docs/platforms.md.

    Parameters
    ----------
    name : str, optional

    Returns
    -------
    str

    Raises
    ------
    UnknownNameError
        No such platform.
    """
    from capi_lab.platforms.describe import describe, describe_all

    return describe_all(one.spec for one in PLATFORMS.values()) if name is None else describe(platform(name).spec)


def platform(name: str) -> Platform:
    """Return a platform.

    Parameters
    ----------
    name : str

    Returns
    -------
    Platform

    Raises
    ------
    UnknownNameError
        No such platform; the message lists those there are.
    """
    try:
        return PLATFORMS[name]
    except KeyError:
        raise UnknownNameError("platform", name, PLATFORMS) from None
