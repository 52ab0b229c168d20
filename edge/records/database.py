"""The file that rows live in: its tables, and how it is opened or refused.

SQLite in WAL mode with ``synchronous=FULL``: what a transaction wrote is on the disk when it ends,
and readers never hold up the writer (https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

from models.errors import InputError, StorageError

__all__ = ["DATABASE", "MIGRATIONS", "open_reader", "open_writer", "unusable"]

DATABASE = "records.db"
"""Its name in the folder of the records."""

APPLICATION = 0x4C475243
"""``LGRC``: tells this database from those of other programs."""

BUSY_S = 5.0
"""Seconds to wait for a lock: nobody but a checkpoint of a reader that leaves ever holds one."""

WAL_BYTES = 16 * 2**20
"""What the log may keep of the disk after it was longer for once."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE settings (
            id INTEGER PRIMARY KEY,
            digest TEXT NOT NULL UNIQUE,  -- sha256 of all the rest
            station TEXT NOT NULL,
            bundle TEXT,                  -- JSON: name, version, manifest
            document TEXT NOT NULL        -- JSON: models, regions, rules with their thresholds
        )""",
        """CREATE TABLE parts (
            seq INTEGER PRIMARY KEY,      -- the order in which verdicts came, whatever clocks say
            id TEXT NOT NULL UNIQUE,
            at INTEGER NOT NULL,          -- of the trigger, ms since 1970 UTC
            settings INTEGER NOT NULL REFERENCES settings,
            camera TEXT NOT NULL,
            number INTEGER NOT NULL,
            product TEXT NOT NULL,
            lot TEXT,
            verdict TEXT NOT NULL CHECK (verdict IN ('OK', 'NG')),
            reasons TEXT NOT NULL,        -- JSON: rule, code, values
            fields TEXT NOT NULL,         -- JSON
            read TEXT NOT NULL,           -- JSON: region to text, score, quad
            defects TEXT NOT NULL,        -- JSON: region to label, score, box
            frame_hash TEXT,              -- blake2b-128 of the pixels
            latency_ms REAL NOT NULL,
            stages_ms TEXT NOT NULL,      -- JSON
            evidence TEXT,                -- path of the picture in its folder
            evidence_gone TEXT,           -- or why there is none
            evidence_bytes INTEGER NOT NULL DEFAULT 0,
            CHECK ((evidence IS NULL) = (evidence_gone IS NOT NULL))
        )""",
        # Of a time, of a lot: all that is asked of rows which are not shown. Of a verdict: in the
        # order of the rows, so that the newest few are the first few.
        "CREATE INDEX parts_at ON parts (at, verdict)",
        "CREATE INDEX parts_lot ON parts (lot, verdict, at)",
        "CREATE INDEX parts_verdict ON parts (verdict)",
        "CREATE INDEX parts_kept ON parts (seq, evidence_bytes) WHERE evidence IS NOT NULL",
        "CREATE INDEX parts_writing ON parts (seq) WHERE evidence_gone = 'writing'",
        # A signal may be told before its part is written, and more than once.
        """CREATE TABLE signals (
            part TEXT NOT NULL,
            output TEXT NOT NULL,
            said TEXT NOT NULL,
            at INTEGER NOT NULL,          -- ms since 1970 UTC
            acknowledged INTEGER,         -- likewise
            error TEXT,
            PRIMARY KEY (part, output, said, at)
        ) WITHOUT ROWID""",
        # How far each forwarder has come.
        "CREATE TABLE cursors (name TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID",
    ),
    (
        "ALTER TABLE parts ADD COLUMN golden TEXT",  # name of the golden part that it is
        """CREATE TABLE challenges (
            id TEXT PRIMARY KEY,
            at INTEGER NOT NULL,          -- ms since 1970 UTC
            ended INTEGER NOT NULL,
            by TEXT NOT NULL,
            ending TEXT NOT NULL,         -- passed, wrong, aborted, timeout, stopped
            shown TEXT NOT NULL           -- JSON: golden part, what was expected, what came out
        ) WITHOUT ROWID""",
        """CREATE TABLE warnings (
            at INTEGER NOT NULL,          -- ms since 1970 UTC
            name TEXT NOT NULL,
            en TEXT,                      -- what is worth a look; nothing: it is over
            zh TEXT,
            PRIMARY KEY (at, name)
        ) WITHOUT ROWID""",
    ),
)
"""What leads from each version of the tables to the next, from none at all to today's."""


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the database of a station, made or brought up to date where needed.

    Raises
    ------
    StorageError
        It cannot be opened or written, is damaged, or another program or a newer one wrote it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path}: cannot be opened ({_cause(error)}): check the path") from error
    try:
        version = _version(base, path)
        mode = base.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StorageError(f"{path}: this file system is none for records: choose a local disk")
        base.execute("PRAGMA synchronous = FULL")
        base.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        if version < len(MIGRATIONS):
            _migrate(base, version)
    except (InputError, sqlite3.Error) as error:
        base.close()
        if isinstance(error, InputError):
            raise StorageError(str(error)) from error
        raise unusable(path, error) from error
    except StorageError:
        base.close()
        raise
    base.row_factory = sqlite3.Row
    return base


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a database to look into, whether a station writes to it or not.

    Raises
    ------
    InputError
        There is none, it is no database of records, or of another version.
    """
    if not path.is_file():
        raise InputError(f"{path}: no records there: run the station, or check the path")
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        base = _connect(uri)
        try:
            version = _version(base, path)
        except sqlite3.OperationalError:
            # In a folder that only the station may write to, there is no log while it stands still,
            # and SQLite would have to make one; nobody writes then.
            base.close()
            if path.with_name(f"{path.name}-wal").exists():
                raise
            base = _connect(f"{uri}&immutable=1")
            version = _version(base, path)
    except sqlite3.Error as error:
        raise InputError(str(unusable(path, error))) from error
    if version < len(MIGRATIONS):
        base.close()
        raise InputError(f"{path}: is of an older lineguard: start the station once, it is renewed")
    return base


def _connect(uri: str) -> sqlite3.Connection:
    base = sqlite3.connect(uri, uri=True, timeout=BUSY_S, check_same_thread=False)
    base.row_factory = sqlite3.Row
    return base


def _version(base: sqlite3.Connection, path: Path) -> int:
    """Which version its tables have; 0 if there are none yet."""
    application = base.execute("PRAGMA application_id").fetchone()[0]
    version = int(base.execute("PRAGMA user_version").fetchone()[0])
    tables = base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION and (tables or version):
        raise InputError(f"{path}: is a database of another program: choose another path")
    if version > len(MIGRATIONS):
        raise InputError(
            f"{path}: a newer lineguard wrote it (tables {version}, this one knows "
            f"{len(MIGRATIONS)}): update lineguard, or choose another path"
        )
    return version


def _migrate(base: sqlite3.Connection, version: int) -> None:
    base.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[version:]:
            for statement in step:
                base.execute(statement)
        base.execute(f"PRAGMA application_id = {APPLICATION}")
        base.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        base.execute("COMMIT")
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
            base.execute("ROLLBACK")
        raise


def unusable(path: Path, error: sqlite3.Error) -> StorageError:
    """What SQLite says of a database, with the mend."""
    if isinstance(error, sqlite3.OperationalError):
        mend = "check the disk, its space and who may write there"
    else:  # its bytes are not those of a database
        mend = "move it away to have it examined, or choose another path"
    return StorageError(f"{path}: cannot be used ({error}): {mend}")


def _cause(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
