"""What the machine tells, from made-up ``/proc`` and ``/sys``."""

import os
from pathlib import Path

import pytest

from tools.measure.analyse import cautions
from tools.measure.document import Figure, Scenario
from tools.measure.machine import Monitor, Second, machine_facts, peak_memory


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    """A Raspberry Pi 4, as far as the bench looks."""
    write(tmp_path, "proc/cpuinfo", "processor\t: 0\nModel\t\t: Raspberry Pi 4 Model B\n")
    write(tmp_path, "proc/meminfo", "MemTotal:        3884376 kB\n")
    write(tmp_path, "proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\n")
    for cpu in range(4):
        folder = f"sys/devices/system/cpu/cpu{cpu}/cpufreq"
        write(tmp_path, f"{folder}/scaling_governor", "ondemand\n")
        write(tmp_path, f"{folder}/cpuinfo_max_freq", "1500000\n")
        write(tmp_path, f"{folder}/scaling_cur_freq", "600000\n")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "45277\n")
    write(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "0\n")
    return tmp_path


def test_facts_of_a_board(pi: Path) -> None:
    facts = machine_facts(pi)
    assert facts["cpu"] == "Raspberry Pi 4 Model B"
    assert facts["governor"] == ["ondemand"]
    assert facts["max_mhz"] == 1500
    assert facts["memory_mb"] == 3793
    assert facts["affinity"] == sorted(os.sched_getaffinity(0))


def test_facts_that_a_machine_does_not_tell_are_left_out(tmp_path: Path) -> None:
    facts = machine_facts(tmp_path)
    assert "governor" not in facts
    assert "max_mhz" not in facts
    assert facts["kernel"] == os.uname().release


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("sys/class/dmi/id/sys_vendor", "QEMU\n"),
        ("proc/device-tree/compatible", "linux,dummy-virt\0"),
    ],
)
def test_seconds_of_an_emulator_are_not_passed_off_as_a_boxs(
    pi: Path, path: str, text: str
) -> None:
    scenario = Scenario(name="SingleStream", seconds=600, queries=1)
    assert "emulator" not in machine_facts(pi)
    write(pi, path, text)
    facts = machine_facts(pi)
    assert facts["emulator"] == "QEMU"
    assert any("bench instructions" in note for note in cautions({}, scenario, [], facts))


def test_each_second_of_a_board(pi: Path) -> None:
    pid = 4711
    ticks = " ".join(["0"] * 11)
    write(pi, f"proc/{pid}/stat", f"{pid} (a ) b) S {ticks[2:]} 10 0 0 0 0\n")
    write(pi, f"proc/{pid}/status", "VmHWM:  204800 kB\nVmRSS:  102400 kB\n")
    monitor = Monitor(lambda: (pid,), pi)
    write(pi, "proc/stat", "cpu  160 0 110 830 0 0 0 0 0 0\n")  # 70 of 100 ticks busy
    write(pi, f"proc/{pid}/stat", f"{pid} (a ) b) S {ticks[2:]} 60 0 0 0 0\n")  # 50 of them ours
    write(pi, "sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    monitor.look()
    (second,) = monitor.seconds
    assert second.others == pytest.approx(0.2)
    assert (second.mhz, second.celsius, second.rss_mb) == (600, 45.277, 100)
    assert "get_throttled 0x50005" in monitor.throttled
    assert peak_memory(pid, pi) == 200


def test_heat_of_a_pc_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, "proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\n")
    count = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    write(tmp_path, count, "7\n")
    monitor = Monitor(lambda: (), tmp_path)
    monitor.look()
    assert monitor.throttled == ""
    write(tmp_path, count, "8\n")
    monitor.look()
    assert "held back for its heat" in monitor.throttled


def test_this_machine_is_watched() -> None:
    monitor = Monitor(lambda: (os.getpid(),))
    sum(range(10**6))
    monitor.look()
    (second,) = monitor.seconds
    assert 0 <= second.others <= 1
    assert second.rss_mb is not None
    assert second.rss_mb > 5


def test_what_a_reader_must_know_is_said() -> None:
    scenario = Scenario(name="SingleStream", seconds=60, queries=100)
    quiet = [Second(n, 0.01, 1500, 50, 100) for n in range(60)]
    facts: dict[str, object] = {"governor": ["performance"], "max_mhz": 1500.0}
    (short,) = cautions({}, scenario, quiet, facts)
    assert "shorter than the 600 s" in short
    busy = [Second(n, 0.4, 900, 80, 100) for n in range(60)]
    overhead = {"overhead": Figure(value=2, low=2, high=2, unit="%")}
    notes = " | ".join(cautions(overhead, scenario, busy, {**facts, "governor": ["ondemand"]}))
    for words in ("others took 40%", "ran at 900 of 1500 MHz", "ondemand", "measuring takes 2%"):
        assert words in notes
