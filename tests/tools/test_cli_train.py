"""`lineguard train ppyoloe`, from labelled pictures to a model that finds something."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cli_lab import ENV, LINEGUARD, lineguard, refused

SMALL = ("--variant", "n", "--batch", 2, "--crop", 64, "--threads", 1, "--out", "out")
SECONDS = 280
"""A whole training with its export, on a machine that does something else as well."""


def boards(folder: Path, count: int = 6) -> Path:
    """Grey pictures of 64x64 pixels with one dark square each, in one COCO file."""
    rng = np.random.default_rng(3)
    images, annotations = [], []
    (folder / "images").mkdir(parents=True)
    for number in range(1, count + 1):
        image = np.full((64, 64, 3), 180, np.uint8)
        x, y = (int(n) for n in rng.integers(4, 36, 2))
        image[y : y + 20, x : x + 20] = 30
        assert cv2.imwrite(str(folder / f"images/{number}.png"), image)
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        box = {"id": number, "image_id": number, "category_id": 1, "bbox": [x, y, 20, 20]}
        annotations.append(box)
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "hole"}],
    }
    (folder / "train.json").write_text(json.dumps(document))
    return folder


def train(*args: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINEGUARD, "train", "ppyoloe", *map(str, args)],
        cwd=cwd,
        env=ENV,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def faults(cwd: Path, *args: object) -> list[str]:
    """The error lines of a training that must not begin."""
    done = train("--data", "data", *SMALL, *args, cwd=cwd)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert not (cwd / "out").exists()
    lines = done.stderr.splitlines()
    assert all(line.startswith("error: ") for line in lines), done.stderr
    return [line.removeprefix("error: ") for line in lines]


@pytest.mark.slow
def test_a_training_ends_with_all_that_a_box_needs(tmp_path: Path) -> None:
    boards(tmp_path / "data")
    done = train("--data", "data", *SMALL, "--epochs", 2, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert (summary["steps"], summary["trained_on"], summary["checked_on"]) == (5, 5, 1)
    assert 0.9e6 < summary["parameters"] < 1.0e6
    assert set(summary["per_class"]) == {"hole"}
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoint.npz", "mistakes.png", "model.json", "model.onnx", "model.pdparams",
        "training.png",
    ]  # fmt: skip
    assert cv2.imread(str(out / "training.png")) is not None

    found = lineguard("detect", "data/images/1.png", "--model", out / "model.onnx", cwd=tmp_path)
    assert (found.code, found.err) == (0, "")
    # the weights are good to begin another training with, of more classes at that
    path = tmp_path / "data/train.json"
    path.write_text(
        path.read_text().replace('"name": "hole"}', '"name": "hole"}, {"id": 2, "name": "dent"}')
    )
    more = ("--epochs", 1, "--out", "more", "--from", "out/model.pdparams", "--json")
    again = train("--data", "data", *SMALL[:-2], *more, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert set(json.loads(again.stdout)["per_class"]) == {"hole", "dent"}


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    boards(tmp_path / "data")
    args = ("--data", "data", *SMALL, "--epochs", 200)
    command = [LINEGUARD, "train", "ppyoloe", *map(str, args)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "step 0" in process.stderr.readline()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "the same command goes on from there" in out
    assert (tmp_path / "out/checkpoint.npz").exists()

    other = train(*args, "--rate", 0.002, cwd=tmp_path)
    assert other.returncode == 2
    assert "rate was 0.001, is 0.002" in other.stderr
    wider = train(*[{"n": "xs"}.get(str(arg), arg) for arg in args], cwd=tmp_path)
    assert wider.returncode == 2
    assert "variant was n, is xs" in wider.stderr

    with subprocess.Popen(
        command, cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)
    assert "step 0 " not in first


def test_bad_labels_are_named_all_at_once_before_anything_is_learnt(tmp_path: Path) -> None:
    data = boards(tmp_path / "data")
    document = json.loads((data / "train.json").read_text())
    document["annotations"][0]["bbox"] = [60, 60, 20, 20]
    document["annotations"][1]["bbox"] = [5, 5, 0, 4]
    document["annotations"][2]["category_id"] = 9
    document["annotations"][4]["id"] = 4
    (data / "train.json").write_text(json.dumps(document))
    (data / "images/6.png").write_bytes((data / "images/6.png").read_bytes()[:60])
    lines = faults(tmp_path)
    assert len(lines) == 5
    for number, word in ((1, "outside"), (2, "area"), (3, "category"), (4, "twice"), (6, "cut")):
        assert any(word in line and f"{number}" in line for line in lines), (word, lines)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--variant", "q"), "variant q: there is none: use n, xs, t, s, m, l, x"),
        (("--crop", "100"), "--crop 100: must be a multiple of 32"),
        (("--from", "none.pdparams"), "none.pdparams: no such model file"),
        (("--images", "data"), "--images goes with a COCO file"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, args: tuple[str, ...], words: str
) -> None:
    boards(tmp_path / "data")
    (line,) = faults(tmp_path, *args)
    assert words in line


def test_defects_that_no_crop_shows_are_named(tmp_path: Path) -> None:
    data = boards(tmp_path / "data")
    document = json.loads((data / "train.json").read_text())
    for image in document["images"]:
        number = image["id"]
        picture = cv2.imread(str(data / f"images/{number}.png"))
        assert picture is not None
        assert cv2.imwrite(str(data / f"images/{number}.png"), cv2.resize(picture, (256, 256)))
        image |= {"width": 256, "height": 256}
    for annotation in document["annotations"]:
        annotation["bbox"] = [10, 10, 100, 70]
    (data / "train.json").write_text(json.dumps(document))
    (line,) = faults(tmp_path)
    assert line.startswith("5 defects are larger than the crops of 64 pixels (the largest has 100)")
    assert "--fit letterbox" in line


@pytest.mark.parametrize("args", [("--time-budget", "soon"), ("--input", "100x100")])
def test_times_and_sizes_are_explained(tmp_path: Path, args: tuple[str, str]) -> None:
    (line,) = refused("train", "ppyoloe", "--data", "x", *args, cwd=tmp_path)
    assert args[1] in line


def test_a_checkpoint_that_is_none_is_named(tmp_path: Path) -> None:
    boards(tmp_path / "data")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/checkpoint.npz").write_bytes(b"PK\x03\x04 not quite")
    done = train("--data", "data", *SMALL, cwd=tmp_path)
    assert done.returncode == 2
    assert "out/checkpoint.npz: no checkpoint of this version" in done.stderr
    assert (tmp_path / "out/checkpoint.npz").read_bytes() == b"PK\x03\x04 not quite"
