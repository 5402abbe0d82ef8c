"""The outbox's tables, step by step from an empty file: a new version is one more step, never a changed one."""

from __future__ import annotations

import sqlite3

from capi_lab.errors import OutboxError
from capi_lab.send.words import SendState

__all__ = ["APPLICATION_ID", "LONGEST", "MIGRATIONS", "migrate"]

APPLICATION_ID = 0x6361_7069  # "capi"
LONGEST = 10_000
"""Most rows of a parcel; no platform takes as many in a request."""

_STATES = ", ".join(f"'{state}'" for state in SendState)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # Where rows end up. `live` is 0 for a sandbox on this machine: what it took, the platform has not.
        """CREATE TABLE account (
            id INTEGER PRIMARY KEY,
            platform TEXT NOT NULL,
            name TEXT NOT NULL,
            live INTEGER NOT NULL,
            UNIQUE (platform, name, live)
        ) STRICT""",
        # The rows of one request, sent once; sent again they are another parcel.
        f"""CREATE TABLE parcel (
            id INTEGER PRIMARY KEY,
            account_id INTEGER NOT NULL REFERENCES account (id),
            route TEXT NOT NULL,
            kind TEXT NOT NULL,
            size INTEGER NOT NULL CHECK (size BETWEEN 1 AND {LONGEST}),
            state TEXT NOT NULL CHECK (state IN ({_STATES})),
            code TEXT NOT NULL DEFAULT '',
            http INTEGER,
            trace TEXT NOT NULL DEFAULT '',
            tries INTEGER NOT NULL DEFAULT 0,
            sent_at INTEGER,
            settled_at INTEGER,
            not_before INTEGER,
            deadline INTEGER NOT NULL
        ) STRICT""",
        # What is in it: 16 bytes of digest a conversion, 8 of its content, 16 of the person. Apart from the state, so
        # that a change of state writes a few bytes and not the keys of a thousand rows again.
        """CREATE TABLE content (
            parcel_id INTEGER PRIMARY KEY REFERENCES parcel (id),
            conversions BLOB NOT NULL,
            versions BLOB NOT NULL,
            people BLOB NOT NULL
        ) STRICT""",
        # Rows that fared otherwise than their parcel.
        f"""CREATE TABLE exception (
            parcel_id INTEGER NOT NULL REFERENCES parcel (id),
            position INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ({_STATES})),
            code TEXT NOT NULL DEFAULT '',
            not_before INTEGER,
            PRIMARY KEY (parcel_id, position)
        ) STRICT, WITHOUT ROWID""",
    ),
    (
        # Who asked to be forgotten: nothing of theirs is sent again.
        "CREATE TABLE erased (person BLOB PRIMARY KEY, at INTEGER NOT NULL) STRICT",
        # Every sending of every row.
        f"""CREATE VIEW sends AS
        WITH RECURSIVE place (position) AS (
            SELECT 0 UNION ALL SELECT position + 1 FROM place WHERE position < {LONGEST - 1}
        )
        SELECT account.platform, account.name AS account, account.live, parcel.route, parcel.kind,
            lower(hex(substr(content.conversions, 16 * place.position + 1, 16))) AS conversion,
            lower(hex(substr(content.versions, 8 * place.position + 1, 8))) AS version,
            coalesce(exception.state, parcel.state) AS state,
            coalesce(exception.code, parcel.code) AS code,
            parcel.tries,
            strftime('%Y-%m-%dT%H:%M:%SZ', parcel.sent_at / 1000000, 'unixepoch') AS sent_at,
            strftime('%Y-%m-%dT%H:%M:%SZ',
                CASE WHEN exception.state IS NULL THEN parcel.not_before ELSE exception.not_before END / 1000000,
                'unixepoch') AS not_before,
            parcel.trace AS request_id, parcel.http, parcel.id AS parcel
        FROM parcel
        JOIN account ON account.id = parcel.account_id
        JOIN content ON content.parcel_id = parcel.id
        JOIN place ON place.position < parcel.size
        LEFT JOIN exception ON exception.parcel_id = parcel.id AND exception.position = place.position
        WHERE substr(content.conversions, 16 * place.position + 1, 16) <> zeroblob(16)""",  # noqa: S608 - our own words
        # Where each conversion stands: an acceptance stands, then what is under way; else the last word counts, but a
        # doubt is still open if what came after it was only told to wait.
        """CREATE VIEW conversions AS
        SELECT platform, account, live, kind, conversion, version,
            CASE WHEN state = 'pending' AND doubts THEN 'unknown' ELSE state END AS state,
            code, attempts, sent_at, not_before, request_id
        FROM (
            SELECT *, sum(tries) OVER same AS attempts, max(state = 'unknown') OVER same AS doubts,
                row_number() OVER (
                    PARTITION BY platform, account, live, kind, conversion
                    ORDER BY state = 'accepted' DESC, state = 'in_flight' DESC, parcel DESC
                ) AS turn
            FROM sends
            WINDOW same AS (PARTITION BY platform, account, live, kind, conversion)
        ) WHERE turn = 1""",
    ),
)
"""What each version adds; ``PRAGMA user_version`` says how many were taken."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file to the newest version, each step in a transaction of its own.

    Raises
    ------
    OutboxError
        The file is no outbox, or a newer version of this package made it.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and tables:
        raise OutboxError("the file is a database, but no outbox: give another path")
    if version > len(MIGRATIONS):
        raise OutboxError(f"the outbox is of version {version}, this package knows {len(MIGRATIONS)}: update capi-lab")
    while version < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been faster.
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version < len(MIGRATIONS):
                for statement in MIGRATIONS[version]:
                    connection.execute(statement)
                version += 1
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
