"""`lineguard run`: exact counts, exit codes, clean ends, and nothing written in halves."""

import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import (
    ENV,
    LINEGUARD,
    halve,
    lineguard,
    lines_of,
    picture,
    refused,
    save,
    write_station,
)

from models.zoo import models_folder

STOP_S = 1.0
"""From the signal to the end of the process."""

OLD = b'{"camera": "top", "part": 1, "verdict": "OK"}\n'
"""A verdict of an earlier run."""


def write_parts(folder: Path, *lots: str) -> str:
    """Pictures of parts, and a station that looks at them; its file's name."""
    for number, lot in enumerate(lots):
        save(folder / f"parts/{number:03}.png", picture(f"LOT {lot}"))
    return write_station(folder, "folder:parts")


def started(folder: Path, *args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [LINEGUARD, "run", *args],
        cwd=folder,
        env=ENV,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lines(path: Path, count: int) -> None:
    end = time.monotonic() + 30
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_json_lines_end_with_the_summary(tmp_path: Path) -> None:
    station = write_parts(tmp_path, "L2611A", "L2611B")
    done = lineguard("run", station, "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")  # the folder was shown to its end; no --parts
    *verdicts, last = map(json.loads, done.out.splitlines())
    assert verdicts == lines_of(tmp_path / "verdicts.jsonl")
    assert [v["verdict"] for v in verdicts] == ["OK", "NG"]
    assert verdicts[1]["reasons"][0]["en"] == "lot: read “L2611B”, expected “L2611A”"
    assert verdicts[1]["reasons"][0]["zh"] == "lot：读到“L2611B”，应为“L2611A”"
    summary = last["summary"]
    assert (summary["parts"], summary["ok"], summary["ng"], summary["late"]) == (2, 1, 1, 0)
    assert summary["cameras"]["top"]["frames"] == 2


@pytest.mark.parametrize(("parts", "code"), [(1, 0), (2, 0), (3, 1), (4, 1)])
def test_exit_code_is_one_only_if_an_ng_part_is_among_the_parts(
    tmp_path: Path, parts: int, code: int
) -> None:
    station = write_parts(tmp_path, "L2611A", "L2611A", "L2611B", "L2611A", "L2611A")
    done = lineguard("run", station, "--parts", parts, cwd=tmp_path)
    assert (done.code, done.err) == (code, "")
    assert len(lines_of(tmp_path / "verdicts.jsonl")) == parts
    assert f"parts          {parts}\n" in done.out


def test_parts_are_counted_exactly_on_a_line_that_does_not_stop(tmp_path: Path) -> None:
    station = write_station(tmp_path, "line:?kind=cap&rate=30&ng=0")
    done = lineguard("run", station, "--parts", 17, "--json", cwd=tmp_path)
    verdicts = lines_of(tmp_path / "verdicts.jsonl")
    assert [v["part"] for v in verdicts] == list(range(1, 18))
    assert json.loads(done.out.splitlines()[-1])["summary"]["parts"] == 17


def test_a_run_is_appended_to_what_was_there(tmp_path: Path) -> None:
    station = write_parts(tmp_path, "L2611A")
    (tmp_path / "verdicts.jsonl").write_bytes(OLD)
    assert lineguard("run", station, cwd=tmp_path).code == 0
    assert (tmp_path / "verdicts.jsonl").read_bytes().startswith(OLD)
    assert len(lines_of(tmp_path / "verdicts.jsonl")) == 2


def test_an_image_that_cannot_be_used_is_ng_and_the_line_goes_on(tmp_path: Path) -> None:
    station = write_parts(tmp_path, "L2611A", "L2611A", "L2611A", "L2611A")
    halve(tmp_path / "parts/001.png", tmp_path / "parts/001.png")
    save(tmp_path / "parts/002.png", np.zeros((1, 1, 3), np.uint8))
    done = lineguard("run", station, "--parts", 4, cwd=tmp_path)
    assert done.code == 1
    assert "Traceback" not in done.err
    verdicts = lines_of(tmp_path / "verdicts.jsonl")
    assert [v["verdict"] for v in verdicts] == ["OK", "NG", "NG", "OK"]
    assert [v["reasons"][0]["code"] for v in verdicts[1:3]] == ["bad_frame", "bad_frame"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("args", [(), ("--json",)])
def test_a_signal_ends_it_within_a_second(
    tmp_path: Path, number: signal.Signals, args: tuple[str, ...]
) -> None:
    for way in ("first", "second", "third"):  # the best counts: other processes want the cores too
        (tmp_path / way).mkdir()
        if stopped_by(number, tmp_path / way, args) < STOP_S:
            return
    pytest.fail(f"three times more than {STOP_S} s")


def stopped_by(number: signal.Signals, folder: Path, args: tuple[str, ...]) -> float:
    """Seconds that it took to end, as it should."""
    station = write_station(folder, "line:?kind=cap&rate=30")
    out = folder / "verdicts.jsonl"
    with started(folder, station, *args) as process:
        wait_for_lines(out, 5)
        start = time.monotonic()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=20)
        took = time.monotonic() - start
    assert (process.returncode, stderr) == (0, "")
    verdicts = lines_of(out)
    assert [v["part"] for v in verdicts] == list(range(1, len(verdicts) + 1))
    if args:
        *shown, last = map(json.loads, stdout.splitlines())
        assert shown == verdicts
        assert last["summary"]["parts"] == len(verdicts)
    else:
        assert f"parts          {len(verdicts)}\n" in stdout
    return took


def test_a_kill_leaves_whole_lines(tmp_path: Path) -> None:
    station = write_station(tmp_path, "line:?kind=cap&rate=30")
    with started(tmp_path, station) as process:
        wait_for_lines(tmp_path / "verdicts.jsonl", 3)
        process.kill()
        process.communicate(timeout=20)
    verdicts = lines_of(tmp_path / "verdicts.jsonl")
    assert [v["part"] for v in verdicts] == list(range(1, len(verdicts) + 1))


def test_a_reader_of_verdicts_that_leaves_stops_the_station(tmp_path: Path) -> None:
    station = write_station(tmp_path, "line:?kind=cap&rate=30")
    with started(tmp_path, station, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["part"] == 1
        process.stdout.close()
        assert process.wait(20) == 3
        (error,) = process.stderr.read().splitlines()
    assert error.startswith("error: stdout: verdicts cannot be written (Broken pipe): ")
    assert lines_of(tmp_path / "verdicts.jsonl")


def test_a_missing_camera_is_a_failed_device_and_lists_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "verdicts.jsonl").write_bytes(OLD)
    station = write_station(tmp_path, "v4l2:/dev/video99")
    (error,) = refused("run", station, cwd=tmp_path, code=3)
    assert error.startswith("v4l2:/dev/video99: no such camera: ")
    cameras = lineguard("station", "cameras", "--json", cwd=tmp_path).json["cameras"]
    assert all(camera in error for camera in cameras or ["this machine has no USB camera"])


def test_an_empty_folder_as_a_camera_is_refused(tmp_path: Path) -> None:
    (tmp_path / "verdicts.jsonl").write_bytes(OLD)
    (tmp_path / "parts").mkdir()
    (error,) = refused("run", write_station(tmp_path, "folder:parts"), cwd=tmp_path)
    assert error.endswith("parts: holds no image: put some there (.bmp, .jpeg, .jpg, .png, "
                          ".tif, .tiff, .webp)")  # fmt: skip


def test_faults_of_models_are_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "verdicts.jsonl").write_bytes(OLD)
    (whole,) = models_folder().glob("*rec*.onnx")
    halve(whole, tmp_path / "half.onnx")
    (tmp_path / "letters.txt").write_text("\n".join("ABCDEF"))
    station = write_station(tmp_path, "line:?kind=cap", rec="half.onnx")
    (error,) = refused("run", station, cwd=tmp_path)
    assert error.startswith("models.print: ")
    assert "half.onnx: ONNX Runtime refuses it" in error
    station = write_station(tmp_path, "line:?kind=cap", dictionary="letters.txt")
    (error,) = refused("run", station, cwd=tmp_path)
    assert "letters.txt: 6 characters, but the recogniser has 6623: " in error


@pytest.mark.parametrize("command", [("run",), ("station", "check")])
def test_a_station_file_that_is_not_there(tmp_path: Path, command: tuple[str, ...]) -> None:
    (error,) = refused(*command, "nowhere.toml", cwd=tmp_path)
    assert error == "nowhere.toml: does not exist: begin with `lineguard station new`"


def test_a_full_disk_stops_it(tmp_path: Path) -> None:
    station = write_station(tmp_path, "line:?kind=cap&rate=30", out="/dev/full")
    done = lineguard("run", station, cwd=tmp_path)
    assert done.code == 3
    (error,) = done.errors
    assert error.startswith("/dev/full: verdicts cannot be written (No space left on device): ")


def test_an_output_that_cannot_be_opened_stops_it_at_once(tmp_path: Path) -> None:
    station = write_station(tmp_path, "line:?kind=cap", out="/proc/verdicts.jsonl")
    (error,) = refused("run", station, cwd=tmp_path, code=3)
    assert error.startswith("/proc/verdicts.jsonl: verdicts cannot be written ")


def stops_when_full(folder: Path, command: list[str], **options: Any) -> None:
    done = subprocess.run(
        command, cwd=folder, env=ENV, capture_output=True, text=True, timeout=50, **options
    )
    assert done.returncode == 3, done
    (error,) = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert "verdicts.jsonl: verdicts cannot be written (" in error
    verdicts = lines_of(folder / "verdicts.jsonl")
    assert (folder / "verdicts.jsonl").read_bytes().startswith(OLD)
    assert 1 < len(verdicts) < 100
    assert [v["part"] for v in verdicts[1:]] == list(range(1, len(verdicts)))


def test_a_disk_that_fills_up_keeps_every_whole_line(tmp_path: Path) -> None:
    """A limit on file sizes stands for the disk: a write is short, the next one fails."""
    station = write_station(tmp_path, "line:?kind=cap&rate=30")
    (tmp_path / "verdicts.jsonl").write_bytes(OLD)
    limit = (5000, 5000)
    stops_when_full(
        tmp_path,
        [LINEGUARD, "run", station],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount; the test before needs no mount")
def test_a_disk_of_64_kib_that_fills_up_keeps_every_whole_line(tmp_path: Path) -> None:
    station = write_station(tmp_path, "line:?kind=cap&rate=30", out="disk/verdicts.jsonl")
    (tmp_path / "disk").mkdir()
    script = """
        mount -t tmpfs -o size=64k none disk || exit 99
        head -c 57344 /dev/zero > disk/filler
        printf '%s\\n' "$2" > disk/verdicts.jsonl
        "$0" run "$1"
        code=$?
        cp disk/verdicts.jsonl .
        exit $code
    """
    old = OLD.decode().strip()
    # A mount of its own namespace, that goes with it: nothing to clear away.
    shell = ["unshare", "--mount", "sh", "-c", script, LINEGUARD, station, old]
    stops_when_full(tmp_path, shell)
