"""A station whose camera is not there at the start: it shows it, and begins when it comes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from loop_lab import Collected, LabCamera, LabModel, station

from edge.loop import Line
from models.errors import CameraError

LINEGUARD = str(Path(sys.executable).with_name("lineguard"))


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TakenCamera(LabCamera):
    """Another program has it until it is given back."""

    def __init__(self, count: int) -> None:
        super().__init__(count, interval=0.01, fps=50)
        self.free = threading.Event()
        self.tries = 0

    def open(self) -> None:
        self.tries += 1
        if not self.free.is_set():
            raise CameraError("lab:0: busy in another program")


def test_a_camera_that_is_taken_is_lost_until_it_is_given_back(tmp_path: Path) -> None:
    camera, out = TakenCamera(5), Collected()
    line = Line(station(tmp_path, 30_000), {"m": LabModel()}, [out], patient=True)
    runs = threading.Thread(target=line.run, daemon=True)
    runs.start()
    wait_for(lambda: line.started and "lost" in out.states)
    assert line.stuck == []
    wait_for(lambda: camera.tries > 1)
    assert (runs.is_alive(), out.verdicts) == (True, [])
    camera.free.set()
    runs.join(30)
    assert not runs.is_alive()
    assert [verdict.ok for verdict in out.verdicts] == [True] * 5
    assert out.states[-2:] == ["running", "ended"] or out.states[-1] == "ended"


def test_it_stops_while_the_camera_is_not_there(tmp_path: Path) -> None:
    TakenCamera(5)
    out = Collected()
    line = Line(station(tmp_path, 30_000), {"m": LabModel()}, [out], patient=True)
    runs = threading.Thread(target=line.run, daemon=True)
    runs.start()
    wait_for(lambda: line.started and "lost" in out.states)
    line.stop()
    start = time.monotonic()
    runs.join(20)
    assert not runs.is_alive()
    assert time.monotonic() - start < 10
    assert out.states[-1] == "stopped"


def test_who_is_not_patient_hears_it_at_once(tmp_path: Path) -> None:
    TakenCamera(5)
    line = Line(station(tmp_path), {"m": LabModel()}, [Collected()])
    with pytest.raises(CameraError, match="busy in another program"):
        line.run()


STATION = """
[station]
name = "waiting"
deadline_ms = 10000
[models.print]
family = "ppocr"
rec = "zoo:ppocrv4-rec-onnx"
dictionary = "zoo:ppocr-keys"
[[cameras]]
name = "top"
source = "v4l2:/dev/video99"
[[regions]]
name = "label"
camera = "top"
model = "print"
mode = "fixed"
[[rules]]
name = "lot"
kind = "code"
region = "label"
pattern = '(?P<lot>LOT)'
"""


@pytest.mark.slow
def test_a_station_says_on_its_display_what_its_box_lacks(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "station.toml").write_text(f"{STATION}[display]\nport = {port}\n")
    with subprocess.Popen(
        [LINEGUARD, "run", "station.toml", "--json"], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as run:  # fmt: skip
        http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False)
        faults: dict[str, str] = {}

        def shown() -> bool:
            try:
                told = http.get("api/v1/state").json()["faults"]
            except httpx.TransportError:
                return False
            faults.update({fault["id"]: fault["en"] for fault in told})
            return {"camera:top", "box:camera top"} <= faults.keys()

        try:
            wait_for(shown)
            health = http.get("healthz")
        finally:
            run.send_signal(signal.SIGTERM)
            out, err = run.communicate(timeout=30)
    assert faults["box:camera top"].startswith("/dev/video99 is not there: plug it in")
    assert health.status_code == 503
    assert any(each.startswith("box:camera top: ") for each in health.json()["reasons"])
    assert run.returncode == 0
    assert json.loads(out)["summary"]["parts"] == 0
    assert "camera top: /dev/video99 is not there" in err
