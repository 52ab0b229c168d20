"""`lineguard read` on all that is called an image."""

import os
import resource
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_lab import LINEGUARD, LOT, files, halve, lineguard, picture, refused, save

from models.zoo import models_folder

FIXED = ("--mode", "fixed", "--json")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image_is_refused(folder: Path, suffix: str) -> None:
    halve(save(folder / f"whole{suffix}", picture()), folder / f"cut{suffix}")
    (error,) = refused("read", f"cut{suffix}", cwd=folder)
    assert error.startswith(f"cut{suffix}: not an image, or cut off: ")


def test_an_image_of_one_pixel_is_refused(folder: Path) -> None:
    save(folder / "dot.png", np.zeros((1, 1, 3), np.uint8))
    (error,) = refused("read", "dot.png", *FIXED, cwd=folder)
    assert error.startswith("dot.png: 1x1 pixels: ")


@pytest.mark.parametrize("name", ["nowhere.png", "/dev/zero", "text.png", "empty.png"])
def test_what_is_no_image_is_refused(folder: Path, name: str) -> None:
    (folder / "text.png").write_text("a report")
    (folder / "empty.png").write_bytes(b"")
    (error,) = refused("read", name, cwd=folder)
    assert error.startswith(f"{name}: ")


def test_an_empty_folder_is_refused(folder: Path) -> None:
    (folder / "parts").mkdir()
    (error,) = refused("read", "parts", cwd=folder)
    assert error.startswith("parts: no images in this folder: ")


def test_grey_sixteen_bit_and_transparent_images_read_as_the_coloured_one(folder: Path) -> None:
    colour = picture()
    clear = np.zeros((*colour.shape[:2], 4), np.uint8)
    clear[:, :, 3] = 255 - colour[:, :, 0]  # black print, nothing around it
    save(folder / "parts/colour.png", colour)
    save(folder / "parts/grey.png", colour[:, :, 0])
    save(folder / "parts/deep.png", colour.astype(np.uint16) * 257)
    save(folder / "parts/twelve.tif", colour[:, :, 0].astype(np.uint16) * 16)
    save(folder / "parts/clear.png", clear)
    done = lineguard("read", "parts", "--mode", "page", "--json", cwd=folder)
    assert (done.code, done.err) == (0, "")
    read = {Path(each["image"]).name: each["lines"] for each in done.json}
    assert len(read) == 5
    texts = {name: [line["text"] for line in lines] for name, lines in read.items()}
    assert texts == dict.fromkeys(texts, [LOT])
    (quad,) = (line["quad"] for line in read["colour.png"])
    assert np.shape(quad) == (4, 2)
    assert all(round(value, 1) == value for corner in quad for value in corner)


@pytest.mark.slow
def test_an_image_of_twelve_thousand_pixels_is_read_in_seconds(folder: Path) -> None:
    save(folder / "wide.jpg", picture(height=9000, width=12000))
    start = time.monotonic()
    done = lineguard("read", "wide.jpg", "--json", cwd=folder)
    assert time.monotonic() - start < 20
    assert (done.code, done.err) == (0, "")
    text = "".join(line["text"] for line in done.json[0]["lines"])
    assert text.replace(" ", "") == LOT.replace(" ", "")
    drawn = cv2.imread(str(folder / "lineguard-out/wide.read.png"))
    assert drawn is not None
    assert drawn.shape == (9000, 12000, 3)
    # 324 MB of pixels, a copy with the lines, and what encoding takes: no more than these
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1.6e6


def test_one_bad_image_does_not_keep_the_others_from_being_read(folder: Path) -> None:
    save(folder / "one/label.png", picture())
    save(folder / "one/label.jpg", picture())
    save(folder / "two/label.png", picture("LOT L2611B"))
    halve(folder / "one/label.png", folder / "one/cut.png")
    save(folder / "two/dot.png", np.zeros((1, 1), np.uint8))
    done = lineguard("read", "one", "two", "--out", "drawn", *FIXED, cwd=folder)
    assert done.code == 2
    assert [error.split(":")[0] for error in done.errors] == ["one/cut.png", "two/dot.png"]
    texts = [each["lines"][0]["text"] for each in done.json]
    assert texts == [LOT, LOT, "LOT L2611B"]
    drawn = [each["drawn"] for each in done.json]  # three images, three drawings
    assert {path.name for path in (folder / "drawn").iterdir()} == {Path(p).name for p in drawn}
    assert len(set(drawn)) == 3


def test_text_output_names_each_line_and_the_drawing(folder: Path) -> None:
    save(folder / "label.png", picture())
    done = lineguard("read", "label.png", "--mode", "label", cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert LOT in done.out
    assert "drawn: lineguard-out/label.read.png" in done.out
    assert (folder / "lineguard-out/label.read.png").is_file()


def test_a_model_cut_in_half_is_refused(folder: Path) -> None:
    save(folder / "label.png", picture())
    (whole,) = models_folder().glob("*rec*.onnx")
    halve(whole, folder / "half.onnx")
    for _ in range(2):  # the second time from memory
        (error,) = refused("read", "label.png", "--rec", "half.onnx", *FIXED, cwd=folder)
        assert error.startswith("half.onnx: ONNX Runtime refuses it")


def test_a_model_of_the_zoo_cut_in_half_is_refused(folder: Path) -> None:
    save(folder / "label.png", picture())
    zoo = folder / "zoo"
    zoo.mkdir()
    for path in models_folder().iterdir():
        if "rec" in path.name and path.suffix == ".onnx":
            halve(path, zoo / path.name)
        else:
            (zoo / path.name).symlink_to(path)
    (error,) = refused("read", "label.png", cwd=folder, LINEGUARD_MODELS=str(zoo))
    assert "sha256" in error
    assert "lineguard models fetch" in error
    done = lineguard("models", "verify", cwd=folder, LINEGUARD_MODELS=str(zoo))
    assert done.code == 2
    assert done.errors == [error]
    assert done.out.count("ok  ") == 6


@pytest.mark.parametrize("name", ["nowhere.onnx", "zoo:ppocrv4-rce-onnx"])
def test_a_model_that_is_not_there_is_refused(folder: Path, name: str) -> None:
    save(folder / "label.png", picture())
    (error,) = refused("read", "label.png", "--rec", name, *FIXED, cwd=folder)
    assert error.startswith(f"{name.removeprefix('zoo:')}: no such model")


def test_a_dictionary_that_does_not_fit_is_refused(folder: Path) -> None:
    save(folder / "label.png", picture())
    (folder / "letters.txt").write_text("\n".join("ABCDEF"))
    (error,) = refused("read", "label.png", "--dictionary", "letters.txt", *FIXED, cwd=folder)
    assert error.startswith("letters.txt: 6 characters, but the recogniser has 6623: ")


def test_a_folder_that_cannot_be_written_is_a_failed_disk(folder: Path) -> None:
    save(folder / "label.png", picture())
    (error,) = refused("read", "label.png", "--out", "/proc/drawn", *FIXED, cwd=folder, code=3)
    assert error.startswith("/proc/drawn/label.read.png: cannot be written ")


def test_a_file_where_the_folder_should_be_is_kept(folder: Path) -> None:
    save(folder / "label.png", picture())
    (folder / "drawn").write_text("mine")
    (error,) = refused("read", "label.png", "--out", "drawn", *FIXED, cwd=folder, code=3)
    assert error.startswith("drawn/label.read.png: cannot be written ")


def test_a_full_disk_keeps_the_drawing_of_before(folder: Path) -> None:
    rng = np.random.default_rng(1)
    save(folder / "noise.png", rng.integers(0, 256, (300, 300, 3), dtype=np.uint8))
    old = folder / "lineguard-out/noise.read.png"
    old.parent.mkdir()
    old.write_bytes(b"old")
    before = files(folder)
    done = subprocess.run(
        [LINEGUARD, "read", "noise.png", *FIXED],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536)),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("error: lineguard-out/noise.read.png: cannot be written ")
    assert done.stderr.count("\n") == 1
    assert files(folder) == before  # nor is a temporary file left


@pytest.mark.parametrize("args", [("read", "label.png", *FIXED), ("station", "new"), ("--help",)])
def test_a_full_disk_behind_stdout_is_one_line(folder: Path, args: tuple[str, ...]) -> None:
    save(folder / "label.png", picture())
    with Path("/dev/full").open("w") as full:
        done = lineguard(*args, cwd=folder, stdout=full)
    assert done.code == 3
    assert done.errors == ["stdout: No space left on device: free some space"]


@pytest.mark.parametrize(
    "args", [("read", "label.png"), ("read", "label.png", *FIXED), ("station", "new"), ("--help",)]
)
def test_a_reader_that_has_left_is_no_traceback(folder: Path, args: tuple[str, ...]) -> None:
    save(folder / "label.png", picture())
    inlet, outlet = os.pipe()
    os.close(inlet)
    with os.fdopen(outlet, "w") as pipe:
        done = lineguard(*args, cwd=folder, stdout=pipe)
    assert (done.code, done.err) == (3, "")
