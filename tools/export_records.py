"""Records as a file for other programs: CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from models.errors import InputError, StorageError

__all__ = ["COLUMNS", "Format", "Page", "export_records", "flat"]

Format = Literal["csv", "json", "parquet"]

Page = list[dict[str, Any]]
"""Records as :class:`edge.records.query.Records` reads them, some hundred at a time."""

COLUMNS: Mapping[str, type] = {
    "seq": int,
    "id": str,
    "time": str,
    "station": str,
    "camera": str,
    "part": int,
    "product": str,
    "lot": str,
    "verdict": str,
    "reason_codes": str,
    "reasons": str,
    "fields": str,
    "read": str,
    "defects": str,
    "latency_ms": float,
    "stages_ms": str,
    "frame_hash": str,
    "bundle": str,
    "settings": str,
    "evidence": str,
    "evidence_gone": str,
    "golden": str,
}
"""Columns of tables; what is nested in a record is JSON there."""


def export_records(pages: Iterable[Page], path: Path, form: Format) -> None:
    """Write a file, whole or not at all; memory holds one page at a time.

    JSON is one list, a record a line. CSV begins with a byte order mark, without which
    spreadsheets take Chinese for noise.

    Raises
    ------
    InputError
        Parquet is asked for and its library is not installed.
    StorageError
        The file cannot be written; what was there before still is.
    """
    write = {"csv": _write_csv, "json": _write_json, "parquet": _write_parquet}[form]
    try:
        with _replacing(path) as file:
            write(pages, file)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}): "
            "free some space or choose another folder"
        ) from error


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as one row of a table, by :data:`COLUMNS`."""
    row = {"golden": None, **record}
    row["reason_codes"] = " ".join(f"{r['rule']}:{r['code']}".lstrip(":") for r in row["reasons"])
    row["reasons"] = "; ".join(reason["en"] for reason in row["reasons"])
    if row["bundle"] is not None:
        row["bundle"] = "{name} {version}".format_map(row["bundle"])
    for key in ("fields", "read", "defects", "stages_ms"):
        row[key] = json.dumps(row[key], ensure_ascii=False)
    return {column: row[column] for column in COLUMNS}


def _write_csv(pages: Iterable[Page], file: BinaryIO) -> None:
    lines = _Lines(file)
    file.write(b"\xef\xbb\xbf")
    table = csv.DictWriter(lines, list(COLUMNS))
    table.writeheader()
    for page in pages:
        table.writerows(map(flat, page))


class _Lines:
    """Takes text for a file of bytes; unlike a text wrapper it leaves the file open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode("utf-8", "replace"))


def _write_json(pages: Iterable[Page], file: BinaryIO) -> None:
    between = b"["
    for page in pages:
        for record in page:
            file.write(between + b"\n" + json.dumps(record, ensure_ascii=False).encode())
            between = b","
    file.write(b"\n]\n" if between == b"," else b"[]\n")


def _write_parquet(pages: Iterable[Page], file: BinaryIO) -> None:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise InputError(
            "pyarrow is not installed, and Parquet needs it: pip install 'lineguard[parquet]', "
            "or choose --format csv"
        ) from error
    kinds = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    # A time of its own type, so that nobody has to take texts apart.
    place = schema.get_field_index("time")
    schema = schema.set(place, pa.field("time", pa.timestamp("ms", tz="UTC")))
    with pq.ParquetWriter(file, schema) as writer:
        for page in pages:
            rows = [flat(record) for record in page]
            for row in rows:
                row["time"] = _moment(row["time"])
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _moment(time: str) -> object:
    from datetime import datetime

    return datetime.fromisoformat(time)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of ``path`` if all goes well, and else leaves no trace."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide it from its readers
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
