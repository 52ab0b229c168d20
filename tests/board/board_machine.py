"""A board: QEMU with the disks of a rig, a console to type at, and a plug to pull."""

from __future__ import annotations

import base64
import re
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

from board_rig import Rig
from board_tools import find

__all__ = ["Board"]

BOOT = 90.0
"""Seconds until the agent listens: five on a quiet machine."""

LINE = 2048
"""Characters of a typed line: a terminal takes 4095. A multiple of 4, of which base64 is made."""

CPU = "cortex-a72"
"""As on a Raspberry Pi 4. With ``max`` QEMU takes minutes to boot."""


class Board:
    """A board under power. Its console is the first serial port, the agent's is the second.

    Parameters
    ----------
    rig
        What it is made of.
    data
        Image of its data disk; changed as the board changes it.
    port
        Symbolic link that is made to its second serial port, as udev does for a USB adapter.
    writes
        File that every write to the data disk is appended to, in order; see ``board_log``.
    """

    def __init__(self, rig: Rig, data: Path, port: Path, writes: Path | None = None) -> None:
        self._said = b""
        self._changed = threading.Condition()
        self._commands = 0
        self._folder = tempfile.TemporaryDirectory(prefix="lineguard-board-")
        console = f"{self._folder.name}/console"
        command = [find("qemu-system-aarch64"), "-M", "virt,gic-version=2", "-cpu", CPU]
        command += ["-m", "1024", "-accel", "tcg", "-nic", "none"]
        command += ["-nodefaults", "-nographic", "-no-reboot"]
        command += ["-kernel", str(rig.kernel), "-initrd", str(rig.initramfs)]
        command += ["-append", "console=ttyAMA0 loglevel=3 panic=-1"]
        command += ["-chardev", f"socket,id=console,path={console},server=on,wait=on"]
        command += ["-serial", "chardev:console"]
        command += ["-chardev", "pty,id=link", "-device", "pci-serial,chardev=link"]
        for name, image in (("system", rig.system), ("program", rig.program)):
            command += _disk(name, f"driver=file,filename={image},read-only=on")
        # A disk's cache is emptied when the board says so; that this machine empties its own adds
        # nothing, since nobody pulls its plug.
        file = f"driver=file,filename={data},cache.no-flush=on"
        if writes is None:
            command += _disk("data", file)
        else:
            writes.touch()
            log = f"driver=file,filename={writes},cache.no-flush=on"
            command += ["-blockdev", f"{file},node-name=under", "-blockdev", f"{log},node-name=log"]
            command += _disk("data", "driver=blklogwrites,file=under,log=log,log-sector-size=512")
        self._qemu = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._console = self._open(console)
        self._plug_in(port)
        self._reader = threading.Thread(target=self._read, name="console", daemon=True)
        self._reader.start()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        if error is not None:
            print(f"the board's console:\n{self.said}")

    @property
    def said(self) -> str:
        """All that has come from the console."""
        return self._said.decode("utf-8", "replace").replace("\r\n", "\n")

    def wait_for(self, pattern: str, seconds: float = BOOT) -> re.Match[str]:
        """Wait until the console has said it.

        Raises
        ------
        TimeoutError
            It has not, or the board has gone.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while not (found := re.search(pattern, self.said, re.MULTILINE)):
                left = end - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    raise TimeoutError(f"the console has not said {pattern!r}:\n{self.said}")
                self._changed.wait(min(left, 1.0))
        return found

    def wait_for_agent(self) -> None:
        """Wait until hosts may come."""
        self.wait_for("^listening at ")

    def run(self, command: str, seconds: float = 60.0) -> str:
        """Type a command at the console; gives what it says, both outputs.

        Raises
        ------
        RuntimeError
            It ends with another exit code than 0.
        """
        self._commands += 1
        mark = f"mark-{self._commands}"
        line = f"echo {mark}-begins; {command}; echo {mark}-ends-$?\n"
        self._console.sendall(line.encode())
        found = self.wait_for(f"^{mark}-begins\n((?:.*\n)*?.*){mark}-ends-([0-9]+)\n", seconds)
        if found[2] != "0":
            raise RuntimeError(f"{command}: exit code {found[2]}:\n{found[1]}")
        return found[1]

    def put(self, path: str, content: bytes) -> None:
        """Write a small file, through the console."""
        text = base64.b64encode(content).decode()
        self.run(f": >{path}")
        for start in range(0, len(text), LINE):
            self.run(f"echo {text[start : start + LINE]} | base64 -d >>{path}")

    def cut(self) -> None:
        """Pull the plug."""
        self._qemu.kill()
        self._qemu.wait()
        self._reader.join()
        self._console.close()
        self._folder.cleanup()

    def _open(self, path: str) -> socket.socket:
        console = socket.socket(socket.AF_UNIX)
        while True:
            try:
                console.connect(path)
                return console
            except OSError:
                if self._qemu.poll() is not None:
                    said = self._qemu.stdout.read().decode() if self._qemu.stdout else ""
                    raise RuntimeError(f"the board does not start: {said}") from None
                time.sleep(0.02)

    def _plug_in(self, port: Path) -> None:
        assert self._qemu.stdout is not None
        for line in self._qemu.stdout:
            if found := re.search(rb"redirected to (/dev/\S+) \(label link\)", line):
                port.unlink(missing_ok=True)
                port.symlink_to(found[1].decode())
                return
        raise RuntimeError("the board has no second serial port")

    def _read(self) -> None:
        while data := self._console.recv(65536):
            with self._changed:
                self._said += data
                self._changed.notify_all()


def _disk(name: str, driver: str) -> list[str]:
    device = f"virtio-blk-pci,drive={name}"
    return ["-blockdev", f"{driver},node-name={name}", "-device", device]
