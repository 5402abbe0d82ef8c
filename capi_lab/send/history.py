"""Where conversions stand, read out of the outbox's parcels all at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capi_lab.send.words import SendState

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["History"]

_STATES = list(SendState)
_NUMBER = {str(state): number for number, state in enumerate(_STATES)}
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class History:
    """Where conversions stand, each at its place in the sequence that was asked for.

    Parameters
    ----------
    state : array of int
        Place of the state in `SendState`; -1 for one never seen. An acceptance stands, then what is under way, then a
        doubt that nothing settled; else the last word counts.
    code, trace : list of str
    version : array of uint64
        The content last sent; that of the acceptance where there is one.
    attempts : array of int
    doubt_since, not_before, sent_at : array of int
        Microseconds since 1970; the least int64 where there is none. ``doubt_since`` is when the oldest open doubt
        left.
    """

    state: NDArray[np.int8]
    code: list[str]
    trace: list[str]
    version: NDArray[np.uint64]
    attempts: NDArray[np.int64]
    doubt_since: NDArray[np.int64]
    not_before: NDArray[np.int64]
    sent_at: NDArray[np.int64]

    def is_(self, state: SendState) -> NDArray[np.bool_]:
        """Say which stand so."""
        return np.asarray(self.state == _NUMBER[state], dtype=bool)

    @classmethod
    def of(
        cls, parcels: Iterable[tuple[Any, ...]], exceptions: Sequence[tuple[Any, ...]], conversions: bytes
    ) -> History:
        """Read parcels and exceptions, oldest first, for these digests."""
        asked = _pairs(conversions)
        n = len(asked)
        found = _frame(parcels, exceptions, asked)
        blank = np.full(n, _NEVER, dtype="int64")
        if found.empty:
            nothing: list[str] = [""] * n
            numbers = np.zeros(n, dtype="int64")
            return cls(
                np.full(n, -1, dtype="int8"),
                nothing,
                list(nothing),
                numbers.astype("uint64"),
                numbers,
                blank,
                blank,
                blank,
            )
        unknown, accepted = _NUMBER[SendState.UNKNOWN], _NUMBER[SendState.ACCEPTED]
        rank = np.select(
            [found["state"] == accepted, found["state"] == _NUMBER[SendState.IN_FLIGHT]], [2, 1], default=0
        )
        attempts = found.groupby("row")["tries"].sum()
        doubts = found[found["state"] == unknown].groupby("row")["sent_at"].min()
        last = found.assign(rank=rank).sort_values(["row", "rank", "parcel"]).drop_duplicates("row", keep="last")
        last = last.set_index("row")
        # Sent again after a doubt and told to wait: the doubt is still open.
        open_ = last.index.isin(doubts.index) & (last["state"] == _NUMBER[SendState.PENDING]).to_numpy()
        state = last["state"].mask(open_, unknown)
        every = pd.RangeIndex(n)

        def spread(values: pd.Series, fill: int, kind: str) -> NDArray[Any]:
            spread_out: NDArray[Any] = values.reindex(every, fill_value=fill).to_numpy(dtype=kind)
            return spread_out

        def words(name: str) -> list[str]:
            listed: list[str] = last[name].astype(object).reindex(every, fill_value="").tolist()
            return listed

        still = state.index[state == unknown]
        return cls(
            spread(state, -1, "int8"),
            words("code"),
            words("trace"),
            spread(last["version"], 0, "uint64"),
            spread(attempts, 0, "int64"),
            spread(doubts[doubts.index.isin(still)], _NEVER, "int64"),
            spread(last["not_before"], _NEVER, "int64"),
            spread(last["sent_at"], _NEVER, "int64"),
        )


def _pairs(packed: bytes) -> NDArray[np.uint64]:
    return np.frombuffer(packed, dtype="<u8").astype("uint64", copy=False).reshape(-1, 2)


def _frame(
    parcels: Iterable[tuple[Any, ...]], exceptions: Sequence[tuple[Any, ...]], asked: NDArray[np.uint64]
) -> pd.DataFrame:
    """List every sending of the conversions asked for."""
    pieces = []
    sorted_low: NDArray[np.uint64] | None = None
    for number, state, code, tries, sent_at, not_before, trace, keys, versions in parcels:
        pairs = _pairs(keys)
        sorted_low = np.sort(asked[:, 1]) if sorted_low is None else sorted_low
        if len(sorted_low):
            at = np.minimum(np.searchsorted(sorted_low, pairs[:, 1]), len(sorted_low) - 1)
            places = np.flatnonzero(sorted_low[at] == pairs[:, 1])
        else:
            places = np.zeros(0, dtype="int64")
        if not len(places):
            continue
        pieces.append(
            pd.DataFrame(
                {
                    "high": pairs[places, 0],
                    "low": pairs[places, 1],
                    "position": places,
                    "version": np.frombuffer(versions, dtype="<u8")[places],
                    "parcel": number,
                    "state": np.int8(_NUMBER[state]),
                    "code": code,
                    "trace": trace,
                    "tries": tries,
                    "sent_at": _NEVER if sent_at is None else sent_at,
                    "not_before": _NEVER if not_before is None else not_before,
                }
            )
        )
    if not pieces:
        return pd.DataFrame()
    rows = pd.DataFrame({"high": asked[:, 0], "low": asked[:, 1], "row": np.arange(len(asked))})
    found = pd.concat(pieces, ignore_index=True).merge(rows, on=["high", "low"])
    if exceptions and len(found):
        other = pd.DataFrame(exceptions, columns=["parcel", "position", "x_state", "x_code", "x_not_before"])
        other["x_state"] = other["x_state"].map(_NUMBER)
        # Microseconds of this age are whole numbers in a float, and so is the least int64.
        other["x_not_before"] = pd.to_numeric(other["x_not_before"]).astype("float64").fillna(_NEVER)
        found = found.merge(other, on=["parcel", "position"], how="left")
        own = found["x_state"].notna()
        found["state"] = found["x_state"].where(own, found["state"]).astype("int8")
        found["code"] = found["x_code"].where(own, found["code"])
        found["not_before"] = found["x_not_before"].where(own, found["not_before"]).astype("int64")
    return found
