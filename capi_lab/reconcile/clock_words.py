"""Say in words what a clock's fault may be and what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from capi_lab.reconcile.clock_judge import Judged, ZoneFit
from capi_lab.words import ClockFault

__all__ = ["duration_in_words", "remedy"]

_WHOSE = {"pixel": "the pixel's", "capi": "the server's", "ledger": "the ledger's"}


def duration_in_words(microseconds: int) -> str:
    """Return ``+2:00:00 h`` or ``+37 s``, with its sign."""
    sign, seconds = "-" if microseconds < 0 else "+", abs(microseconds) // 1_000_000
    if seconds < 600:
        return f"{sign}{seconds} s"
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} h"


def remedy(clock: str, judged: Judged) -> str:
    """Describe one fault of a clock, and the remedy."""
    whose, offset = _WHOSE[clock], duration_in_words(judged.offset or 0)
    if judged.fault is ClockFault.UNIT:
        return f"{_unit(judged.factor or 1)} for {whose} times: load them with the right unit"
    if judged.fault is ClockFault.CONSTANT_OFFSET:
        return f"{whose} times are {offset} off, by its clock or because it stamps that much later: correct the clock"
    if judged.fault is ClockFault.DRIFT:
        return f"{whose} clock drifts by {judged.per_day:+.3g} s a day: synchronise it (NTP)"
    if judged.fault is ClockFault.STEP:
        before = duration_in_words(judged.before or 0)
        return f"{whose} times are {before} off before {_day(judged)} and {offset} after: find out what changed then"
    what = f"{whose} times are {offset} off"
    if judged.fault is ClockFault.DST_STEP:
        what += f", {duration_in_words(judged.before or 0)} before {_day(judged)}, as daylight saving would"
    readings = [_reading(fit) for fit in judged.fits]
    return f"{what}: {'; or '.join(readings) or 'find out the zone they are in and load them with tz='}"


def _reading(fit: ZoneFit) -> str:
    zone, others = fit.zones[0], ", ".join(fit.zones[1:])
    others = f" ({others} would fit as well)" if others else ""
    fixed = str(timedelta(microseconds=abs(fit.base)))[:-3]
    fixed = f"a fixed UTC{'-' if fit.base < 0 else '+'}{fixed}"
    if fit.sign > 0:
        read = "UTC" if fit.base == 0 else fixed
        return f'local time read as {read}, load with tz="{zone}"{others}'
    true = 'UTC read as local time, load with tz="UTC" and not' if fit.base == 0 else f"{fixed} read as, not"
    return f'{true} tz="{zone}"{others}'


def _unit(factor: float) -> str:
    return {
        1e3: "seconds were read as milliseconds (or milliseconds as microseconds)",
        1e6: "seconds were read as microseconds",
        1e-3: "milliseconds were read as seconds (or microseconds as milliseconds)",
        1e-6: "microseconds were read as seconds",
    }[min((1e3, 1e6, 1e-3, 1e-6), key=lambda known: abs(known / factor - 1))]


def _day(judged: Judged) -> str:
    return f"{datetime.fromtimestamp((judged.since or 0) / 1e6, UTC):%Y-%m-%d %H:%M} UTC"
