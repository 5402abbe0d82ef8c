"""A plan to look at before anything leaves."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from capi_lab.platforms.describe import duration
from capi_lab.platforms.wire import Request, Wire
from capi_lab.send.bodies import CONVERSION, encoder, letters, pieces
from capi_lab.send.held import Held
from capi_lab.send.history import History
from capi_lab.send.outbox import Outbox
from capi_lab.send.target import Target
from capi_lab.send.words import PlanAction

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Plan"]

_STYLE = "border-collapse:collapse;font-size:0.9em"
_CELL = "text-align:left;padding:2px 10px;border-bottom:1px solid #8886"


@dataclass(frozen=True, eq=False)
class Plan:
    """What would be sent, what not and why. Nothing has left; `capi_lab.send` takes it once approved.

    Parameters
    ----------
    wire : Wire
    settings : mapping
        Those of the route, with defaults.
    target : Target
    account : str
        Where the rows end up: the settings that say so.
    kind : str
        ``conversion``, or a correction: ``retract``, ``restate``.
    outbox : Outbox
    batch_rows : int
        Most rows of a request.
    now : Timestamp
    held : Held
        The conversions.
    keys : array of uint8, (n, 16)
        The digest that stands for each of them in the outbox.
    rows : DataFrame
        One row per conversion, those that end soonest first: ``conversion_id action reason value currency deadline
        time_left attempts last_state changed``. ``changed``: the content is not what was sent last.
    places : array of int
        Of the rows in ``conversions``.
    versions : array of uint64
        Digest of each row's content; 0 where it was not written out.
    keyed : array of bool
        Which carry, at their place in ``conversions``, the id by which the platform recognises a resend.
    past : History
        Where each stood, at its place in ``conversions``.
    warnings : mapping
        What the platform would take with a loss: rule and message to number of rows that go.
    predicted : object or None
        What the ``fit`` expects of the rows that go.
    """

    wire: Wire = field(repr=False)
    settings: Mapping[str, str]
    target: Target
    account: str
    kind: str
    outbox: Outbox = field(repr=False)
    batch_rows: int
    now: pd.Timestamp
    held: Held = field(repr=False)
    keys: NDArray[np.uint8] = field(repr=False)
    rows: pd.DataFrame = field(repr=False)
    places: NDArray[np.int64] = field(repr=False)
    versions: NDArray[np.uint64] = field(repr=False)
    keyed: NDArray[np.bool_] = field(repr=False)
    past: History = field(repr=False)
    warnings: Mapping[str, int] = field(repr=False)
    predicted: Any = field(default=None, repr=False)

    @property
    def conversions(self) -> pd.DataFrame:
        """All of them, in the order in which they were given; in memory, whatever they were planned from."""
        return self.held.whole()

    @property
    def platform(self) -> str:
        """Name of the platform."""
        return self.wire.spec.name

    @property
    def route(self) -> str:
        """Name of the route."""
        return self.wire.route.name

    @cached_property
    def to_send(self) -> NDArray[np.int64]:
        """Places in ``rows`` of what would be sent."""
        return np.flatnonzero((self.rows["action"] == PlanAction.SEND).to_numpy(dtype=bool))

    @cached_property
    def fingerprint(self) -> str:
        """A digest of everything that would leave and where to; another plan to the same effect has the same."""
        head = [self.platform, self.route, self.kind, self.target.base, dict(sorted(self.settings.items()))]
        total = hashlib.sha256(json.dumps(head).encode())
        told = np.empty((len(self.to_send), 24), dtype="u1")
        told[:, :16] = self.keys[self.places[self.to_send]]
        told[:, 16:] = self.versions[self.to_send].astype("<u8").view("u1").reshape(-1, 8)
        # In whatever order they leave.
        total.update(np.sort(told.view("S24").ravel()).tobytes())
        return total.hexdigest()[:16]

    @property
    def counts(self) -> pd.DataFrame:
        """How many conversions have which ``action`` and ``reason``, and their ``value`` by ``currency``."""
        rows = self.rows[["action", "reason", "currency", "value"]].astype({"action": "str", "reason": "str"})
        table = rows.groupby(["action", "reason", "currency"], dropna=False).agg(
            n=("reason", "size"), value=("value", "sum")
        )
        order = {str(action): rank for rank, action in enumerate(PlanAction)}
        table = table.reset_index().sort_values(
            ["action", "n", "reason"], key=lambda c: c.map(order) if c.name == "action" else -c if c.name == "n" else c
        )
        return table[["action", "reason", "n", "currency", "value"]].reset_index(drop=True)

    def bodies(self) -> Iterator[Request]:
        """Write the exact requests, one after the other; the credential is added when they leave.

        They hold what the platform asks for, IP addresses and user agents among it: look at them, do not keep them.
        """
        encode = encoder(self.wire, self.settings, self.kind)
        places = self.places[self.to_send]
        for piece in pieces(len(places), self.wire.route.limits.batch_rows):
            requests = encode(self.held.rows(places[piece]))
            for letter in letters(requests, self.wire.route, self.batch_rows):
                request = letter.request
                yield replace(request, url=self.target.url(request.url), json=json.loads(letter.body()))

    def _lines(self) -> list[tuple[str, str]]:
        rows = self.rows.iloc[self.to_send]
        sent = len(rows)
        requests = -(-sent // self.batch_rows)
        lines = [
            ("platform", f"{self.wire.spec.title}, {self.wire.route.title}"),
            ("account", self.account),
            ("goes to", self.target.label),
            ("what", "conversions" if self.kind == CONVERSION else f"corrections: {self.kind}"),
            ("would leave", f"{sent:,} of {len(self.rows):,} rows in {requests:,} requests"),
        ]
        money = rows.groupby("currency", dropna=False)["value"].sum()
        worth = [f"{value:,.2f} {currency}" for currency, value in money.items() if not pd.isna(currency)]
        if worth:
            lines.append(("worth", ", ".join(worth)))
        if self.predicted is not None:
            lines.append(("expected matches", str(self.predicted)))
        if sent and rows["time_left"].notna().any():
            soonest = max(rows["time_left"].min(), pd.Timedelta(0)).floor("min").to_pytimedelta()
            lines.append(("first one is too old in", duration(soonest)))
        changed = int(self.rows["changed"].sum())
        if changed:
            lines.append(("changed since they were sent", f"{changed:,}: see capi_lab.correct"))
        lines.append(("fingerprint", self.fingerprint))
        return lines

    def summary(self) -> str:
        """Say in words what would leave, what not, and why."""
        lines = self._lines()
        width = max(len(name) for name, _ in lines)
        text = [f"{name:<{width}}  {value}" for name, value in lines]
        text += ["", *(f"{c.action:<5} {c.n:>12,}  {c.reason.replace('_', ' ')}" for c in _by_reason(self.counts))]
        if self.warnings:
            text += ["", "taken with a loss:"]
            text += [f"      {n:>12,}  {what}" for what, n in self.warnings.items()]
        return "\n".join(text)

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        def row(*cells: object) -> str:
            return "<tr>" + "".join(f'<td style="{_CELL}">{html.escape(str(cell))}</td>' for cell in cells) + "</tr>"

        about = "".join(row(name, value) for name, value in self._lines())
        what = "".join(row(c.action, f"{c.n:,}", c.reason.replace("_", " ")) for c in _by_reason(self.counts))
        loss = "".join(row("loss", f"{n:,}", what) for what, n in self.warnings.items())
        return f'<table style="{_STYLE}">{about}</table><br><table style="{_STYLE}">{what}{loss}</table>'


def _by_reason(counts: pd.DataFrame) -> Iterator[Any]:
    yield from counts.groupby(["action", "reason"], sort=False)["n"].sum().reset_index().itertuples()
