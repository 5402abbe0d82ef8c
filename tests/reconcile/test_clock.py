"""Wrong clocks show in the distances between reports of one conversion; clean ones do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.reconcile.clock import _histograms
from capi_lab.reconcile.clock_judge import FACTORS, Histograms, Strict, judge
from capi_lab.reconcile.clock_zones import CLOCK_RULES, utc_offsets

STRICT = Strict(tolerance_us=5_000_000, min_pairs=30, min_share=0.5, zones=CLOCK_RULES)
START = int(pd.Timestamp("2026-01-01", tz="UTC").value // 1000)
DAY = 86_400_000_000
S, H = 1_000_000, 3_600_000_000


def counted(us: np.ndarray, ref: np.ndarray) -> Histograms:
    """The histograms by plain arithmetic, apart from the engine's expressions."""
    dt = us - ref
    by_factor, off = {}, np.zeros(len(us), dtype=bool)
    for factor in FACTORS:
        hit = (np.abs(us * factor - ref) <= 2 * DAY) & (np.abs(dt) > 2 * DAY)
        by_factor[factor], off = int(hit.sum()), off | hit
    keep = ~off & (np.abs(dt) <= 26 * H)
    dt, ref = dt[keep], ref[keep]
    quarter = np.floor(dt / (H / 4) + 0.5).astype("int64")
    sharp = np.abs(dt - quarter * (H // 4)) <= 120 * S

    def grouped(*columns: np.ndarray) -> np.ndarray:
        values, n = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
        return np.column_stack([values, n]).astype("int64").reshape(-1, 3)

    hours = grouped((ref // H)[sharp], quarter[sharp])
    days = grouped(ref // DAY, np.floor(dt / S + 0.5).astype("int64"))
    first, last = (int(f(ref)) if len(ref) else 0 for f in (np.min, np.max))
    return Histograms(len(us), first, last, by_factor, hours, days)


def orders(rng: np.random.Generator, n: int, days: float = 365) -> np.ndarray:
    return np.sort(START + rng.integers(0, int(days * DAY), n))


def lag(rng: np.random.Generator, n: int, seconds: float = 2) -> np.ndarray:
    return (rng.exponential(seconds, n) * S).astype("int64")


def found(us: np.ndarray, ref: np.ndarray):
    return judge(counted(us, ref), STRICT)


@pytest.mark.parametrize("offset", [37, -37, 600, -5000])
def test_a_constant_offset_is_found(offset: int) -> None:
    """To within the lag, in 20 logs of 200 pairs."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        t = orders(rng, 200, 30)
        verdict = found(t + offset * S + lag(rng, 200), t)
        (fault,) = verdict.found
        assert fault.fault == "constant_offset"
        assert abs(fault.offset / S - offset) <= 2
        assert fault.k >= 0.8 * fault.n == 160
        assert fault.since == t.min() // DAY * DAY


@pytest.mark.parametrize(
    ("hours", "zone"), [(2, "Africa/Johannesburg"), (5.5, "Asia/Kolkata"), (-7, "America/Phoenix")]
)
def test_whole_hours_all_year_are_a_zone_without_summer_time(hours: float, zone: str) -> None:
    """The offset is exact, and the zones that keep it all year are named."""
    rng = np.random.default_rng(1)
    t = orders(rng, 500)
    (fault,) = found(t + int(hours * H) + lag(rng, 500, 20), t).found
    assert (fault.fault, fault.offset, fault.zones[0]) == ("whole_hours", hours * H, zone)


def test_whole_hours_of_a_summer_leave_a_choice() -> None:
    """In June two hours may be Berlin or Johannesburg: both are named, neither chosen."""
    rng = np.random.default_rng(2)
    t = orders(rng, 500, 30) + 150 * DAY
    (fault,) = found(t + 2 * H + lag(rng, 500), t).found
    assert fault.fault == "whole_hours"
    assert {"Europe/Berlin", "Africa/Johannesburg"} <= set(fault.zones)
    assert "Europe/Helsinki" not in fault.zones


@pytest.mark.parametrize(
    ("zone", "since"),
    [
        ("Europe/Berlin", "2026-03-29 01:00"),
        ("Europe/London", "2026-03-29 01:00"),
        ("America/New_York", "2026-03-08 07:00"),
        ("America/Chicago", "2026-03-08 08:00"),
        ("America/Los_Angeles", "2026-03-08 10:00"),
        ("Australia/Sydney", "2026-04-04 16:00"),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_summer_time_gives_zone_and_date(zone: str, since: str, sign: int) -> None:
    """Local time read as UTC, and UTC read as local time; the date is the law's (IANA), to the hour."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        t = orders(rng, 400)
        (fault,) = found(t + sign * utc_offsets(zone, t) + lag(rng, 400, 10), t).found
        assert fault.fault == "dst_step"
        assert fault.fits[0].zones == (zone,)
        assert (fault.fits[0].sign, fault.fits[0].base) == (sign, 0)
        assert fault.since == pd.Timestamp(since, tz="UTC").value // 1000
        assert {fault.offset - fault.before} in ({H}, {-H})


def test_a_fixed_offset_instead_of_summer_time() -> None:
    """Right in winter, an hour off in summer: a zone with the European dates, or a fixed offset for its neighbours."""
    rng = np.random.default_rng(5)
    t = orders(rng, 600)
    (fault,) = found(t + utc_offsets("Europe/Berlin", t) - H + lag(rng, 600), t).found
    assert fault.fault == "dst_step"
    assert fault.fits[0].zones == ("Europe/London",)
    assert any("Europe/Berlin" in fit.zones and fit.base == H for fit in fault.fits)


@pytest.mark.parametrize(("after", "size"), [(120, 2 * H), (120, -41 * S), (300, 90 * S), (60, H)])
def test_a_step_on_no_zones_date(after: int, size: int) -> None:
    """The date is found to the day, and the side before it stays clean."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        t = orders(rng, 1500)
        (fault,) = found(t + np.where(t >= START + after * DAY, size, 0) + lag(rng, 1500), t).found
        assert fault.fault == "step"
        assert abs(fault.since - START - after * DAY) <= DAY
        assert abs(fault.before) <= 5 * S
        assert abs(fault.offset - size) <= 5 * S


def test_drift_is_not_taken_for_steps() -> None:
    """Half a second a day, to a twentieth of it."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        t = orders(rng, 4000, 120)
        (fault,) = found(t + ((t - START) * (0.5 / 86_400)).astype("int64") + lag(rng, 4000), t).found
        assert fault.fault == "drift"
        assert fault.per_day == pytest.approx(0.5, abs=0.025)


@pytest.mark.parametrize("factor", FACTORS)
def test_units(factor: float) -> None:
    """A thousand or a million off, all rows or the few of one sender."""
    rng = np.random.default_rng(3)
    t = orders(rng, 300)
    for part in (1.0, 0.05):
        bad = rng.random(300) < part
        us, ref = (t, np.where(bad, np.floor(t * factor), t)) if factor < 1e-3 else (np.where(bad, t / factor, t), t)
        verdict = found(us.astype("int64"), ref.astype("int64"))
        (fault,) = verdict.found
        assert (fault.fault, fault.factor, fault.k) == ("unit", factor, bad.sum())


def clean_log(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A healthy pair of clocks: short lags or long ones, stragglers, batches, whole seconds, any size and period."""
    n = int(rng.choice([10, 35, 100, 400, 2000]))
    t = orders(rng, n, float(rng.choice([3, 30, 365])))
    us = t + lag(rng, n, float(rng.choice([0.2, 1, 3])))
    kind = rng.integers(5)
    if kind == 1:  # a queue that empties late
        us = us + np.where(rng.random(n) < 0.3, rng.integers(0, 6 * H, n), 0)
    elif kind == 2:  # stamped when an hourly job sends
        us = (us // H + 1) * H
    elif kind == 3:  # an hourly retry
        us = us + np.where(rng.random(n) < 0.1, H, 0)
    elif kind == 4:  # two senders, one slower
        us = us + np.where(rng.random(n) < rng.uniform(0.1, 0.9), 8 * S, 0)
    return (us // S * S, t // S * S) if rng.random() < 0.5 else (us, t)


def test_clean_logs_give_no_finding() -> None:
    """False alarms in 300 healthy logs: at most 1 %."""
    rng = np.random.default_rng(20261125)
    alarms = [judge(counted(*clean_log(rng)), STRICT).verdict == "finding" for _ in range(300)]
    assert sum(alarms) <= 3


def test_thin_and_blurred_evidence_is_unknown() -> None:
    """29 pairs say nothing, even if all agree; distances spread over hours point to no clock."""
    rng = np.random.default_rng(4)
    t = orders(rng, 29)
    assert found(t + 2 * H, t).verdict == "thin"
    t = orders(rng, 1000)
    assert found(t + rng.integers(0, 5 * H, 1000), t).verdict == "blurred"
    assert found(t, t + 400 * DAY).verdict == "blurred"


# -- from tables to a corrected log ------------------------------------------------------------------------


def stamps(us: np.ndarray) -> pd.Series:
    return pd.Series(us.astype("int64")).astype("datetime64[us]").dt.tz_localize("UTC")


def shop(t: np.ndarray, pixel: np.ndarray, capi: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    ids = [f"o{i}" for i in range(len(t))]
    ledger = pd.DataFrame({"conversion_id": ids, "event_name": "purchase", "event_time": stamps(t)})
    parts = [
        pd.DataFrame({"row_id": [f"{c}{i}" for i in ids], "channel": c, "event_name": "Purchase", "conversion_id": ids})
        for c in ("pixel", "capi")
    ]
    rows = pd.concat(parts, ignore_index=True)
    return ledger, rows.assign(event_time=pd.concat([stamps(pixel), stamps(capi)], ignore_index=True))


def test_the_engine_counts_as_plain_arithmetic_does() -> None:
    """Histograms of a log with every fault at once, rows shuffled."""
    rng = np.random.default_rng(6)
    t = orders(rng, 300)
    pixel = t + lag(rng, 300) - rng.choice([0, 37 * S, H, 9 * DAY], 300)
    capi = np.where(rng.random(300) < 0.2, t // 1000, t)
    ledger, rows = shop(t, pixel, capi)
    got = _histograms(cl.reconcile(ledger, rows.sample(frac=1, random_state=0)))
    for series, (us, ref) in {
        ("pixel", "ledger"): (pixel, t), ("capi", "ledger"): (capi, t), ("pixel", "capi"): (pixel, capi),
    }.items():  # fmt: skip
        mine, theirs = got[series], counted(us, ref)
        assert (mine.n, mine.by_factor) == (theirs.n, theirs.by_factor)
        for name in ("hours", "days"):
            a, b = getattr(mine, name), getattr(theirs, name)
            assert a[np.lexsort(a.T[::-1])].tolist() == b[np.lexsort(b.T[::-1])].tolist()


def test_an_accepted_zone_gives_the_true_times_back() -> None:
    """Berlin's wall clock read as UTC on the server: found, corrected, clean; the doubled hour is marked."""
    rng = np.random.default_rng(7)
    t = orders(rng, 400)
    twice = pd.Timestamp("2026-10-25 00:30", tz="UTC").value // 1000
    t = np.sort(np.append(t, [twice, twice + H]))
    ledger, rows = shop(t, t + lag(rng, 402), t + utc_offsets("Europe/Berlin", t))
    findings = cl.clock_findings((ledger, rows))
    (finding,) = findings.findings
    row = findings.table.iloc[0]
    assert (row["clock"], row["fault"], row["k"], row["n"]) == ("capi", "dst_step", 402, 402)
    assert row["low"] < 1 == row["high"]
    assert 'tz="Europe/Berlin"' in row["remedy"]
    assert 'tz="Europe/Berlin"' in repr(findings)
    assert "<pre" in findings._repr_html_()
    right = cl.correct_clock(rows, finding)
    assert right["row_id"].equals(rows["row_id"])
    assert right["reported_event_time"].equals(rows["event_time"])
    server = right[right["channel"] == "capi"].reset_index(drop=True)
    unclear = server["clock_correction"] == "dst_step (ambiguous)"
    assert server["event_time"][~unclear].equals(stamps(t)[~unclear])
    late = server["event_time"][unclear] - stamps(t)[unclear]
    assert sorted({int(x.total_seconds()) for x in late}) == [-3600, 0]
    assert right["clock_correction"][right["channel"] == "pixel"].isna().all()
    assert cl.clock_findings((ledger, right)).findings == ()
    with pytest.raises(UnknownNameError, match="Asia/Tokyo"):
        cl.correct_clock(rows, finding, zone="Asia/Tokyo")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t + 37 * S,
        lambda t: t - 5 * H,
        lambda t: t // 1000,
        lambda t: t * 1000,
        lambda t: t + np.where(t > START + 100 * DAY, 45 * S, 0),
        lambda t: t + np.round((t - START) * (2 / 86_400)).astype("int64"),
    ],
)
def test_every_proposal_can_be_applied(wrong, tmp_path) -> None:
    """After it the same log gives no finding, and times are back within the tolerance; files give what frames give."""
    rng = np.random.default_rng(8)
    t = orders(rng, 2000) // S * S
    ledger, rows = shop(t, t + lag(rng, 2000), wrong(t))
    (finding,) = cl.clock_findings((ledger, rows)).findings
    right = cl.correct_clock(rows, finding)
    assert cl.clock_findings((ledger, right)).findings == ()
    off = (right["event_time"][2000:].reset_index(drop=True) - stamps(t)).abs()
    assert (off > pd.Timedelta(seconds=5)).mean() < 0.01
    rows.to_parquet(tmp_path / "e.parquet")
    from_file = cl.correct_clock(tmp_path / "e.parquet", finding).execute().set_index("row_id").loc[right["row_id"]]
    assert from_file["event_time"].tolist() == right["event_time"].tolist()


def test_a_fault_both_channels_show_is_the_ledgers() -> None:
    """A shop export in local time: one finding about the ledger, with the zone to load it with."""
    rng = np.random.default_rng(9)
    t = orders(rng, 500)
    ledger, rows = shop(t + utc_offsets("America/New_York", t), t + lag(rng, 500), t)
    findings = cl.clock_findings((ledger, rows))
    (finding,) = findings.findings
    assert (finding.clock, finding.against) == ("ledger", "pixel, capi")
    assert finding.judged.zones == ("America/New_York",)
    assert "the ledger's times are -4:00:00 h off, -5:00:00 h before 2026-03-08" in finding.remedy
    right = cl.correct_clock(ledger, finding)
    assert (right["event_time"] - stamps(t)).abs().max() <= pd.Timedelta(hours=1)  # the doubled hour
    assert cl.clock_findings((right, rows)).findings == ()


def test_channels_are_compared_where_the_ledger_cannot_judge() -> None:
    """A ledger stamped by a nightly import says nothing; pixel against server does."""
    rng = np.random.default_rng(10)
    t = orders(rng, 500, 60)
    ledger, rows = shop(t // DAY * DAY + DAY, t + 37 * S, t)
    findings = cl.clock_findings((ledger, rows))
    assert findings.table[["clock", "against", "fault"]].to_numpy().tolist() == [["pixel", "capi", "constant_offset"]]
    assert findings.series["verdict"].tolist() == ["blurred", "blurred", "finding"]
    assert "unknown, no distance" in repr(findings)


def test_clean_and_empty_tables(tiny) -> None:
    """Nothing to say is said, with typed and empty tables."""
    findings = cl.clock_findings(tiny)
    assert findings.findings == ()
    assert findings.table.empty
    assert findings.table["since"].dtype == "datetime64[us, UTC]"
    assert findings.series["verdict"].tolist() == ["thin", "thin"]
    assert "too few pairs" in repr(findings)
    assert cl.clock_findings((tiny[0], tiny[1].iloc[:0])).series["n"].tolist() == [0, 0]


def test_wrong_questions_are_refused(tiny) -> None:
    """Thresholds out of range, zones that do not exist, findings that are none."""
    with pytest.raises(InputError, match="min_share"):
        cl.clock_findings(tiny, min_share=0)
    rng = np.random.default_rng(0)
    t = orders(rng, 50)
    with pytest.raises(UnknownNameError, match="Mars/Base"):
        cl.clock_findings(shop(t, t, t), zones=["Mars/Base"])
    with pytest.raises(InputError, match="findings"):
        cl.correct_clock(tiny[1], "capi")  # type: ignore[arg-type]
