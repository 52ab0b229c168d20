"""The line as a camera: on time, in order, to its end."""

import threading
import time

import pytest

from edge.camera import open_camera
from edge.camera.base import Camera, EndOfStream
from models.errors import CameraError, InputError
from tools.line import PartTruth, render
from tools.line.camera import LineCamera
from tools.running import register_line


@pytest.fixture(autouse=True)
def registered() -> None:
    register_line()


def test_a_source_names_a_line_and_its_frames_carry_their_truth() -> None:
    camera: Camera = open_camera("line:?kind=marker&seed=7&parts=3&ng=0.5")
    camera.open()
    for number in range(3):
        frame = camera.read()
        image, truth = render("marker", 7, number, ng=0.5)
        assert frame.number == number
        assert frame.image.tobytes() == image.tobytes()
        assert isinstance(frame.truth, PartTruth)
        assert frame.truth.fault == truth.fault
    with pytest.raises(EndOfStream):
        camera.read()
    with pytest.raises(EndOfStream):
        camera.read()
    camera.close()
    camera.close()
    with pytest.raises(CameraError, match="open it first"):
        camera.read()


def test_opened_again_it_begins_again() -> None:
    camera = LineCamera("marker", seed=1, parts=2)
    camera.open()
    first = camera.read()
    camera.open()
    assert camera.read().image.tobytes() == first.image.tobytes()
    camera.close()


def test_parts_pass_on_schedule_without_drift() -> None:
    camera = LineCamera("board", rate=12)
    camera.open()
    opened = time.monotonic()
    lags = []
    for number in range(9):
        frame = camera.read()
        assert frame.captured <= time.monotonic()
        lags.append(frame.captured - opened - (number + 1) / 12)
    camera.close()
    assert -1 / 12 < min(lags) < 0.05  # the beat goes on while a camera is opened
    assert sorted(lags)[4] == pytest.approx(min(lags), abs=0.001)  # a busy machine may delay some


def test_cameras_of_one_line_keep_one_beat_each_in_its_phase() -> None:
    cameras = [LineCamera("marker", rate=5, phase=phase) for phase in (0.0, 0.5)]
    passed = []
    for camera in cameras:
        camera.open()
        frames = [camera.read() for _ in range(3)]
        passed.append(frames[-1].captured)
        camera.close()
    assert ((passed[1] - passed[0]) * 5) % 1 == pytest.approx(0.5, abs=0.2)


def test_a_late_reader_gets_every_part_and_then_is_on_time_again() -> None:
    camera = LineCamera("board", rate=10)
    camera.open()
    first = camera.read()
    time.sleep(0.35)
    woken = time.monotonic()
    late = [camera.read() for _ in range(3)]
    assert [frame.number for frame in late] == [1, 2, 3]
    assert all(woken <= frame.captured <= time.monotonic() for frame in late)
    caught_up = [camera.read() for _ in range(3)][-1]
    assert caught_up.captured - first.captured == pytest.approx(0.6, abs=0.05)
    camera.close()


def test_closing_wakes_a_waiting_reader() -> None:
    camera = LineCamera("marker", rate=0.05)
    camera.open()
    threading.Timer(0.1, camera.close).start()
    start = time.monotonic()
    with pytest.raises(CameraError, match="was closed"):
        camera.read()
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("kind=bottle", "no such part"),
        ("rte=2", "did you mean 'rate'"),
        ("rate=-1", "must be 0 to"),
        ("rate=nan", "must be 0 to"),
        ("seed=-3", "must be 0 to"),
        ("ng=2", "must be 0 to 1"),
        ("parts=1.5", "whole number"),
        ("kind=carton&width=100", "needs 480x360"),
        ("width=100000", "must be 1 to"),
    ],
)
def test_a_wrong_source_is_refused_before_anything_opens(options: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as refusal:
        open_camera(f"line:?{options}")
    assert "\n" not in str(refusal.value)


def test_width_and_height_are_the_frames() -> None:
    camera = open_camera("line:?kind=cap&width=800&height=600")
    camera.open()
    assert camera.read().image.shape == (600, 800, 3)
    camera.close()
