"""What the doctor says of boards on which something is wrong."""

from __future__ import annotations

import os
import threading
from datetime import datetime, timezone
from pathlib import Path

import pytest
from boards_lab import STATION, Forbidding, case_of, flashed, make_board, told, write

from edge.box.checks.bundle import check_bundle
from edge.box.checks.clock import check_clock
from edge.box.checks.disk import check_disks
from edge.box.checks.heat import check_heat
from edge.box.checks.line import check_gpio, check_serial
from edge.box.checks.memory import check_memory
from edge.box.checks.processor import check_processor
from edge.box.checks.service import check_services
from edge.box.checks.station import check_station
from edge.box.finding import Case, Check, Finding
from edge.box.root import Root


def look(check: Check, case: Case) -> list[Finding]:
    found = list(check(case))
    assert all(bool(each.mend) == (each.level != "ok") for each in found)
    return found


SOUND = ["rpi4", "rpi5", "rk3568", "rk3588", "imx8mp"]


@pytest.mark.parametrize("name", SOUND)
def test_nothing_is_wrong_with_a_good_board(name: str, tmp_path: Path) -> None:
    case = case_of(make_board(tmp_path, name))
    checks = (check_processor, check_memory, check_heat, check_clock, check_serial, check_gpio)
    for check in checks:
        assert {each.level for each in look(check, case)} == {"ok"}


def test_no_dot_product_is_told(tmp_path: Path) -> None:
    slow = look(check_processor, case_of(make_board(tmp_path / "4", "rpi4")))
    assert "no dot product: INT8 is slow" in told(slow, "ok")[1]
    fast = look(check_processor, case_of(make_board(tmp_path / "5", "rpi5")))
    assert "neon, dotprod, fp16" in told(fast, "ok")[1]
    assert "no dot product" not in told(fast, "ok")[1]


def test_32_bit_programs_on_a_64_bit_kernel(tmp_path: Path) -> None:
    found = look(check_processor, case_of(make_board(tmp_path, "rpi4-32")))
    assert told(found, "warning") == ["programs: are 32-bit under a 64-bit kernel (aarch64)"]
    assert look(check_processor, case_of(make_board(tmp_path / "2", "rpi2")))[1].level == "ok"


def test_a_processor_without_neon(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi2")
    text = (tmp_path / "proc/cpuinfo").read_text()
    write(tmp_path, "proc/cpuinfo", text.replace(" neon", ""))
    assert "has no NEON" in told(look(check_processor, case_of(root)), "fault")[0]


def test_idle_cores_old_kernel_and_low_clock(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rk3568")
    write(tmp_path, "sys/devices/system/cpu/online", "0-1\n")
    write(tmp_path, "proc/sys/kernel/osrelease", "4.19.232\n")
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
    assert told(look(check_processor, case_of(root)), "warning") == [
        "processor: cores 2, 3 are switched off",
        "processor: its clock is kept low (governor powersave)",
        "kernel: Linux 4.19.232",
    ]


@pytest.mark.parametrize(
    ("total", "free", "level"), [(4000, 2000, "ok"), (4000, 50, "warning"), (427, 300, "fault")]
)
def test_memory(total: int, free: int, level: str, tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi4")
    text = f"MemTotal: {total * 1024} kB\nMemAvailable: {free * 1024} kB\n"
    write(tmp_path, "proc/meminfo", text)
    assert [each.level for each in look(check_memory, case_of(root))] == [level]


def test_memory_that_ran_out(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi4")
    write(tmp_path, "proc/vmstat", "oom_kill 3\n")
    assert "ran out 3 times" in told(look(check_memory, case_of(root)), "warning")[0]


@pytest.mark.parametrize(
    ("bits", "level", "words"),
    [
        ("0", "ok", "cpu-thermal 47"),
        ("0x1", "fault", "voltage is too low now"),
        ("50000", "warning", "voltage was too low since"),
        ("4", "fault", "slows the processor down now"),
        ("80008", "warning", "soft limit"),
        ("e0000", "warning", "has slowed the processor down since"),
        ("throttled=0x0", "ok", "cpu-thermal"),
    ],
)
def test_what_the_firmware_of_a_pi_says(bits: str, level: str, words: str, tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi4")
    write(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", f"{bits}\n")
    assert words in told(look(check_heat, case_of(root)), level)[0]


def test_heat_is_measured_by_what_the_board_bears(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rk3568")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "71500\n")
    write(tmp_path, "sys/class/thermal/thermal_zone1/temp", "66000\n")
    write(tmp_path, "sys/class/thermal/cooling_device0/type", "cpufreq-cpu0\n")
    write(tmp_path, "sys/class/thermal/cooling_device0/cur_state", "3\n")
    found = look(check_heat, case_of(root))
    assert told(found, "fault") == [
        "temperature: cpu-thermal 72 °C: slowed down from 70 °C",
        "temperature: the kernel slows the processor down now (cpufreq-cpu0)",
    ]
    assert told(found, "warning") == ["temperature: gpu-thermal 66 °C, is slowed down at 70 °C"]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def test_a_clock_in_1970_without_an_rtc(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi4")
    (tmp_path / "run/systemd/timesync/synchronized").unlink()
    (found,) = look(check_clock, case_of(root, now=63.0))
    assert told([found], "fault") == [
        "clock: says 1970-01-01 00:01 UTC, but it is 2026-01-01 at least: there is no RTC"
    ]
    assert "timedatectl set-ntp true" in found.mend
    (found,) = look(check_clock, case_of(root, now=seconds("2026-11-22")))
    assert found.level == "warning"
    assert "it stands still while the board is off" in found.found


def test_a_clock_before_the_system_was_built(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rk3568")
    mark = write(tmp_path, "usr/lib/clock-epoch", "")
    os.utime(mark, (seconds("2027-03-01"),) * 2)
    (found,) = look(check_clock, case_of(root, now=seconds("2026-12-31")))
    assert "but it is 2027-03-01 at least" in told([found], "fault")[0]


def test_an_rtc_that_is_off(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi5")
    found = look(check_clock, case_of(root, now=1_795_324_800.0 + 3600))
    assert told(found, "warning") == ["clock: its RTC is 3600 s off: so is the clock after a cut"]


def test_a_read_only_disk(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi4")
    write(tmp_path, "proc/mounts", "/dev/mmcblk0p2 / ext4 ro,noatime 0 0\n")
    found = look(check_disks, case_of(root))
    words = "disk (system): / is read-only: nothing can be recorded or flashed"
    assert told(found, "fault") == [words]


def test_a_read_only_system_with_a_disk_for_its_state_is_as_it_should_be(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi4")
    mounts = "/dev/mmcblk0p2 / ext4 ro 0 0\n/dev/mmcblk0p3 /var/lib/lineguard ext4 rw 0 0\n"
    write(tmp_path, "proc/mounts", mounts)
    (tmp_path / "var/lib/lineguard").mkdir(parents=True)
    found = look(check_disks, case_of(root))
    assert told(found, "fault") == []
    assert "disk (system): / is read-only, and nothing of ours is written there" in told(
        found, "ok"
    )
    write(tmp_path, "proc/mounts", mounts.replace("ext4 rw", "ext4 ro"))
    (fault,) = told(look(check_disks, case_of(root)), "fault")
    assert fault.startswith("disk (state): /var/lib/lineguard is read-only")


def test_a_stranger_is_told_whose_the_state_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_board(tmp_path, "rpi4")
    state = tmp_path / "var/lib/lineguard"
    state.mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != state)  # root may all
    for owner, mend in (
        ("lineguard", "run this as its owner: `sudo -u lineguard lineguard box doctor`"),
        ("root", f"give it to the user of the station: `sudo chown -R USER {state}`"),
    ):
        monkeypatch.setattr(Path, "owner", lambda path, owner=owner: owner)
        (found,) = (each for each in look(check_disks, case_of(root)) if each.level == "warning")
        assert (found.name, found.mend) == ("disk (state)", mend)


@pytest.mark.parametrize(
    ("life", "spare", "level"),
    [
        ("0x01 0x03", "0x01", "ok"),
        ("0x09 0x01", "0x01", "warning"),
        ("0x01 0x01", "0x02", "warning"),
        ("0x0b 0x01", "0x01", "fault"),
        ("0x02 0x01", "0x03", "fault"),
    ],
)
def test_a_worn_disk(life: str, spare: str, level: str, tmp_path: Path) -> None:
    root = make_board(tmp_path, "imx8mp")
    write(tmp_path, "sys/block/mmcblk0/device/life_time", f"{life}\n")
    write(tmp_path, "sys/block/mmcblk0/device/pre_eol_info", f"{spare}\n")
    assert any("life" in words for words in told(look(check_disks, case_of(root)), level))


def test_a_file_system_that_met_errors(tmp_path: Path) -> None:
    root = make_board(tmp_path, "imx8mp")
    write(tmp_path, "sys/fs/ext4/mmcblk0p2/errors_count", "2\n")
    assert told(look(check_disks, case_of(root)), "fault") == [
        "disk (system): mmcblk0p2: its file system has met 2 errors"
    ]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_board(tmp_path, "rpi4")

    def full(path: object) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, 10**6, 2000, 1000, 10**5, 10**5, 10**5, 0, 255))

    monkeypatch.setattr(os, "statvfs", full)
    (fault,) = told(look(check_disks, case_of(root)), "fault")
    assert fault.endswith(": 3 of 3906 MiB free")


def test_ports_and_chips_that_this_user_may_not_use(tmp_path: Path) -> None:
    make_board(tmp_path, "rpi4")
    os.chown(tmp_path / "dev/ttyS0", -1, os.getgid())
    group = f"root:x:0:\nserials:x:{os.getgid() or 20}:\n"
    write(tmp_path, "etc/group", group)
    case = case_of(Forbidding(tmp_path))
    found = look(check_serial, case)
    assert [each.level for each in found] == ["warning", "warning"]
    assert "/dev/ttyAMA0 may not be used by" in found[0].found
    assert "usermod -aG" in found[0].mend
    (chip,) = look(check_gpio, case)
    assert chip.level == "warning"
    assert "usermod -aG gpio" in chip.mend or "serials" in chip.mend


def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi4")
    write(tmp_path, "proc/4711/comm", "ModemManager\n")
    (tmp_path / "proc/4711/fd").mkdir()
    (tmp_path / "proc/4711/fd/7").symlink_to("/dev/ttyAMA0")
    write(tmp_path, "sys/class/tty/console/active", "tty0 ttyS0\n")
    assert told(look(check_serial, case_of(root)), "ok") == [
        "serial port: /dev/ttyAMA0: in use by ModemManager (4711)",
        "serial port: /dev/ttyS0 (the kernel's console)",
    ]


def test_a_bundle_that_fits(tmp_path: Path) -> None:
    slots = flashed(tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in slots.rglob("*")}
    case = case_of(make_board(tmp_path / "rpi4", "rpi4"), slots=slots)
    found = look(check_bundle, case)
    assert [each.level for each in found] == ["ok", "ok"]
    assert found[0].found.startswith("pcb 1.0.0 in slot a: 0.1 MiB, every file as signed")
    assert {path: path.lstat().st_mtime_ns for path in slots.rglob("*")} == before


def test_a_bundle_for_dot_product_on_a_board_without(tmp_path: Path) -> None:
    slots = flashed(tmp_path, hardware=("arm64-dotprod",))
    pi4, pi5 = (
        case_of(make_board(tmp_path / name, name), slots=slots) for name in ("rpi4", "rpi5")
    )
    assert told(look(check_bundle, pi4), "fault") == [
        "bundle: pcb 1.0.0 in slot a: is for arm64-dotprod; this board is arm64 (it has no dotprod)"
    ]
    assert told(look(check_bundle, pi5), "fault") == []
    old = case_of(make_board(tmp_path / "32", "rpi4-32"), slots=flashed(tmp_path / "arm64"))
    assert "is for arm64, x86-64; this board is armv7" in told(look(check_bundle, old), "fault")[0]


def test_a_bundle_for_an_engine_that_is_not_there(tmp_path: Path) -> None:
    engine = {"name": "onnxruntime", "min": "0.5", "max": "0.9"}
    case = case_of(make_board(tmp_path / "b", "rpi4"), slots=flashed(tmp_path, engine=engine))
    assert (
        "needs onnxruntime 0.5 to 0.9, installed is" in told(look(check_bundle, case), "fault")[0]
    )


def test_a_model_that_is_no_model(tmp_path: Path) -> None:
    payload = {"golden/board.png": b"\x89PNG", "pcb/det.nb": b"\2\0v2.13 and no more"}
    models = {"pcb": {"family": "ppyoloe", "det": "pcb/det.nb", "labels": ["short"]}}
    slots = flashed(tmp_path, payload=payload, models=models)
    case = case_of(make_board(tmp_path / "b", "rpi4"), slots=slots)
    (fault,) = told(look(check_bundle, case), "fault")
    assert "is no whole .nb file" in fault


def test_slots_in_every_other_state(tmp_path: Path) -> None:
    root = make_board(tmp_path / "b", "rpi4")

    def says(slots: Path | None) -> list[str]:
        found = look(check_bundle, case_of(root, slots=slots))
        return [f"{each.level}: {each.found}" for each in found]

    assert says(None)[0].startswith("ok: none asked for")
    assert says(tmp_path / "none")[0].endswith("holds no slots yet")
    assert not (tmp_path / "none").exists()
    (tmp_path / "new/trusted").mkdir(parents=True)
    assert says(tmp_path / "new")[:2] == [
        "warning: no key is trusted: no bundle can be flashed",
        "warning: none is confirmed yet",
    ]
    slots = flashed(tmp_path)
    (slots / "current").unlink()
    assert "warning: `current` does not lead to the active slot" in says(slots)
    (slots / "a/files/pcb/det.onnx").write_bytes(b"altered")
    assert says(slots)[0].startswith("fault: the active one cannot be used: ")
    (slots / "state.json").write_text("{")
    assert "is spoilt" in says(slots)[0]


def test_a_station_whose_devices_are_missing_or_forbidden(tmp_path: Path) -> None:
    make_board(tmp_path, "rk3588")
    station = write(tmp_path, "station.toml", STATION.format(cores="cores = [6, 7]"))
    write(tmp_path, "dev/ttyUSB0", "")
    case = case_of(Forbidding(tmp_path), station=station)
    first, second = told(look(check_station, case), "fault")
    assert first == "camera top: /dev/video0 is not there"
    assert second.startswith("output serial: /dev/ttyUSB0 may not be used by ")
    write(tmp_path, "dev/video0", "")
    case = case_of(Root(tmp_path), station=station)
    assert told(look(check_station, case), "ok") == ['station: "press" is sound; cameras: top']
    write(tmp_path, "sys/class/tty/console/active", "ttyUSB0\n")
    (fault,) = told(look(check_station, case), "fault")
    assert fault == "output serial: /dev/ttyUSB0 is the kernel's console"


def test_a_station_on_the_wrong_cores(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rk3588")
    for name in ("ttyUSB0", "video0"):
        write(tmp_path, f"dev/{name}", "")
    anywhere = write(tmp_path, "any.toml", STATION.format(cores=""))
    (found,) = look(check_station, case_of(root, station=anywhere))
    assert found.level == "ok", "the station itself puts it where it belongs"
    beyond = write(tmp_path, "beyond.toml", STATION.format(cores="cores = [7, 8]"))
    (fault,) = told(look(check_station, case_of(root, station=beyond)), "fault")
    assert fault == "station: model pcb is to stay on core 8, which this board has not"


def test_a_station_file_with_faults(tmp_path: Path) -> None:
    station = write(tmp_path, "station.toml", STATION.format(cores="core = 1"))
    found = look(check_station, case_of(make_board(tmp_path / "b", "rpi4"), station=station))
    (fault,) = told(found, "fault")
    assert "unknown key: did you mean" in fault
    missing = case_of(Root(tmp_path / "b"), station=tmp_path / "none.toml")
    assert "does not exist" in told(look(check_station, missing), "fault")[0]


SYSTEMCTL = """#!/bin/sh
cat <<END
Id=lineguard-station.service
LoadState=loaded
ActiveState={state}
SubState=running
Result=exit-code
NRestarts={again}
UnitFileState=enabled

Id=lineguard-agent.service
LoadState=loaded
ActiveState=active
SubState=running
NRestarts=0
END
"""


@pytest.mark.parametrize(
    ("state", "again", "level", "words"),
    [
        ("active", 0, "ok", "lineguard-station.service: active running"),
        ("active", 4, "warning", "runs, restarted 4 times"),
        ("failed", 0, "fault", "has failed (exit-code)"),
        ("inactive", 0, "warning", "does not run (inactive)"),
    ],
)
def test_services(
    state: str,
    again: int,
    level: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = make_board(tmp_path, "rpi4")
    (tmp_path / "run/systemd/system").mkdir()
    program = write(tmp_path, "bin/systemctl", SYSTEMCTL.format(state=state, again=again))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    station, agent = look(check_services, case_of(root))
    assert (station.level, agent.level) == (level, "ok")
    assert words in station.found


def test_no_systemd(tmp_path: Path) -> None:
    (found,) = look(check_services, case_of(make_board(tmp_path, "rpi4")))
    assert found.level == "warning"


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi4")
    (tmp_path / "proc/meminfo").unlink()
    os.mkfifo(tmp_path / "proc/meminfo")
    found: list[Finding] = []
    reader = threading.Thread(target=lambda: found.extend(check_memory(case_of(root))), daemon=True)
    reader.start()
    reader.join(30)
    assert [each.level for each in found] == ["warning"]
