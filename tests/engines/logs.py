"""Generated logs full of what makes rules fall apart, the same for every seed and engine.

Orders are reported several times by either channel, with gaps that sit on the edges of the rules' windows to the
microsecond. Ids are missing, empty, spelled differently or shared; one id and one person stand in thousands of rows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
START = int(pd.Timestamp("2026-03-25", tz="UTC").timestamp()) * SECOND  # a clock change in Europe lies inside
EDGES = np.array(
    [0, 0, 0, SECOND, 40 * SECOND]
    + [edge + nudge for edge in (5 * MINUTE, 48 * HOUR, 96 * HOUR, 7 * 24 * HOUR) for nudge in (-1, 0, 1)]
)
NAMES = np.array(["Purchase", "Purchase", "Purchase", "purchase", "Lead"], dtype="object")


def times(microseconds: np.ndarray) -> pd.Series:
    return pd.Series(pd.to_datetime(START + microseconds, unit="us", utc=True)).dt.as_unit("us")


def named(kind: str, numbers: np.ndarray) -> np.ndarray:
    return (kind + pd.Series(numbers).astype("str")).to_numpy()


def some(rng: np.random.Generator, values: np.ndarray, share: float, instead: object = None) -> np.ndarray:
    """Replace a share of the values."""
    return np.where(rng.random(len(values)) < share, instead, values.astype("object"))


def ledger(rng: np.random.Generator, orders: int) -> pd.DataFrame:
    """One conversion per order; a few share an event id, which then proves nothing."""
    number = np.arange(orders)
    shared = np.where(rng.random(orders) < 0.01, number // 2 * 2, number)
    value = np.round(rng.gamma(2.0, 30.0, orders), 2)
    return pd.DataFrame(
        {
            "conversion_id": named("", number),
            "event_name": rng.choice(["purchase", "purchase", "lead"], orders),
            "event_time": times(rng.integers(0, 14 * 24 * HOUR, orders)),
            "value": np.where(rng.random(orders) < 0.02, np.nan, value),
            "currency": "EUR",
            "event_id": some(rng, named("o-", shared), 0.05),
            "user_key": some(rng, named("u", number % (orders // 3)), 0.1),
            "browser": some(rng, rng.choice(["Safari", "Chrome", "Firefox"], orders), 0.05),
        }
    ).astype({"event_id": "str", "user_key": "str", "browser": "str", "event_name": "str"})


def events(rng: np.random.Generator, conversions: pd.DataFrame, rows: int, *, ahead: int = 0) -> pd.DataFrame:
    """Reports of the conversions by both channels, in no order; the server's clock may run some microseconds ahead."""
    orders = len(conversions)
    order = rng.integers(0, orders, rows)
    order[: rows // 50] = 7  # one order id and event id in thousands of rows
    base = conversions["event_time"].astype("int64").to_numpy()[order] - START
    clock = base + rng.choice(EDGES, rows) + rng.choice(EDGES, rows) * (rng.random(rows) < 0.3)
    event_time = np.where(rng.random(rows) < 0.5, base, clock)
    person = order % (orders // 3)
    person[rows // 50 : rows // 25] = 3  # one person with thousands of rows
    frame = pd.DataFrame(
        {
            "row_id": named("r", rng.permutation(rows)),
            "channel": rng.choice(["pixel", "capi"], rows),
            "event_name": rng.choice(NAMES, rows),
            "event_id": some(rng, some(rng, named("o-", order), 0.1), 0.02, ""),
            "event_time": times(event_time),
            "received_time": times(clock).mask(pd.Series(rng.random(rows) < 0.03)),
            "conversion_id": some(rng, some(rng, named("", order), 0.2), 0.01, "#7"),
            "value": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(1, 500, rows) / 4),
            "currency": some(rng, np.full(rows, "EUR", dtype="object"), 0.1),
        }
    )
    frame["event_time"] += pd.Timedelta(ahead, "us") * (frame["channel"] == "capi").astype("int64")
    for name, share in {"external_id": 0.5, "fbp": 0.3, "ttp": 0.3, "gclid": 0.6, "msclkid": 0.5}.items():
        frame[name] = some(rng, named(name, person), share)
    for name in ("email", "phone", "country", "ttclid"):
        frame[name] = some(rng, named(name, person % 5), 0.5)
    text = [name for name in frame.columns if name not in ("event_time", "received_time", "value")]
    return frame.astype(dict.fromkeys(text, "str"))


def clicks(rng: np.random.Generator, conversions: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Ad clicks of the people of a ledger, some at the very time of a conversion or a window before it."""
    order = rng.integers(0, len(conversions), rows)
    at = conversions["event_time"].astype("int64").to_numpy()[order] - START
    day = 24 * HOUR
    params = np.array([("meta", "fbclid"), ("google", "gclid"), ("tiktok", "ttclid"), ("microsoft", "msclkid")])
    kind = rng.integers(0, len(params), rows)
    return pd.DataFrame(
        {
            "click_row_id": named("c", rng.permutation(rows)),
            "platform": params[kind, 0],
            "param": params[kind, 1],
            "click_id": named("k-", order),
            "click_time": times(at - rng.choice(np.array([0, -1, 1, day, 7 * day, 7 * day + 1, 30 * day]), rows)),
            "user_key": some(rng, conversions["user_key"].to_numpy()[order], 0.2),
        }
    ).astype({"user_key": "str", "platform": "str", "param": "str", "click_id": "str", "click_row_id": "str"})


def receipts(rng: np.random.Generator, conversions: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Replies of a platform, some repeated."""
    order = rng.integers(0, len(conversions), rows)
    frame = pd.DataFrame(
        {
            "conversion_id": conversions["conversion_id"].to_numpy()[order],
            "status": rng.choice(["accepted", "accepted", "rejected", "retry", "unknown", "skipped"], rows),
            "code": some(rng, rng.choice(["100", "200"], rows), 0.5),
            "sent_at": times(rng.integers(0, 20 * 24 * HOUR, rows)),
        }
    )
    return frame.astype(dict.fromkeys(("conversion_id", "status", "code"), "str"))
