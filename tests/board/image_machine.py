"""A box under power that was started from its disk alone: firmware, kernel, systemd, network."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from board_log import WriteLog, copy_disk
from board_tools import find

__all__ = ["BOOT", "FIRMWARE", "ImageBox"]

FIRMWARE = Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")
"""Debian's qemu-efi-aarch64."""

CLOCK = ("-accel", "tcg,thread=single", "-icount", "shift=0", "-rtc", "clock=vm,base={base}")
"""The box's own clock: a nanosecond for each instruction, as a core of a Raspberry Pi 4 takes it,
whatever else this machine does. So nothing on the box is late because of the emulation."""

BOOT = 1200.0
"""Seconds until the station inspects: a minute on a quiet machine."""

PORTS = {"display": 8765, "agent": 4040, "ssh": 22}
"""Of the box; each is forwarded to one of this machine."""

PATIENCE = 60.0
"""Seconds for an answer of the display."""


class ImageBox:
    """A box with its disk, which outlives power cuts; not under power at first.

    Parameters
    ----------
    folder
        Made; holds the disk.
    image
        What is written to the disk.
    key
        Private SSH key of who may log in.
    megabytes
        Of the disk; larger than the image, as a card is.

    Attributes
    ----------
    disk
        The disk as it was when the box was started; a cut renews it.
    """

    def __init__(self, folder: Path, image: Path, key: Path, megabytes: int = 1536) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._key = folder, key
        self.disk, self._now, self._writes = folder / "disk", folder / "now", folder / "writes"
        self._qemu: subprocess.Popen[bytes] | None = None
        self._said = b""
        self._ports = {name: _free_port() for name in PORTS}
        copy_disk(image, self.disk)
        with self.disk.open("r+b") as file:
            file.truncate(megabytes << 20)

    def start(self, base: str = "utc", read_only: bool = False) -> None:
        """Give it power.

        Parameters
        ----------
        base
            What its clock says then, as QEMU's ``-rtc`` takes it.
        read_only
            Whether the lock of its card is closed.
        """
        forwards = [f"hostfwd=tcp:127.0.0.1:{self._ports[name]}-:{PORTS[name]}" for name in PORTS]
        command = [find("qemu-system-aarch64"), "-M", "virt,gic-version=2", "-cpu", "cortex-a72"]
        command += ["-smp", "2", "-m", "1024", "-bios", str(FIRMWARE)]
        command += [each.format(base=base) for each in CLOCK]
        command += ["-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"]
        command += ["-netdev", f"user,id=net,{','.join(forwards)}"]
        command += ["-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"]
        command += self._drive(read_only)
        self._said = b""
        self._qemu = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        threading.Thread(target=self._read, args=(self._qemu,), daemon=True).start()

    @property
    def said(self) -> str:
        """All that has come from the console."""
        return self._said.decode("utf-8", "replace").replace("\r\n", "\n")

    @property
    def agent(self) -> str:
        """Where hosts go."""
        return f"tcp://127.0.0.1:{self._ports['agent']}"

    def state(self) -> dict[str, Any]:
        """What the display shows.

        Raises
        ------
        OSError
            It does not answer.
        """
        address = f"http://127.0.0.1:{self._ports['display']}/api/v1/state"
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            state: dict[str, Any] = json.load(answer)
        return state

    def wait_inspecting(self, parts: int = 2, seconds: float = BOOT) -> dict[str, Any]:
        """Wait until the display shows so many parts more than it did; gives its state.

        Raises
        ------
        TimeoutError
            It does not.
        """
        end, before = time.monotonic() + seconds, None
        while time.monotonic() < end:
            self._alive()
            try:
                state = self.state()
            except (OSError, ValueError, urllib.error.URLError):  # not yet
                time.sleep(0.5)
                continue
            now = state["shift"]["parts"]
            before = now if before is None else before
            if now >= before + parts:
                return state
            time.sleep(0.5)
        raise TimeoutError(f"it does not inspect after {seconds:g} s:\n{self.said}")

    def run(self, command: str, seconds: float = 900.0) -> str:
        """Run a command as root, by SSH; gives its standard output.

        Raises
        ------
        RuntimeError
            It ends with another exit code than 0, or not in time.
        """
        how = ["-i", str(self._key), "-p", str(self._ports["ssh"]), "-o", "BatchMode=yes"]
        how += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        how += ["-o", "LogLevel=ERROR", "-o", "ConnectTimeout=900"]
        try:
            done = subprocess.run(
                [find("ssh"), *how, "root@127.0.0.1", command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{command}: not done within {seconds:g} s") from error
        if done.returncode:
            raise RuntimeError(
                f"{command}: exit code {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def put(self, path: str, content: bytes) -> None:
        """Write a small file."""
        self.run(f"echo {base64.b64encode(content).decode()} | base64 -d >{path}")

    def off(self) -> None:
        """Pull the plug, and leave everything as it is."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None

    def cut(self) -> None:
        """Pull the plug: whatever the box has not asked the disk to keep is lost."""
        self.off()
        durable = self.disk.with_suffix(".durable")
        WriteLog(self._writes, self.disk).durable(durable)
        durable.rename(self.disk)

    def __enter__(self) -> ImageBox:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            print(f"the box's console:\n{self.said}")
        self.off()

    def _drive(self, read_only: bool) -> Sequence[str]:
        copy_disk(self.disk, self._now)
        self._writes.unlink(missing_ok=True)
        self._writes.touch()
        device = ("-device", "virtio-blk-pci,drive=disk,bootindex=0")
        if read_only:
            return (
                "-blockdev",
                f"driver=file,filename={self._now},read-only=on,node-name=disk",
                *device,
            )
        # That this machine empties its own cache adds nothing: nobody pulls its plug.
        file = f"driver=file,filename={self._now},cache.no-flush=on,node-name=under"
        log = f"driver=file,filename={self._writes},cache.no-flush=on,node-name=log"
        both = "driver=blklogwrites,file=under,log=log,log-sector-size=512,node-name=disk"
        return ("-blockdev", file, "-blockdev", log, "-blockdev", both, *device)

    def _alive(self) -> None:
        if self._qemu is None or self._qemu.poll() is not None:
            raise TimeoutError(f"it has no power, or has gone off by itself:\n{self.said}")

    def _read(self, qemu: subprocess.Popen[bytes]) -> None:
        assert qemu.stdout is not None
        while data := qemu.stdout.read1(65536):  # type: ignore[attr-defined]
            self._said += data


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
