"""Debian for arm64 without an arm64 machine: a kernel, an initramfs, and a system with Python.

Packages come through apt as this machine is configured, into a folder of their own: apt resolves
what they need, nothing is installed here, and nobody needs to be root.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from board_tools import PYTHON, call, find

__all__ = ["fetch_packages", "make_initramfs", "take_kernel", "unpack_system"]

KERNEL = "linux-image-arm64"

SYSTEM = ("busybox-static", PYTHON, "libgomp1", "libstdc++6")
"""What the wheels of a box need of their Debian, and a shell."""

MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")
"""What it takes to mount a disk."""

SHELL = ("hostname", "mount", "sh")
"""What busybox is called beside what the kernel's package asks for."""

NOT_NEEDED = ("share/doc", "share/man", "share/locale", "share/info", "share/lintian")

# A box has its system on a disk that is never written, its data on another one.
INIT = """#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev
while read module; do insmod /modules/$module; done </modules/list
while [ ! -b /dev/vdc ]; do sleep 0.1; done
mount -t ext4 -o ro /dev/vda /root &&
mount -t ext4 -o ro /dev/vdb /root/opt/lineguard &&
mount -t ext4 -o noatime /dev/vdc /root/var/lib/lineguard ||
  { echo "BOARD-BROKEN: a disk cannot be mounted"; exec poweroff -f; }
mount --move /dev /root/dev
exec switch_root /root /sbin/board-init
"""

APPLETS = ("insmod", "mount", "poweroff", "sh", "sleep", "switch_root")


def fetch_packages(folder: Path) -> list[Path]:
    """Download the packages and all that they need; gives the ``.deb`` files."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()  # as on a machine with nothing installed
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Dir::Cache": str(folder / "cache"),
        "Dir::State": str(folder / "state"),
        "Dir::State::status": str(folder / "status"),
    }
    how = ["-qq", *(f"-o{name}={value}" for name, value in settings.items())]
    call("apt-get", *how, "update")
    call("apt-get", *how, "install", "--download-only", "-y", KERNEL, *SYSTEM)
    return sorted((folder / "cache/archives").glob("*.deb"))


def take_kernel(packages: Sequence[Path], folder: Path) -> Path:
    """Unpack the kernel with its modules; gives the image."""
    (package,) = (each for each in packages if each.name.startswith("linux-image-6"))
    _unpack(package, folder)
    (image,) = folder.glob("boot/vmlinuz-*")
    call("depmod", "-b", folder, image.name.removeprefix("vmlinuz-"))
    return image


def make_initramfs(kernel: Path, busybox: Path, scratch: Path, target: Path) -> None:
    """Write what mounts the disks of a board and hands over to its system.

    Parameters
    ----------
    kernel
        As :func:`take_kernel` gives it, its modules beside it.
    busybox
        A static one.
    """
    for name in ("bin", "dev", "modules", "root"):
        (scratch / name).mkdir(parents=True)
    shutil.copy(busybox, scratch / "bin/busybox")
    for applet in APPLETS:
        (scratch / "bin" / applet).symlink_to("busybox")
    version = kernel.name.removeprefix("vmlinuz-")
    order: list[Path] = []
    for module in MODULES:
        base = kernel.parent.parent
        said = call("modprobe", "-d", base, "-S", version, "--show-depends", module)
        files = [Path(line.split()[1]) for line in said.splitlines() if line.startswith("insmod ")]
        order += [file for file in files if file not in order]
    for file in order:
        shutil.copy(file, scratch / "modules")
    (scratch / "modules/list").write_text("".join(f"{file.name}\n" for file in order))
    (scratch / "init").write_text(INIT)
    (scratch / "init").chmod(0o755)
    names = sorted(str(path.relative_to(scratch)) for path in scratch.rglob("*"))
    archive = subprocess.run(
        [find("cpio"), "--create", "--format=newc", "--quiet"],
        cwd=scratch,
        input="".join(f"{name}\n" for name in names).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    target.write_bytes(gzip.compress(archive.stdout, compresslevel=1))


def unpack_system(packages: Sequence[Path], root: Path) -> None:
    """Unpack all packages but the kernel, as far as a box has a use for them.

    Their scripts are not run: they would need an arm64 machine, and none of them is missed.
    """
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        if not package.name.startswith("linux-"):
            _unpack(package, root)
    for name in SHELL:
        (root / "bin" / name).symlink_to("busybox")
    for name in NOT_NEEDED:
        shutil.rmtree(root / "usr" / name, ignore_errors=True)


def _unpack(package: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    read = [find("dpkg-deb"), "--fsys-tarfile", str(package)]
    # Whose the files are is of no matter on a box that has root alone.
    write = [find("tar"), "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(folder)]
    with subprocess.Popen(read, stdout=subprocess.PIPE) as files:
        subprocess.run(write, stdin=files.stdout, check=True)
    if files.returncode:
        raise RuntimeError(f"{package.name}: cannot be unpacked")
