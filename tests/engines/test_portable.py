"""Words Ibis lacks mean the same on every engine."""

from __future__ import annotations

import ibis
import pandas as pd
import pytest
import sqlglot

from capi_lab.engine import epoch_microseconds, from_epoch_microseconds, run

MOMENTS = [
    "1969-12-31T23:59:59.999999Z",
    "1970-01-01T00:00:00Z",
    "2026-03-29T01:30:00.000001Z",
    "9999-12-31T23:59:59.999999Z",
]


def moments() -> pd.DataFrame:
    times = pd.Series(pd.to_datetime([*MOMENTS, None], utc=True, format="ISO8601")).dt.as_unit("us")
    return pd.DataFrame({"i": range(len(times)), "time": times})


def test_time_to_number_and_back() -> None:
    """Microseconds since the epoch are exact, before it too, and missing stays missing."""
    rows = moments()
    table = ibis.memtable(rows)
    number = epoch_microseconds(table.time)
    found = run(table.select("i", number=number, back=from_epoch_microseconds(number)).order_by("i"))
    assert found["number"].to_pylist() == [*rows["time"][:4].astype("int64"), None]
    pd.testing.assert_series_equal(found["back"].to_pandas(), rows["time"], check_names=False)


@pytest.mark.parametrize(
    ("engine", "words"),
    {
        "duckdb": ("EPOCH_US(", "MAKE_TIMESTAMPTZ("),
        "pyspark": ("UNIX_MICROS(", "TIMESTAMP_MICROS("),
        "databricks": ("UNIX_MICROS(", "TIMESTAMP_MICROS("),
        "bigquery": ("unix_micros(", "timestamp_micros("),
        "snowflake": ("DATE_PART('epoch_microsecond', ", "TO_TIMESTAMP_TZ("),
    }.items(),
)
def test_each_engine_has_its_own_words(engine: str, words: tuple[str, str]) -> None:
    """The words are those of the engine's manual, and its SQL parses."""
    table = ibis.table({"time": "timestamp('UTC')", "number": "int64"}, name="t")
    query = table.select(a=epoch_microseconds(table.time), b=from_epoch_microseconds(table.number))
    sql = str(ibis.to_sql(query, dialect=engine))
    assert all(word in sql for word in words)
    sqlglot.parse_one(sql, dialect="spark" if engine == "pyspark" else engine)
