"""``lineguard records challenges | warnings``, and a station that is locked, by its command."""

from pathlib import Path

from challenge_lab import golden_table
from cli_lab import lineguard
from records_lab import START, part_verdict, table
from verdict_lab import WRONG_LOT

from edge.challenge.result import Challenged, Shown
from edge.records.output import RecordsOutput


def leave(folder: Path) -> None:
    output = RecordsOutput(table(folder))
    good, bad = golden_table().parts
    shown = (Shown.of(good, part_verdict(1)), Shown.of(bad, part_verdict(2, WRONG_LOT)))
    output.challenged(Challenged("c1", START, START, "[red]Wang Li", "passed", shown))
    output.challenged(Challenged("c0", START, START, "Li Na", "aborted", ()))
    output.warned(START, "top label brightness", "brightness 90, was 100", "亮度 90")
    output.close()


def test_challenges_and_warnings_are_shown(tmp_path: Path) -> None:
    leave(tmp_path / "r")
    shown = lineguard("records", "challenges", "--db", "r", cwd=tmp_path, COLUMNS="160")
    assert shown.code == 0
    for words in ("[red]Wang Li", "passed", "good one", "bad one", "NG", "Li Na", "aborted"):
        assert words in shown.out
    found = lineguard("records", "challenges", "--db", "r", "--json", cwd=tmp_path).json
    assert [len(each["shown"]) for each in found["challenges"]] in ([2, 0], [0, 2])
    warned = lineguard("records", "warnings", "--db", "r", cwd=tmp_path)
    assert "top label brightness: brightness 90, was 100" in warned.out
    found = lineguard("records", "warnings", "--db", "r", "--json", cwd=tmp_path).json
    assert found["warnings"][0]["zh"] == "亮度 90"


def test_records_without_any_say_so(tmp_path: Path) -> None:
    RecordsOutput(table(tmp_path / "r")).close()
    assert "no challenge" in lineguard("records", "challenges", "--db", "r", cwd=tmp_path).out
    assert "no warning" in lineguard("records", "warnings", "--db", "r", cwd=tmp_path).out
