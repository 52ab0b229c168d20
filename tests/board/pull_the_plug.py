"""Flash a box again and again while its plug is pulled: ``python pull_the_plug.py --cuts 8``.

What was not flushed to its disk is lost each time. Afterwards the disk is looked at, then the box
has power again, inspects a part, and the flash goes on by itself.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import Counter
from pathlib import Path

from board_lab import Box, Factory, Flashing
from board_look import look

from firmware_bridge.sender import Phase
from models.errors import LineguardError

STEPS: tuple[Phase, ...] = ("send", "stage", "trial", "done")
"""Where the plug is pulled; the last one is right after a box has confirmed."""

WITHIN = 3.0
"""Seconds from the beginning of a step to the latest cut."""

NETWORK = "/var/lib/lineguard/current/files/pcb/det.onnx"


def inspects(box: Box, part: Path) -> bool:
    """Whether the box finds the defect of a part, with what is active."""
    box.board.put("part.png", part.read_bytes())
    said = box.board.run(f"lineguard detect part.png --model {NETWORK} --json 2>/dev/null", 300)
    found: list[dict[str, str]] = json.loads(said)[0]["defects"]
    return [defect["label"] for defect in found] == ["open"]


def ended(flashing: Flashing) -> str:
    """How a flash has ended, in words."""
    try:
        return f"it runs {flashing.result(600).runs}"
    except LineguardError as error:
        return f"failed: {error}"


def main(cuts: int, seed: int) -> bool:
    """Pull the plug so often; gives whether the box inspected each time."""
    chance = random.Random(seed)
    seen: Counter[tuple[str, str, bool]] = Counter()
    with tempfile.TemporaryDirectory(prefix="lineguard-plug-") as name:
        factory = Factory(Path(name))
        with Box(Path(name) / "box", factory.trusted) as box:
            box.start()
            version = 1
            print("pcb 1.0.0 is flashed onto a new box", flush=True)
            flashing = Flashing(box, factory.release(version), factory.trusted)
            print(f"     {ended(flashing)}", flush=True)
            for cut in range(1, cuts + 1):
                if flashing.done:
                    version += 1
                    print(f"pcb {version}.0.0 is flashed", flush=True)
                    flashing = Flashing(box, factory.release(version), factory.trusted)
                if flashing.reach(chance.choice(STEPS), chance.random(), 600):
                    flashing.wait(chance.uniform(0, WITHIN))
                step = flashing.step.phase
                box.cut()
                found = look(box.disk)
                age = "new" if found.active == f"{version}.0.0" else "old"
                box.start()
                good = inspects(box, factory.folder / "open.png")
                seen[step, age, good] += 1
                print(
                    f"{cut:3}  cut in {step:7}  active: {age}, {found.active}  "
                    f"other slot: {found.other:9}  inspects: {'yes' if good else 'NO'}",
                    flush=True,
                )
                if flashing.done:
                    print(f"     {ended(flashing)}", flush=True)
            if not flashing.done:
                print(f"     {ended(flashing)}")
    print("\ncut in   active  inspects  times")
    for (phase, age, good), times in sorted(seen.items()):
        print(f"{phase:7}  {age:6}  {'yes' if good else 'NO':8}  {times}")
    return all(good for _, _, good in seen)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=8, help="how often")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    raise SystemExit(not main(**vars(parser.parse_args())))
