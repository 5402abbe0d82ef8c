"""Attribution equals a plain loop over all pairs, whatever the input, the order and the engine's way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.words import CreditModel
from tests.reconcile.lastclick_plain import DAY, IDS, Answer, Row, last_click, reachable

# The package gives its name to the function; the module is what a test can patch.
public = import_module("capi_lab.reconcile.attribute")
START = int(pd.Timestamp("2026-03-01", tz="UTC").timestamp()) * 1_000_000
NEW = ["attributed", "click_row_id", "click_platform", "tied_by", "lag"]
KEYS = ("user_key", "visitor_id")
# Times whose differences are windows, or a microsecond beside.
EDGES = sorted({max(0, base + nudge) for base in (0, 7 * DAY, 30 * DAY, 37 * DAY) for nudge in (-1, 0, 1)})
PLATFORM = {"gclid": "google", "wbraid": "google", "fbclid": "meta", "fbc": "meta", "ttclid": "tiktok", "ttp": "tiktok"}


def times(rows: list[Row]) -> pd.Series:
    return pd.Series(pd.to_datetime([START + row["at"] for row in rows], unit="us", utc=True)).dt.as_unit("us")


def text(rows: list[Row], *names: str) -> dict[str, pd.Series]:
    return {name: pd.Series([row.get(name) for row in rows], dtype="str") for name in names}


def ledger(rows: list[Row]) -> pd.DataFrame:
    table = text(rows, "conversion_id", "event_name", *KEYS, *IDS)
    return pd.DataFrame(table | {"event_time": times(rows)})


def log(rows: list[Row]) -> pd.DataFrame:
    table = text(rows, "click_row_id", "platform", "param", "click_id", *KEYS)
    return pd.DataFrame(table | {"click_time": times(rows)})


def fbc(value: str, first_seen: int) -> str:
    return f"fb.1.{1_700_000_000_000 + first_seen}.{value}"


def world(
    rng: Random,
    edges: Sequence[int] = EDGES,
    until: int = 40 * DAY,
    platform: Mapping[str, str] = PLATFORM,
    columns: Sequence[str] = IDS,
    carry: Sequence[int] = (0, 0, 1, 1, 2, 3),
) -> tuple[list[Row], list[Row]]:
    """A few people, few ids, times on the windows' edges: dense with ties of every kind."""

    def clock() -> int:
        return rng.choice([rng.choice(edges), rng.choice(edges), rng.randrange(until), rng.randrange(3)])

    people, ids = ["u", "v", None, ""], ["a", "b"]
    clicks = []
    for i in range(rng.randrange(9)):
        param, value = rng.choice(sorted(platform)), rng.choice(ids)
        clicks.append(
            {
                "click_row_id": f"k{rng.choice('zyx')}{i}",
                "platform": platform[param],
                "param": param,
                "click_id": fbc(value, i) if param == "fbc" else value,
                "at": clock(),
                "user_key": rng.choice(people),
                "visitor_id": rng.choice(people),
            }
        )
    conversions = []
    for i in range(rng.randrange(1, 7)):
        carried = rng.sample(columns, rng.choice(carry))
        row: Row = {name: rng.choice(ids) if name in carried else None for name in columns}
        if row["fbc"]:
            row["fbc"] = rng.choice([fbc(row["fbc"], 9), fbc(row["fbc"], 9) + ".AQ", "broken", ""])
        row |= {"conversion_id": f"c{i}", "event_name": "purchase", "at": clock()}
        conversions.append(row | {"user_key": rng.choice(people), "visitor_id": rng.choice(people)})
    return conversions, clicks


def worlds(seed: int) -> tuple[list[Row], list[Row]]:
    """Return 280 worlds side by side: every call to the engine answers as many logs."""
    rng = Random(seed)
    return joined([world(rng) for _ in range(280)])


def joined(parts: list[tuple[list[Row], list[Row]]]) -> tuple[list[Row], list[Row]]:
    """Put many small worlds into one, each with people and ids of its own."""

    def own(row: Row, k: int) -> Row:
        def moved(name: str, value: Any) -> Any:
            inner = name == "fbc" or (name == "click_id" and row["param"] == "fbc")
            if not value or name in ("at", "param", "platform", "event_name") or value == "broken":
                return value
            return value.replace(".a", f".{k}-a").replace(".b", f".{k}-b") if inner else f"{k}-{value}"

        return {name: moved(name, value) for name, value in row.items()}

    conversions = [own(row, k) for k, (rows, _) in enumerate(parts) for row in rows]
    return conversions, [own(row, k) for k, (_, rows) in enumerate(parts) for row in rows]


def answers(table: pd.DataFrame) -> dict[str, Answer]:
    found = {}
    for row in table.itertuples():
        lag = None if pd.isna(row.lag) else round(row.lag / pd.Timedelta(1, "us"))
        texts = (None if pd.isna(v) else v for v in (row.click_row_id, row.click_platform, row.tied_by))
        found[row.conversion_id] = (*texts, lag)
        assert row.attributed == (lag is not None)
    return found


SEEDS = st.integers(0, 2**32)
GENTLE = settings(max_examples=2, deadline=None, phases=[Phase.generate])  # 560 logs; a seed cannot be shrunk


@pytest.mark.parametrize("asof", [True, False], ids=["as-of join", "ordered window"])
@GENTLE
@given(seed=SEEDS, platform=st.sampled_from([None, "google", "meta"]), end=st.sampled_from([None, False]))
def test_equals_a_plain_loop(asof: bool, seed: int, platform: str | None, end: bool | None) -> None:
    """Click, platform, tie and lag of every conversion, over more than 500 random logs, by either way of joining."""
    conversions, clicks = worlds(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public, "joins_asof", lambda *_: asof)
        result = cl.attribute(ledger(conversions), log(clicks), platform=platform, on=KEYS, end_inside=end)
    expected = {
        row["conversion_id"]: last_click(row, clicks, KEYS, platform, end=end is not False) for row in conversions
    }
    assert answers(result) == expected


@settings(GENTLE, max_examples=1)
@given(seed=SEEDS)
def test_the_whole_is_the_latest_of_the_platforms_claims(seed: int) -> None:
    """Without a platform, a conversion goes to the latest of what each platform alone would claim."""
    conversions, clicks = worlds(seed)
    when = {row["click_row_id"]: (row["at"], row["click_row_id"]) for row in clicks}
    table, rows = ledger(conversions), log(clicks)
    whole = answers(cl.attribute(table, rows))
    alone = [answers(cl.attribute(table, rows, platform=name)) for name in ("google", "meta", "tiktok")]
    for conversion, (click, *_) in whole.items():
        claimed = [one[conversion][0] for one in alone if one[conversion][0]]
        assert click == max(claimed, key=when.__getitem__, default=None)


@GENTLE
@given(seed=SEEDS, model=st.sampled_from(["last", "first", "linear"]))
def test_touches_are_all_clicks_inside_the_window(seed: int, model: str) -> None:
    """As many as the plain loop finds, in order of time; credit sums to 1 and lies where the model says."""
    conversions, clicks = worlds(seed)
    table, rows = ledger(conversions), log(clicks)
    found = cl.touches(table, rows, model=model, on=KEYS)
    expected = []
    for row in sorted(conversions, key=lambda row: row["conversion_id"]):
        near = reachable(row, clicks, KEYS, None, None, end=True)
        near.sort(key=lambda one: (one[0]["at"], one[0]["click_row_id"]))
        expected += [
            (row["conversion_id"], click["click_row_id"], ("click_id", *KEYS)[how], lag, position, len(near))
            for position, (click, how, lag) in enumerate(near, start=1)
        ]
    assert [
        (r.conversion_id, r.click_row_id, r.tied_by, round(r.lag / pd.Timedelta(1, "us")), r.position, r.touches)
        for r in found.itertuples()
    ] == expected
    credit = found.groupby("conversion_id")["credit"].sum()
    assert credit.to_numpy() == pytest.approx(1)
    credited = found[found["credit"] > 0].set_index("conversion_id")
    if model == "last":
        named = cl.attribute(table, rows, on=KEYS).query("attributed").set_index("conversion_id")["click_row_id"]
        assert credited["click_row_id"].to_dict() == named.to_dict()
    elif model == "first":
        assert (credited["position"] == 1).all()
    else:
        assert (found["credit"] == 1 / found["touches"]).all()


@pytest.fixture
def shop() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two hundred random orders and as many clicks, from a seed."""
    rng = Random(5)
    clicks = [
        {
            "click_row_id": f"k{i:03d}",
            "platform": PLATFORM[param],
            "param": param,
            "click_id": fbc(f"i{i}", i) if param == "fbc" else f"i{i}",
            "at": rng.randrange(40) * DAY,
            "user_key": rng.choice("abcdefgh"),
        }
        for i in range(200)
        for param in [rng.choice(["gclid", "fbclid", "fbc", "ttclid"])]
    ]
    conversions: list[Row] = [
        {
            "conversion_id": f"c{i:03d}",
            "event_name": rng.choice(["purchase", "lead"]),
            "at": rng.randrange(60) * DAY,
            "user_key": rng.choice([*"abcdefghij", None]),
            "gclid": f"i{rng.randrange(400)}",
            "fbclid": rng.choice([None, f"i{rng.randrange(200)}"]),
        }
        for i in range(200)
    ]
    return ledger(conversions), log(clicks)


def test_nothing_but_the_answer_is_added(shop) -> None:
    """Rows, order, index and own columns stay; the lag is a duration; a second run changes nothing."""
    conversions, clicks = shop
    conversions = conversions.assign(note="kept").sample(frac=1, random_state=1)
    result = cl.attribute(conversions, clicks)
    assert list(result.columns) == [*conversions.columns, *NEW]
    pd.testing.assert_frame_equal(result[conversions.columns], conversions)
    assert result["lag"].dtype == "timedelta64[us]"
    assert result["attributed"].dtype == bool
    assert 0 < result["attributed"].sum() < len(result)
    pd.testing.assert_frame_equal(cl.attribute(result, clicks), result)


def test_order_split_and_kind_change_nothing(shop, tmp_path: Path) -> None:
    """Shuffled frames, Arrow, one Parquet file, several, and Ibis tables give the same answer."""
    conversions, clicks = shop
    expected = cl.attribute(conversions, clicks)
    shuffled = cl.attribute(conversions.sample(frac=1, random_state=2), clicks.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(shuffled.sort_index(), expected)
    arrow = cl.attribute(pa.Table.from_pandas(conversions), pa.Table.from_pandas(clicks)).sort_values("conversion_id")
    pd.testing.assert_frame_equal(arrow[NEW].reset_index(drop=True), expected[NEW])
    for name, table in (("conversions", conversions), ("clicks", clicks)):
        for k in range(3):
            table.iloc[k::3].to_parquet(tmp_path / f"{name}{k}.parquet", index=False)
    split = cl.attribute(tmp_path / "conversions*.parquet", tmp_path / "clicks*.parquet")
    assert isinstance(split, ibis.Table)
    assert split.lag.type().is_int64()
    found = split.to_pandas().sort_values("conversion_id", ignore_index=True)
    found["lag"] = pd.to_timedelta(found["lag"], unit="us").astype("timedelta64[us]")
    pd.testing.assert_frame_equal(found[NEW], expected[NEW])
    mixed = cl.attribute(conversions, tmp_path / "clicks*.parquet")
    pd.testing.assert_frame_equal(mixed, expected)


def test_each_platform_has_its_own_window() -> None:
    """A click of eight days ago is outside Meta's window and inside Google's; window= overrides, also one alone."""
    rows = [{"conversion_id": "c", "event_name": "purchase", "user_key": "u", "at": 10 * DAY}]
    clicks = log(
        [
            {"click_row_id": "g", "platform": "google", "param": "gclid", "click_id": "x", "user_key": "u", "at": 0},
            {
                "click_row_id": "m",
                "platform": "meta",
                "param": "fbclid",
                "click_id": "y",
                "user_key": "u",
                "at": 2 * DAY,
            },
        ]
    )
    table = ledger(rows)

    def named(**options: Any) -> str | None:
        value = cl.attribute(table, clicks, **options)["click_row_id"].iloc[0]
        return None if pd.isna(value) else value

    assert named() == "g"
    assert named(platform="meta") is None
    assert named(window=timedelta(days=8)) == "m"
    assert named(window=timedelta(days=8), end_inside=False) is None
    assert named(window={"meta": timedelta(days=28)}) == "m"
    assert named(window={"meta": timedelta(days=28)}, platform="google") == "g"


def test_click_and_conversion_of_one_instant() -> None:
    """The same microsecond counts, the next does not; of equally late clicks the greatest row id is the last."""
    rows = [{"conversion_id": "c", "event_name": "purchase", "user_key": "u", "at": 5}]
    base = {"platform": "google", "param": "gclid", "click_id": "x", "user_key": "u"}
    late = [{"click_row_id": name, "at": at} | base for name, at in (("k9", 5), ("k10", 5), ("k99", 6))]
    result = cl.attribute(ledger(rows), log(late))
    assert (result["click_row_id"].iloc[0], result["lag"].iloc[0]) == ("k9", pd.Timedelta(0))


def test_an_fbc_is_its_fbclid() -> None:
    """Cookie and URL spell one click two ways; either side may carry either."""
    spelled = [
        {"fbclid": "IwAR0-x_Y"},
        {"fbc": "fb.2.1700000000999.IwAR0-x_Y"},
        {"fbc": "fb.2.1700000000999.IwAR0-x_Y.AQ"},
        {"fbclid": "iwar0-x_y"},
        {"fbc": "IwAR0-x_Y"},
    ]
    rows = [row | {"conversion_id": f"c{i}", "event_name": "purchase", "at": 1} for i, row in enumerate(spelled)]
    for param, value in (("fbclid", "IwAR0-x_Y"), ("fbc", "fb.1.1700000000001.IwAR0-x_Y")):
        clicks = log([{"click_row_id": "k", "platform": "meta", "at": 0, "param": param, "click_id": value}])
        assert cl.attribute(ledger(rows), clicks)["attributed"].tolist() == [True, True, True, False, False], param


def test_one_person_with_very_many_clicks() -> None:
    """A key that holds nearly everything is answered like the others, by either way of joining."""
    n = 50_000
    clicks = pd.DataFrame(
        {
            "click_row_id": [f"k{i:06d}" for i in range(n)],
            "platform": "google",
            "param": "gclid",
            "click_id": [f"g{i}" for i in range(n)],
            "click_time": pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(range(n), unit="s"),
            "user_key": "one",
        }
    )
    asked = pd.Series(range(0, n, 97))
    conversions = pd.DataFrame(
        {
            "conversion_id": "c" + asked.astype("str"),
            "event_name": "purchase",
            "event_time": pd.Timestamp("2026-03-01 00:00:00.5", tz="UTC") + pd.to_timedelta(asked, unit="s"),
            "user_key": "one",
        }
    )
    expected = [f"k{i:06d}" for i in asked]
    assert cl.attribute(conversions, clicks)["click_row_id"].tolist() == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public, "joins_asof", lambda *_: False)
        assert cl.attribute(conversions, clicks)["click_row_id"].tolist() == expected


def test_one_per_click(shop) -> None:
    """Per click and action the earliest conversion counts, by id where two are equally early; all others do not."""
    conversions, clicks = shop
    result = cl.one_per_click(cl.attribute(conversions, clicks))
    seen: set[tuple[str, str]] = set()
    expected = {}
    for row in sorted(result.itertuples(), key=lambda row: (row.event_time, row.conversion_id)):
        pair = (row.click_row_id, row.event_name)
        expected[row.conversion_id] = bool(row.attributed) and pair not in seen
        if row.attributed:
            seen.add(pair)
    assert dict(zip(result["conversion_id"], result["counted_per_click"], strict=True)) == expected
    assert result["counted_per_click"].sum() < result["attributed"].sum()
    one_action = cl.one_per_click(result.assign(action="all"), action="action")
    assert one_action["counted_per_click"].sum() == result["click_row_id"].nunique()
    with pytest.raises(ContractError, match="click_row_id"):
        cl.one_per_click(conversions)


def test_no_clicks_and_no_conversions(shop) -> None:
    """Empty tables are answered, not refused."""
    conversions, clicks = shop
    assert not cl.attribute(conversions, clicks.head(0))["attributed"].any()
    assert cl.touches(conversions, clicks.head(0)).empty
    assert cl.attribute(conversions.head(0), clicks).empty


def test_bad_questions_are_refused(shop) -> None:
    """Unknown platforms, windows and columns, and tables nothing ties, give errors that say what to do."""
    conversions, clicks = shop
    with pytest.raises(UnknownNameError, match="platform"):
        cl.attribute(conversions, clicks, platform="gogle")
    with pytest.raises(UnknownNameError, match="window="):
        cl.attribute(conversions, clicks, window={"gogle": timedelta(days=3)})
    with pytest.raises(UnknownNameError, match="credit model"):
        cl.touches(conversions, clicks, model="middle")
    for window in (timedelta(0), 7):
        with pytest.raises(InputError, match="positive timedelta"):
            cl.attribute(conversions, clicks, window=window)
    with pytest.raises(ContractError, match="device_key"):
        cl.attribute(conversions, clicks, on="device_key")
    with pytest.raises(ContractError, match="must be text"):
        cl.attribute(conversions.assign(n=1), clicks.assign(n=1), on="n")
    with pytest.raises(InputError, match="nothing ties"):
        cl.attribute(conversions.drop(columns=[*IDS, "user_key"]), clicks)
    other = clicks.assign(platform="elsewhere")
    with pytest.raises(InputError, match="click window") as caught:
        cl.attribute(conversions, other)
    assert "elsewhere" not in str(caught.value)
    assert cl.attribute(conversions, other, timedelta(days=3))["attributed"].any()
    assert not cl.attribute(conversions, other, platform="meta")["attributed"].any()


@pytest.mark.parametrize("engine", ["duckdb", "bigquery", "snowflake"])
def test_the_window_form_is_written_for_every_engine(engine: str) -> None:
    """Both expressions become SQL the engine's grammar reads, without an as-of join and without an interval."""
    types = {"text": "string", "time": "timestamp('UTC')", "number": "float64"}
    ledgers, rows = (
        ibis.table({column.name: types[column.kind] for column in contract.columns}, name=contract.name)
        for contract in (cl.tables.CONVERSIONS, cl.tables.CLICKS)
    )
    claims = [
        public.claim(name, params, timedelta(days=7), ledgers.columns, end_inside=None)
        for name, params in (("google", ["gclid", "wbraid"]), ("meta", ["fbclid", "fbc"]))
    ]
    expressions = {
        "last": public.last_clicks(ledgers, rows, claims, ["user_key"], asof=False),
        "paths": public.paths(ledgers, rows, claims, ["user_key"], CreditModel.LINEAR),
    }
    for name, expression in expressions.items():
        sql = str(ibis.to_sql(expression, dialect=engine))
        assert sqlglot.parse_one(sql, dialect=engine)
        assert "ASOF" not in sql.upper(), name
        assert "INTERVAL" not in sql.upper(), name
