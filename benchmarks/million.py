"""Plan, send and account for a million conversions against the sandbox, and say in how much memory.

Usage::

    python -m benchmarks.million [--rows 1e6] [--platform meta]

The sandbox is a process of its own, and so are the making of the rows and the sender: what is reported is the sender's
own memory, from reading the Parquet file to the printed receipt. A second plan at the end must have nothing to send.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

import capi_lab as cl
from benchmarks.wires import purchases
from capi_lab.platforms import platform
from tests.contracts.examples import SETTINGS


def make(path: Path, rows: int) -> None:
    """Write simulated conversions of the last minutes, with every match key."""
    frame = purchases(rows)
    now = pd.Timestamp(datetime.now(UTC)).floor("s") - pd.Timedelta(hours=1)
    frame["event_time"] = (now + pd.to_timedelta(frame.index % 600, unit="s")).as_unit("us")
    frame.to_parquet(path)


def run(
    conversions: Path, platform: str, host: str, settings: dict[str, str], outbox: Path, env: dict[str, str]
) -> None:
    """Do it, and say what each step took."""

    def said(what: str, n: int, since: float) -> None:
        took = time.perf_counter() - since
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{what:<22} {took:8.1f} s {n / took:10,.0f} rows/s   peak so far {peak:6,.0f} MB", flush=True)

    start = time.perf_counter()
    plan = cl.plan(conversions, platform, settings=settings, outbox=outbox, now=datetime.now(UTC), host=host)
    n = len(plan.rows)
    said("plan", n, start)
    start = time.perf_counter()
    receipt = cl.send(plan, approve=plan.fingerprint, env=env, progress=False)
    said("send and receipt", n, start)
    print(receipt)
    size = sum(file.stat().st_size for file in outbox.parent.glob(outbox.name + "*"))
    print(f"outbox: {size / n:.0f} bytes a row; {cl.Outbox(outbox).counts()}")
    del plan, receipt
    start = time.perf_counter()
    again = cl.plan(conversions, platform, settings=settings, outbox=outbox, now=datetime.now(UTC), host=host)
    said("plan it again", n, start)
    print(f"to send the second time: {len(again.to_send):,} of {n:,}")


def main() -> None:
    """Start the sandbox and the sender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--platform", default="meta", choices=[name for name, _ in SETTINGS])
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--send", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make(args.make, int(args.rows))
        return
    if args.send:
        source, host, outbox, env = args.send
        route = platform(args.platform).wire().route.name
        run(Path(source), args.platform, host, dict(SETTINGS[args.platform, route]), Path(outbox), json.loads(env))
        return
    with tempfile.TemporaryDirectory() as folder, cl.Sandbox(seed=4) as box:
        mine = [sys.executable, "-m", "benchmarks.million", "--platform", args.platform, "--rows", str(args.rows)]
        source, outbox = Path(folder) / "conversions.parquet", Path(folder) / "outbox.sqlite"
        subprocess.run([*mine, "--make", str(source)], check=True)
        env = json.dumps(box.credentials(args.platform))  # the sandbox's own, of no use elsewhere
        subprocess.run([*mine, "--send", str(source), box.url(args.platform), str(outbox), env], check=True)
        print(f"by the sandbox's own count: {box.counted(args.platform):,}")


if __name__ == "__main__":
    main()
