"""`lineguard records`: parts are found again, shown and exported, whatever their lot is called."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from cli_lab import files, lineguard, refused, write_station
from hypothesis import given, settings
from hypothesis import strategies as st
from records_lab import START, mixed, part_verdict, record, table
from verdict_lab import WRONG_LOT

from edge.io.base import Signalled
from edge.records.output import RecordsOutput
from edge.records.query import Query, Records
from edge.verdict import Outcome
from models.errors import StorageError
from models.ppocr.geometry import box_quad
from models.results import Defect, Findings, TextLine
from tools.export_records import COLUMNS, Page, export_records, flat

SEEN = Outcome(
    WRONG_LOT.judgement,
    {
        "label": Findings((TextLine("批号L26I1A", 0.987, box_quad(20, 20, 60, 40), (0.9,)),)),
        "lid": Findings((), (Defect("scratch", 0.61, np.array([80, 50, 100, 70], np.float32)),)),
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of 12 parts of three lots, an hour apart, every third NG."""
    folder = tmp_path_factory.mktemp("cli-records")
    lots = ["L1", "'; DROP TABLE parts; --", "批号 “7”"]
    verdicts = [
        part_verdict(
            each.number,
            each.outcome,
            lot=lots[each.number % 3],
            time_of=START + timedelta(hours=each.number),
        )
        for each in mixed(12)
    ]
    record(folder, verdicts)
    return folder


def found(folder: Path, *args: object) -> list[int]:
    done = lineguard("records", "query", "--db", folder, *args, "--json", cwd=folder)
    assert (done.code, done.err) == (0, "")
    return [each["part"] for each in done.json["records"]]


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (("--verdict", "NG", "--limit", "3", "--reason", "lot:mismatch"), [12, 9, 6]),
        (("--lot", "'; DROP TABLE parts; --", "--part", part_verdict(7).id), [7]),
        (("--since", "2026-11-22T11:00+00:00", "--until", "2026-11-22T13:00Z"), [4, 3]),
    ],
)
def test_parts_are_found_by_what_is_known_of_them(
    folder: Path, args: tuple[str, ...], parts: list[int]
) -> None:
    assert found(folder, *args) == parts


def test_a_table_for_people(folder: Path) -> None:
    done = lineguard("records", "query", "--db", folder, cwd=folder, COLUMNS="160", TZ="UTC")
    head, first, *_ = done.out.splitlines()
    assert head.split() == ["time", "id", "lot", "ms", "why"]
    assert first.split()[:2] == ["2026-11-22", "20:00:00"]
    assert "lot: read “L26I1A”, expected “L2611A”" in first
    done = lineguard("records", "query", "--db", folder, "--lot", "none", cwd=folder)
    assert (done.code, done.out) == (0, "no such part in the records\n")


def test_the_station_file_says_where_they_are(tmp_path: Path) -> None:
    name = write_station(tmp_path, "line:?kind=cap")
    with (tmp_path / name).open("a") as file:
        file.write('[records]\npath = "kept"\n')
    record(tmp_path / "kept", mixed(3))
    for args in ([], [name]):
        done = lineguard("records", "query", *args, "--json", cwd=tmp_path)
        assert len(done.json["records"]) == 3


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("query", "records: whose? name a station file, or give --db FOLDER"),
        ("query --db nowhere", "nowhere: no records there: run the station, or check the path"),
        ("query s.toml --db d", "records: name a station or give --db, not both"),
        ("query s.toml", "s.toml: has no [records], so nothing is kept: add it and run again"),
        ("query --db d --since yesterday", "--since yesterday: is no time: write 2026-11-22 or"),
        ("query --db d --until 99999-01-01", "--until 99999-01-01: is no time"),
        ("query --db d --reason mismach", "no part is rejected for that: did you mean 'mismatch'?"),
        ("show nobody --db d", "nobody: no such part in d/records.db: see"),
        ("export out.xls --db d", "out.xls: which format? give --format, or end it in .csv"),
        ("export no/out.csv --db d", "no/out.csv: is no place for a file"),
        ("export d --db d --format csv", "d: is no place for a file"),
        ("show {id} --db d --picture x.png", "has no picture: the policy keeps none of such parts"),
        ("show {ng} --db d --picture x.doc", "x.doc: .doc: no such image format: use .png or .jpg"),
        ("show {gone} --db d --picture x.png", "cannot be read"),
    ],
)
def test_what_cannot_be_is_one_line(args: str, words: str, tmp_path: Path) -> None:
    (tmp_path / write_station(tmp_path, "folder:parts")).rename(tmp_path / "s.toml")
    record(tmp_path / "d", mixed(6))
    next((tmp_path / "d").rglob(f"{part_verdict(6).id}.jpg")).unlink()
    Records(tmp_path / "d").close()  # SQLite leaves two empty files of a reader
    ids = {"id": part_verdict(1).id, "ng": part_verdict(3).id, "gone": part_verdict(6).id}
    (error,) = refused("records", *args.format(**ids).split(), cwd=tmp_path)
    assert words in error


def test_one_part_with_its_signals_and_its_picture(tmp_path: Path) -> None:
    verdict = part_verdict(9, SEEN, shape=(96, 128))
    output = RecordsOutput(table(tmp_path / "kept"))
    output.verdict(verdict)
    at = START.timestamp()
    output.signalled(Signalled(verdict.id, "plc", "NG", at, at + 0.01))
    output.signalled(Signalled(verdict.id, "mqtt", "NG", at + 1, None, "no broker"))
    output.close()
    args = ("records", "show", verdict.id, "--db", "kept")
    done = lineguard(*args, "--picture", "part.png", cwd=tmp_path, TZ="UTC")
    assert (done.code, done.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.out.splitlines() if line.count(" ") > 1)
    assert lines["verdict"] == "NG"
    assert lines["because"] == "lot: read “L26I1A”, expected “L2611A”"
    assert lines["plc"] == "NG at 2026-11-22 08:00:00: acknowledged"
    assert lines["mqtt"] == "NG at 2026-11-22 08:00:01: no broker"
    assert "written: part.found.png" in done.out
    plain, drawn = (cv2.imread(str(tmp_path / f"part{kind}.png")) for kind in ("", ".found"))
    assert plain is not None
    assert drawn is not None
    assert plain.shape == drawn.shape == (96, 128, 3)
    assert (abs(plain.astype(int) - 9) <= 1).all()
    changed = (plain != drawn).any(axis=2)
    assert changed[20, 20:60].all()  # the top of the line of print
    assert changed[48, 80:100].all()  # around the defect
    shown = lineguard(*args, "--json", cwd=tmp_path).json
    assert [each["output"] for each in shown["signals"]] == ["plc", "mqtt"]
    assert {rule["name"] for rule in shown["thresholds"]["rules"]} >= {"lot", "best-before"}


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_an_export_holds_every_part_in_order(folder: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / f"out.{form}"
    out.write_text("what was there before")
    args = ("--db", folder, "--since", "2026-11-22T11:00+00:00", "--json")
    done = lineguard("records", "export", out, *args, cwd=tmp_path)
    assert (done.code, done.json) == (0, {"records": 10, "file": str(out)})
    assert list(files(tmp_path)) == [f"out.{form}"]
    with Records(folder) as records:
        kept = records.find(Query(), 10)[::-1]
    if form == "json":
        assert json.loads(out.read_text()) == kept
    elif form == "csv":
        rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8-sig"))))
        assert rows == [
            {key: "" if value is None else str(value) for key, value in flat(each).items()}
            for each in kept
        ]
    else:
        parquet = pq.read_table(out)
        assert parquet.column_names == list(COLUMNS)
        times = [each.isoformat(timespec="milliseconds") for each in parquet["time"].to_pylist()]
        assert times == [each["time"] for each in kept]
        assert parquet["lot"].to_pylist() == [each["lot"] for each in kept]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_an_empty_export_is_a_sound_file(folder: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    args = ("--format", form, "--db", folder, "--lot", "none")
    assert lineguard("records", "export", out, *args, cwd=tmp_path).code == 0
    if form == "json":
        assert json.loads(out.read_text()) == []
    elif form == "csv":
        assert list(csv.DictReader(io.StringIO(out.read_text("utf-8-sig")))) == []
    else:
        assert pq.read_table(out).num_rows == 0


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
@settings(max_examples=50, deadline=None)
def test_any_lot_survives_csv(tmp_path_factory: pytest.TempPathFactory, lot: str) -> None:
    made: dict[str, object] = {**dict.fromkeys(COLUMNS, "x")} | {
        "lot": lot,
        "reasons": [],
        "bundle": None,
    }
    path = tmp_path_factory.getbasetemp() / "lot.csv"
    export_records([[made]], path, "csv")
    text = path.read_bytes().decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["lot"] == lot


def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("before")

    def pages() -> Iterator[Page]:
        yield []
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        export_records(pages(), out, "csv")
    assert files(tmp_path) == {"out.csv": b"before"}
