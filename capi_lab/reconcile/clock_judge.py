"""Judge small histograms of clock distances: which fault, if any, explains them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from capi_lab.reconcile.chance import DAY_US
from capi_lab.reconcile.clock_zones import HOUR_US, segments, utc_offsets, zone_models
from capi_lab.words import ClockFault

__all__ = [
    "DAY_US", "FACTORS", "FAR_US", "HOUR_US", "QUARTER_US", "SHARP_US", "Histograms", "Judged", "Strict", "Verdict",
    "ZoneFit", "judge",
]  # fmt: skip

Ints = NDArray[np.int64]

QUARTER_US = HOUR_US // 4  # every zone's offset is a multiple
SHARP_US = 120_000_000  # a pair this close to a whole quarter hour may be a zone's
FAR_US = 26 * HOUR_US  # no zone is farther from another
FACTORS = (1e3, 1e6, 1e-3, 1e-6)  # of the clock's time since 1970, to be the other's
_MIN_FACTOR_PAIRS = 5  # nothing natural puts an event a thousandfold off
_LEVELS = 6
_DAY_PAIRS = 10  # for a day's median to count in a drift


@dataclass(frozen=True)
class Histograms:
    """Counts of one clock against another.

    Parameters
    ----------
    n : int
        Pairs.
    first, last : int
        Microseconds; of the other clock.
    by_factor : dict
        Pairs that a factor of `FACTORS` explains.
    hours : array (m, 3)
        Hour since 1970, distance in quarter hours, pairs that sharp.
    days : array (m, 3)
        Day since 1970, distance in seconds, pairs.
    """

    n: int
    first: int
    last: int
    by_factor: dict[float, int]
    hours: Ints
    days: Ints


@dataclass(frozen=True)
class Strict:
    """How strict to be; see `capi_lab.clock_findings`."""

    tolerance_us: int
    min_pairs: int
    min_share: float
    zones: tuple[str, ...]

    def margin(self, n: int, share: float) -> float:
        """Return how many pairs more a second hypothesis must explain than a constant distance."""
        return float(max(self.min_pairs, 4 * n**0.5, share * n))


@dataclass(frozen=True)
class ZoneFit:
    """Zones that explain the distances equally well, and how: see `clock_zones.zone_models`."""

    zones: tuple[str, ...]
    sign: int
    base: int


@dataclass(frozen=True)
class Judged:
    """A fault with its evidence: ``k`` of ``n`` pairs; times and offsets in microseconds.

    ``offset`` is the clock minus the other (the later one where it steps), ``before`` that before ``since``;
    ``per_day`` seconds of drift a day, with ``offset`` at ``since``.
    """

    fault: ClockFault
    k: int
    n: int
    since: int | None = None
    offset: int | None = None
    before: int | None = None
    factor: float | None = None
    per_day: float | None = None
    fits: tuple[ZoneFit, ...] = ()

    @property
    def zones(self) -> tuple[str, ...]:
        """Zones of the likeliest reading."""
        return self.fits[0].zones if self.fits else ()

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Wilson interval of k of n."""
        ci = stats.binomtest(self.k, self.n).proportion_ci(level, method="wilson")
        return float(ci.low), float(ci.high)

    def same_as(self, other: Judged, tolerance: int) -> bool:
        """Return whether the other is the same fault, of the same size and date."""

        def close(a: float | None, b: float | None, by: float) -> bool:
            return a is b or (a is not None and b is not None and abs(a - b) <= by)

        return (
            self.fault is other.fault
            and close(self.offset, other.offset, 2 * tolerance)
            and close(self.before, other.before, 2 * tolerance)
            and self.factor == other.factor
            and close(self.per_day, other.per_day, 0.1 * abs(self.per_day or 0))
            and (self.fault is not ClockFault.STEP or close(self.since, other.since, 2 * DAY_US))
        )

    def turned(self, other: Judged) -> Judged:
        """Return the fault as one of the other clock; the evidence is the larger of the two."""
        more = self if self.n >= other.n else other
        fits = sorted((replace(fit, sign=-fit.sign) for fit in more.fits), key=_preference)
        return replace(
            more,
            offset=None if more.offset is None else -more.offset,
            before=None if more.before is None else -more.before,
            factor=None if more.factor is None else 1 / more.factor,
            per_day=None if more.per_day is None else -more.per_day,
            fits=tuple(fits),
        )


@dataclass(frozen=True)
class Verdict:
    """``verdict`` (``fits``, ``finding``, ``thin`` or ``blurred``) and the faults found."""

    verdict: str
    found: tuple[Judged, ...] = ()


def judge(h: Histograms, strict: Strict) -> Verdict:
    """Judge one clock against another: units first, then zones, then seconds."""
    if h.n < strict.min_pairs:
        return Verdict("thin")
    found = [
        Judged(ClockFault.UNIT, k, h.n, since=h.first, factor=factor)
        for factor, k in h.by_factor.items()
        if k >= _MIN_FACTOR_PAIRS
    ]
    n = h.n - sum(h.by_factor.values())
    verdict = "thin"
    if n >= strict.min_pairs:
        fault, verdict = _by_quarter(h, n, strict)
        if fault is None:
            fault, sharper = _by_second(h, n, strict)
            verdict = sharper if verdict == "blurred" else verdict
        found += [fault] if fault else []
    return Verdict("finding" if found else verdict, tuple(found))


# -- whole quarter hours: zones and their daylight saving ------------------------------------------------


def _by_quarter(h: Histograms, n: int, strict: Strict) -> tuple[Judged | None, str]:
    if not len(h.hours):
        return None, "blurred"
    hour, quarter, count = (h.hours[:, i] for i in range(3))
    quarters, totals = _totals(quarter, count)
    best = max(range(len(quarters)), key=lambda i: (totals[i], -abs(quarters[i])))
    constant, most = int(quarters[best]), int(totals[best])
    models = _zone_counts(hour, quarter, count, strict.zones)
    k_zone = max((k for *_, steps, k in models if steps), default=0)
    step = _best_step(hour, quarter, count, [int(q) for q in quarters[np.argsort(-totals, kind="stable")][:_LEVELS]])
    margin, slack = strict.margin(n, 0.02), max(10.0, 0.01 * n)
    enough = strict.min_share * n
    if k_zone - most >= margin and k_zone >= enough and (step is None or k_zone >= step.k - slack):
        fits = _fits([m for m in models if m[3]], k_zone - slack)
        zone, fit = fits[0].zones[0], fits[0]
        since = segments(zone, int(hour.min()) * HOUR_US, int(hour.max()) * HOUR_US)[1][0]
        before, offset = fit.sign * (utc_offsets(zone, np.array([since - HOUR_US, since])) - fit.base)
        return Judged(ClockFault.DST_STEP, k_zone, n, since, int(offset), int(before), fits=fits), "finding"
    if step is not None and step.k - most >= margin and step.k >= enough and step.holds(strict):
        since, offset, before = step.at * HOUR_US, step.later * QUARTER_US, step.earlier * QUARTER_US
        return Judged(ClockFault.STEP, step.k, n, since, offset, before), "finding"
    if most < enough:
        return None, "blurred"
    flat = [m for m in models if m[2] == 0]
    fits = _fits(flat, max((m[4] for m in flat), default=0) - slack) if constant else ()
    explains = bool(fits) and max(m[4] for m in flat) >= most - slack
    if constant and (explains or constant % 4 == 0):
        since, fits = int(hour.min()) * HOUR_US, fits if explains else ()
        return Judged(ClockFault.WHOLE_HOURS, most, n, since, constant * QUARTER_US, fits=fits), "finding"
    return None, "fits"


def _zone_counts(
    hour: Ints, quarter: Ints, count: Ints, zones: tuple[str, ...]
) -> list[tuple[str, int, int, bool, int]]:
    """Return zone, sign, base, whether its offset changes in the log, and how many pairs it explains."""
    hours, at = np.unique(hour, return_inverse=True)
    inside = (hours > 0) & (hours < 100 * 366 * 24)  # a ledger from the year 3000 has no zones
    if not inside.all():
        return []
    found = []
    for zone, sign, base, distance in zone_models(zones, hours * HOUR_US):
        expected = distance // QUARTER_US
        k = int(count[expected[at] == quarter].sum())
        found.append((zone, sign, base, bool((expected != expected[0]).any()), k))
    return found


def _fits(models: Iterable[tuple[str, int, int, bool, int]], least: float) -> tuple[ZoneFit, ...]:
    """Group the zones that explain at least so many pairs by how they are read; likeliest reading first."""
    groups: dict[tuple[int, int], list[str]] = {}
    for zone, sign, base, _, k in models:
        if k >= max(least, 1):
            groups.setdefault((sign, base), []).append(zone)
    return tuple(sorted((ZoneFit(tuple(z), sign, base) for (sign, base), z in groups.items()), key=_preference))


def _preference(fit: ZoneFit) -> tuple[bool, bool]:
    """Local times read as UTC come first, fixed offsets last."""
    return fit.base != 0, fit.sign < 0


# -- seconds: constant, step, drift ------------------------------------------------------------------------


def _by_second(h: Histograms, n: int, strict: Strict) -> tuple[Judged | None, str]:
    if not len(h.days):
        return None, "blurred"
    day, second, count = (h.days[:, i] for i in range(3))
    reach = strict.tolerance_us // 1_000_000
    levels, k_constant = _levels(second, count, reach)
    near = np.full(len(second), -1, dtype="int64")
    for i in reversed(range(len(levels))):
        near[np.abs(second - levels[i]) <= reach] = i
    step = _best_step(day[near >= 0], near[near >= 0], count[near >= 0], list(range(len(levels))))
    k_step = step.k if step else 0
    enough, margin = strict.min_share * n, strict.margin(n, 0.05)
    drift = _drift(day, second, count, reach)
    if drift is not None and drift[0] >= enough and drift[0] - max(k_constant, k_step) >= margin:
        k, slope, start = drift
        return Judged(ClockFault.DRIFT, k, n, int(day.min()) * DAY_US, round(start * 1e6), per_day=slope), "finding"
    if step is not None and k_step >= enough and k_step - k_constant >= margin and step.holds(strict):
        later, earlier = levels[step.later], levels[step.earlier]
        if abs(later - earlier) > 2 * reach:
            since = step.at * DAY_US
            return Judged(ClockFault.STEP, k_step, n, since, later * 1_000_000, earlier * 1_000_000), "finding"
    if k_constant < enough:
        return None, "blurred"
    if abs(levels[0]) > 2 * reach:
        since = int(day.min()) * DAY_US
        return Judged(ClockFault.CONSTANT_OFFSET, k_constant, n, since, levels[0] * 1_000_000), "finding"
    return None, "fits"


def _levels(second: Ints, count: Ints, reach: int) -> tuple[list[int], int]:
    """Return the commonest distances (seconds), each the median of what lies near a peak, and the first one's count."""
    seconds, totals = _totals(second, count)
    left, first = totals.copy(), 0
    levels: list[int] = []
    for _ in range(_LEVELS):
        sums = np.concatenate([[0], np.cumsum(left)])
        low, high = np.searchsorted(seconds, seconds - reach), np.searchsorted(seconds, seconds + reach, side="right")
        near = sums[high] - sums[low]
        peak = int(np.lexsort((-np.abs(seconds), near))[-1])  # most pairs; of equals the nearest to zero
        if near[peak] == 0 or (levels and near[peak] < 0.1 * totals.sum()):
            break
        window = slice(int(low[peak]), int(high[peak]))
        levels.append(_median(seconds[window], left[window]))
        inside = np.abs(seconds - levels[-1]) <= reach
        first = first or int(left[inside].sum())
        left[window] = 0
        left[inside] = 0
    return levels, first


def _drift(day: Ints, second: Ints, count: Ints, reach: int) -> tuple[int, float, float] | None:
    """Fit a line through the daily medians (Theil–Sen); pairs it explains, seconds a day, seconds at the first day."""
    order = np.lexsort((second, day))
    day, second, count = day[order], second[order], count[order]
    days, start = np.unique(day, return_index=True)
    ends = [*start[1:], len(day)]
    medians = [
        (int(d), _median(second[a:b], count[a:b]))
        for d, a, b in zip(days, start, ends, strict=True)
        if count[a:b].sum() >= _DAY_PAIRS
    ]
    if len(medians) < 5:
        return None
    x, y = np.array(medians, dtype="float64").T
    fit = stats.theilslopes(y, x, alpha=0.99)
    if fit.low_slope <= 0 <= fit.high_slope or abs(fit.slope) * (x[-1] - x[0]) <= 2 * reach:
        return None
    line = fit.intercept + fit.slope * day
    k = int(count[np.abs(second - line) <= reach + abs(fit.slope) / 2].sum())
    return k, float(fit.slope), float(fit.intercept + fit.slope * (days[0] - 0.5))


# -- shared ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    k: int
    at: int
    earlier: int
    later: int
    sides: tuple[tuple[int, int], tuple[int, int]]  # explained and all pairs before, after

    def holds(self, strict: Strict) -> bool:
        """Return whether either side stands on its own."""
        return all(k >= max(strict.min_pairs, strict.min_share * n) for k, n in self.sides)


def _best_step(time: Ints, level: Ints, count: Ints, levels: list[int]) -> _Step | None:
    """Find the two levels and the moment between them that explain most pairs."""
    times, at = np.unique(time, return_inverse=True)
    running = {
        v: np.cumsum(np.bincount(at, np.where(level == v, count, 0), len(times)).astype("int64")) for v in levels
    }
    everything = np.cumsum(np.bincount(at, count, len(times)).astype("int64"))
    best = None
    for earlier in levels:
        for later in levels:
            if earlier == later or len(times) < 2:
                continue
            a, b = running[earlier], running[later]
            k = a[:-1] + b[-1] - b[:-1]
            i = int(np.argmax(k))
            if best is None or k[i] > best.k:
                begin = i + 1 + int(np.argmax(np.diff(b)[i:] > 0))
                before, after = (
                    (int(a[i]), int(everything[i])),
                    (int(b[-1] - b[i]), int(everything[-1] - everything[i])),
                )
                best = _Step(int(k[i]), int(times[begin]), earlier, later, (before, after))
    return best


def _totals(values: Ints, count: Ints) -> tuple[Ints, Ints]:
    unique, at = np.unique(values, return_inverse=True)
    return unique, np.bincount(at, count).astype("int64")


def _median(values: Ints, count: Ints) -> int:
    """Return the weighted lower median; values ascend."""
    sums = np.cumsum(count)
    return int(values[np.searchsorted(sums, sums[-1] / 2)])
