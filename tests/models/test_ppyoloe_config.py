"""The file beside a detector: written, read, and all that can be wrong with it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ModelError, StorageError
from models.ppyoloe.config import DetectorConfig, read_config, sidecar, write_config

PLAIN: dict[str, Any] = {
    "family": "ppyoloe",
    "variant": "t",
    "labels": ["open", "short"],
    "size": [640, 480],
    "fit": "tile",
    "overlap": 128,
    "mean": [0, 0, 0],
    "std": [1, 1, 1],
    "threshold": 0.4,
    "nms_iou": 0.6,
}


def faults(folder: Path, **keys: Any) -> list[str]:
    """What is said of the plain configuration with other ``keys``; ``...`` leaves one out."""
    path = folder / "pcb.json"
    said = {key: value for key, value in (PLAIN | keys).items() if value is not ...}
    path.write_text(json.dumps(said))
    with pytest.raises(ModelError) as caught:
        read_config(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    config = DetectorConfig(
        variant="s", labels=("划痕", "dent"), size=(640, 480), fit="letterbox", threshold=0.25
    )
    write_config(tmp_path / "a.json", config)
    assert read_config(tmp_path / "a.json") == config


def test_the_file_is_what_was_agreed(tmp_path: Path) -> None:
    (tmp_path / "pcb.json").write_text(json.dumps(PLAIN))
    config = read_config(tmp_path / "pcb.json")
    assert (config.labels, config.size, config.overlap) == (("open", "short"), (640, 480), 128)
    write_config(tmp_path / "again.json", config)
    assert json.loads((tmp_path / "again.json").read_text()) == PLAIN


def test_it_lies_beside_the_model() -> None:
    assert sidecar(Path("models/pcb-t.onnx")) == Path("models/pcb-t.json")
    assert sidecar(Path("pcb.v2.nb")) == Path("pcb.v2.json")


def test_a_misspelt_key_is_named_with_the_nearest(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, treshold=0.5)
    assert fault == 'treshold: unknown key: did you mean "threshold"?'
    (fault,) = faults(tmp_path, zzz=1)
    assert fault.startswith("zzz: unknown key: there are family, variant, labels, ")


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    told = faults(tmp_path, labels=..., size=[640, 481], fit="cut", threshold="0.4", std=[1, 0, 1])
    assert [fault.split(":")[0].split(" ")[0] for fault in told] == [
        "labels",
        "size.1",
        "fit",
        "std.1",
        "threshold",
    ]
    assert told[0] == "labels: is missing: class names in the network's own order"
    assert told[1] == "size.1 = 481: should be a multiple of 32"


@pytest.mark.parametrize(
    "keys",
    [
        {"labels": []},
        {"labels": ["a", "a"]},
        {"labels": ["a\n"]},
        {"labels": [" "]},
        {"labels": "open"},
        {"size": [640]},
        {"size": [0, 640]},
        {"size": [8192, 640]},
        {"overlap": -1},
        {"overlap": 241},
        {"family": "ppocr"},
        {"variant": "../x"},
        {"threshold": 0},
        {"threshold": float("nan")},
        {"nms_iou": 1},
        {"mean": [0, 0]},
        {"std": [1, 1, float("inf")]},
    ],
)
def test_one_fault_is_one_line(tmp_path: Path, keys: dict[str, Any]) -> None:
    (fault,) = faults(tmp_path, **keys)
    assert fault.startswith(next(iter(keys)))


def test_the_overlap_is_for_tiles_alone(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(PLAIN | {"overlap": 9999, "fit": "resize"}))
    assert read_config(tmp_path / "a.json").fit == "resize"


def test_a_missing_file_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.json: cannot be read .*labels, input size"):
        read_config(tmp_path / "gone.json")
    with pytest.raises(ModelError, match="cannot be read"):
        read_config(tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b" " * 2**21)
    with pytest.raises(ModelError, match="is larger than"):
        read_config(tmp_path / "a.json")


def test_a_folder_that_cannot_be_written_is_told() -> None:
    with pytest.raises(StorageError):
        write_config(Path("/proc/a.json"), DetectorConfig.model_validate_json(json.dumps(PLAIN)))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000, b"{}"])
def test_what_is_no_configuration_is_one_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ModelError, match=r"a\.json: "):
        read_config(tmp_path / "a.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*PLAIN, "x"]), JSON, max_size=4))
def test_whatever_stands_there_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, keys: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(PLAIN | keys))
    said = ""
    try:
        assert isinstance(read_config(path), DetectorConfig)
    except ModelError as error:
        said = str(error)
    assert all(line.startswith(f"{path}: ") for line in said.splitlines())
