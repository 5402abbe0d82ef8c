"""Conversions as the lists a body is built from: times, hashed keys, names; nothing invented, nothing repeated.

All work is done column by column; only the last step, writing one object per row, goes row by row.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capi_lab.errors import InputError
from capi_lab.identity import KEY_RULES, hash_column, normalise
from capi_lab.identity.clickids import NO_VALUE
from capi_lab.identity.text import has_surrogates
from capi_lab.platforms.route import Route, TimeFormat
from capi_lab.tables import CONVERSIONS, Table, checked
from capi_lab.words import Consent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capi_lab.platforms.spec import PlatformSpec

__all__ = ["NO_ID", "Rows", "batches", "checked_settings", "objects"]


def checked_settings(route: Route, settings: Mapping[str, str], *, partly: bool = False) -> dict[str, str]:
    """Check settings against the route and fill defaults.

    Parameters
    ----------
    route : Route
    settings : mapping
    partly : bool
        Required ones may be lacking: nothing is to be sent.

    Raises
    ------
    InputError
        One is unknown, missing or malformed; named, never shown.
    """
    import re

    known = {one.name: one for one in route.settings}
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise InputError(f"unknown setting {', '.join(unknown)} for route '{route.name}'; known: {', '.join(known)}")
    result: dict[str, str] = {}
    for name, one in known.items():
        value = settings.get(name, one.default)
        if value is None:
            if one.required and not partly:
                raise InputError(f"setting '{name}' is missing for route '{route.name}': {one.meaning}")
            continue
        if not isinstance(value, str) or not re.fullmatch(one.pattern, value, re.ASCII):
            raise InputError(f"setting '{name}' of route '{route.name}' must match {one.pattern}: {one.meaning}")
        result[name] = value
    return result


class Rows:
    """Conversions on their way to one platform.

    Parameters
    ----------
    frame : DataFrame
        Contract ``conversions``.
    spec : PlatformSpec
    """

    def __init__(self, frame: pd.DataFrame, spec: PlatformSpec) -> None:
        self.frame = _without_blanks(checked(CONVERSIONS, frame), CONVERSIONS).reset_index(drop=True)
        self.spec = spec
        self._keys: dict[str, list[Any]] = {}
        self._texts: dict[str, list[Any]] = {}
        self._usable: dict[str, NDArray[np.bool_]] = {}

    @classmethod
    def of(cls, rows: pd.DataFrame | Rows, spec: PlatformSpec) -> Rows:
        """Take rows that were prepared already as they are: validating and encoding then hash once, not twice.

        Raises
        ------
        InputError
            They were prepared for another platform.
        """
        if not isinstance(rows, Rows):
            return cls(rows, spec)
        if rows.spec is not spec:
            raise InputError(f"these rows were prepared for {rows.spec.name}, not for {spec.name}")
        return rows

    @classmethod
    def to_send(cls, rows: pd.DataFrame | Rows, spec: PlatformSpec) -> Rows:
        """Take rows that are about to become bodies: nobody in them has refused consent.

        Raises
        ------
        InputError
            Consent is denied in some; nothing is written, not even without their keys.
        """
        data = cls.of(rows, spec)
        denied = int((data.series("consent_ad_user_data") == Consent.DENIED).sum())
        if denied:
            raise InputError(
                f"consent_ad_user_data is denied in {denied:,} rows: validate() names them; take them out first"
            )
        return data

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def ids(self) -> list[str]:
        """``conversion_id`` of every row."""
        return self.text("conversion_id")

    def series(self, name: str) -> pd.Series:
        """Return a column; all missing where the table lacks it."""
        if name in self.frame:
            return self.frame[name]
        return pd.Series(None, index=self.frame.index, dtype="str")

    def has(self, name: str) -> NDArray[np.bool_]:
        """Say which rows have a value."""
        if name not in self.frame:
            return np.zeros(len(self.frame), dtype=bool)
        return np.asarray(self.frame[name].notna(), dtype=bool)

    def text(self, name: str) -> list[Any]:
        """Return a text column as a list, None where missing."""
        if name not in self._texts:
            self._texts[name] = _listed(self.series(name))
        return self._texts[name]

    def numbers(self, name: str) -> list[Any]:
        """Return a number column as floats, None where missing or infinite (JSON has no word for that)."""
        if name not in self.frame:
            return [None] * len(self.frame)
        values = self.frame[name].to_numpy(dtype="float64")
        listed: list[Any] = values.tolist()
        for position in np.flatnonzero(~np.isfinite(values)).tolist():
            listed[position] = None
        return listed

    def key(self, name: str) -> list[Any]:
        """Return a match key as the platform wants it: normalised, hashed, encoded; None where it gives nothing."""
        if name not in self._keys:
            if name not in self.frame:
                self._keys[name] = [None] * len(self.frame)
            else:
                country = self.frame["country"] if "country" in self.frame else None
                if KEY_RULES[self.spec.name][name].hashed:
                    hashed = hash_column(self.frame[name], name, self.spec.name, country)
                    self._usable[name] = np.asarray(hashed.notna(), dtype=bool)
                    self._keys[name] = _listed(hashed)
                else:
                    self._keys[name] = self._clear(name)
        return self._keys[name]

    def _clear(self, name: str) -> list[Any]:
        """Normalise a key that goes in clear text; each distinct value once."""
        values, platform = self.text(name), self.spec.name
        if not KEY_RULES[platform][name].apply.uses_country:
            alone = {value: normalise(value, name, platform) for value in set(values)}
            return [alone[value] for value in values]
        pairs = list(zip(values, self.text("country"), strict=True))
        memory = {pair: normalise(pair[0], name, platform, pair[1]) for pair in set(pairs)}
        return [memory[pair] for pair in pairs]

    def has_key(self, name: str) -> NDArray[np.bool_]:
        """Say which rows have a usable match key."""
        values = self.key(name)
        if name not in self._usable:
            lacking = _count_none(values)
            if lacking in (0, len(values)):
                self._usable[name] = np.full(len(values), lacking == 0)
            else:
                self._usable[name] = np.fromiter((v is not None for v in values), dtype=bool, count=len(values))
        return self._usable[name]

    def times(self, name: str, form: TimeFormat) -> list[Any]:
        """Return a time column in the platform's writing, None where missing."""
        if name not in self.frame:
            return [None] * len(self.frame)
        series = self.frame[name]
        micro = series.to_numpy(dtype="datetime64[us]")
        missing = np.isnat(micro)
        if form in (TimeFormat.SECONDS, TimeFormat.MILLISECONDS):
            unit = 1_000_000 if form is TimeFormat.SECONDS else 1_000
            listed: list[Any] = (micro.astype("int64") // unit).tolist()
        else:
            seconds = np.datetime_as_string(micro.astype("datetime64[s]"), unit="s")
            end, gap = ("+00:00", " ") if form is TimeFormat.ADS else ("Z", "T")
            listed = [text.replace("T", gap) + end for text in seconds.tolist()]
        for position in np.flatnonzero(missing).tolist():
            listed[position] = None
        return listed

    def contents(self, names: Mapping[str, str]) -> list[Any]:
        """Return the line items of every row under the platform's names, None where there is none to read.

        Parameters
        ----------
        names : mapping
            ``id``, and any of ``name``, ``quantity``, ``price``, to the platform's name for it.
        """
        texts = self.text("items")
        # Many orders hold the same basket: each distinct text is parsed once, each row gets objects of its own.
        read = {text: None if text is None else _line_items(text, names) for text in set(texts)}
        return [None if (lines := read[text]) is None else [dict(line) for line in lines] for text in texts]

    def event_names(self) -> list[str]:
        """Return the platform's name of every event; a name it has no word for is passed on as it is."""
        names = self.text("event_name")
        mapping = {name: self.spec.event_names.get(name, name) for name in set(names)}
        return [mapping[name] for name in names]


def _listed(series: pd.Series) -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    # Straight out of Arrow: a tenth of the time of going through an array of objects.
    array = pa.array(series, from_pandas=True)
    if len(array) > 1 and array.null_count == 0 and pc.all(pc.equal(array, array[0])).as_py():
        return [array[0].as_py()] * len(array)  # a currency, an event name: mostly the same all the way down
    listed: list[Any] = array.to_pylist()
    return listed


# What tag managers and exports write where there is no id; a platform would take it for one.
NO_ID = sorted({form for word in NO_VALUE for form in (word, word.upper(), word.capitalize())} | {"0", "NaN"})
_LONGEST_NO_ID = max(map(len, NO_ID))


def _without_blanks(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Make empty texts and placeholder ids missing: ``""`` is no URL, and ``null`` is nobody's click."""
    import pyarrow as pa
    import pyarrow.compute as pc

    no_id, changed = pa.array(["", *NO_ID]), {}
    for column in table.columns:
        if column.kind != "text" or column.name not in frame or column.name == "conversion_id":
            continue
        values = pa.array(frame[column.name], from_pandas=True)
        shortest = pc.min(pc.utf8_length(values)).as_py()
        blank = pc.equal(values, "") if shortest == 0 else None
        if column.is_id and shortest is not None:
            # No placeholder is longer than this, but for unresolved variables.
            known = pc.is_in(values, value_set=no_id.cast(values.type)) if shortest <= _LONGEST_NO_ID else None
            variable = pc.starts_with(values, "{{")
            blank = variable if known is None else pc.or_(known, variable)
        if blank is not None and pc.any(blank).as_py():
            changed[column.name] = frame[column.name].mask(blank.fill_null(False).to_numpy(zero_copy_only=False))
    return frame.assign(**changed) if changed else frame


@contextmanager
def collector_paused() -> Iterator[None]:
    """Hold the cyclic garbage collector back while bodies are built.

    Millions of small dicts and lists that all stay alive make it walk all of them again and again: with it, building
    takes three times as long. Nothing built here is cyclic.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            if not gc.get_freeze_count():
                # Files the new objects under the oldest generation unseen; else the next allocation walks them all.
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def wrapped(values: list[Any]) -> list[Any]:
    """Put each value into a list of its own; a missing one stays missing."""
    if None in values:
        return [None if value is None else [value] for value in values]
    return [[value] for value in values]


def _line_items(text: str, names: Mapping[str, str]) -> list[dict[str, Any]] | None:
    """Read our line items (JSON text); a line without an id is left out, what is no list of items gives nothing."""
    try:
        lines = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = []
    for line in lines if isinstance(lines, list) else ():
        if not isinstance(line, dict):
            continue
        one = {
            "id": _word(line.get("id")),
            "name": _word(line.get("name")),
            "quantity": _whole(line.get("quantity")),
            "price": _number(line.get("price")),
        }
        if one["id"] is not None:
            found.append({theirs: one[ours] for ours, theirs in names.items() if one[ours] is not None})
    return found or None


def _word(value: Any) -> str | None:
    """Return text; a number is an id that lost its quotes. Empty text, and what is neither, is nothing."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or has_surrogates(str(value)):
        return None
    return str(value) or None


def _number(value: Any) -> float | None:
    """Return a finite number, given as such or as text."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None


def _whole(value: Any) -> int | None:
    """Return a whole number, however it was written."""
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def objects(columns: Mapping[str, Sequence[Any]], n: int) -> list[dict[str, Any]]:
    """Write one dict per row out of columns; a missing value leaves its key out, nothing is ever null.

    Parameters
    ----------
    columns : mapping
        Field name to a list of ``n`` values; None where missing.
    n : int
    """
    lacking = {name: _count_none(values) for name, values in columns.items()}
    used = [name for name in columns if lacking[name] < n]
    if not used:
        return [{} for _ in range(n)]
    rows = zip(*(columns[name] for name in used), strict=True)
    if not any(lacking[name] for name in used):
        return list(map(dict, map(zip, repeat(used), rows)))  # the names are the rows' length, by construction
    return [{name: value for name, value in zip(used, row) if value is not None} for row in rows]  # noqa: B905


def _count_none(values: Sequence[Any]) -> int:
    # In C; nothing in these columns equals None but None.
    return values.count(None)


def constant(value: Any, n: int) -> list[Any]:
    """Return ``value`` for every row."""
    return list(repeat(value, n))


def batches(n: int, size: int) -> Iterator[slice]:
    """Cut ``n`` rows into slices of at most ``size``."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def require(rows: Rows, *columns: str) -> None:
    """Raise `InputError` where a column without which no body can be written is missing.

    ``encode`` invents nothing; `Wire.validate` names the rows.
    """
    for name in columns:
        n = int((~rows.has(name)).sum())
        if n:
            raise InputError(
                f"column '{name}' is missing in {n:,} rows: validate() names them; take them out or fill it"
            )
