"""Every expression can be written for engines that are not here to run it: BigQuery and Snowflake.

What the public functions run on DuckDB is listened to, and each expression is then written in the other engines' SQL;
no client of theirs is needed. That SQL is parsed again in their dialect, functions the parser does not know must be in
the engine's manual, and a window may be bounded by numbers only, which is all that BigQuery knows.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import ibis
import ibis.expr.operations as ops
import numpy as np
import pytest
import sqlglot
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend

import capi_lab as cl
from capi_lab.words import CreditModel
from tests.contracts.examples import NOW
from tests.depth import THOROUGH, few
from tests.engines import logs
from tests.reconcile.conversions import random_conversions

# Functions of each engine's manual that the parser takes for anybody's.
KNOWN = {
    "bigquery": {"UNIX_MICROS", "TIMESTAMP_MICROS", "IEEE_DIVIDE"},
    "snowflake": {"TO_TIMESTAMP_TZ", "DATE_PART"},
}


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, tuple[str, ibis.Table]]:
    """What is run or returned, by its operation: whose it is, and the expression."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(11)
    ledger = logs.ledger(rng, 300)
    tables = {
        "conversions": ledger.assign(gclid=logs.named("k-", np.arange(300)), fbc="fb.1.1700000000000.k-1"),
        "events": logs.events(rng, ledger, 3000, ahead=logs.HOUR),
        "clicks": logs.clicks(rng, ledger, 900),
        "receipts": logs.receipts(rng, ledger, 300),
        "keyed": random_conversions(50, seed=1),
    }
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet")
    found: dict[Any, tuple[str, ibis.Table]] = {}
    whose = [""]
    arrow, parquet = Backend.to_pyarrow, Backend.to_parquet

    def hear(expression: ibis.Table) -> None:
        found.setdefault(expression.op(), (whose[0], expression))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Backend, "to_pyarrow", lambda self, table, **more: hear(table) or arrow(self, table, **more))
        patch.setattr(
            Backend, "to_parquet", lambda self, table, path, **more: hear(table) or parquet(self, table, path, **more)
        )
        # Elsewhere the last click is found by a window.
        for name in ("attribute", "attach"):
            patch.setattr(import_module(f"capi_lab.reconcile.{name}"), "joins_asof", lambda *_: False)
        con = ibis.duckdb.connect()
        for whose[0], work in _works({name: con.read_parquet(folder / f"{name}.parquet") for name in tables}).items():
            answer = work()
            if isinstance(answer, ibis.Table):
                hear(answer)
    return found


def _works(of: dict[str, ibis.Table]) -> dict[str, Any]:
    """Name everything that runs on an engine; a new function belongs here."""
    works: dict[str, Any] = {}
    routes = [(name, route.name) for name, entry in cl.PLATFORMS.items() for route in entry.spec.routes]
    # First the rules that differ most: a fallback key, a merge, fields taken over, one channel only.
    routes.sort(key=lambda one: one[0] not in ("meta", "tiktok"))
    for name, route in few(routes, 2):
        works[f"dedup {name} {route}"] = lambda n=name, r=route: cl.dedup(of["events"], n, route=r)
    for name in few(cl.PLATFORMS, 1):  # a platform's other routes ask the same of the same keys
        works[f"eligible {name}"] = lambda n=name: cl.eligible(of["keyed"], n, now=NOW)
    for name in few(("google", "microsoft"), 1):  # fields taken over; one channel only
        works[f"pairs {name}"] = lambda n=name: cl.reconcile(of["conversions"], of["events"], n).pairs
    recs: list[cl.Reconciled] = []

    def rec() -> cl.Reconciled:
        if not recs:
            recs.append(cl.reconcile(of["conversions"], of["events"], "meta", fallbacks=[("value", "currency")]))
        return recs[0]

    works |= {
        "reconcile with fallbacks": rec,
        "pairs": lambda: rec().pairs,
        "summary": lambda: rec().summary,
        "readings": lambda: rec().readings,
        "coverage": lambda: cl.coverage(rec()),
        "coverage by": lambda: cl.coverage(rec(), ["browser", "event_name"], weight="value", cluster=None),
        "coverage two ways": lambda: cl.coverage(rec(), "day", cluster=("user_key", "day")),
        "coverage drawn": lambda: cl.coverage(rec(), method="bootstrap", rng=np.random.default_rng(0)),
        "key_coverage": lambda: cl.key_coverage(of["keyed"], "microsoft"),
        "match_rate": lambda: cl.match_rate(of["keyed"].mutate(matched=True), "country", platform="microsoft"),
        "attribution_recall": lambda: cl.attribution_recall(of["keyed"].mutate(attributed=True, ad_driven=True)),
        "upload_success_rate": lambda: cl.upload_success_rate(
            of["receipts"].mutate(platform=ibis.literal("meta")), "platform"
        ),
        "dedup_health": lambda: cl.dedup_health(rec()),
        "relative_event_coverage": lambda: cl.relative_event_coverage(rec()),
        "paired_difference": lambda: cl.paired_difference(rec()),
        "pair_causes": lambda: cl.pair_causes(rec()),
        "waterfall": lambda: cl.waterfall(rec(), of["receipts"], by="browser"),
        "attribute": lambda: cl.attribute(of["conversions"], of["clicks"]),
        "attribute one": lambda: cl.attribute(of["conversions"], of["clicks"], platform="meta"),
        "one_per_click": lambda: cl.one_per_click(cl.attribute(of["conversions"], of["clicks"])),
        "attach_clicks": lambda: cl.attach_clicks(
            of["conversions"].drop("gclid"), of["clicks"], on=["user_key", ("user_key", "user_key")]
        ),
        "clock_findings": lambda: cl.clock_findings(rec()),
        "correct_clock": lambda: cl.correct_clock(of["events"], cl.clock_findings(rec()).findings[0]),
        "candidates in the ledger": lambda: cl.link_candidates(rec()).table,
        "candidates between channels": lambda: cl.link_candidates(rec(), between="channels").blocks,
    }
    for model in few(CreditModel, 1):
        works[f"touches {model}"] = lambda m=model: cl.touches(of["conversions"], of["clicks"], model=m)
    return works


@pytest.mark.slow
@pytest.mark.parametrize("engine", KNOWN)
def test_every_expression_is_written(engine: str, heard: dict[Any, tuple[str, ibis.Table]]) -> None:
    """Ibis writes each expression for the engine, and the engine's grammar reads it."""
    assert len(heard) > (120 if THOROUGH else 70)
    # Most of what BigQuery's writer is asked is asked of Snowflake's as well: every third is enough to hear of it.
    step = 1 if THOROUGH or engine == "bigquery" else 3
    for name, expression in list(heard.values())[::step]:
        sql = str(ibis.to_sql(expression, dialect=engine, pretty=False))
        (tree,) = sqlglot.parse(sql, dialect=engine)
        assert tree is not None
        strangers = {node.name.upper() for node in tree.find_all(sge.Anonymous)} - KNOWN[engine]
        assert not strangers, f"{name}: {strangers}"
        for frame in tree.find_all(sge.WindowSpec):
            if frame.args.get("kind") == "RANGE":
                ends = [end for end in (frame.args.get("start"), frame.args.get("end")) if not isinstance(end, str)]
                assert all(isinstance(end, sge.Literal) for end in ends if end is not None), f"{name}: {ends}"


@pytest.mark.slow
def test_patterns_mean_the_same_everywhere(heard: dict[Any, tuple[str, ibis.Table]]) -> None:
    """No bracket and no `&&` inside brackets: Java reads a class in a class, or an intersection, RE2 the characters."""
    asked = set()
    for _, expression in heard.values():
        for node in expression.op().find((ops.RegexSearch, ops.RegexReplace, ops.RegexExtract)):
            assert isinstance(node.pattern, ops.Literal)
            asked.add(node.pattern.value)
    assert len(asked) > 30
    assert [pattern for pattern in asked if strange_in_class(pattern)] == []


def strange_in_class(pattern: str) -> bool:
    """Say whether a class holds a bare bracket or two ampersands."""
    inside, at = False, 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            at += 2
            continue
        if not inside and sign == "[":
            inside = True
            at += 1 + (pattern[at + 1 : at + 2] == "^")  # what follows is the first character
            if pattern[at : at + 1] == "]":
                return True
            continue
        if inside and (sign == "[" or pattern[at : at + 2] == "&&"):
            return True
        inside = inside and sign != "]"
        at += 1
    return inside


@pytest.mark.parametrize(
    ("pattern", "strange"),
    [("^[[]", True), ("[a&&b]", True), ("[]a]", True), (r"[\[]\[[^a]", False), ("[a]&&[b]", False)],
)
def test_a_strange_class_is_found(pattern: str, strange: bool) -> None:
    """The check of the patterns can fail."""
    assert strange_in_class(pattern) is strange


def test_a_function_no_engine_knows_is_found() -> None:
    """The check can fail: another engine's function is not taken for ours."""
    tree = sqlglot.parse_one("SELECT epoch_us(t) FROM x", dialect="bigquery")
    assert {node.name.upper() for node in tree.find_all(sge.Anonymous)} - KNOWN["bigquery"] == {"EPOCH_US"}
