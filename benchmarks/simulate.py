"""How fast shops are simulated, beside numpy's own draws of as many numbers, and in how much memory.

Run ``python benchmarks/simulate.py``; ``--orders`` for the size of the run to Parquet.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

import capi_lab as cl
from capi_lab.simulate import draws, mixer
from capi_lab.simulate.columns import frame_of
from capi_lab.simulate.engine import BLOCK, blocks, journeys, match, traits_of
from capi_lab.simulate.plan import Plan
from capi_lab.simulate.story import Story

MECHANISMS = 33  # chances the bare engine draws for an order, its customer or its click

plan = Plan(cl.World(), "meta", 7)
story = Story(plan, plan.cells)
SOME = list(blocks(plan, 8 * BLOCK))
RNG = np.random.default_rng(1)


def bare(number: int) -> None:
    """Draw a block: causes, what becomes of the click id, and what the platform could match."""
    block = next(blocks(plan, (number + 1) * BLOCK, number * BLOCK))
    match(plan, block, journeys(plan, block, traits_of(plan, block.people)))


def full(number: int) -> object:
    """Write a block's tables, all columns, in Arrow."""
    block = SOME[number]
    return story.tables(block, journeys(plan, block, traits_of(plan, block.people)))


def frames(number: int) -> None:
    """Write them, and turn them into frames."""
    for table in full(number):  # type: ignore[attr-defined]
        frame_of(table)


def numpy_draws(number: int) -> None:
    """Draw a number for each mechanism and order, and compare it."""
    for _ in range(MECHANISMS):
        RNG.random(BLOCK, dtype=np.float32) < np.float32(0.3)  # noqa: B015


def best(work: Callable[[int], object], turns: int) -> float:
    """Return the shortest CPU time of a turn, in ns an order."""
    shortest = float("inf")
    for turn in range(turns):
        start = time.process_time()
        work(turn % len(SOME))
        shortest = min(shortest, time.process_time() - start)
    return shortest / BLOCK * 1e9


def to_parquet(orders: int, threads: int) -> None:
    """Write a run and say what it took."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        cl.simulate(cl.World(), rng=np.random.default_rng(7), n=orders, to=folder, threads=threads)
        seconds = time.perf_counter() - start
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e9
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"  {orders:>12,} orders to Parquet, {threads} threads: {seconds:.1f} s, "
            f"{orders / seconds / 1e6:.2f} M/s, {size:.2f} GB, peak {peak:.2f} GB",
            flush=True,
        )


def main() -> None:
    """Print speeds as ratios of numpy's own, then the run to Parquet at two sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=float, nargs="+", default=[1e5, 1e6])
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        to_parquet(int(args.one), args.threads)
        return
    works = {
        f"numpy's own, {MECHANISMS} draws": (numpy_draws, mixer.PASSES),
        "bare engine": (bare, mixer.PASSES),
        "full story, Arrow": (full, mixer.PASSES),
        "full story, pandas": (frames, mixer.PASSES),
    }
    if fast := mixer.compiled():
        works |= {"bare engine, compiled": (bare, fast), "full story, compiled": (full, fast)}
    else:
        print("numba is not installed (extra fast): passes of numpy only")
    shortest = dict.fromkeys(works, float("inf"))
    for _ in range(4):  # they take turns, so that a busy machine is busy for all
        for title, (work, mixing) in works.items():
            with mock.patch.object(draws, "current", lambda mixing=mixing: mixing):
                shortest[title] = min(shortest[title], best(work, max(1, args.turns // 4)))
    reference = next(iter(shortest.values()))
    for title, ns in shortest.items():
        print(
            f"  {title:<25} {ns:7.0f} ns  {1e3 / ns:6.2f} M/s a core  {ns / reference:5.2f} x numpy's draws", flush=True
        )
    for orders in args.orders:  # a process each: memory is the run's own
        command = [sys.executable, __file__, "--one", str(orders), "--threads", str(args.threads)]
        print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="", flush=True)


if __name__ == "__main__":
    main()
