"""Speed of normalising and hashing e-mail and phone on one core, beside the machine's own SHA-256.

Usage, one core and one thread::

    taskset -c 0 python benchmarks/identity.py --rows 1e6
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable

import pandas as pd
import pyarrow as pa

import capi_lab as cl
from capi_lab.identity import hashing

DOMAINS = ["gmail.com"] * 5 + ["yahoo.com"] * 2 + ["outlook.com", "icloud.com", "example.co.uk"]


def best(work: Callable[[], object], runs: int = 5) -> float:
    """Least wall seconds of some runs: the others were disturbed."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def openssl(size: int) -> float:
    """SHA-256 operations per second on blocks of this many bytes."""
    command = ["openssl", "speed", "-seconds", "1", "-evp", "sha256", "-bytes", str(size)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.findall(r"([\d.]+)k\s*$", answer)[0]) * 1000 / size


def main() -> None:
    """Make the columns, time the work, print figures and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=1e6)
    n = int(parser.parse_args().rows)
    rng = random.Random(1)  # noqa: S311 (made-up columns)
    first, last = ["jane", "maria", "wei", "john", "ahmed", "olga"], ["doe", "smith", "garcia", "chen"]
    email = pd.Series(
        [f"{rng.choice(first)}.{rng.choice(last)}{rng.randrange(10**7)}@{rng.choice(DOMAINS)}" for _ in range(n)]
    )
    numbers = [(rng.randint(200, 999), rng.randint(200, 999), rng.randrange(10**4)) for _ in range(n)]
    phone = pd.Series(
        [f"+1{a}{b}{c:04d}" if i % 2 else f"({a}) {b}-{c:04d}" for i, (a, b, c) in enumerate(numbers)], dtype="str"
    )
    engine = hashing._engine()
    engine.execute("SET threads = 1")
    engine.register("plain", pa.table({"x": pa.array(email.tolist())}))
    alone = n / best(lambda: engine.execute("SELECT count(sha256(x)) FROM plain").fetchall())
    print(f"SHA-256 alone: {alone / 1e6:.2f} M/s")
    if shutil.which("openssl"):
        for size in (16, 32, 55, 64):
            limit = openssl(size)
            print(f"  {alone / limit:.0%} of openssl on {size} bytes ({limit / 1e6:.1f} M/s)")
        bulk = openssl(16384) * 16384 / 64
        print(f"  {alone / bulk:.1%} of openssl's blocks of one long message ({bulk / 1e6:.1f} M/s)")
    for platform in ("meta", "google", "tiktok", "microsoft"):
        mails = best(lambda p=platform: cl.identity.hash_column(email, "email", p))
        phones = best(lambda p=platform: cl.identity.hash_column(phone, "phone", p, country="US"))
        print(
            f"{platform}: {n / (mails + phones) / 1e6:.2f} M pairs/s "
            f"(e-mail {mails / n * 1e9:.0f} ns, phone {phones / n * 1e9:.0f} ns)"
        )


if __name__ == "__main__":
    main()
