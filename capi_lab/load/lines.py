"""Lines of text as Arrow columns, split without a loop over rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from capi_lab.load.files import Part

__all__ = [
    "STAMP",
    "arrow_text",
    "between",
    "bytes_of",
    "log_times",
    "numbered_lines",
    "row_ids",
    "text_series",
    "unescaped",
]

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STAMP = "dd/Mon/yyyy:HH:MM:SS +zzzz"
"""The time of httpd and nginx, a letter a character."""
_SPACE = tuple(b" \t\n\f\r")


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

    data = part.data or b"\n"
    lines = _cut_at_line_ends(data)
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        data = data.decode(errors="backslashreplace").encode()
        lines = _cut_at_line_ends(data)
    numbers = np.arange(part.first, part.first + len(lines))
    text, offsets = bytes_of(lines)
    if not np.isin(text[offsets[:-1]], _SPACE).any():  # a blank line begins with one
        return lines, numbers
    filled = pc.invert(pc.match_substring_regex(lines, r"^\s*$"))
    return lines.filter(filled), numbers[filled.to_numpy(zero_copy_only=False)]


def _cut_at_line_ends(data: bytes) -> Any:
    import numpy as np
    import pyarrow as pa

    ends = np.flatnonzero(np.frombuffer(data, "uint8") == ord("\n")) + 1
    if not len(ends) or ends[-1] != len(data):
        ends = np.append(ends, len(data))
    offsets = np.concatenate([[0], ends]).astype("int32")
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))


def bytes_of(lines: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the text of an Arrow column as bytes, and where in them each row begins and the last one ends."""
    import numpy as np
    import pyarrow as pa

    kind = np.dtype("int64" if pa.types.is_large_string(lines.type) else "int32")
    if not len(lines):  # may have no buffers
        return np.empty(0, "uint8"), np.zeros(1, kind)
    offsets = np.frombuffer(lines.buffers()[1], kind, len(lines) + 1, kind.itemsize * lines.offset)
    return np.frombuffer(lines.buffers()[2] or b"", "uint8"), offsets


def between(text: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Any:
    """Return pieces of one text, in order and apart, as an Arrow column."""
    import numpy as np
    import pyarrow as pa

    if not len(starts):
        return pa.array([], pa.string())
    offsets = np.empty(2 * len(starts), "int32")
    offsets[::2], offsets[1::2] = starts, ends
    pieces = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(text))
    return pieces.take(pa.array(np.arange(0, len(offsets), 2)))


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
    sized = pc.fill_null(pc.equal(pc.binary_length(stamps), len(STAMP)), False).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(sized)
    if not len(rows):
        return result
    # Texts of one length are one block of bytes.
    texts = stamps.filter(sized).cast("binary").cast(pa.binary(len(STAMP)))
    block = np.frombuffer(texts.buffers()[1], "uint8", len(rows) * len(STAMP), texts.offset * len(STAMP))
    text = block.reshape(len(rows), len(STAMP)).T.copy()
    good = np.ones(len(rows), bool)
    for position, kind in enumerate(STAMP):
        if kind in "dyHMSz" and not 3 <= position < 6:
            good &= text[position] - np.uint8(ord("0")) <= 9  # wraps round below "0"
        elif kind in "/: ":
            good &= text[position] == ord(kind)

    def number(start: int, length: int) -> np.ndarray:
        value = np.zeros(len(rows), "int32")
        for position in range(start, start + length):
            value = value * 10 + (text[position] - np.uint8(ord("0")))
        return value

    sign = np.where(text[21] == ord("-"), -1, 1)
    good &= (text[21] == ord("-")) | (text[21] == ord("+"))
    letters = (text[3].astype("int32") << 16) + (text[4].astype("int32") << 8) + text[5]
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
