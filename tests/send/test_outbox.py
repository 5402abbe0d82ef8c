"""The ledger by itself: states, SQL, erasing, versions, two processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import capi_lab as cl
from capi_lab.errors import OutboxBusyError, OutboxError
from capi_lab.send.outbox import Outbox
from capi_lab.send.parcels import NOBODY, VERSION, Change, Parcel, Settlement, digest, micros
from capi_lab.send.schema import APPLICATION_ID, MIGRATIONS
from capi_lab.send.words import SendState
from tests.contracts.examples import NOW

IDS = [f"order-{i}" for i in range(6)]
AT = micros(NOW)


def parcel(ids: list[str], version: int = 1, people: list[str] | None = None, deadline: int = AT) -> Parcel:
    return Parcel(
        b"".join(map(digest, ids)),
        version.to_bytes(VERSION, "little") * len(ids),
        b"".join(NOBODY if one is None else digest(one) for one in people or []),
        deadline,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.sqlite") as one:
        yield one


def standing(ledger: Outbox, account: int, ids: list[str] = IDS) -> list[str]:
    found = ledger.history(account, "conversion", b"".join(map(digest, ids)))
    return ["" if number < 0 else str(list(SendState)[number]) for number in found.state]


def test_a_row_goes_from_pending_to_where_it_ends(ledger: Outbox) -> None:
    """Pending, under way, then what the parcel became, but for the rows that fared otherwise."""
    account = ledger.account("meta", "a", live=True)
    (number,) = ledger.enqueue(account, "capi", "conversion", [parcel(IDS[:4])])
    assert standing(ledger, account) == ["pending"] * 4 + [""] * 2
    ledger.exchange([], [number], AT)
    assert standing(ledger, account)[:4] == ["in_flight"] * 4
    with pytest.raises(OutboxError, match="left before"):
        ledger.exchange([], [number], AT)
    changes = (Change(1, SendState.REJECTED, "100"), Change(2, SendState.PENDING, "613", AT + 5))
    ledger.exchange([Settlement(number, SendState.ACCEPTED, AT, trace="t", http=200, tries=2, changes=changes)])
    assert standing(ledger, account)[:4] == ["accepted", "rejected", "pending", "accepted"]
    found = ledger.history(account, "conversion", b"".join(map(digest, IDS)))
    assert found.code[:4] == ["", "100", "613", ""]
    assert found.trace[:4] == ["t"] * 4
    assert found.not_before[2] == AT + 5
    assert found.attempts.tolist() == [2, 2, 2, 2, 0, 0]
    assert ledger.history(account, "retract", digest(IDS[0])).state.tolist() == [-1]
    other = ledger.account("meta", "a", live=False)
    assert standing(ledger, other) == [""] * 6


def test_an_acceptance_stands_and_a_doubt_outlives_a_delay(ledger: Outbox) -> None:
    """Accepted stays so; a resend that is told to wait leaves the doubt of the first time open."""
    account = ledger.account("tiktok", "a", live=True)
    first, second = ledger.enqueue(account, "r", "conversion", [parcel(IDS[:2]), parcel(IDS[:2])])
    ledger.exchange([], [first], AT)
    ledger.exchange(
        [Settlement(first, SendState.UNKNOWN, AT, changes=(Change(0, SendState.ACCEPTED),))], [second], AT + 9
    )
    ledger.exchange([Settlement(second, SendState.PENDING, AT + 9, not_before=AT + 99)])
    found = ledger.history(account, "conversion", b"".join(map(digest, IDS[:2])))
    assert standing(ledger, account, IDS[:2]) == ["accepted", "unknown"]
    assert found.doubt_since.tolist() == [np.iinfo("int64").min, AT]
    assert ledger.resolve("tiktok", [IDS[1]], arrived=False) == 1
    assert standing(ledger, account, IDS[:2]) == ["accepted", "pending"]


def test_plain_sql_reads_it(ledger: Outbox, tmp_path: Path) -> None:
    """Any SQLite client reads the two views; a conversion is found by the digest of its id."""
    account = ledger.account("meta", "dataset_id=1", live=True)
    (number,) = ledger.enqueue(account, "capi", "conversion", [parcel(IDS[:3], people=["ann", "bob", "ann"])])
    ledger.exchange([], [number], AT)
    ledger.exchange(
        [Settlement(number, SendState.ACCEPTED, AT, "", "t", 200, changes=(Change(2, SendState.REJECTED, "x"),))]
    )
    with sqlite3.connect(tmp_path / "outbox.sqlite") as reader:
        rows = reader.execute("SELECT state, code, sent_at, request_id FROM sends ORDER BY parcel, rowid").fetchall()
        found = reader.execute(
            "SELECT state, attempts FROM conversions WHERE conversion = ?", (digest(IDS[2]).hex(),)
        ).fetchall()
        (waits,) = reader.execute("PRAGMA journal_mode").fetchone()
    reader.close()
    assert sorted(rows) == [("accepted", "", "2026-11-23T12:00:00Z", "t")] * 2 + [
        ("rejected", "x", "2026-11-23T12:00:00Z", "t")
    ]
    assert found == [("rejected", 1)]
    assert waits == "wal"
    frame = ledger.rows([IDS[2], "never"])
    assert frame[["conversion_id", "state", "code"]].to_numpy().tolist() == [[IDS[2], "rejected", "x"]]
    assert ledger.counts() == {"accepted": 2, "rejected": 1}


def test_a_person_is_forgotten_down_to_the_bytes(ledger: Outbox, tmp_path: Path) -> None:
    """Their rows are gone from the file, the others stay, and they are known as erased."""
    account = ledger.account("meta", "a", live=True)
    (number,) = ledger.enqueue(account, "capi", "conversion", [parcel(IDS[:3], people=["ann", "bob", "ann"])])
    ledger.exchange([], [number], AT)
    ledger.exchange([Settlement(number, SendState.ACCEPTED, AT)])
    assert ledger.erase("ann", now=NOW) == 2
    assert standing(ledger, account)[:3] == ["", "accepted", ""]
    assert ledger.counts() == {"accepted": 1}
    assert ledger.erased() == {digest("ann")}
    assert ledger.erase("ann", now=NOW) == 0
    ledger.close()
    bytes_ = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert digest(IDS[0]) not in bytes_
    assert digest(IDS[1]) in bytes_


def test_only_what_cannot_be_sent_twice_is_forgotten(ledger: Outbox) -> None:
    """Settled, old enough, and past the platform's age limit; doubts and what is pending stay."""
    account = ledger.account("meta", "a", live=True)
    ends = [AT, AT + 10**12, AT, AT]
    numbers = ledger.enqueue(
        account, "r", "conversion", [parcel([one], deadline=end) for one, end in zip(IDS, ends, strict=False)]
    )
    for number, state in zip(numbers, (SendState.ACCEPTED, SendState.ACCEPTED, SendState.UNKNOWN), strict=False):
        ledger.exchange([], [number], AT - 10)
        ledger.exchange([Settlement(number, state, AT)])
    later = NOW + timedelta(seconds=1)
    assert ledger.retain(timedelta(days=1), now=later) == 0
    assert ledger.retain(timedelta(0), now=later) == 1
    assert standing(ledger, account)[:4] == ["", "accepted", "unknown", "pending"]


def test_a_backup_is_whole_and_overwrites_nothing(ledger: Outbox, tmp_path: Path) -> None:
    """The copy opens and says the same; a file that is there is left alone."""
    account = ledger.account("meta", "a", live=True)
    ledger.enqueue(account, "r", "conversion", [parcel(IDS)])
    with Outbox(ledger.backup(tmp_path / "copy.sqlite")) as copy:
        assert copy.counts() == {"pending": 6}
    with pytest.raises(OutboxError, match="already"):
        ledger.backup(tmp_path / "copy.sqlite")


def test_an_older_file_is_brought_up_and_a_newer_one_refused(tmp_path: Path) -> None:
    """Version 1 gains what version 2 has and keeps its rows; an unknown version, or another database, is no outbox."""
    old = sqlite3.connect(tmp_path / "old.sqlite", isolation_level=None)
    for statement in MIGRATIONS[0]:
        old.execute(statement)
    old.execute("INSERT INTO account VALUES (1, 'meta', 'a', 1)")
    one = parcel(IDS[:1])
    old.execute(
        "INSERT INTO parcel (id, account_id, route, kind, size, state, deadline) "
        "VALUES (1, 1, 'r', 'conversion', 1, 'accepted', 0)"
    )
    old.execute("INSERT INTO content VALUES (1, ?, ?, ?)", (one.conversions, one.versions, b""))
    old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    old.execute("PRAGMA user_version = 1")
    old.close()
    with Outbox(tmp_path / "old.sqlite") as found:
        assert found.counts() == {"accepted": 1}
        assert found.erase("nobody", now=NOW) == 0
    newer = sqlite3.connect(tmp_path / "old.sqlite", isolation_level=None)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(OutboxError, match="version 99"):
        Outbox(tmp_path / "old.sqlite")
    other = sqlite3.connect(tmp_path / "other.sqlite", isolation_level=None)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(OutboxError, match="no outbox"):
        Outbox(tmp_path / "other.sqlite")
    (tmp_path / "text.sqlite").write_text("this is no database, whatever its name says\n" * 100)
    with pytest.raises(OutboxError, match="cannot be opened"):
        Outbox(tmp_path / "text.sqlite")


def test_a_living_sender_is_told_from_a_dead_one(ledger: Outbox, tmp_path: Path) -> None:
    """While somebody holds the right to send, what is under way is under way; afterwards it is a doubt."""
    account = ledger.account("meta", "a", live=True)
    (number,) = ledger.enqueue(account, "r", "conversion", [parcel(IDS[:1])])
    with Outbox(tmp_path / "outbox.sqlite") as other:
        with ledger.sending(account):
            ledger.exchange([], [number], AT)
            assert not other.recover(account)
            assert standing(other, account)[:1] == ["in_flight"]
            with pytest.raises(OutboxBusyError), other.sending(account):
                pass
            with pytest.raises(OutboxBusyError), ledger.sending(account):
                pass
            elsewhere = other.account("meta", "b", live=True)
            with other.sending(elsewhere):
                pass
        assert other.recover(account)
        assert standing(other, account)[:1] == ["unknown"]
    assert repr(ledger) == "Outbox('outbox.sqlite')"
    assert cl.Outbox is Outbox


class Life(RuleBasedStateMachine):
    """An outbox under random use, beside a plain dictionary."""

    @initialize()
    def start(self) -> None:
        self.path = Path(mkdtemp()) / "o.sqlite"
        self.box = Outbox(self.path)
        self.account = self.box.account("meta", "a", live=True)
        self.sends: dict[int, dict[str, str]] = {}
        self.fresh: list[int] = []
        self.under_way: list[int] = []

    @rule(ids=st.lists(st.sampled_from(IDS), min_size=1, unique=True))
    def enqueue(self, ids: list[str]) -> None:
        (number,) = self.box.enqueue(self.account, "r", "conversion", [parcel(ids)])
        self.sends[number] = dict.fromkeys(ids, "pending")
        self.fresh.append(number)

    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        if self.fresh:
            number = self.fresh.pop(data.draw(st.integers(0, len(self.fresh) - 1)))
            self.box.exchange([], [number], AT)
            self.sends[number] = dict.fromkeys(self.sends[number], "in_flight")
            self.under_way.append(number)

    @rule(data=st.data(), usual=st.sampled_from(list(SendState)[2:]), odd=st.sampled_from(list(SendState)))
    def settle(self, data: st.DataObject, usual: SendState, odd: SendState) -> None:
        if self.under_way:
            number = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
            ids = list(self.sends[number])
            which = data.draw(st.sets(st.integers(0, len(ids) - 1)))
            odd = SendState.PENDING if odd is SendState.IN_FLIGHT else odd
            self.box.exchange([Settlement(number, usual, AT, changes=tuple(Change(i, odd) for i in which))])
            self.sends[number] = {one: str(odd if i in which else usual) for i, one in enumerate(ids)}

    @rule()
    def crash(self) -> None:
        self.box.close()
        self.box = Outbox(self.path)
        self.box.recover(self.account)
        for number in self.under_way:
            self.sends[number] = dict.fromkeys(self.sends[number], "unknown")
        self.under_way = []

    @rule(one=st.sampled_from(IDS), arrived=st.booleans())
    def resolve(self, one: str, arrived: bool) -> None:
        self.box.resolve("meta", [one], arrived=arrived)
        for rows in self.sends.values():
            if rows.get(one) == "unknown":
                rows[one] = "accepted" if arrived else "pending"

    @invariant()
    def agrees(self) -> None:
        expected = []
        for one in IDS:
            told = [rows[one] for _, rows in sorted(self.sends.items()) if one in rows]
            if "accepted" in told:
                expected.append("accepted")
            elif "in_flight" in told:
                expected.append("in_flight")
            elif not told:
                expected.append("")
            else:
                expected.append("unknown" if told[-1] == "pending" and "unknown" in told else told[-1])
        assert standing(self.box, self.account) == expected
        self.expected = expected

    def teardown(self) -> None:
        """The view for SQL says the same."""
        by_sql = self.box.rows(IDS).set_index("conversion_id")["state"].reindex(IDS).fillna("")
        assert by_sql.tolist() == self.expected
        self.box.close()


Life.TestCase.settings = settings(max_examples=15, stateful_step_count=10, deadline=None)
TestLife = Life.TestCase
