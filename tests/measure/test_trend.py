"""Daily series: alarms for what changed, at the rate of false ones that was stated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import capi_lab as cl
from capi_lab.errors import ContractError, InputError


def daily(value: np.ndarray, n: int | np.ndarray = 1000, **columns: object) -> pd.DataFrame:
    k = np.round(np.asarray(value) * n).astype(int)
    base = {
        "day": pd.date_range("2026-01-01", periods=len(k), tz="UTC"), "k": k, "n": n, "value": k / n, "low": 0.0,
        "high": 1.0, "method": "wilson", "level": 0.95, "denominator": "conversions in the ledger",
    }  # fmt: skip
    return pd.DataFrame(base | columns)


def test_a_drop_is_an_alarm_and_its_size_is_told() -> None:
    """Forty quiet days, then a fall from 62 to 50 %: that day is `down`, by 12 points; the days before are quiet."""
    table = cl.trend(daily(np.array([0.62] * 40 + [0.50])))
    last = table.iloc[-1]
    assert (last["alert"], last["baseline"]) == ("down", pytest.approx(0.62))
    assert last["change"] == pytest.approx(-0.12)
    assert last["change"] < last["change_low"] < 0 < last["change_high"]
    assert last["p_value"] < last["false_alarm_rate"] == pytest.approx(1 / 365.25)
    assert table["alert"].iloc[:-1].isna().all()
    assert not table["judged"].iloc[:14].any()
    assert table["judged"].iloc[14:].all()


def test_the_same_drop_hides_where_days_scatter() -> None:
    """Days that swing by 8 points make 12 nothing unusual."""
    rng = np.random.default_rng(1)
    table = cl.trend(daily(np.append(0.62 + rng.normal(0, 0.08, 40), 0.50)))
    assert pd.isna(table["alert"].iloc[-1])


def test_the_day_itself_is_not_its_own_past() -> None:
    """The baseline is the days before, at most so many, and holes in the calendar count as days."""
    frame = daily(np.linspace(0.4, 0.6, 30))
    holes = frame.drop(index=[20, 21, 22])
    table = cl.trend(holes, baseline=7, least_days=3).set_index("day")
    day = frame["day"][25]
    before = holes[(holes["day"] < day) & (holes["day"] >= day - pd.Timedelta(days=7))]
    assert len(before) == 4
    assert table.loc[day, "baseline"] == pytest.approx(before["k"].sum() / before["n"].sum())
    assert len(table) == 27


def test_series_are_apart_and_share_the_alarms() -> None:
    """Two browsers: each its own past, and half the rate of false alarms each; rows in any order."""
    a, b = daily(np.full(40, 0.3), browser="a"), daily(np.append(np.full(39, 0.7), 0.9), browser="b")
    table = cl.trend(pd.concat([a, b]).sample(frac=1, random_state=1), since="2026-02-08")
    assert table.loc[table["browser"] == "b", "alert"].tolist() == [None, "up"] or (
        pd.isna(table.loc[table["browser"] == "b", "alert"].iloc[0])
        and table.loc[table["browser"] == "b", "alert"].iloc[1] == "up"
    )
    assert len(table) == 4
    assert table["false_alarm_rate"].iloc[0] == pytest.approx(0.5 / 365.25)


def test_too_little_is_not_judged() -> None:
    """Days with two orders, or none, raise no alarm and are said not to be judged."""
    table = cl.trend(daily(np.full(30, 0.5), n=np.where(np.arange(30) == 29, 4, 100)))
    assert not table["judged"].iloc[-1]
    assert table["judged"].iloc[-2]
    assert pd.isna(table["p_value"].iloc[-1])


def test_from_a_ledger(tiny) -> None:
    """A coverage table by day goes in as it is; its setups are series."""
    rec = cl.reconcile(*tiny)
    table = cl.trend(cl.coverage(rec, by="day"))
    assert table.groupby("setup").size().to_dict() == {"pixel": 1, "capi": 1, "pixel+capi": 1, "incremental": 1}
    assert not table["judged"].any()


def test_wrong_tables_are_refused() -> None:
    """No day, a day twice, numbers out of range."""
    frame = daily(np.full(5, 0.5))
    with pytest.raises(InputError, match="by day"):
        cl.trend(frame.drop(columns="day"))
    with pytest.raises(InputError, match="twice"):
        cl.trend(pd.concat([frame, frame]))
    with pytest.raises(InputError, match="alarms_per_year"):
        cl.trend(frame, alarms_per_year=0)
    with pytest.raises(InputError, match="baseline"):
        cl.trend(frame, baseline=2)
    with pytest.raises(ContractError, match="k: column is missing"):
        cl.trend(frame.drop(columns="k"))


def test_a_suppressed_day_is_not_a_fall_to_zero() -> None:
    """Its number is not known: it raises no alarm and takes no part in what later days are held against."""
    frame = daily(np.full(40, 0.5), n=100)
    gone = frame.assign(k=frame["k"].astype(float).mask(frame.index == 38))
    table = cl.trend(gone)
    assert table["alert"].isna().all()
    assert not table["judged"].iloc[38]
    assert table["baseline"].iloc[39] == pytest.approx(0.5)


def test_nothing_is_judged_of_nothing() -> None:
    """A table without a row gives one without a row, with all columns; a row without a day is refused."""
    frame = daily(np.full(20, 0.5))
    whole = cl.trend(frame)
    empty = cl.trend(frame.iloc[:0])
    assert (list(empty.columns), len(empty)) == (list(whole.columns), 0)
    assert cl.trend(frame.assign(browser="a").iloc[:0]).empty
    with pytest.raises(InputError, match="missing in 1 rows"):
        cl.trend(frame.assign(day=frame["day"].where(frame.index > 0)))
