"""Offsets of time zones from UTC, and which zones would explain observed whole-hour offsets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capi_lab.errors import UnknownNameError

__all__ = ["CLOCK_RULES", "HOUR_US", "segments", "standard_offset", "utc_offsets", "zone_models"]

HOUR_US = 3_600_000_000

# One zone for each set of clock rules that much of the world's commerce lives by; callers may name others.
CLOCK_RULES = (
    "Europe/London", "Europe/Berlin", "Europe/Helsinki", "Europe/Istanbul", "Africa/Lagos", "Africa/Johannesburg",
    "America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles",
    "America/Sao_Paulo", "Asia/Dubai", "Asia/Kolkata", "Asia/Bangkok", "Asia/Shanghai", "Asia/Tokyo",
    "Australia/Brisbane", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip


def utc_offsets(zone: str, us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the zone's offset from UTC, in microseconds, at each instant (microseconds since 1970)."""
    times = pd.DatetimeIndex(us.astype("datetime64[us]"), tz="UTC")
    local = times.tz_convert(_known(zone)).tz_localize(None)
    return np.asarray(local.as_unit("us").asi8 - times.as_unit("us").asi8, dtype="int64")


def standard_offset(zone: str, us: int) -> int:
    """Return the smaller of the zone's offsets in the year around an instant."""
    half_year = 26 * 7 * 24 * HOUR_US
    return int(utc_offsets(zone, np.array([us, us + half_year], dtype="int64")).min())


def zone_models(zones: tuple[str, ...], us: NDArray[np.int64]) -> Iterator[tuple[str, int, int, NDArray[np.int64]]]:
    """Yield zone, sign, base and the distances (microseconds) they predict at each instant.

    Sign +1: the clock runs on the zone's local time although read as UTC (base 0) or as a fixed offset (base); −1: it
    was read as the zone although it runs on UTC (base 0) or on a fixed offset.
    """
    for zone in zones:
        offsets = utc_offsets(zone, us)
        for base in sorted({0, standard_offset(zone, int(us[0]))}, key=abs):
            for sign in (1, -1):
                yield zone, sign, base, sign * (offsets - base)


def segments(zone: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return (from, offset) of every stretch of equal offset between two instants, all in microseconds.

    Exact to the hour, on which all of today's zones change.
    """
    hours = np.arange(start // HOUR_US, end // HOUR_US + 2, dtype="int64") * HOUR_US
    offsets = utc_offsets(zone, hours)
    changes = np.flatnonzero(np.diff(offsets)) + 1
    return [(int(hours[i]), int(offsets[i])) for i in (0, *changes)]


@cache
def _known(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise UnknownNameError("time zone", zone, CLOCK_RULES) from None
