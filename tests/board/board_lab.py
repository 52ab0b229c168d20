"""A box with its disk, which outlives power cuts; releases for it, and a flash that does so too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import get_args

from board_log import WriteLog, copy_disk
from board_machine import Board
from board_model import cut_part, make_detector, retrained
from board_rig import make_disk, rig

from firmware_bridge.sender import Flashed, Phase, Step, flash
from firmware_bridge.transport import connect
from models.bundle import load_trusted
from tools.flashing import open_parcel

__all__ = ["Box", "Factory", "Flashing", "lineguard"]

LINEGUARD = Path(sys.executable).with_name("lineguard")

MEGABYTES = 48
"""Of the data disk: both slots, a transfer and its margin."""

LABELS = '["open", "short", "mousebite", "spur", "copper", "pinhole"]'

SPEC = """
name = "pcb"
version = "{version}"
counter = 1
hardware = ["arm64"]
[engine]
name = "onnxruntime"
min = "1.20"
max = "1.99"
[models.pcb]
family = "ppyoloe"
det = "det.onnx"
labels = {labels}
[[golden]]
image = "{golden}"
model = "pcb"
[bounds]
p99_ms = 60000.0
"""

PHASES = get_args(Phase)
"""In the order in which a flash goes through them."""

OPEN_DEFECT = (319, 407)
"""Corner of a part of 64x64 pixels with one defect."""


def lineguard(*args: object, cwd: Path, seconds: float = 400.0) -> subprocess.CompletedProcess[str]:
    """Run the command on this machine, in the folder ``cwd``."""
    return subprocess.run(
        [LINEGUARD, *map(str, args)],
        cwd=cwd,
        env=os.environ | {"LINEGUARD_CACHE": str(cwd / "cache")},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


class Factory:
    """Makes releases, all signed by one key: version N.0.0 is another training for each N.

    What a folder holds already is not made again.

    Attributes
    ----------
    trusted
        Folder of its public key.
    network
        Of version 1.0.0; its configuration lies beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.trusted = folder, folder / "trusted"
        folder.mkdir(parents=True, exist_ok=True)
        self.network = folder / "1/det.onnx"
        if not self.network.exists():
            self._made("keys", "new", "factory.key")
            self._made("keys", "trust", "factory.pub", "--trusted", self.trusted)
            make_detector(folder / "1")
            cut_part(folder / "open.png", *OPEN_DEFECT)

    def release(self, version: int) -> Path:
        """Make the bundle; those made before lie beside it."""
        folder, target = self.folder / f"{version}", self.folder / f"pcb-{version}.0.0.lgb"
        if target.exists():
            return target
        if version > 1:
            retrained(self.network, folder / "det.onnx", version)
        golden = self.folder / "open.png"
        spec = SPEC.format(version=f"{version}.0.0", labels=LABELS, golden=golden)
        (folder / "bundle.toml").write_text(spec)
        self._made(
            "bundle", "create", folder / "bundle.toml", "--key", "factory.key", "--out", target
        )
        return target

    def _made(self, *args: object) -> None:
        done = lineguard(*args, cwd=self.folder)
        if done.returncode:
            raise RuntimeError(done.stderr)


class Box:
    """A board with its data disk, which outlives power cuts; not under power at first.

    Parameters
    ----------
    folder
        Made; holds the disk.
    trusted
        Whose bundles it takes.
    disk
        The data disk to begin with; an empty one if ``None``.

    Attributes
    ----------
    disk
        The data disk as it was when the board was started; a cut renews it.
    port
        The serial port of this machine that leads to the box.
    """

    def __init__(self, folder: Path, trusted: Path, disk: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._rig = rig()
        self.port, self.disk, self._now = folder / "ttyBOX", folder / "disk", folder / "now"
        self._writes = folder / "writes"
        self._board: Board | None = None
        if disk is not None:
            copy_disk(disk, self.disk)
        else:
            with tempfile.TemporaryDirectory() as content:
                shutil.copytree(trusted, Path(content) / "trusted")
                make_disk(self.disk, Path(content), MEGABYTES)

    @property
    def board(self) -> Board:
        """The board, which must be under power."""
        assert self._board is not None
        return self._board

    @property
    def log(self) -> WriteLog:
        """What has been written since the start."""
        return WriteLog(self._writes, self.disk)

    def start(self) -> None:
        """Give it power, and wait for its agent."""
        copy_disk(self.disk, self._now)
        self._writes.unlink(missing_ok=True)
        self._board = Board(self._rig, self._now, self.port, self._writes)
        self._board.wait_for_agent()

    def off(self) -> None:
        """Pull the plug, and leave everything as it is."""
        if self._board is not None:
            self._board.cut()
            self._board = None

    def cut(self) -> None:
        """Pull the plug: whatever the board has not asked the disk to keep is lost."""
        self.off()
        durable = self.disk.with_suffix(".durable")
        self.log.durable(durable)
        durable.rename(self.disk)

    def __enter__(self) -> Box:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and self._board is not None:
            print(f"the board's console:\n{self._board.said}")
        self.off()


class Flashing:
    """A flash that goes on in a thread of its own, through every power cut."""

    def __init__(self, box: Box, bundle: Path, trusted: Path) -> None:
        self._step = Step("connect")
        self._changed = threading.Condition()
        self._result: Flashed | BaseException | None = None
        work = threading.Thread(target=self._run, args=(box, bundle, trusted), daemon=True)
        work.start()

    def _run(self, box: Box, bundle: Path, trusted: Path) -> None:
        result: Flashed | BaseException
        try:
            with open_parcel(bundle, load_trusted(trusted), []) as parcel:
                result = flash(lambda: connect(str(box.port)), parcel, tell=self._tell)
        except BaseException as error:
            result = error
        with self._changed:
            self._result = result
            self._changed.notify_all()

    def _tell(self, step: Step) -> None:
        with self._changed:
            self._step = step
            self._changed.notify_all()

    @property
    def step(self) -> Step:
        """What is being done."""
        return self._step

    @property
    def done(self) -> bool:
        """Whether it has come to its end."""
        return self._result is not None

    def reach(self, phase: Phase, share: float, seconds: float = 300.0) -> bool:
        """Wait for a step and a share of its bytes, or a later step; ``False`` if it has ended."""

        def reached() -> bool:
            place = PHASES.index(self._step.phase)
            return self.done or (place, _share(self._step)) >= (PHASES.index(phase), share)

        with self._changed:
            if not self._changed.wait_for(reached, seconds):
                raise TimeoutError(f"{phase}: not reached in {seconds:g} s, but {self._step}")
        return not self.done

    def wait(self, seconds: float) -> bool:
        """Wait for its end, but no longer; gives whether it has come."""
        with self._changed:
            return self._changed.wait_for(lambda: self.done, seconds)

    def result(self, seconds: float = 300.0) -> Flashed:
        """Wait for its good end; raises what it has failed of."""
        if not self.wait(seconds):
            raise TimeoutError(f"the flash has not ended in {seconds:g} s, but {self._step}")
        if isinstance(self._result, Flashed):
            return self._result
        assert self._result is not None
        raise self._result


def _share(step: Step) -> float:
    return step.done / step.total if step.phase == "send" else 1.0
