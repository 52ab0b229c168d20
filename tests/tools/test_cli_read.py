"""`lineguard read` on all that is called an image."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_lab import ENV, LINEGUARD, LOT, files, halve, lineguard, picture, refused, save

from models.zoo import list_models, models_folder

FIXED = ("--mode", "fixed", "--json")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image_is_refused(tmp_path: Path, suffix: str) -> None:
    halve(save(tmp_path / f"whole{suffix}", picture()), tmp_path / f"cut{suffix}")
    (error,) = refused("read", f"cut{suffix}", cwd=tmp_path)
    assert error.startswith(f"cut{suffix}: not an image, or cut off: ")


def test_an_image_of_one_pixel_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "dot.png", np.zeros((1, 1, 3), np.uint8))
    (error,) = refused("read", "dot.png", "--mode", "fixed", cwd=tmp_path)
    assert error.startswith("dot.png: 1x1 pixels: ")


@pytest.mark.parametrize("name", ["nowhere.png", "/dev/zero", "text.png", "empty.png"])
def test_what_is_no_image_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.png").write_text("a report")
    (tmp_path / "empty.png").write_bytes(b"")
    (error,) = refused("read", name, cwd=tmp_path)
    assert error.startswith(f"{name}: ")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (error,) = refused("read", "parts", cwd=tmp_path)
    assert error.startswith("parts: no images in this folder: ")


def test_grey_sixteen_bit_and_transparent_images_read_as_the_coloured_one(tmp_path: Path) -> None:
    colour = picture()
    clear = np.zeros((*colour.shape[:2], 4), np.uint8)
    clear[:, :, 3] = 255 - colour[:, :, 0]  # black print, nothing around it
    save(tmp_path / "parts/colour.png", colour)
    save(tmp_path / "parts/grey.png", colour[:, :, 0])
    save(tmp_path / "parts/deep.png", colour.astype(np.uint16) * 257)
    save(tmp_path / "parts/twelve.tif", colour[:, :, 0].astype(np.uint16) * 16)
    save(tmp_path / "parts/clear.png", clear)
    done = lineguard("read", "parts", "--mode", "page", "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    read = {Path(each["image"]).name: each["lines"] for each in done.json}
    assert len(read) == 5
    texts = {name: [line["text"] for line in lines] for name, lines in read.items()}
    assert all(text == [LOT] for text in texts.values())
    (quad,) = (line["quad"] for line in read["colour.png"])
    assert np.shape(quad) == (4, 2)
    assert all(round(value, 1) == value for corner in quad for value in corner)


@pytest.mark.slow
def test_an_image_of_twelve_thousand_pixels_is_read_in_seconds(tmp_path: Path) -> None:
    image = np.full((9000, 12000, 3), 255, np.uint8)
    image[3500:5300, 1500:10500] = cv2.resize(picture(), (9000, 1800))
    save(tmp_path / "wide.jpg", image)
    # A small process in between: what a child has used at most begins with what its parent has.
    code = (
        "import resource, subprocess, sys\n"
        "with open('out.json', 'w') as out:\n"
        "    code = subprocess.call(sys.argv[1:], stdout=out)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(code)"
    )
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, LINEGUARD, "read", "wide.jpg", "--json"],
        cwd=tmp_path,
        env=ENV,
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - start < 20
    # 324 MB of pixels, a copy with the lines, and what encoding takes
    assert int(done.stdout) < 1.2e6
    (read,) = json.loads((tmp_path / "out.json").read_text())
    text = "".join(line["text"] for line in read["lines"])
    assert text.replace(" ", "") == LOT.replace(" ", "")
    drawn = cv2.imread(str(tmp_path / "lineguard-out/wide.read.png"))
    assert drawn is not None
    assert drawn.shape == (9000, 12000, 3)


def test_one_bad_image_does_not_keep_the_others_from_being_read(tmp_path: Path) -> None:
    save(tmp_path / "one/label.png", picture())
    save(tmp_path / "one/label.jpg", picture())
    save(tmp_path / "two/label.png", picture("LOT L2611B"))
    halve(tmp_path / "one/label.png", tmp_path / "one/cut.png")
    save(tmp_path / "two/dot.png", np.zeros((1, 1), np.uint8))
    done = lineguard("read", "one", "two", "--out", "drawn", *FIXED, cwd=tmp_path)
    assert done.code == 2
    assert [error.split(":")[0] for error in done.errors] == ["one/cut.png", "two/dot.png"]
    texts = [each["lines"][0]["text"] for each in done.json]
    assert texts == [LOT, LOT, "LOT L2611B"]
    drawn = [each["drawn"] for each in done.json]  # three images, three drawings
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {Path(p).name for p in drawn}
    assert len(set(drawn)) == 3


def test_text_output_names_each_line_and_the_drawing(tmp_path: Path) -> None:
    save(tmp_path / "label.png", picture())
    done = lineguard("read", "label.png", "--mode", "label", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert LOT in done.out
    assert "drawn: lineguard-out/label.read.png" in done.out
    assert (tmp_path / "lineguard-out/label.read.png").is_file()


def test_a_model_cut_in_half_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "label.png", picture())
    (whole,) = models_folder().glob("*rec*.onnx")
    halve(whole, tmp_path / "half.onnx")
    for _ in range(2):  # the second time from memory
        (error,) = refused("read", "label.png", "--rec", "half.onnx", *FIXED, cwd=tmp_path)
        assert error.startswith("half.onnx: ONNX Runtime refuses it")


def test_a_model_of_the_zoo_cut_in_half_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "label.png", picture())
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    for path in models_folder().iterdir():
        if "rec" in path.name and path.suffix == ".onnx":
            halve(path, zoo / path.name)
        else:
            (zoo / path.name).symlink_to(path)
    (error,) = refused("read", "label.png", cwd=tmp_path, LINEGUARD_MODELS=str(zoo))
    assert "sha256" in error
    assert "lineguard models fetch" in error
    done = lineguard("models", "verify", cwd=tmp_path, LINEGUARD_MODELS=str(zoo))
    assert done.code == 2
    assert done.errors == [error]
    assert done.out.count("ok  ") == len(list_models()) - 1


@pytest.mark.parametrize("name", ["nowhere.onnx", "zoo:ppocrv4-rce-onnx"])
def test_a_model_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    save(tmp_path / "label.png", picture())
    (error,) = refused("read", "label.png", "--rec", name, *FIXED, cwd=tmp_path)
    assert error.startswith(f"{name.removeprefix('zoo:')}: no such model")


def test_a_dictionary_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "label.png", picture())
    (tmp_path / "letters.txt").write_text("\n".join("ABCDEF"))
    (error,) = refused("read", "label.png", "--dictionary", "letters.txt", *FIXED, cwd=tmp_path)
    assert error.startswith("letters.txt: 6 characters, but the recogniser has 6623: ")


def test_a_folder_that_cannot_be_written_is_a_failed_disk(tmp_path: Path) -> None:
    save(tmp_path / "label.png", picture())
    (error,) = refused("read", "label.png", "--out", "/proc/drawn", *FIXED, cwd=tmp_path, code=3)
    assert error.startswith("/proc/drawn/label.read.png: cannot be written ")


def test_a_file_where_the_folder_should_be_is_kept(tmp_path: Path) -> None:
    save(tmp_path / "label.png", picture())
    (tmp_path / "drawn").write_text("mine")
    (error,) = refused("read", "label.png", "--out", "drawn", *FIXED, cwd=tmp_path, code=3)
    assert error.startswith("drawn/label.read.png: cannot be written ")


def test_a_full_disk_keeps_the_drawing_of_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    save(tmp_path / "noise.png", rng.integers(0, 256, (300, 300, 3), dtype=np.uint8))
    old = tmp_path / "lineguard-out/noise.read.png"
    old.parent.mkdir()
    old.write_bytes(b"old")
    before = files(tmp_path)
    done = subprocess.run(
        [LINEGUARD, "read", "noise.png", *FIXED],
        cwd=tmp_path,
        env=ENV,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536)),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("error: lineguard-out/noise.read.png: cannot be written ")
    assert done.stderr.count("\n") == 1
    assert files(tmp_path) == before  # nor is a temporary file left


@pytest.mark.parametrize("args", [("read", "label.png", *FIXED), ("station", "new"), ("--help",)])
def test_a_full_disk_behind_stdout_is_one_line(tmp_path: Path, args: tuple[str, ...]) -> None:
    save(tmp_path / "label.png", picture())
    with Path("/dev/full").open("w") as full:
        done = lineguard(*args, cwd=tmp_path, stdout=full)
    assert done.code == 3
    assert done.errors == ["stdout: No space left on device: free some space"]


@pytest.mark.parametrize(
    "args", [("read", "label.png"), ("read", "label.png", *FIXED), ("station", "new"), ("--help",)]
)
def test_a_reader_that_has_left_is_no_traceback(tmp_path: Path, args: tuple[str, ...]) -> None:
    save(tmp_path / "label.png", picture())
    inlet, outlet = os.pipe()
    os.close(inlet)
    with os.fdopen(outlet, "w") as pipe:
        done = lineguard(*args, cwd=tmp_path, stdout=pipe)
    assert (done.code, done.err) == (3, "")
