"""A real RTSP server that is killed and restarted mid-run.

Debian and Ubuntu packages: ``python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base
gstreamer1.0-plugins-good gstreamer1.0-rtsp``.
"""

from __future__ import annotations

import subprocess
from itertools import pairwise

import psutil
import pytest
from camera_servers import free_port, running, wait_until

from edge.camera import open_camera
from edge.camera.base import Frame
from edge.camera.capture import Capture, Limits
from edge.deadline import Deadline
from models.errors import CameraError

SYSTEM_PYTHON = "/usr/bin/python3"  # the bindings are a distribution's package, not a wheel


def gstreamer_is_installed() -> bool:
    program = (
        "import gi; gi.require_version('GstRtspServer', '1.0');"
        "from gi.repository import Gst, GstRtspServer; Gst.init(None);"
        "assert Gst.ElementFactory.find('rtpjpegpay') and Gst.ElementFactory.find('videotestsrc')"
    )
    try:
        done = subprocess.run([SYSTEM_PYTHON, "-c", program], capture_output=True, timeout=30)
    except FileNotFoundError:
        return False
    return done.returncode == 0


pytestmark = pytest.mark.skipif(
    not gstreamer_is_installed(),
    reason="needs gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-{base,good}",
)


def test_rtsp_camera_is_lost_and_found_again() -> None:
    port = free_port()
    frames: list[Frame] = []
    capture = Capture(
        lambda: open_camera(f"rtsp://user:secret@127.0.0.1:{port}/line"),
        frames.append,
        limits=Limits(stall=2.0, retry_first=0.05, retry_max=0.2),
    )
    udp_before = len(psutil.Process().net_connections("udp"))
    with running("rtsp_server.py", str(port), python=SYSTEM_PYTHON) as server:
        capture.start()
        assert wait_until(lambda: len(frames) >= 5)
        # the server offers UDP too, and OpenCV left alone takes it
        assert len(psutil.Process().net_connections("udp")) == udp_before
        assert capture.fps == 25.0
        assert frames[0].image.shape == (120, 160, 3)
        server.kill()
        assert wait_until(lambda: capture.state == "lost")
    before = len(frames)
    # A second of pictures piled up while FFmpeg listened; they came at once, and must be gone.
    gaps = [later.captured - earlier.captured for earlier, later in pairwise(frames[:5])]
    assert sum(gaps) > 0.08
    with running("rtsp_server.py", str(port), python=SYSTEM_PYTHON):
        assert wait_until(lambda: len(frames) >= before + 5)
        assert capture.stop(Deadline.after(5.0))
    counters = capture.counters
    assert (counters.reconnects, counters.stalls) == (1, 0)
    assert counters.frames == len(frames)


@pytest.mark.parametrize("address", ["user:wrong@{}/line", "user:secret@{}/nowhere"])
def test_refused_by_the_camera(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    with running("rtsp_server.py", str(port), python=SYSTEM_PYTHON):
        camera = open_camera("rtsp://" + address.format(f"127.0.0.1:{port}"))
        with pytest.raises(CameraError, match="check path, user and password") as caught:
            camera.open()
    shown = capfd.readouterr()
    for secret in ("wrong", "secret"):
        assert secret not in str(caught.value) + shown.out + shown.err
