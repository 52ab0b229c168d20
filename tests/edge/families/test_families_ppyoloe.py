"""Detectors of a station: opened, refused, and reporting all that its rules ask for."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.families import open_inspector
from edge.families.ppyoloe import open_detector
from edge.judge import Judgement, judge
from edge.loop.line import open_models
from edge.station import Station, load_station
from models.errors import ConfigError, EngineError, ModelError
from models.ppyoloe.config import sidecar
from models.results import Findings
from models.stopwatch import Stopwatch

SpotsMaker = Callable[..., Path]

STATION = """
[station]
name = "boards"
deadline_ms = 5000
[[cameras]]
name = "top"
source = "folder:parts"
[models.surface]
family = "ppyoloe"
det = "{det}"
labels = {labels}
[[regions]]
name = "face"
camera = "top"
model = "surface"
box = [32, 32, 160, 128]
[[rules]]
name = "clean"
kind = "no_defect"
region = "face"
{more}
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEGUARD_CACHE", str(tmp_path / "cache"))


def station(
    folder: Path, more: str = "", labels: tuple[str, ...] = ("red", "green", "blue")
) -> Station:
    text = STATION.format(det="spots.onnx", labels=json.dumps(labels), more=more)
    (folder / "station.toml").write_text(text)
    return load_station(folder / "station.toml")


def frame(value: int) -> NDArray[np.uint8]:
    """One spot in the region, and a bright one beside it."""
    image = np.zeros((200, 200, 3), np.uint8)
    image[64:72, 64:72, 1] = value
    image[8:16, 8:16, 1] = 255
    return image


def looked(at: Station, value: int) -> tuple[Findings, Judgement]:
    """What is found and what is judged of a frame."""
    inspector = open_models(at)["surface"]
    findings = inspector.inspect(frame(value), at.regions[0], Stopwatch())
    return findings, judge(at.rules, {"face": findings}, at.job, date(2026, 3, 1))


def test_a_detector_is_opened_with_what_stands_beside_it(tmp_path: Path, spots: SpotsMaker) -> None:
    detector = open_detector(str(spots(tmp_path)), threads=1)
    assert detector.config.labels == ("red", "green", "blue")
    (defect,) = detector.detect(frame(230)[32:128, 32:160])
    assert (defect.label, defect.box.tolist()) == ("green", [28, 28, 44, 44])


def test_a_network_of_one_size_is_opened_too(tmp_path: Path, spots: SpotsMaker) -> None:
    detector = open_detector(str(spots(tmp_path, fixed=(128, 96))), threads=1)
    (defect,) = detector.detect(frame(230), (32, 32, 160, 128))
    assert defect.box.tolist() == [60, 60, 76, 76]


def test_a_missing_configuration_says_what_it_is(tmp_path: Path, spots: SpotsMaker) -> None:
    path = spots(tmp_path)
    sidecar(path).unlink()
    with pytest.raises(ModelError, match=r"spots\.json: cannot be read .* copy it from where"):
        open_detector(str(path), threads=1)
    with pytest.raises(ModelError, match="no such model file"):
        open_detector(str(tmp_path / "gone.onnx"), threads=1)


def test_other_labels_than_the_models_are_refused(tmp_path: Path, spots: SpotsMaker) -> None:
    spots(tmp_path)
    for labels in (("green", "red", "blue"), ("red", "green")):  # order counts
        with pytest.raises(ConfigError) as caught:
            open_models(station(tmp_path, labels=labels))
        (fault,) = caught.value.faults
        assert fault.startswith("models.surface: ")
        assert 'spots.json: the classes are "red", "green", "blue", the station has' in fault
        assert fault.endswith(': write labels = ["red", "green", "blue"] there')


def test_a_configuration_of_another_network_is_refused(tmp_path: Path, spots: SpotsMaker) -> None:
    path = spots(tmp_path, classes=2)
    with pytest.raises(EngineError, match=r"spots\.onnx: .* scores of 2 classes.* has 3 labels"):
        open_detector(str(path), threads=1)
    path = spots(tmp_path, fixed=(128, 96), size=(64, 64))
    with pytest.raises(EngineError, match=r"spots\.onnx: input image: expected "):
        open_detector(str(path), threads=1)


def test_a_model_that_is_none_is_refused(tmp_path: Path, spots: SpotsMaker) -> None:
    path = spots(tmp_path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(EngineError, match="ONNX Runtime refuses it"):
        open_detector(str(path), threads=1)


def test_a_rule_that_gives_no_score_goes_by_the_models_own(
    tmp_path: Path, spots: SpotsMaker
) -> None:
    spots(tmp_path, threshold=0.3)
    at = station(tmp_path)
    assert looked(at, 80)[1].ok is False  # 0.31
    findings, judgement = looked(at, 70)  # 0.27
    assert (judgement.ok, findings.defects) == (True, ())


@pytest.mark.parametrize(("value", "ok"), [(40, False), (36, True)])
def test_a_rule_may_ask_for_less_sure_defects_than_the_model(
    tmp_path: Path, spots: SpotsMaker, value: int, ok: bool
) -> None:
    """A threshold of the model above the rule's would let defects through."""
    spots(tmp_path, threshold=0.9)
    findings, judgement = looked(station(tmp_path, "min_score = 0.15"), value)
    assert judgement.ok is ok
    assert findings.floor == 0.15
    for defect in findings.defects:
        assert defect.box.tolist() == [60, 60, 76, 76]


def test_a_surer_rule_leaves_the_rest_in_the_record(tmp_path: Path, spots: SpotsMaker) -> None:
    spots(tmp_path, threshold=0.4)
    findings, judgement = looked(station(tmp_path, "min_score = 0.95"), 200)
    assert judgement.ok
    assert [round(defect.score, 2) for defect in findings.defects] == [0.78]


def test_the_smallest_score_of_all_rules_counts(tmp_path: Path, spots: SpotsMaker) -> None:
    spots(tmp_path)
    more = "\n".join(
        f'[[rules]]\nname = "r{score}"\nkind = "count"\nregion = "face"\nlabel = "red"\nmax = 0\n'
        f"min_score = 0.{score}"
        for score in (2, 7)
    )
    at = station(tmp_path, more)
    assert at.min_score_of("surface") == 0.2
    assert at.min_score_of("other") is None
    assert station(tmp_path).min_score_of("surface") is None
    assert looked(at, 0)[0].floor == 0.2


def test_more_than_can_be_judged_is_ng(tmp_path: Path, spots: SpotsMaker) -> None:
    """Of 300 specks too small to count, none may hide a large defect that is less sure."""
    spots(tmp_path)
    at = station(tmp_path, "min_score = 0.1\nmin_size_px = 99")
    inspector = open_inspector("surface", at.models["surface"], 0.1)
    bright = np.full((200, 200, 3), 255, np.uint8)
    findings = inspector.inspect(bright, at.regions[0], Stopwatch())
    judgement = judge(at.rules, {"face": findings}, at.job, date(2026, 3, 1))
    assert findings.floor > 0.1
    assert [reason.code for reason in judgement.reasons] == ["too_many"]
    assert judgement.reasons[0].text().startswith("clean: too much was found")
