"""Click ids come to orders as a plain loop over all pairs says, and an order's own id is never replaced."""

from __future__ import annotations

import re
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import capi_lab as cl
from capi_lab.errors import ContractError, InputError
from tests.load.make_samples import AGENT, expected, ga4_objects, known_rows, lines, segment_pages, shopify_answer
from tests.reconcile.attach_plain import KEYS, NAMES, PLATFORM, attached
from tests.reconcile.lastclick_plain import DAY, Row
from tests.reconcile.test_attribute import START, joined, log, text, times, world

public = import_module("capi_lab.reconcile.attach")
EDGES = sorted({max(0, base + nudge) for base in (0, 30 * DAY, 90 * DAY, 120 * DAY) for nudge in (-1, 0, 1)})


def ledger(rows: list[Row]) -> pd.DataFrame:
    table = text(rows, "conversion_id", "event_name", *KEYS, *PLATFORM)
    seen = pd.to_datetime([None if row["click_at"] is None else START + row["click_at"] for row in rows], unit="us")
    own = pd.Series(seen, dtype="datetime64[us]").dt.tz_localize("UTC")
    return pd.DataFrame(table | {"event_time": times(rows), "click_time": own})


def worlds(rng: Random, n: int) -> tuple[list[Row], list[Row]]:
    """Put ``n`` worlds side by side; some orders have a click time of their own."""
    lives = (EDGES, 130 * DAY, PLATFORM, sorted(PLATFORM), (0, 0, 0, 1, 1, 2))  # an id's life, not a window
    orders, clicks = joined([world(rng, *lives) for _ in range(n)])
    return [row | {"click_at": rng.choice([None, None, 5])} for row in orders], clicks


def answers(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Read the result in the oracle's terms; the fbc that is made of an fbclid is looked at apart."""
    found = {}
    for row in table.to_dict("records"):
        one: dict[str, Any] = {}
        for name in [*PLATFORM, *(f"{name}_tied_by" for name in NAMES)]:
            one[name] = None if pd.isna(row.get(name)) else row[name]
        for name in [*(f"{name}_time" for name in NAMES), "click_time"]:
            value = row.get(name)
            one[name] = None if value is None or pd.isna(value) else round(value.timestamp() * 1e6) - START
        found[row["conversion_id"]] = one
    return found


def with_made_fbc(one: dict[str, Any]) -> dict[str, Any]:
    """Write the fbc Meta documents: of the fbclid and the time it was seen, in milliseconds."""
    if one["fbc"] is None and one["fbclid"] and one["fbclid_time"] is not None:
        return one | {"fbc": f"fb.1.{(START + one['fbclid_time']) // 1000}.{one['fbclid']}"}
    return one


@pytest.mark.parametrize("asof", [True, False], ids=["as-of join", "ordered window"])
@settings(max_examples=1, phases=[Phase.generate])  # 250 logs; a seed cannot be shrunk
@given(seed=st.integers(0, 2**32), days=st.sampled_from([None, 20]))
def test_equals_a_plain_loop(asof: bool, seed: int, days: int | None) -> None:
    """Every id, time and tie of every order, over 250 random logs, by either way of joining."""
    orders, clicks = worlds(Random(seed), 250)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(public, "joins_asof", lambda *_: asof)
        window = timedelta(days=days) if days else None
        result = cl.attach_clicks(ledger(orders), log(clicks), on=KEYS, window=window)
    longest = days * DAY if days else None
    near: dict[str, list[Row]] = {}  # worlds share no person and no id
    for one in clicks:
        near.setdefault(one["click_row_id"].split("-")[0], []).append(one)
    wanted = {
        row["conversion_id"]: with_made_fbc(attached(row, near.get(row["conversion_id"].split("-")[0], []), longest))
        for row in orders
    }
    present = {row["param"] for row in clicks}
    for row in orders:  # an id no click has is not looked at
        for name in NAMES:
            if not present & ({"fbclid", "fbc"} if name == "fbclid" else {name}):
                wanted[row["conversion_id"]][f"{name}_tied_by"] = None
    assert answers(result) == wanted


@pytest.fixture
def shop() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Random orders and clicks of two platforms, from a seed."""
    orders, clicks = worlds(Random(8), 100)
    some = [one for one in clicks if one["platform"] in ("google", "meta")]
    return ledger(orders).replace("", None), log(some).replace("", None)


def test_own_ids_and_rows_stay(shop) -> None:
    """Rows, order, index and the caller's columns stay; no id or click time the order had is another one after."""
    orders, clicks = shop
    orders = orders.assign(note="kept", lot=pd.Categorical(["x"] * len(orders))).sample(frac=1, random_state=1)
    result = cl.attach_clicks(orders, clicks, on=KEYS)
    assert result.index.equals(orders.index)
    assert list(result.columns[: len(orders.columns)]) == list(orders.columns)
    filled = 0
    for name in orders.columns:
        there = orders[name].notna() & (orders[name] != "")
        pd.testing.assert_series_equal(result.loc[there, name], orders.loc[there, name])
        filled += int((~there & result[name].notna()).sum())
    assert filled > 50
    again = cl.attach_clicks(result, clicks, on=KEYS)
    pd.testing.assert_frame_equal(again[orders.columns], result[orders.columns])


def test_order_split_and_kind_change_nothing(shop, tmp_path: Path) -> None:
    """Shuffled frames, Arrow, one Parquet file, several, and Ibis tables give the same answer."""
    orders, clicks = shop
    whole = cl.attach_clicks(orders, clicks, on=KEYS)
    shuffled = cl.attach_clicks(orders.sample(frac=1, random_state=2), clicks.sample(frac=1, random_state=3), on=KEYS)
    pd.testing.assert_frame_equal(shuffled.sort_index(), whole)
    for i, part in enumerate((clicks[:50], clicks[50:])):
        part.to_parquet(tmp_path / f"clicks-{i}.parquet")
    orders.to_parquet(tmp_path / "orders.parquet")
    for left, right in (
        (pa.Table.from_pandas(orders, preserve_index=False), pa.Table.from_pandas(clicks, preserve_index=False)),
        (tmp_path / "orders.parquet", str(tmp_path / "clicks-*.parquet")),
    ):
        result = cl.attach_clicks(left, right, on=KEYS)
        frame = result if isinstance(result, pd.DataFrame) else result.to_pandas()
        frame = frame.set_index("conversion_id").loc[whole["conversion_id"]].reset_index()[whole.columns]
        pd.testing.assert_frame_equal(frame, whole, check_dtype=False)


def one_order(**columns: Any) -> pd.DataFrame:
    row = {"conversion_id": "1", "event_name": "purchase", "event_time": pd.Timestamp("2026-05-04 12:00", tz="UTC")}
    return pd.DataFrame([row | columns])


def click(day: int, param: str, click_id: str, **columns: Any) -> Row:
    time = pd.Timestamp(f"2026-05-0{day}", tz="UTC")
    row = {"click_row_id": f"{param}{click_id}", "platform": PLATFORM[param], "param": param, "click_id": click_id}
    return row | {"click_time": time} | columns


def test_keys_are_asked_in_order_and_named() -> None:
    """The first key that gives a click wins over a later click of a weaker one; two columns count as one key."""
    where = {"client_ip": "203.0.113.7", "user_agent": "A"}
    orders = one_order(user_key="u", **where)
    clicks = pd.DataFrame(
        [
            click(1, "gclid", "old", user_key="u", client_ip="203.0.113.9", user_agent="A"),
            click(2, "gclid", "new", user_key=None, **where),
            click(3, "gclid", "other", user_key=None, client_ip="203.0.113.7", user_agent="B"),
        ]
    )
    both = cl.attach_clicks(orders, clicks, on=("user_key", ("client_ip", "user_agent")))
    assert both[["gclid", "gclid_tied_by"]].to_numpy().tolist() == [["old", "user_key"]]
    place = cl.attach_clicks(orders, clicks, on=[("client_ip", "user_agent")])
    assert place[["gclid", "gclid_tied_by"]].to_numpy().tolist() == [["new", "client_ip+user_agent"]]
    assert list(place.columns) == [*orders.columns, "gclid", "click_time", "gclid_time", "gclid_tied_by"]
    by_default = cl.attach_clicks(orders, clicks)
    assert by_default["gclid"].tolist() == ["old"]
    # No address is asked by itself, and none where nothing else ties.
    assert cl.attach_clicks(orders.drop(columns="user_key"), clicks)["gclid"].isna().all()


def test_parts_of_a_key_are_not_run_together() -> None:
    """``a`` with ``bc`` is not ``ab`` with ``c``, whatever stands in the values."""
    clicks = pd.DataFrame([click(1, "gclid", "x", client_ip="a", user_agent="1:bc")])
    for parts, found in ((("a", "1:bc"), True), (("a1:1", ":bc"), False), (("a1", ":bc"), False), (("a", None), False)):
        orders = one_order(client_ip=parts[0], user_agent=parts[1])
        assert cl.attach_clicks(orders, clicks, on=[("client_ip", "user_agent")])["gclid"].notna().item() is found


def test_days_of_click_view_date_the_orders_own_ids() -> None:
    """Clicks without a person give the times of ids that orders have, and no id to any other order."""
    orders = pd.concat([one_order(gclid="mine"), one_order(gclid=None).assign(conversion_id="2")], ignore_index=True)
    result = cl.attach_clicks(orders, pd.DataFrame([click(2, "gclid", "mine"), click(3, "gclid", "theirs")]))
    assert result["gclid"].tolist()[0] == "mine"
    assert result["click_time"].tolist() == [pd.Timestamp("2026-05-02", tz="UTC"), pd.NaT]
    assert result["gclid_tied_by"].iloc[0] == "click_id"
    assert pd.isna(result["gclid"].iloc[1])


def test_an_fbc_is_made_as_documented() -> None:
    """``fb.1.<first seen, milliseconds>.<fbclid>`` passes Meta's own pattern, and its fbclid is the click's."""
    orders = one_order(user_key="u", email="jane@example.com", action_source="web")
    result = cl.attach_clicks(orders, pd.DataFrame([click(4, "fbclid", "IwAR-x_y", user_key="u")]))
    milliseconds = int(pd.Timestamp("2026-05-04", tz="UTC").timestamp() * 1000)
    assert result["fbc"].tolist() == [f"fb.1.{milliseconds}.IwAR-x_y"]
    assert cl.identity.click_ids_from_cookies(f"_fbc={result['fbc'].item()}")["fbclid"] == "IwAR-x_y"


def test_counts_add_up(shop) -> None:
    """`attachments` accounts for every order once per id, in all and by a column."""
    orders, clicks = shop
    result = cl.attach_clicks(orders, clicks, on=KEYS)
    counts = cl.attachments(result)
    assert (counts.groupby("param")["k"].sum() == len(orders)).all()
    assert set(counts["tied_by"].dropna()) == {*KEYS, "click_id", "kept", "own"}
    had = orders["gclid"].notna() & (orders["gclid"] != "")
    own = counts[(counts["param"] == "gclid") & counts["tied_by"].isin(["click_id", "kept", "own"])]
    assert own["k"].sum() == had.sum()
    by = cl.attachments(
        result.assign(browser=["Safari", "Chrome"] * (len(orders) // 2) + ["Chrome"] * (len(orders) % 2)), by="browser"
    )
    assert by.groupby("param")["k"].sum().to_dict() == counts.groupby("param")["k"].sum().to_dict()


def test_no_clicks_and_no_orders(shop) -> None:
    """Empty tables are answered, not refused."""
    orders, clicks = shop
    assert cl.attach_clicks(orders, clicks.iloc[:0]).equals(orders)
    assert len(cl.attach_clicks(orders.iloc[:0], clicks, on=KEYS)) == 0


def test_bad_questions_are_refused(shop) -> None:
    """Missing key columns, windows that are none, and results that are none of ours give errors that say what to do."""
    orders, clicks = shop
    with pytest.raises(ContractError, match="no_such"):
        cl.attach_clicks(orders, clicks, on="no_such")
    with pytest.raises(ContractError, match="event_time"):
        cl.attach_clicks(orders, clicks, on=[("user_key", "event_time")])
    with pytest.raises(InputError, match="positive"):
        cl.attach_clicks(orders, clicks, window=timedelta(0))
    with pytest.raises(ContractError, match="tied_by"):
        cl.attachments(orders)


def test_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/attach-clicks.md as it stands: GA4's landings reach Shopify's orders, then an access log's the others."""
    page = (Path(__file__).parents[2] / "docs" / "attach-clicks.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    orders = [row | {"page": "https://shop.example/thanks"} for row in known_rows(6)]
    landings = [
        row | {"id": None, "name": "page_view", "nth": 90 + row["nth"], "person": None} for row in known_rows(6)[:4]
    ]
    for row in landings:
        row["time"] -= 86_400
    (tmp_path / "orders.json").write_text(shopify_answer(orders))
    (tmp_path / "events.jsonl").write_text(lines(ga4_objects([*orders, *landings])))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(first, "attach-clicks.md", "exec"), names)  # noqa: S102 - our own page
    got = names["orders"].sort_values("conversion_id")
    assert got["gclid"].isna().tolist() == [False] * 4 + [True] * 2
    assert (got["event_time"] - got["click_time"]).dropna().tolist() == [pd.Timedelta(days=1)] * 4
    words = names["counts"].set_index("tied_by")["k"]
    assert words["visitor_id"] == 4
    # One more order of a browser that the access log saw, half an hour before.
    last = got.iloc[-1]
    log_line = f"203.0.114.9 - - [{last['event_time'] - pd.Timedelta(minutes=30):%d/%b/%Y:%H:%M:%S} +0000] "
    (tmp_path / "access.log").write_text(log_line + f'"GET /?gclid=Cj0LOG HTTP/1.1" 200 5 "-" "{AGENT}"\n')
    names["orders"] = got.assign(client_ip=[None] * 5 + ["203.0.114.9"], user_agent=AGENT)
    exec(compile(second, "attach-clicks.md", "exec"), names)  # noqa: S102 - our own page
    assert names["orders"]["gclid"].tolist()[-1] == "Cj0LOG"
    assert names["orders"]["gclid_tied_by"].iloc[-1] == "client_ip+user_agent"
    assert pd.isna(names["orders"]["gclid_tied_by"].iloc[-2])


def test_segments_landings_reach_orders_by_user(tmp_path: Path) -> None:
    """The page table of a warehouse gives its clicks to the orders of the same user."""
    rows = known_rows(4)
    (tmp_path / "pages.csv").write_text(segment_pages(rows))
    clicks = cl.load.segment_pages(tmp_path / "pages.csv", kind="clicks").df
    orders = expected(rows)[["conversion_id", "event_name", "event_time", "user_key"]]
    result = cl.attach_clicks(orders, clicks)
    assert result["gclid"].tolist() == [row["click"] for row in rows]
    assert (result["gclid_tied_by"] == "user_key").all()
