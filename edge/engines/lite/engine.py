"""Paddle Lite's C++ library as an engine: in a process of its own, which is started again."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path

from edge.engines.base import Array, Precision, TensorSpec, check_feeds, engine_error
from edge.engines.lite.built import LiteBuild
from edge.engines.lite.probe import library_version
from edge.engines.lite.process import DTYPES, DeadError, LiteProcess, RefusedError
from edge.engines.nb import check_made_for, on_x86, read_nb
from models.errors import EngineError

__all__ = ["LiteEngine"]

_log = logging.getLogger(__name__)

OPEN_SECONDS = 60.0
"""Loading takes seconds on the slowest box: whoever takes a minute hangs. As in a trial."""

RUN_SECONDS = 30.0
"""A page of print takes some seconds on the slowest box: whoever takes this long hangs."""

PAUSES = (0.0, 0.5, 2.0, 8.0)
"""Seconds from a death to the next start, by the number of deaths since the last answer.

At once after the first, for the next part is coming. After one more than these it is given up:
what dies five times in a row dies of the model, and each start costs the others their cores.
"""


class LiteEngine:
    """One ``.nb`` model; see :class:`edge.engines.base.Engine`.

    The library aborts on what it does not support. Then :meth:`run` raises, and the process is
    started again for the next call.

    Parameters
    ----------
    path
        The model, made by the ``paddle_lite_opt`` of the library's version for this processor.
    threads
        Of one inference.
    build
        The compiled shim with its library.

    Attributes
    ----------
    deaths
        How often the process has died or been killed so far.

    Raises
    ------
    EngineError
        The model is made for another version or processor, or the library refuses it or dies of
        it.
    """

    name = "paddle_lite"

    def __init__(self, path: Path, threads: int, build: LiteBuild) -> None:
        head = read_nb(path)
        self.deaths = 0
        self.precision: Precision = head.precision
        self.threads = threads
        self._path = path
        self._build = build
        version = library_version(build)
        check_made_for(path, head, version)
        for spec in head.inputs:
            if spec.dtype not in DTYPES:
                known = ", ".join(map(str, DTYPES))
                raise EngineError(
                    f"{path}: input {spec.name} is {spec.dtype}: the C++ library of Paddle Lite "
                    f"is given {known}: convert the model with such inputs"
                )
        self.inputs: tuple[TensorSpec, ...] = head.inputs
        self._head = head
        self._in_a_row = 0
        self._not_before = 0.0
        self._given_up = self._closed = self._ready = False
        self._shapes: list[tuple[int, ...]] = []
        self._process: LiteProcess | None = None
        try:
            self._start()
            self.version, self._order, self.outputs = self._opened()
        except RefusedError as error:
            raise engine_error(path, "Paddle Lite", error, opening=True) from error
        except DeadError as error:
            raise self._dead(error, "convert it again for this engine and processor") from (
                error.__cause__
            )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Infer once; see :meth:`edge.engines.base.Engine.run`."""
        check_feeds(self._path, self.inputs, feeds)
        if self._closed:
            raise EngineError(f"{self._path}: the engine is closed: open it again")
        try:
            process = self._serving([feeds[spec.name].shape for spec in self.inputs])
            numbered = [(self._order.index(name), array) for name, array in feeds.items()]
            answers = process.run(numbered, RUN_SECONDS)
        except RefusedError as error:
            if self._process is None:
                raise self._bury(DeadError(f"it refuses it now ({error})")) from error
            raise engine_error(self._path, "Paddle Lite", error, opening=False) from error
        except DeadError as error:
            raise self._bury(error) from error.__cause__
        except BaseException:  # interrupted in the middle: the next answer would be to this call
            self._end()
            raise
        self._in_a_row = 0
        if len(answers) != len(self.outputs):
            raise EngineError(f"{self._path}: gives {len(answers)} outputs")
        return dict(zip(self.outputs, answers, strict=True))

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._end()

    def _serving(self, shapes: list[tuple[int, ...]]) -> LiteProcess:
        """Give the process, with the model loaded; start it if there is none."""
        if self._given_up:
            raise EngineError(
                f"{self._path}: Paddle Lite died {self._in_a_row} times in a row and is not "
                "started again: convert the model again for this engine and processor, and restart"
            )
        if self._process is None:
            left = self._not_before - time.monotonic()
            if left > 0:
                raise EngineError(
                    f"{self._path}: Paddle Lite died {self._in_a_row} times in a row and is "
                    f"started again in {left:.1f} s"
                )
            self._start()
        process = self._process
        assert process is not None  # noqa: S101 - started
        if self._ready and self._shapes and shapes != self._shapes and on_x86():
            # Lite for x86 writes beyond its memory at other shapes than those of its first run:
            # see edge.engines.paddle_lite.
            process.open(self._path, self.threads)
            self._ready = False
        self._shapes = shapes
        if not self._ready:
            self._opened()
        return process

    def _start(self) -> None:
        self._process = LiteProcess(self._build.shim, self.threads)
        self._ready = False
        self._process.open(self._path, self.threads)

    def _opened(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Wait until the model is loaded, and see whether it is what its file says."""
        assert self._process is not None  # noqa: S101 - started
        try:
            version, inputs, outputs = self._process.opened(OPEN_SECONDS)
        except RefusedError:
            self._end()
            raise
        try:
            check_made_for(self._path, self._head, version)
            if sorted(inputs) != sorted(spec.name for spec in self.inputs):
                raise EngineError(
                    f"{self._path}: Paddle Lite finds the inputs {', '.join(inputs) or 'none'}, "
                    f"the file names {', '.join(spec.name for spec in self.inputs) or 'none'}: "
                    "convert it again"
                )
        except EngineError:
            self._end()
            raise
        self._ready = True
        return version, inputs, outputs

    def _bury(self, error: DeadError) -> EngineError:
        """Count a death, and see to the next life."""
        self._end()
        self._in_a_row += 1
        if self._closed:
            return self._dead(error, "the engine is closed")
        if self._in_a_row > len(PAUSES):
            self._given_up = True
            told = self._dead(error, f"the {self._in_a_row}th death in a row: it is given up")
        else:
            pause = PAUSES[self._in_a_row - 1]
            self._not_before = time.monotonic() + pause
            told = self._dead(
                error, f"started again in {pause:g} s" if pause else "it is started again"
            )
            if not pause:  # it loads the model while the line waits for its next part
                try:
                    self._start()
                except (DeadError, EngineError):  # the next call tries again, and tells
                    self._end()
        _log.warning("%s (death %d of this engine)", str(told), self.deaths)
        return told

    def _dead(self, error: DeadError, mend: str) -> EngineError:
        self.deaths += 1
        return EngineError(f"{self._path}: {error}: {mend}")

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
        self._process = None
