# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 Scale out: the same call on frames, files, a database and Spark
#
# **Question.** The log no longer fits into a DataFrame. What changes?
#
# **Data.** The shipped sample (CDNOW, `semi-synthetic`) as DataFrames, as Parquet files in several pieces, and as
# tables of a DuckDB database; on Spark too, where PySpark and Java are installed. For BigQuery the query is only
# written.
#
# **Answer.** The argument. `cl.reconcile` and `cl.coverage` give the same table, row by row, from a frame, from
# `events/*.parquet` under a memory limit, and from a database; only what you look at comes to pandas.

# %% tags=["parameters"]
SAMPLE = "cdnow"
PLATFORM = "meta"
MEMORY = "1GB"
BY = "browser"

# %%
# %matplotlib inline
import importlib.util
import shutil
import tempfile
from pathlib import Path

import ibis
import pandas as pd

import capi_lab as cl

pd.set_option("display.width", 140, "display.max_columns", 12)
shop = cl.load.sample(SAMPLE)
folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Frames
# What fits in memory may stay there.

# %%
answers = {}
answers["frames"] = cl.coverage(cl.reconcile(shop.conversions, shop.events, platform=PLATFORM), by=BY)
answers["frames"].head(4)

# %% [markdown]
# ## Parquet files
# A path or pattern in place of the frame: DuckDB reads the columns it needs, in this process, and writes to disk what
# does not fit under the limit. A loader writes such files as it reads: `cl.load.access_log("logs/*.gz",
# to="visits.parquet")`.

# %%
(folder / "events").mkdir()
shop.conversions.to_parquet(folder / "conversions.parquet")
for number, start in enumerate(range(0, len(shop.events), 40_000)):
    shop.events.iloc[start : start + 40_000].to_parquet(folder / "events" / f"{number}.parquet")

cl.limit_engine(MEMORY, spill_to=folder)
paths = str(folder / "conversions.parquet"), str(folder / "events" / "*.parquet")
rec = cl.reconcile(*paths, platform=PLATFORM)
answers["Parquet files"] = cl.coverage(rec, by=BY)
rec

# %% [markdown]
# ## A database
# An Ibis table stays where it lies: what has to be computed is computed there. `rec.event_table` is an expression of
# the database until somebody asks for rows.

# %%
with_tables = ibis.duckdb.connect(folder / "shop.duckdb")
with_tables.raw_sql(f"CREATE TABLE conversions AS FROM '{paths[0]}'")
with_tables.raw_sql(f"CREATE TABLE events AS FROM '{paths[1]}'")
tables = with_tables.table("conversions"), with_tables.table("events")
rec = cl.reconcile(*tables, platform=PLATFORM)
answers["DuckDB tables"] = cl.coverage(rec, by=BY)
twice = rec.conversion_table.filter(rec.conversion_table.counted > 1).count().execute()
print(f"{twice:,} orders would be counted more than once; only this number left the database")

# %% [markdown]
# ## Spark
# The extra `spark` (`pip install -e '.[spark]'` in the clone) and a Java runtime; the same call on Spark's tables.
# Without them this cell says so.

# %%
if importlib.util.find_spec("pyspark") and shutil.which("java"):
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = session.config("spark.sql.shuffle.partitions", "2").config("spark.sql.session.timeZone", "UTC")
    spark = ibis.pyspark.connect(session.getOrCreate())
    there = spark.read_parquet(paths[0]), spark.read_parquet(str(folder / "events"))
    answers["Spark tables"] = cl.coverage(cl.reconcile(*there, platform=PLATFORM), by=BY)
    session.getOrCreate().stop()
else:
    print("PySpark or Java is not here: this engine is left out")

# %% [markdown]
# ## BigQuery and Snowflake
# No account is at hand, so the query is only written. This is the beginning of the ledger beside what both channels
# reported, as BigQuery would be asked for it.

# %%
few = rec.conversion_table.group_by("seen_pixel", "seen_capi").agg(n=lambda t: t.count())
print(ibis.to_sql(few, dialect="bigquery"))

# %%
ax = cl.plots.plot_coverage(answers["Parquet files"], title="Coverage by browser, from files under a memory limit")
# %%
first = answers["frames"]
for where, table in answers.items():
    pd.testing.assert_frame_equal(table, first, obj=where)
assert {"frames", "Parquet files", "DuckDB tables"} <= set(answers)
assert first["k"].gt(0).all()
print(f"{len(answers)} ways ({', '.join(answers)}): {len(first)} rows each, all equal. (semi-synthetic)")
