"""Streams from a real server in a process of its own, which is killed, restarted and stalled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from camera_servers import free_port, running, wait_until
from mjpeg_server import BITS, BLOCK

from edge.camera import open_camera
from edge.camera.base import Frame
from edge.camera.capture import Capture, Limits, State
from edge.camera.mailbox import Mailbox
from edge.deadline import Deadline
from models.errors import CameraError

FPS = "25"
QUICK = Limits(stall=0.6, retry_first=0.05, retry_max=0.2)


def age(frame: Frame) -> float:
    """Seconds from the moment that the picture itself shows to that of its time stamp."""
    blocks = frame.image[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK, 0].ravel() > 127
    milliseconds = sum(1 << bit for bit in range(BITS) if blocks[bit])
    since: int = (int(frame.captured * 1000) - milliseconds) % (1 << BITS)
    return since / 1000.0


class Seen:
    def __init__(self, port: int, fps: str = FPS, limits: Limits = QUICK) -> None:
        self.frames: list[Frame] = []
        self.states: list[State] = []
        self.reasons: list[str] = []
        self.capture = Capture(
            lambda: open_camera(f"http://user:secret@127.0.0.1:{port}/line?token=secret#fps={fps}"),
            self.frames.append,
            on_state=self._on_state,
            limits=limits,
        )

    def _on_state(self, state: State, reason: str) -> None:
        self.states.append(state)
        self.reasons.append(reason)


@pytest.fixture
def see() -> Iterator[Callable[..., Seen]]:
    made: list[Seen] = []

    def make(port: int, fps: str = FPS, limits: Limits = QUICK) -> Seen:
        made.append(Seen(port, fps, limits))
        return made[-1]

    yield make
    for seen in made:
        seen.capture.stop(Deadline.after(5.0))


See = Callable[..., Seen]


def test_stamps_are_the_time_of_capture_from_the_first_frame(see: See) -> None:
    port = free_port()
    with running("mjpeg_server.py", str(port), FPS, "steady"):
        seen = see(port)
        seen.capture.start()
        assert wait_until(lambda: len(seen.frames) >= 15)
        seen.capture.stop(Deadline.after(2.0))
    assert seen.frames[0].image.shape == (4 * BLOCK, 8 * BLOCK, 3)
    assert [frame.number for frame in seen.frames[:15]] == list(range(15))
    ages = [age(frame) for frame in seen.frames]
    assert np.median(ages) < 0.02
    assert ages[0] < 1.0 / float(FPS) + 0.02


def test_slow_stream_hands_out_no_picture_from_before_it_was_open(see: See) -> None:
    port = free_port()
    with running("mjpeg_server.py", str(port), "5", "steady"):
        seen = see(port, "5")
        seen.capture.start()
        assert wait_until(lambda: len(seen.frames) >= 2)
    assert max(age(frame) for frame in seen.frames[:2]) < 0.1


def test_killed_and_restarted_server_is_found_again(see: See) -> None:
    port = free_port()
    with running("mjpeg_server.py", str(port), FPS, "steady") as server:
        seen = see(port)
        seen.capture.start()
        assert wait_until(lambda: len(seen.frames) >= 5)
        server.kill()
        assert wait_until(lambda: seen.capture.state == "lost")
        assert wait_until(lambda: "refused" in seen.capture.reason)
    before = len(seen.frames)
    assert seen.capture.counters.reconnects == 0
    assert seen.capture.counters.last_frame_age > 0.0
    with running("mjpeg_server.py", str(port), FPS, "steady"):
        assert wait_until(lambda: seen.capture.state == "running")
        assert wait_until(lambda: len(seen.frames) >= before + 5)
        assert seen.capture.stop(Deadline.after(5.0))
    counters = seen.capture.counters
    assert counters.reconnects == 1
    assert counters.stalls == 0
    assert counters.bad_frames == 0
    assert counters.frames == len(seen.frames)
    assert seen.states[:3] == ["starting", "running", "lost"]
    assert seen.states[-2:] == ["running", "stopped"]
    # a picture may stay half drawn when the server dies; those after it must be of their time
    assert age(seen.frames[-1]) < 0.1


def test_stalled_server_is_noticed_and_asked_again(see: See) -> None:
    port = free_port()
    with running("mjpeg_server.py", str(port), FPS, "stall:20"):
        seen = see(port)
        seen.capture.start()
        assert wait_until(lambda: seen.capture.state == "lost")
        counters = seen.capture.counters
        assert counters.stalls == 1
        assert counters.abandoned == 1  # FFmpeg still waits within the socket
        assert 0.5 < counters.last_frame_age < 1.5
        assert "silent for 0.6 s" in seen.capture.reason
        before = len(seen.frames)
        assert wait_until(lambda: seen.capture.counters.reconnects == 1)
        assert wait_until(lambda: len(seen.frames) > before + 3)


def test_server_that_accepts_and_never_answers_fails_the_start_in_time(see: See) -> None:
    port = free_port()
    with running("mjpeg_server.py", str(port), FPS, "silent"):
        seen = see(port, FPS, Limits(open=0.4))
        began = time.monotonic()
        with pytest.raises(CameraError, match=r"silent for 0\.4 s"):
            seen.capture.start()
        assert time.monotonic() - began < 1.0


def test_freshest_frame_is_never_older_than_one_interval(see: See) -> None:
    port = free_port()
    with running("mjpeg_server.py", str(port), FPS, "steady"):
        interval = 1.0 / float(FPS)
        box: Mailbox[Frame] = Mailbox("freshest", max_age=interval)
        capture = Capture(
            lambda: open_camera(f"http://127.0.0.1:{port}/#fps={FPS}"),
            lambda f: box.put(f) and None,
        )
        capture.start()
        ages = []
        for _ in range(8):
            frame = box.take(2.0)
            assert frame is not None
            ages.append(time.monotonic() - frame.captured)
            time.sleep(0.09)  # slower than the camera: two of three frames must go
        assert capture.stop(Deadline.after(5.0))
    assert max(ages) <= interval + 0.03  # some of it is this thread waiting for a core
    assert box.dropped >= 8


def test_nobody_there_is_said_with_the_reason_and_without_the_password(
    see: See, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    with pytest.raises(CameraError) as caught:
        see(port).capture.start()
    assert str(caught.value) == (
        f"http://***@127.0.0.1:{port}/line?token=***: cannot be opened: port {port}: "
        "Connection refused: check address, cable and power"
    )
    shown = capfd.readouterr()
    assert "secret" not in shown.out + shown.err


def test_what_answers_without_video_is_told_from_what_does_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    with running("mjpeg_server.py", str(port), FPS, "stall:0"):
        camera = open_camera(f"rtsp://user:secret@127.0.0.1:{port}/line")
        with pytest.raises(CameraError, match="answers, but gives no video"):
            camera.open()
    shown = capfd.readouterr()
    assert "secret" not in shown.out + shown.err
