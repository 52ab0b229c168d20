"""Writes records and is killed at random moments; prints what it gave and what it was told.

Run as a script: FOLDER SEED ROUNDS.
"""

import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from records_lab import SETTING, part_verdict, table
from verdict_lab import OK, WRONG_LOT

from edge.io.base import Signalled
from edge.records.output import RecordsOutput
from edge.setting import Setting

MOST_S = 0.4
"""The longest that a round may work."""


def work(folder: Path, seed: int, told: int) -> None:
    """Give verdicts without end."""
    chance = random.Random(seed)
    setting = Setting(f"run-{seed}", SETTING.station, {})
    output = RecordsOutput(table(folder, max_mb=10, ok_every=4, quality=100))
    os.write(told, b"open\n")
    number = 0
    while True:
        number += 1
        outcome = OK if chance.random() < 0.5 else WRONG_LOT
        verdict = part_verdict(number, outcome, setting=setting, shape=(240, 320))
        os.write(told, f"given {verdict.id}\n".encode())
        output.verdict(verdict)
        if chance.random() < 0.3 and output.recorded(verdict.id, 30):
            os.write(told, f"recorded {verdict.id}\n".encode())
            output.signalled(Signalled(verdict.id, "plc", "NG", time.time()))


def main() -> None:
    folder, seed, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(seed)
    for number in range(rounds):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            work(folder, seed * 1000 + number, writing)
        os.close(writing)
        end = None
        while end is None or time.monotonic() < end:
            ready, _, _ = select.select([reading], [], [], 0.001)
            heard = os.read(reading, 65536) if ready else b""
            sys.stdout.write(heard.decode())
            if end is None and b"open" in heard:
                end = time.monotonic() + chance.random() * MOST_S
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while heard := os.read(reading, 65536):
            sys.stdout.write(heard.decode())
        os.close(reading)


if __name__ == "__main__":
    main()
