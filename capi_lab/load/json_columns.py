"""JSON lines to Arrow columns, all at once, wherever that gives exactly what reading line by line gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from capi_lab.load.lines import arrow_text, text_series
from capi_lab.load.values import blank_to_missing, text_column

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from capi_lab.load.files import Part

__all__ = ["JsonColumns", "NotPlainError", "Shape", "as_text", "json_columns", "json_pieces"]

Shape: TypeAlias = Mapping[str, Any]
"""Fields to read: name to ``str`` or ``float`` (what it usually is), to the shape of an object, or to a list with the
shape of its members."""

_SAMPLE = 64  # lines whose values say which type a field has here
_BLOCK = 1 << 20
_FEW = 64  # lines that are rather read one by one than cut again
_WHOLE = 2**53  # beyond, floats do not hold every whole number

Piece = TypeVar("Piece")


class NotPlainError(Exception):
    """These lines must be read one by one."""


def json_pieces(part: Part, at_once: Callable[[Part], Piece], one_by_one: Callable[[Part], Piece]) -> Iterator[Piece]:
    """Read lines all at once where that is possible, and one by one around those where it is not.

    Parameters
    ----------
    part : Part
        With ``data``.
    at_once : callable
        Raises `NotPlainError` where it could not give exactly what ``one_by_one`` gives.
    one_by_one : callable

    Yields
    ------
    Piece
        In the order of the lines.
    """
    data = part.data or b""
    try:
        yield at_once(part)
    except NotPlainError:
        middle = data.find(b"\n", len(data) // 2) + 1
        if middle in (0, len(data)) or data.count(b"\n") <= _FEW:
            yield one_by_one(part)
            return
        first, second = data[:middle], data[middle:]
        yield from json_pieces(replace(part, data=first), at_once, one_by_one)
        number = part.first + first.count(b"\n")
        yield from json_pieces(replace(part, data=second, first=number), at_once, one_by_one)


def json_columns(part: Part, shape: Shape) -> JsonColumns:
    """Read lines of JSON objects all at once.

    Raises
    ------
    NotPlainError
        A line is no object by itself, no UTF-8 or damaged, or a field has values of another type than before.
    """
    import pyarrow as pa
    from pyarrow import json as arrow_json

    data = part.data or b""
    numbers, longest = _objects(data, part.first)
    schema = pa.schema(_types(shape, _sample(data)))
    try:
        table = arrow_json.read_json(
            pa.BufferReader(data),
            # Two parts are read at a time as it is; more threads only get in each other's way.
            read_options=arrow_json.ReadOptions(block_size=max(_BLOCK, 2 * longest), use_threads=False),
            parse_options=arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except pa.ArrowException:
        raise NotPlainError from None
    # Every line begins and ends as an object does, so that only two objects on one line can make other rows of them.
    if table.num_rows != len(numbers):
        raise NotPlainError
    return JsonColumns(table, numbers)


def _objects(data: bytes, first: int) -> tuple[np.ndarray, int]:
    """Return the numbers of the lines, each an object as far as its ends tell, and the length of the longest."""
    import numpy as np
    import pyarrow as pa

    text = np.frombuffer(data, "uint8")
    ends = np.flatnonzero(text == ord("\n"))
    if not len(ends) or ends[-1] != len(text) - 1:
        ends = np.append(ends, len(text))
    starts = np.concatenate([[0], ends[:-1] + 1])
    last = ends - 1 - ((ends > starts) & (text[ends - 1] == ord("\r")))
    filled = last >= starts
    if not filled.any() or (text[starts[filled]] != ord("{")).any() or (text[last[filled]] != ord("}")).any():
        raise NotPlainError
    try:
        pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, len(data)], "int32")), pa.py_buffer(data)).validate(
            full=True
        )
    except pa.ArrowInvalid:
        raise NotPlainError from None
    return first + np.flatnonzero(filled), int((ends - starts).max())


def _sample(data: bytes) -> list[Any]:
    objects = []
    for line in data[: _SAMPLE << 14].split(b"\n", _SAMPLE)[:_SAMPLE]:
        try:
            objects.append(json.loads(line))
        except (ValueError, RecursionError):
            continue
    return objects


def _types(shape: Shape, objects: list[Any]) -> list[tuple[str, Any]]:
    """Choose a type for every field: what it usually is, unless the objects say otherwise."""
    import pyarrow as pa

    fields: list[tuple[str, Any]] = []
    for name, kind in shape.items():
        values = [one[name] for one in objects if isinstance(one, dict) and one.get(name) is not None]
        if isinstance(kind, Mapping):
            fields.append((name, pa.struct(_types(kind, values))))
        elif isinstance(kind, list):
            members = [member for value in values if isinstance(value, list) for member in value]
            fields.append((name, pa.list_(pa.struct(_types(kind[0], members)))))
        else:
            found = {type(value) for value in values} or {kind}
            number = pa.int64() if found == {int} and kind is str else pa.float64()
            fields.append((name, number if found <= {int, float} else pa.string()))
    return fields


class JsonColumns:
    """Objects of JSON lines, read column by column; the same columns `capi_lab.load.records.Records` gives.

    Parameters
    ----------
    table : pyarrow.Table
    numbers : ndarray
        Number of every object's line.
    """

    def __init__(self, table: Any, numbers: np.ndarray) -> None:
        self._columns = {name: table[name].combine_chunks() for name in table.column_names}
        self.numbers = numbers

    def nested(self, *path: str) -> Any:
        """Return the field at ``path`` of every object as an Arrow column; missing where its object is."""
        import pyarrow.compute as pc

        column = self._columns[path[0]]
        for name in path[1:]:
            column = pc.struct_field(column, name)
        return column

    def col(self, *path: str) -> pd.Series:
        """Return the field at ``path`` of every object as text; absent, null and placeholders are missing."""
        return blank_to_missing(text_series(as_text(self.nested(*path))))


def as_text(column: Any) -> Any:
    """Return texts or numbers of an Arrow column as the texts `capi_lab.load.values.text_column` makes of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_floating(column.type):
        return column.cast(pa.string())
    coded = column.dictionary_encode()
    sure = pc.less(pc.abs(coded.dictionary), float(_WHOLE))  # also false for what is no number
    if pc.any(pc.invert(sure)).as_py():
        raise NotPlainError
    return arrow_text(text_column(coded.dictionary.to_pylist())).take(coded.indices)
