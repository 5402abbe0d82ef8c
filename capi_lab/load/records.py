"""Columns out of a list of JSON objects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from capi_lab.errors import LoadError
from capi_lab.load.files import (
    Source,
    is_parquet,
    looks_like_json,
    name_of,
    piece_of,
    read_csv,
    read_json_records,
    read_parquet,
)
from capi_lab.load.result import Intake
from capi_lab.load.values import blank_to_missing, pick, text_column

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cells", "Records", "listed", "named_values", "read_any"]


class Records:
    """JSON objects of one file, read column by column.

    Parameters
    ----------
    objects : list of dict
    unparsable : int
        How many members of the file were no object.
    path : path or Part
    format : str
        For messages and the report.
    """

    def __init__(self, objects: list[dict[str, Any]], unparsable: int, path: Source, format: str) -> None:  # noqa: A002
        self.objects = objects
        self.unparsable = unparsable
        self.name = name_of(path)
        self.format = format
        self.doubt: LoadError | None = None
        self._is_part = piece_of(path) is not None

    def _refuse(self, error: LoadError) -> None:
        """Raise for a file; for a part of one only remember, since other parts may show that it has the format."""
        if not self._is_part:
            raise error
        self.doubt = self.doubt or error

    def require(self, *fields: str) -> None:
        """Raise `LoadError` unless every field occurs in some object."""
        absent = [field for field in fields if not any(field in record for record in self.objects)]
        if absent:
            fields_ = ", ".join(map(repr, absent))
            self._refuse(LoadError(f"'{self.name}' has no field {fields_}: is it {self.format}?"))

    def intake(self) -> Intake:
        """Open the account: one row per object. A file that holds other things only is refused."""
        import pandas as pd

        if self.unparsable and not self.objects:
            self._refuse(LoadError(f"'{self.name}' holds no object: is it {self.format}?"))
        rows = pd.DataFrame(index=pd.RangeIndex(len(self.objects)))
        return Intake(self.name, self.format, rows, unparsable=self.unparsable, doubt=self.doubt)

    def col(self, *path: str) -> pd.Series:
        """Return the field at ``path`` of every object as text; absent, null and placeholders are missing."""

        def get(record: Any) -> Any:
            for name in path:
                record = record.get(name) if isinstance(record, dict) else None
            return record

        return blank_to_missing(text_column([get(record) for record in self.objects]))

    def flat(self) -> pd.DataFrame:
        """Return every top-level field as a text column, as a CSV of the same table would have them."""
        import pandas as pd

        names = dict.fromkeys(str(name) for record in self.objects for name in record)
        columns = {name: self.col(name) for name in names}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.objects)))

    def items(self, *id_fields: str) -> pd.Series:
        """Return ``line_items`` as JSON text: id (first of ``id_fields`` that is there), quantity, unit price."""
        return text_column([_items(record.get("line_items"), id_fields) for record in self.objects])


class Cells:
    """Columns of a CSV file, read by name: exactly first, then without regard to case.

    Parameters
    ----------
    frame : DataFrame
        Text columns, as `capi_lab.load.files.read_csv` gives them.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self._folded = {str(name).strip().lower(): name for name in reversed(frame.columns)}

    def has(self, *names: str) -> bool:
        """Say whether there is a column of one of these names."""
        return any(name in self.frame or name.lower() in self._folded for name in names)

    def lacks(self, *names: str) -> bool:
        """Say whether no row has a value under ``names``; where there are no rows, whether the columns are absent."""
        if len(self.frame):
            return bool(self.col(*names).isna().all())
        return len(self.frame.columns) > 0 and not self.has(*names)

    def col(self, *names: str) -> pd.Series:
        """Return the first value among the columns called ``names``; placeholders and absent columns are missing."""
        import pandas as pd

        there = [name if name in self.frame else self._folded.get(name.lower()) for name in names]
        columns = [blank_to_missing(self.frame[name]) for name in there if name is not None]
        return pick(*columns) if columns else pd.Series(None, index=self.frame.index, dtype="str")


def read_any(path: Source, format: str, *, under: tuple[str, ...] = ()) -> Records | tuple[Cells, Intake]:  # noqa: A002
    """Read what may be JSON, Parquet (both as `Records`) or CSV (its `Cells` and an open account)."""
    if is_parquet(path):
        return Records(read_parquet(path).to_pylist(), 0, path, format)
    if looks_like_json(path):
        return Records(*read_json_records(path, under=under), path, format)
    raw = read_csv(path)
    return Cells(raw), Intake(name_of(path), format, raw)


def listed(value: Any) -> list[Any]:
    """Return a list, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def named_values(value: Any, name: str) -> list[tuple[str, Any]]:
    """Read a list of objects that hold a name, under ``name``, and a ``value`` each."""
    return [(str(one.get(name, "")), one.get("value")) for one in listed(value) if isinstance(one, dict)]


def _items(lines: Any, id_fields: tuple[str, ...]) -> str | None:
    if not isinstance(lines, list) or not lines:
        return None
    items = [
        {
            "id": str(next((line[name] for name in id_fields if line.get(name)), "")),
            "quantity": line.get("quantity"),
            "price": line.get("price"),
        }
        for line in lines
        if isinstance(line, dict)
    ]
    return json.dumps(items, separators=(",", ":"))
