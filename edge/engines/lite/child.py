"""The process in which Paddle Lite's C++ library runs: a script of the standard library alone.

``child.py SHIM SOCKET FEEDS ANSWERS``: the compiled shim, and three inherited descriptors: a
``SOCK_SEQPACKET`` socket and the shared memory of inputs and outputs. It starts in a few
hundredths of a second and takes 10 MB besides the library, since nothing of lineguard, nor numpy,
is imported.

Messages are JSON, one in each packet, an answer to every question::

    {"do": "open", "model": path, "threads": n}
        -> {"version": text, "inputs": [name], "outputs": [name]}
    {"do": "run", "feeds": [[index, type, shape]]}, and then the large inputs piece by piece
        -> {"answers": [[type, shape]]}, and then the large outputs piece by piece
    what the library refuses -> {"error": text}
    whatever is asked of a shim that cannot be loaded -> {"broken": text}

Arrays lie in the shared memory one after the other, each at the next multiple of ``ALIGNMENT``.
Those of at most one :func:`piece` are there when the message comes. Of larger ones, a packet of
one byte says that the next piece can be read. So one side copies a piece while the other copies
the one before it, and two copies take little longer than one.

The process ends when the other end of its socket is gone, even from the middle of a run.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import select
import signal
import socket
import sys
import threading
from typing import Any

__all__ = [
    "ABI",
    "ALIGNMENT",
    "ITEM_BYTES",
    "LIBRARY",
    "PACKET_BYTES",
    "READY",
    "Server",
    "main",
    "piece",
]

ABI = 1
"""Of the functions that ``shim.cc`` exports."""

LIBRARY = "libpaddle_light_api_shared.so"
"""Of Paddle Lite, as in every release."""

ALIGNMENT = 64
"""Of each array in shared memory, bytes: a cache line."""

ITEM_BYTES = (4, 8, 4, 1)
"""Size of float32, int64, int32 and int8: the types by their number in ``shim.cc``."""

PACKET_BYTES = 1 << 16
"""Longest message: names of inputs and outputs take a few hundred bytes."""

READY = b"+"
"""A piece can be read."""

_RANK = 16
"""Most dimensions of an output; Paddle has at most nine."""


def piece(size: int) -> int:
    """How many bytes of an array of ``size`` bytes are announced at a time.

    Half a megabyte stays in the cache between the two copies; of large arrays a sixteenth, so that
    the packets of one never fill the socket.
    """
    return max(1 << 19, -(-size // 16))


class Server:
    """Answers the questions of one socket.

    Parameters
    ----------
    shim
        Path of the compiled shim, beside its library.
    sock
        Where questions come from.
    feeds, answers
        Descriptors of the shared memory of inputs and outputs.
    """

    def __init__(self, shim: str, sock: socket.socket, feeds: int, answers: int) -> None:
        self._sock = sock
        self._feeds = _Memory(feeds)
        self._answers = _Memory(answers)
        self._model: int | None = None
        self._outputs = 0
        # Under this name or any other that it gives itself, the shim then finds it loaded.
        self._library = ctypes.CDLL(os.path.join(os.path.dirname(shim), LIBRARY))
        self._lib = ctypes.CDLL(shim)
        found = self._lib.lg_lite_abi()
        if found != ABI:
            raise OSError(f"{shim}: has interface {found} instead of {ABI}")
        handle, number = ctypes.c_void_p, ctypes.c_int
        numbers = ctypes.POINTER(ctypes.c_int64)
        for name, result, arguments in (
            ("error", ctypes.c_char_p, ()),
            ("open", handle, (ctypes.c_char_p, number)),
            ("close", None, (handle,)),
            ("version", ctypes.c_char_p, (handle,)),
            ("input_name", ctypes.c_char_p, (handle, number)),
            ("output_name", ctypes.c_char_p, (handle, number)),
            ("input", handle, (handle, number, number, numbers, number)),
            ("run", number, (handle,)),
            (
                "output",
                handle,
                (handle, number, ctypes.POINTER(number), numbers, ctypes.POINTER(number)),
            ),
        ):
            function = getattr(self._lib, f"lg_lite_{name}")
            function.restype, function.argtypes = result, arguments

    def serve(self) -> None:
        """Answer until the other end is gone."""
        while packet := self._sock.recv(PACKET_BYTES):
            question = json.loads(packet)
            try:
                if question["do"] == "open":
                    self._say(self._open(question["model"], question["threads"]))
                else:
                    self._run(question["feeds"])
            except _RefusedError as error:
                self._say({"error": str(error)})

    def _say(self, answer: dict[str, Any]) -> None:
        self._sock.send(json.dumps(answer).encode())

    def _open(self, path: str, threads: int) -> dict[str, Any]:
        if self._model is not None:
            self._lib.lg_lite_close(self._model)
        self._model = self._lib.lg_lite_open(os.fsencode(path), threads)
        if self._model is None:
            raise self._refusal()
        outputs = self._names(self._lib.lg_lite_output_name)
        self._outputs = len(outputs)
        return {
            "version": self._lib.lg_lite_version(self._model).decode("utf-8", "replace"),
            "inputs": self._names(self._lib.lg_lite_input_name),
            "outputs": outputs,
        }

    def _names(self, name: Any) -> list[str]:
        names: list[str] = []
        while (text := name(self._model, len(names))) is not None:
            names.append(text.decode("utf-8", "replace"))
        return names

    def _run(self, feeds: list[tuple[int, int, list[int]]]) -> None:
        self._take(feeds)
        if not self._lib.lg_lite_run(self._model):
            raise self._refusal()
        answers = [self._output(index) for index in range(self._outputs)]
        self._answers.cover(sum(_aligned(_size(kind, shape)) for kind, shape, _ in answers))
        large = []
        target = self._answers.address
        for kind, shape, data in answers:
            size = _size(kind, shape)
            if size > piece(size):
                large.append((target, data, size))
            elif size:
                ctypes.memmove(target, data, size)
            target += _aligned(size)
        self._say({"answers": [[kind, shape] for kind, shape, _ in answers]})
        for target, data, size in large:
            for start in range(0, size, step := piece(size)):
                ctypes.memmove(target + start, data + start, min(step, size - start))
                self._sock.send(READY)

    def _take(self, feeds: list[tuple[int, int, list[int]]]) -> None:
        """Copy the inputs as they come; all of them, even after a refusal."""
        self._feeds.cover(sum(_aligned(_size(kind, shape)) for _, kind, shape in feeds))
        refused, source = None, self._feeds.address
        for index, kind, shape in feeds:
            dims = (ctypes.c_int64 * len(shape))(*shape)
            target = self._lib.lg_lite_input(self._model, index, kind, dims, len(shape))
            if target is None:
                refused = refused or self._refusal()
            size = _size(kind, shape)
            for start in range(0, size, step := piece(size)):
                if size > step and not self._sock.recv(len(READY)):
                    os._exit(0)
                if target is not None:
                    ctypes.memmove(target + start, source + start, min(step, size - start))
            source += _aligned(size)
        if refused:
            raise refused

    def _output(self, index: int) -> tuple[int, list[int], int]:
        kind, rank = ctypes.c_int(), ctypes.c_int(_RANK)
        dims = (ctypes.c_int64 * _RANK)()
        data = self._lib.lg_lite_output(
            self._model, index, ctypes.byref(kind), dims, ctypes.byref(rank)
        )
        if data is None:
            raise self._refusal()
        return kind.value, list(dims[: rank.value]), data

    def _refusal(self) -> _RefusedError:
        return _RefusedError(self._lib.lg_lite_error().decode("utf-8", "replace"))


class _RefusedError(Exception):
    """The library said no, and lives."""


class _Memory:
    """Memory that is shared by its descriptor; only ever grows."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._map: mmap.mmap | None = None
        self._mapped = 0
        self.address = 0

    def cover(self, size: int) -> None:
        """Map at least ``size`` bytes, of which the file may have to be given some first."""
        if size <= self._mapped:
            return
        if os.fstat(self._descriptor).st_size < size:
            os.posix_fallocate(self._descriptor, 0, size + size // 4)
        self._mapped = os.fstat(self._descriptor).st_size
        self._map = mmap.mmap(self._descriptor, self._mapped)  # the old one goes with its view
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))


def _size(kind: int, shape: list[int]) -> int:
    size = ITEM_BYTES[kind]
    for number in shape:
        size *= number
    return size


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _end_with(sock: socket.socket) -> None:
    """Wait until the other end is gone, whatever the library is doing meanwhile."""
    gone = select.poll()
    gone.register(sock, 0)  # nothing but a hang-up
    gone.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def main(shim: str, sock: int, feeds: int, answers: int) -> None:
    """Serve until the other end is gone; never returns."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # dying is expected: no dumps on a small disk
    link = socket.socket(fileno=sock)
    threading.Thread(target=_end_with, args=(link,), daemon=True).start()
    try:
        server = Server(shim, link, feeds, answers)
    except (OSError, AttributeError) as error:
        link.recv(PACKET_BYTES)
        link.send(json.dumps({"broken": str(error)}).encode())
        os._exit(1)
    server.serve()
    os._exit(0)  # the library's own clean-up at exit may crash


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
