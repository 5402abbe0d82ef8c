"""The rule run event by event gives what the engine gives."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from operator import attrgetter, itemgetter
from typing import Any

import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import InputError
from capi_lab.platforms.deduper import Deduper, Verdict
from tests.reconcile import test_dedup as meta_logs
from tests.reconcile.greedy import greedy_meta
from tests.reconcile.greedy_others import greedy_linkedin
from tests.reconcile.test_dedup_others import RULES, TEXT, frame, many, some_logs


def taken_in(
    events: pd.DataFrame, platform: str, route: str | None = None, same_channel: bool | None = None
) -> dict[str, Verdict]:
    """Feed a log to the platform in order of receipt."""
    clock = events["received_time"] if "received_time" in events else events["event_time"]
    events = events.assign(clock=clock.astype("int64"), later=events["channel"] != "pixel")
    events = events.sort_values(["clock", "later", "row_id"])
    columns = {name: events[name].astype("object").where(events[name].notna(), None).tolist() for name in events}
    deduper = Deduper(cl.PLATFORMS[platform].spec.route(route).dedup, same_channel=same_channel)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    deduper.receive_all((row, row["clock"]) for row in rows)
    found = {row["row_id"]: deduper.verdict(row["row_id"]) for row in rows}
    assert deduper.kept == sum(one.kept for one in found.values())
    return found


def one_by_one(
    logs: list[list[Any]], verdicts: Callable[[list[Any]], dict[str, tuple[Any, ...]]]
) -> dict[str, Verdict]:
    """Judge each small log alone: a plain loop over all of them would look at every pair of rows."""
    return {row: Verdict(*verdict[:3]) for log in logs for row, verdict in verdicts(log).items()}


def apart(rows: list[Any], name: Callable[[Any], str]) -> list[list[Any]]:
    """Cut a log made of many into those it was made of."""
    return [list(part) for _, part in itertools.groupby(rows, lambda row: name(row).split("-")[0])]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("platform", "route"), RULES, ids=lambda v: v or "default")
def test_equals_a_plain_simulator(platform: str, route: str | None, seed: int) -> None:
    """Verdict, reason and partner of every row, over 600 adversarial logs a rule."""
    rows = many(some_logs(seed + 20, 200))
    expected = one_by_one(apart(rows, itemgetter("row_id")), RULES[platform, route])
    assert taken_in(frame(rows), platform, route) == expected


def test_linkedins_open_question_the_other_way() -> None:
    """Under the reading in which repeats of one channel merge, too."""
    rows = many(some_logs(29, 400))
    logs = apart(rows, itemgetter("row_id"))
    expected = one_by_one(logs, lambda log: greedy_linkedin(log, same_channel=True))
    assert taken_in(frame(rows), "linkedin", same_channel=True) == expected


@pytest.mark.parametrize("same_channel", [False, True])
def test_equals_a_plain_loop_where_ids_lack_and_browsers_are_preferred(same_channel: bool) -> None:
    """The fallback by person and the near-ties, over 1,000 logs made for them."""
    draw = random.Random(5)
    rows = meta_logs.many([meta_logs.some_log(draw) for _ in range(1000)])
    logs = apart(rows, attrgetter("row_id"))
    expected = one_by_one(logs, lambda log: greedy_meta(log, same_channel=same_channel))
    assert taken_in(meta_logs.frame(rows), "meta", same_channel=same_channel) == expected


def test_equals_the_replay() -> None:
    """What `capi_lab.dedup` says of a log is what the platform does while it comes in."""
    draw = random.Random(6)
    log = meta_logs.frame(meta_logs.many([meta_logs.some_log(draw) for _ in range(300)]))
    result = cl.dedup(log, "meta")
    columns = (result[name].astype("object") for name in ("drop_reason", "duplicate_of"))
    reasons, partners = (column.where(column.notna(), None) for column in columns)
    rows = zip(result["row_id"], result["kept"], reasons, partners, strict=True)
    assert taken_in(log, "meta") == {row: Verdict(kept, reason, partner) for row, kept, reason, partner in rows}


def test_a_verdict_can_change_until_all_is_in() -> None:
    """The server's event is kept until the browser's copy comes a minute later and takes its place."""
    deduper = Deduper(cl.PLATFORMS["meta"].spec.dedup)
    base = dict.fromkeys(TEXT) | {"event_name": "Purchase", "event_id": "e"}
    assert deduper.receive(base | {"row_id": "s", "channel": "capi"}, 0) == Verdict(kept=True)
    assert deduper.receive(base | {"row_id": "p", "channel": "pixel"}, 60_000_000) == Verdict(kept=True)
    assert deduper.verdict("s") == Verdict(False, "browser_preferred", "p")
    assert deduper.kept == 1


def test_refuses_what_no_platform_would_see() -> None:
    """Time does not run backwards, and a row is received once."""
    deduper = Deduper(cl.PLATFORMS["meta"].spec.dedup)
    row = {"row_id": "a", "channel": "capi", "event_name": "Purchase"}
    deduper.receive(row, 10)
    with pytest.raises(InputError, match="order of receipt"):
        deduper.receive(row | {"row_id": "b"}, 9)
    with pytest.raises(InputError, match="repeats"):
        deduper.receive(row, 10)
