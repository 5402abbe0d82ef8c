"""Kill a sender at any moment while everything goes wrong, and count what the platform then has.

``make chaos`` runs a thousand seeded worlds, ``tests/test_chaos.py`` a part of them. In each, one process after the
other plans and sends the same conversions through one outbox to a sandbox whose fault switches are on, and is killed by
SIGKILL: by itself at a random line of the sender's code, in whichever thread, or from outside at a random time. The
last one runs to the end. By the sandbox's own count every eligible conversion must then be counted exactly once, or
stand in a state that says that it may not be.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd

import capi_lab as cl
from capi_lab.platforms.rules import Assumption
from capi_lab.sandbox import Fault
from capi_lab.send.words import SendState
from capi_lab.words import ServerFault
from tests.contracts.examples import NOW, ROUTES, SETTINGS, wire_of
from tests.send.worlds import few

ROWS = 14
LIVES = 12
"""So many processes may work on one world before it counts as never coming to an end."""
PAUSE = timedelta(minutes=10)
SENDER = str(Path(cl.__file__).parent / "send")
# Every column is checked in every plan; an e-mail address is enough for every route.
_NOT_NEEDED = ("user_key", "fbp", "msclkid", "consent_ad_user_data", "origin")
_SECONDS = 0.25


@dataclass(frozen=True)
class World:
    """One seeded run.

    Parameters
    ----------
    seed : int
        Draws route, faults, kills and the size of requests.
    remembers : bool
        False: the outbox is thrown away with each process, as if there were none.
    kills : int
        At most so many processes are killed.
    share : float
        Of the requests that meet each of the faults.
    """

    seed: int
    remembers: bool = True
    kills: int = 2
    share: float = 0.05

    @property
    def route(self) -> tuple[str, str]:
        """Platform and route; each comes in turn."""
        return ROUTES[self.seed % len(ROUTES)]

    @property
    def batch(self) -> int:
        """Rows in a request."""
        return 1 + self.seed % 5


def _lines(world: World) -> int:
    """Return how many lines of the sender's code a send takes, about."""
    return 900 + 2400 // world.batch


@dataclass
class Verdict:
    """What was found in a run.

    Parameters
    ----------
    world : World
    kills : int
        Processes that died of SIGKILL.
    lives : int
        Processes altogether.
    states : Counter
        Where the eligible conversions stand.
    wrong : list of str
        What must not be; never a value of a row.
    """

    world: World
    kills: int = 0
    lives: int = 0
    states: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@cache
def conversions() -> pd.DataFrame:
    """What is to be sent: mostly eligible rows, each known by its id and by its time; the last two are too old."""
    rows = few(ROWS, **dict.fromkeys(_NOT_NEEDED))
    rows.loc[rows.index[-2:], "event_time"] -= pd.Timedelta(days=100)
    return rows


# -- the process that is killed -----------------------------------------------------------------------------------


def work(url: str, ledger: str | None, seed: int, now: datetime, env: Mapping[str, str], die_at: int | None) -> None:
    """Plan and send everything once.

    Parameters
    ----------
    url : str
    ledger : str or None
        None: nothing is remembered.
    seed : int
    now : datetime
    env : mapping
        Credentials.
    die_at : int or None
        After so many lines of the sender's code the process kills itself.
    """
    world = World(seed)
    platform, route = world.route
    with cl.Outbox(":memory:" if ledger is None else ledger) as outbox:
        plan = cl.plan(
            conversions(), platform, route=route, settings=SETTINGS[platform, route], outbox=outbox,
            now=now, host=url, batch_rows=world.batch,
        )  # fmt: skip
        if die_at is not None:
            _die_after(die_at)
        cl.send(
            plan, approve=plan.fingerprint, env=env, clock=lambda: now, sleep=lambda seconds: None, progress=False
        )  # fmt: skip


def _die_after(lines: int) -> None:
    """Kill this process at a line of the sender's code, whichever thread comes to it."""
    left = [lines]

    def at_line(frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return at_line

    def at_call(frame: FrameType, event: str, arg: Any) -> Any:
        return at_line if frame.f_code.co_filename.startswith(SENDER) else None

    threading.settrace(at_call)
    sys.settrace(at_call)


# -- one run ------------------------------------------------------------------------------------------------------


def run(world: World, context: Any) -> Verdict:
    """Send a world's conversions to the end, with kills on the way, and count."""
    rng, verdict = random.Random(world.seed), Verdict(world)
    faults = [Fault(kind, world.share, 2) for kind in ServerFault]
    with (
        tempfile.TemporaryDirectory() as folder,
        cl.Sandbox(seed=world.seed, faults=faults, now=NOW, patience=0.02, slowness=0.01) as box,
    ):
        ledger = str(Path(folder) / "outbox.sqlite") if world.remembers else None
        env = box.credentials(world.route[0], renewable=rng.random() < 0.5)
        kills = rng.randrange(1, world.kills + 1)
        for life in range(LIVES):
            last = verdict.kills >= kills or life > 4
            by_line = rng.random() < 0.7
            die_at = rng.randrange(1, _lines(world)) if by_line and not last else None
            now = NOW + life * PAUSE
            child = context.Process(target=work, args=(box.url(), ledger, world.seed, now, env, die_at))
            child.start()
            child.join(None if last or by_line else rng.random() * _SECONDS)
            if child.is_alive():
                child.kill()
                child.join()
            verdict.lives += 1
            verdict.kills += child.exitcode == -signal.SIGKILL
            if child.exitcode not in (0, -signal.SIGKILL):
                verdict.wrong.append(f"a process ended with {child.exitcode}")
                break
            box.advance(PAUSE)
            # A process nobody killed in time may have done it all.
            if (last or child.exitcode == 0) and (ledger is None or not _open(ledger, resendable(world.route))):
                break
        _judge(verdict, box, ledger)
    return verdict


def resendable(route: tuple[str, str]) -> bool:
    """Say whether the platform is known to count a resend once."""
    safe = wire_of(*route).route.resend
    return safe.value if isinstance(safe, Assumption) else safe


def _open(ledger: str, again: bool) -> bool:
    """Say whether anything is still to be sent, or safe to be sent again."""
    with cl.Outbox(ledger) as outbox:
        states = outbox.rows()
    waiting = {SendState.PENDING, SendState.IN_FLIGHT, *([SendState.UNKNOWN] if again else [])}
    return bool(states["state"].isin(waiting).any()) or len(states) < ROWS - 2


def _judge(verdict: Verdict, box: cl.Sandbox, ledger: str | None) -> None:
    """Hold what the sandbox counts against where the outbox says that each conversion stands."""
    platform, route = verdict.world.route
    rows = conversions()
    table = box.received(platform, route)
    counted = Counter(_known_as(table[table["counted"]], rows))
    states: dict[str, str] = {}
    if ledger is not None:
        with cl.Outbox(ledger) as outbox:
            found = outbox.rows(rows["conversion_id"].tolist())
        states = dict(zip(found["conversion_id"], found["state"], strict=True))
    for one in rows["conversion_id"][:-2]:
        state, times = states.get(one, "never planned"), counted[one]
        verdict.states[state] += 1
        if times > 1:
            verdict.wrong.append(f"counted {times} times, {state}")
        elif state == SendState.ACCEPTED and times == 0:
            verdict.wrong.append("lost: accepted and not counted")
        elif state == SendState.REJECTED and times == 1:
            verdict.wrong.append("counted, and said to be rejected")
        elif state not in {SendState.ACCEPTED, SendState.REJECTED, SendState.UNKNOWN}:
            verdict.wrong.append(f"not brought to an end: {state}")
        elif state == SendState.UNKNOWN and resendable(verdict.world.route):
            verdict.wrong.append("left unknown where a resend would be safe")
    if any(counted[one] for one in rows["conversion_id"][-2:]):
        verdict.wrong.append("sent though not eligible")


def _known_as(table: pd.DataFrame, rows: pd.DataFrame) -> Iterator[str]:
    """Name the conversion of every row the sandbox holds: by order id, event id or, where there is neither, by time."""
    by_time = dict(zip(rows["event_time"], rows["conversion_id"], strict=True))
    for column in ("conversion_id", "event_id"):
        if column in table and table[column].notna().all():
            yield from table[column]
            return
    yield from table["event_time"].map(by_time)


# -- many runs ----------------------------------------------------------------------------------------------------


def forking() -> Any:
    """Return a way to start processes that have all imports behind them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "tests.chaos", "tests.send.warmed"])
    return context


def runs(worlds: Iterable[World]) -> list[Verdict]:
    """Run worlds one after the other."""
    context = forking()
    return [run(world, context) for world in worlds]


def side_by_side(worlds: Sequence[World], at_once: int) -> list[Verdict]:
    """Run worlds in several processes: children of one process must not be waited for in several threads."""
    parts = [list(worlds[i : i + 20]) for i in range(0, len(worlds), 20)]
    with ProcessPoolExecutor(at_once, mp_context=multiprocessing.get_context("spawn")) as pool:
        found: list[Verdict] = []
        for part in pool.map(runs, parts):
            found += part
            for one in part:
                if one.wrong:
                    print(
                        f"seed {one.world.seed}{'' if one.world.remembers else ', no outbox'}: {'; '.join(one.wrong)}"
                    )
            print(f"{len(found):,} of {len(worlds):,}", flush=True)
        return found


def summary(verdicts: Iterable[Verdict]) -> str:
    """Say what happened, by route."""
    lines = []
    by_route: dict[tuple[str, str], list[Verdict]] = {}
    for one in verdicts:
        by_route.setdefault(one.world.route, []).append(one)
    for key, those in by_route.items():
        states: Counter[str] = sum((one.states for one in those), Counter())
        wrong = Counter(word for one in those for word in one.wrong)
        stand = ", ".join(f"{n:,} {state}" for state, n in sorted(states.items()))
        kills, lives = sum(one.kills for one in those), sum(one.lives for one in those)
        line = f"{'/'.join(key):<22} {len(those):>5} runs {kills:>5} kills {lives:>6} processes; {stand}"
        lines.append(line + (f"; WRONG: {dict(wrong)}" if wrong else ""))
    return "\n".join(lines)


def main() -> int:
    """Run what the command line asks for; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1001)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 2)
    asked = parser.parse_args()
    found = side_by_side([World(asked.first + i) for i in range(asked.runs)], asked.at_once)
    print(summary(found))
    print("without the outbox:")
    forgetful = side_by_side([World(asked.first + i, remembers=False) for i in range(0, asked.runs, 10)], asked.at_once)
    print(summary(forgetful))
    doubles = sum("times" in word for one in forgetful for word in one.wrong)
    wrong = [one for one in found if one.wrong]
    print(f"{len(found)} runs, {len(wrong)} wrong; without the outbox {doubles} conversions counted more than once")
    return int(bool(wrong) or not doubles)


if __name__ == "__main__":
    raise SystemExit(main())
