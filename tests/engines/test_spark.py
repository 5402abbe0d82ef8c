"""Spark gives what DuckDB gives, row by row, on logs made to find the differences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import capi_lab as cl
from capi_lab.engine import as_table, epoch_microseconds, from_epoch_microseconds, place_beside, to_frame
from capi_lab.errors import ContractError, InputError
from capi_lab.tables import EVENTS
from tests.contracts.examples import NOW
from tests.depth import THOROUGH, few
from tests.engines import logs
from tests.engines.test_portable import moments
from tests.reconcile.conversions import random_conversions

pytestmark = pytest.mark.spark

ROWS, ORDERS = (200_000, 80_000) if THOROUGH else (50_000, 20_000)
RECONCILED = "tiktok"  # whose verdicts are compared together with everything that rests on them
ROUTES = [
    (name, route.name) for name, entry in cl.PLATFORMS.items() for route in entry.spec.routes if name != RECONCILED
]
ROUTES.sort(key=lambda one: one not in [("meta", "capi"), ("microsoft", "offline")])  # a fallback key; one channel only


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Parquet of a ledger and of its reports, the latter in several files."""
    folder = tmp_path_factory.mktemp("logs")
    rng = np.random.default_rng(20260325)
    conversions = logs.ledger(rng, ORDERS)
    events = logs.events(rng, conversions, ROWS, ahead=logs.HOUR)
    (folder / "events").mkdir()
    conversions.to_parquet(folder / "conversions.parquet", index=False)
    kinds = {"clicks": logs.clicks(rng, conversions, ROWS), "receipts": logs.receipts(rng, conversions, ORDERS)}
    for name, frame in kinds.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    for i, part in enumerate(np.array_split(np.arange(ROWS), 3)):
        events.iloc[part].to_parquet(folder / "events" / f"{i}.parquet", index=False)
    paths = {name: str(folder / f"{name}.parquet") for name in ("conversions", *kinds)}
    return paths | {"events": str(folder / "events" / "*.parquet")}


@pytest.fixture(scope="module")
def pair(spark: Any, files: dict[str, str]) -> tuple[cl.Reconciled, cl.Reconciled]:
    """The logs reconciled here and there."""
    here = cl.reconcile(files["conversions"], files["events"], RECONCILED)
    # A path beside a Spark table goes to the same Spark.
    return here, cl.reconcile(files["conversions"], spark.read_parquet(files["events"]), RECONCILED)


def same(ours: pd.DataFrame, theirs: pd.DataFrame, key: str) -> None:
    """Hold two tables to each other in everything but the order of rows, which engines do not promise."""
    assert len(ours)
    pd.testing.assert_frame_equal(ours.sort_values(key, ignore_index=True), theirs.sort_values(key, ignore_index=True))


@pytest.mark.parametrize(("platform", "route"), few(ROUTES, 2))
def test_dedup_is_the_same(spark: Any, files: dict[str, str], platform: str, route: str) -> None:
    """Every platform's rule drops the same rows for the same reasons in favour of the same others."""
    here = to_frame(cl.dedup(files["events"], platform, route=route))
    there = cl.dedup(spark.read_parquet(files["events"]), platform, route=route)
    assert isinstance(there, ibis.Table)
    assert there.get_backend() is spark
    same(to_frame(there), here, "row_id")
    assert here["kept"].sum() < len(here) == ROWS


def test_reconcile_and_coverage_are_the_same(pair: tuple[cl.Reconciled, cl.Reconciled]) -> None:
    """Links, verdicts, pairs with their causes, totals, and rates with their intervals."""
    here, there = pair
    same(there.events, here.events, "row_id")
    same(there.conversions, here.conversions, "conversion_id")
    same(there.pairs, here.pairs, "conversion_id")
    assert here.pairs["cause"].nunique() > 4
    assert there.summary == here.summary
    pd.testing.assert_frame_equal(cl.pair_causes(there), cl.pair_causes(here))
    for by, weight in ((None, None), (["browser", "event_name"], "value")):
        # Sums of money depend on the order of addition in the last digits.
        pd.testing.assert_frame_equal(
            cl.coverage(there, by, weight=weight), cl.coverage(here, by, weight=weight), rtol=1e-9
        )


def test_the_waterfall_is_the_same(
    spark: Any, files: dict[str, str], pair: tuple[cl.Reconciled, cl.Reconciled]
) -> None:
    """Every conversion in the same bucket, with receipts and the marks of a real attribution."""
    marks = pair[0].conversion_table.select(
        "conversion_id",
        matched=pair[0].conversion_table.value > 40,
        eligible=pair[0].conversion_table.user_key.notnull(),
    )
    frame = to_frame(marks)
    here, there = (
        cl.waterfall(pair[0], files["receipts"], marks=frame),
        cl.waterfall(pair[1], spark.read_parquet(files["receipts"]), marks=place_beside(frame, _any_table(spark))),
    )
    same(there.buckets, here.buckets, "conversion_id")
    pd.testing.assert_frame_equal(there.table, here.table, rtol=1e-9)
    assert there.notes == here.notes
    assert there.conservation["holds"].all()


def test_candidates_are_the_same(pair: tuple[cl.Reconciled, cl.Reconciled]) -> None:
    """What may belong together, and what chance would give."""
    narrow = {
        "within": pd.Timedelta(hours=6),
        "keys": ("user_key", "external_id"),
        "shifts": [pd.Timedelta(days=1), pd.Timedelta(days=-1)],
    }
    here, there = (cl.link_candidates(rec, **narrow) for rec in pair)
    # The order breaks ties by ids; engines may sort texts alike but promise no order of equal rows.
    pd.testing.assert_frame_equal(there.table, here.table)
    pd.testing.assert_frame_equal(there.null, here.null)
    assert len(here.table) > 50


def test_clocks_are_judged_the_same(
    pair: tuple[cl.Reconciled, cl.Reconciled], files: dict[str, str], spark: Any
) -> None:
    """The hour the server is ahead is found, and taken out of the same rows."""
    here, there = (cl.clock_findings(rec) for rec in pair)
    pd.testing.assert_frame_equal(there.table, here.table)
    pd.testing.assert_frame_equal(there.series, here.series)
    assert here.table["offset"].dt.total_seconds().tolist() == [3600.0]
    (finding,) = here.findings
    ours = to_frame(cl.correct_clock(files["events"], finding))
    same(to_frame(cl.correct_clock(spark.read_parquet(files["events"]), finding)), ours, "row_id")


def test_attribution_is_the_same(spark: Any, files: dict[str, str]) -> None:
    """The last click by a window there, by an as-of join here; and every touch with its share."""
    theirs = spark.read_parquet(files["conversions"]), spark.read_parquet(files["clicks"])
    ours = files["conversions"], files["clicks"]
    there, here = cl.attribute(*theirs), cl.attribute(*ours)
    same(to_frame(there), to_frame(here), "conversion_id")
    same(to_frame(cl.one_per_click(there)), to_frame(cl.one_per_click(here)), "conversion_id")
    touched = [to_frame(cl.touches(*tables, model="linear")) for tables in (theirs, ours)]
    for frame in touched:
        frame.insert(0, "key", frame["conversion_id"] + " " + frame["click_row_id"])
    same(*touched, "key")
    assert to_frame(here)["attributed"].mean() > 0.2


@pytest.mark.parametrize(("platform", "route"), few([("google", "data_manager"), ("meta", None)], 1))
def test_eligibility_is_the_same(spark: Any, tmp_path: Path, platform: str, route: str | None) -> None:
    """The same reasons against the same rows, with everything wrong that can be."""
    few = random_conversions(2_000, seed=4)
    rows = pd.concat([few.assign(conversion_id=f"{i}-" + few["conversion_id"]) for i in range(ROWS // len(few))])
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    path = str(tmp_path / "rows.parquet")
    here = to_frame(cl.eligible(path, platform, route=route, now=NOW))
    there = to_frame(cl.eligible(spark.read_parquet(path), platform, route=route, now=NOW))
    same(there, here, "conversion_id")
    assert here["ineligible_reason"].nunique() > 5
    assert here["eligible"].any()


def test_frames_join_a_table_on_spark(spark: Any, tiny: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """A ledger in memory beside events on Spark: the result is that of two frames."""
    conversions, events = tiny
    there = cl.reconcile(conversions, place_beside(events, _any_table(spark)))
    assert there.event_table.get_backend() is spark
    same(there.events, cl.reconcile(conversions, events).events, "row_id")


def test_tables_of_two_engines_are_refused(spark: Any, tmp_path: Path, tiny) -> None:
    """A table of the user's DuckDB cannot be joined with one on Spark."""
    conversions, events = tiny
    duck = ibis.duckdb.connect()
    conversions.to_parquet(tmp_path / "c.parquet")
    with pytest.raises(InputError, match="different databases"):
        cl.reconcile(duck.read_parquet(tmp_path / "c.parquet"), place_beside(events, _any_table(spark)))


def test_times_are_instants_whatever_the_zone(spark: Any) -> None:
    """Microseconds survive the way there and back, also where the session's clock is set back or does not know them."""
    rows = moments()
    there = place_beside(rows, _any_table(spark))
    number = epoch_microseconds(there.time)
    found = there.select("i", "time", back=from_epoch_microseconds(number)).order_by("i")
    pd.testing.assert_frame_equal(to_frame(found), rows.assign(back=rows["time"]))


def test_missing_text_stays_missing(spark: Any) -> None:
    """A missing text does not become the text 'NaN' on the way, nor an empty id an id."""
    rows = pd.DataFrame({"row_id": ["a", "b"], "channel": "pixel", "event_name": "Lead", "event_id": [None, ""]})
    rows["event_time"] = moments()["time"][:2]
    found = to_frame(as_table(place_beside(rows, _any_table(spark)), EVENTS))
    assert found["event_id"].isna().all()


def test_times_without_a_zone_are_refused(spark: Any) -> None:
    """Spark's TIMESTAMP_NTZ names no instant; Ibis alone could not tell it from one that does."""
    query = "SELECT 'a' AS row_id, 'pixel' AS channel, 'Lead' AS event_name, {} '2026-01-01 00:00:00' AS event_time"
    assert to_frame(as_table(spark.sql(query.format("TIMESTAMP")), EVENTS))["event_time"].dt.hour.tolist() == [5]
    with pytest.raises(ContractError, match="event_time"):
        as_table(spark.sql(query.format("TIMESTAMP_NTZ")), EVENTS)


def test_broken_rows_are_counted_on_spark(spark: Any, tiny) -> None:
    """The contract's query finds the same there as here."""
    _, events = tiny
    broken = events.assign(channel=["pixel", "radio", None, "capi"], row_id=["a", "a", "b", None])
    with pytest.raises(ContractError) as here:
        cl.dedup(pa.Table.from_pandas(broken, preserve_index=False), "meta")
    with pytest.raises(ContractError) as there:
        cl.dedup(place_beside(broken, _any_table(spark)), "meta")
    assert there.value.failures == here.value.failures
    assert len(here.value.failures) == 4


def test_examples_of_the_page_run(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    """The examples of docs/engines.md, as they stand, give one answer on DuckDB and on Spark."""
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text(encoding="utf-8")
    examples = dict(re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", page, re.DOTALL | re.MULTILINE))
    rng = np.random.default_rng(3)
    conversions = logs.ledger(rng, 300)
    tables = {"conversions": conversions, "events": logs.events(rng, conversions, 900)}
    with_file = ibis.duckdb.connect(tmp_path / "shop.duckdb")
    for name, frame in tables.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
        with_file.raw_sql(f"CREATE TABLE {name} AS FROM '{tmp_path / name}.parquet'")
        spark.read_parquet(str(tmp_path / f"{name}.parquet"), table_name=name)
    with_file.disconnect()
    monkeypatch.chdir(tmp_path)
    answers = []
    for title in ("A DuckDB file", "Spark"):
        names: dict[str, Any] = {}
        exec(compile(examples[title], "docs/engines.md", "exec"), names)  # noqa: S102 - our own page
        answers.append(names["table"])
    pd.testing.assert_frame_equal(*answers)
    assert set(answers[0]["browser"].dropna()) == {"Safari", "Chrome", "Firefox"}


def _any_table(spark: Any) -> ibis.Table:
    return spark.sql("SELECT 1 AS one")
