"""What is read off whole columns of text is what reading text by text gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capi_lab.errors import ContractError
from capi_lab.identity.clickids import NO_VALUE, is_missing
from capi_lab.load.result import Intake
from capi_lab.load.values import blank_to_missing, currency_codes, event_times, money
from capi_lab.tables import EVENTS, _schema, checked

WORDS = sorted(NO_VALUE)
TEXTS = st.one_of(
    st.none(),
    st.sampled_from([*WORDS, *(word.upper() for word in WORDS), "{{x}}", "{{", "{{x}", "nancy", "None", "0", "\u00e9"]),
    st.text(max_size=12),
    st.builds(
        "{}{}{}".format, st.sampled_from(["", " ", "\u00a0", "\n"]), st.sampled_from(WORDS), st.sampled_from(["", "\t"])
    ),
)
MONEY = st.one_of(
    st.none(), st.sampled_from(["9.5", "-1.", "+.5", " 7 ", "1,5", "-", "", "1e3", "NaN"]), st.text(max_size=4)
)


def intake(n: int) -> Intake:
    """Return a table on its way in, without columns."""
    return Intake("a file", "a format", pd.DataFrame(index=range(n)))


@given(st.lists(TEXTS, max_size=30), st.integers(0, 5))
def test_placeholders(texts: list[str | None], start: int) -> None:
    """A text goes if and only if it stands for nothing, also in a column that is a slice of another."""
    column = pd.Series(texts, dtype="str").iloc[start:]
    expected = [None if text is None or is_missing(text) else text for text in texts[start:]]
    assert (
        blank_to_missing(column).astype("object").where(column.notna(), None).replace({np.nan: None}).tolist()
        == expected
    )


@given(st.lists(MONEY, max_size=20))
def test_amounts_and_currencies(texts: list[str | None]) -> None:
    """Repeated texts are read once and counted each time."""
    column, books = pd.Series(texts, dtype="str", index=range(5, 5 + len(texts))), intake(0)
    amounts, one = money(column, books), []
    for text in texts:
        one.append(money(pd.Series([text], dtype="str"), alone := intake(0)).iloc[0])
        for finding, n in alone.findings.items():
            books.findings[finding] -= n or 0
    np.testing.assert_array_equal(amounts.to_numpy(), np.array(one, "float64"))
    assert amounts.index.equals(column.index)
    assert set(books.findings.values()) <= {0}


def test_currency_rows_are_counted() -> None:
    """Two rows with the same bad code are two rows."""
    books = intake(4)
    codes = currency_codes(pd.Series(["eur", "EURO", None, "EURO"], dtype="str"), books)
    assert codes.fillna("none").tolist() == ["EUR", "none", "none", "none"]
    assert list(books.findings.values()) == [2]


@settings(max_examples=50)
@given(st.lists(st.one_of(st.none(), st.integers(10**15, 10**16 - 1)), min_size=1), st.sampled_from([10, 13, 16]))
def test_epoch_columns(numbers: list[int | None], digits: int) -> None:
    """A column of plain epoch numbers is read as beside a number of another length, and as Python reads them."""
    texts = [None if n is None else str(n)[:digits] for n in numbers]
    plain = event_times(pd.Series(texts, dtype="str"), intake(len(texts)), tz=None, column="t", drop=False)
    other = pd.Series([*texts, "12"], dtype="str")
    mixed = event_times(other, intake(len(other)), tz=None, column="t", drop=False)
    pd.testing.assert_series_equal(plain, mixed.iloc[:-1])
    scale = 10 ** (16 - digits)
    expected = [None if text is None else int(text) * scale for text in texts]
    micros = plain.dt.tz_localize(None).to_numpy().astype("int64").tolist()
    assert [None if missing else n for n, missing in zip(micros, plain.isna(), strict=True)] == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", None]),
            st.sampled_from(["pixel", "capi", "other", None]),
            st.sampled_from(["granted", "denied", "maybe", None]),
        ),
        max_size=4,
    )
)
def test_the_quick_look_at_a_contract_is_panderas(rows: list[tuple[str | None, ...]]) -> None:
    """A table is refused if and only if pandera finds something wrong with it."""
    from pandera.errors import SchemaErrors

    frame = pd.DataFrame(rows, columns=["row_id", "channel", "consent_ad_user_data"], dtype="str").assign(
        event_name="x", event_time=pd.Timestamp("2026-01-01", tz="UTC")
    )
    frame = frame.astype({"event_name": "str"})
    try:
        _schema(EVENTS).validate(frame, lazy=True)
    except SchemaErrors:
        with pytest.raises(ContractError):
            checked(EVENTS, frame)
    else:
        assert len(checked(EVENTS, frame)) == len(frame)
