"""Speed and memory of reconcile, as ratios measured in one run against a named reference on the same rows.

Usage::

    python benchmarks/run.py                        # 1M browser + 1.2M server events
    python benchmarks/run.py --pixel 10e6           # the size the design speaks of
    python benchmarks/run.py --pixel 1e6 10e6 23e6  # growth

The reference is a bare scan of the columns the work reads, over the same Parquet files, on the same engine. Work and
reference take turns; the ratio is that of the medians, so that the machine's speed drops out. Each work runs in a
process of its own, whose peak memory is printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import ibis

import capi_lab as cl
from capi_lab.engine import as_table, default_backend, limit_engine
from capi_lab.platforms import platform
from capi_lab.reconcile.dedup import mark
from capi_lab.tables import CONVERSIONS, EVENTS

# Pairs arrive together, a twentieth repeats, a fiftieth lacks the id, a few straddle the window.
EVENT_ROWS = """
  SELECT tag || i AS row_id, channel, 'Purchase' AS event_name,
         CASE WHEN hash(i, 1) % 50 = 0 AND channel = 'pixel' THEN NULL ELSE 'o-' || i END AS event_id,
         TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(hash(i, 2) % 7776000)
           + CASE WHEN channel = 'capi' THEN to_seconds(hash(i, 3) % 240000) ELSE to_seconds(0) END AS event_time,
         'u' || (hash(i, 4) % {users}) AS external_id, CAST(i AS VARCHAR) AS conversion_id
  FROM (
    SELECT i, 'pixel' AS channel, 'p-' AS tag FROM range(CAST({pixel} AS BIGINT)) t(i)
    UNION ALL SELECT i, 'pixel', 'r-' FROM range(CAST({pixel} AS BIGINT)) t(i) WHERE hash(i, 5) % 20 = 0
    UNION ALL SELECT i + CAST({pixel} / 5 AS BIGINT), 'capi', 's-' FROM range(CAST({pixel} * 1.2 AS BIGINT)) t(i)
  )
"""
# One id of a tag that forgot to change it, 100,000 times in 90 days over both channels.
ONE_ID = """
  UNION ALL SELECT 'x-' || i, CASE WHEN i % 3 = 0 THEN 'capi' ELSE 'pixel' END, 'Purchase', 'undefined',
         TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(hash(i, 6) % 7776000), NULL, NULL
  FROM range(100000) t(i)
"""
LEDGER_ROWS = """
  SELECT 'c-' || i AS conversion_id, 'purchase' AS event_name,
         TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(hash(i, 2) % 7776000) AS event_time,
         'u' || (hash(i, 4) % ({rows} // 3 + 1)) AS user_key,
         ['US', 'GB', 'DE', 'FR'][1 + CAST(hash(i, 7) % 4 AS BIGINT)] AS country,
         ['Chrome', 'Safari', 'Edge', 'Firefox', 'Samsung'][1 + CAST(hash(i, 8) % 5 AS BIGINT)] AS browser,
         hash(i, 9) % 100 < 61 AS seen_pixel, hash(i, 10) % 100 < 79 AS seen_capi
  FROM range(CAST({rows} AS BIGINT)) t(i)
"""
KEY = ["row_id", "channel", "event_name", "event_id", "event_time"]


def write(query: str, path: Path) -> Path:
    """Make the rows once."""
    if not path.exists():
        duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


def scan(table: ibis.Table, columns: list[str]) -> Callable[[], object]:
    """Read and decode the columns, and nothing else: hashing needs every value."""
    query = table.aggregate(**{name: table[name].hash().max() for name in columns})
    return lambda: default_backend().execute(query)


def verdicts(table: ibis.Table, name: str = "meta") -> Callable[[], object]:
    """Compute everything the rule decides; writing the answer out is not part of it."""

    def run() -> object:
        rule = platform(name).spec.dedup
        marked = mark(table, rule, same_channel=rule.merges_same_channel)
        return default_backend().execute(
            marked.aggregate(k=marked.kept.sum(), d=marked.duplicate_of.hash().max(), r=marked.drop_reason.nunique())
        )

    return run


def dedup_by(columns: list[str], name: str = "meta", extra: str = "") -> Callable[[Path, float], Any]:
    """Return a work: dedup that reads these columns."""

    def make(folder: Path, pixel: float) -> Any:
        rows = EVENT_ROWS.format(pixel=int(pixel), users=int(pixel / 2) + 1) + extra
        path = write(rows, folder / f"events{'_skewed' * bool(extra)}.parquet")
        table = as_table(path, EVENTS).select(*columns)
        return scan(table, columns), verdicts(table, name), table

    return make


def coverage_by_two(*, cluster: str | None) -> Callable[[Path, float], Any]:
    """Return a work: coverage by country and browser over as many orders as there are events."""

    def make(folder: Path, pixel: float) -> Any:
        table = as_table(write(LEDGER_ROWS.format(rows=int(pixel * 2.25)), folder / "ledger.parquet"), CONVERSIONS)
        rec = cl.Reconciled("meta", False, table, table, rule=cl.PLATFORMS["meta"].spec.dedup)
        read = ["conversion_id", "country", "browser", "seen_pixel", "seen_capi"]
        read = read[1:] if cluster is None else [*read, "user_key"]
        return scan(table, read), lambda: cl.coverage(rec, ["country", "browser"], cluster=cluster), table

    return make


WORKS: dict[str, Callable[[Path, float], Any]] = {
    "dedup by key (meta)": dedup_by(KEY),
    "  one id 100,000 times": dedup_by(KEY, extra=ONE_ID),
    "dedup with fallback keys (meta)": dedup_by([*KEY, "external_id"]),
    "dedup, one channel merges (tiktok)": dedup_by(KEY, "tiktok"),
    "dedup, no end to the window (linkedin)": dedup_by(KEY, "linkedin"),
    "dedup by order id (google)": dedup_by([*KEY, "conversion_id"], "google"),
    "coverage by 2 segments": coverage_by_two(cluster=None),
    "coverage by 2 segments, by customer": coverage_by_two(cluster="user_key"),
}


def measure(name: str, folder: Path, pixel: float, runs: int, memory: str | None) -> dict[str, float]:
    """Let work and reference take turns."""
    if memory:
        limit_engine(memory)
    reference, work, table = WORKS[name](folder, pixel)
    seconds: dict[str, list[float]] = {"reference": [], "work": []}
    for number in range(runs + 1):
        for kind, one in (("reference", reference), ("work", work)):
            start = time.perf_counter()
            one()
            if number or runs == 1:  # the first turn warms the file cache
                seconds[kind].append(time.perf_counter() - start)
    return {
        "rows": int(default_backend().execute(table.count())),
        "reference": statistics.median(seconds["reference"]),
        "work": statistics.median(seconds["work"]),
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    """Run each work in a process of its own and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pixel", type=float, nargs="+", default=[1e6], help="browser events; 1.2 times as many others"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", help="limit of the embedded engine, such as 2GB: the rest spills")
    parser.add_argument("--only", default="", help="works whose name contains this")
    parser.add_argument("--one", nargs=2, metavar=("WORK", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        name, folder = args.one
        print(json.dumps(measure(name, Path(folder), args.pixel[0], args.runs, args.memory)))
        return
    for pixel in args.pixel:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{int(pixel * 2.25):,} rows, {args.runs} turns each, medians; memory limit {args.memory or 'none'}")
            for name in WORKS:
                if args.only not in name:
                    continue
                command = [sys.executable, __file__, "--one", name, folder, "--pixel", str(pixel)]
                command += ["--runs", str(args.runs)] + (["--memory", args.memory] if args.memory else [])
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    sys.exit(done.stderr)
                r = json.loads(done.stdout.splitlines()[-1])
                print(
                    f"  {name:<40} {r['work']:8.2f} s  {r['work'] / r['reference']:6.2f} x a scan of its columns "
                    f"({r['reference']:.2f} s)  peak {r['rss']:.2f} GB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
