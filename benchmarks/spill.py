"""Dedup of more rows than the engine may hold in memory: it finishes by writing to disk.

Usage::

    python benchmarks/spill.py                              # 10M browser + 12M server events under 2 GB
    python benchmarks/spill.py --pixel 1e6 --memory 300MB

Each run is a process of its own: without a limit, under the limit, and under the limit without a disk, which has to
fail if the limit means anything. Verdicts must be the same. ``engine memory`` is what DuckDB is allowed; a process
needs more than that for Python, Arrow and the allocator.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from run import EVENT_ROWS, write

import capi_lab as cl
from capi_lab.engine import default_backend, limit_engine, materialise


def size(folder: Path) -> int:
    """Bytes in the files DuckDB spills into; they come and go while we look."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if "duckdb_temp" in path.name else 0
        except FileNotFoundError:
            continue
    return total


def child(path: str, memory: str, disk: str) -> None:
    """Deduplicate under the limits given and print figures and a digest of the verdicts."""
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        limit_engine(memory or None, spill_to=folder)
        if disk:
            default_backend().raw_sql(f"SET max_temp_directory_size = '{disk}'")
        spilled, done = [0], threading.Event()

        def watch() -> None:
            while not done.wait(0.05):
                spilled[0] = max(spilled[0], size(Path(folder)))

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.perf_counter()
        try:
            marked = materialise(cl.dedup(path, "meta"))
            verdict = (marked.row_id + marked.drop_reason + marked.duplicate_of).hash()
            found = marked.aggregate(kept=marked.kept.sum(), rows=marked.count(), digest=verdict.bit_xor())
            answer = default_backend().execute(found).iloc[0].tolist()
        finally:
            done.set()
            watcher.join()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps([[int(x) for x in answer], time.perf_counter() - start, spilled[0], peak]))


def main() -> None:
    """Make the rows, run the three, print what each did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixel", type=float, default=10e6, help="browser events; 1.2 times as many server events")
    parser.add_argument("--memory", default="2GB")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = EVENT_ROWS.format(pixel=int(args.pixel), users=int(args.pixel / 2) + 1)
        path = write(rows, Path(folder) / "events.parquet")
        answers = []
        for name, memory, disk in (
            ("no limit", "", ""),
            (args.memory, args.memory, ""),
            (f"{args.memory}, no disk", args.memory, "0KB"),
        ):
            command = [sys.executable, "-W", "ignore", __file__, "--child", str(path), memory, disk]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                why = "out of memory" if "OutOfMemory" in done.stderr else done.stderr.strip()[-300:]
                print(f"  engine memory {name:<16} fails: {why}")
                continue
            answer, seconds, spilled, peak = json.loads(done.stdout.splitlines()[-1])
            answers.append(answer)
            print(
                f"  engine memory {name:<16} {answer[1]:,} events, {answer[0]:,} kept, {seconds:7.1f} s, "
                f"{spilled / 1e9:5.2f} GB on disk at most, process at most {peak / 1e9:.2f} GB"
            )
    if len(answers) != 2 or answers[0] != answers[1]:
        sys.exit("the limited run did not give what the free one gives")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
