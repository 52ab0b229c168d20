"""Sweeps: all combinations, the best ones, what is kept, and what fails."""

import json
from pathlib import Path

import pytest
from measure_lab import make_document, tiny_model

from models.errors import ModelError
from tools.measure import sweep as module
from tools.measure.document import Scenario
from tools.measure.session import Interrupted
from tools.measure.sweep import Cell, Outcome, Swept, best, cells_of, sweep
from tools.measure.sweep_page import as_sweep_lines, as_sweep_page

SHORT = Scenario(name="SingleStream", seconds=0.1, queries=60)


def never() -> bool:
    return False


def outcome(ms: float, accuracy: float | None, model: str = "m.onnx") -> Outcome:
    document = make_document(ms=ms)
    what = document.what | {"precision": "fp32", "inputs": {"x": [1, 8]}}
    return Outcome(Cell(model, 1, {}, 1), document.model_copy(update={"what": what}), "", accuracy)


def test_all_combinations_models_changing_fastest() -> None:
    cells = cells_of(["a", "b"], [1, 2], [{"x": [1, 8]}, {"x": [1, 16]}], [1, 4])
    assert len(cells) == len(set(map(repr, cells))) == 16
    assert [cell.model for cell in cells[:4]] == ["a", "b", "a", "b"]
    assert cells_of(["a"], [1], [], [1]) == [Cell("a", 1, {}, 1)]
    assert cells[-1].spec()["shapes"] == {"x": [4, 16]}


def test_the_best_are_those_that_no_other_beats() -> None:
    outcomes = [outcome(10, 0.9), outcome(5, 0.8), outcome(7, 0.7), outcome(20, 0.9)]
    assert best(outcomes) == {0, 1}
    assert best([outcome(9, None), outcome(8, None)]) == {1}
    assert best([Outcome(Cell("m", 1, {}, 1), None, "died")]) == set()


@pytest.mark.slow
def test_a_sweep_is_measured_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, other = (str(tiny_model(tmp_path / name)) for name in ("a.onnx", "b.onnx"))
    cells = cells_of([good, str(tmp_path / "none.onnx"), other], [1], [], [1])
    asked: list[str] = []

    def accuracy(path: Path, threads: int) -> float:
        asked.append(path.name)
        return 0.5

    out = tmp_path / "out"
    swept = sweep(cells, lambda cell: SHORT, out, never, accuracy, "AP50")
    assert [bool(each.document) for each in swept.outcomes] == [True, False, True]
    assert "none.onnx" in swept.outcomes[1].fault
    assert swept.outcomes[0].accuracy == 0.5
    rows = json.loads(swept.as_json())["cells"]
    assert rows[0]["engine"] == "onnxruntime"
    assert rows[0]["figures"]["p50"]["value"] > 0
    assert rows[1]["fault"]
    assert sum(row["best"] for row in rows) >= 1

    def no_more(*args: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(module, "measure", no_more)
    again = sweep(cells, lambda cell: SHORT, out, never)
    assert again.outcomes[0].document == swept.outcomes[0].document
    assert again.outcomes[0].accuracy is None
    page = as_sweep_page(swept).decode()
    assert "AP50" in page
    assert "<circle" in page
    assert "failed: " in page
    assert str(tmp_path) not in page.replace(swept.outcomes[1].fault, "")
    assert len(as_sweep_lines(swept)) == 2


@pytest.mark.slow
def test_one_that_was_cut_short_or_torn_is_measured_again(tmp_path: Path) -> None:
    cells = cells_of([str(tiny_model(tmp_path / "a.onnx"))], [1], [], [1])
    asked = iter([False] * 3 + [True] * 1000)
    long = Scenario(name="SingleStream", seconds=60, queries=60)
    try:
        cut = sweep(cells, lambda cell: long, tmp_path, lambda: next(asked))
    except Interrupted:
        pass
    else:
        assert cut.outcomes[0].fault
    assert not list(tmp_path.glob("cells/*"))
    whole = sweep(cells, lambda cell: SHORT, tmp_path, never)
    (file,) = tmp_path.glob("cells/*")
    file.write_bytes(file.read_bytes()[:100])
    again = sweep(cells, lambda cell: SHORT, tmp_path, never)
    assert again.outcomes[0].document
    assert whole.outcomes[0].document
    assert again.outcomes[0].document.started >= whole.outcomes[0].document.started


def test_a_sweep_of_nothing_that_is_there_is_one_error(tmp_path: Path) -> None:
    cells = cells_of([str(tmp_path / "none.onnx"), "zoo:nothing"], [1], [], [1])
    with pytest.raises(ModelError, match=r"none\.onnx: no such model file"):
        sweep(cells, lambda cell: SHORT, tmp_path / "out", never)
    assert not (tmp_path / "out").exists()


def test_a_page_without_accuracy_has_no_plot() -> None:
    page = as_sweep_page(Swept((outcome(5, None),))).decode()
    assert "<circle" not in page
    assert "m.onnx" in page
