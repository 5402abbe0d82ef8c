"""Where a send goes: the platform itself, or a sandbox on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import pandas as pd

from capi_lab.errors import InputError
from capi_lab.platforms.route import Route
from capi_lab.words import Origin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TELLING", "Target", "account_name", "refuse_untrue", "target_of"]

TELLING = ("origin", "page_url", "referrer_url")
"""Columns that show which rows must not reach a platform."""

_PLACEHOLDER = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://(?:[^/?#]*[.@])?"
    r"(?:example[.](?:com|net|org)|[^/?#.]+[.](?:example|test|invalid|localhost)|localhost|127[.][0-9.]+)"
    r"(?::[0-9]+)?(?:[/?#]|$)"
)


@dataclass(frozen=True, slots=True)
class Target:
    """Scheme and host that requests go to.

    Parameters
    ----------
    base : str
        Empty for the platform's own.
    live : bool
        False only on this machine.
    """

    base: str
    live: bool

    def url(self, own: str) -> str:
        """Return one of the platform's URLs, on this host."""
        if not self.base:
            return own
        scheme, host = urlsplit(self.base)[:2]
        return urlunsplit((scheme, host, *urlsplit(own)[2:]))

    @property
    def label(self) -> str:
        """What to call it."""
        return (self.base or "the platform") + ("" if self.live else " (sandbox)")


def target_of(host: str | None) -> Target:
    """Read where to send to.

    Parameters
    ----------
    host : str or None
        Scheme and host, such as ``http://127.0.0.1:8787``; None: the platform's own.

    Raises
    ------
    InputError
        It is no such thing, or would send in the clear over a network.
    """
    if host is None:
        return Target("", live=True)
    parts = urlsplit(host)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise InputError("host= must be scheme and host, such as http://127.0.0.1:8787")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InputError("host= is scheme and host only: the paths are the platform's")
    here = _is_loopback(parts.hostname)
    if parts.scheme == "http" and not here:
        raise InputError("host= must be https: only this machine may be talked to in the clear")
    return Target(f"{parts.scheme}://{parts.netloc}", live=not here)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def account_name(route: Route, chosen: Mapping[str, str]) -> str:
    """Name the account that rows end up in: the settings that say so, where they are not the usual ones."""
    told = (one for one in route.settings if one.account and chosen.get(one.name) not in (None, one.default))
    return "&".join(f"{one.name}={chosen[one.name]}" for one in told)


def refuse_untrue(
    frame: pd.DataFrame, going: NDArray[np.int64], route: Route, chosen: Mapping[str, str], target: Target
) -> None:
    """Refuse what must not reach a platform: rows nobody lived, test codes, placeholder URLs.

    Parameters
    ----------
    frame : DataFrame
        With the columns `TELLING`, where there are any.
    going : array of int
        Places of the rows that would leave.
    route : Route
    chosen : mapping
    target : Target

    Raises
    ------
    InputError
        Names column or setting and how many rows; a sandbox takes it all.
    """
    if not target.live:
        return
    for one in route.settings:
        if one.trial and chosen.get(one.name) not in (None, one.default):
            raise InputError(f"setting '{one.name}' is for trying out: leave it away, or give a sandbox as host=")
    frame = frame[[name for name in TELLING if name in frame]].iloc[going]
    origin = frame["origin"] if "origin" in frame else pd.Series(None, index=frame.index, dtype="str")
    invented = int((origin != Origin.REAL).fillna(value=True).sum())
    if invented:
        raise InputError(
            f"column 'origin' is not '{Origin.REAL}' in {invented:,} rows: only conversions that really happened may "
            "be sent to a platform; give a sandbox as host="
        )
    for name in TELLING[1:]:
        if name in frame and (n := int(_placeholder(frame[name]).sum())):
            raise InputError(f"column '{name}' holds a placeholder such as example.com in {n:,} rows: no page has it")


def _placeholder(urls: pd.Series) -> NDArray[bool]:  # type: ignore[type-var]
    found: NDArray[bool] = urls.str.contains(_PLACEHOLDER, regex=True).fillna(value=False).to_numpy(dtype=bool)  # type: ignore[type-var]
    return found
