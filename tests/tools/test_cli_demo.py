"""`lineguard demo`: the whole of it, small."""

import signal
import subprocess
import time
from pathlib import Path

import cv2
import pytest
from cli_lab import ENV, LINEGUARD, Done, lineguard, refused


def test_verdicts_equal_the_truth(tmp_path: Path) -> None:
    done = lineguard("demo", "--parts", 8, "--rate", 10, "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    summary = done.json
    assert list(summary) == [
        "parts", "agreement", "escapes", "false_rejects", "late", "ok", "ng", "latency_ms",
        "disagreements",
    ]  # fmt: skip
    assert (summary["parts"], summary["agreement"]) == (8, 1.0)
    assert (summary["escapes"], summary["false_rejects"], summary["late"]) == (0, 0, 0)
    assert summary["ok"] + summary["ng"] == 8
    assert set(summary["latency_ms"]) == {"p50", "p90", "p99", "max"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_faulty_parts_are_rejected(tmp_path: Path) -> None:
    done = lineguard("demo", "--parts", 24, "--rate", 3, "--json", cwd=tmp_path)
    assert done.code == 0, done
    assert done.json["ng"] >= 1
    assert done.json["agreement"] == 1.0


@pytest.mark.parametrize("name", ["sheet.png", "new/sheet.jpg"])
def test_the_sheet_is_drawn(tmp_path: Path, name: str) -> None:
    done = lineguard("demo", "--parts", 8, "--rate", 10, "--sheet", name, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert f"drawn          {name}\n" in done.out
    sheet = cv2.imread(str(tmp_path / name))
    assert sheet is not None
    assert sheet.shape == (2 * 240, 4 * 320, 3)
    assert sheet.std() > 20


def test_a_sheet_that_is_no_picture_is_refused_before_any_part(tmp_path: Path) -> None:
    (tmp_path / "sheet.pdf").write_text("mine")
    (error,) = refused("demo", "--sheet", "sheet.pdf", cwd=tmp_path)
    assert error == "sheet.pdf: no format for a sheet: name it .png, .jpg, .jpeg"


def test_a_sheet_that_cannot_be_written_is_a_failed_disk(tmp_path: Path) -> None:
    args = ("--parts", 4, "--rate", 10, "--json", "--sheet", "/proc/sheet.png")
    (error,) = refused("demo", *args, cwd=tmp_path, code=3)
    assert error.startswith("/proc/sheet.png: cannot be ")


def test_parts_that_nobody_judged_because_of_ctrl_c_are_no_disagreement(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [LINEGUARD, "demo", "--parts", "3000", "--rate", "2", "--sheet", "s.png", "--json"],
        cwd=tmp_path,
        env=ENV,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    done = Done(process.returncode, out, err)
    assert done.err == ""
    assert not [each for each in done.json["disagreements"] if "stopped" in each]
    assert cv2.imread(str(tmp_path / "s.png")) is not None
