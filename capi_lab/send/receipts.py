"""What became of every row of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capi_lab.platforms.wire import Outcome
from capi_lab.send.planned import Plan
from capi_lab.send.words import PlanAction, PlanReason, SendState
from capi_lab.words import ReceiptStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ledger", "Receipt"]

_CELL = "text-align:left"
_WORD = {
    SendState.ACCEPTED: ReceiptStatus.ACCEPTED,
    SendState.REJECTED: ReceiptStatus.REJECTED,
    SendState.PENDING: ReceiptStatus.RETRY,
    SendState.UNKNOWN: ReceiptStatus.UNKNOWN,
    SendState.IN_FLIGHT: ReceiptStatus.UNKNOWN,
    SendState.EXPIRED: ReceiptStatus.SKIPPED,
}
# Where a row that did not leave now stands, where it has a standing.
_STANDING = {
    PlanReason.ALREADY_ACCEPTED: ReceiptStatus.ACCEPTED,
    PlanReason.REJECTED_BEFORE: ReceiptStatus.REJECTED,
    PlanReason.OUTCOME_UNKNOWN: ReceiptStatus.UNKNOWN,
    PlanReason.IN_FLIGHT: ReceiptStatus.UNKNOWN,
    PlanReason.WAITING: ReceiptStatus.RETRY,
    PlanReason.CLICK_TOO_FRESH: ReceiptStatus.RETRY,
}
_REMEDY = {
    PlanReason.OUTCOME_UNKNOWN: "look into the platform's pages, then say outbox.resolve(platform, ids, arrived=...)",
    PlanReason.IN_FLIGHT: "another process is sending it",
    PlanReason.WAITING: "the platform asked to wait: plan again after not_before",
    PlanReason.REJECTED_BEFORE: "mend the row and plan again",
    PlanReason.DUPLICATE: "another conversion carries the same id: the platform would take both for one",
    PlanReason.NO_SHARED_ID: "the pixel saw it and there is no id to merge by: it would count twice",
    PlanReason.CLICK_TOO_FRESH: "the platform does not know the click yet: plan again later",
}


@dataclass(frozen=True, eq=False)
class Receipt:
    """What became of every row of a plan.

    Parameters
    ----------
    rows : DataFrame
        Contract ``receipts``, one row per conversion of the plan: ``conversion_id status code attempts sent_at
        request_id platform``, and ``remedy`` (what to do, in words), ``sent_now`` (it left in this run), ``not_before``
        (when to try again), ``kind``.
    stopped : str
        Why not everything was tried; empty where it was.
    requests : int
        How many left.
    """

    rows: pd.DataFrame = field(repr=False)
    stopped: str = ""
    requests: int = 0

    @property
    def counts(self) -> pd.DataFrame:
        """How many rows have which ``status`` and ``code``, with the ``remedy``."""
        columns = ["status", "code", "remedy"]
        table = self.rows[columns].astype("str").groupby(columns).size().rename("n").reset_index()
        return table.sort_values(["status", "n", "code"], ascending=[True, False, True], ignore_index=True)

    def __repr__(self) -> str:
        left = int(self.rows["sent_now"].sum())
        lines = [f"{left:,} of {len(self.rows):,} rows left in {self.requests:,} requests"]
        lines += [
            f"{one.status:<9} {one.n:>12,}  {one.code}" + (f"  {one.remedy}" if one.remedy else "")
            for one in self.counts.itertuples()
        ]
        return "\n".join(lines + ([f"stopped: {self.stopped}"] if self.stopped else []))

    def _repr_html_(self) -> str:
        left = int(self.rows["sent_now"].sum())
        body = "".join(
            "<tr>"
            + "".join(
                f'<td style="{_CELL}">{escape(text)}</td>' for text in (one.status, f"{one.n:,}", one.code, one.remedy)
            )
            + "</tr>"
            for one in self.counts.itertuples()
        )
        head = f"{left:,} of {len(self.rows):,} rows left in {self.requests:,} requests"
        stopped = f"<p>stopped: {escape(self.stopped)}</p>" if self.stopped else ""
        return f"<div>{head}</div><table>{body}</table>{stopped}"


class Ledger:
    """Takes down what happens while a plan is sent; a few bytes a row.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        n = len(plan.rows)
        self._plan = plan
        self._status = np.zeros(n, dtype="int8")
        self._said = np.zeros(n, dtype="int32")
        self._attempts = np.zeros(n, dtype="int32")
        self._sent_at = np.full(n, np.datetime64("NaT"), dtype="datetime64[us]")
        self._not_before = np.full(n, np.datetime64("NaT"), dtype="datetime64[us]")
        self._trace = np.zeros(n, dtype="int32")
        self._traces: list[str] = [""]
        self._said_words: dict[tuple[str, str], int] = {("", ""): 0}
        self.requests = 0

    def left(self, places: NDArray[np.int64], at: int, trace: str, tries: int) -> None:
        """Rows left, for the last time at ``at``."""
        self._attempts[places] += tries
        self._sent_at[places] = np.datetime64(at, "us")
        self._traces.append(trace)
        self._trace[places] = len(self._traces) - 1
        self.requests += tries

    def stands(self, place: int | NDArray[np.int64], state: SendState, one: Outcome, not_before: int | None) -> None:
        """Rows stand so now."""
        self._status[place] = list(SendState).index(state) + 1
        self._said[place] = self._said_words.setdefault((one.code, one.message), len(self._said_words))
        self._not_before[place] = np.datetime64("NaT") if not_before is None else np.datetime64(not_before, "us")

    def receipt(self, stopped: str) -> Receipt:
        """Write the receipt."""
        plan, past, places = self._plan, self._plan.past, self._plan.places
        send = (plan.rows["action"] == PlanAction.SEND).to_numpy(dtype=bool)
        now = send & ~np.isnat(self._sent_at)
        earlier = past.sent_at[places].astype("datetime64[us]")
        earlier[past.state[places] < 0] = np.datetime64("NaT")
        waits = past.not_before[places].astype("datetime64[us]")
        status, codes, remedies = self._words_of(send)
        frame = pd.DataFrame(
            {
                "conversion_id": plan.rows["conversion_id"],
                "status": status,
                "code": codes,
                "remedy": remedies,
                "attempts": (past.attempts[places] + self._attempts).astype("float64"),
                "sent_at": pd.Series(np.where(now, self._sent_at, earlier)).dt.tz_localize("UTC"),
                "request_id": self._traces_of(now),
                "platform": _spelled([plan.platform], np.zeros(len(send), dtype="int32")),
                "kind": _spelled([plan.kind], np.zeros(len(send), dtype="int32")),
                "sent_now": now,
                "not_before": pd.Series(np.where(send, self._not_before, waits)).dt.tz_localize("UTC"),
            }
        )
        return Receipt(frame, stopped, self.requests)

    def _words_of(self, send: NDArray[np.bool_]) -> list[pd.Series]:
        """Say status, code and remedy of every row."""
        said = list(self._said_words)
        states = [ReceiptStatus.RETRY, *(_WORD[state] for state in SendState)]
        # Rows that were to leave: what was said of them; the others: why not.
        told = [(str(state), *words) for state in states for words in said]
        told.append((str(ReceiptStatus.RETRY), "not_tried", "plan and send again"))
        reasons = self._plan.rows["reason"].cat
        standing = {str(reason): str(word) for reason, word in _STANDING.items()}
        advice = {str(reason): text for reason, text in _REMEDY.items()}
        kind = np.where(self._status > 0, self._status.astype("int32") * len(said) + self._said, len(told) - 1)
        kind = np.where(send, kind, len(told) + reasons.codes.to_numpy()).astype("int32")
        told += [
            (standing.get(why, str(ReceiptStatus.SKIPPED)), why, advice.get(why, ""))
            for why in map(str, reasons.categories)
        ]
        return [_spelled(words, kind) for words in zip(*told, strict=True)]

    def _traces_of(self, now: NDArray[np.bool_]) -> pd.Series:
        """Name the last request of every row; missing where there was none."""
        places, past = self._plan.places, self._plan.past.trace
        traces, at = [one or None for one in self._traces], np.where(now, self._trace, 0).astype("int32")
        if any(past):
            number = {"": 0}
            for row in np.flatnonzero(~now):
                at[row] = number.setdefault(past[places[row]], len(traces) + len(number) - 1)
            traces += list(number)[1:]
        return _spelled(traces, at)


def _spelled(words: Sequence[str | None], at: NDArray[np.int32]) -> pd.Series:
    """Return the words at these places as a text column, without a Python object a row."""
    import pyarrow as pa

    column = pa.DictionaryArray.from_arrays(pa.array(at), pa.array(words, pa.large_string())).cast(pa.large_string())
    return pd.Series(pd.array(column, dtype="str"))
