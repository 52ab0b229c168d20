import os
import shutil
import termios
import time
from pathlib import Path

import pytest

from tools.bench.line_cable import Cable
from tools.bench.line_flash import Run, agent, make_parcel, over_cable, simulated
from tools.bench.line_report import delta_section, line_section, zmodem_section
from tools.bench.line_zmodem import zmodem
from tools.bench.report import markdown

MACHINE = {"cpu": "c", "cores": 2, "python": "3", "onnxruntime": "1", "date": "d"}


def section(figures: dict[str, object]) -> dict[str, object]:
    return {"command": "python -m tools.bench", "machine": MACHINE, "figures": figures}


def opened(path: str, rate: int) -> int:
    terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
    attributes = termios.tcgetattr(terminal)
    attributes[4] = attributes[5] = getattr(termios, f"B{rate}")
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    return terminal


def through(cable: Cable, data: bytes, rates: tuple[int, int]) -> tuple[bytes, float]:
    """What comes out at the other end, and the seconds from its first byte to its last."""
    one, two = opened(cable.host, rates[0]), opened(cable.box, rates[1])
    os.set_blocking(two, False)
    got, first, end = b"", 0.0, time.monotonic() + 20
    os.write(one, data)
    while len(got) < len(data) and time.monotonic() < end:
        try:
            got += os.read(two, 4096)
        except BlockingIOError:
            time.sleep(0.002)
            continue
        first = first or time.monotonic()
    took = time.monotonic() - first
    os.close(one)
    os.close(two)
    return got, took


def test_a_cable_carries_bytes_at_the_baud_of_its_ends() -> None:
    data = bytes(range(256)) * 12
    with Cable() as cable:
        fast, _ = through(cable, data, (3_000_000, 3_000_000))
        slow, seconds = through(cable, data, (115_200, 115_200))
    assert fast == slow == data
    assert seconds > 0.9 * len(data) * 10 / 115_200


def test_a_cable_gives_noise_where_the_bauds_differ() -> None:
    with Cable() as cable:
        got, _ = through(cable, bytes(1000), (921_600, 115_200))
    assert len(got) == 1000
    assert got.count(0) < 100


def test_the_same_seed_flips_the_same_bits() -> None:
    data = bytes(4000)
    seen = []
    for seed in (1, 1, 2):
        with Cable(flip=1e-3, seed=seed) as cable:
            seen.append(through(cable, data, (921_600, 921_600))[0])
    assert seen[0] == seen[1] != seen[2]
    flipped = sum(byte.bit_count() for byte in map(int, seen[0]))
    assert 10 < flipped < 70  # 32 on average


def test_a_flash_in_simulated_time_uses_the_line(tmp_path: Path) -> None:
    with make_parcel(tmp_path, 1_000_000, 1) as parcel:
        run = simulated(parcel, tmp_path / "clean", 921_600)
        late = simulated(parcel, tmp_path / "late", 921_600, latency=0.05)
        bad = simulated(parcel, tmp_path / "bad", 921_600, flip=1e-5, seed=1)
    assert 0.97 < run.share < 1
    assert run.share > run.share_with_opening > 0.9
    assert run.sent == run.payload > 1_000_000
    assert late.seconds > run.seconds + 0.3
    assert 0.8 < bad.share < run.share


def test_shares_are_of_what_the_line_could_have_carried() -> None:
    run = Run(payload=100, rate=1000, seconds=2.0, opening=2.0, planning=0.0, sent=100, cpu=0.0)
    assert (run.share, run.share_with_opening) == (0.5, 0.25)


@pytest.mark.slow
def test_a_flash_over_a_cable_to_an_agent(tmp_path: Path) -> None:
    root = tmp_path / "box"
    with (
        make_parcel(tmp_path, 100_000, 1) as parcel,
        Cable() as cable,
        agent(cable.box, root),
    ):
        run = over_cable(parcel, cable, 3_000_000)
    assert run.share < 1
    assert run.sent == run.payload
    assert run.cpu > 0
    assert (root / "a" / "manifest.dsse").exists()


def test_zmodem_that_is_told_nonsense_counts_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses = shutil.which("false")
    monkeypatch.setattr(shutil, "which", lambda name: refuses)
    with Cable() as cable:
        assert zmodem(b"model", cable, 921_600, (), tmp_path) is None


def test_the_page_of_the_line() -> None:
    clean = {
        "simulated": 99.1,
        "simulated_with_opening": 98.0,
        "bytes": 3_000_000,
        "seconds": 10.2,
        "opening": 0.25,
        "before_sending": 0.03,
        "real": 97.9,
        "real_with_opening": 96.5,
        "cpu": 6.5,
    }
    spread = {"seeds": 5, "mean": 97.3, "least": 97.2, "most": 97.5}
    page = line_section(
        section(
            {
                "simulated_bytes": 7_000_000,
                "noisy_bytes": 3_000_000,
                "clean": {"3000000": clean},
                "errors": {"1e-06": spread},
                "turnaround": {"921600": {"without": 99.1, "with": 98.9, "slower": 0.25}},
            }
        )
    )
    assert "| 3,000,000 | 97% | **99.1%** | 98.0% | **97.9%** | 96.5% |" in page
    assert "| 1e-06 | 93% | **97.3%** (97.2 to 97.5) | 5 |" in page
    assert "| 921,600 | 99.1% | 98.9% | **0.25%** |" in page


def test_the_page_of_zmodem_shows_failures_as_such() -> None:
    good = {"runs": 1, "failed": 0, "seconds": 21.0, "share": 109.0, "times": 1.0}
    page = zmodem_section(
        section(
            {
                "model": "zoo:x",
                "bytes": 7_000_000,
                "sent": 6_400_000,
                "rate": 3_000_000,
                "lines": {"1e-06": {"lineguard": good, "sz": {"runs": 2, "failed": 2}}},
            }
        )
    )
    assert "| bit error rate 1e-06 | `lineguard flash` | 1 | 0 | 21.0 | 109.0% | **1.00** |" in page
    assert "| bit error rate 1e-06 | `sz` | 2 | 2 |  |  |  |" in page


def test_the_page_of_deltas() -> None:
    part = {"parameters": 23_000, "share": 0.7, "coding": "bsdiff", "bytes": 41_000, "delta": 0.6}
    figures = {
        "model": "model.onnx",
        "bytes": 6_900_000,
        "steps": 60,
        "full": 91.3,
        "parts": {"classes": part},
    }
    page = delta_section(section(figures))
    assert "| classes | 23,000 | 0.7% | bsdiff | 41,000 | **0.6%** |" in page
    assert "## A retrained head" in markdown({"delta": section(figures)})
