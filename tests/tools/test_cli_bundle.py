"""From a spec and pictures to a bundle, and what is said of it, as a user does."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_lab import make_bundle, make_key
from cli_lab import LOT, lineguard, picture, refused, save
from conftest import SpotsMaker
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from models.bundle import open_bundle, trust

SPEC = """
name = "spots"
version = "1.0.0"
counter = 7
hardware = ["arm64", "x86-64"]
source = "{source}"
[engine]
name = "onnxruntime"
min = "1.20"
max = "1.30"
[models.spots]
family = "ppyoloe"
det = "nets/spots.onnx"
labels = ["red", "green", "blue"]
[bounds]
p99_ms = 500
[figures]
f1 = 0.5
"""

KEY = make_key()


def spot(x: int, y: int, channel: int) -> np.ndarray[Any, Any]:
    """A bright cell on black; channel 2 is red."""
    image = np.zeros((96, 128, 3), np.uint8)
    image[y : y + 8, x : x + 8, channel] = 255
    return image


@pytest.fixture
def lab(tmp_path: Path, spots: SpotsMaker) -> Path:
    """A spec, its network, two pictures, a key and whom to trust."""
    (tmp_path / "nets").mkdir()
    spots(tmp_path / "nets")
    write(tmp_path)
    save(tmp_path / "pictures" / "Red one.png", spot(32, 16, 2))
    save(tmp_path / "pictures" / "clean.png", np.zeros((96, 128, 3), np.uint8))
    pem = KEY.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "a.key").write_bytes(pem)
    trust(KEY.public, tmp_path / "trusted")
    return tmp_path


def write(folder: Path, *changes: tuple[str, str], more: str = "") -> None:
    text = SPEC.format(source="ab" * 32)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "bundle.toml").write_text(text + more)


CREATE = ("bundle", "create", "bundle.toml", "--key", "a.key")


def test_what_the_models_find_now_is_what_every_box_must_find(lab: Path) -> None:
    done = lineguard(*CREATE, "--golden", "pictures", cwd=lab)
    assert (done.code, done.err) == (0, "")
    assert re.search(r"golden/Red-one\.png +spots +red 1\.00", done.out)
    assert re.search(r"golden/clean\.png +spots +nothing", done.out)
    with open_bundle(lab / "spots-1.0.0.lgb", [KEY.public]) as bundle:
        bundle.check()
        manifest = bundle.manifest
    assert [file.path for file in manifest.files] == [
        "golden/Red-one.png", "golden/clean.png", "spots/det.json", "spots/det.onnx"
    ]  # fmt: skip
    assert manifest.models["spots"] == {
        "family": "ppyoloe", "det": "spots/det.onnx", "labels": ["red", "green", "blue"]
    }  # fmt: skip
    red, clean = manifest.golden
    (defect,) = red.defects
    assert (defect.label, defect.score, clean.defects) == ("red", 1.0, ())
    np.testing.assert_allclose(defect.box, [28, 12, 44, 28])
    assert (manifest.counter, manifest.source, manifest.figures) == (7, "ab" * 32, {"f1": 0.5})


def test_same_inputs_same_bytes(lab: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    lineguard(*CREATE, "--golden", "pictures", cwd=lab)
    other = tmp_path_factory.mktemp("other") / "deeper"
    shutil.copytree(lab, other, copy_function=shutil.copyfile)
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
    (other / "spots-1.0.0.lgb").unlink()
    old = os.umask(0o077)
    try:
        lineguard(*CREATE, "--golden", "pictures", "-o", "made/b.lgb", cwd=other)
    finally:
        os.umask(old)
    assert (other / "made" / "b.lgb").read_bytes() == (lab / "spots-1.0.0.lgb").read_bytes()


def test_what_the_spec_says_is_not_found_out(lab: Path) -> None:
    golden = """
[[golden]]
image = "pictures/Red one.png"
model = "spots"
box = [0, 0, 64, 64]
defects = [{label = "green", score = 0.5, box = [1, 2, 3, 4]}]
[[golden]]
image = "pictures/clean.png"
model = "spots"
"""
    write(lab, more=golden)
    done = lineguard(*CREATE, "--p99-ms", "40", "--json", cwd=lab)
    assert (done.code, done.err) == (0, "")
    said = done.json
    assert said["bounds"] == {"p99_ms": 40.0}
    assert said["bytes"] == (lab / "spots-1.0.0.lgb").stat().st_size
    green, clean = said["golden"]
    assert green["defects"] == [{"label": "green", "score": 0.5, "box": [1, 2, 3, 4]}]
    assert green["box"] == [0, 0, 64, 64]
    assert clean["defects"] == []
    assert clean["box"] is None


def test_models_of_the_zoo_and_pictures_by_model(lab: Path) -> None:
    reader = """
[models.lot]
family = "ppocr"
rec = "zoo:ppocrv4-rec-onnx"
dictionary = "zoo:ppocr-keys"
"""
    write(lab, more=reader)
    save(lab / "golden" / "lot" / "一.png", picture())
    save(lab / "golden" / "spots" / "一.png", spot(8, 8, 0))
    said = lineguard(*CREATE, "--golden", "golden", "--json", cwd=lab).json
    assert [file["path"] for file in said["files"]] == [
        "golden/x-2.png", "golden/x.png", "lot/dictionary.txt", "lot/rec.onnx",
        "spots/det.json", "spots/det.onnx",
    ]  # fmt: skip
    blue, lot = said["golden"]
    assert (blue["model"], [each["label"] for each in blue["defects"]]) == ("spots", ["blue"])
    assert (lot["model"], lot["mode"], lot["texts"]) == ("lot", "label", [LOT])


def test_inspect_and_verify(lab: Path) -> None:
    lineguard(*CREATE, "--golden", "pictures", "-o", "b.lgb", cwd=lab)
    done = lineguard("bundle", "inspect", "b.lgb", "--trusted", "trusted", cwd=lab, COLUMNS="150")
    assert (done.code, done.err) == (0, "")
    for words in (
        "spots 1.0.0, counter 7",
        f"{KEY.public.id} (trusted)",
        "arm64, x86-64; onnxruntime 1.20 to 1.30",
        "500 ms",
        "spots/det.onnx",
        "red 1.00",
    ):
        assert words in done.out
    said = lineguard("bundle", "inspect", "b.lgb", "--json", cwd=lab, XDG_CONFIG_HOME="none").json
    assert (said["trusted"], said["signers"]) == (False, [KEY.public.id])
    fine = lineguard("bundle", "verify", "b.lgb", "--trusted", "trusted", cwd=lab)
    assert (fine.code, fine.err) == (0, "")
    assert fine.out.startswith("b.lgb: fine: spots 1.0.0, 4 files, ")
    (error,) = refused("bundle", "verify", "b.lgb", cwd=lab, XDG_CONFIG_HOME="none")
    assert "whom nobody here trusts: see `lineguard keys trust`" in error


def test_altered_and_cut_off(lab: Path) -> None:
    path = make_bundle(lab)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"the last chunk")] ^= 1
    path.write_bytes(data)
    verify = ("bundle", "verify", path.name, "--trusted", "trusted")
    (error,) = refused(*verify, cwd=lab)
    assert error.startswith("pcb-1.0.0.lgb: pcb/det.onnx: was altered at 131072")
    done = lineguard(*verify, "--json", cwd=lab)
    assert (done.code, done.json["ok"], done.json["faults"]) == (2, False, [error])
    path.write_bytes(data[:-3000])
    for command in ("inspect", "verify"):
        (error,) = refused("bundle", command, path.name, "--trusted", "trusted", cwd=lab)
        assert "copy it again" in error
    (error,) = refused("bundle", "diff", path.name, "none.lgb", cwd=lab)
    assert error.startswith("pcb-1.0.0.lgb: ")


def test_a_strangers_bundle_cannot_talk_to_the_terminal(lab: Path) -> None:
    evil = "\x1b]0;title\x07\x1b[2J[bold red]x"
    path = make_bundle(lab, figures={evil: evil}, key=make_key(9))
    done = lineguard("bundle", "inspect", path.name, "--trusted", "trusted", cwd=lab)
    assert (done.code, done.err) == (0, "")
    assert "not trusted" in done.out
    assert "\x1b" not in done.out
    assert "[bold red]x" in done.out


def test_diff(lab: Path) -> None:
    lineguard(*CREATE, "--golden", "pictures", "-o", "old.lgb", cwd=lab)
    write(lab, ('"1.0.0"', '"1.1.0"'), ("p99_ms = 500", "p99_ms = 60"))
    network = lab / "nets" / "spots.onnx"
    network.write_bytes(network.read_bytes() + b"\x72\x00")  # a field that says nothing
    lineguard(*CREATE, "--golden", "pictures", "-o", "new.lgb", cwd=lab)
    said = lineguard("bundle", "diff", "old.lgb", "new.lgb", "--json", cwd=lab).json
    assert said["fields"] == [
        {"field": "version", "old": "1.0.0", "new": "1.1.0"},
        {"field": "bounds.p99_ms", "old": 500.0, "new": 60.0},
    ]
    states = {file["path"]: (file["state"], file["wire"]) for file in said["files"]}
    assert states.pop("spots/det.onnx")[0] == "changed"
    assert set(states.values()) == {("equal", 0)}
    assert 0 < said["wire"] < said["bytes"] / 4
    done = lineguard("bundle", "diff", "old.lgb", "new.lgb", cwd=lab)
    assert re.search(r"version +1\.0\.0 +1\.1\.0", done.out)
    assert f"on the wire: {said['wire']:,} of {said['bytes']:,} bytes" in done.out


FAULTS: dict[str, tuple[tuple[tuple[str, str], ...], str, list[str]]] = {
    "many at once": (
        (
            ('name = "spots"', 'name = "Spots"'),
            ("counter = 7", "counter = -1"),
            ("min = ", "mim = "),
            ("nets/spots.onnx", "nets/none.onnx"),
            ("p99_ms = 500", "p99_ms = 0"),
        ),
        "",
        [
            'bundle.toml:2: name = "Spots": does not fit (small letters',
            "bundle.toml:4: counter = -1: must be at least 0",
            'bundle.toml:9: engine.mim: unknown key: did you mean "min"?',
            'bundle.toml:13: models.spots.det = "nets/none.onnx": nets/none.onnx: no such model',
            "bundle.toml:16: bounds.p99_ms = 0: must be more than 0",
        ],
    ),
    "another engine": (
        (('"onnxruntime"', '"paddle_lite"'),),
        "",
        ['bundle.toml:13: models.spots.det = "nets/spots.onnx": is no .nb, which paddle_lite'],
    ),
    "golden": (
        (),
        '[[golden]]\nimage = "none.png"\nmodel = "spotz"\n[[golden]]\nbox = [1, 2]\nmodel = []\n',
        [
            'bundle.toml:20: golden[0].image = "none.png": no such file',
            'bundle.toml:21: golden[0].model = "spotz": is none of models: did you mean "spots"?',
            "bundle.toml:22: golden[1].image: is missing",
            "bundle.toml:23: golden[1].box",
            "bundle.toml:23: golden[1].box",
            "bundle.toml:24: golden[1].model",
        ],
    ),
    "no file of labels": (
        (("labels = ", "labelz = "),),
        "",
        ['bundle.toml:14: models.spots.labelz: unknown key: did you mean "labels"?'],
    ),
    "not TOML": ((("[engine]", "[engine"),), "", ["bundle.toml: is not TOML: "]),
    "no pictures": ((), "", ["bundle.toml: golden is missing: write [[golden]], or give --golden"]),
    "no bound": (
        (("[bounds]\np99_ms = 500\n", ""),),
        "",
        [
            "bundle.toml: bounds.p99_ms is missing: write it, or give --p99-ms",
            "bundle.toml: golden is missing",
        ],
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_all_faults_of_a_spec_at_once(case: str, lab: Path) -> None:
    changes, more, expected = FAULTS[case]
    write(lab, *changes, more=more)
    errors = refused(*CREATE, cwd=lab)
    assert len(errors) == len(expected), errors
    for error, words in zip(errors, expected, strict=True):
        assert error.startswith(words)


def test_what_cannot_be_read(lab: Path) -> None:
    (error,) = refused("bundle", "create", "none.toml", "--key", "a.key", cwd=lab)
    assert error.startswith("none.toml: cannot be read (No such file or directory)")
    (error,) = refused("bundle", "create", "nets", "--key", "a.key", cwd=lab)
    assert error.startswith("nets: is no file")
    (error,) = refused("bundle", "create", "bundle.toml", "--key", "none.key", cwd=lab)
    assert error.startswith("none.key: no such key file")
    (error,) = refused(*CREATE, "--golden", "nets", cwd=lab)
    assert error.startswith("nets: no pictures there")
    (lab / "bundle.toml").write_bytes(b"name = '\xff'")
    (error,) = refused(*CREATE, cwd=lab)
    assert error == "bundle.toml:1: is not UTF-8: save it as UTF-8"


def test_a_golden_picture_that_is_none(lab: Path) -> None:
    (lab / "pictures" / "broken.png").write_bytes(b"\x89PNG")
    (error,) = refused(*CREATE, "--golden", "pictures", cwd=lab)
    assert error.startswith("pictures/broken.png: not an image")
    (lab / "pictures" / "broken.png").unlink()
    golden = '[[golden]]\nimage = "pictures/clean.png"\nmodel = "spots"\nbox = [0, 0, 640, 480]\n'
    write(lab, more=golden)
    (error,) = refused(*CREATE, cwd=lab)
    assert error.startswith("pictures/clean.png: box [0, 0, 640, 480]: not inside the picture")


def test_nothing_half_written_where_there_is_no_place(lab: Path) -> None:
    (lab / "file").write_text("no folder")
    errors = refused(*CREATE, "--golden", "pictures", "-o", "file/b.lgb", cwd=lab, code=3)
    assert errors[0].startswith("file/b.lgb: cannot be written")


def test_machine_readable_manifest_is_json(lab: Path) -> None:
    path = make_bundle(lab)
    done = lineguard("bundle", "inspect", path.name, "--json", cwd=lab)
    assert json.loads(done.out)["files"][0] == {
        "path": "golden/board.png",
        "bytes": 19,
        "sha256": "3f8316faf807e5b734ffdd23c024bd048d0252af3a6b40126df210ddef1accfe",
    }
