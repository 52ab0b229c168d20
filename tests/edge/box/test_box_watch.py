"""What a running station says of its box on its display, and the doctor says too."""

from __future__ import annotations

import os
import pty
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from boards_lab import (
    BOARDS,
    STATION,
    Forbidding,
    case_of,
    flashed,
    make_board,
    spoil,
    told,
    write,
)

from edge.box.checks import CHECKS, Timed
from edge.box.doctor import Examiner, examine
from edge.box.finding import Case, Finding, bad, fine, warn
from edge.box.root import Root
from edge.box.watch import BoxWatch, station_checks
from edge.display.answers import FaultAnswer
from edge.display.state import DisplayState
from edge.station import Station, load_station

DOCTOR = [each for each in CHECKS if each.name not in ("engine", "service")]


class Lab:
    """A display, and a watch that tells it of a box."""

    def __init__(self, case: Case, station: Station) -> None:
        self.case, self.display = case, DisplayState(station)
        self.watch = BoxWatch(lambda: self.case, station_checks(station), self.display.alarms.tell)

    def shows(self) -> dict[str, dict[str, Any]]:
        """Faults by id as the page gets them, after another look."""
        self.watch.look()
        faults = self.display.snapshot()["faults"]
        for fault in faults:
            FaultAnswer.model_validate(fault)
            assert any("\u4e00" <= char <= "\u9fff" for char in fault["zh"])
            assert (fault["en"] + fault["zh"]).isprintable()
        return {fault["id"]: fault for fault in faults if fault["active"]}


def on(root: Root, folder: Path, station: str = "", **fields: Any) -> Lab:
    """A station on a board; its camera and port are there."""
    for name in ("video0", "ttyUSB0"):
        write(root.path, f"dev/{name}", "")
    path = write(folder, "station.toml", station or STATION.format(cores=""))
    return Lab(case_of(root, station=path, **fields), load_station(path))


def agree(lab: Lab, name: str, level: Literal["fault", "warning"], words: str) -> None:
    """The doctor names it, and the display says the same in both languages, with the mend."""
    (finding,) = [f for f in examine(lab.case, DOCTOR) if f.name == name and f.level == level]
    kind = {"fault": "box", "warning": "upkeep"}[level]
    shown = lab.shows()[f"{kind}:{name}"]
    assert words in finding.found
    assert shown["en"] == f"{finding.found}: {finding.mend}"
    fit = not any(each.startswith(("box:", "upkeep:")) for each in lab.display.health())
    assert fit is (level == "warning")


def test_a_good_board_says_nothing(tmp_path: Path) -> None:
    assert on(make_board(tmp_path / "b", "rk3588"), tmp_path).shows() == {}


def test_a_dot_product_bundle_on_a_board_without(tmp_path: Path) -> None:
    slots = flashed(tmp_path, hardware=("arm64-dotprod",))
    without = on(make_board(tmp_path / "4", "rpi4"), tmp_path, slots=slots)
    agree(without, "bundle", "fault", "is for arm64-dotprod; this board is arm64")
    assert "缺少 dotprod" in without.shows()["box:bundle"]["zh"]
    assert on(make_board(tmp_path / "5", "rpi5"), tmp_path, slots=slots).shows() == {}


def test_a_32_bit_userland_on_a_64_bit_kernel(tmp_path: Path) -> None:
    lab = on(make_board(tmp_path / "b", "rpi4-32"), tmp_path)
    agree(lab, "programs", "warning", "32-bit under a 64-bit kernel (aarch64)")


def test_a_clock_in_1970_without_an_rtc(tmp_path: Path) -> None:
    root = make_board(tmp_path / "b", "rpi4")
    (root.path / "run/systemd/timesync/synchronized").unlink()
    lab = on(root, tmp_path, now=63.0)
    agree(lab, "clock", "fault", "says 1970-01-01 00:01 UTC")
    assert "没有实时时钟" in lab.shows()["box:clock"]["zh"]


def test_a_read_only_disk(tmp_path: Path) -> None:
    root = make_board(tmp_path / "b", "rpi4")
    lab = on(root, root.path / "var/lib/lineguard")
    assert lab.shows() == {}
    mounts = "/dev/mmcblk0p2 / ext4 rw 0 0\n/dev/mmcblk0p3 /var/lib/lineguard ext4 {} 0 0\n"
    write(root.path, "proc/mounts", mounts.format("ro,noatime"))
    agree(lab, "disk (state)", "fault", "/var/lib/lineguard is read-only")
    write(root.path, "proc/mounts", mounts.format("rw,noatime"))
    assert lab.shows() == {}
    (over,) = lab.display.snapshot()["faults"]  # until somebody has seen it
    assert (over["active"], over["acknowledged"]) == (False, False)


def test_records_on_a_disk_of_their_own(tmp_path: Path) -> None:
    root = make_board(tmp_path / "b", "rpi4")
    (root.path / "mnt/usb").mkdir(parents=True)
    write(root.path, "proc/mounts", "/dev/a / ext4 rw 0 0\n/dev/b /mnt/usb vfat ro 0 0\n")
    lab = on(root, tmp_path, records=root.path / "mnt/usb")
    assert lab.shows()["box:disk (records)"]["en"].startswith("/mnt/usb is read-only")


def test_a_camera_that_another_process_has(tmp_path: Path) -> None:
    root = make_board(tmp_path / "b", "rpi4")
    lab = on(root, tmp_path)
    write(root.path, "proc/4711/comm", "motion\n")
    (root.path / "proc/4711/fd").mkdir()
    (root.path / "proc/4711/fd/7").symlink_to("/dev/video0")
    agree(lab, "camera top", "fault", "/dev/video0 is in use by motion (4711)")
    (root.path / "proc/self/fd").mkdir()
    (root.path / "proc/self/fd/5").symlink_to("/dev/video0")
    assert lab.shows() == {}, "the station has it: whoever else has opened it does no harm"


def test_a_camera_by_a_lasting_name_of_another_station(tmp_path: Path) -> None:
    root = make_board(tmp_path / "b", "rpi4")
    text = STATION.format(cores="").replace("/dev/video0", "/dev/v4l/by-id/usb-cam")
    lab = on(root, tmp_path, text)
    (root.path / "dev/v4l/by-id").mkdir(parents=True)
    (root.path / "dev/v4l/by-id/usb-cam").symlink_to("../../video0")
    write(root.path, "proc/815/comm", "lineguard\n")
    (root.path / "proc/815/fd").mkdir()
    (root.path / "proc/815/fd/7").symlink_to("/dev/video0")
    assert "by lineguard (815)" in lab.shows()["box:camera top"]["en"]
    assert told(examine(lab.case, DOCTOR), "fault") == [], "a doctor takes it for the station"


@contextmanager
def terminal() -> Iterator[str]:
    """A real serial port of this machine."""
    master, slave = pty.openpty()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


def live(folder: Path, port: str) -> Lab:
    """A station on this very machine, with a serial output."""
    text = STATION.format(cores="").replace("/dev/ttyUSB0", port)
    text = text.replace("v4l2:/dev/video0", "folder:parts")
    path = write(folder, "station.toml", text)
    case = case_of(Root(), station=path, now=time.time())
    return Lab(case, load_station(path))


def test_a_real_port_that_another_process_has(tmp_path: Path) -> None:
    script = (
        "import sys, time; port = open(sys.argv[1]); print('has it', flush=True); time.sleep(60)"
    )
    master, slave = pty.openpty()
    port = os.ttyname(slave)
    os.close(slave)
    with subprocess.Popen(
        [sys.executable, "-c", script, port], stdout=subprocess.PIPE, text=True
    ) as thief:
        assert thief.stdout is not None
        thief.stdout.readline()
        lab = live(tmp_path, port)
        shown = lab.shows()["box:output serial"]
        assert f"({thief.pid}): stop it" in shown["en"]
        assert f"{port} 被" in shown["zh"]
        thief.kill()
    assert "box:output serial" not in lab.shows()
    os.close(master)


def test_a_real_port_without_permission(tmp_path: Path) -> None:
    with terminal() as port:
        lab = live(tmp_path, port)
        os.chmod(port, 0)
        mine = os.getuid()
        if mine == 0:  # root may do anything: be somebody else for whoever asks
            os.setreuid(65534, 0)
        try:
            agree(lab, "output serial", "fault", f"{port} may not be used by")
        finally:
            if mine == 0:
                os.setreuid(0, 0)
        assert "没有权限" in lab.shows().get("box:output serial", {"zh": "没有权限"})["zh"]


def test_devices_of_others_on_a_copy(tmp_path: Path) -> None:
    root = make_board(tmp_path / "b", "rpi4")
    lab = on(root, tmp_path)
    lab.case = case_of(Forbidding(root.path), station=lab.case.station)
    assert {"box:camera top", "box:output serial"} <= lab.shows().keys()


def test_heat_is_read_anew_each_time(tmp_path: Path) -> None:
    root = make_board(tmp_path / "b", "rk3568")
    lab = on(root, tmp_path)
    assert lab.shows() == {}
    write(root.path, "sys/class/thermal/thermal_zone0/temp", "71500\n")
    hot = lab.shows()["box:temperature"]
    assert hot["en"].startswith("cpu-thermal 72 °C: slowed down from 70 °C: give it a fan")
    write(root.path, "sys/class/thermal/thermal_zone0/temp", "66000\n")
    assert set(lab.shows()) == {"upkeep:temperature"}
    lab.display.camera("top", "running", "")
    assert lab.display.health() == []


@pytest.mark.parametrize("seed", range(6))
def test_whatever_a_board_is_like_it_is_said_in_chinese_too(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    lab = on(make_board(tmp_path / "b", chance.choice(sorted(BOARDS))), tmp_path)
    spoil(lab.case.root.path, chance, 0.5)
    lab.case = case_of(lab.case.root, station=lab.case.station, now=chance.choice([63.0, 2e9]))
    assert all("could not be found out" not in each["en"] for each in lab.shows().values())


def test_a_check_that_hangs_is_not_begun_again() -> None:
    go, begun = threading.Event(), []

    def hangs(case: Case) -> Iterator[Finding]:
        begun.append(1)
        go.wait(60)
        yield fine("disk", "answers")

    examiner, case = Examiner([Timed("disk", hangs, 0.05)]), case_of(Root())
    for _ in range(3):
        (finding,) = examiner.examine(case)
        assert (finding.level, finding.found) == ("fault", "gave no answer within 0.05 s")
    assert len(begun) == 1
    go.set()
    wait_for(lambda: examiner.examine(case)[0].level == "ok")
    assert len(begun) == 2


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_looks_at_once_and_again_and_survives_what_breaks(tmp_path: Path) -> None:
    heard: list[tuple[str, str, str | None]] = []
    rounds = 0

    def check(case: Case) -> Iterator[Finding]:
        nonlocal rounds
        rounds += 1
        if rounds < 3:
            yield bad("fan", "stands still", "free it", "风扇停转")
        elif rounds == 3:
            raise RuntimeError("broken")
        elif rounds == 4:
            yield warn("fan", "is slow", "clean it")

    def tell(kind: str, name: str, en: str | None, zh: str | None) -> None:
        heard.append((kind, name, zh))
        if rounds == 1:
            raise RuntimeError("the listener breaks")

    with BoxWatch(lambda: case_of(Root()), [Timed("fan", check)], tell, every=0.01):
        wait_for(lambda: rounds > 6)
    assert heard[0] == heard[1] == ("box", "fan", "风扇停转")
    assert heard[2:4] == [
        ("box", "fan", None),
        ("upkeep", "fan", "无法检查（RuntimeError: broken）：请反馈"),
    ]
    assert ("upkeep", "fan", "is slow: clean it") in heard
    assert heard[-1] == ("upkeep", "fan", None)


def test_it_does_not_hold_up_the_end(tmp_path: Path) -> None:
    go = threading.Event()

    def hangs(case: Case) -> Iterator[Finding]:
        go.wait(60)
        yield fine("disk", "answers")

    start = time.monotonic()
    with BoxWatch(lambda: case_of(Root()), [Timed("disk", hangs, 60)], lambda *told: None):
        pass
    assert time.monotonic() - start < 5
    go.set()


def test_beside_a_station_it_opens_nothing_and_writes_nothing(tmp_path: Path) -> None:
    """A FIFO in place of a device would be waited for by whoever opens it."""
    root = make_board(tmp_path / "b", "rpi4")
    lab = on(root, tmp_path)
    with socket.socket(socket.AF_UNIX) as device:
        (root.path / "dev/ttyUSB0").unlink()
        device.bind(str(root.path / "dev/ttyUSB0"))  # cannot be opened at all
        before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
        assert lab.shows() == {}
        assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before
