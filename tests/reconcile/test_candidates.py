"""What looks like one conversion under unlike ids is flagged, beside what chance alone would flag."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError, UnknownNameError
from capi_lab.reconcile.chance import beyond_chance
from tests.depth import few
from tests.reconcile.test_reconcile import T, events, ledger, report

TEN = timedelta(minutes=10)
DAY = 86_400.0


def digest(text: object) -> object:
    return sha256(str(text).encode()).hexdigest() if pd.notna(text) else None


def random_log(seed: int, n: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Orders and events over three hours; raw e-mails in the ledger, digests in the events; some ids in common."""
    rng = np.random.default_rng(seed)

    def some(n: int) -> dict[str, object]:
        return {
            "email": rng.choice(["a@example.com", "b@example.com", "c@example.com", None, None], n),
            "user_key": rng.choice(["u", "v", None, None], n),
            "value": rng.choice([5.0, 7.25, np.nan], n, p=[0.5, 0.4, 0.1]),
            "currency": rng.choice(["EUR", "USD"], n),
            "event_time": T + pd.to_timedelta(rng.integers(0, 180, n), unit="min"),
        }

    orders = ledger(*[f"o{i}" for i in range(n)]).assign(**some(n), event_id=[f"k{i}" for i in range(n)])
    rows = events(*[report(f"r{i:03}", "pixel") for i in range(2 * n)]).assign(
        **some(2 * n),
        channel=rng.choice(["pixel", "capi"], 2 * n),
        event_id=rng.choice([*[f"k{i}" for i in range(n)], *["x1", "x2"] * 15, *[None] * n], 2 * n),
        event_name=rng.choice(["Purchase", "purchase", "Lead"], 2 * n, p=[0.6, 0.3, 0.1]),
    )
    return orders, rows.assign(email=rows["email"].map(digest))


def agreement(a, b) -> tuple[list[str], list[str]]:
    """Keys that agree and differ between two rows, by digest."""
    same, unlike = [], []
    for key in ("email", "user_key"):
        x, y = a[key], b[key]
        if pd.notna(x) and pd.notna(y):
            x, y = (digest(v) if key == "email" and "@" in v else v for v in (x, y))
            (same if x == y else unlike).append(key)
    return same, unlike


def first_of_report(rows: list) -> list:
    seen: dict[tuple, object] = {}
    for row in sorted(rows, key=lambda r: (r["event_time"], r["row_id"])):
        key = (
            row["channel"],
            row["event_name"].lower(),
            row["event_id"] if pd.notna(row["event_id"]) else row["row_id"],
        )
        seen.setdefault(key, row)
    return list(seen.values())


def brute_force(rec, between: str, *, require_key: bool) -> dict[tuple[str, str], tuple]:
    """Every event against every conversion (or server event), in a plain loop."""
    rows = [row for _, row in rec.events.iterrows()]
    if between == "ledger":
        left = first_of_report([r for r in rows if pd.isna(r["conversion_id"])])
        right = [o for _, o in rec.conversions.iterrows()]
    else:
        every = first_of_report(rows)

        def alone(row) -> bool:
            others = [r for r in rows if r["channel"] != row["channel"]]
            firsts = [r for r in every if r["channel"] != row["channel"]]
            same_id = any(
                pd.notna(row["event_id"])
                and r["event_id"] == row["event_id"]
                and r["event_name"].lower() == row["event_name"].lower()
                for r in firsts
            )
            return not same_id and not any(
                pd.notna(row["conversion_id"]) and r["conversion_id"] == row["conversion_id"] for r in others
            )

        left = [r for r in every if r["channel"] == "pixel" and alone(r)]
        right = [r for r in every if r["channel"] == "capi" and alone(r)]
    found = {}
    for a in left:
        for b in right:
            if between == "ledger" and b[f"seen_{a['channel']}"]:
                continue
            if between == "channels" and pd.notna(a["conversion_id"]) and pd.notna(b["conversion_id"]):
                continue
            apart = (a["event_time"] - b["event_time"]).total_seconds()
            same, unlike = agreement(a, b)
            if (
                abs(apart) <= TEN.total_seconds()
                and a["event_name"].lower() == b["event_name"].lower()
                and a["value"] == b["value"]
                and a["currency"] == b["currency"]
                and (same or (not unlike and not require_key))
            ):
                key = (a["row_id"], b["conversion_id"] if between == "ledger" else b["row_id"])
                found[key] = (apart, ",".join(same), ",".join(unlike))
    return {
        key: (
            *value,
            sum(k != key and (k[0] == key[0] or (k[1] == key[1] and channel_of(rec, k, key, between))) for k in found),
        )
        for key, value in found.items()
    }


def channel_of(rec, a, b, between: str) -> bool:
    """An order's rivals are those of the same channel."""
    channel = rec.events.set_index("row_id")["channel"]
    return between == "channels" or channel[a[0]] == channel[b[0]]


@pytest.mark.parametrize("seed", few(range(3), 1))
@pytest.mark.parametrize("between", ["ledger", "channels"])
def test_candidates_are_those_of_a_plain_loop(seed: int, between: str) -> None:
    """Same pairs, distances, keys and rivals; raw and hashed e-mails meet; row order changes nothing."""
    orders, rows = random_log(seed)
    rec = cl.reconcile(orders, rows)
    found = cl.link_candidates(rec, between=between, within=TEN, require_key=seed == 2)
    expected = brute_force(rec, between, require_key=seed == 2)
    other = "conversion_id" if between == "ledger" else "other_row_id"
    names = ["seconds_apart", "keys_agree", "keys_differ", "rivals"]
    got = {(r["row_id"], r[other]): tuple(r[names]) for _, r in found.table.iterrows()}
    assert got == expected
    assert len(expected) >= 5
    assert found.summary()["observed"].groupby(found.summary()["evidence"]).sum()["all"] == len(expected)
    assert found.blocks["observed"].sum() == len(expected)
    again = cl.link_candidates(
        (orders.sample(frac=1, random_state=1), rows.sample(frac=1, random_state=2)),
        between=between, within=TEN, require_key=seed == 2,
    )  # fmt: skip
    pd.testing.assert_frame_equal(again.table, found.table)
    pd.testing.assert_frame_equal(again.null, found.null)


def test_files_however_split_give_the_same_answer(tmp_path) -> None:
    """Two Parquet parts are one log; frames, files and a finished result agree in every table."""
    orders, rows = random_log(7)
    orders.to_parquet(tmp_path / "c.parquet")
    rows.iloc[::2].to_parquet(tmp_path / "e1.parquet")
    rows.iloc[1::2].to_parquet(tmp_path / "e2.parquet")
    whole = cl.link_candidates((orders, rows))
    parts = cl.link_candidates((tmp_path / "c.parquet", tmp_path / "e*.parquet"))
    for name in ("table", "blocks", "null", "streams"):
        pd.testing.assert_frame_equal(getattr(parts, name), getattr(whole, name))


# -- chance ------------------------------------------------------------------------------------------------


def streams(rng: np.random.Generator, events_n: int, orders_n: int, true: int, days: float) -> tuple:
    """Independent uniform streams (seconds), and planted pairs at most 5 minutes apart."""
    pairs = rng.uniform(0, days * DAY, true)
    a = np.concatenate([rng.uniform(0, days * DAY, events_n), pairs + rng.uniform(-300, 300, true)])
    return np.sort(a), np.sort(np.concatenate([rng.uniform(0, days * DAY, orders_n), pairs]))


def near(a: np.ndarray, b: np.ndarray, within: float) -> int:
    return int((np.searchsorted(b, a + within, "right") - np.searchsorted(b, a - within, "left")).sum())


def shop(a: np.ndarray, b: np.ndarray, value_a, value_b) -> tuple[pd.DataFrame, pd.DataFrame]:
    orders = ledger(*[f"o{i}" for i in range(len(b))]).assign(value=value_b, currency="EUR")
    orders["event_time"] = T + pd.to_timedelta((b * 1e6).astype("int64"), unit="us")
    rows = events(*[report(f"r{i}", "capi") for i in range(len(a))]).assign(value=value_a, currency="EUR")
    rows["event_time"] = T + pd.to_timedelta((a * 1e6).astype("int64"), unit="us")
    return orders, rows


def test_chance_is_the_closed_form_on_independent_streams() -> None:
    """The shifted counts' weighed mean is sum over blocks of b s 2 tau / T, within four Monte-Carlo errors."""
    rng = np.random.default_rng(20261125)
    days, prices, shares = 60, np.array([10.0, 20.0, 19.99]), [0.6, 0.3, 0.1]
    a, b = streams(rng, 3000, 2000, 0, days)
    value_a, value_b = (rng.choice(prices, len(x), p=shares) for x in (a, b))
    found = cl.link_candidates(shop(a, b, value_a, value_b), within=TEN)
    row = found.summary().set_index(["channel", "evidence"]).loc[("capi", "all")]
    closed = sum((value_a == p).sum() * (value_b == p).sum() for p in prices) * 2 * 600 / (days * DAY)
    null = found.null[found.null["channel"] == "capi"]
    error = np.sqrt(closed / null["exposure"].sum())
    assert abs(row["expected"] - closed) < 4 * error
    assert error < 0.02 * closed  # the comparison has teeth
    blocks = found.blocks[found.blocks["channel"] == "capi"].set_index("value")
    assert blocks["expected_uniform"].sum() == pytest.approx(closed, rel=0.002)  # the period is the streams' own
    assert blocks["expected"].sum() == pytest.approx(row["expected"])
    assert blocks["events"].to_dict() == {p: (value_a == p).sum() for p in prices}
    assert row["low"] <= 0 <= row["high"]
    whole = int(null.iloc[0]["shift"].total_seconds())
    expected = sum(near(a[value_a == p] + whole, b[value_b == p], 600) for p in prices)
    assert null.iloc[0]["pairs"] == expected  # one shift, counted by another program


def test_whole_day_shifts_follow_the_hours() -> None:
    """Orders by night only: chance is five times the steady formula, and the shifts see it."""
    rng = np.random.default_rng(3)
    a, b = (np.floor(x / DAY) * DAY + rng.uniform(0, DAY / 5, len(x)) for x in streams(rng, 2000, 2000, 0, 50)[:2])
    found = cl.link_candidates(shop(a, b, 1.0, 1.0))
    row = found.summary().set_index("channel").loc["capi"]
    assert row["expected"] == pytest.approx(5 * found.blocks["expected_uniform"].sum(), rel=0.06)
    assert row["low"] <= 0 <= row["high"] or row["low"] < 0.1 * row["observed"]


def interval(rng: np.random.Generator, true: int, others: int, *, sizes: bool = True) -> tuple[float, float]:
    days = 30
    a, b = streams(rng, others, others, true, days)
    shifts = [sign * i for i in range(1, 11) for sign in (-1, 1)]
    counts = np.array([near(a + d * DAY, b, 600) for d in shifts], dtype="float64")
    exposure = 1 - np.abs(np.array(shifts)) / days
    return beyond_chance(near(a, b, 600), counts, exposure, 0.95, sizes=(len(a), len(b)) if sizes else (0, 0))[2:]


@pytest.mark.parametrize(("true", "others"), [(0, 300), (40, 300), (200, 200), (400, 0)])
def test_planted_pairs_lie_in_the_interval(true: int, others: int) -> None:
    """The number of true pairs is covered in about 95 % of 500 logs, few or many of them."""
    rng = np.random.default_rng(true)
    intervals = [interval(rng, true, others) for _ in range(500)]
    covered = np.mean([low <= true <= high for low, high in intervals])
    # 2.58 standard errors below; above, whole counts make it cautious.
    assert 0.925 <= covered <= 0.995, covered


def test_control_accidents_come_in_twos() -> None:
    """Without widening for streams full of true pairs the interval misses too often: the check can fail."""
    rng = np.random.default_rng(400)
    intervals = [interval(rng, 400, 0, sizes=False) for _ in range(300)]
    assert np.mean([low <= 400 <= high for low, high in intervals]) < 0.9


@pytest.mark.parametrize("seed", few(range(3), 1))
def test_planted_mismatches_are_recovered_from_tables(seed: int) -> None:
    """End to end: 150 server events under foreign ids among 500 unrelated ones."""
    rng = np.random.default_rng(seed)
    a, b = streams(rng, 500, 500, 150, 40)
    found = cl.link_candidates(shop(a, b, 5.0, 5.0), level=0.999)
    row = found.summary().set_index("channel").loc["capi"]
    assert row["low"] <= 150 <= row["high"]
    assert row["observed"] == near(a, b, 600)
    assert row["expected"] > 30


# -- what counts as agreeing -------------------------------------------------------------------------------


def test_keys_speak_for_and_against() -> None:
    """An agreeing key is named; a pair whose only comparable key differs is none; without keys time has to do."""
    orders = ledger("1", "2", value=[5.0, 5.0], email=["Jane@Example.com ", None], currency="EUR")
    rows = events(
        report("jane", "pixel", value=5.0, currency="EUR", email=digest("jane@example.com")),
        report("john", "capi", value=5.0, currency="EUR", email="john@example.com"),
        report("cent", "capi", value=5.01, currency="EUR"),
    )
    found = cl.link_candidates((orders, rows))
    got = {(r.row_id, r.conversion_id): (r.keys_agree, r.rivals) for r in found.table.itertuples()}
    assert got == {("jane", "1"): ("email", 1), ("jane", "2"): ("", 1), ("john", "2"): ("", 0)}
    assert found.table.iloc[0][["row_id", "conversion_id"]].tolist() == ["jane", "1"]  # the best comes first
    strict = cl.link_candidates((orders, rows), require_key=True)
    assert strict.table[["row_id", "conversion_id"]].to_numpy().tolist() == [["jane", "1"]]
    assert len(cl.link_candidates((orders, rows), agree=(), keys=()).table) == 6


def test_nothing_is_merged_and_short_logs_say_so(tiny) -> None:
    """The log stays as it was; without room for a shift there is no chance figure, and that is said."""
    rec = cl.reconcile(*tiny)
    before = rec.events.copy()
    found = cl.link_candidates(rec, within=timedelta(hours=5))
    assert rec.events.equals(before)
    assert found.null.empty
    assert found.summary()["expected"].isna().all()
    assert "chance not known" in repr(found)
    assert "<pre" in found._repr_html_()
    nothing = cl.link_candidates((tiny[0], tiny[1].iloc[:0]))
    assert nothing.table.empty
    assert "0 observed" in repr(nothing)


def test_wrong_questions_are_refused(tiny) -> None:
    """Unknown sides and columns, short shifts, impossible levels, no tables."""
    for arguments, error, message in [
        ({"between": "tables"}, UnknownNameError, "ledger"),
        ({"agree": ("colour",)}, UnknownNameError, "colour"),
        ({"agree": ("event_id",)}, InputError, "event_id"),
        ({"agree": "value"}, InputError, "agree must be a sequence"),
        ({"keys": "email"}, InputError, "keys must be a sequence"),
        ({"shifts": [timedelta(minutes=20)]}, InputError, "twice"),
        ({"level": 1.0}, InputError, "level"),
        ({"within": -TEN}, InputError, "negative"),
    ]:
        with pytest.raises(error, match=message):
            cl.link_candidates(tiny, **arguments)
    with pytest.raises(InputError, match="reconcile"):
        cl.link_candidates(tiny[0])  # type: ignore[arg-type]
