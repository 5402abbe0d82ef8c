"""Every other platform's dedup rule, replayed over adversarial logs and held against a plain simulator of it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pandas as pd
import pytest

import capi_lab as cl
from tests.reconcile.greedy_others import (
    DAY,
    HOUR,
    MINUTE,
    Row,
    Verdict,
    greedy_google,
    greedy_google_ads,
    greedy_linkedin,
    greedy_offline,
    greedy_tiktok,
    greedy_uet,
)

START = int(pd.Timestamp("2026-03-01", tz="UTC").timestamp()) * 1_000_000
TEXT = (
    "row_id", "channel", "event_name", "event_id", "conversion_id", "currency", "external_id", "ttp", "gclid",
    "msclkid", "email", "phone", "postal_code",
)  # fmt: skip

RULES: dict[tuple[str, str | None], Callable[[list[Row]], dict[str, Verdict]]] = {
    ("tiktok", None): greedy_tiktok,
    ("google", None): greedy_google,
    ("google", "ads_api"): greedy_google_ads,
    ("microsoft", None): greedy_offline,
    ("microsoft", "uet"): greedy_uet,
    ("linkedin", None): lambda rows: greedy_linkedin(rows, same_channel=False),
}


def frame(rows: list[Row]) -> pd.DataFrame:
    table = {name: pd.Series([row.get(name) for row in rows], dtype="str") for name in TEXT}
    for name, column in (("event_time", "event_time"), ("received_time", "clock")):
        times = pd.to_datetime([START + row[column] for row in rows], unit="us", utc=True)
        table[name] = pd.Series(times).dt.as_unit("us")
    table["value"] = pd.Series([row.get("value") for row in rows], dtype="float64")
    return pd.DataFrame(table)


def found(result: pd.DataFrame) -> dict[str, Verdict]:
    def text(value: object) -> str | None:
        return None if pd.isna(value) else str(value)

    return {
        row.row_id: (bool(row.kept), text(row.drop_reason), text(row.duplicate_of), text(row.merged))
        for row in result.itertuples()
    }


EDGES = sorted(
    {
        max(0, base + step + nudge)
        for base in (0, 48 * HOUR, 7 * DAY)
        for step in (0, 5 * MINUTE, 48 * HOUR, 7 * DAY)
        for nudge in (-1, 0, 1)
    }
)


def some_log(draw: random.Random) -> list[Row]:
    """Draw one small log, dense with ties and edges."""
    one_of = draw.choice
    few = one_of((True, False))  # few distinct values: dense keys and three-way merges
    ids = ("e",) if few else ("e", "f", "g", None)
    return [
        {
            "row_id": f"r{i:02d}",
            "channel": one_of(("pixel", "capi")),
            "event_name": one_of(("Purchase", "purchase")) if not few else "Purchase",
            "event_id": one_of(ids),
            "conversion_id": one_of(("1", None)) if few else one_of(("1", "2", None)),
            "clock": one_of((one_of(EDGES), draw.randrange(15 * DAY))),
            "event_time": one_of((0, 1, MINUTE)),
            "gclid": one_of(("g1", "g2", None)),
            "msclkid": one_of(("m1", None)),
            "ttp": one_of(("t1", "t2", None)),
            "email": one_of(("h1", None)),
            "phone": one_of(("h2", None, None)),
            "postal_code": one_of(("10115", None, None)),
            "external_id": one_of(("u", None)),
            "value": one_of((1.5, None)),
            "currency": one_of(("EUR", None)),
        }
        for i in range(draw.randint(1, 12))
    ]


def some_logs(seed: int, n: int = 150) -> list[list[Row]]:
    draw = random.Random(seed)
    return [some_log(draw) for _ in range(n)]


def many(parts: list[list[Row]]) -> list[Row]:
    """Put many small logs into one, each with names and ids of its own."""
    ids = ("event_id", "conversion_id", "gclid", "msclkid", "ttp")
    return [
        row
        | {name: None if row[name] is None else f"{k}-{row[name]}" for name in ids}
        | {"row_id": f"{k}-{row['row_id']}", "event_name": f"{row['event_name']}{k}"}
        for k, log in enumerate(parts)
        for row in log
    ]


@pytest.mark.parametrize(("platform", "route"), RULES, ids=lambda v: v or "default")
def test_equals_a_plain_simulator(platform: str, route: str | None) -> None:
    """Verdict, reason, partner and merged fields of every row, over 600 random logs a rule."""
    rows = many(some_logs(0, 600))
    assert found(cl.dedup(frame(rows), platform, route=route)) == RULES[platform, route](rows)


def test_linkedins_open_question_both_ways() -> None:
    """Under the reading in which repeats of one channel merge, too, the tag's first event stands for all."""
    rows = many(some_logs(4, 300))
    assert found(cl.dedup(frame(rows), "linkedin", same_channel=True)) == greedy_linkedin(rows, same_channel=True)


@pytest.mark.parametrize("platform", sorted(cl.PLATFORMS))
def test_conservation(platform: str) -> None:
    """Kept and dropped are all rows; a dropped row's partner is kept; order and file split change nothing."""
    rng = random.Random(7)
    rows: list[Row] = [
        {
            "row_id": f"r{i}",
            "channel": rng.choice(["pixel", "capi"]),
            "event_name": "Purchase",
            "event_id": rng.choice(["a", "b", "c", None]),
            "conversion_id": rng.choice(["1", "2", None]),
            "clock": rng.randrange(10 * DAY),
            "event_time": rng.choice([0, 1]),
            "gclid": rng.choice(["g", None]),
            "msclkid": rng.choice(["m", None]),
            "ttp": rng.choice(["t", None]),
        }
        for i in range(300)
    ]
    table = frame(rows)
    result = cl.dedup(table, platform).set_index("row_id")
    assert len(result) == 300
    assert result["kept"].eq(result["drop_reason"].isna()).all()
    assert result["kept"].eq(result["duplicate_of"].isna()).all()
    assert result.loc[result["duplicate_of"].dropna(), "kept"].all()
    shuffled = cl.dedup(table.sample(frac=1, random_state=3), platform).set_index("row_id").loc[result.index]
    pd.testing.assert_frame_equal(shuffled, result)


def test_reconcile_takes_every_platform(tiny) -> None:
    """The same two tables reconcile under each platform's names and rules."""
    conversions, events = tiny
    for platform in cl.PLATFORMS:
        rec = cl.reconcile(conversions, events, platform=platform)
        assert rec.conversions["seen_pixel"].tolist() == [True, True, False, False], platform
        assert rec.readings["events"].eq(4).all()
