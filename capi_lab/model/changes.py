"""Changes one could make, and which rows of a ledger each of them touches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
import pandas as pd

from capi_lab.errors import InputError, UnknownNameError
from capi_lab.measure.lags import LAGS, band_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.platforms.spec import PlatformSpec

    Floats = NDArray[np.float64]

__all__ = [
    "ASSUMED_SURVIVAL",
    "LAGS",
    "Change",
    "ConsentUplift",
    "FixIds",
    "KeepClickIds",
    "PhoneAtCheckout",
    "SendWithin",
    "Touched",
    "change_named",
]

ASSUMED_SURVIVAL: Mapping[str, float] = MappingProxyType({"1h": 1.0, "1d": 0.62, "7d": 0.58, "30d": 0.51, "later": 0.0})
"""Share of captured click ids still known at the conversion where no browser deletes them: the rest is lost to other
devices and cleared cookies. Assumed (the simulator's default world, browsers other than Safari)."""


@dataclass(frozen=True)
class Touched:
    """What a change does to rows.

    Parameters
    ----------
    weight : array
        Probability that the row changes.
    slope : array
        How that grows with the share the change aims at.
    error : float
        Standard error of that share.
    after : DataFrame
        What the rows have then (columns of `capi_lab.measure.strata.possessed`).
    covered : Series of bool
        Whether they then reach the platform.
    rests_on : str
        What is assumed, in words.
    """

    weight: Floats
    slope: Floats
    error: float
    after: pd.DataFrame
    covered: pd.Series
    rests_on: str


@dataclass(frozen=True, kw_only=True)
class KeepClickIds:
    """Keep the click id until the conversion: a cookie set by one's own server, redirects that keep parameters.

    Parameters
    ----------
    to : float, optional
        The share of all rows that would carry one. Without, ``survival`` says it of rows that follow a click
        (``click_time``), by browser and lag, so that the rows won are those that really lack it, not average ones.
    survival : mapping
        Share that keeps it, by lag (`LAGS`) or by (browser, lag); a band that already keeps more is left alone.
    error : float, optional
        Standard error of these shares. Default: 0 with ``to`` or a survival of your own, .05 with the assumed one.
    """

    to: float | None = None
    survival: Mapping[str, float] | Mapping[tuple[str, str], float] = field(default_factory=lambda: ASSUMED_SURVIVAL)
    error: float | None = None
    name: ClassVar[str] = "keep_click_ids"

    def touch(self, rows: pd.DataFrame, covered: pd.Series, spec: PlatformSpec) -> Touched:
        """Say which rows gain a click id; `InputError` where ``click_time`` is not there and ``to`` not given."""
        has = rows["click_id"].to_numpy(dtype=bool)
        after = rows.assign(click_id=True)
        if self.to is not None:
            weight, slope = _raised(has, _share("to", self.to), np.zeros(len(rows), dtype=int))
            return Touched(weight, slope, self.error or 0.0, after, covered, f"{self.to:.0%} of rows carry a click id")
        if "click_time" not in rows or rows["click_time"].isna().all():
            raise InputError("keep_click_ids needs click_time (see attach_clicks), or the share aimed at: to=0.3")
        clicked = rows["click_time"].notna().to_numpy()
        lag = lag_of(rows)
        browser = rows["browser"].fillna("?") if "browser" in rows else pd.Series("all browsers", index=rows.index)
        codes, groups = pd.factorize(pd.MultiIndex.from_arrays([browser, lag]))
        aims = np.array([self.survival.get((b, g), self.survival.get(g, 0.0)) for b, g in groups])  # type: ignore[call-overload]
        weight, slope = np.zeros(len(rows)), np.zeros(len(rows))
        weight[clicked], slope[clicked] = _raised(has[clicked], aims[codes[clicked]], codes[clicked])
        own = self.survival is not ASSUMED_SURVIVAL
        error = self.error if self.error is not None else (0.0 if own else 0.05)
        words = "survival given" if own else "survival assumed, as in browsers that delete no cookies"
        return Touched(weight, slope, error, after, covered, f"{words}; by browser and lag")


@dataclass(frozen=True, kw_only=True)
class PhoneAtCheckout:
    """Ask for the phone number at checkout.

    Parameters
    ----------
    share : float
        Of rows that then have one.
    """

    share: float = 0.9
    name: ClassVar[str] = "phone_at_checkout"

    def touch(self, rows: pd.DataFrame, covered: pd.Series, spec: PlatformSpec) -> Touched:
        """Say which rows gain a phone number."""
        takes = any(key.source == "phone" for key in spec.match_keys)
        has = rows["phone"].to_numpy(dtype=bool)
        weight, slope = _raised(has, _share("share", self.share), np.zeros(len(rows), dtype=int))
        words = f"{self.share:.0%} of rows have a phone number" if takes else "the platform takes no phone number"
        return Touched(weight * takes, slope * takes, 0.0, rows.assign(phone=True), covered, words)


@dataclass(frozen=True, kw_only=True)
class FixIds:
    """Mend click ids, e-mail addresses and phone numbers that are there and that the platform cannot use."""

    name: ClassVar[str] = "fix_ids"

    def touch(self, rows: pd.DataFrame, covered: pd.Series, spec: PlatformSpec) -> Touched:
        """Say which rows carry something unusable."""
        keys = ["click_id", "email", "phone"]
        bad = rows[[f"bad_{key}" for key in keys]].any(axis=1).to_numpy(dtype=bool)
        after = rows.assign(**{key: rows[key] | rows[f"bad_{key}"] for key in keys})
        return Touched(bad.astype("float64"), np.zeros(len(rows)), 0.0, after, covered, "every one can be mended")


@dataclass(frozen=True, kw_only=True)
class SendWithin:
    """Send soon, so that nothing is refused for its age.

    Parameters
    ----------
    hours : float
        After the conversion.
    """

    hours: float = 1.0
    name: ClassVar[str] = "send_within_1h"

    def touch(self, rows: pd.DataFrame, covered: pd.Series, spec: PlatformSpec) -> Touched:
        """Say which rows were sent too late to be taken; `InputError` where it is not known when they were sent."""
        if _sent_at(rows) is None:
            raise InputError("send_within_1h needs when rows were sent: a column received_time or sent_at")
        if self.hours < 0:
            raise InputError("hours must be 0 or more")
        old = too_old(rows, spec)
        soon = pd.Timedelta(hours=self.hours) <= spec.route(None).limits.max_age
        words = "what was refused for its age; no platform publishes that a younger event is matched more often"
        return Touched(
            old.astype("float64") * soon, np.zeros(len(rows)), 0.0, rows, covered | pd.Series(old, rows.index), words
        )


@dataclass(frozen=True, kw_only=True)
class ConsentUplift:
    """Win over some of those who refuse consent; asking better, not sending without.

    Parameters
    ----------
    won : float
        Share of refusals that become consent.
    """

    won: float = 0.1
    name: ClassVar[str] = "consent_uplift"

    def touch(self, rows: pd.DataFrame, covered: pd.Series, spec: PlatformSpec) -> Touched:
        """Say which rows could not be sent for want of consent; `InputError` where consent is not known."""
        if "consent_ad_user_data" not in rows:
            raise InputError("consent_uplift needs the column consent_ad_user_data")
        denied = (rows["consent_ad_user_data"] == "denied").fillna(False).to_numpy(dtype=bool)
        then = covered | pd.Series(denied & ~too_old(rows, spec), rows.index)
        weight, slope = np.where(denied, _share("won", self.won), 0.0), denied.astype("float64")
        return Touched(weight, slope, 0.0, rows, then, f"{self.won:.0%} of refusals won over, alike in what they carry")


Change: TypeAlias = KeepClickIds | PhoneAtCheckout | FixIds | SendWithin | ConsentUplift
_NAMED: Mapping[str, type[Change]] = MappingProxyType(
    {
        "keep_click_ids": KeepClickIds,
        "phone_at_checkout": PhoneAtCheckout,
        "send_within_1h": SendWithin,
        "fix_ids": FixIds,
        "consent_uplift": ConsentUplift,
    }
)


def change_named(change: str | Change) -> Change:
    """Return a change; a name stands for its defaults.

    Raises
    ------
    UnknownNameError
        No such name.
    """
    if not isinstance(change, str):
        return change
    if change not in _NAMED:
        raise UnknownNameError("change", change, _NAMED)
    return _NAMED[change]()


def lag_of(rows: pd.DataFrame) -> pd.Series:
    """Return the band of each row's time from click to conversion; missing without a click."""
    return band_of(rows["event_time"] - rows["click_time"])


def too_old(rows: pd.DataFrame, spec: PlatformSpec) -> NDArray[np.bool_]:
    """Say which rows were sent later than the platform takes them; none where it is not known when."""
    at = _sent_at(rows)
    if at is None:
        return np.zeros(len(rows), dtype=bool)
    return np.asarray((at - rows["event_time"]) > spec.route(None).limits.max_age, dtype=bool)


def _sent_at(rows: pd.DataFrame) -> pd.Series | None:
    known = [name for name in ("received_time", "sent_at") if name in rows]
    return rows[known[0]] if known else None


def _share(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise InputError(f"{name} is a share: give a number between 0 and 1")
    return value


def _raised(has: NDArray[np.bool_], aim: float | Floats, codes: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return with which probability rows that lack something gain it, if their group is to reach a share."""
    n = np.bincount(codes)
    share = (np.bincount(codes, weights=has) / np.maximum(n, 1))[codes]
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(share < 1, 1 / (1 - share), 0.0)
    gain = np.maximum(aim - share, 0.0)
    return np.where(has, 0.0, gain * each), np.where(has | (gain == 0), 0.0, each)
