"""The outbox: what was sent where, in one SQLite file that survives a kill at any instruction.

The order of things makes it safe: a claim is committed *before* the first byte leaves, an answer is committed after it
was read. Whatever dies in between leaves rows `in_flight`, and those are doubts: never forgotten, never taken for
unsent. Who sends holds a lock that the operating system drops when the process ends, so that a doubt left by a dead
process is told from a request under way. docs/sending.md has the argument in full, and the SQL to read the file.

Rows are kept packed, a parcel of them in one record: a record a row costs ten times as much.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capi_lab.errors import InputError, OutboxBusyError, OutboxError
from capi_lab.send.history import History
from capi_lab.send.parcels import KEY, NOBODY, VERSION, Parcel, Settlement, digest, micros
from capi_lab.send.schema import migrate
from capi_lab.send.words import SendState

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Outbox"]

_OPEN = (SendState.PENDING, SendState.IN_FLIGHT, SendState.UNKNOWN)


class Outbox:
    """What was sent where: one file, safe for several processes, without anything personal.

    Parameters
    ----------
    path : str or Path
        The file; made where there is none. ``":memory:"`` keeps nothing and is only good for trying out.
    busy : float
        Seconds to wait for another process that writes.

    Raises
    ------
    OutboxError
        The file is no outbox, or of a newer version.

    Notes
    -----
    Rows are keyed by platform, account, conversion and content version. Ids of conversions and people are kept as
    digests only. Beside the file SQLite keeps ``-wal`` and ``-shm`` while it is open, and an empty ``.lock`` for each
    account shows who sends.
    """

    def __init__(self, path: str | Path, *, busy: float = 30.0) -> None:
        self.path = None if str(path) == ":memory:" else Path(path)
        if self.path is not None and not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        self._db = sqlite3.connect(str(path), timeout=busy, isolation_level=None)
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "foreign_keys = ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute("PRAGMA wal_autocheckpoint = 8000")  # pages; each time costs two more syncs
            migrate(self._db)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise OutboxError(f"the outbox cannot be opened ({error}): is the file one?") from None
        except OutboxError:
            self._db.close()
            raise
        self._held: set[int] = set()

    def __enter__(self) -> Outbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Outbox({'in memory' if self.path is None else self.path.name!r})"

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def counts(self) -> dict[str, int]:
        """Count conversions by where they stand, over all accounts."""
        found = self._db.execute("SELECT state, count(*) FROM conversions GROUP BY state ORDER BY state")
        return {str(state): int(n) for state, n in found}

    # -- sending ---------------------------------------------------------------------------------------------

    def account(self, platform: str, name: str, *, live: bool) -> int:
        """Return the number of an account, made where it is new."""
        key = (platform, name, int(live))
        self._db.execute("INSERT INTO account (platform, name, live) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", key)
        (found,) = self._db.execute(
            "SELECT id FROM account WHERE platform = ? AND name = ? AND live = ?", key
        ).fetchone()
        return int(found)

    @contextmanager
    def sending(self, account: int) -> Iterator[None]:
        """Hold the right to send to an account; the system takes it back when the process ends, however it ends.

        Raises
        ------
        OutboxBusyError
            Another process, or another outbox of this one, holds it.
        """
        busy = OutboxBusyError("another process is sending to this account: wait for it, or stop it")
        if account in self._held:
            raise busy
        # A lock of SQLite's own: it works alike on every system and nothing of it has to be cleaned up.
        where = ":memory:" if self.path is None else str(self.path.with_name(f"{self.path.name}-{account}.lock"))
        lock = sqlite3.connect(where, timeout=0, isolation_level=None)
        try:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                raise busy from None
            self._held.add(account)
            try:
                self._doubt(account)
                yield
            finally:
                self._doubt(account)
                self._held.discard(account)
        finally:
            lock.close()

    def _doubt(self, account: int) -> None:
        """Nobody sends at this moment: what is called under way is a doubt."""
        self._db.execute(
            "UPDATE parcel SET state = ?, code = 'interrupted' WHERE account_id = ? AND state = ?",
            (SendState.UNKNOWN, account, SendState.IN_FLIGHT),
        )

    def recover(self, account: int) -> bool:
        """Turn what a dead process left under way into doubts; False where a living one is sending."""
        try:
            with self.sending(account):
                return True
        except OutboxBusyError:
            return False

    def history(self, account: int, kind: str, conversions: bytes) -> History:
        """Return where conversions stand.

        Parameters
        ----------
        account : int
        kind : str
        conversions : bytes
            Their digests, one after the other.
        """
        parcels = self._db.execute(
            "SELECT id, state, code, tries, sent_at, not_before, trace, conversions, versions FROM parcel "
            "JOIN content ON content.parcel_id = parcel.id WHERE account_id = ? AND kind = ? ORDER BY id",
            (account, kind),
        )
        exceptions = self._db.execute(
            "SELECT parcel_id, position, exception.state, exception.code, exception.not_before FROM exception "
            "JOIN parcel ON parcel.id = parcel_id WHERE account_id = ? AND kind = ?",
            (account, kind),
        ).fetchall()
        return History.of(parcels, exceptions, conversions)

    def erased(self) -> set[bytes]:
        """Return the digests of those who asked to be forgotten."""
        return {person for (person,) in self._db.execute("SELECT person FROM erased")}

    def enqueue(self, account: int, route: str, kind: str, parcels: Sequence[Parcel]) -> list[int]:
        """Write down what is to be sent, as `pending`, in one transaction; returns the parcels' numbers."""
        with self._transaction():
            return [self._add(account, route, kind, parcel) for parcel in parcels]

    def _add(self, account: int, route: str, kind: str, parcel: Parcel) -> int:
        number = self._db.execute(
            "INSERT INTO parcel (account_id, route, kind, size, state, deadline) VALUES (?, ?, ?, ?, ?, ?)",
            (account, route, kind, parcel.size, SendState.PENDING, parcel.deadline),
        ).lastrowid
        self._db.execute(
            "INSERT INTO content VALUES (?, ?, ?, ?)", (number, parcel.conversions, parcel.versions, parcel.people)
        )
        return int(number or 0)

    def exchange(self, settled: Sequence[Settlement], claimed: Sequence[int] = (), at: int | None = None) -> None:
        """Write down what became of parcels and which leave next, in one transaction.

        Parameters
        ----------
        settled : sequence of Settlement
        claimed : sequence of int
            The parcels that leave when this returns.
        at : int, optional
            When.

        Raises
        ------
        OutboxError
            A parcel to leave has left before.
        """
        with self._transaction():
            for one in settled:
                self._db.execute(
                    "UPDATE parcel SET state = ?, settled_at = ?, code = ?, trace = ?, http = ?, not_before = ?, "
                    "tries = ? WHERE id = ?",
                    (one.state, one.at, one.code, one.trace, one.http, one.not_before, one.tries, one.parcel),
                )
                if one.changes:
                    self._db.executemany(
                        "INSERT OR REPLACE INTO exception VALUES (?, ?, ?, ?, ?)",
                        ((one.parcel, c.position, c.state, c.code, c.not_before) for c in one.changes),
                    )
            for parcel in claimed:
                left = self._db.execute(
                    "UPDATE parcel SET state = ?, sent_at = ?, tries = 1 WHERE id = ? AND sent_at IS NULL",
                    (SendState.IN_FLIGHT, at, parcel),
                )
                if left.rowcount != 1:
                    raise OutboxError("this parcel has left before: what is sent again is another one")

    def recent(self, account: int, since: int) -> list[int]:
        """Return when requests left for an account since a moment, oldest first."""
        found = self._db.execute(
            "SELECT sent_at FROM parcel WHERE account_id = ? AND sent_at > ? ORDER BY sent_at", (account, since)
        )
        return [int(at) for (at,) in found]

    def accepted(self, account: int) -> list[tuple[str, str, int]]:
        """Return the requests that an account accepted under an id of its own: id, route, when sent."""
        found = self._db.execute(
            "SELECT trace, route, sent_at FROM parcel WHERE account_id = ? AND state = ? AND trace <> '' ORDER BY id",
            (account, SendState.ACCEPTED),
        )
        return [(str(trace), str(route), int(at)) for trace, route, at in found]

    # -- reading and keeping ---------------------------------------------------------------------------------

    def rows(self, conversions: Sequence[str] | None = None, *, platform: str | None = None) -> pd.DataFrame:
        """Return where conversions stand, one row each by platform, account and kind.

        Parameters
        ----------
        conversions : sequence of str, optional
            Ids to look for: the rows then have a column ``conversion_id``. The outbox itself knows digests only.
        platform : str, optional

        Returns
        -------
        DataFrame
            ``platform account live kind conversion version state code attempts sent_at not_before request_id``; times
            in UTC. The view ``conversions`` has the same for SQL.
        """
        import pandas as pd

        found = self._db.execute(
            "SELECT * FROM conversions WHERE ? IS NULL OR platform = ? "
            "ORDER BY platform, account, live, kind, conversion",
            (platform, platform),
        )
        frame = pd.DataFrame(found.fetchall(), columns=[name for name, *_ in found.description])
        for name in ("sent_at", "not_before"):
            frame[name] = pd.to_datetime(frame[name], utc=True).dt.as_unit("us")
        if conversions is None:
            return frame
        ids = pd.DataFrame({"conversion_id": list(dict.fromkeys(conversions))})
        ids["conversion"] = [digest(one).hex() for one in ids["conversion_id"]]
        return ids.merge(frame, on="conversion")

    def resolve(self, platform: str, conversions: Sequence[str], *, arrived: bool) -> int:
        """Settle doubts by hand, after looking into the platform's own pages.

        Parameters
        ----------
        platform : str
        conversions : sequence of str
            Ids of conversions whose state is `unknown`.
        arrived : bool
            True: the platform has them, they count as accepted. False: it has not, they may be sent again.

        Returns
        -------
        int
            How many sendings were in doubt and no longer are.
        """
        state = SendState.ACCEPTED if arrived else SendState.PENDING
        wanted = {digest(one) for one in conversions}
        with self._transaction():
            doubts = self._db.execute(
                "SELECT parcel.id, content.conversions, place.value FROM parcel "
                "JOIN account ON account.id = account_id "
                "JOIN content ON content.parcel_id = parcel.id "
                "JOIN (SELECT parcel_id, position AS value FROM exception WHERE state = 'unknown' "
                "UNION ALL SELECT id, NULL FROM parcel WHERE state = 'unknown') place ON place.parcel_id = parcel.id "
                "WHERE platform = ?",
                (platform,),
            ).fetchall()
            otherwise = set(self._db.execute("SELECT parcel_id, position FROM exception WHERE state <> 'unknown'"))
            found = {
                (parcel, i)
                for parcel, keys, place in doubts
                for i in ([place] if place is not None else range(len(keys) // KEY))
                if keys[KEY * i : KEY * (i + 1)] in wanted and (parcel, i) not in otherwise
            }
            self._db.executemany(
                "INSERT OR REPLACE INTO exception VALUES (?, ?, ?, 'by_hand', NULL)",
                ((parcel, i, state) for parcel, i in found),
            )
        return len(found)

    def erase(self, user: str, *, now: datetime) -> int:
        """Forget a person: every row of theirs goes, and nothing of theirs is sent again.

        Parameters
        ----------
        user : str
            The person's ``user_key``.
        now : datetime

        Returns
        -------
        int
            How many rows were removed. What stays is a digest that `capi_lab.plan` skips; what the platform has been
            sent is its own to delete.
        """
        person, removed = digest(user), 0
        with self._transaction():
            for parcel, *packed in self._db.execute(
                "SELECT parcel_id, conversions, versions, people FROM content WHERE instr(people, ?)", (person,)
            ).fetchall():
                keys, versions, people = map(bytearray, packed)
                for i in range(len(people) // KEY):
                    place = slice(KEY * i, KEY * (i + 1))
                    if people[place] == person:
                        keys[place] = people[place] = NOBODY
                        versions[VERSION * i : VERSION * (i + 1)] = bytes(VERSION)
                        self._db.execute("DELETE FROM exception WHERE parcel_id = ? AND position = ?", (parcel, i))
                        removed += 1
                self._db.execute(
                    "UPDATE content SET conversions = ?, versions = ?, people = ? WHERE parcel_id = ?",
                    (bytes(keys), bytes(versions), bytes(people), parcel),
                )
            self._db.execute("INSERT OR IGNORE INTO erased VALUES (?, ?)", (person, micros(now)))
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return removed

    def retain(self, keep: timedelta, *, now: datetime) -> int:
        """Forget parcels that are settled, older than ``keep``, and too old to be sent again by mistake.

        Parameters
        ----------
        keep : timedelta
        now : datetime

        Returns
        -------
        int
            How many rows were removed. Doubts and what is pending stay, and so does whatever the platform would still
            take: without its row it would be sent twice.

        Raises
        ------
        InputError
            ``keep`` is negative.
        """
        if keep < timedelta(0):
            raise InputError("keep= must not be negative")
        moment, open_states = micros(now), ", ".join(f"'{state}'" for state in _OPEN)
        with self._transaction():
            old = self._db.execute(
                f"SELECT id, size FROM parcel WHERE state NOT IN ({open_states}) AND deadline < ? AND sent_at < ? "  # noqa: S608 - our own words
                f"AND id NOT IN (SELECT parcel_id FROM exception WHERE state IN ({open_states}))",
                (moment, moment - keep // timedelta(microseconds=1)),
            ).fetchall()
            for table, name in (("exception", "parcel_id"), ("content", "parcel_id"), ("parcel", "id")):
                self._db.executemany(f"DELETE FROM {table} WHERE {name} = ?", ((parcel,) for parcel, _ in old))  # noqa: S608
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return sum(size for _, size in old)

    def backup(self, path: str | Path) -> Path:
        """Copy the outbox to a new file while others may be writing.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        OutboxError
            There is a file already, or the copy is not whole.
        """
        target = Path(path)
        if target.exists():
            raise OutboxError("there is a file of that name already")
        os.close(os.open(target, os.O_CREAT | os.O_RDWR, 0o600))
        copy = sqlite3.connect(target)
        try:
            self._db.backup(copy)
            (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
        finally:
            copy.close()
        if verdict != "ok":
            raise OutboxError("the copy is not whole")
        return target

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
