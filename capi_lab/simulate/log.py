"""A log laid out for changing: which rows report which conversion, whatever the order of the rows.

The conversions that are reported are numbered by their id, so that a draw for each does not depend on where a row
stands in the file. Those both channels report are pairs.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from capi_lab.words import Channel

__all__ = ["Flags", "Log", "Rows"]

Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
Rows: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


class Log:
    """The events of one log, and the conversions they report.

    Parameters
    ----------
    conversions, events : DataFrame
        Checked against their contracts.

    Notes
    -----
    An event reports the conversion whose order id it carries, else the one whose event id it carries.
    """

    def __init__(self, conversions: pd.DataFrame, events: pd.DataFrame) -> None:
        self.conversions = conversions
        self.events = events.reset_index(drop=True)
        reported = _conversion_of(conversions, self.events)
        self.ids = np.array(sorted(reported.dropna().unique()), dtype=object)
        self.n = len(self.ids)
        self._rows = conversions.reset_index(drop=True).reset_index().set_index("conversion_id")["index"]
        self._rows = self._rows.loc[list(self.ids)].to_numpy(dtype=np.int64)
        self._gone = np.zeros(len(self.events), dtype=bool)
        place = pd.Series(np.arange(self.n), index=self.ids)
        self._pair = reported.map(place).fillna(-1).to_numpy(dtype=np.int64)

    # -- reading ---------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Say whether the log has the column."""
        return name in self.events.columns

    def column(self, name: str) -> pd.Series:
        """Return a column; all missing where the log lacks it."""
        return self.events[name] if self.has(name) else pd.Series(None, index=self.events.index, dtype="str")

    def there(self, name: str) -> Flags:
        """Say of every row whether it carries the column."""
        return np.asarray(self.column(name).notna(), dtype=bool)

    def matches(self, name: str, pattern: str) -> Flags:
        """Say of every row whether its text matches."""
        return np.asarray(self.column(name).str.match(pattern).fillna(False), dtype=bool)

    def get(self, name: str, rows: Rows) -> pd.Series:
        """Return a column of some rows."""
        return self.column(name).iloc[rows]

    def has_receipts(self, rows: Rows) -> bool:
        """Say whether these rows say when they were received."""
        return self.has("received_time") and bool(self.get("received_time", rows).notna().all())

    def reported_by(self, channel: str | None) -> Flags:
        """Say of every conversion whether a channel (None: any) reports it."""
        rows = self._of(channel) & (self._pair >= 0)
        return np.asarray(np.bincount(self._pair[rows], minlength=self.n)[: self.n] > 0, dtype=bool)

    @property
    def pairs(self) -> Flags:
        """Which conversions both channels report."""
        return self.reported_by(Channel.PIXEL) & self.reported_by(Channel.CAPI)

    @property
    def remaining(self) -> pd.DataFrame:
        """The events that were not taken out."""
        return self.events[~self._gone].reset_index(drop=True)

    def ledger(self, name: str) -> pd.Series:
        """Return a ledger column, one value a conversion; all missing where the ledger lacks it."""
        if name not in self.conversions:
            return pd.Series(None, index=range(self.n), dtype="str")
        return self.conversions[name].iloc[self._rows].reset_index(drop=True)

    def ledger_has(self, name: str) -> bool:
        """Say whether the ledger has the column."""
        return name in self.conversions.columns

    def place_in_time(self, counted: Flags) -> Any:
        """Return each counted conversion's place in the order of the ledger's time, from 0; NaN for the others."""
        order = np.lexsort((self.ids.astype(str), self.ledger("event_time").astype("int64")))
        order = order[counted[order]]
        places = np.full(self.n, np.nan)
        places[order] = np.arange(len(order))
        return places

    def every(self, channel: str | None, good: Flags) -> Flags:
        """Say of every conversion whether all its rows of a channel (None: of both) are good."""
        bad = ~np.asarray(good, dtype=bool) & self._of(channel) & (self._pair >= 0)
        return np.asarray(np.bincount(self._pair[bad], minlength=self.n)[: self.n] == 0, dtype=bool)

    def rows(self, chosen: Flags, channel: str | None) -> Rows:
        """Return the rows of the chosen pairs, of one channel or of both."""
        return np.flatnonzero(self.per_row(chosen) & (self._pair >= 0) & self._of(channel))

    def first_rows(self, chosen: Flags, channel: str) -> Rows:
        """Return one row of a channel for each chosen pair: the earliest, by time and row id."""
        rows = self.events.iloc[self.rows(chosen, channel)].assign(pair=lambda t: self._pair[t.index])
        first = rows.sort_values(["event_time", "row_id"]).drop_duplicates("pair")
        return np.sort(first.index.to_numpy(dtype=np.int64))

    def per_row(self, values: Any) -> Any:
        """Spread a value per conversion over the rows; rows of none get the first one's and are never chosen."""
        return np.asarray(values)[np.maximum(self._pair, 0)] if self.n else np.zeros(len(self._pair), dtype=bool)

    def server_id(self, name: str) -> Any:
        """Return per pair the id the server reports; None where it has none."""
        return self._one_of(name, str(Channel.CAPI))

    def browser_first(self) -> Flags:
        """Say of every pair whether the browser's reports were all received before the server's, or with them."""
        clock = self.column("event_time")
        if self.has("received_time"):
            clock = self.column("received_time").fillna(clock)
        ends = {}
        for channel, end in ((Channel.PIXEL, "max"), (Channel.CAPI, "min")):
            rows = np.flatnonzero(self._of(channel) & (self._pair >= 0))
            ends[channel] = clock.iloc[rows].groupby(self._pair[rows]).agg(end).reindex(range(self.n))
        return np.asarray(ends[Channel.PIXEL] <= ends[Channel.CAPI], dtype=bool)

    def common(self, name: str) -> Any:
        """Return per pair the value all its rows carry; None where one lacks it, or they differ."""
        if not self.has(name):
            return np.full(self.n, None, dtype=object)
        column = self.column(name)
        values = self._one_of(name, None)
        same = self.every(None, (column == pd.Series(self.per_row(values))).fillna(False).to_numpy(dtype=bool))
        return np.where(same, values, None)

    def _one_of(self, name: str, channel: str | None) -> Any:
        found = np.full(self.n, None, dtype=object)
        if self.has(name):
            rows = np.flatnonzero(self._of(channel) & (self._pair >= 0))
            values = pd.Series(self.column(name).to_numpy(dtype=object)[rows]).groupby(self._pair[rows]).min()
            found[values.index.to_numpy(dtype=np.int64)] = values.to_numpy(dtype=object)
            found[pd.isna(found)] = None
        return found

    @cached_property
    def before(self) -> tuple[Rows, Any]:
        """Per pair the one before it, by the ledger's time, of the same event name (-1: none), and seconds between."""
        columns = {name: self.ledger(name) for name in ("event_name", "event_time")}
        ledger = pd.DataFrame(columns | {"pair": np.arange(self.n)})[self.pairs]
        ledger = ledger.sort_values(["event_name", "event_time", "pair"])
        by_name = ledger.groupby("event_name", sort=False)
        earlier = by_name["pair"].shift(1).fillna(-1).astype("int64").to_numpy()
        gap = by_name["event_time"].diff().dt.total_seconds().to_numpy()
        pairs = ledger["pair"].to_numpy()
        before, seconds = np.full(self.n, -1, dtype=np.int64), np.full(self.n, np.inf)
        before[pairs], seconds[pairs] = earlier, np.where(np.isnan(gap), np.inf, gap)
        return before, seconds

    def touched(self, rows: Rows) -> pd.Series:
        """Return the row ids of some rows, comma-separated, by conversion."""
        ids = pd.Series(
            self.events["row_id"].to_numpy(dtype=object)[rows], index=self.ids[self._pair[rows]], dtype="str"
        )
        return ids.sort_values().groupby(level=0).agg(",".join)

    def _of(self, channel: str | None) -> Flags:
        if channel is None:
            return ~self._gone
        return np.asarray(~self._gone & (self.events["channel"] == str(channel)), dtype=bool)

    # -- changing --------------------------------------------------------------------------------------------

    def put(self, name: str, rows: Rows, values: Any) -> None:
        """Write values into a column, which is added where the log lacks it."""
        column = self.column(name).copy()
        column.iloc[rows] = values
        self.events = self.events.assign(**{name: column})

    def put_ledger(self, name: str, chosen: Flags, values: Any) -> None:
        """Write values, one a chosen conversion, or what a function makes of the old ones, into the ledger."""
        rows = self._rows[chosen]
        if name in self.conversions:
            column = self.conversions[name].copy()
        else:
            kind = "object" if isinstance(values, bool) else "str"
            column = pd.Series(None, index=self.conversions.index, dtype=kind)
        new = values(column.iloc[rows]) if callable(values) else values
        column.iloc[rows] = new.array if isinstance(new, pd.Series) else new
        self.conversions = self.conversions.assign(**{name: column})

    def drop(self, rows: Rows) -> Rows:
        """Take rows out: nothing finds them any more; return them."""
        self._gone[rows] = True
        return rows

    def move(self, name: str, rows: Rows, seconds: Any) -> None:
        """Move times of some rows; a missing time stays missing."""
        if self.has(name):
            moved = self.get(name, rows) + pd.to_timedelta(np.round(np.asarray(seconds, dtype=float), 3), unit="s")
            self.put(name, rows, moved.dt.as_unit("us"))

    def arrive_after(self, late: Rows, early: Rows, gap: float) -> None:
        """Let each pair's ``late`` rows be received ``gap`` seconds after its last ``early`` one."""
        name = "received_time" if self.has_receipts(np.concatenate([late, early])) else "event_time"
        last = self.get(name, early).groupby(self._pair[early]).max()
        times = last.loc[self._pair[late]] + pd.Timedelta(seconds=gap)
        self.put(name, late, times.dt.as_unit("us").array)

    def append(self, rows: Rows, tag: str) -> Rows:
        """Add copies of some rows under ids of their own; return where they are."""
        names = self.events["row_id"].iloc[rows] + f"-{tag}"
        known = set(self.events["row_id"])
        while known & set(names):
            names = names + f"-{tag}"
        copies = self.events.iloc[rows].assign(row_id=names.to_numpy())
        start = len(self.events)
        self.events = pd.concat([self.events, copies], ignore_index=True)
        self._pair = np.concatenate([self._pair, self._pair[rows]])
        self._gone = np.concatenate([self._gone, np.zeros(len(rows), dtype=bool)])
        return np.arange(start, start + len(rows))


def _conversion_of(conversions: pd.DataFrame, events: pd.DataFrame) -> pd.Series:
    """Return the conversion each event reports, missing where none."""
    nothing = pd.Series(None, index=events.index, dtype="object")
    reported = nothing
    if "conversion_id" in events:
        known = events["conversion_id"].isin(conversions["conversion_id"])
        reported = events["conversion_id"].astype("object").where(known, None)
    if "event_id" in events and "event_id" in conversions:
        owners = conversions.dropna(subset="event_id").drop_duplicates("event_id", keep=False)
        by_event = events["event_id"].map(owners.set_index("event_id")["conversion_id"]).astype("object")
        reported = reported.where(reported.notna(), by_event)
    return reported
