"""What a station costs a box: start, memory, idle processor time, disk."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.camera import open_camera
from edge.service.system import PREFIX
from models.errors import InputError
from models.zoo import models_folder
from tools.bench.station_plc import free_port
from tools.boxes.payload import write_payload
from tools.boxes.wheels import LOCK, PYTHONS, build_wheel, wheels_cache
from tools.running import register_line

__all__ = ["box_figures"]

Progress = Callable[[Iterable[Any], str], Iterable[Any]]

IMPORTS = 10
"""Fresh interpreters."""

STARTS = 5

BUSY_S, IDLE_S = 60.0, 60.0

SETTLE_S = 10.0
"""After which a station that nobody triggers does nothing of its start any more."""

PARTS_S = 1.5
"""Between two parts while memory is watched: two cores carry that."""

READY_S = 120.0

SIZE = (1280, 960)
"""Of the carton's pictures, as usual cameras have it."""

PICTURES, RATE, DECODED = 4, 5, 25
"""Of each camera; how many of them it gives a second; how often each is decoded to be timed."""

LINEGUARD = str(Path(sys.executable).with_name("lineguard"))

STATION = """
[station]
name = "figures"
deadline_ms = 10000
[job]
lot = "L2611A"
[models.print]
family = "ppocr"
det = "zoo:ppocrv4-det-onnx"
rec = "zoo:ppocrv4-rec-onnx"
cls = "zoo:ppocr-cls-onnx"
dictionary = "zoo:ppocr-keys"
[models.defects]
family = "ppyoloe"
det = "zoo:pcb-defects-xs"
labels = ["open", "short", "mousebite", "spur", "copper", "pinhole"]
[[cameras]]
name = "carton"
source = "folder:carton?fps={rate}&loop=1"
{trigger}
[[cameras]]
name = "board"
source = "folder:board?fps={rate}&loop=1"
{trigger}
[[regions]]
name = "print"
camera = "carton"
model = "print"
[[regions]]
name = "copper"
camera = "board"
model = "defects"
[[rules]]
name = "lot"
kind = "code"
region = "print"
pattern = '(?P<lot>[A-Z][0-9]{{4}}[A-Z])$'
[[rules]]
name = "sound"
kind = "no_defect"
region = "copper"
[records]
path = "records"
"""

TRIGGER = 'trigger = { kind = "software" }'

DISPLAY = "[display]\nport = {port}\n"


def box_figures(progress: Progress) -> dict[str, Any]:
    """All of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _pictures(folder)
        return {
            "import": _imports(progress),
            "start": _starts(folder, progress),
            **_working(folder, progress),
            "install": _install(folder, progress),
        }


def _pictures(folder: Path) -> None:
    """What the cameras of the station see, as JPEGs: a real camera's have to be decoded too."""
    register_line()
    for kind in ("carton", "board"):
        camera = open_camera(f"line:?kind={kind}&rate=20&seed=3&parts={PICTURES}")
        camera.open()
        (folder / kind).mkdir()
        for number in range(PICTURES):
            image = camera.read().image
            size = SIZE if kind == "carton" else image.shape[1::-1]
            picture = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / kind / f"{number}.jpg"), picture)
        camera.close()


def _imports(progress: Progress) -> dict[str, float]:
    """Milliseconds of ``import edge``, and of all that ``lineguard run`` imports with a display."""
    all_of_it = "import edge.display.server, onnxruntime, tools.cli.run, tools.running, edge.loop"
    figures = {}
    for name, statement in (("edge_ms", "import edge"), ("run_ms", all_of_it)):
        script = (
            f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        )
        took = [
            float(subprocess.run([sys.executable, "-c", script], **_ASKED).stdout)
            for _ in progress(range(IMPORTS), f"import {name.partition('_')[0]}")
        ]
        figures[name] = round(statistics.median(took) * 1000, 1)
    return figures


_ASKED: dict[str, Any] = {"check": True, "stdout": subprocess.PIPE, "text": True}


def _starts(folder: Path, progress: Progress) -> dict[str, float]:
    """Seconds from the command to its first verdict: the first time, and later on."""
    station = folder / "start.toml"
    station.write_text(STATION.format(rate=RATE, trigger=""), "utf-8")
    environment = os.environ | {"LINEGUARD_CACHE": str(folder / "cache")}
    took = []
    for _ in progress(range(STARTS + 1), "start"):
        begin = time.perf_counter()
        command = [LINEGUARD, "run", station.name, "--json"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, env=environment) as run:
            assert run.stdout is not None  # noqa: S101 - asked for a pipe
            verdict = run.stdout.readline()
            took.append(time.perf_counter() - begin)
            run.terminate()
            run.communicate()
        if not verdict:
            raise InputError("the station gives no verdict: see what it says")
    return {"first_s": round(took[0], 2), "later_s": round(statistics.median(took[1:]), 2)}


def _working(folder: Path, progress: Progress) -> dict[str, Any]:
    """Memory while parts come, and processor time while none do."""
    with _running(folder) as (run, fire):
        time.sleep(SETTLE_S)
        before, at = _spent(run.pid), time.monotonic()
        for _ in progress(range(round(IDLE_S)), "idle"):
            time.sleep(1)
        idle = (_spent(run.pid) - before) / (time.monotonic() - at)
        parts = 0
        for _ in progress(range(round(BUSY_S / PARTS_S)), "memory"):
            for camera in ("carton", "board"):
                parts += fire(camera)
            time.sleep(PARTS_S)
        memory = _memory(run.pid)
    return {
        "idle_percent": round(idle * 100, 2),
        "decoding_percent": _decoding(folder),
        "memory": {"parts": parts, **memory},
    }


def _decoding(folder: Path) -> float:
    """Per cent of a core that decoding the pictures of both cameras takes, and nothing else."""
    pictures = [path.read_bytes() for path in sorted(folder.glob("[bc]*/*.jpg"))]
    data = [np.frombuffer(each, np.uint8) for each in pictures]
    begin = time.process_time()
    for _ in range(DECODED):
        for each in data:
            cv2.imdecode(each, cv2.IMREAD_COLOR)
    spent = time.process_time() - begin
    return round(spent / DECODED / PICTURES * RATE * 100, 2)


@contextmanager
def _running(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], bool]]]:
    """A station with a display, and what triggers one of its cameras."""
    port, station = free_port(), folder / "station.toml"
    text = STATION.format(rate=RATE, trigger=TRIGGER) + DISPLAY.format(port=port)
    station.write_text(text, "utf-8")
    address = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(path: str) -> Any:
        with opener.open(f"{address}{path}", timeout=10) as answer:
            return json.load(answer)

    def fire(camera: str) -> bool:
        token = (folder / "display.token").read_text().strip()
        url = f"{address}/api/v1/trigger?camera={camera}"
        head = {"Authorization": f"Bearer {token}"}
        with opener.open(urllib.request.Request(url, b"", head), timeout=10):  # noqa: S310
            return True

    log = (folder / "log").open("wb")
    with (
        log,
        subprocess.Popen(
            [LINEGUARD, "run", station.name, "--json"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=log,
        ) as run,
    ):
        try:
            end = time.monotonic() + READY_S
            while run.poll() is None and time.monotonic() < end:
                try:
                    states = {each["state"] for each in get("/api/v1/state")["cameras"]}
                    if states == {"running"}:
                        break
                except OSError:
                    pass
                time.sleep(0.2)
            else:
                raise InputError(f"the station does not run: {(folder / 'log').read_text()}")
            yield run, fire
        finally:
            run.terminate()


def _spent(pid: int) -> float:
    """Processor seconds of a process and its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> dict[str, float]:
    """Megabytes now, shared pages by their share and in full, and the most there ever were."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    status = Path(f"/proc/{pid}/status").read_text()
    wanted = {"pss_mb": ("Pss", rollup), "rss_mb": ("Rss", rollup), "peak_mb": ("VmHWM", status)}
    found = {}
    for name, (key, text) in wanted.items():
        line = re.search(rf"^{key}:\s+(\d+) kB$", text, re.MULTILINE)
        found[name] = round(int(line[1]) * 1024 / 1e6, 1) if line else 0.0
    return found


def _install(folder: Path, progress: Progress) -> dict[str, Any]:
    """Megabytes that the ARM64 package puts on a box, with the byte code that is made there."""
    root = folder / "root"
    steps: list[Callable[[], object]] = [
        lambda: write_payload(
            root,
            architecture="arm64",
            python=PYTHONS["bookworm"],
            wheel=build_wheel(folder),
            lock=LOCK,
            models=models_folder(),
            cache=wheels_cache(),
        ),
        lambda: subprocess.run([sys.executable, "-m", "compileall", "-q", str(root)], **_ASKED),
    ]
    for step in progress(steps, "install"):
        step()
    prefix = root / PREFIX.relative_to("/")
    parts = [*prefix.glob("lib/python*/site-packages/*"), prefix / "models"]
    sizes = {path.name: _size(path) for path in parts}
    largest = sorted(sizes.items(), key=lambda pair: -pair[1])[:5]
    everything = _size(root)
    shutil.rmtree(root)
    return {
        "all_mb": round(everything / 1e6, 1),
        "largest": {name: round(size / 1e6, 1) for name, size in largest},
    }


def _size(path: Path) -> int:
    """Bytes of all files below, as a disk counts them."""
    if path.is_file():
        return path.lstat().st_blocks * 512
    return sum(each.lstat().st_blocks * 512 for each in path.rglob("*") if not each.is_dir())
