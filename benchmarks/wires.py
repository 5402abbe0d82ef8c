"""Speed of validating and encoding, against the vendor's own Event objects on the same rows.

Usage::

    python benchmarks/wires.py [--rows 100000]

The reference, Meta's ``facebook_business`` package, builds and normalises one object per event. It is an optional
dependency (extra ``conformance``); without it the ratio is left out. One process, one core: pin it (``taskset -c 0``)
on a busy machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pandas as pd

import capi_lab as cl
from capi_lab.platforms.rows import Rows

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SETTINGS = {"dataset_id": "1234567890"}


def purchases(n: int) -> pd.DataFrame:
    """Conversions with every match key; e-mail, phone and ids are all different."""
    number = pd.Series(np.arange(n)).astype("str")
    return pd.DataFrame(
        {
            "conversion_id": "order-" + number,
            "event_name": "purchase",
            "event_time": pd.Timestamp(NOW) - pd.Timedelta(hours=1),
            "value": 49.9,
            "currency": "EUR",
            "event_id": "e-" + number,
            "email": "jane.doe" + number + "@gmail.com",
            "phone": "+1415" + (2_000_000 + np.arange(n) % 7_000_000).astype("str"),
            "first_name": "Jane",
            "last_name": "Doe",
            "gender": "female",
            "date_of_birth": "1997-02-16",
            "city": "New York",
            "region": "NY",
            "postal_code": "10001",
            "country": "US",
            "external_id": "user-" + number,
            "client_ip": "203.0.113.7",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Example/1.0",
            "fbc": "fb.1.1795399000123.IwAR0-Example_Click",
            "fbp": "fb.1.1795300000456.123456789",
            "action_source": "web",
            "page_url": "https://shop.example/thanks",
            "consent_ad_user_data": "granted",
            "origin": "simulated",
        }
    )


def theirs(rows: pd.DataFrame) -> list[object]:
    """Build and normalise the vendor's objects from the same rows."""
    from facebook_business.adobjects.serverside.action_source import ActionSource
    from facebook_business.adobjects.serverside.custom_data import CustomData
    from facebook_business.adobjects.serverside.event import Event
    from facebook_business.adobjects.serverside.gender import Gender
    from facebook_business.adobjects.serverside.user_data import UserData

    built = []
    times = (rows["event_time"].astype("int64") // 1_000_000).tolist()
    for row, when in zip(rows.to_dict("records"), times, strict=True):
        user = UserData(
            emails=[row["email"]],
            phones=[row["phone"]],
            first_names=[row["first_name"]],
            last_names=[row["last_name"]],
            genders=[Gender.FEMALE],
            dates_of_birth=["19970216"],
            cities=[row["city"]],
            states=[row["region"]],
            zip_codes=[row["postal_code"]],
            country_codes=["us"],
            external_ids=[row["external_id"]],
            client_ip_address=row["client_ip"],
            client_user_agent=row["user_agent"],
            fbc=row["fbc"],
            fbp=row["fbp"],
        )
        custom = CustomData(value=row["value"], currency=row["currency"], order_id=row["conversion_id"])
        event = Event(
            event_name="Purchase",
            event_time=when,
            event_id=row["event_id"],
            user_data=user,
            custom_data=custom,
            action_source=ActionSource.WEBSITE,
            event_source_url=row["page_url"],
        )
        built.append(event.normalize())
    return built


def rate(work: Callable[[], object], n: int, runs: int) -> float:
    """Rows per second: the median of ``runs`` after one that is not counted."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        built = work()
        seconds.append(time.perf_counter() - start)
        del built  # taking the result apart again is not part of building it
    return n / statistics.median(seconds)


def main() -> None:
    """Time both on the same rows and print rates and ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=1e5)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    rows = purchases(int(args.rows))
    wire = cl.PLATFORMS["meta"].wire()

    def ours() -> object:
        prepared = Rows.of(rows, wire.spec)
        return wire.validate(prepared, SETTINGS, now=NOW), wire.encode(prepared, SETTINGS)

    fast = rate(ours, len(rows), args.runs)
    print(f"validate and encode, {len(rows):,} Meta purchases with 15 identifiers: {fast:12,.0f} events/s")
    few = rows.iloc[: max(len(rows) // 20, 1)]
    try:
        slow = rate(lambda: theirs(few), len(few), args.runs)
    except ImportError:
        print("facebook_business is not installed (extra conformance): no ratio")
        return
    print(f"facebook_business Event objects, {len(few):,} of the same rows:         {slow:12,.0f} events/s")
    print(f"ratio {fast / slow:.1f}")


if __name__ == "__main__":
    main()
