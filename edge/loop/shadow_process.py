"""The process in which a candidate works, seen from the line: started, asked, ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

__all__ = ["ANSWER_S", "OFF", "CandidateProcess", "SwitchedOff"]

ANSWER_S = 600.0
"""For one part: a thousand times what it takes with a core to itself. Longer is a hang."""

POLICY = os.SCHED_IDLE
"""The candidate runs when nobody else wants the core: 0.3% of one that the line wants, too
(sched(7)). It stays in the line's session, since nice values of two sessions are not compared."""

CHILD = (sys.executable, "-m", "edge.loop.shadow_child")

OFF: Mapping[str, tuple[str, str]] = {
    "crashed": ("its process died ({error})", "其进程已崩溃（{error}）"),
    "hung": ("no answer within {error} s", "{error} 秒内没有响应"),
    "failed": ("it could not judge: {error}", "无法判定：{error}"),
    "refused": ("it cannot be used: {error}", "无法使用：{error}"),
    "active": ("{error} is what counts already", "{error} 已是当前使用的模型包"),
}
"""Why a shadow is switched off -> (English, Chinese)."""


class SwitchedOff(Exception):  # noqa: N818 - it is not an error of the station
    """The candidate is beyond use, until other models take over; ``code`` of :data:`OFF`."""

    def __init__(self, code: str, error: object) -> None:
        super().__init__(code)
        self.code, self.error = code, str(error)

    def text(self, language: int) -> str:
        """Why, in English (0) or Chinese (1)."""
        return OFF[self.code][language].format(error=self.error)


class CandidateProcess:
    """The process of the candidate, with idle priority.

    Parameters
    ----------
    avoid
        Cores that the models of the line have; it gets others, if there are any.

    Raises
    ------
    SwitchedOff
        It cannot be started.
    """

    def __init__(self, avoid: set[int]) -> None:
        ours, theirs = socket.socketpair()
        alive, self._alive = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*CHILD, str(theirs.fileno()), str(alive)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # native libraries print what they like
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), alive],
            )
        except OSError as error:
            ours.close()
            os.close(self._alive)
            raise SwitchedOff("refused", error.strerror) from error
        finally:
            theirs.close()
            os.close(alive)
        self._give_way(avoid)
        # Writing to a process that reads no more must end, too (socket(7)).
        limit = struct.pack("ll", int(ANSWER_S) or 1, 0)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._channel = Connection(ours.detach())

    def _give_way(self, avoid: set[int]) -> None:
        """Idle priority, cores that no model of the line has, and the first to go without memory.

        Set from outside, before it has made a thread; all that it starts inherits them.
        """
        pid = self._process.pid
        with contextlib.suppress(OSError):  # a kernel without, or it is dead already
            os.sched_setscheduler(pid, POLICY, os.sched_param(0))
        with contextlib.suppress(OSError):
            os.sched_setaffinity(pid, (os.sched_getaffinity(0) - avoid) or os.sched_getaffinity(0))
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/oom_score_adj").write_text("1000", "ascii")

    def ask(
        self, question: dict[str, Any], pixels: memoryview | None, wait: float | None = None
    ) -> Any:
        """Its answer to a question and the pixels that belong to it.

        Raises
        ------
        SwitchedOff
            There is none within ``wait`` seconds (:data:`ANSWER_S`), it has died, or it says why.
        """
        wait = ANSWER_S if wait is None else wait
        try:
            self._channel.send(question)
            if pixels is not None:
                self._channel.send_bytes(pixels)
            if not self._channel.poll(wait):
                raise SwitchedOff("hung", f"{wait:g}")
            said = json.loads(self._channel.recv_bytes())
        except BlockingIOError:
            raise SwitchedOff("hung", f"{ANSWER_S:g}") from None
        except (EOFError, OSError, ValueError):
            raise SwitchedOff("crashed", self._death()) from None
        if "error" in said:
            raise SwitchedOff("refused", said["error"])
        return said

    def _death(self) -> str:
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "its answer is none"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End it, and all that it has started; from any thread."""
        with contextlib.suppress(OSError):  # it has no group of its own yet
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def bury(self) -> None:
        """After :meth:`kill`, let go of what it held; for the thread that asks."""
        self._process.wait()
        self._channel.close()
        os.close(self._alive)
