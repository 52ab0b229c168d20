"""The station as it would be with another bundle."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_lab import make_bundle, make_key
from conftest import SpotsMaker

from edge.station import candidate_station, load_station
from firmware_bridge.slots import Slots
from models.bundle import open_bundle, trust
from models.errors import BundleError, ConfigError, LineguardError, UntrustedError
from models.images import encode_image

KEY = make_key()

STATION = """
[station]
name = "test"
deadline_ms = 5000
[[cameras]]
name = "top"
source = "folder:parts"
[models.spots]
family = "ppyoloe"
det = "spots.onnx"
labels = ["red", "green", "blue"]
threads = 2
cores = [0]
[[regions]]
name = "face"
camera = "top"
model = "spots"
[[rules]]
name = "clean"
kind = "no_defect"
region = "face"
labels = ["red"]
"""

WITH_BOX = STATION.replace("[station]", '[bundle]\nroot = "box"\n[station]')


def bundle(folder: Path, spots: SpotsMaker, version: str, **fields: Any) -> Path:
    """A bundle of a network, signed."""
    made = folder / version
    made.mkdir()
    network = spots(made)
    (made / "board.png").write_bytes(encode_image(np.zeros((96, 128, 3), np.uint8)))
    payload = {
        "board.png": (made / "board.png").read_bytes(),
        "spots.json": network.with_suffix(".json").read_bytes(),
        "spots.onnx": network.read_bytes(),
    }
    model = {"family": "ppyoloe", "det": "spots.onnx", "labels": ["red", "green", "blue"]}
    said = {
        "models": {"spots": model},
        "golden": ({"image": "board.png", "model": "spots", "defects": []},),
        **fields,
    }
    return make_bundle(made, payload, key=KEY, name="spots", version=version, **said)


def write(folder: Path, text: str) -> Path:
    path = folder / "station.toml"
    path.write_text(text)
    trust(KEY.public, folder / "box" / "trusted")
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_station(path)
    return [fault.removeprefix(f"{path}:") for fault in caught.value.faults]


def install(folder: Path, file: Path) -> None:
    slots = Slots(folder / "box")
    names = ("board.png", "spots.json", "spots.onnx")
    with open_bundle(file, [KEY.public]) as opened, slots.writing():
        letter = slots.receive(
            opened.envelope, opened.manifest, [file.parent / name for name in names]
        )
        slots.begin_trial(letter)
        slots.pass_trial(letter, opened.manifest.counter, "by the test")


@pytest.fixture
def spots_here(tmp_path: Path, spots: SpotsMaker) -> SpotsMaker:
    spots(tmp_path)
    return spots


def test_what_a_file_may_say_of_it(tmp_path: Path) -> None:
    path = write(tmp_path, STATION + "[shadow]\n")
    assert faults(path) == ["23: shadow: needs a bundle, or [bundle], whose other slot it is then"]
    path.write_text(STATION + '[shadow]\nbundle = "x.lgb"\nshare = 0\nmaxparts = 3\n')
    assert faults(path) == [
        "25: shadow.share = 0: must be at least 1 "
        "(one part in so many is shown to it; 1: every part)",
        '26: shadow.maxparts: unknown key: did you mean "max_parts"?',
    ]
    path.write_text("shadow = 3\n" + STATION)
    assert faults(path) == ["1: shadow = 3: must be a table"]


def test_a_bundle_file_beside_models_of_the_station(
    tmp_path: Path, spots_here: SpotsMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = bundle(tmp_path, spots_here, "1.1.0")
    path = write(tmp_path, STATION + f'[shadow]\nbundle = "{file.relative_to(tmp_path)}"\n')
    unpacked = tmp_path / "unpacked"
    with pytest.raises(UntrustedError):
        candidate_station(path, unpacked)
    assert not unpacked.exists()
    trust(KEY.public, tmp_path / "config" / "lineguard" / "trusted")
    unpacked.mkdir()
    (unpacked / "of another").write_text("bundle")
    station = candidate_station(path, unpacked)
    model = station.models["spots"]
    assert (model.threads, model.cores) == (1, ())
    assert Path(model.det or "").is_relative_to(unpacked)
    assert Path(model.det or "").read_bytes() == (tmp_path / "1.1.0/spots.onnx").read_bytes()
    assert not (unpacked / "of another").exists()
    assert str(station.active and station.active.name) == "spots 1.1.0"
    assert station.regions == load_station(path).regions

    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(BundleError):
        candidate_station(path, unpacked)


def test_the_slot_that_is_not_active_stands_in(tmp_path: Path, spots_here: SpotsMaker) -> None:
    own = STATION[STATION.index("[models.spots]") : STATION.index("[[regions]]")]
    text = WITH_BOX.replace(own, "").replace('"box"', f'"{tmp_path / "box"}"') + "[shadow]\n"
    path = write(tmp_path, text)
    install(tmp_path, bundle(tmp_path, spots_here, "1.0.0"))
    with pytest.raises(BundleError, match="no second bundle"):
        candidate_station(path, tmp_path / "unpacked")
    install(tmp_path, bundle(tmp_path, spots_here, "1.1.0"))
    station = candidate_station(path, tmp_path / "unpacked")
    assert str(station.active and station.active.name) == "spots 1.0.0"
    active = load_station(path).active
    assert str(active and active.name) == "spots 1.1.0"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"models": {"lids": {"family": "ppyoloe", "det": "spots.onnx", "labels": ["red"]}},
          "golden": ({"image": "board.png", "model": "lids", "defects": []},)},
         "spots 1.1.0 has none of the models spots"),
        ({"models": {"spots": {"family": "ppyoloe", "det": "spots.onnx", "labels": ["dent"]}}},
         "rules.0..labels.0. = \"red\": no such class in the model"),
    ],
)  # fmt: skip
def test_a_bundle_that_does_not_fit(
    fields: dict[str, Any],
    words: str,
    tmp_path: Path,
    spots_here: SpotsMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    trust(KEY.public, tmp_path / "config" / "lineguard" / "trusted")
    file = bundle(tmp_path, spots_here, "1.1.0", **fields)
    path = write(tmp_path, STATION + f'[shadow]\nbundle = "{file}"\n')
    with pytest.raises(ConfigError, match=words):
        candidate_station(path, tmp_path / "unpacked")
    shutil.rmtree(tmp_path / "config")
    with pytest.raises(LineguardError):
        candidate_station(path, tmp_path / "unpacked")
