"""Plans against the tiny platform, short enough to be read in a test."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

import capi_lab as cl
from capi_lab.send.planned import Plan
from capi_lab.send.receipts import Receipt
from tests.contracts.examples import NOW, SETTINGS, example_rows
from tests.send.door import Door

ROUTE = {"meta": "capi", "tiktok": "events_api", "microsoft": "offline", "linkedin": "capi", "google": "data_manager"}


# A table is checked column by column: these are what the routes need, already hashed.
_LEFT_OUT = ("phone", "first_name", "last_name", "gender", "date_of_birth", "street", "city", "region", "postal_code",
             "country", "external_id", "client_ip", "items", "referrer_url", "gclid", "fbc", "ttclid", "li_fat_id",
             "ttp", "consent_ad_personalization", "click_time")  # fmt: skip


def few(n: int, **columns: object) -> pd.DataFrame:
    """``n`` purchases with few columns; ``columns`` replace or take away (None)."""
    return example_rows(n, **dict.fromkeys(_LEFT_OUT) | {"email": "ab" * 32} | columns)


class Clock:
    """A clock that moves only when somebody sleeps; remembers for how long."""

    def __init__(self, start: datetime = NOW) -> None:
        self.start, self.slept = start, []

    def __call__(self) -> datetime:
        return self.start + pd.Timedelta(seconds=sum(self.slept))

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def planned(box: Door, outbox: cl.Outbox | Path | str | None, platform: str, rows: pd.DataFrame | int = 4,
            now: datetime = NOW, **more: Any) -> Plan:  # fmt: skip
    """A plan for the tiny platform."""
    route = more.pop("route", ROUTE[platform])
    frame = few(rows) if isinstance(rows, int) else rows
    settings = SETTINGS[platform, route] | more.pop("settings", {})
    return cl.plan(frame, platform, route=route, settings=settings, outbox=outbox, now=now, host=box.url, **more)


def sent(plan: Plan, clock: Clock | None = None, **more: Any) -> Receipt:
    """Send it, on a clock that does not really wait."""
    clock = clock or Clock(plan.now.to_pydatetime())
    return cl.send(plan, approve=plan.fingerprint, clock=clock, sleep=clock.sleep, progress=False, **more)


def told(receipt: Receipt) -> list[tuple[str, str]]:
    """Status and code of every row, in the order of the conversions' ids."""
    rows = receipt.rows.sort_values("conversion_id")
    return list(zip(rows["status"], rows["code"], strict=True))
