"""``lineguard records``: what became of a part, months later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich.table import Table
from rich.text import Text

from models.errors import ConfigError, InputError
from tools.cli.output import JSON, console, print_json, track

if TYPE_CHECKING:
    from edge.records.query import Query, Records

__all__ = ["app"]

app = typer.Typer(
    help="What is kept of every part: rows, and pictures of those that matter.",
    no_args_is_help=True,
)

STATION = typer.Argument(
    None, metavar="[STATION]", help="The station file; station.toml of this folder if left out."
)
DB = typer.Option(None, "--db", help="Instead of a station: the folder of records, or its .db.")
PART = typer.Option(None, "--part", help="Only the part of this id.")
LOT = typer.Option(None, "--lot", help="Only this lot, exactly so.")
VERDICT = typer.Option(None, "--verdict", help="Only these: OK or NG.")
SINCE = typer.Option(None, "--since", help="From this time on: 2026-11-22, or 2026-11-22T14:30.")
UNTIL = typer.Option(None, "--until", help="Before this time; without a zone it is this machine's.")
REASON = typer.Option(
    None, "--reason", help="Rejected for this: a code like mismatch, or RULE:CODE."
)


@app.command()
def query(
    station: Path | None = STATION,
    db: Path | None = DB,
    part: str | None = PART,
    lot: str | None = LOT,
    verdict: Literal["OK", "NG"] | None = VERDICT,
    since: str | None = SINCE,
    until: str | None = UNTIL,
    reason: str | None = REASON,
    limit: int = typer.Option(20, min=1, max=100_000, help="So many at most, the newest first."),
    as_json: bool = JSON,
) -> None:
    """Show the newest parts that are asked for, newest first.

    Example: lineguard records query --lot L2611A --verdict NG
    """
    wanted = _query(part, lot, verdict, since, until, reason)
    with _records(station, db) as records:
        found = records.find(wanted, limit)
    if as_json:
        print_json({"records": found})
        return
    if not found:
        console.print("no such part in the records")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("time", "id"):
        table.add_column(name, no_wrap=True)  # an id can be copied in one piece
    for name in ("lot", "", "ms", "why"):
        table.add_column(name)
    for each in found:
        style = "green" if each["verdict"] == "OK" else "red"
        table.add_row(
            _local(each["time"]),
            Text(each["id"]),
            Text(each["lot"] or ""),
            Text(each["verdict"], style),
            f"{each['latency_ms']:.0f}",
            Text("; ".join(_why(each))),
        )
    console.print(table)


@app.command()
def challenges(
    station: Path | None = STATION,
    db: Path | None = DB,
    limit: int = typer.Option(20, min=1, max=100_000, help="So many at most, the newest first."),
    as_json: bool = JSON,
) -> None:
    """Show when golden parts were shown, by whom, and what the station said of them.

    Example: lineguard records challenges --limit 3
    """
    with _records(station, db) as records:
        found = records.challenges(limit)
    if as_json:
        print_json({"challenges": found})
        return
    if not found:
        console.print("no challenge in the records")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("time", "by", "", "golden part", "expected", "said", "id"):
        table.add_column(name, no_wrap=name in ("time", "id"))
    for each in found:
        style = "green" if each["ending"] == "passed" else "red"
        first = [Text(_local(each["time"])), Text(each["by"]), Text(each["ending"], style)]
        for shown in each["shown"] or [{}]:
            row = [Text(shown.get(key, "")) for key in ("name", "expected", "verdict", "part")]
            table.add_row(*first, *row)
            first = [Text(), Text(), Text()]
    console.print(table)


@app.command()
def warnings(
    station: Path | None = STATION,
    db: Path | None = DB,
    limit: int = typer.Option(20, min=1, max=100_000, help="So many at most, the newest first."),
    as_json: bool = JSON,
) -> None:
    """Show what drifted, and when: brightness, scores.

    Example: lineguard records warnings
    """
    with _records(station, db) as records:
        found = records.warnings(limit)
    if as_json:
        print_json({"warnings": found})
        return
    if not found:
        console.print("no warning in the records")
    for each in found:
        words = f"{_local(each['time'])}  {each['name']}: {each['en'] or 'over'}"
        console.print(words, soft_wrap=True, highlight=False, markup=False)


@app.command()
def export(
    out: Path = typer.Argument(help="File to write; replaced only once all of it is there."),
    station: Path | None = STATION,
    db: Path | None = DB,
    form: Literal["csv", "json", "parquet"] | None = typer.Option(
        None, "--format", help="csv, json or parquet; the ending of the file if left out."
    ),
    part: str | None = PART,
    lot: str | None = LOT,
    verdict: Literal["OK", "NG"] | None = VERDICT,
    since: str | None = SINCE,
    until: str | None = UNTIL,
    reason: str | None = REASON,
    as_json: bool = JSON,
) -> None:
    """Write all parts that are asked for to a file, in the order in which they came.

    Example: lineguard records export november.csv --since 2026-11-01 --until 2026-12-01
    """
    from edge.records.query import PAGE
    from tools.export_records import export_records

    ending = out.suffix.removeprefix(".")
    if form is None and ending not in ("csv", "json", "parquet"):
        raise InputError(f"{out}: which format? give --format, or end it in .csv, .json, .parquet")
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"{out}: is no place for a file: name one in a folder that exists")
    wanted = _query(part, lot, verdict, since, until, reason)
    with _records(station, db) as records:
        sequence = records.sequence(wanted)

        def pages() -> Iterator[list[dict[str, Any]]]:
            starts = range(0, len(sequence), PAGE)
            for start in track(starts, "exporting", len(starts)):
                yield records.read(sequence[start : start + PAGE])

        export_records(pages(), out, form or ending)  # type: ignore[arg-type]
    if as_json:
        print_json({"records": len(sequence), "file": str(out)})
    else:
        console.print(f"{len(sequence)} records: {out}", soft_wrap=True, highlight=False)


@app.command()
def show(
    part: str = typer.Argument(metavar="ID", help="Of the part, as `query` and displays say it."),
    station: Path | None = STATION,
    db: Path | None = DB,
    picture: Path | None = typer.Option(
        None,
        "--picture",
        help="Write its picture there as PNG, and beside it one with the overlay.",
    ),
    as_json: bool = JSON,
) -> None:
    """Show all that is known of one part, and write its picture.

    Example: lineguard records show 20261122T080000-ab12-top-17 --picture part.png
    """
    with _records(station, db) as records:
        record = records.part(part)
        if record is None:
            raise InputError(
                f"{part}: no such part in {records.path}: see `lineguard records query`"
            )
        record["signals"] = records.signals(part)
        record["thresholds"] = records.settings(record["settings"])
        written = _write_pictures(records, record, picture) if picture else []
    if as_json:
        print_json(record | {"written": [str(path) for path in written]})
        return
    _show(record)
    for path in written:
        console.print(f"written: {path}", soft_wrap=True, highlight=False)


def _records(station: Path | None, db: Path | None) -> Records:
    """Open what was named."""
    from edge.records.query import Records
    from edge.station import load_station
    from tools.running import register_line

    if db is not None and station is not None:
        raise InputError("records: name a station or give --db, not both")
    if db is not None:
        return Records(db)
    if station is None and not Path("station.toml").exists():
        raise InputError("records: whose? name a station file, or give --db FOLDER")
    path = station or Path("station.toml")
    register_line()
    table = load_station(path).records
    if table is None:
        raise ConfigError([f"{path}: has no [records], so nothing is kept: add it and run again"])
    return Records(Path(table.path))


def _query(
    part: str | None,
    lot: str | None,
    verdict: str | None,
    since: str | None,
    until: str | None,
    reason: str | None,
) -> Query:
    from edge.judge import TEMPLATES
    from edge.records.query import Query
    from models.nearest import nearest

    code = (reason or "").rpartition(":")[2]
    if reason is not None and code not in TEMPLATES:
        near = nearest(code, TEMPLATES)
        mend = f"did you mean {near!r}?" if near else f"one of {', '.join(TEMPLATES)}"
        raise InputError(f"--reason {reason}: no part is rejected for that: {mend}")
    return Query(part, lot, verdict, _time("--since", since), _time("--until", until), reason)


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.strip().replace("Z", "+00:00")).astimezone()
        return time.astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(
            f"{option} {text}: is no time: write 2026-11-22 or 2026-11-22T14:30:00"
        ) from error


def _local(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"


def _show(record: dict[str, Any]) -> None:
    """One part for people, a line for each thing."""
    rows: list[tuple[str, str]] = [
        ("part", f"{record['id']} ({record['station']}, {record['camera']} #{record['part']})"),
        ("time", f"{_local(record['time'])}, {record['time']}"),
        ("product", record["product"]),
        ("lot", record["lot"] or ""),
        ("verdict", record["verdict"]),
        *(("because", why) for why in _why(record)),
        *((name, value) for name, value in record["fields"].items()),
    ]
    for region, lines in record["read"].items():
        rows += [(f"{region} reads", f"{line['text']}  {line['score']}") for line in lines]
    for region, defects in record["defects"].items():
        rows += [(f"{region} shows", f"{d['label']}  {d['score']}  {d['box']}") for d in defects]
    bundle = record["bundle"]
    rows += [
        ("models", "files" if bundle is None else f"{bundle['name']} {bundle['version']}"),
        ("settings", record["settings"]),
        ("frame", record["frame_hash"] or "none"),
        ("picture", record["evidence"] or f"none: {_gone(record)}"),
        ("latency", f"{record['latency_ms']} ms"),
    ]
    for told in record["signals"]:
        answer = told["error"] or ("acknowledged" if told["acknowledged"] else "no answer asked")
        rows.append((told["output"], f"{told['said']} at {_local(told['time'])}: {answer}"))
    for name, value in rows:
        console.print(f"{name:14} {value}", soft_wrap=True, highlight=False, markup=False)


def _why(record: dict[str, Any]) -> list[str]:
    golden = [f"golden part: {record['golden']}"] if "golden" in record else []
    return golden + [reason["en"] for reason in record["reasons"]]


def _gone(record: dict[str, Any]) -> str:
    from edge.records.row import GONE

    return GONE[record["evidence_gone"]][0]


def _write_pictures(records: Records, record: dict[str, Any], out: Path) -> list[Path]:
    """The picture as it was kept, and one with what was found drawn in."""
    from edge.records.overlay import overlay
    from models.atomic import write_atomic
    from models.errors import ImageError
    from models.images import encode_image, load_image

    path = records.picture(record)
    if path is None:
        raise InputError(f"{record['id']}: has no picture: {_gone(record)}")
    image = load_image(path)
    found = out.with_name(f"{out.stem}.found{out.suffix}")
    try:
        files = {out: encode_image(image, out.suffix)}
        files[found] = encode_image(overlay(image, record), out.suffix)
    except ImageError as error:
        raise InputError(f"{out}: {error}") from error
    for name, data in files.items():
        write_atomic(name, data)
    return list(files)
