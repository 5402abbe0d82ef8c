"""Last-click attribution against a bare DuckDB ``ASOF LEFT JOIN`` over the same Parquet files, in one run.

Usage::

    python benchmarks/attribute.py                                  # 300,000 conversions, 300,000 clicks
    python benchmarks/attribute.py --conversions 10e6 --clicks 10e6 # the size the design speaks of

The reference joins on ``user_key`` and time and nothing else: no tie-breaking, no window, no platform. Work and
reference take turns, so that a busy machine slows both; each figure is the median of the runs. The second pair of
lines gives one person a tenth of all clicks (a million of ten).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

import capi_lab as cl
from capi_lab.engine import default_backend, run

# Three conversions and three clicks a person, times of day to the second: a few are equal.
CONVERSIONS = """
COPY (
  SELECT 'c-' || i AS conversion_id, 'purchase' AS event_name,
         TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(hash(i, 1) % 7776000) AS event_time,
         {key} AS user_key
  FROM range({rows}) t(i)
) TO '{path}' (FORMAT parquet)
"""
CLICKS = """
COPY (
  SELECT 'k-' || i AS click_row_id, 'google' AS platform, 'gclid' AS param, 'Cj0-' || hash(i, 2) AS click_id,
         TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(hash(i, 3) % 7776000) AS click_time,
         {key} AS user_key
  FROM range({rows}) t(i)
) TO '{path}' (FORMAT parquet)
"""
BARE = """
SELECT count(k.click_row_id), max(hash(c.conversion_id)), max(hash(k.click_row_id)), max(c.event_time - k.click_time)
FROM read_parquet('{conversions}') c ASOF LEFT JOIN read_parquet('{clicks}') k
  ON c.user_key = k.user_key AND c.event_time >= k.click_time
"""


def taking_turns(works: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median wall seconds of each, run one after the other; the first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(runs + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in seconds.items()}


def main() -> None:
    """Make the rows, time reference and work in turns, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversions", type=float, default=3e5)
    parser.add_argument("--clicks", type=float, default=3e5)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    n, m = int(args.conversions), int(args.clicks)
    backend = default_backend()
    print(f"{n:,} conversions, {m:,} clicks, {args.runs} runs each, median")
    spread = "'user-' || (hash(i, {salt}) % {people})"
    # That person also has a thousandth of the conversions.
    skewed = "CASE WHEN hash(i, 9) % {one_in} = 0 THEN 'one' ELSE " + spread + " END"
    for label, key in {"spread": spread, "one person has a tenth": skewed}.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = {name: Path(folder) / f"{name}.parquet" for name in ("conversions", "clicks")}
            people = n // 3 + 1
            for name, make, rows, salt, one_in in (
                ("conversions", CONVERSIONS, n, 4, 1000),
                ("clicks", CLICKS, m, 5, 10),
            ):
                own = key.format(salt=salt, people=people, one_in=one_in)
                duckdb.sql(make.format(rows=rows, path=paths[name], key=own))
            attributed = cl.attribute(paths["conversions"], paths["clicks"])
            # All that the function decides is computed; writing it out is not part of it.
            answer = attributed.aggregate(
                n=attributed.attributed.sum(),
                c=attributed.conversion_id.hash().max(),
                k=attributed.click_row_id.hash().max(),
                p=attributed.click_platform.max(),
                t=attributed.tied_by.max(),
                lag=attributed.lag.max(),
            )
            bare = BARE.format(**paths)
            seconds = taking_turns(
                {
                    "bare ASOF LEFT JOIN": lambda bare=bare: backend.raw_sql(bare).fetchall(),
                    "attribute": lambda answer=answer: run(answer),
                },
                args.runs,
            )
            for name, taken in seconds.items():
                ratio = taken / seconds["bare ASOF LEFT JOIN"]
                print(f"  {label:<24} {name:<24} {taken:8.2f} s  {ratio:6.2f} x the bare join")
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
