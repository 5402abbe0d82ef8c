"""The waterfall: every conversion in one bucket, the right one, and nothing lost on the way."""

from __future__ import annotations

import random
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import ContractError, InputError, UnknownNameError
from capi_lab.platforms.route import OutcomeStatus
from capi_lab.tables import RECEIPTS
from capi_lab.words import Bucket, Fate, Step
from tests.depth import THOROUGH
from tests.measure.plain_buckets import place

T = pd.Timestamp("2026-05-04 12:00", tz="UTC")
KEY = ["step", "bucket", "reason", "fate"]


def frame(rows: list[dict[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    """A frame with its types even where it has no row or only missing values."""
    table = pd.DataFrame(rows, columns=list(columns))
    return table.astype({name: kind for name, kind in columns.items() if kind != "object"})


def ledger(n: int, **columns: object) -> pd.DataFrame:
    ids = [str(i) for i in range(n)]
    base = {"conversion_id": ids, "event_name": "purchase", "event_time": [T + pd.Timedelta(hours=i) for i in range(n)]}
    return pd.DataFrame(base | {"event_id": [f"e{i}" for i in ids], "value": 10.0, "currency": "EUR"} | columns)


def log(*reports: tuple[str, str] | tuple[str, str, str]) -> pd.DataFrame:
    """Events as (channel, conversion id) or (channel, conversion id, event id)."""
    rows = [
        {
            "row_id": f"r{i}",
            "channel": channel,
            "event_name": "Purchase",
            "event_id": rest[0] if rest else f"e{order}",
            "event_time": T,
            "conversion_id": order,
        }
        for i, (channel, order, *rest) in enumerate(reports)
    ]
    return pd.DataFrame(rows)


def receipts(*rows: tuple[str, str, str | None, int | None]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["conversion_id", "status", "code", "sent_at"])
    times = [None if pd.isna(hour) else T + pd.Timedelta(hours=hour) for hour in table["sent_at"]]
    return table.assign(sent_at=pd.Series(times, dtype="datetime64[us, UTC]"), code=table["code"].astype("str"))


def marks(**columns: list[Any]) -> pd.DataFrame:
    n = len(next(iter(columns.values())))
    table = pd.DataFrame({"conversion_id": [str(i) for i in range(n)]} | columns)
    kinds = {name: "boolean" for name in ("eligible", "matched", "attributed") if name in table}
    return table.astype(kinds)


def ends(wf: cl.Waterfall) -> dict[str, tuple[str, str, str | None, str]]:
    table = wf.buckets.astype("object").where(wf.buckets.notna(), None)
    return {row.conversion_id: (row.step, row.bucket, row.reason, row.fate) for row in table.itertuples()}


def steps(wf: cl.Waterfall) -> dict[str, int]:
    rows = wf.table[wf.table["kind"] == "step"]
    return dict(zip(rows["step"], rows["k"], strict=True))


def test_the_sentence_a_growth_lead_reads() -> None:
    """Ten orders: pixel 5, the server adds 2, three are lost: two ignored for consent, one failed."""
    events = log(*[("pixel", str(i)) for i in range(5)], *[("capi", str(i)) for i in range(3, 7)])
    eligible = marks(
        eligible=[True] * 7 + [False, False, True], ineligible_reason=[None] * 7 + ["no_consent"] * 2 + [None]
    )
    wf = cl.waterfall(cl.reconcile(ledger(10), events), marks=eligible)
    assert wf.headline == (
        "Of 10 conversions the pixel saw 5, the server adds 2; 3 are lost: 2 ignored (ineligible: no_consent), "
        "1 failed (not_sent: unknown)."
    )
    assert steps(wf) == {"truth": 10, "pixel": 5, "server": 7, "counted": 7}
    by_bucket = wf.table[wf.table["kind"] == "bucket"].set_index("bucket")
    assert by_bucket["k"].to_dict() == {
        "ineligible": 2, "not_sent": 1, "pixel_only": 3, "deduplicated": 2, "server_only": 2,
    }  # fmt: skip
    assert by_bucket.loc["ineligible", "amount_EUR"] == 20.0
    assert wf.conservation["holds"].all()


HISTORIES: list[tuple[list[tuple[str, str | None, int | None]], str]] = [
    ([("retry", "a", 1), ("accepted", None, 2)], "server_only"),
    ([("accepted", None, 1), ("rejected", "too_old", 2)], "server_only"),
    ([("accepted", None, 1), ("skipped", "sent_before", None)], "server_only"),
    ([("rejected", "a", 1), ("retry", "b", 2)], "retry"),
    ([("retry", "b", 2), ("rejected", "a", 3)], "rejected"),
    ([("unknown", "t", 1), ("skipped", "x", 9)], "reply_unknown"),
    ([("retry", "t", None), ("rejected", "x", 1)], "rejected"),
    ([("retry", "t", 1), ("rejected", "x", 1)], "rejected"),
    ([("skipped", "x", None)], "no_receipt"),
    ([], "no_receipt"),
]


def test_which_receipt_counts() -> None:
    """An acceptance stands, else the last sent row counts, whatever the order of rows; skipped is not sent."""
    n = len(HISTORIES)
    rec = cl.reconcile(ledger(n), log(*[("capi", str(i)) for i in range(n)]))
    table = receipts(*[(str(i), *row) for i, (rows, _) in enumerate(HISTORIES) for row in rows])
    for given_rows in (table, table.iloc[::-1]):
        found = [bucket for _, bucket, *_ in ends(cl.waterfall(rec, given_rows)).values()]
        assert found == [expected for _, expected in HISTORIES]


def test_a_refused_copy_does_not_lose_what_the_pixel_saw() -> None:
    """The server's copy is rejected: the pixel's stays, counted once although the log alone would count twice."""
    rec = cl.reconcile(ledger(2), log(("pixel", "0", "a"), ("capi", "0", "b"), ("pixel", "1"), ("capi", "1")))
    assert ends(cl.waterfall(rec))["0"][1] == "double_counted"
    refused = receipts(("0", "rejected", "BAD", 1), ("1", "accepted", None, 1))
    wf = cl.waterfall(rec, refused)
    assert ends(wf)["0"] == ("counted", "pixel_only", None, "through")
    assert wf.buckets["brought_by"].tolist() == ["pixel", "pixel+capi"]
    assert wf.buckets["reply_code"].iloc[0] == "BAD"
    assert "server copies sent: 2 (accepted 1, rejected 1)" in wf.notes


def test_a_send_the_log_does_not_show() -> None:
    """A receipt proves a send: it recovers an order nobody logged, and beside a pixel its dedup was not replayed."""
    wf = cl.waterfall(
        cl.reconcile(ledger(2), log(("pixel", "0"))), receipts(("0", "accepted", None, 1), ("1", "accepted", None, 1))
    )
    assert [bucket for _, bucket, *_ in ends(wf).values()] == ["not_replayed", "server_only"]


def test_one_order_swallowed_by_another() -> None:
    """Two orders share an event id: the platform counts one; the other arrived, and failed to count."""
    rec = cl.reconcile(ledger(2), log(("pixel", "0", "x"), ("capi", "1", "x")))
    found = ends(cl.waterfall(rec))
    assert Counter(bucket for _, bucket, *_ in found.values()) == {"over_merged": 1, "pixel_only": 1}
    assert found["1"] == ("counted", "over_merged", "unknown", "failed")


@pytest.mark.parametrize(("platform", "route"), [("microsoft", "offline"), ("google", "ads_api")])
def test_a_route_without_a_pixel_counts_what_the_server_sent(platform: str, route: str) -> None:
    """The pixel's events are no way in: not counted, not brought, not a second copy; the log still shows them."""
    shop = ledger(4, gclid="CjwKCAjw_example-1", msclkid="0123456789abcdef0123456789abcdef")
    events = log(("pixel", "0"), ("capi", "0"), ("pixel", "1"), ("capi", "2"))
    events = events.assign(event_name="purchase", gclid=shop["gclid"][0], msclkid=shop["msclkid"][0])
    events["event_time"] = [T + pd.Timedelta(hours=int(one)) for one in events["conversion_id"]]
    rec = cl.reconcile(shop, events, platform, route=route)
    assert rec.conversions["counted"].tolist() == [1, 0, 1, 0]
    assert rec.conversions["seen_pixel"].tolist() == [True, True, False, False]
    assert rec.pairs[["conversion_id", "counted"]].values.tolist() == [["0", 1]]
    wf = cl.waterfall(rec)
    assert ends(wf) == {
        "0": ("counted", "server_only", None, "through"),
        "1": ("server", "not_sent", "eligibility_unknown", "unknown"),
        "2": ("counted", "server_only", None, "through"),
        "3": ("server", "not_sent", "eligibility_unknown", "unknown"),
    }
    assert steps(wf) == {"truth": 4, "server": 2, "counted": 2}
    assert wf.conservation["holds"].all()
    assert "Of 4 conversions the server sent 2" in wf.headline
    assert "the server adds" not in repr(wf)


def test_skipped_is_ignored_unless_it_should_have_gone() -> None:
    """A planned skip is no failure; a skip of a conversion marked eligible is one."""
    rec = cl.reconcile(ledger(3), log(("pixel", "2")))
    rows = receipts(("0", "skipped", "no_key", None), ("1", "skipped", "", None))
    found = ends(cl.waterfall(rec, rows))
    assert found["0"] == ("server", "skipped", "no_key", "ignored")
    assert found["1"] == ("server", "skipped", "unknown", "ignored")
    found = ends(cl.waterfall(rec, rows, marks=marks(eligible=[True, False, True])))
    assert found["0"] == ("server", "skipped", "no_key", "failed")
    assert found["1"] == ("server", "ineligible", "unknown", "ignored")


def test_accepted_is_not_matched_is_not_attributed() -> None:
    """Each step only takes from those that passed the one before; what is not known stays unknown."""
    rec = cl.reconcile(ledger(6), log(*[("capi", str(i)) for i in range(5)]))
    told = marks(matched=[True, True, False, None, True, True], attributed=[True, False, True, True, None, True])
    wf = cl.waterfall(rec, receipts(*[(str(i), "accepted", None, 1) for i in range(5)]), marks=told)
    assert steps(wf) == {
        "truth": 6, "pixel": 0, "server": 5, "accepted": 5, "counted": 5, "matched": 3, "attributed": 1,
    }  # fmt: skip
    assert [bucket for _, bucket, *_ in ends(wf).values()] == [
        "server_only", "not_attributed", "not_matched", "match_unknown", "attribution_unknown", "not_sent",
    ]  # fmt: skip
    assert "server_only" in cl.waterfall(rec).table["bucket"].tolist(), "without marks the steps are not measured"


def test_marks_may_stand_in_the_ledger() -> None:
    """Columns that the ledger carries along are used as they are; a table of marks stands in their place."""
    conversions = ledger(2, eligible=[False, True], ineligible_reason=["no_consent", None])
    rec = cl.reconcile(conversions, log(("pixel", "1")))
    assert ends(cl.waterfall(rec))["0"][2:] == ("no_consent", "ignored")
    assert ends(cl.waterfall(rec, marks=marks(eligible=[True, True])))["0"][1:3] == ("not_sent", "unknown")


def test_ineligible_but_brought_is_said_not_hidden() -> None:
    """A conversion that went out although it is marked ineligible counts as brought, and a note says so."""
    rec = cl.reconcile(ledger(2), log(("pixel", "0")))
    wf = cl.waterfall(rec, marks=marks(eligible=[False, True], ineligible_reason=["no_consent", None]))
    assert ends(wf)["0"][1] == "pixel_only"
    assert wf.notes[1:] == ("marked ineligible and brought all the same: 1 (no_consent 1)",)


def shop(seed: int, n: int = 250) -> tuple[pd.DataFrame, ...]:
    """Ledger, log, receipts and marks, with reused ids, several currencies, strangers and missing values."""
    rng = random.Random(seed)
    orders = [str(i) for i in range(n)]

    def some(*values: Any) -> list[Any]:
        return [rng.choice(values) for _ in orders]

    conversions = ledger(
        n,
        user_key=some("a", "b", "c", "d", None),
        value=some(0.1, 19.99, 1e6, None),
        currency=some("EUR", "USD", None),
    ).astype({"value": "float64", "user_key": "str", "currency": "str"})
    ids = [f"e{i}" for i in range(n // 2)]
    events = log(*[(rng.choice(["pixel", "capi"]), rng.choice(orders), rng.choice(ids)) for _ in range(n)])
    statuses = [*OutcomeStatus, "accepted", "skipped"]
    replies = receipts(
        *[
            (rng.choice([*orders, "stranger"]), str(rng.choice(statuses)), rng.choice([None, "", "A", "B"]), when)
            for when in [rng.choice([None, 1, 2]) for _ in range(n)]
        ]
    )
    told = marks(
        eligible=some(True, False, None),
        matched=some(True, True, False, None),
        attributed=some(True, False, None),
        ineligible_reason=some("no_consent", "too_old", "", None),
    ).astype({"ineligible_reason": "str"})
    return conversions, events, replies, told.iloc[: n - 5]


def plainly(rec: cl.Reconciled, replies: pd.DataFrame | None, told: pd.DataFrame | None) -> dict[str, Any]:
    """Every conversion placed by the plain oracle."""

    def records(table: pd.DataFrame) -> list[dict[str, Any]]:
        return table.astype("object").where(table.notna(), None).to_dict("records")

    flags = {} if told is None else {row["conversion_id"]: row for row in records(told)}
    measured = {name: told is not None and name in told for name in ("matched", "attributed")}
    events, causes = records(rec.events), dict(zip(rec.pairs["conversion_id"], rec.pairs["cause"], strict=True))
    rows = None if replies is None else records(replies)
    result = {}
    for conversion in records(rec.conversions):
        name = conversion["conversion_id"]
        cause = causes.get(name)
        result[name] = place(
            conversion | {"told": measured},
            [e for e in events if e["conversion_id"] == name],
            None if rows is None else [r for r in rows if r["conversion_id"] == name],
            None if told is None else flags.get(name, {}),
            None if pd.isna(cause) else cause,
        )
    return result


def test_random_shops_reach_every_bucket() -> None:
    """The random shops of the law below are no empty exercise: together they fill every bucket there is."""
    conversions, events, replies, told = shop(1)
    rec = cl.reconcile(conversions, events)
    found = [*plainly(rec, replies, told).values(), *plainly(rec, replies, None).values()]
    assert {bucket for _, bucket, *_ in found} == set(Bucket)
    assert {fate for *_, fate in found} == set(Fate)


@settings(max_examples=4 if THOROUGH else 1, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), with_receipts=st.booleans(), with_marks=st.sampled_from([0, 2, 4, 5]))
@example(seed=1, with_receipts=True, with_marks=5)
def test_every_conversion_is_in_one_bucket_the_right_one(seed: int, with_receipts: bool, with_marks: int) -> None:
    """Equal to the plain oracle; buckets, steps and amounts add up; row order decides nothing."""
    conversions, events, replies, told = shop(seed)
    replies = replies if with_receipts else None
    told = told.iloc[:, :with_marks] if with_marks else None
    rec = cl.reconcile(conversions, events)
    wf = cl.waterfall(rec, replies, marks=told)
    expected = plainly(rec, replies, told)
    assert ends(wf) == expected
    assert wf.buckets["conversion_id"].tolist() == conversions["conversion_id"].tolist()

    table = wf.table.astype("object").where(wf.table.notna(), None)
    buckets = table[table["kind"] == "bucket"]
    cells = dict(zip(buckets[KEY].itertuples(index=False, name=None), buckets["k"], strict=True))
    assert cells == dict(Counter(expected.values()))
    assert sum(cells.values()) == len(conversions)
    order = [str(step) for step in wf.steps]
    for step, k in steps(wf).items():
        if step != "pixel":
            past = [e for e in expected.values() if e[3] == "through" or order.index(e[0]) > order.index(step)]
            assert k == len(expected if step == "truth" else past)
    assert steps(wf)["pixel"] == int(rec.conversions["seen_pixel"].sum())

    placed = conversions.assign(bucket=[expected[name][1] for name in conversions["conversion_id"]]).dropna(
        subset="value"
    )
    money = wf.amounts[wf.amounts["kind"] == "bucket"]
    ours = money.groupby([money["currency"].fillna(""), "bucket"])["k"].sum()
    for key, amount in placed.groupby([placed["currency"].fillna(""), "bucket"])["value"].sum().items():
        assert ours.pop(key) == pytest.approx(amount, rel=1e-9)
    assert (ours == 0).all()
    assert wf.conservation["holds"].all(), wf.conservation

    shuffled = cl.waterfall(
        cl.reconcile(conversions.iloc[::-1], events.iloc[::-1]),
        None if replies is None else replies.iloc[::-1],
        marks=None if told is None else told.iloc[::-1],
    )
    assert ends(shuffled) == expected
    pd.testing.assert_frame_equal(shuffled.table, wf.table)


def test_the_check_can_fail() -> None:
    """Lose a conversion, or count one twice, and the conservation laws say so."""
    import dataclasses

    wf = cl.waterfall(cl.reconcile(ledger(4), log(("pixel", "0"))))
    assert wf.conservation["holds"].all()
    rows = wf.bucket_table
    short = dataclasses.replace(wf, bucket_table=rows.filter(rows.conversion_id != "3")).conservation.set_index("law")
    assert not short.loc["every conversion has a bucket", "holds"]
    twice = dataclasses.replace(wf, bucket_table=ibis.union(rows, rows.limit(1))).conservation.set_index("law")
    assert not twice.loc["no conversion has two", "holds"]
    wrong = wf.table.assign(k=wf.table["k"].mask(wf.table["bucket"] == "pixel_only", 2))
    found = dataclasses.replace(wf, table=wrong).conservation.set_index("law")
    assert not found.loc["buckets sum to the ledger", "holds"]
    lost = wf.amounts.assign(k=wf.amounts["k"] * 0.999999)
    assert not dataclasses.replace(wf, amounts=lost).conservation["holds"].all()


def test_inputs_of_every_kind_and_split_give_one_result(tmp_path) -> None:
    """Frames, Parquet files split in two, Arrow and Ibis tables lead to the same table."""
    events = log(*[("pixel", str(i)) for i in range(0, 20, 2)], *[("capi", str(i)) for i in range(0, 24, 3)])
    conversions = ledger(30, user_key=[f"u{i % 7}" for i in range(30)])
    replies = receipts(*[(str(i), ["accepted", "rejected", "retry"][i % 3 - 1], "X", 1) for i in range(0, 24, 3)])
    told = marks(eligible=[i % 4 > 0 for i in range(30)], matched=[i % 5 > 0 for i in range(30)])
    expected = cl.waterfall(cl.reconcile(conversions, events), replies, marks=told)
    paths = {}
    for name, table in (("conversions", conversions), ("events", events), ("replies", replies), ("told", told)):
        half = len(table) // 2
        table.iloc[:half].to_parquet(tmp_path / f"{name}_b.parquet")
        table.iloc[half:].to_parquet(tmp_path / f"{name}_a.parquet")
        paths[name] = tmp_path / f"{name}_*.parquet"
    wf = cl.waterfall(cl.reconcile(paths["conversions"], paths["events"]), paths["replies"], marks=paths["told"])
    pd.testing.assert_frame_equal(wf.table, expected.table)
    assert ends(wf) == ends(expected)
    rec = cl.reconcile(ibis.memtable(conversions.assign(event_time=conversions["event_time"])), ibis.memtable(events))
    import pyarrow as pa

    wf = cl.waterfall(rec, pa.Table.from_pandas(replies), marks=ibis.memtable(told))
    pd.testing.assert_frame_equal(wf.table, expected.table)


def test_steps_and_intervals_are_those_of_coverage() -> None:
    """The rows `pixel` and `server` are coverage's `pixel` and `pixel+capi`, in number and in money, group by group."""
    shop = cl.load.sample("cdnow")
    orders = shop.conversions.iloc[:6000]
    rec = cl.reconcile(orders, shop.events)
    wf = cl.waterfall(rec, by="country")
    numbers = ["k", "n", "value", "low", "high"]
    for step, setup in (("pixel", "pixel"), ("server", "pixel+capi")):
        for ours, theirs in (
            (wf.table, cl.coverage(rec, by="country")),
            (wf.amounts, cl.coverage(rec, by=["country", "currency"], weight="value")),
        ):
            mine = ours[(ours["kind"] == "step") & (ours["step"] == step)].set_index("country")[numbers]
            other = theirs[theirs["setup"] == setup].set_index("country")[numbers]
            pd.testing.assert_frame_equal(mine, other, check_exact=False, rtol=1e-9)
    assert wf.conservation["holds"].all()
    whole = cl.waterfall(rec, cluster=None).table.set_index("step")
    assert whole.loc["pixel", "method"] == "wilson"


def test_the_readmes_numbers_are_those_of_the_sample() -> None:
    """The section of the README runs as it stands and gives the sentence it quotes."""
    page = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = page.split("## Where did the others go?")[1]
    (example,) = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    names: dict[str, Any] = {"cl": cl}
    exec(compile(example, "README.md", "exec"), names)  # noqa: S102 - our own README
    quoted = " ".join(line.removeprefix("> ") for line in section.splitlines() if line.startswith("> "))
    assert quoted == names["wf"].headline
    assert names["wf"].conservation["holds"].all()


def test_groups_have_the_same_rows_and_add_up() -> None:
    """A missing group value is a group; a bucket a group does not have is there with 0."""
    conversions = ledger(4, browser=["b", "a", None, "a"])
    wf = cl.waterfall(cl.reconcile(conversions, log(("pixel", "0"), ("capi", "1"))), by="browser")
    wide = wf.table.pivot_table(index="browser", columns=["step", "bucket"], values="k", dropna=False)
    assert len(wide) == 3
    assert wf.table.groupby("browser", dropna=False).size().nunique() == 1
    buckets = wf.table[wf.table["kind"] == "bucket"]
    assert buckets.groupby("browser", dropna=False)["k"].sum().tolist() == [2, 1, 1]
    assert "by browser: see .table" in repr(wf)


@pytest.mark.parametrize("name", ["label", "cell", "clusters"])
def test_a_group_may_have_any_name_but_those_of_the_result(name: str) -> None:
    """Names used on the way do not stand in the way of a column of the ledger."""
    wf = cl.waterfall(cl.reconcile(ledger(2, **{name: ["a", "b"]}), log(("pixel", "0"))), by=name)
    assert wf.table.loc[
        wf.table["step"].eq("pixel") & wf.table["kind"].eq("step"), [name, "k"]
    ].to_numpy().tolist() == [
        ["a", 1],
        ["b", 0],
    ]


def test_reports_stand_beside_the_steps() -> None:
    """Totals over the ledger's days, strata added where there is no whole, bounds kept, buckets untouched."""
    rec = cl.reconcile(ledger(30), log(("pixel", "0"), ("capi", "1")))
    day = T.floor("D")
    rows = [
        ("meta", day, "matched", "all", 10.0, 8.0, 12.0),
        ("meta", day, "matched", "click_id", 6.0, None, None),
        ("meta", day + pd.Timedelta(days=1), "matched", "click_id", 4.0, None, None),
        ("meta", day + pd.Timedelta(days=1), "matched", "pii_only", 1.0, 0.0, 3.0),
        ("meta", day, "received", None, 40.0, None, None),
        ("meta", day - pd.Timedelta(days=1), "received", None, 99.0, None, None),
        ("tiktok", day, "received", None, 99.0, None, None),
    ]
    names = ["platform", "day", "metric", "stratum", "count", "low", "high"]
    wf = cl.waterfall(rec, reports=pd.DataFrame(rows, columns=names))
    found = wf.reported.set_index(["metric", "stratum"])
    assert found[["days", "k", "low_k", "high_k"]].to_dict("index") == {
        ("received", "all"): {"days": 1, "k": 40.0, "low_k": 40.0, "high_k": 40.0},
        ("matched", "all"): {"days": 2, "k": 15.0, "low_k": 12.0, "high_k": 19.0},
        ("matched", "click_id"): {"days": 2, "k": 10.0, "low_k": 10.0, "high_k": 10.0},
        ("matched", "pii_only"): {"days": 1, "k": 1.0, "low_k": 0.0, "high_k": 3.0},
    }
    assert found.loc[("received", "all"), "value"] == pytest.approx(40 / 30), "a platform may count more than we know"
    assert list(wf.steps) == ["truth", "pixel", "server", "counted"]
    pd.testing.assert_frame_equal(wf.table, cl.waterfall(rec).table)
    assert "platform reports matched" in repr(wf)


def test_empty_and_bare_inputs() -> None:
    """No event, no receipt row, no value: counted all the same, and no amounts are invented."""
    bare = ledger(3).drop(columns=["value", "currency", "event_id"])
    wf = cl.waterfall(cl.reconcile(bare, log(("pixel", "0")).iloc[:0]), receipts(("0", "retry", None, 1)).iloc[:0])
    assert steps(wf) == {"truth": 3, "pixel": 0, "server": 0, "accepted": 0, "counted": 0}
    assert wf.amounts.empty
    assert not [name for name in wf.table if name.startswith("amount")]
    assert wf.conservation["holds"].all()
    no_currency = cl.waterfall(cl.reconcile(ledger(3).drop(columns="currency"), log(("pixel", "0"))))
    assert no_currency.table["amount_without_currency"].iloc[0] == 30.0
    refunds = cl.waterfall(cl.reconcile(ledger(3, value=[-5.0, 1.0, 2.0]), log(("pixel", "0"))))
    assert refunds.amounts["low"].isna().all()
    assert refunds.conservation["holds"].all()


def test_wrong_input_is_refused_by_name() -> None:
    """Messages name the column and the remedy."""
    rec = cl.reconcile(ledger(2, method="x"), log(("pixel", "0")))
    with pytest.raises(ContractError, match="status: value is not one of accepted"):
        cl.waterfall(rec, receipts(("0", "sent", None, 1)))
    with pytest.raises(ContractError, match="eligible: is int64, must be true, false or missing"):
        cl.waterfall(rec, marks=pd.DataFrame({"conversion_id": ["0"], "eligible": [1]}))
    with pytest.raises(ContractError, match="conversion_id: value is not unique"):
        cl.waterfall(rec, marks=pd.DataFrame({"conversion_id": ["0", "0"], "eligible": [True, True]}))
    with pytest.raises(InputError, match="marks hold none of the columns eligible, matched, attributed"):
        cl.waterfall(rec, marks=pd.DataFrame({"conversion_id": ["0"]}))
    with pytest.raises(UnknownNameError, match="unknown column of the ledger 'shop'"):
        cl.waterfall(rec, by="shop")
    with pytest.raises(InputError, match="cannot group by 'method'"):
        cl.waterfall(rec, by="method")
    with pytest.raises(InputError, match="level must lie"):
        cl.waterfall(rec, level=95)
    assert set(RECEIPTS.column("status").allowed) == {*OutcomeStatus, "skipped"}


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        ("pixel", "Of 4 conversions the pixel saw 3; 1 is lost: 1 of unknown fate (not_sent: eligibility_unknown)."),
        ("capi", "Of 4 conversions the server sent 3; 1 is lost: 1 of unknown fate (not_sent: eligibility_unknown)."),
    ],
)
def test_a_channel_nobody_watched_is_not_said_to_add_nothing(logged: str, said: str) -> None:
    """The log has no event of one channel: sentence and table say nothing of what it adds, a note says why."""
    wf = cl.waterfall(cl.reconcile(ledger(4), log(*[(logged, str(i)) for i in range(3)])))
    assert wf.headline == said
    assert [str(c) for c in wf.silent] == [{"pixel": "capi", "capi": "pixel"}[logged]]
    assert wf.notes[0].startswith(f"the log holds no event of the {'server' if logged == 'pixel' else 'pixel'}")
    assert "adds" not in repr(wf)
    sent = cl.waterfall(cl.reconcile(ledger(4), log(("pixel", "0"))), receipts(("1", "accepted", None, 1)))
    assert not sent.silent  # a receipt tells of the server as well, but not one of a row that was skipped
    skipped = cl.waterfall(cl.reconcile(ledger(4), log(("pixel", "0"))), receipts(("1", "skipped", "x", None)))
    assert [str(c) for c in skipped.silent] == ["capi"]
    assert "the server adds 1" in sent.headline


def test_receipts_of_others_are_left_out_and_counted() -> None:
    """Another platform's receipts decide nothing; a receipt of an unknown conversion is named in a note."""
    rec = cl.reconcile(ledger(1), log(("capi", "0")), platform="meta")
    rows = receipts(("0", "rejected", "X", 2), ("0", "accepted", None, 1), ("9", "accepted", None, 1))
    wf = cl.waterfall(rec, rows.assign(platform=["tiktok", "meta", None]))
    assert ends(wf)["0"][1] == "server_only"
    assert "receipts of conversions the ledger does not have: 1" in wf.notes


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.seen.add(tag)
        assert {name for name, _ in attrs} <= {"style"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_escaped_whole_and_without_colours_of_the_page() -> None:
    """A code with markup in it stays text; only inline styles; text and ground take the page's own colours."""
    rec = cl.reconcile(ledger(2), log(("capi", "0")))
    html = cl.waterfall(rec, receipts(("0", "rejected", "<script>alert(1)</script>", 1)))._repr_html_()
    tags = _Tags()
    tags.feed(html)
    assert not tags.open
    assert tags.seen == {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert "&lt;script&gt;" in html
    assert set(re.findall(r"(?<![-\w])color:([^;\"]+)", html)) == {"inherit"}


def test_many_reasons_are_added_up_in_text_only() -> None:
    """Forty codes: the text shows the largest and sums the rest; the table holds them all."""
    n = 40
    rec = cl.reconcile(ledger(n), log(*[("capi", str(i)) for i in range(n)]))
    wf = cl.waterfall(rec, receipts(*[(str(i), "rejected", f"CODE_{i:02}", 1) for i in range(n)]))
    assert (wf.table["bucket"] == "rejected").sum() == n
    assert len(re.findall("− failed: rejected: CODE_", repr(wf))) == 12
    assert re.search(r"rejected: 28 other reasons +28 ", repr(wf))


def test_words_cover_what_can_happen() -> None:
    """Every bucket, step and fate is in the glossary."""
    page = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")
    for word in (*Bucket, *Step, *Fate):
        assert f"`{word}`" in page, word
