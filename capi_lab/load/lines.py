"""Lines of text as Arrow columns, split without a loop over rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from capi_lab.load.files import Part

__all__ = ["arrow_text", "log_times", "numbered_lines", "quoted_fields", "row_ids", "text_series", "unescaped"]

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STAMP = "dd/Mon/yyyy:HH:MM:SS +zzzz"


def numbered_lines(part: Part) -> tuple[Any, np.ndarray]:
    r"""Return the lines of a part that are not blank, each with its line end, and their numbers in the file.

    Bytes that are no UTF-8 become ``\xHH``, as servers themselves write them.

    Returns
    -------
    lines : pyarrow.StringArray
    numbers : ndarray of int64
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    data = part.data or b""
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode(errors="backslashreplace").encode()
    ends = np.flatnonzero(np.frombuffer(data, "uint8") == ord("\n")) + 1
    if not len(ends) or ends[-1] != len(data):
        ends = np.append(ends, len(data))
    offsets = np.concatenate([[0], ends]).astype("int32")
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
    numbers = np.arange(part.first, part.first + len(ends))
    filled = pc.invert(pc.match_substring_regex(lines, r"^\s*$"))
    if pc.all(filled).as_py():
        return lines, numbers
    return lines.filter(filled), numbers[filled.to_numpy(zero_copy_only=False)]


def quoted_fields(lines: Any, counts: tuple[int, ...]) -> tuple[list[Any], np.ndarray]:
    """Split lines such as ``a "b" c "d" "e"`` at their quotes.

    Parameters
    ----------
    lines : pyarrow.StringArray
    counts : tuple of int
        How many quoted fields a line may have.

    Returns
    -------
    pieces : list of pyarrow.StringArray
        What stands before the first field, the first field, what stands between it and the second, then the other
        fields; missing where a line has fewer.
    regular : ndarray of bool
        Lines with such a count, one space between the fields from the second on, nothing but a line end behind the
        last, and no backslash, which could stand before a quote; the other rows of ``pieces`` mean nothing.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    split = pc.split_pattern(lines, '"')
    starts, values = split.offsets.to_numpy()[:-1], split.values
    sizes = np.diff(split.offsets.to_numpy())
    regular = np.isin(sizes, [2 * count + 1 for count in counts]) & ~_holding(lines, "\\")
    ends = np.frombuffer(values.buffers()[1], "int32", len(values) + 1, 4 * values.offset)
    text = np.frombuffer(values.buffers()[2] or b"", "uint8")
    most = int(sizes[regular].max(initial=3))
    for position in range(4, most, 2):
        piece = np.where(sizes > position, starts + position, 0)
        begin, length = ends[piece], ends[piece + 1] - ends[piece]
        first = text[np.minimum(begin, len(text) - 1)]
        last = sizes == position + 1
        one_space = (length == 1) & (first == ord(" "))
        line_end = (length == 0) | ((length == 1) & (first == ord("\n")))
        regular &= (sizes <= position) | np.where(last, line_end, one_space)
    pieces = []
    for position in (0, 1, 2, *range(3, most, 2)):
        there = sizes > position
        pieces.append(values.take(pa.array(starts + position, mask=None if there.all() else ~there)))
    return pieces, regular


def _holding(lines: Any, character: str) -> np.ndarray:
    """Say which lines hold an ASCII character; one pass over their bytes."""
    import numpy as np

    ends = np.frombuffer(lines.buffers()[1], "int32", len(lines) + 1, 4 * lines.offset)
    where = np.flatnonzero(np.frombuffer(lines.buffers()[2] or b"", "uint8", ends[-1]) == ord(character))
    holding = np.zeros(len(lines), bool)
    holding[np.searchsorted(ends, where[where >= ends[0]], side="right") - 1] = True
    return holding


def log_times(stamps: Any) -> np.ndarray:
    """Read ``dd/Mon/yyyy:HH:MM:SS ±zzzz``.

    Parameters
    ----------
    stamps : pyarrow.StringArray

    Returns
    -------
    ndarray of datetime64[us]
        UTC; NaT where the text is anything else.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    result = np.full(len(stamps), "NaT", dtype="datetime64[us]")
    sized = pc.fill_null(pc.equal(pc.binary_length(stamps), len(_STAMP)), False).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(sized)
    if not len(rows):
        return result
    # Texts of one length are one block of bytes.
    texts = stamps.filter(sized).cast("binary").cast(pa.binary(len(_STAMP)))
    block = texts.buffers()[1]
    text = np.frombuffer(block, "uint8", len(rows) * len(_STAMP), texts.offset * len(_STAMP))
    text = text.reshape(len(rows), len(_STAMP))
    good = np.ones(len(rows), bool)
    for position, kind in enumerate(_STAMP):
        if kind in "dyHMSz" and not 3 <= position < 6:
            good &= text[:, position] - np.uint8(ord("0")) <= 9  # wraps round below "0"
        elif kind in "/: ":
            good &= text[:, position] == ord(kind)

    def number(start: int, length: int) -> np.ndarray:
        value = np.zeros(len(rows), "int32")
        for position in range(start, start + length):
            value = value * 10 + (text[:, position] - np.uint8(ord("0")))
        return value

    sign = np.where(text[:, 21] == ord("-"), -1, 1)
    good &= (text[:, 21] == ord("-")) | (text[:, 21] == ord("+"))
    letters = (text[:, 3].astype("int32") << 16) + (text[:, 4].astype("int32") << 8) + text[:, 5]
    month = np.full(len(rows), -1, "int32")
    for index, name in enumerate(_MONTHS):
        month[letters == int.from_bytes(name.encode(), "big")] = index
    day, hour, minute, second = number(0, 2), number(12, 2), number(15, 2), number(18, 2)
    months = ((number(7, 4) - 1970) * 12 + month).astype("datetime64[M]")
    first = months.astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - first).astype("int64")
    good &= (month >= 0) & (day >= 1) & (day <= length) & (hour < 24) & (minute < 60) & (second < 60)
    good &= (number(22, 2) < 24) & (number(24, 2) < 60)
    offset = sign * (number(22, 2) * 60 + number(24, 2))
    seconds = hour * 3600 + (minute - offset) * 60 + second
    times = (first + (day - 1)).astype("datetime64[s]") + seconds.astype("timedelta64[s]")
    result[rows[good]] = times[good].astype("datetime64[us]")
    return result


def text_series(column: Any, index: Any = None) -> pd.Series:
    """Return an Arrow text column as a pandas one."""
    import pandas as pd
    import pyarrow as pa

    return pd.Series(pd.array(column.cast(pa.large_string()), dtype="str"), index=index)


def arrow_text(column: pd.Series) -> Any:
    """Return a pandas text column as one Arrow array."""
    import pyarrow as pa

    array = pa.array(column.array, pa.string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def unescaped(text: str) -> str:
    r"""Undo the escapes servers write inside quotes: ``\"``, ``\\`` and ``\xHH``."""
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else m[2], text)


def row_ids(name: str, numbers: np.ndarray) -> Any:
    """Return ``name:number`` for every row, as an Arrow column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(name, pc.cast(pa.array(numbers), pa.string()), ":")
