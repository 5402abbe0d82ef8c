"""Speed as ratios, measured in one run against a named reference on the same rows.

Usage::

    python benchmarks/run.py                 # 1M browser + 1.2M server events
    python benchmarks/run.py --pixel 10e6    # the size the design speaks of

The reference is a bare scan of the columns the rule reads, over the same Parquet files, on the same engine.
Each figure is the median of the runs; the machine's absolute speed drops out of the ratio.
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
import ibis

import capi_lab as cl
from capi_lab.engine import as_table, default_backend, materialise
from capi_lab.platforms import platform
from capi_lab.reconcile.dedup import mark
from capi_lab.tables import EVENTS

# Pairs arrive together, a twentieth repeats, a fiftieth lacks the id, a few straddle the window.
MAKE = """
COPY (
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
) TO '{path}' (FORMAT parquet)
"""


def timed(work: Callable[[], object], runs: int) -> float:
    """Median wall seconds of ``runs`` calls after one that is not counted."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    """Make the rows, time the reference and the work, print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixel", type=float, default=1e6, help="browser events; 1.2 times as many server events")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        duckdb.sql(MAKE.format(pixel=int(args.pixel), users=int(args.pixel / 2) + 1, path=path))
        backend = default_backend()
        rule = platform("meta").spec.dedup
        keyed = as_table(path, EVENTS)
        columns = ["row_id", "channel", "event_name", "event_id", "event_time"]
        plain = keyed.select(*columns)
        n = int(backend.execute(plain.count()))
        # Hashing every column makes the engine read and decode all of it, and nothing else.
        scan = plain.aggregate(**{name: plain[name].hash().max() for name in columns})
        wide = keyed.select(*columns, "external_id")
        scan_wide = wide.aggregate(**{name: wide[name].hash().max() for name in wide.columns})

        def verdicts(table: ibis.Table) -> Callable[[], object]:
            # Everything the rule decides is computed; writing the answer out is not part of it.
            def run() -> object:
                marked = mark(table, rule, same_channel=False)
                return backend.execute(marked.aggregate(k=marked.kept.sum(), d=marked.duplicate_of.hash().max()))

            return run

        rows = [("bare scan of the key columns", timed(lambda: backend.execute(scan), args.runs), None)]
        rows.append(("dedup by key", timed(verdicts(plain), args.runs), 0))
        rows.append(("bare scan with external_id", timed(lambda: backend.execute(scan_wide), args.runs), None))
        rows.append(("dedup with fallback keys", timed(verdicts(wide), args.runs), 2))
        rows.append(("contract check", timed(lambda: as_table(path, EVENTS), args.runs), 0))
        shop = cl.load.sample("cdnow")
        table = materialise(cl.reconcile(shop.conversions, shop.events).conversion_table)
        rec = cl.Reconciled("meta", same_channel=False, event_table=table, conversion_table=table, pair_table=table)
        rows.append(
            (
                "coverage of 69,659 orders by 2 segments",
                timed(lambda: cl.coverage(rec, ["country", "browser"]), 3),
                None,
            )
        )
    print(f"{n:,} events, {args.runs} runs each, median")
    for name, seconds, reference in rows:
        ratio = "" if reference is None else f"{seconds / rows[reference][1]:8.1f} x {rows[reference][0]}"
        print(f"  {name:<42} {seconds:8.3f} s {ratio}")
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
