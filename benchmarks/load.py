"""Speed and memory of reading logs and exports, beside a bare expression and a bare JSON parser on the same lines.

Usage, from the repository; the first two on one core (without ``taskset``, two parts are read at a time), the third
with a generated log of so many megabytes, the last with an access log whose user agents are classed (without it, the
generated one)::

    taskset -c 0 python -m benchmarks.load --lines 4e5 --rows 1e5 --megabytes 500 --agents access.log
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

import capi_lab as cl
from tests.load.made_logs import combined, requests

_LINE = re.compile(r'(\S+) \S+ \S+ \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}|-) (?:\d+|-) "((?:[^"\\]|\\.)*)" "(.*)"\s*')


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of a piece of work."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def say(what: str, n: int, seconds: tuple[float, float], reference: tuple[float, float] | None = None) -> None:
    """Print a figure a second, by the clock and by the processor's time, and its ratio to a reference."""
    wall, cpu = seconds
    ratio = f" {reference[1] / cpu:>8.2f} x the reference" if reference else ""
    print(f"{what:<44} {n / wall:>12,.0f} /s {n / cpu:>12,.0f} /s of processor time{ratio}", flush=True)


def ga4_line(number: int) -> str:
    """Write one GA4 event as BigQuery exports it."""
    params = [
        {"key": "page_location", "value": {"string_value": f"https://shop.example.com/?gclid=G{number}"}},
        {"key": "ga_session_id", "value": {"int_value": str(number // 5)}},
        {"key": "value", "value": {"double_value": 9.5}},
    ]
    event = {
        "event_date": "20260517",
        "event_timestamp": str(1_779_000_000_000_000 + number),
        "event_name": "page_view" if number % 20 else "purchase",
        "event_params": params,
        "user_pseudo_id": f"{number // 5}.1",
        "privacy_info": {"ads_storage": "Yes"},
        "device": {"category": "mobile", "operating_system": "iOS", "web_info": {"browser": "Safari"}},
        "geo": {"country": "Germany"},
        "ecommerce": {"transaction_id": str(number)} if number % 20 == 0 else None,
    }
    return json.dumps(event, separators=(",", ":")) + "\n"


def peak(path: Path, to: Path) -> None:
    """Stream a log to Parquet in a process of its own and print what it took."""
    code = (
        "import resource, capi_lab as cl;"
        f"r = cl.load.access_log({str(path)!r}, kind='visits', to={str(to)!r}).report;"
        "print(r.rows_in, r.rows_out, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    start = time.perf_counter()
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    rows_in, rows_out, kilobytes = map(int, answer.split())
    megabytes = path.stat().st_size / 1e6
    print(
        f"{megabytes:,.0f} MB of access log, {rows_in:,} lines to {rows_out:,} visits in Parquet: "
        f"peak {kilobytes / 1024:,.0f} MB, {rows_in / (time.perf_counter() - start):,.0f} lines/s"
    )


def agents(path: Path) -> None:
    """Class the user agents of an access log, each distinct one once, beside ua-parser asked for every row."""
    from ua_parser import BasicResolver, BestAvailableResolver, Domain, load_builtins

    texts = pd.Series([line.rsplit('"', 2)[1] for line in path.read_text(encoding="utf-8").splitlines()])
    per_row = {}
    for name, kind in (("plain", BasicResolver), ("native", BestAvailableResolver)):
        resolver = kind(load_builtins())  # neither has a cache
        resolver("warm", Domain.ALL)
        per_row[name] = timed(lambda resolver=resolver: [resolver(text, Domain.ALL) for text in texts])
        say(f"ua-parser per row, {name} matcher", len(texts), per_row[name])
    cl.browser_of(["warm"])
    print(
        f"  {len(texts):,} rows, {texts.nunique():,} distinct user agents: {len(texts) / texts.nunique():.1f} rows each"
    )
    for what in ("browser_of, first time", "browser_of, again"):
        ours = timed(lambda: cl.browser_of(texts))
        say(what, len(texts), ours)
        print("  times as fast:", ", ".join(f"{rows[1] / ours[1]:.1f} ({name})" for name, rows in per_row.items()))


def main() -> None:
    """Make the files, read them, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=float, default=4e5)
    parser.add_argument("--rows", type=float, default=1e5)
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("--agents", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        once = "".join(combined(one, extra=False) for one in requests(20_000, seed=1))
        log = folder / "access.log"
        # First: what this process holds by then would count as the other one's peak.
        with log.open("w") as file:
            for _ in range(int(options.megabytes * 1e6 / len(once))):
                file.write(once)
        peak(log, folder / "visits.parquet")
        log.write_text(once * max(1, int(options.lines) // 20_000))
        first = folder / "first.log"
        first.write_text("".join(once.splitlines(keepends=True)[:4000]))
        agents(options.agents or first)
        lines = log.read_text().splitlines(keepends=True)
        bare = timed(lambda: [_LINE.match(line) for line in lines])
        say("bare expression per line", len(lines), bare)
        cl.load.access_log(log, kind="visits")  # once for imports and caches
        for kind in ("clicks", "visits"):
            say(f"access_log, {kind}", len(lines), timed(lambda kind=kind: cl.load.access_log(log, kind=kind)), bare)
        ga4 = folder / "events.jsonl"
        ga4.write_text("".join(ga4_line(number) for number in range(int(options.rows))))
        events = ga4.read_text().splitlines()
        bare = timed(lambda: [json.loads(line) for line in events])
        say("bare json.loads per line", len(events), bare)
        say("ga4_bigquery, JSON lines", len(events), timed(lambda: cl.load.ga4_bigquery(ga4)), bare)


if __name__ == "__main__":
    main()
