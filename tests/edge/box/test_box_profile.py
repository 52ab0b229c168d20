"""What is found out about boards that everybody knows."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from boards_lab import BOARDS, make_board, write
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge.box.processor import hardware
from edge.box.profile import Override, detect
from edge.box.root import Root, cpu_list
from models.errors import InputError

ARM64 = ("arm64", "arm64-dotprod", "arm64-fp16")
FAST, SLOW = ("int8", "fp16", "fp32"), ("fp32", "int8")

KNOWN = {
    # layout, features, inference, rest, threads, hardware, flavours
    "rpi4": ("4x Cortex-A72 1.8 GHz", "neon", (1, 2, 3), (0,), 3, ("arm64",), SLOW),
    "rpi5": ("4x Cortex-A76 2.4 GHz", "neon dotprod fp16", (1, 2, 3), (0,), 3, ARM64, FAST),
    "rk3568": ("4x Cortex-A55 1.8 GHz", "neon dotprod fp16", (1, 2, 3), (0,), 3, ARM64, FAST),
    "rk3588": (
        "4x Cortex-A55 1.8 GHz + 2x Cortex-A76 2.4 GHz + 2x Cortex-A76 2.35 GHz",
        "neon dotprod fp16",
        (4, 5, 6, 7),
        (0, 1, 2, 3),
        4,
        ARM64,
        FAST,
    ),
    "rk3588-old": (
        "4x Cortex-A55 1.8 GHz + 4x Cortex-A76 2.4 GHz",
        "neon dotprod fp16",
        (4, 5, 6, 7),
        (0, 1, 2, 3),
        4,
        ARM64,
        FAST,
    ),
    "imx8mp": ("4x Cortex-A53 1.8 GHz", "neon", (1, 2, 3), (0,), 3, ("arm64",), SLOW),
    "rpi4-32": ("4x Cortex-A72 1.8 GHz", "neon", (1, 2, 3), (0,), 3, ("armv7",), SLOW),
    "rpi2": ("4x Cortex-A7 0.9 GHz", "neon", (1, 2, 3), (0,), 3, ("armv7",), SLOW),
    "pc": (
        "4x Intel(R) Celeron(R) J6412 @ 2.00GHz 4 GHz",
        "avx2 avx512 vnni",
        (1, 2, 3),
        (0,),
        3,
        ("x86-64",),
        ("fp32",),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_boards(name: str, tmp_path: Path) -> None:
    found = detect(make_board(tmp_path, name))
    layout, able, inference, rest, threads, targets, flavours = KNOWN[name]
    assert found.board == (BOARDS[name].model or "Advantech ARK-1250L")
    assert found.soc == ("" if name == "pc" else BOARDS[name].compatible[-1])
    assert (found.layout, " ".join(found.features)) == (layout, able)
    assert (found.inference, found.rest, found.threads) == (inference, rest, threads)
    assert (found.hardware, found.flavours) == (targets, flavours)
    assert found.kernel == BOARDS[name].kernel
    assert json.loads(json.dumps(found.as_record()))["layout"] == layout


def test_capacities_are_the_kernels(tmp_path: Path) -> None:
    found = detect(make_board(tmp_path, "rk3588"))
    assert [core.capacity for core in found.cores] == [397] * 4 + [1024] * 2 + [1003] * 2


def test_what_is_connected(tmp_path: Path) -> None:
    pi = detect(make_board(tmp_path / "4", "rpi4"))
    assert [(chip.device, chip.label, chip.header) for chip in pi.gpio] == [
        ("/dev/gpiochip0", "pinctrl-bcm2711", True),
        ("/dev/gpiochip1", "raspberrypi-exp-gpio", False),
    ]
    assert pi.serial == ("/dev/ttyAMA0", "/dev/ttyS0")
    assert pi.video[0] == ("/dev/video10", "bcm2835-codec-decode")
    assert [(z.name, z.celsius, z.hot, z.critical) for z in pi.zones] == [
        ("cpu-thermal", 47.225, 85.0, 90.0)
    ]
    assert detect(make_board(tmp_path / "5", "rpi5")).gpio[0].device == "/dev/gpiochip4"
    rock = detect(make_board(tmp_path / "3", "rk3568"))
    assert rock.serial == ("/dev/ttyS2",)  # ttyS1 is the driver's, not the board's
    assert [zone.hot for zone in rock.zones] == [70.0, 70.0]


def test_a_label_may_have_to_come_from_the_device(tmp_path: Path) -> None:
    root = make_board(tmp_path, "imx8mp")
    for label in tmp_path.glob("sys/devices/platform/*/gpio/*/label"):
        label.unlink()
    assert detect(root).gpio[1].label == "30210000.gpio"


def test_cores_that_are_off_are_left_alone(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rk3588")
    write(tmp_path, "sys/devices/system/cpu/online", "0-5\n")
    assert detect(root).inference == (4, 5)
    assert detect(root).threads == 2


def test_registers_say_what_cpuinfo_does_not(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rk3588-old")
    (tmp_path / "proc/cpuinfo").unlink()
    found = detect(root)
    assert found.layout == "4x Cortex-A55 1.8 GHz + 4x Cortex-A76 2.4 GHz"
    assert found.inference == (4, 5, 6, 7)
    assert found.features == ()


def test_a_part_without_a_name(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi5")
    text = (tmp_path / "proc/cpuinfo").read_text()
    write(tmp_path, "proc/cpuinfo", text.replace("0xd0b", "0xdff"))
    assert detect(root).layout == "4x part 0xdff 2.4 GHz"


def test_nothing_at_all(tmp_path: Path) -> None:
    found = detect(Root(tmp_path))
    assert (found.board, found.layout, found.threads) == ("unknown board", "unknown cores", 1)
    assert (found.inference, found.rest, found.hardware) == ((), (), ())


def test_few_equal_cores_are_not_divided(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rpi4")
    write(tmp_path, "sys/devices/system/cpu/online", "0-1\n")
    found = detect(root)
    assert (found.inference, found.rest, found.threads) == ((), (), 2)


def test_people_know_better(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rk3588")
    said = Override(board="inspection box 3", cores=(6, 7), threads=2, flavours=("fp32",))
    found = detect(root, said)
    assert (found.board, found.threads, found.flavours) == ("inspection box 3", 2, ("fp32",))
    assert (found.inference, found.rest) == ((6, 7), (0, 1, 2, 3, 4, 5))
    with pytest.raises(InputError, match="there is no core 9, only 0, 1, 2"):
        detect(root, Override(cores=(9,)))
    with pytest.raises(InputError, match="threads = 5: inference has cores 4, 5, 6, 7: give one"):
        detect(root, Override(threads=5))
    with pytest.raises(ValidationError):
        Override.model_validate({"flavours": ["int4"]})


def test_this_machine() -> None:
    found = detect()
    assert found.machine == platform.machine()
    assert len(found.cores) >= 1
    assert found.bits == 64
    assert hardware(Root()) == found.hardware


@given(st.sets(st.integers(0, 1023), min_size=1, max_size=40))
def test_lists_of_processors(numbers: set[int]) -> None:
    text = ",".join(f"{n}-{n}" if n % 2 else str(n) for n in numbers)
    assert cpu_list(text) == tuple(sorted(numbers))


@given(st.text(max_size=30))
def test_what_is_no_list_is_empty(text: str) -> None:
    assert all(0 <= number <= 1023 for number in cpu_list(text))
