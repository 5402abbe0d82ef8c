"""Send what a plan says, once; whatever happens on the way, the outbox knows."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from capi_lab.errors import ApprovalError, CredentialError
from capi_lab.platforms.route import BadRow, OutcomeStatus, Route
from capi_lab.platforms.wire import Outcome
from capi_lab.send.auth import Login, Secrets
from capi_lab.send.bodies import Letter, encoder, letters, pieces
from capi_lab.send.client import Delivery, Pacer, Post, http_client, seconds
from capi_lab.send.outbox import Outbox
from capi_lab.send.parcels import NOBODY, Change, Parcel, Settlement, digest, micros
from capi_lab.send.planned import Plan
from capi_lab.send.planning import resends
from capi_lab.send.receipts import Ledger, Receipt
from capi_lab.send.words import SendState

if TYPE_CHECKING:
    import httpx
    from numpy.typing import NDArray
    from tqdm import tqdm

__all__ = ["send"]

FAILURES = 5
"""So many requests in a row without an answer worth the name, and nothing more is tried."""
_STATE = {
    OutcomeStatus.ACCEPTED: SendState.ACCEPTED,
    OutcomeStatus.REJECTED: SendState.REJECTED,
    OutcomeStatus.RETRY: SendState.PENDING,
    OutcomeStatus.UNKNOWN: SendState.UNKNOWN,
}
_NO_CONNECTION = Outcome("", OutcomeStatus.RETRY, "no_connection", "nothing left this machine: plan and send again")
_ALONG = "refused along with others, and the row at fault was not found in time: plan and send again"
_EXPIRED = Outcome("", OutcomeStatus.REJECTED, "expired", "it became too old before it could be sent")


def send(
    plan: Plan,
    *,
    approve: str,
    env: Mapping[str, str] | None = None,
    keyring: bool = False,
    progress: bool | None = None,
    attempts: int = 3,
    patience: timedelta = timedelta(seconds=60),
    transport: httpx.BaseTransport | None = None,
    clock: Callable[[], datetime] | None = None,
    sleep: Callable[[float], None] | None = None,
) -> Receipt:
    """Send a plan.

    Parameters
    ----------
    plan : Plan
    approve : str
        The plan's ``fingerprint``: that somebody has looked at it.
    env : mapping, optional
        Where credentials are looked up. Default: the process's environment; for a sandbox nothing of it is read.
    keyring : bool
        Ask the system's keyring too.
    progress : bool, optional
        Show how far it has come. Default: where somebody looks.
    attempts : int
        How often a request is tried within this call, where trying again is safe.
    patience : timedelta
        How long a wait the platform may ask for. A longer one is written down, not waited for: plan again later.
    transport : httpx transport, optional
    clock, sleep : callable, optional
        For tests: the time with a zone, and how to wait.

    Returns
    -------
    Receipt
        One row per conversion of the plan.

    Raises
    ------
    ApprovalError
        ``approve`` is not the plan's fingerprint, or the conversions were changed since.
    CredentialError
        There is none, or it was refused by the token endpoint.
    OutboxBusyError
        Another process is sending to the same account.

    Notes
    -----
    A claim is written down before the first byte leaves, an answer once it was read. An answer that never came, and
    an error that does not say that nothing was recorded, is a doubt: tried again only where the platform documents
    that it counts a resend once, else left for a person. An interrupt waits for the requests under way, writes down
    what became of them, and stops.
    """
    if approve != plan.fingerprint:
        raise ApprovalError("approve= is not the plan's fingerprint: look at the plan and give plan.fingerprint")
    now = clock or (lambda: datetime.now(UTC))
    pause = sleep or time.sleep
    route, box = plan.wire.route, plan.outbox
    account = box.account(plan.platform, plan.account, live=plan.target.live)
    pace, span = route.sending.pace, max((per for _, per in route.sending.pace.limits), default=timedelta(0))
    recent = [at / 1e6 for at in box.recent(account, micros(now() - span))]
    secrets = Secrets({} if env is None and not plan.target.live else env, keyring=keyring)
    with http_client(plan.target, route.sending.timeout, transport, pace.parallel) as client, box.sending(account):
        if not len(plan.to_send):
            return Ledger(plan).receipt("")
        login = Login(route, plan.target, secrets, client, now)
        post = Post(
            plan.wire, plan.target, login, client, Pacer(pace, recent, seconds(now), pause), pause, attempts, patience
        )
        with _bar(len(plan.to_send), progress) as bar:
            return _Drain(plan, account, post, now, bar).run()


def _bar(total: int, progress: bool | None) -> tqdm[None]:
    from tqdm import tqdm

    # None: silent where nobody looks.
    return tqdm(total=total, unit="row", disable=None if progress is None else not progress)


@dataclass(frozen=True, slots=True)
class _Item:
    """A parcel and the letter that carries it.

    Parameters
    ----------
    number : int
        Of the parcel in the outbox.
    parcel : Parcel
    letter : Letter
    places : array of int
        Of the rows in the plan.
    budget : list of int
        How many requests may still be spent on finding rows at fault; shared by all parts of one letter.
    """

    number: int
    parcel: Parcel
    letter: Letter
    places: NDArray[np.int64]
    budget: list[int]

    def part(self, positions: Sequence[int]) -> _Item:
        """Return some of the rows, as a parcel yet to be written down."""
        return replace(
            self,
            number=0,
            parcel=self.parcel.part(positions),
            letter=self.letter.part(positions),
            places=self.places[list(positions)],
        )


class _Drain:
    """One send under way."""

    def __init__(self, plan: Plan, account: int, post: Post, now: Callable[[], datetime], bar: tqdm[None]) -> None:
        self._plan, self._account, self._post, self._now, self._bar = plan, account, post, now, bar
        self._route: Route = plan.wire.route
        self._box: Outbox = plan.outbox
        self._ledger = Ledger(plan)
        self._safe = resends(self._route)
        self._again: deque[_Item] = deque()
        self._claimed: deque[_Item] = deque()  # written down as leaving, and not yet with a thread
        self._settled: list[Settlement] = []
        self._failures = 0
        self._stopped = ""

    def run(self) -> Receipt:
        """Send everything, or as much as can be."""
        fresh = self._items()
        under_way: dict[Future[Delivery], _Item] = {}
        parallel = self._route.sending.pace.parallel
        with ThreadPoolExecutor(parallel, thread_name_prefix="capi-lab") as pool:
            try:
                while True:
                    self._claim(fresh, parallel - len(under_way))
                    while self._claimed:
                        item = self._claimed[0]
                        resendable = self._safe and bool(self._plan.keyed[self._plan.places[item.places]].all())
                        under_way[pool.submit(self._post.deliver, item.letter, resendable=resendable)] = item
                        self._claimed.popleft()
                    if not under_way:
                        break
                    self._collect(under_way)
            finally:
                # Also when interrupted: what has left is waited for, and written down; what was claimed only, too.
                self._post.stopping.set()
                while self._claimed:
                    self._judge(self._claimed.popleft(), Delivery(None, doubt=False, tries=0))
                while under_way:
                    self._collect(under_way)
                self._write()
        return self._ledger.receipt(self._stopped)

    def _claim(self, fresh: Iterator[_Item], most: int) -> None:
        """Take the next parcels and write down, in one commit, that they leave."""
        taken: list[_Item] = []
        while not self._stopped and len(taken) < most and (item := self._next(fresh)):
            taken.append(item)
        if taken:
            self._write([item.number for item in taken])
            self._claimed.extend(taken)

    def _next(self, fresh: Iterator[_Item]) -> _Item | None:
        return self._again.popleft() if self._again else next(fresh, None)

    def _write(self, claimed: Sequence[int] = ()) -> None:
        """Commit what became of parcels, and which leave next."""
        self._box.exchange(self._settled, claimed, micros(self._now()))
        self._settled = []

    def _collect(self, under_way: dict[Future[Delivery], _Item]) -> None:
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in done:
            item = under_way[future]
            try:
                delivery = future.result()
            except CredentialError as error:
                # The token endpoint said no: nothing has left.
                self._stopped = str(error)
                delivery = Delivery(None, doubt=False, tries=0)
            self._judge(item, delivery)
            del under_way[future]  # last: whoever is interrupted before judges it again

    # -- what leaves -----------------------------------------------------------------------------------------

    def _items(self) -> Iterator[_Item]:
        """Write the rows out piece by piece; each piece is in the outbox before the first of it leaves."""
        plan, limit = self._plan, self._route.limits.batch_rows
        encode = encoder(plan.wire, plan.settings, plan.kind)
        deadline = plan.rows["deadline"].to_numpy(dtype="datetime64[us]").astype("int64")
        known = plan.held.deciding
        people = known["user_key"].to_numpy(dtype=object) if "user_key" in known else None
        for piece in pieces(len(plan.to_send), limit):
            places = plan.to_send[piece]
            late = deadline[places] < micros(self._now())
            if late.any():
                self._expire(places[late], deadline)
                places = places[~late]
            if not len(places):
                continue
            written = letters(encode(plan.held.rows(plan.places[places])), self._route, plan.batch_rows)
            versions = [one.versions for one in written]
            if b"".join(versions) != plan.versions[places].astype("<u8").tobytes():
                raise ApprovalError("the conversions were changed since the plan was made: plan again")
            items, start = [], 0
            for letter, version in zip(written, versions, strict=True):
                here = places[start : start + len(letter.rows)]
                start += len(letter.rows)
                parcel = self._parcel(here, version, people, deadline)
                items.append(_Item(0, parcel, letter, here, [_budget(len(here))]))
            yield from self._noted(items)

    def _parcel(
        self,
        places: NDArray[np.int64],
        versions: bytes,
        people: NDArray[np.object_] | None,
        deadline: NDArray[np.int64],
    ) -> Parcel:
        rows = self._plan.places[places]
        persons = [] if people is None else [people[i] for i in rows]
        packed = b"".join(digest(one) if isinstance(one, str) else NOBODY for one in persons)
        return Parcel(self._plan.keys[rows].tobytes(), versions, packed, int(deadline[places].max()))

    def _noted(self, items: Sequence[_Item]) -> list[_Item]:
        numbers = self._box.enqueue(self._account, self._route.name, self._plan.kind, [item.parcel for item in items])
        return [replace(item, number=number) for item, number in zip(items, numbers, strict=True)]

    def _expire(self, places: NDArray[np.int64], deadline: NDArray[np.int64]) -> None:
        versions = self._plan.versions[places].astype("<u8").tobytes()
        parcels = []
        for start in range(0, len(places), self._route.limits.batch_rows):
            end = start + self._route.limits.batch_rows
            parcels.append(self._parcel(places[start:end], versions[8 * start : 8 * end], None, deadline))
        for number in self._box.enqueue(self._account, self._route.name, self._plan.kind, parcels):
            self._settled.append(Settlement(number, SendState.EXPIRED, micros(self._now()), _EXPIRED.code, tries=0))
        self._ledger.stands(places, SendState.EXPIRED, _EXPIRED, None)
        self._bar.update(len(places))

    # -- what comes back -------------------------------------------------------------------------------------

    def _judge(self, item: _Item, delivery: Delivery) -> None:
        """Write down what became of a letter, and what of it goes again."""
        at = micros(self._now())
        if delivery.tries:
            self._ledger.left(item.places, at, delivery.trace, delivery.tries)
        outcomes, fatal = self._read(item, delivery)
        failed = delivery.outcomes is None or delivery.put_off
        self._failures = self._failures + 1 if failed else 0
        if fatal:
            self._stopped = fatal
        elif self._failures >= FAILURES and not self._stopped:
            self._stopped = f"{FAILURES} requests in a row came to nothing: {outcomes[0].code}, {outcomes[0].message}"
        again = [] if fatal else self._parts(item, outcomes, delivery)
        going = {i for part in again for i in part}
        if self._sunk(outcomes) and not again and len(outcomes) > 1:
            outcomes = [one._replace(status=OutcomeStatus.RETRY, message=_ALONG) for one in outcomes]
        self._take_down(item, delivery, outcomes, going, at)
        self._bar.update(len(outcomes) - len(going))
        if again:
            # Written down with the same commit or before it: a kill in between leaves them pending.
            self._write()
            self._again.extend(self._noted([item.part(part) for part in again]))

    def _take_down(
        self, item: _Item, delivery: Delivery, outcomes: Sequence[Outcome], going: set[int], at: int
    ) -> None:
        """Write down where the rows stand; mostly all alike."""
        first = outcomes[0]
        alike = not going and all(one[1:] == first[1:] for one in outcomes)  # all but whose row it is
        # What goes again in other company was not judged yet.
        states = [
            SendState.PENDING if i in going else _STATE[one.status]
            for i, one in enumerate(outcomes[: 1 if alike else None])
        ]
        waits = [
            None if one.retry_after is None else at + round(one.retry_after * 1e6) for one in outcomes[: len(states)]
        ]
        usual = Counter(zip(states, (one.code for one in outcomes), waits, strict=False)).most_common(1)[0][0]
        changes: tuple[Change, ...] = ()
        if alike:
            self._ledger.stands(item.places, states[0], first, waits[0])
        else:
            every = enumerate(zip(states, (one.code for one in outcomes), waits, strict=True))
            changes = tuple(Change(i, *mine) for i, mine in every if mine != usual)
            for i, one in enumerate(outcomes):
                self._ledger.stands(int(item.places[i]), states[i], one, waits[i])
        said = (delivery.trace, delivery.status, usual[2], delivery.tries, changes)
        self._settled.append(Settlement(item.number, usual[0], at, usual[1], *said))

    def _read(self, item: _Item, delivery: Delivery) -> tuple[list[Outcome], str]:
        """Return what became of each row, and why to stop, if so."""
        n = len(item.places)
        if delivery.outcomes is None:
            return [self._doubt("no_answer") if delivery.doubt else _NO_CONNECTION] * n, ""
        first = delivery.outcomes[0]
        if delivery.doubt and delivery.put_off:
            return [self._doubt(one.code) for one in delivery.outcomes], ""
        if all(one.status is OutcomeStatus.REJECTED for one in delivery.outcomes) and self._is_ours(first, delivery):
            # Refused at the door: no verdict on rows, which stay as they were.
            said = f"{first.code}: {first.message}"
            return [one._replace(status=OutcomeStatus.RETRY, retry_after=None) for one in delivery.outcomes], said
        unknown = self._doubt("").message
        return [
            one._replace(message=f"{one.message}; {unknown}") if one.status is OutcomeStatus.UNKNOWN else one
            for one in delivery.outcomes
        ], ""

    def _is_ours(self, one: Outcome, delivery: Delivery) -> bool:
        """Say whether a refusal is about credential, settings or account."""
        rule = self._route.status_of(one.code)
        if rule is not None:
            return not rule.row_fault
        # Without a word about rows only these can be about them: malformed, too large, not understood.
        return one.code.startswith("http ") and delivery.status not in (400, 413, 422)

    def _doubt(self, code: str) -> Outcome:
        if self._safe:
            text = "it may be there; the platform counts a resend once: plan and send again"
        else:
            text = "it may be there, and a resend may count twice: look into the platform's pages, then outbox.resolve"
        return Outcome("", OutcomeStatus.UNKNOWN, code, text)

    def _parts(self, item: _Item, outcomes: Sequence[Outcome], delivery: Delivery) -> list[list[int]]:
        """Say which rows go again at once, in which company."""
        n, status = len(outcomes), [one.status for one in outcomes]
        if delivery.outcomes is None or item.budget[0] <= 0:
            return []
        retry = [i for i, one in enumerate(outcomes) if one.status is OutcomeStatus.RETRY and one.retry_after is None]
        if OutcomeStatus.REJECTED in status and retry and len(retry) < n:
            # The reply names the rows at fault: the others go without them.
            item.budget[0] -= 1
            return [retry]
        if self._sunk(outcomes) and n > 1:
            item.budget[0] -= 2
            return [list(range(n // 2)), list(range(n // 2, n))]
        return []

    def _sunk(self, outcomes: Sequence[Outcome]) -> bool:
        """Say whether a request was refused for some row of it, nobody knows which."""
        together = self._route.bad_row is BadRow.SINKS_BATCH
        return together and all(one.status is OutcomeStatus.REJECTED for one in outcomes)


def _budget(n: int) -> int:
    """Return how many requests are worth spending on finding bad rows among ``n``: some ten of them can be found."""
    return 20 * max(1, math.ceil(math.log2(max(n, 2))))
