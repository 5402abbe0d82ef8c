"""Text to times, money and ids, by the rules every loader keeps: nothing is invented, every doubt is counted."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from capi_lab.errors import NaiveTimeError, UnknownNameError
from capi_lab.identity.clickids import NO_VALUE, is_missing
from capi_lab.load.lines import bytes_of
from capi_lab.words import LoadDrop

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd

    from capi_lab.load.result import Intake

__all__ = [
    "as_text",
    "blank_to_missing",
    "currency_codes",
    "event_times",
    "first_and_last",
    "money",
    "pick",
    "repeats",
    "text_column",
]

# What an epoch number's digit count says about its unit.
_EPOCH_UNITS = {10: ("s", "seconds"), 13: ("ms", "milliseconds"), 16: ("us", "microseconds")}
# Both can be answered at one end of a text, without a look at the rest.
_BEGINS_AS_NO_VALUE = rf"(?is)^(?:(?:{'|'.join(map(re.escape, sorted(NO_VALUE)))})$|\{{\{{|[^!-~])"
_ENDS_AS_NO_VALUE = r"(?s)[^!-~]$"
_LONGEST_NO_VALUE = max(map(len, NO_VALUE))
_TIMED = r"\d{4}-?\d{2}-?\d{2}[T ]\d{2}:?\d{2}.*"
_ZONED = _TIMED + r"(?:Z|[+-]\d{2}(?::?\d{2})?)"
_NAIVE = r"\d{4}-?\d{2}-?\d{2}(?:[T ]\d{2}:?\d{2}(?::?\d{2}(?:[.,]\d+)?)?)?"
_LOG = r"\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4}"


def text_column(values: Any, index: Any = None) -> pd.Series:
    """Make a text column from any list; None and NaN are missing, numbers keep their digits, lists become JSON."""
    import json

    import pandas as pd

    def one(value: Any) -> Any:
        if value is None or isinstance(value, str) or value is pd.NaT or value is pd.NA:
            return value if isinstance(value, str) else None
        if isinstance(value, float):
            return None if value != value else (str(int(value)) if value.is_integer() else repr(value))  # noqa: PLR0124
        if isinstance(value, list | tuple | dict) or type(value).__name__ == "ndarray":
            plain = value.tolist() if hasattr(value, "tolist") else value
            return json.dumps(plain, separators=(",", ":"), default=str)
        return value.isoformat() if hasattr(value, "isoformat") else str(value)

    return pd.Series([one(value) for value in values], index=index, dtype="str")


def as_text(values: pd.Series) -> pd.Series:
    """Return a column as text, whatever it held."""
    import pandas as pd

    return values if isinstance(values.dtype, pd.StringDtype) else text_column(values.tolist(), values.index)


def blank_to_missing(values: pd.Series) -> pd.Series:
    """Make placeholders missing: empty, ``-``, ``(not set)``, ``null``, ``{{variable}}`` ..."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = _large_text(values)
    rows = _perhaps_no_value(texts)
    if not len(rows):
        return values
    # Only these, templates and texts padded with space of any kind are looked at one by one.
    distinct = pc.unique(texts.take(pa.array(rows)))
    suspicious = pc.match_substring_regex(distinct, _BEGINS_AS_NO_VALUE)
    suspicious = pc.or_(suspicious, pc.match_substring_regex(distinct, _ENDS_AS_NO_VALUE))
    blank = [value for value in distinct.filter(suspicious).to_pylist() if value is not None and is_missing(value)]
    return values.mask(values.isin(blank)) if blank else values


def _large_text(values: pd.Series) -> Any:
    """Return a text column as one Arrow array, without a copy where pandas holds one."""
    import pyarrow as pa

    texts = pa.array(values.array, pa.large_string())
    if not isinstance(texts, pa.ChunkedArray):
        return texts
    return texts.chunk(0) if texts.num_chunks == 1 else texts.combine_chunks()


def _perhaps_no_value(texts: Any) -> np.ndarray:
    """Return the rows whose length and outer bytes do not yet tell that they hold a value."""
    import numpy as np

    text, offsets = bytes_of(texts)
    starts, lengths = offsets[:-1], np.diff(offsets)
    odd = lengths == 0
    if len(text):
        first = text[np.minimum(starts, len(text) - 1)]
        last = text[np.maximum(offsets[1:] - 1, 0)]
        begins, padding = _byte_tables()
        odd |= padding[first] | padding[last] | (first == ord("{"))
        odd |= begins[first] & (lengths <= _LONGEST_NO_VALUE)
    if texts.null_count:
        odd &= texts.is_valid().to_numpy(zero_copy_only=False)
    return np.flatnonzero(odd)


@cache
def _byte_tables() -> tuple[np.ndarray, np.ndarray]:
    """Say of each byte whether a placeholder begins with it, in either case, and whether it may be padding."""
    import numpy as np

    codes = np.arange(256)
    beginnings = {ord(one) for word in NO_VALUE if word for one in (word[0], word[0].upper())}
    return np.isin(codes, list(beginnings)), (codes < ord("!")) | (codes > ord("~"))


def pick(*columns: pd.Series | None) -> pd.Series:
    """Take the first value that is there, column by column."""
    present = [column for column in columns if column is not None]
    result = present[0]
    for column in present[1:]:
        result = result.fillna(column) if result.hasnans else result
    return result


def money(values: pd.Series, intake: Intake, name: str = "value") -> pd.Series:
    """Read decimal text as float64; what is no plain number becomes missing and is counted."""
    import pandas as pd

    def read(values: pd.Series) -> tuple[pd.Series, pd.Series]:
        text = blank_to_missing(values.str.strip())
        number = pd.to_numeric(text.where(text.str.fullmatch(r"[+-]?\d+(\.\d*)?|[+-]?\.\d+")), errors="coerce")
        return number.astype("float64"), number.isna() & text.notna()

    number, wrong = _distinct_once(values, read)
    intake.note_count(wrong, "{n} rows have a " + name + " that is no plain decimal number; left missing")
    return number


def currency_codes(values: pd.Series, intake: Intake) -> pd.Series:
    """Read ISO-4217 codes in upper case; anything else becomes missing and is counted."""

    def read(values: pd.Series) -> tuple[pd.Series, pd.Series]:
        text = blank_to_missing(values.str.strip().str.upper())
        good = text.where(text.str.fullmatch("[A-Z]{3}"))
        return good, good.isna() & text.notna()

    codes, wrong = _distinct_once(values, read)
    intake.note_count(wrong, "{n} rows have a currency that is no ISO-4217 code; left missing")
    return codes


def _distinct_once(
    values: pd.Series, read: Callable[[pd.Series], tuple[pd.Series, pd.Series]]
) -> tuple[pd.Series, int]:
    """Read every distinct text; return what it became, row by row, and how many rows could not be read."""
    import pandas as pd

    codes, distinct = pd.factorize(values)
    # The last one is for rows without a text, whose code is -1.
    read_once, wrong = read(pd.Series([*distinct, None], dtype="str"))
    return read_once.take(codes).set_axis(values.index), int(wrong.to_numpy()[codes].sum())


def first_and_last(names: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Split whole names at the first space; a name without one is a first name."""
    parts = names.str.split(n=1, expand=True).reindex(columns=[0, 1])
    return parts[0].astype("str"), parts[1].astype("str")


def repeats(ids: pd.Series) -> pd.Series:
    """Mark every row but the first of each id; missing ids are no repeats."""
    return ids.duplicated() & ids.notna()


def event_times(values: pd.Series, intake: Intake, *, tz: str | None, column: str, drop: bool = True) -> pd.Series:
    """Read times of any of the seven shapes and drop, with a reason, the rows that have none.

    Parameters
    ----------
    values : Series
        Epoch numbers (10 digits seconds, 13 milliseconds, 16 microseconds), ISO text with or without an
        offset, or datetimes; same index as ``intake.frame``.
    tz : str or None
        Zone of the times that carry none. None refuses them.
    column : str
        The file's column, for messages.
    drop : bool
        Take rows without a time out of ``intake``; else leave them missing.

    Returns
    -------
    Series
        datetime64[us, UTC], index as ``intake.frame`` afterwards.

    Raises
    ------
    NaiveTimeError
        Some times carry no zone and ``tz`` is None.
    UnknownNameError
        ``tz`` is no zone name.
    """
    import pandas as pd

    zone = _zone(tz)
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        parsed, unclear = values, pd.Series(data=False, index=values.index)
    elif pd.api.types.is_datetime64_dtype(values.dtype):
        _refuse_naive(values.notna(), zone, column)
        parsed, unclear = _localised(values, zone)
    else:
        parsed, unclear = _from_text(as_text(values), intake, zone, column)
    parsed = parsed.dt.tz_convert("UTC").dt.as_unit("us")
    if drop:
        intake.drop(unclear, LoadDrop.AMBIGUOUS_LOCAL_TIME)
        parsed = parsed[intake.frame.index]
        intake.drop(parsed.isna(), LoadDrop.NO_TIME)
        parsed = parsed[intake.frame.index]
    return parsed


def _zone(tz: str | None) -> Any:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if tz is None:
        return None
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownNameError(
            "time zone", tz, ["UTC", "Europe/Berlin", "America/New_York", "... (IANA names)"]
        ) from None


def _refuse_naive(naive: pd.Series, zone: Any, column: str) -> None:
    n = int(naive.sum())
    if n and zone is None:
        raise NaiveTimeError(
            f"column '{column}' has {n:,} times without a zone: say which zone the file is in, e.g. "
            "tz='Europe/Berlin' (tz='UTC' if it really is UTC); a guess would move events across days"
        )


def _localised(naive: pd.Series, zone: Any) -> tuple[pd.Series, pd.Series]:
    """Place local times; those a clock change makes double or impossible are marked, not guessed."""
    import pandas as pd

    if zone is None:  # nothing is naive here, or `_refuse_naive` would have spoken
        return pd.Series(pd.NaT, index=naive.index, dtype="datetime64[us, UTC]"), naive.notna() & False
    placed = naive.dt.as_unit("us").dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")
    return placed, placed.isna() & naive.notna()


def _from_text(values: pd.Series, intake: Intake, zone: Any, column: str) -> tuple[pd.Series, pd.Series]:
    import pandas as pd

    plain = _plain_epochs(values)
    if plain is not None:
        return plain, pd.Series(data=False, index=values.index)
    text = blank_to_missing(values.str.strip())
    parsed = pd.Series(pd.NaT, index=text.index, dtype="datetime64[us, UTC]")
    units = []
    digits = text.str.fullmatch(r"\d+")
    for length, (unit, words) in _EPOCH_UNITS.items():
        rows = digits & (text.str.len() == length)
        if rows.any():
            units.append(f"{int(rows.sum()):,} in {words}")
            parsed[rows] = pd.to_datetime(text[rows].astype("int64"), unit=unit, utc=True).dt.as_unit("us")
    fraction = text.str.fullmatch(r"\d{10}\.\d+")
    if fraction.any():
        parsed[fraction] = pd.to_datetime(text[fraction].astype("float64"), unit="s", utc=True).dt.as_unit("us")
    if len(units) > 1:
        intake.note(f"column '{column}' mixes epoch units: {', '.join(units)}; each was read by its digits")
    rest = text.notna() & ~digits & ~fraction
    iso = text[rest].str.replace(r"\s+UTC$", "Z", regex=True)
    iso = iso.str.replace(r"^(\d{4}.*\d)\s+([+-]\d{2}(?::?\d{2})?)$", r"\1\2", regex=True)
    for shape, form in ((_ZONED, "ISO8601"), (_LOG, "%d/%b/%Y:%H:%M:%S %z")):
        rows = iso.str.fullmatch(shape)
        if rows.any():
            times = pd.to_datetime(iso[rows], format=form, utc=True, errors="coerce")
            parsed[times.index] = times.dt.as_unit("us")
    unclear = pd.Series(data=False, index=text.index)
    local = pd.to_datetime(iso[iso.str.fullmatch(_NAIVE)], format="ISO8601", errors="coerce").dropna()
    if len(local):
        _refuse_naive(local.notna(), zone, column)
        placed, double = _localised(local, zone)
        parsed[placed.index] = placed
        unclear[double.index] = double
    return parsed, unclear


def _plain_epochs(values: pd.Series) -> pd.Series | None:
    """Read a column of epoch numbers that all have the same count of digits; None if it is anything else."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.drop_null(_large_text(values))
    text, offsets = bytes_of(texts)
    lengths = np.diff(offsets)
    text = text[offsets[0] : offsets[-1]]
    if not len(texts) or lengths[0] not in _EPOCH_UNITS or (lengths != lengths[0]).any():
        return None
    if (text - np.uint8(ord("0")) > 9).any():  # wraps round below "0"
        return None
    numbers = texts.cast(pa.int64()).to_numpy().astype(f"datetime64[{_EPOCH_UNITS[lengths[0]][0]}]")
    times = np.full(len(values), "NaT", "datetime64[us]")
    times[values.notna().to_numpy()] = numbers
    return pd.Series(times, index=values.index).dt.tz_localize("UTC")
