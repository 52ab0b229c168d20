"""The result of a compression as a file, and its verdict."""

from pathlib import Path

import pytest
from report_lab import accuracy, artefact, print_changes, result, speed, square

from compress.result import Changes, Result, load_result
from models.errors import InputError


def saved(of: Result, folder: Path) -> Path:
    path = folder / "result.json"
    path.write_bytes(of.as_json())
    return path


def test_round_trip_keeps_pictures_and_marks(tmp_path: Path) -> None:
    changes = print_changes(tmp_path, [("AB", "AB", "A8", 1.0)])
    mark = square(1, 2, label="孔")
    changes = changes.model_copy(
        update={"worst": (*changes.worst, changes.worst[0].model_copy(update={"after": (mark,)}))}
    )
    given = result(changes=changes)
    assert changes.worst[0].jpeg[:2] == b"\xff\xd8"
    assert load_result(saved(given, tmp_path)) == given


def test_an_empty_answer_stays_what_it_was(tmp_path: Path) -> None:
    changes = print_changes(tmp_path, [("", "", "A", 1.0)])
    nothing = changes.worst[0].model_copy(update={"truth": (), "before": ()})
    given = result(changes=changes.model_copy(update={"worst": (nothing,)}))
    back = load_result(saved(given, tmp_path)).changes
    assert isinstance(back, Changes)
    assert (back.worst[0].truth, back.worst[0].after) == ((), "A")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[]", "no compression result of schema 1 \\(it says None\\)"),
        (b'{"schema_version": 2}', "schema 1 \\(it says 2\\)"),
        (b'{"schema_version": 1}', "lineguard: Field required"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        load_result(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_result(tmp_path / "none.json")


def test_verdict_of_what_passed_speaks_of_the_worst() -> None:
    some = (
        artefact("x86-onnx int8", 3_000_000, accuracy=accuracy(0.91, 0.0087), speed=speed(2.5)),
        artefact("arm64-onnx int8", 2_500_000, accuracy=accuracy(0.915, 0.003)),
        artefact("arm64-lite int8", 100, accuracy=accuracy(0.5, 0.4), ships=False),
    )
    said = result(artefacts=some).verdict
    assert said == (
        "Passed: every artefact held the gate (at most 1.00% less exact match); the worst of them "
        "loses 0.87%, the fastest takes 40% of the original's processor time, the smallest has 25% "
        "of its bytes."
    )


@pytest.mark.parametrize(("drop", "said"), [(0.0, "loses nothing"), (-0.02, "gains 2.00%")])
def test_verdict_of_what_lost_nothing(drop: float, said: str) -> None:
    some = (artefact("x86-onnx int8", 3_000_000, accuracy=accuracy(0.93, drop)),)
    assert said in result(artefacts=some).verdict


def test_verdict_of_a_failure_names_stage_and_what_ships() -> None:
    failed = {"passed": False, "failed_stage": "quantise", "why": "loses 3%", "artefacts": ()}
    assert result(**failed).verdict == "Failed at quantise: loses 3%; what ships: nothing."
