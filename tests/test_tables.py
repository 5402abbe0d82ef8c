"""Contracts: checked at the boundary, never switchable, never leaking a value."""

from __future__ import annotations

import subprocess
import sys
import traceback

import ibis
import pandas as pd
import pyarrow as pa
import pytest

import capi_lab as cl
from capi_lab.engine import as_table, materialise, to_frame
from capi_lab.errors import ContractError, InputError, LoadError, NaiveTimeError, UnknownNameError
from capi_lab.tables import CONVERSIONS, EVENTS, TABLES, Column, Table, checked, contract

A_PERSON = "jane.doe@example.com"


def ledger(**columns: object) -> pd.DataFrame:
    base = {
        "conversion_id": ["1", "2"],
        "event_name": ["purchase", "purchase"],
        "event_time": pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True),
    }
    return pd.DataFrame(base | columns)


def test_good_rows_come_back_in_the_contracts_types() -> None:
    """Text is str, times are microseconds in UTC, numbers float64; extra columns pass through."""
    times = pd.to_datetime(["2026-01-01 12:00", "2026-01-02 00:00"]).tz_localize("Europe/Berlin")
    result = checked(CONVERSIONS, ledger(event_time=times, value=[1, 2], email=[None, None], mine=[object(), 1]))
    assert result["event_time"].dtype == "datetime64[us, UTC]"
    assert result["event_time"].iloc[0] == pd.Timestamp("2026-01-01 11:00", tz="UTC")
    assert result["value"].dtype == "float64"
    assert result["email"].dtype == result["conversion_id"].dtype == "str"
    assert "mine" in result


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"conversion_id": ["1", "1"]}, r"conversion_id: value is not unique.*1 row\b"),
        ({"conversion_id": ["1", None]}, r"conversion_id: value is missing.*1 row\b"),
        ({"conversion_id": [1, 2]}, "conversion_id: is int64, must be text"),
        ({"conversion_id": ["1", 2]}, "conversion_id: holds values that are not text"),
        ({"value": ["ten", "2"]}, "value: is str, must be a number"),
        ({"value": [True, False]}, "value: is bool, must be a number"),
        ({"origin": ["real", A_PERSON]}, r"origin: value is not one of real, simulated, semi-synthetic \(1 row\)"),
        ({"event_time": ["2026-01-01", A_PERSON]}, "event_time: is str, must be datetime64"),
    ],
)
def test_broken_contracts_name_column_check_and_count(columns: dict[str, object], message: str) -> None:
    """The message says what to mend and never repeats a value."""
    with pytest.raises(ContractError, match=message) as caught:
        checked(CONVERSIONS, ledger(**columns))
    assert A_PERSON not in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert A_PERSON not in shown, "an error chained behind ours would show the value"


def test_naive_times_are_refused() -> None:
    """Times without a zone are an error of their own."""
    with pytest.raises(NaiveTimeError, match="event_time"):
        checked(CONVERSIONS, ledger(event_time=pd.to_datetime(["2026-01-01", "2026-01-02"])))


def test_missing_and_repeated_columns() -> None:
    """A required column that is absent, or a name that occurs twice, is named."""
    with pytest.raises(ContractError, match="event_time: column is missing"):
        checked(CONVERSIONS, ledger().drop(columns="event_time"))
    double = ledger()
    double.insert(0, "event_name", "x", allow_duplicates=True)
    with pytest.raises(ContractError, match="event_name: column name appears twice"):
        checked(CONVERSIONS, double)


def test_the_environment_cannot_switch_contracts_off() -> None:
    """With pandera disabled in the shell, a broken table is still refused."""
    code = (
        "import pandas as pd; from capi_lab.tables import *; from capi_lab.errors import ContractError\n"
        "t = pd.to_datetime(['2026-01-01'] * 2, utc=True)\n"
        "f = pd.DataFrame({'conversion_id': ['1', '1'], 'event_name': 'purchase', 'event_time': t})\n"
        "try: checked(CONVERSIONS, f)\n"
        "except ContractError: print('refused')"
    )
    env = {"PANDERA_VALIDATION_ENABLED": "False", "PATH": "/usr/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "refused", done.stderr


def test_contract_names() -> None:
    """Contracts are found by name; a wrong one lists those there are."""
    assert contract("events") is EVENTS
    with pytest.raises(UnknownNameError, match="clicks, conversions, events, receipts, reports, visits"):
        contract("orders")
    for table in TABLES.values():
        assert len(set(table.names)) == len(table.names)


def test_every_kind_of_input_gives_the_same_table(tmp_path) -> None:
    """A frame, an Arrow table, a Parquet path, a glob and an Ibis table are one input."""
    frame = checked(CONVERSIONS, ledger(value=[1.5, None]))
    frame.iloc[:1].to_parquet(tmp_path / "a.parquet")
    frame.iloc[1:].to_parquet(tmp_path / "b.parquet")
    frame.to_parquet(tmp_path / "whole.pq")
    inputs = [
        frame,
        pa.Table.from_pandas(frame, preserve_index=False),
        tmp_path / "whole.pq",
        str(tmp_path / "*.parquet"),
        ibis.memtable(frame),
        materialise(ibis.memtable(frame)),
    ]
    for one in inputs:
        result = to_frame(as_table(one, CONVERSIONS).order_by("conversion_id"))
        pd.testing.assert_frame_equal(result, frame)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"conversion_id": ["1", "1"]}, r"conversion_id: value is not unique.*1 row\b"),
        ({"conversion_id": ["1", None]}, "conversion_id: value is missing"),
        ({"conversion_id": [1, 2]}, "conversion_id: is int64, must be text"),
        ({"value": ["ten", "2"]}, "value: is string, must be a number"),
        ({"origin": ["real", A_PERSON]}, "origin: value is not one of"),
        ({"event_time": pd.to_datetime(["2026-01-01", "2026-01-02"])}, "must be a timestamp in UTC"),
    ],
)
def test_parquet_keeps_the_same_contract(tmp_path, columns: dict[str, object], message: str) -> None:
    """Tables that never pass through pandas are checked by one query, with the same kind of message."""
    ledger(**columns).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ContractError, match=message) as caught:
        as_table(tmp_path / "x.parquet", CONVERSIONS)
    assert A_PERSON not in str(caught.value)


def test_paths_that_are_no_parquet(tmp_path) -> None:
    """No match, no Parquet, or no table at all: each says so."""
    with pytest.raises(LoadError, match="no file matches"):
        as_table(str(tmp_path / "*.parquet"), CONVERSIONS)
    (tmp_path / "x.parquet").write_text("conversion_id,event_name\n")
    with pytest.raises(LoadError, match="cannot be read as Parquet"):
        as_table(tmp_path / "x.parquet", CONVERSIONS)
    with pytest.raises(InputError, match="cannot read a list"):
        as_table([1], CONVERSIONS)  # type: ignore[arg-type]
    assert issubclass(cl.errors.LoadError, cl.errors.CapiLabError)


def test_frames_and_files_count_the_same_rows(tmp_path) -> None:
    """Missing and repeated ids are the same number, whichever way the table comes in."""
    rows = pd.concat(
        [ledger(conversion_id=["1", "1"]), ledger(conversion_id=["1", None]), ledger(conversion_id=[None, "2"])]
    )
    rows.to_parquet(tmp_path / "x.parquet", index=False)
    found = []
    for table in (rows.reset_index(drop=True), tmp_path / "x.parquet"):
        with pytest.raises(ContractError) as caught:
            as_table(table, CONVERSIONS)
        found.append(sorted(caught.value.failures))
    assert found[0] == found[1]
    assert sorted(n for *_, n in found[0]) == [2, 2]


def test_missing_values_do_not_repeat_each_other() -> None:
    """A column that may be missing may be missing twice, also where its values are unique."""
    own = Table("mine", (Column("coupon", unique=True, meaning="a code"),))
    assert checked(own, pd.DataFrame({"coupon": ["a", None, None]}))["coupon"].isna().sum() == 2
    with pytest.raises(ContractError, match=r"coupon: value is not unique.*1 row\b"):
        checked(own, pd.DataFrame({"coupon": ["a", "a", None, None]}))
