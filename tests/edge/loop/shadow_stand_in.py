"""The process of a shadow, its model a stand-in: ``shadow_stand_in.py DEED CHANNEL ALIVE``.

It reads GOOD on every picture, but for the deed: ``seven`` reads BAD on pictures of that
brightness, ``all`` on every one; others befall it on picture 3.
"""

import os
import sys
import time
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edge import families
from edge.loop import shadow_child
from edge.station import Region
from models.errors import EngineError
from models.ppocr.geometry import box_quad
from models.results import Findings, TextLine
from models.stopwatch import Stopwatch


class Model:
    def __init__(self, deed: str) -> None:
        self._deed = deed

    def inspect(self, image: NDArray[np.uint8], region: Region, watch: Stopwatch) -> Findings:
        number = int(image[0, 0, 0])
        if number >= 3:
            self._befall()
        bad = self._deed == "all" or (self._deed == "seven" and number == 7)
        with watch("infer"):
            line = TextLine("BAD" if bad else "GOOD", 0.99, box_quad(0, 0, 8, 8), (0.99,))
        return Findings((line,))

    def _befall(self) -> None:
        if self._deed == "abort":
            os.abort()
        if self._deed == "exit":
            os._exit(3)
        if self._deed == "hang":
            time.sleep(3600)
        if self._deed == "slow":
            time.sleep(0.5)
        if self._deed == "fail":
            raise EngineError("out of luck")
        if self._deed == "memory":
            raise MemoryError


if __name__ == "__main__":
    deed = sys.argv[1]
    if deed == "stillborn":
        os.abort()
    cast(Any, families.FAMILIES)["ppocr"] = lambda model, score: Model(deed)
    shadow_child.main(int(sys.argv[2]), int(sys.argv[3]))
