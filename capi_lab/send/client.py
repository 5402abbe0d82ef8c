"""One request over the wire: an answer, or whether any byte of it can have arrived."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Lock
from typing import Any

import httpx
import stamina

from capi_lab.platforms.route import OutcomeStatus
from capi_lab.platforms.sending import Pace
from capi_lab.platforms.wire import Outcome, Reply, Wire, as_dict, safe_text
from capi_lab.send.auth import Login
from capi_lab.send.bodies import Letter
from capi_lab.send.target import Target

__all__ = ["Delivery", "Lost", "Pacer", "Post", "ask", "http_client", "trace_of"]

# Nothing has left before a connection stands.
_NOT_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


class Lost(Exception):  # noqa: N818 - no error of ours: a state
    """No answer came; never leaves this room.

    Parameters
    ----------
    left : bool
        Bytes may have arrived: nobody knows whether the rows are there.
    """

    def __init__(self, *, left: bool) -> None:
        super().__init__("no answer" if left else "no connection")
        self.left = left


def http_client(
    target: Target, timeout: timedelta, transport: httpx.BaseTransport | None, parallel: int
) -> httpx.Client:
    """Return a client that follows no redirect: where rows go is what was approved."""
    limits = httpx.Limits(max_connections=parallel, max_keepalive_connections=parallel)
    waits = httpx.Timeout(timeout.total_seconds(), connect=10.0, pool=None)
    # Proxies are for the world outside; certificates are a tenth of a second, and of no use without TLS.
    return httpx.Client(
        transport=transport,
        timeout=waits,
        limits=limits,
        follow_redirects=False,
        trust_env=target.live,
        verify=not target.base.startswith("http:"),
    )


def ask(client: httpx.Client, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Reply:
    """Send a request and read its answer.

    Raises
    ------
    Lost
        There was none.
    """
    try:
        reply = client.request(method, url, headers=dict(headers), content=content)
    except _NOT_LEFT:
        raise Lost(left=False) from None
    except httpx.HTTPError:
        # Its text can hold what was received.
        raise Lost(left=True) from None
    # A reply and its stream hold each other, and with them the request's bytes until the collector comes by.
    reply.stream = httpx.ByteStream(b"")
    try:
        body: Any = json.loads(reply.content) if reply.content else None
    except (ValueError, RecursionError):
        body = None
    return Reply(reply.status_code, dict(reply.headers), body)


def trace_of(reply: Reply, places: Sequence[str]) -> str:
    """Return the platform's id of a request, from the first place that has one."""
    headers = {name.lower(): value for name, value in reply.headers.items()}
    for place in places:
        kind, _, name = place.partition(":")
        value: Any = headers.get(name.lower()) if kind == "header" else reply.json
        for step in name.split(".") if kind == "body" else ():
            value = as_dict(value).get(step)
        if text := safe_text(value, limit=200):
            return text
    return ""


class Pacer:
    """Keeps requests within a route's limits.

    Parameters
    ----------
    pace : Pace
    past : sequence of float
        When earlier requests left, epoch seconds, oldest first.
    now, sleep : callable
    """

    def __init__(
        self, pace: Pace, past: Sequence[float], now: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._limits = [(most, per.total_seconds()) for most, per in pace.limits]
        longest = max((most for most, _ in self._limits), default=0)
        self._left: deque[float] = deque(past, maxlen=longest or None)
        self._now, self._sleep, self._lock = now, sleep, Lock()

    def wait(self) -> None:
        """Wait for a turn, and take it."""
        if not self._limits:
            return
        with self._lock:
            now = self._now()
            turn = max((self._left[-most] + per for most, per in self._limits if len(self._left) >= most), default=now)
            if turn > now:
                self._sleep(turn - now)
                now = max(self._now(), turn)
            self._left.append(now)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one request.

    Parameters
    ----------
    outcomes : list of Outcome or None
        One a row; None where no answer came.
    doubt : bool
        An attempt may have arrived without our knowing.
    tries : int
    status : int or None
        HTTP status of the last answer.
    trace : str
        The platform's id of the request.
    """

    outcomes: list[Outcome] | None
    doubt: bool
    tries: int
    status: int | None = None
    trace: str = ""

    @property
    def put_off(self) -> bool:
        """The platform will take all of it, only not now."""
        return bool(self.outcomes) and all(one.status is OutcomeStatus.RETRY for one in self.outcomes or ())


class _Again(Exception):  # noqa: N818 - carries a state to stamina
    def __init__(self, delivery: Delivery, wait: float | None) -> None:
        super().__init__("again")
        self.delivery, self.wait = delivery, wait


@dataclass
class Post:
    """Delivers letters; safe to be used by several threads at once.

    Parameters
    ----------
    wire : Wire
    target : Target
    login : Login
    client : httpx.Client
    pacer : Pacer
    sleep : callable
    attempts : int
        At most this often within one delivery.
    patience : timedelta
        A platform that asks for a longer wait is not waited for: the rows are put off.
    stopping : Event
        Once set nothing is tried again.
    """

    wire: Wire
    target: Target
    login: Login
    client: httpx.Client
    pacer: Pacer
    sleep: Callable[[float], None]
    attempts: int = 3
    patience: timedelta = timedelta(seconds=60)
    stopping: Event = field(default_factory=Event)

    def deliver(self, letter: Letter, *, resendable: bool) -> Delivery:
        """Send a letter, again if that is safe and promises something.

        Parameters
        ----------
        letter : Letter
        resendable : bool
            The platform counts a resend of every row once.
        """
        doubt, renewed, wait = False, False, 0.0
        try:
            for attempt in stamina.retry_context(
                on=_never_by_itself, attempts=self.attempts, timeout=None, wait_initial=0.5, wait_max=20.0
            ):
                with attempt:
                    if attempt.num > 1:
                        self.sleep(wait)
                    delivery, renewed = self._once(letter, attempt.num, doubt=doubt, renewed=renewed)
                    doubt = delivery.doubt
                    wait = self._wait(delivery, resendable=resendable, otherwise=attempt.next_wait)
                    if wait >= 0 and not self.stopping.is_set():
                        raise _Again(delivery, wait)
                    return delivery
        except _Again as last:
            return last.delivery
        raise AssertionError("unreachable")

    def _once(self, letter: Letter, tries: int, *, doubt: bool, renewed: bool) -> tuple[Delivery, bool]:
        request = letter.request
        self.pacer.wait()
        while True:
            generation = self.login.ready()
            headers = {**request.headers, **self.login.headers()}
            try:
                url = self.target.url(request.url)
                reply = ask(self.client, request.method, url, headers, letter.body(self.login.body()))
            except Lost as lost:
                return Delivery(None, doubt or lost.left, tries), renewed
            # A refused token was refused before anything was looked at: a new one is worth a second try, once.
            if reply.status != 401 or renewed or not self.login.renew(generation):
                break
            renewed = True
        outcomes = self.wire.decode(reply, request)
        unclear = reply.status >= 500 and reply.status != 503 and all(o.code.startswith("http ") for o in outcomes)
        trace = trace_of(reply, self.wire.route.sending.request_id)
        return Delivery(outcomes, doubt or unclear, tries, reply.status, trace), renewed

    def _wait(self, delivery: Delivery, *, resendable: bool, otherwise: float) -> float:
        """Return how long to wait before trying again; negative where that is not to be done."""
        if delivery.doubt and not resendable:
            return -1.0
        if delivery.outcomes is None:
            return otherwise
        if not delivery.put_off:
            return -1.0
        asked = max((one.retry_after for one in delivery.outcomes if one.retry_after is not None), default=None)
        if asked is None:
            return otherwise
        return asked if asked <= self.patience.total_seconds() else -1.0


def _never_by_itself(error: Exception) -> bool | float:
    """Tell stamina to count attempts; the waiting is done with our own clock."""
    return 0.0 if isinstance(error, _Again) else False


def seconds(clock: Callable[[], datetime]) -> Callable[[], float]:
    """Return the clock in epoch seconds."""
    return lambda: clock().timestamp()
