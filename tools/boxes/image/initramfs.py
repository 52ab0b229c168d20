"""What a kernel starts with: the drivers of disks, busybox, and ``init``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import zstandard

from tools.boxes.programs import run_program

__all__ = ["make_initramfs"]

INIT = Path(__file__).with_name("init")

APPLETS = (
    *("[", "cat", "chmod", "chroot", "cp", "echo", "false", "find", "grep", "mkdir", "modprobe"),
    *("mount", "mv", "readlink", "reboot", "rm", "sh", "sleep", "sort", "switch_root", "sync"),
    *("umount", "xargs"),
)
"""What ``init`` calls busybox for."""

FOLDERS = ("bin", "dev", "lib/modules", "proc", "root", "sys")

DRIVERS = (
    *("bus", "clk", "dma", "firmware", "gpio", "hwspinlock", "i2c/busses", "interconnect"),
    *("mailbox", "mfd", "mmc", "nvme/host", "nvmem", "pci", "phy", "pinctrl", "regulator"),
    *("reset", "soc", "ufs", "usb/chipidea", "usb/core", "usb/dwc2", "usb/dwc3", "usb/host"),
    *("usb/musb", "usb/phy", "usb/roles", "usb/storage", "virtio"),
)
"""Folders of drivers: whatever may lie between a processor and its disk."""

MODULES = ("ahci", "ahci_platform", "ext4", "overlay", "sd_mod", "squashfs", "virtio_blk")
"""The rest: disks, file systems, and what ext4 calls by name."""

BY_NAME = ("crc32c_generic", "virtio_scsi", "nls_ascii", "nls_cp437")


def make_initramfs(system: Path, version: str, scratch: Path, target: Path, when: int) -> None:
    """Write it, compressed.

    Parameters
    ----------
    system
        Folder with the kernel's modules below ``lib/modules``, and busybox.
    version
        Of the kernel.
    scratch
        An empty folder.
    target
        File to write.
    when
        Time of all that is in it.
    """
    for name in FOLDERS:
        (scratch / name).mkdir(parents=True)
    shutil.copy(system / "bin/busybox", scratch / "bin/busybox")
    for applet in APPLETS:
        (scratch / "bin" / applet).symlink_to("busybox")
    (scratch / "sbin").symlink_to("bin")  # where a kernel calls modprobe
    shutil.copy(INIT, scratch / "init")
    for path in (scratch / "bin/busybox", scratch / "init"):
        path.chmod(0o755)
    lib = Path("lib/modules") / version
    for file in sorted(set(_needed(system, version))):
        (scratch / lib / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(system / lib / file, scratch / lib / file)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copy(system / lib / name, scratch / lib / name)
    run_program("depmod", "-b", scratch, version)
    paths = sorted(scratch.rglob("*"))
    for path in reversed(paths):
        os.utime(path, (when, when), follow_symlinks=False)
    names = scratch.with_name(f"{scratch.name}.names")
    names.write_text("".join(f"{path.relative_to(scratch)}\n" for path in paths))
    how = ("--create", "--format=newc", "--quiet", "--reproducible", "--owner=0:0")
    archive = run_program("cpio", *how, cwd=scratch, reads=names)
    target.write_bytes(zstandard.ZstdCompressor(level=10).compress(archive))


def _needed(system: Path, version: str) -> Iterator[Path]:
    """Modules, and those that they need, seen from the kernel's folder of modules."""
    lib = system / "lib/modules" / version
    run_program("depmod", "-b", system, version)
    wanted = [
        path.stem for name in DRIVERS for path in (lib / "kernel/drivers" / name).rglob("*.ko")
    ]
    how = ("-d", system, "-S", version, "--show-depends", "-a")
    said = run_program("modprobe", *how, *MODULES, *BY_NAME, *wanted).decode()
    for line in said.splitlines():
        kind, _, path = line.partition(" ")
        if kind == "insmod":
            yield Path(path.split()[0]).relative_to(lib)
