from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera import open_camera
from edge.camera.base import EndOfStream
from edge.camera.folder import ImageFolder
from models.errors import ImageError, InputError

SIDE = 32


def grey(level: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.full((SIDE, SIDE), level, np.uint8)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    colour = np.zeros((SIDE, SIDE, 3), np.uint8)
    colour[:, :, 2] = 200
    cv2.imwrite(str(tmp_path / "a_colour.PNG"), colour)
    cv2.imwrite(str(tmp_path / "b_grey.png"), grey(40))
    cv2.imwrite(str(tmp_path / "c_16bit.tif"), (grey(128).astype(np.uint16) << 8) + 255)
    cv2.imwrite(str(tmp_path / "d_alpha.png"), np.dstack([colour, grey(255)]))
    whole = cv2.imencode(".jpg", colour)[1].tobytes()
    (tmp_path / "e_cut.jpg").write_bytes(whole[: len(whole) // 2])
    cv2.imwrite(str(tmp_path / "f_dot.png"), np.zeros((1, 1, 3), np.uint8))
    (tmp_path / "g_empty.bmp").touch()
    (tmp_path / "h_last.jpg").write_bytes(whole)
    (tmp_path / "notes.txt").write_text("not a part")
    (tmp_path / ".hidden.png").write_bytes(whole)
    return tmp_path


def test_every_file_is_a_frame_or_a_named_error_in_order(parts: Path) -> None:
    camera = ImageFolder(parts)
    camera.open()
    seen: list[str] = []
    bad: list[str] = []
    while True:
        try:
            frame = camera.read()
        except ImageError as error:
            bad.append(str(error))
            continue
        except EndOfStream:
            break
        assert frame.image.shape == (SIDE, SIDE, 3)
        assert frame.image.dtype == np.uint8
        seen.append(f"{frame.number}:{','.join(str(v) for v in frame.image[5, 5])}")
    # bad ones take up a number: 4 cut, 5 one pixel, 6 empty
    assert seen[:2] == ["0:0,0,200", "1:40,40,40"]
    assert seen[2].startswith("2:12")
    assert seen[3] == "3:0,0,200"
    assert seen[4].startswith("7:")
    assert len(seen) == 5
    assert len(bad) == 3
    for name, text in zip(("e_cut.jpg", "f_dot.png", "g_empty.bmp"), bad, strict=True):
        assert name in text


def test_loop_begins_again_and_counts_on(parts: Path) -> None:
    for path in parts.glob("[c-h]*"):
        path.unlink()
    camera = open_camera(f"folder:{parts}?loop=1")
    camera.open()
    frames = [camera.read() for _ in range(5)]
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 40, 0, 40, 0]


def test_frames_belong_to_whoever_holds_them(parts: Path) -> None:
    for path in parts.glob("[b-h]*"):
        path.unlink()
    camera = open_camera(f"folder:{parts}?loop=1")
    camera.open()
    first = camera.read()
    first.image[:] = 99
    assert camera.read().image[0, 0, 2] == 200


def test_file_deleted_meanwhile_is_one_bad_picture(parts: Path) -> None:
    camera = ImageFolder(parts)
    camera.open()
    (parts / "a_colour.PNG").unlink()
    with pytest.raises(ImageError, match=r"a_colour\.PNG"):
        camera.read()
    assert camera.read().number == 1


def test_rate_is_kept_and_stamps_tell_it(tmp_path: Path) -> None:
    for index in range(6):
        cv2.imwrite(str(tmp_path / f"{index}.png"), grey(index))
    camera = open_camera(f"folder:{tmp_path}?fps=50")
    began = time.monotonic()
    camera.open()
    stamps = [camera.read().captured for _ in range(6)]
    assert began <= stamps[0] <= stamps[-1] <= time.monotonic()
    assert 0.095 <= stamps[-1] - stamps[0] < 0.5
    assert all(later - earlier > 0.002 for earlier, later in pairwise(stamps))


def test_late_reader_does_not_get_a_burst(tmp_path: Path) -> None:
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"{index}.png"), grey(index))
    camera = open_camera(f"folder:{tmp_path}?fps=20")
    camera.open()
    camera.read()
    time.sleep(0.2)  # four periods late
    second, third = camera.read().captured, camera.read().captured
    assert third - second > 0.04


@pytest.mark.parametrize("make", ["empty", "missing", "file", "no_images"])
def test_folder_without_images_is_refused_by_name(make: str, tmp_path: Path) -> None:
    path = tmp_path / "parts"
    if make == "file":
        path.touch()
    elif make != "missing":
        path.mkdir()
    if make == "no_images":
        (path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"folder:.*parts: (holds no image|cannot be listed)"):
        open_camera(f"folder:{path}").open()
