"""The knobs of a simulated shop's tracking.

Defaults and their grade of evidence are listed in `World`; none of them is a headline. Whatever share of
conversions a pixel sees comes out of the mechanisms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from capi_lab.errors import InputError, UnknownNameError
from capi_lab.shipped import shipped_folder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["World", "browser_shares"]


def _frozen(values: Mapping[str, float]) -> Mapping[str, float]:
    return MappingProxyType(dict(values))


@dataclass(frozen=True, kw_only=True)
class World:
    """One shop's customers, browsers and tracking set-up. All probabilities lie in [0, 1].

    Parameters
    ----------
    country_weights : mapping
        Country (alpha-2) to its share of customers. Assumed.
    consent_deny : mapping
        Country to the share of customers who refuse marketing consent. Assumed, from studies of consent
        banners: 50-67 % refuse an equally visible button; consenting visitors buy more.
    consent_gate : bool
        Server events need consent too. Off is a breach of the law in most places, not a feature.
    blocker_desktop, blocker_mobile : float
        Share of customers with a content blocker. Vendor surveys, 2023.
    blocker_firefox_factor : float
        Firefox users block this many times as often (capped at 1). A blog's server log.
    list_blocks_pixel : float
        Share of blockers whose lists cover the pixel (EasyPrivacy or equal). Assumed; which lists cover it was
        measured.
    brave_of_chrome : float
        Brave reports itself as Chrome and blocks the pixel. Assumed.
    private_mode : float
        Customers who buy in a private window: blocks the pixel in Safari and Firefox, not in Chrome. Assumed.
    firefox_strict : float
        Firefox users in strict mode. Assumed.
    page_left, script_failed, server_failed : float
        Per order. Assumed.
    id_missing, id_mismatch : float
        Pairs in which one event lacks the shared id, or the two ids differ. From duplicate rows in a public
        analytics sample.
    reload : float
        Thank-you pages loaded again, sending the same pixel event. Same source.
    known_customer : float
        Share of customers whose events carry the shop's own customer id. Assumed.
    """

    country_weights: Mapping[str, float] = field(
        default_factory=lambda: _frozen({"US": 0.55, "GB": 0.15, "DE": 0.15, "FR": 0.15})
    )
    consent_deny: Mapping[str, float] = field(
        default_factory=lambda: _frozen({"US": 0.06, "GB": 0.25, "DE": 0.45, "FR": 0.40})
    )
    consent_gate: bool = True
    blocker_desktop: float = 0.27
    blocker_mobile: float = 0.10
    blocker_firefox_factor: float = 1.8
    list_blocks_pixel: float = 0.65
    brave_of_chrome: float = 0.03
    private_mode: float = 0.06
    firefox_strict: float = 0.10
    page_left: float = 0.05
    script_failed: float = 0.04
    server_failed: float = 0.01
    id_missing: float = 0.02
    id_mismatch: float = 0.05
    reload: float = 0.03
    known_customer: float = 0.5

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            shares = list(value.values()) if isinstance(value, Mapping) else [value]
            if one.name != "blocker_firefox_factor" and not all(0 <= share <= 1 for share in shares):
                raise InputError(f"World.{one.name} must lie in [0, 1]")
        if not self.country_weights or sum(self.country_weights.values()) <= 0:
            raise InputError("World.country_weights needs a country with a positive weight")
        absent = set(self.country_weights) - set(self.consent_deny)
        if absent:
            raise InputError(f"World.consent_deny lacks {', '.join(sorted(absent))}, which country_weights has")

    @classmethod
    def lossless(cls) -> World:
        """Return a world in which nothing is lost and every pair shares its id."""
        off = {
            one.name: 0.0
            for one in fields(cls)
            if one.name not in ("country_weights", "consent_deny", "consent_gate", "known_customer")
        }
        default = cls()
        return cls(**off, consent_deny=dict.fromkeys(default.country_weights, 0.0))  # type: ignore[arg-type]


@cache
def browser_shares(country: str) -> pd.DataFrame:
    """Return the shipped browser shares of one country.

    Parameters
    ----------
    country : str
        ISO-3166 alpha-2, or ``"ww"`` for the world.

    Returns
    -------
    DataFrame
        ``browser``, ``os``, ``device`` and ``share`` (sums to 1 over the tracked browsers).

    Raises
    ------
    UnknownNameError
        The file has no such country.

    Notes
    -----
    Page views, not orders: caniuse-db (CC BY 4.0), from StatCounter; see ``data/README.md``.
    """
    import pandas as pd

    table = pd.read_csv(shipped_folder("data") / "browser_shares.csv", comment="#", keep_default_na=False)
    rows = table[table["country"] == country]
    if rows.empty:
        raise UnknownNameError("country", country, sorted(table["country"].unique()))
    return rows.assign(share=rows["share"] / rows["share"].sum())[["browser", "os", "device", "share"]].reset_index(
        drop=True
    )
