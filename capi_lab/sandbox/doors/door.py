"""What every route's server does alike; the modules beside this one say it in each platform's own words."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from random import Random
from typing import Any
from urllib.parse import urlsplit

from capi_lab.platforms.route import AuthStyle, BadRow, Route
from capi_lab.platforms.rows import collector_paused
from capi_lab.platforms.sending import Correction
from capi_lab.platforms.server import Refusal
from capi_lab.platforms.spec import PlatformSpec
from capi_lab.sandbox.counting import Changed, Counting, Mark
from capi_lab.sandbox.kept import Kept, KeptRequest
from capi_lab.sandbox.needed import Asked, asked
from capi_lab.sandbox.shape import Complaint, Shape
from capi_lab.sandbox.switches import Switches
from capi_lab.sandbox.tokens import Tokens
from capi_lab.words import ServerFault

__all__ = ["Answer", "Batch", "Call", "Door", "reply"]


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as it came.

    Parameters
    ----------
    path : str
    query : mapping
    headers : mapping
        Names in lower case.
    body : bytes
    settings : mapping
        What the path holds.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP reply.

    Parameters
    ----------
    status : int
    headers : mapping
    body : bytes
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of a request.

    Parameters
    ----------
    name : str
        Of the list they are in.
    rows : list
    body : dict
        The whole of it.
    request_id : str
    """

    name: str
    rows: list[Any]
    body: dict[str, Any]
    request_id: str


class Refused(Exception):  # noqa: N818 - no error of ours: an answer
    """A request is refused before its rows are looked at; never leaves this module."""

    def __init__(self, *complaints: Complaint) -> None:
        super().__init__()
        self.complaints = complaints


def reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """Write a JSON reply; None is an empty body."""
    text = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    return Answer(status, {"Content-Type": "application/json", **(headers or {})}, text)


class Door(ABC):
    """One route's server.

    Parameters
    ----------
    spec : PlatformSpec
    route : Route
    tokens : Tokens
    kept : Kept
    switches : Switches
    """

    def __init__(self, spec: PlatformSpec, route: Route, tokens: Tokens, kept: Kept, switches: Switches) -> None:
        self.spec = spec
        self.route = route
        self.server = route.server
        self.shape = _shape(spec.name, route)
        self.counting = Counting(route.dedup, correctable=bool(route.corrections.url))
        self.kept = kept
        self.path = _path(route, route.url)
        self.changes = _path(route, route.corrections.url or route.url)
        self.question = None if route.reading is None else _path(route, route.reading.url)
        self._tokens = tokens
        self._switches = switches
        self._asked: dict[tuple[tuple[str, str], ...], Asked] = {}
        self._told = frozenset(name.lower() for name in self.server.headers)
        self._answers = 0

    # -- what each platform says in its own words -------------------------------------------------------------

    @abstractmethod
    def refused(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say that a request is refused as a whole."""

    @abstractmethod
    def taken(self, complaints: Sequence[Complaint], batch: Batch) -> Answer:
        """Say that a request was taken, but for the rows that are complained of."""

    def parsed(self, call: Call) -> Any:
        """Read the body; ValueError if there is nothing to be read."""
        return json.loads(call.body)

    def account(self, call: Call, batch: Batch, row: Mapping[str, Any]) -> str:
        """Return what two events must share besides their keys; by default what the path holds."""
        return "/".join(value for name, value in call.settings.items() if name != "version")

    def columns(self, row: Any, name: str) -> tuple[dict[str, Any], list[Complaint]]:
        """Read a row."""
        return self.shape.row(row, name)

    def sinks(self, batch: Batch, bad: int) -> bool:
        """Say whether so many bad rows sink the whole request."""
        return bad > 0 and self.route.bad_row is BadRow.SINKS_BATCH

    def checked(self, batch: Batch) -> Complaint | None:
        """Say what else is wrong with a request before its rows are looked at."""
        return None

    def pace(self, call: Call, wait: int | None) -> Mapping[str, str]:
        """Return headers that tell of quotas; ``wait`` is in seconds where one is used up and says for how long."""
        return {} if wait is None else {"Retry-After": str(wait)}

    # -- what all do alike ------------------------------------------------------------------------------------

    def complain(self, why: Refusal, field: str = "", row: int | None = None) -> Complaint:
        """Write a complaint in the platform's code."""
        return Complaint(self.server.refusals.get(why, ""), field, row)

    def refuse(self, why: Refusal) -> Answer:
        """Refuse a request without a look at it."""
        return self.refused([self.complain(why)], Batch("", [], {}, self._request_id()))

    def refuse_with(self, code: str) -> Answer:
        """Refuse a request with a code of the route."""
        return self.refused([Complaint(code)], Batch("", [], {}, self._request_id()))

    def stopped(self, call: Call, now: float) -> Answer | None:
        """Refuse a question whose credential, headers or version are wrong; None if it may be answered."""
        auth = self.route.auth
        token = self._bearer(call) if auth.style is not AuthStyle.HEADER else call.headers.get(auth.field.lower())
        if token is None and auth.style is AuthStyle.BODY:
            token = call.query.get(auth.field)  # a question has no body to put it in
        why = self._tokens.judge(self.route, token, now)
        if why is not None:
            return self.refuse(why)
        try:
            self._let_in(call, now)
        except Refused as refusal:
            return self.refused(refusal.complaints, Batch("", [], {}, self._request_id()))
        return None

    @collector_paused()
    def receive(self, call: Call, fault: ServerFault | None, rng: Random, now: float) -> Answer:
        """Answer a request.

        Parameters
        ----------
        call : Call
        fault : ServerFault or None
            One that is about the token or rows; others are the line's, not the platform's.
        rng : Random
            For what hangs on chance in that fault.
        now : float
            Epoch seconds.
        """
        batch = Batch("", [], {}, self._request_id())
        try:
            batch = self._opened(call, fault, batch.request_id, now)
        except Refused as refusal:
            return self.refused(refusal.complaints, batch)
        read = [self.columns(row, batch.name) for row in batch.rows]
        accounts = [self.account(call, batch, row if isinstance(row, dict) else {}) for row in batch.rows]
        complaints, late = self._judged(call, batch, read, now)
        complaints += self._of_switches(batch, fault, rng)
        complaints += self._twice(accounts, read)
        bad = {one.row for one in complaints if not one.harmless}
        sunk = self.sinks(batch, len(bad))
        if batch.body.get("validateOnly") is True:
            return self.refused(complaints, batch) if sunk else self.taken(complaints, batch)
        marks = bytearray(len(batch.rows))
        there: list[Complaint] = []
        if not sunk:
            for at, (columns, _) in enumerate(read):
                if at in bad:
                    continue
                if batch.name != self.shape.lists[0]:
                    marks[at], why = Mark.CHANGE, self._changed(batch.rows[at], accounts[at], columns)
                elif at in late:
                    marks[at], why = Mark.LATE, None
                else:
                    marks[at], why = Mark.TAKEN, self._recorded(batch, at, accounts[at], columns, now)
                if why is not None and why in self.server.refusals:
                    there.append(self.complain(why, "", at))
        complaints += there
        self._keep(call, batch, marks, accounts, late, complaints, now)
        return self.refused(complaints, batch) if sunk else self.taken(complaints, batch)

    def _request_id(self) -> str:
        self._answers += 1
        text = f"{self.spec.name}/{self.route.name}/{self._answers}"
        return blake2b(text.encode(), digest_size=11).hexdigest()

    def _opened(self, call: Call, fault: ServerFault | None, request_id: str, now: float) -> Batch:
        """Let a request in, or refuse it."""
        try:
            body = self.parsed(call)
        except ValueError:
            body = None
        token = self._token(call, body)
        if isinstance(body, dict) and self.route.auth.style is AuthStyle.BODY and token is not None:
            body.setdefault(self.route.auth.field, token)  # it may come in the URL as well
        why = self._tokens.judge(self.route, token, now)
        if fault is ServerFault.EXPIRED_TOKEN:
            why = Refusal.EXPIRED_TOKEN
        if why is not None:
            raise Refused(self.complain(why))
        self._let_in(call, now)
        if not isinstance(body, dict):
            raise Refused(self.complain(Refusal.UNREADABLE))
        name = next((name for name in self.shape.lists if name in body), self.shape.lists[0])
        rows = body.get(name)
        if not isinstance(rows, list) or not rows:
            raise Refused(self.complain(Refusal.EMPTY, name))
        batch = Batch(name, rows, body, request_id)
        if len(rows) > self.route.limits.batch_rows:
            changes = name != self.shape.lists[0]
            raise Refused(self.complain(Refusal.TOO_MANY_CHANGES if changes else Refusal.TOO_MANY, name))
        if (wrong := self.checked(batch)) is not None:
            raise Refused(wrong)
        if faults := self.shape.envelope(body, name):
            raise Refused(*faults)
        return batch

    def _token(self, call: Call, body: Any) -> str | None:
        auth = self.route.auth
        if auth.style is AuthStyle.BODY:
            held = body.get(auth.field) if isinstance(body, dict) else None
            return held if isinstance(held, str) else call.query.get(auth.field)
        return call.headers.get(auth.field.lower()) if auth.style is AuthStyle.HEADER else self._bearer(call)

    def _bearer(self, call: Call) -> str | None:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else None

    def _let_in(self, call: Call, now: float) -> None:
        server = self.server
        for header, code in server.lacking.items():
            if not call.headers.get(header.lower()):
                raise Refused(Complaint(code))
        for header, variable in self.route.auth.headers.items():
            if not self._tokens.knows(variable, call.headers.get(header.lower())):
                raise Refused(self.complain(Refusal.WRONG_TOKEN))
        version = self._settings(call).get("version")
        if version is None:
            return
        unknown = bool(server.versions) and version not in server.versions
        if server.version_months is not None:
            when = datetime.fromtimestamp(now, UTC)
            age = (
                when.year * 12 + when.month - int(version[:4]) * 12 - int(version[4:])
                if re.fullmatch(r"\d{6}", version, re.ASCII)
                else -1
            )
            unknown = not 0 <= age < server.version_months
        if unknown:
            raise Refused(self.complain(Refusal.BAD_VERSION))

    def _settings(self, call: Call) -> dict[str, str]:
        told = {name: call.headers.get(header.lower()) for header, name in self.server.headers.items()}
        written = {name: self.server.in_path.get(name, {}).get(value, value) for name, value in call.settings.items()}
        return {**written, **{name: value for name, value in told.items() if value is not None}}

    def _judged(
        self, call: Call, batch: Batch, read: Sequence[tuple[dict[str, Any], list[Complaint]]], now: float
    ) -> tuple[list[Complaint], dict[int, str]]:
        """Say what is wrong with rows, and what will be told of them afterwards."""
        settings = tuple(self._settings(call).items())
        if settings not in self._asked:
            self._asked[settings] = asked(self.spec, self.route, dict(settings))
        ask = self._asked[settings]
        complaints: list[Complaint] = []
        late: dict[int, str] = {}
        changes = batch.name != self.shape.lists[0]
        for at, (columns, faults) in enumerate(read):
            if faults:
                complaints += [Complaint(one.code, one.field, at, one.harmless) for one in faults]
                if not all(one.harmless for one in faults):
                    continue
            if changes and self.correction(batch.rows[at]) is not None:
                continue  # needs are of conversions
            if (code := ask.refused(columns, now)) is not None:
                complaints.append(Complaint(code, "", at))
            elif (reason := ask.told_later(columns, now)) is not None:
                late[at] = reason
        return complaints, late

    def _of_switches(self, batch: Batch, fault: ServerFault | None, rng: Random) -> list[Complaint]:
        """Complain of rows that are bad by order."""
        switches = self._switches
        if not switches.about_rows:
            return []
        known = [_content(row) for row in batch.rows]
        switches.mark(fault, known, rng)
        return [self.complain(Refusal.BAD_ROW, "", at) for at, key in enumerate(known) if key in switches.poisoned]

    def _twice(
        self, accounts: Sequence[str], read: Sequence[tuple[dict[str, Any], list[Complaint]]]
    ) -> list[Complaint]:
        if Refusal.TWICE not in self.server.refusals:
            return []
        keys = [self.counting.known_by(account, columns) for account, (columns, _) in zip(accounts, read, strict=True)]
        often = {key for key, n in Counter(keys).items() if n > 1 and key is not None}
        return [self.complain(Refusal.TWICE, "", at) for at, key in enumerate(keys) if key in often]

    def _recorded(self, batch: Batch, at: int, account: str, columns: Mapping[str, Any], now: float) -> Refusal | None:
        """Put a row into the books; return what is to be said of one that is there already."""
        verdict = self.counting.add(f"{len(self.kept.requests) + 1}/{at}", account, columns, now)
        there = False
        if self._switches.about_rows:
            content = _content(batch.rows[at])
            self._switches.good.add(content)
            there = content in self._switches.there
        if verdict.kept and not there:
            return None
        by_key = self.counting.known_by(account, columns) is not None
        return Refusal.THERE if by_key else Refusal.THERE_BY_CLICK

    def correction(self, row: Mapping[str, Any]) -> Correction | None:
        """Return what kind of correction a row says it is; None for a change of another kind."""
        kinds = {word: kind for kind, word in self.route.corrections.kinds.items()}
        return next((kinds[one] for one in row.values() if isinstance(one, str) and one in kinds), None)

    def _changed(self, row: Mapping[str, Any], account: str, columns: Mapping[str, Any]) -> Refusal | None:
        """Change what is in the books."""
        kind = self.correction(row)
        if kind is None:
            known = self.counting.known_by(account, columns)
            return Refusal.CHANGED if known and self.counting.once(known) is Changed.AGAIN else None
        withdraw = kind is Correction.RETRACT
        found = self.counting.change(account, columns, str(kind), _content(row), withdraw=withdraw)
        if found is Changed.NOT_THERE:
            return Refusal.NOT_THERE
        again = Refusal.WITHDRAWN if withdraw else Refusal.RESTATED
        return again if found is Changed.AGAIN else None

    def _keep(
        self,
        call: Call,
        batch: Batch,
        marks: bytearray,
        accounts: Sequence[str],
        late: Mapping[int, str],
        complaints: Sequence[Complaint],
        now: float,
    ) -> None:
        codes = dict(late)
        for one in complaints:
            if one.row is not None and not one.harmless:
                codes.setdefault(one.row, one.code)
        as_sent = call.body[:1] == b"{" and type(batch.body) is dict
        body = call.body if as_sent else json.dumps(batch.body).encode()
        self.kept.requests.append(
            KeptRequest(
                platform=self.spec.name,
                route=self.route.name,
                number=len(self.kept.requests) + 1,
                request_id=batch.request_id,
                at=now,
                path=call.path,
                headers={name: value for name, value in call.headers.items() if name in self._told},
                rows=batch.name,
                place=self.kept.write(body),
                marks=bytes(marks),
                accounts=tuple(accounts[:1] if len(set(accounts)) == 1 else accounts),
                codes=codes,
            )
        )


_SHAPES: dict[tuple[str, str], Shape] = {}


def _shape(platform: str, route: Route) -> Shape:
    """Return the form of a route's bodies, made once for all sandboxes."""
    key = platform, route.name
    if key not in _SHAPES:
        _SHAPES[key] = Shape(route)
    return _SHAPES[key]


def _content(row: Any) -> bytes:
    """Tell rows apart by what they hold."""
    return blake2b(json.dumps(row, sort_keys=True).encode(), digest_size=16).digest()


def _path(route: Route, url: str) -> re.Pattern[str]:
    """Turn one of a route's URLs into a pattern of its path, with a group for each setting in it."""
    patterns = {one.name: one.pattern for one in route.settings}
    patterns |= {name: "|".join(words) for name, words in route.server.in_path.items()}
    text = ""
    for piece in re.split(r"({\w+})", urlsplit(url).path):
        name = piece[1:-1]
        text += f"(?P<{name}>{patterns[name]})" if piece.startswith("{") else re.escape(piece)
    return re.compile(text, re.ASCII)
