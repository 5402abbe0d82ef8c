"""Every expression can be written for engines that are not here to run it: BigQuery and Snowflake.

No client of theirs is needed. Their SQL is parsed again in their dialect, functions the parser does not know must be in
the engine's manual, and a window may be bounded by numbers only, which is all that BigQuery knows.
"""

from __future__ import annotations

from collections.abc import Iterator

import ibis
import pytest
import sqlglot
import sqlglot.expressions as sge

from capi_lab.engine.inputs import checks
from capi_lab.measure.coverage import _sums
from capi_lab.platforms import PLATFORMS, platform
from capi_lab.reconcile import by_key
from capi_lab.reconcile.dedup import mark
from capi_lab.reconcile.link import linked
from capi_lab.reconcile.reconciled import _pairs, _seen
from capi_lab.tables import CLICKS, CONVERSIONS, EVENTS, REPORTS, VISITS, Table

TYPES = {"text": "string", "time": "timestamp('UTC')", "number": "float64"}
# Functions of each engine's manual that the parser takes for anybody's.
KNOWN = {
    "bigquery": {"UNIX_MICROS", "TIMESTAMP_MICROS"},
    "snowflake": {"TO_TIMESTAMP_TZ", "DATE_PART"},
}


def nowhere(contract: Table, *extra: str) -> ibis.Table:
    """A table of the contract that lies nowhere: its expressions can be written, not run."""
    schema = {column.name: TYPES[column.kind] for column in contract.columns}
    return ibis.table(schema | {name.split(":")[0]: name.split(":")[1] for name in extra}, name=contract.name)


def expressions() -> Iterator[tuple[str, ibis.Table]]:
    events, conversions = nowhere(EVENTS), nowhere(CONVERSIONS)
    for contract in (CONVERSIONS, EVENTS, CLICKS, VISITS, REPORTS):
        yield f"contract of {contract.name}", checks(contract, nowhere(contract))[1]
    for name, entry in PLATFORMS.items():
        yield f"link, {name}", linked(events, conversions, entry.spec, {"our_purchase": "purchase"})
        for route in entry.spec.routes:
            rule = entry.spec.route(route.name).dedup
            for same in (False, True):
                marked = mark(events, rule, same_channel=same)
                yield f"dedup, {name} {route.name}, {'merged' if same else 'apart'}", marked
    spec = platform("meta").spec
    marks = ("kept:bool", "drop_reason:string", "duplicate_of:string", "link:string")
    ledger = _seen(conversions, nowhere(EVENTS, *marks))
    yield "reconcile, ledger", ledger
    yield "reconcile, pairs", _pairs(ledger, nowhere(EVENTS, *marks), spec.route(None).dedup)
    for weight in (None, "value"):
        weighted = ledger.mutate(_weight=ledger["value"] if weight else ibis.literal(1.0))
        for groups in ([], ["browser", "country"]):
            for cluster in (None, "user_key"):
                yield f"coverage by {groups} of {weight}, {cluster}", _sums(weighted, groups, cluster)


@pytest.fixture(scope="module")
def everything() -> dict[str, ibis.Table]:
    """All expressions by name. The walk through a long history is none; around it all is."""
    nothing = {name: ibis.null("string") for name in by_key.DROPPED}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_key, "replay", lambda rows, *_, **__: rows.limit(0).select(**nothing))
        return dict(expressions())


@pytest.mark.parametrize("engine", KNOWN)
def test_every_expression_is_written(engine: str, everything: dict[str, ibis.Table]) -> None:
    """Ibis writes each expression for the engine, and the engine's grammar reads it."""
    for name, expression in everything.items():
        sql = str(ibis.to_sql(expression, dialect=engine, pretty=False))
        (tree,) = sqlglot.parse(sql, dialect=engine)
        assert tree is not None
        strangers = {node.name.upper() for node in tree.find_all(sge.Anonymous)} - KNOWN[engine]
        assert not strangers, f"{name}: {strangers}"
        for frame in tree.find_all(sge.WindowSpec):
            if frame.args.get("kind") == "RANGE":
                ends = [end for end in (frame.args.get("start"), frame.args.get("end")) if not isinstance(end, str)]
                assert all(isinstance(end, sge.Literal) for end in ends if end is not None), f"{name}: {ends}"


def test_a_function_no_engine_knows_is_found() -> None:
    """The check can fail: another engine's function is not taken for ours."""
    tree = sqlglot.parse_one("SELECT epoch_us(t) FROM x", dialect="bigquery")
    assert {node.name.upper() for node in tree.find_all(sge.Anonymous)} - KNOWN["bigquery"] == {"EPOCH_US"}
