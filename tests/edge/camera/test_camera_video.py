from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera import open_camera
from edge.camera.base import EndOfStream, Frame
from models.errors import InputError

COUNT = 12


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Twelve flat pictures, 20 grey levels apart, 50 a second."""
    path = tmp_path / "part.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50.0, (64, 48))
    assert writer.isOpened()
    for index in range(COUNT):
        writer.write(np.full((48, 64, 3), 20 * index, np.uint8))
    writer.release()
    return path


def read_all(source: str) -> tuple[list[Frame], float]:
    camera = open_camera(source)
    camera.open()
    frames = []
    try:
        while True:
            frames.append(camera.read())
    except EndOfStream:
        return frames, camera.fps
    finally:
        camera.close()


def test_every_frame_comes_once_and_in_order(video: Path) -> None:
    frames, fps = read_all(f"file:{video}?fps=0")
    assert fps == 0
    assert [frame.number for frame in frames] == list(range(COUNT))
    levels = [round(float(frame.image.mean()) / 20) for frame in frames]
    assert levels == list(range(COUNT))
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert frames[0].image.dtype == np.uint8


def test_recording_keeps_its_own_rate(video: Path) -> None:
    frames, fps = read_all(f"file:{video}")
    assert fps == pytest.approx(50.0)
    span = frames[-1].captured - frames[0].captured
    assert (COUNT - 1) / 50.0 - 0.01 <= span < 1.0


def test_other_rate_on_request(video: Path) -> None:
    began = time.monotonic()
    _, fps = read_all(f"file:{video}?fps=200")
    assert fps == 200
    assert time.monotonic() - began < 0.2


def test_video_can_be_opened_again(video: Path) -> None:
    camera = open_camera(f"file:{video}?fps=0")
    for _ in range(2):
        camera.open()
        assert camera.read().number == 0
        camera.close()
        camera.close()


def test_cut_off_recording_still_shows_what_it_has(video: Path) -> None:
    data = video.read_bytes()
    chunks = data[: data.index(b"idx1")].split(b"00dc")  # one for each picture, after the header
    assert len(chunks) > COUNT
    video.write_bytes(b"00dc".join(chunks[: -COUNT // 2]) + b"00dc" + chunks[-COUNT // 2][:9])
    frames, _ = read_all(f"file:{video}?fps=0")
    assert 4 <= len(frames) < COUNT


@pytest.mark.parametrize("content", [b"", b"not a video", None])
def test_what_is_no_video_is_refused_by_name(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "part.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"file:.*part\.mp4: no (video|such file)"):
        open_camera(f"file:{path}").open()


def test_recording_without_a_picture_is_refused(video: Path) -> None:
    data = video.read_bytes()
    video.write_bytes(data[: data.index(b"movi") + 4])
    with pytest.raises(InputError, match=r"part\.avi: (holds no picture|no video)"):
        read_all(f"file:{video}")
