"""Debian for arm64, with what a box adds to it, on a machine that runs none of its programs.

``mmdebstrap(1)``: variant ``extract`` unpacks what apt resolves and runs no script of a package;
``finish.sh`` does what a box needs of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tools.boxes.image.boards import Board
from tools.boxes.programs import run_program

__all__ = ["ARCHITECTURE", "PYTHON", "RELEASE", "make_system"]

ARCHITECTURE, RELEASE, PYTHON = "arm64", "bookworm", "3.11"
"""Of Debian, and its Python."""

HERE = Path(__file__).parent
SETUP = HERE.parent.parent.parent / "edge/service/setup.sh"
MERGED = Path("/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh")
KEPT = "/var/cache/apt/archives"

KERNEL = "linux-image-arm64"

PACKAGES = (
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "gzip"),
    *("hostname", "libc-bin", "login", "mawk", "passwd", "procps", "sed", "tar", "util-linux"),
    *("systemd", "systemd-resolved", "systemd-sysv", "systemd-timesyncd", "dbus", "udev", "kmod"),
    *("ca-certificates", "iproute2", "openssh-server", "openssl", "tzdata"),
    *("e2fsprogs", "fdisk", "mount", "busybox-static", KERNEL),
    *("libgomp1", "libstdc++6", f"python{PYTHON}", "python3"),
)
"""A system, a network, disks, and what the wheels of a box need of their Debian."""

LEFT_OUT = ("doc", "locale", "man")
"""Folders of ``/usr/share``, but for the licences."""


def make_system(board: Board, added: Path, target: Path, cache: Path) -> None:
    """Write a whole system as an archive.

    Parameters
    ----------
    board
        What it is for.
    added
        Archive that is unpacked over it.
    target
        Archive to write.
    cache
        Folder of Debian's packages; only those that have changed are downloaded again.

    Raises
    ------
    DeviceError
        A package cannot be downloaded.
    InputError
        A program is not installed here.
    """
    wanted = (*PACKAGES, *board.packages)
    packages = cache / hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:16]
    packages.mkdir(parents=True, exist_ok=True)
    run_program(
        "mmdebstrap",
        "--quiet",
        "--variant=extract",
        f"--architectures={ARCHITECTURE}",
        "--skip=check/qemu",
        f"--components={','.join(board.components)}",
        f"--include={','.join(wanted)}",
        *_left_out(),
        '--aptopt=Acquire::Retries "3"',
        f"--setup-hook={MERGED}",
        f'--setup-hook=mkdir -p "$1{KEPT}"',
        f"--setup-hook=sync-in {packages} {KEPT}",
        # What Debian no longer has goes, so that the folder is what was unpacked.
        '--extract-hook=APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --quiet=2 autoclean',
        f"--extract-hook=sync-out {KEPT} {packages}",
        f"--extract-hook=tar-in {added} /",
        f"--extract-hook={HERE / 'finish.sh'}",
        "--format=tar",
        RELEASE,
        target,
        settings={"PYTHON": f"python{PYTHON}", "SETUP": str(SETUP)},
    )


def _left_out() -> Sequence[str]:
    paths = [f"path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    return [f"--dpkgopt={each}" for each in (*paths, "path-include=/usr/share/doc/*/copyright")]
