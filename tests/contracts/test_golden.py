"""Golden files: synthetic rows to the exact body, canned replies to the exact outcomes. They double as examples."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from capi_lab.platforms.wire import Reply, Request
from tests.contracts.examples import ROUTES, wire_of

FOLDER = Path(__file__).parents[1] / "golden"
FILES = sorted(FOLDER.glob("*/*.json"))
ENCODE = [path for path in FILES if "_encode_" in path.name]
DECODE = [path for path in FILES if "_decode" in path.name]


def route_of(path: Path) -> tuple[str, str]:
    return path.parent.name, path.name.partition("_encode_" if "_encode_" in path.name else "_decode")[0]


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    for name in ("event_time", "click_time"):
        if name in table:
            table[name] = pd.to_datetime(table[name], utc=True)
    return table


@pytest.mark.parametrize("path", ENCODE, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_rows_become_exactly_this_body(path: Path) -> None:
    """``rows`` and ``settings`` give ``url`` and ``json``, to the byte of every digest."""
    case = json.loads(path.read_text(encoding="utf-8"))
    (request,) = wire_of(*route_of(path)).encode(frame(case["rows"]), case["settings"])
    assert request.url == case["url"]
    assert request.json == case["json"]
    assert list(request.row_ids) == [row["conversion_id"] for row in case["rows"]]


def replies() -> list[pytest.param]:
    cases = []
    for path in DECODE:
        for case in json.loads(path.read_text(encoding="utf-8")):
            cases.append(pytest.param(path, case, id=f"{path.parent.name}/{path.stem}/{case['name']}"))
    return cases


@pytest.mark.parametrize(("path", "case"), replies())
def test_replies_become_exactly_these_outcomes(path: Path, case: dict[str, object]) -> None:
    """A canned reply settles each row with status and code, and retry_after where there is one.

    ``request`` is the body it answers, where that matters (a check only, say).
    """
    expected = case["outcomes"]
    request = Request("POST", "https://x", {}, case.get("request"), tuple(str(i) for i in range(len(expected))))
    reply = Reply(case["status"], case.get("headers", {}), case.get("json"))
    outcomes = wire_of(*route_of(path)).decode(reply, request)
    found = [[str(o.status), o.code] + ([o.retry_after] if o.retry_after is not None else []) for o in outcomes]
    assert found == expected


def test_every_route_has_golden_files() -> None:
    """At least one body and five replies per route."""
    for platform, route in ROUTES:
        assert [p for p in ENCODE if route_of(p) == (platform, route)], (platform, route)
        cases = [json.loads(p.read_text(encoding="utf-8")) for p in DECODE if route_of(p) == (platform, route)]
        assert sum(map(len, cases)) >= 5, (platform, route)
