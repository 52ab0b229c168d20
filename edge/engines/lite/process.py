"""One life of the process in which Paddle Lite's C++ library runs, seen from outside.

It may abort, hang, or be killed at any moment. Then its descriptors are closed and the process is
collected; the shared memory has no name, so that none is left behind even if both are killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from edge.engines.base import Array
from edge.engines.deaths import NOT_ITS_FAULT, death
from edge.engines.lite import child
from edge.engines.lite.memory import SharedMemory, aligned, pieces
from models.errors import EngineError

__all__ = ["DTYPES", "DeadError", "LiteProcess", "RefusedError"]

DTYPES = tuple(np.dtype(name) for name in ("float32", "int64", "int32", "int8"))
"""By their number in ``shim.cc``."""

LAST_WORDS = 4096
"""Bytes of standard error that are kept: the last line of an aborting library fits."""

FULL_SECONDS = 0.1
"""Between two looks at the clock while a socket is full, which it never is but for a hang."""

END_SECONDS = 5.0
"""A process whose socket is gone ends at once; one that does not is killed."""


class DeadError(Exception):
    """The process is gone, with what it died of; its cause tells whose fault that was.

    ``TimeoutError`` for one that hung, ``InterruptedError`` for one that was killed from outside.
    """


class RefusedError(Exception):
    """The library said no; the process lives."""


class LiteProcess:
    """A running child; one question at a time.

    Parameters
    ----------
    shim
        The compiled shim.
    threads
        Of one inference.

    Raises
    ------
    EngineError
        No process, or no shared memory, is to be had.
    """

    def __init__(self, shim: Path, threads: int) -> None:
        self._shim = shim
        with contextlib.ExitStack() as undo:
            try:
                self._feeds, self._answers = (
                    SharedMemory("lite-feeds"),
                    SharedMemory("lite-answers"),
                )
                undo.callback(_close, self._feeds.descriptor, self._answers.descriptor)
                self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                undo.callback(self._sock.close)
                with theirs:
                    inherited = (
                        theirs.fileno(),
                        self._feeds.descriptor,
                        self._answers.descriptor,
                    )
                    self._process = subprocess.Popen(
                        [
                            *(sys.executable, "-I", "-S", child.__file__, str(shim)),
                            *map(str, inherited),
                        ],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        pass_fds=inherited,
                        # Lite for x86 takes its threads from here; set_threads is for ARM alone.
                        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                        start_new_session=True,  # Ctrl-C is for the station, not for its parts
                    )
            except OSError as error:
                raise EngineError(
                    f"{shim}: no process can be started for it ({error.strerror}): free some memory"
                ) from error
            undo.pop_all()
        assert self._process.stdout is not None  # noqa: S101 - PIPE
        self._said = self._process.stdout.fileno()
        os.set_blocking(self._said, False)
        self._last_words = b""
        self._room = select.poll()
        self._room.register(self._sock, select.POLLOUT)
        self._poll = select.poll()
        self._poll.register(self._sock, select.POLLIN)
        self._poll.register(self._said, select.POLLIN)
        descriptors = (self._feeds.descriptor, self._answers.descriptor)
        self.end = weakref.finalize(self, _end, self._process, self._sock, descriptors)
        """Ends the process; harmless when it has ended."""

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    def open(self, path: Path, threads: int) -> None:
        """Begin to load a model; :meth:`opened` waits for the end of that."""
        self._send({"do": "open", "model": str(path), "threads": threads}, time.monotonic() + 1)

    def opened(self, seconds: float) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Version of the library, names of inputs and of outputs.

        Raises
        ------
        DeadError
            The process is gone, or took longer.
        RefusedError
            The library gives no predictor for the model.
        EngineError
            The shim or the library cannot be loaded.
        """
        answer = self._answer(time.monotonic() + seconds)
        with self._sense():
            return answer["version"], tuple(answer["inputs"]), tuple(answer["outputs"])

    def run(self, feeds: Sequence[tuple[int, Array]], seconds: float) -> list[Array]:
        """Infer once.

        Parameters
        ----------
        feeds
            Number of each input, and its array of one of ``DTYPES``.
        seconds
            For all of it.

        Returns
        -------
        list
            The outputs in their order; the caller's.

        Raises
        ------
        DeadError
            The process is gone, or took longer.
        RefusedError
            The library said no, or there is no memory for the inputs.
        """
        until = time.monotonic() + seconds
        described = [
            (index, DTYPES.index(array.dtype), list(array.shape)) for index, array in feeds
        ]
        arrays = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for _, array in feeds]
        size = sum(aligned(array.size) for array in arrays)
        try:
            memory = self._feeds.grown(size)
        except OSError as error:
            raise RefusedError(
                f"{size} bytes of shared memory cannot be had: {error.strerror}"
            ) from error
        large: list[tuple[Array, Array]] = []
        for array, there in _side_by_side(arrays, memory):
            if array.size > child.piece(array.size):
                large.append((array, there))
            else:
                there[:] = array
        self._send({"do": "run", "feeds": described}, until)
        for array, there in large:
            for part in pieces(array.size):
                there[part] = array[part]
                self._put(child.READY, until)

        answer = self._answer(until)
        with self._sense():
            answers = [_empty(kind, shape) for kind, shape in answer["answers"]]
            flat = [array.reshape(-1).view(np.uint8) for array in answers]
            memory = self._answers.found(sum(aligned(array.size) for array in flat))
            for array, there in _side_by_side(flat, memory):
                for part in pieces(array.size):
                    if array.size > part.stop - part.start and self._get(until) != child.READY:
                        raise ValueError("a message within an array")
                    array[part] = there[part]
        return answers

    def _send(self, question: dict[str, Any], until: float) -> None:
        self._put(json.dumps(question).encode(), until)

    def _answer(self, until: float) -> dict[str, Any]:
        packet = self._get(until)
        with self._sense():
            answer: dict[str, Any] = json.loads(packet)
            if "broken" in answer:
                self.end()
                raise EngineError(
                    f"{self._shim}: cannot be loaded ({answer['broken']}): install what it lacks, "
                    "or build it again on this machine: lineguard box build-lite RELEASE_DIR"
                )
            if "error" in answer:
                raise RefusedError(" ".join(str(answer["error"]).split()))
            return answer

    def _put(self, packet: bytes, until: float) -> None:
        while True:
            try:
                self._sock.send(packet, socket.MSG_DONTWAIT)
                return
            except BlockingIOError:  # it does not listen: the socket is full
                if until < time.monotonic():
                    self._hung()
                self._room.poll(FULL_SECONDS * 1000)
            except OSError:
                self._died()

    def _get(self, until: float) -> bytes:
        """Give the next packet; what the library prints meanwhile is read, lest it waits for us."""
        while True:
            if (left := until - time.monotonic()) <= 0:
                self._hung()
            for descriptor, _ in self._poll.poll(left * 1000):
                if descriptor == self._said:
                    self._listen()
                    continue
                with contextlib.suppress(OSError):  # reset: it died with packets unread
                    if packet := self._sock.recv(child.PACKET_BYTES):
                        return packet
                self._died()

    def _listen(self) -> None:
        """Read what it printed so far, of which the end is kept."""
        try:
            while words := os.read(self._said, LAST_WORDS):
                self._last_words = (self._last_words + words)[-LAST_WORDS:]
        except BlockingIOError:
            return
        with contextlib.suppress(KeyError):
            self._poll.unregister(self._said)  # it closed its end

    def _hung(self) -> NoReturn:
        self._process.kill()
        self._listen()
        self.end()
        raise DeadError(
            f"it gave no answer in time and was killed{self._last()}"
        ) from TimeoutError()

    def _died(self) -> NoReturn:
        """Say what it died of."""
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._hung()
        self._listen()
        code = self._process.returncode
        self.end()
        what = death(-code)
        cause = InterruptedError() if -code in NOT_ITS_FAULT else None
        if what is None:
            what = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            what = f"its process {what}"
        raise DeadError(f"{what}{self._last()}") from cause

    def _last(self) -> str:
        lines = self._last_words.decode("utf-8", "replace").strip().splitlines()
        return f", last said {lines[-1].strip()!r}" if lines else ""

    @contextlib.contextmanager
    def _sense(self) -> Iterator[None]:
        """Treat an answer that makes no sense as a death: nobody knows what will come next."""
        try:
            yield
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, MemoryError) as error:
            self._process.kill()
            self.end()
            raise DeadError(f"it talks nonsense ({error}) and was killed") from error


def _side_by_side(arrays: Sequence[Array], memory: Array) -> Iterator[tuple[Array, Array]]:
    """Each array of bytes, and its place in shared memory."""
    at = 0
    for array in arrays:
        yield array, memory[at : at + array.size]
        at += aligned(array.size)


def _empty(kind: int, shape: list[int]) -> Array:
    return np.empty(shape, DTYPES[kind])


def _end(
    process: subprocess.Popen[bytes], sock: socket.socket, descriptors: tuple[int, ...]
) -> None:
    sock.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    _close(*descriptors)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
