"""The image of ``lineguard box image``, started from its disk alone, and losing power.

Not one of the tests that pytest finds by itself: ``make board-test`` runs it, in under half an
hour. ``docs/image.md`` says what it shows.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from board_lab import lineguard
from image_lab import BUNDLED, Made, made
from image_machine import ImageBox

pytestmark = [pytest.mark.board, pytest.mark.slow, pytest.mark.timeout(14400)]

SEED = 20261122

CUTS = 10

WITHIN = 1.3
"""Latest cut, as a share of the first start: some come while it starts, some while it inspects."""

MEGABYTES = 1536
"""Of the card that the image is written to."""


@pytest.fixture(scope="module")
def image() -> Made:
    return made()


@pytest.fixture(scope="module")
def box(image: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageBox]:
    """A new box, just unpacked; the tests below come in their order."""
    folder = tmp_path_factory.mktemp("image")
    with ImageBox(folder / "box", image.image, image.key, MEGABYTES) as box:
        box.start()
        yield box


@pytest.fixture(scope="module")
def seconds(box: ImageBox) -> float:
    """What the first start took."""
    begun = time.monotonic()
    box.wait_inspecting(1)
    return time.monotonic() - begun


def test_it_comes_up_by_itself_and_inspects(box: ImageBox, seconds: float) -> None:
    state = box.wait_inspecting(4)
    print(f"power to first part: {seconds:.0f} s here, of the emulation")
    (camera,) = state["cameras"]
    assert camera["name"] == "top"
    assert 1 <= state["shift"]["ng"] < state["shift"]["parts"]
    print(
        f"first start of the station to its first verdict: {_first_verdict(box):.1f} s of its clock"
    )
    print(box.run("systemd-analyze; systemd-analyze critical-chain lineguard-station.service"))
    print(box.run("journalctl -b -o short-monotonic -u lineguard-station --no-pager | head -20"))
    box.run("systemctl restart lineguard-station")
    box.wait_inspecting(1)
    print(f"started again: {_first_verdict(box):.1f} s")
    failed = box.run("systemctl --failed --plain --no-legend --no-pager")
    assert failed == ""


def _first_verdict(box: ImageBox) -> float:
    """Seconds from the start of the station to its first verdict after that."""
    told = box.run(
        "systemctl show lineguard-station --value -p ExecMainStartTimestamp --timestamp=us+utc"
    )
    start = datetime.strptime(told.strip(), "%a %Y-%m-%d %H:%M:%S.%f UTC")
    how = "/var/lib/lineguard/station.toml --limit 1000 --json"
    for record in reversed(json.loads(box.run(f"lineguard records query {how}"))["records"]):
        seen = datetime.fromisoformat(record["time"]).replace(tzinfo=None) - start
        if seen.total_seconds() > 0:
            return seen.total_seconds() + float(record["latency_ms"]) / 1000
    raise AssertionError("no part since the start")


def test_only_its_data_can_be_written_and_takes_the_whole_card(box: ImageBox) -> None:
    lines = [line.split() for line in box.run("cat /proc/mounts").splitlines()]
    mounts = {fields[1]: fields[3] for fields in lines}
    print(box.run("df -h -x tmpfs -x devtmpfs; free -m"))
    assert "ro" in mounts["/"].split(",")
    assert "rw" in mounts["/var/lib/lineguard"].split(",")
    room = int(box.run("stat -fc '%b %S' /data").split()[0]) * 4096
    system = int(box.run("cat /sys/class/block/vda3/start")) * 512
    assert room > 0.9 * ((MEGABYTES << 20) - system)
    with pytest.raises(RuntimeError, match="Read-only file system"):
        box.run("touch /usr/bin/x")
    assert box.run("stat -c %U /var/lib/lineguard /var/lib/lineguard/station.toml").split() == [
        "lineguard",
        "lineguard",
    ]


def test_the_doctor_finds_no_fault(box: ImageBox) -> None:
    said = json.loads(
        box.run(
            "lineguard box doctor --root /var/lib/lineguard "
            "--station /var/lib/lineguard/station.toml --json; true"
        )
    )
    print(
        "\n".join(
            f"{each['level']:8} {each['name']:15} {each['found']}" for each in said["findings"]
        )
    )
    assert [each for each in said["findings"] if each["level"] == "fault"] == []


def test_it_outlives_ten_power_cuts_at_any_moment(box: ImageBox, seconds: float) -> None:
    chance = random.Random(SEED)
    box.cut()
    for number in range(CUTS):
        box.start()
        after = seconds * chance.uniform(0.05, WITHIN)
        time.sleep(after)
        box.cut()
        print(f"{number + 1:2}  cut after {after:4.0f} s", flush=True)
    begun = time.monotonic()
    box.start()
    state = box.wait_inspecting(2)
    print(f"inspects after {time.monotonic() - begun:.0f} s")
    faults = [each["en"] for each in state["faults"] if each["active"]]
    assert [each for each in faults if "no time server" not in each] == []  # it is on no network


def test_it_takes_a_flash_and_inspects_with_it(box: ImageBox, image: Made, tmp_path: Path) -> None:
    bundle = image.factory.release(1)
    port = ("--port", box.agent, "--json")
    done = lineguard(
        "flash", bundle, *port, "--trusted", image.factory.trusted, cwd=tmp_path, seconds=1800
    )
    assert done.returncode == 0, done
    (flashed,) = json.loads(done.stdout)["boxes"]
    assert flashed["after"] == "pcb 1.0.0 (slot a)"
    box.put("/var/lib/lineguard/station.toml", BUNDLED.encode())
    box.run("sync; systemctl restart lineguard-station")
    box.wait_inspecting(2)
    box.cut()
    box.start()
    box.wait_inspecting(2)
    status = lineguard("box", "status", *port, cwd=tmp_path, seconds=600)
    assert json.loads(status.stdout)["state"] == "READY"


def test_a_sick_box_says_what_it_lacks(image: Made, tmp_path: Path) -> None:
    """No RTC, a card that its lock keeps from being written, a camera that another program has."""
    with ImageBox(tmp_path / "sick", image.image, image.key, MEGABYTES) as box:
        box.start()
        box.wait_inspecting(1)
        box.run("sync")
        box.cut()
        box.start(base="1970-01-02T00:00:00", read_only=True)
        deadline = time.monotonic() + 1200
        while True:
            try:
                box.run("true")
                break
            except RuntimeError:
                assert time.monotonic() < deadline, box.said
                time.sleep(5)
        box.run("modprobe vivid n_devs=1; udevadm settle")
        said = json.loads(
            box.run(
                "exec 3</dev/video0; lineguard box doctor --root /var/lib/lineguard --json; true"
            )
        )
        found = {(each["level"], each["name"]): each["found"] for each in said["findings"]}
        print("\n".join(f"{level:8} {name:15} {text}" for (level, name), text in found.items()))
        assert "read-only" in found["fault", "disk (state)"]
        assert any(name == "clock" for level, name in found if level != "ok")
