"""The Debian package of a box: the payload, and what ``dpkg`` has to know and do.

Debian Policy, chapters 5 (control files), 6 (maintainer scripts) and 10 (files); ``deb(5)``.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from edge.service.system import PREFIX, configuration, script
from models.errors import InputError
from tools.boxes.payload import build_time, settle, write_payload
from tools.boxes.programs import run_program
from tools.boxes.wheels import FROM_DEBIAN, PYTHONS, Target

__all__ = ["Package", "build_package"]

RELEASES = {"bookworm": 12, "trixie": 13}
"""Numbers of Debian's releases: they stand in the version, so that one follows the other."""

NEEDS = ("libc6 (>= 2.34)", "libgcc-s1", "libgomp1", "libstdc++6", "systemd", "udev", "zlib1g")
"""What the wheels' own libraries ask for; libgomp1 is Paddle Lite's."""

CONTROL = """\
Package: lineguard
Version: {version}
Architecture: {architecture}
Maintainer: lineguard developers <lineguard@example.org>
Installed-Size: {size}
Depends: {depends}
Recommends: ca-certificates
Suggests: cage, chromium, fonts-noto-cjk
Section: science
Priority: optional
Description: inspection of parts on a factory line, on the line's own box
 A station looks at every part through its cameras, reads what is printed on
 it, finds its defects, and tells the line within a deadline whether it passes.
 An agent beside it takes new models in, tries them, and goes back by itself.
 .
 The program and its packages lie in /opt/lineguard, apart from the system's
 Python; all that changes lies in /var/lib/lineguard.
"""

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: lineguard
Comment: Packages of others below /opt/lineguard/lib have their licences beside
 them, in the folders that end in .dist-info.

Files: *
Copyright: 2026 the lineguard authors
License: Apache-2.0
 On Debian systems, the licence is in /usr/share/common-licenses/Apache-2.0.
"""

CHANGELOG = """\
lineguard ({version}) {release}; urgency=medium

  * Built from lineguard {upstream}.

 -- lineguard developers <lineguard@example.org>  {date}
"""

OVERRIDES = """\
# The program brings its own packages, in a virtual environment apart from the system's Python.
lineguard: dir-or-file-in-opt
lineguard: embedded-library
lineguard: python3-script-but-no-python3-dep
lineguard: wrong-path-for-interpreter
# Wheels come as their makers built them.
lineguard: unstripped-binary-or-object
lineguard: library-not-linked-against-libc
lineguard: shared-library-lacks-prerequisites
lineguard: script-not-executable
lineguard: unusual-interpreter
lineguard: interpreter-not-absolute
lineguard: package-contains-vcs-control-file
# Without a Debian source package there is no debhelper to write these lines.
lineguard: maintainer-script-calls-systemctl
# Of a root that is made, which getent does not look into.
lineguard: maintainer-script-should-not-parse-etc-passwd-or-group
# `lineguard --help` says it all.
lineguard: no-manual-page
"""

POSTINST = """\
#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
again=$2
if [ -z "$DPKG_ROOT" ]; then
  {prefix}/bin/python3 -m compileall -q -f --invalidation-mode unchecked-hash {prefix}/lib || true
fi
"""

PRERM = """\
#!/bin/sh
set -e
find "$DPKG_ROOT{prefix}/lib" -type d -name __pycache__ -exec rm -rf {{}} +
"""

POSTRM = """\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  udevadm control --reload || true
fi
[ "$1" = purge ] || exit 0
"""


@dataclass(frozen=True)
class Package:
    """A package that was built.

    Attributes
    ----------
    path
        The ``.deb`` file.
    installed
        Bytes of its files on a box; what Python adds as byte code is not among them.
    """

    path: Path
    installed: int


def build_package(
    out: Path,
    *,
    architecture: str,
    debian: str,
    wheel: Path,
    lock: Path,
    models: Path | None,
    cache: Path,
) -> Package:
    """Write ``lineguard_VERSION_ARCHITECTURE.deb`` into the folder ``out``.

    Parameters are those of :func:`tools.boxes.payload.write_payload`; ``debian`` is a release,
    ``bookworm`` or ``trixie``. Same inputs, same bytes.

    Raises
    ------
    DeviceError
        A download or ``dpkg-deb`` fails.
    InputError
        There is no such release or architecture, or no ``dpkg-deb``.
    """
    if debian not in RELEASES:
        raise InputError(f"{debian}: no release that is known: choose of {', '.join(RELEASES)}")
    target = Target(architecture, PYTHONS[debian])
    packages = sorted(FROM_DEBIAN.values()) if target.narrow else ()
    when = build_time(wheel)
    upstream = wheel.name.split("-")[1]
    version = f"{upstream}+deb{RELEASES[debian]}"
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lineguard-package-") as scratch:
        root = Path(scratch) / "root"
        write_payload(
            root,
            architecture=architecture,
            python=PYTHONS[debian],
            wheel=wheel,
            lock=lock,
            models=models,
            cache=cache,
        )
        _write_papers(root, version, upstream, debian, when)
        installed = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir())
        values = {
            "version": version,
            "architecture": architecture,
            "size": -(-installed // 1024),
            "depends": ", ".join((f"python{target.python}", *packages, *NEEDS)),
        }
        _write_control(root, CONTROL.format(**values))
        settle(root, sorted(root.rglob("*")), when)
        path = out / f"lineguard_{version}_{architecture}.deb"
        _pack(root, Path(scratch) / path.name, when)
        shutil.move(Path(scratch) / path.name, path)
    return Package(path, installed)


def _write_papers(root: Path, version: str, upstream: str, debian: str, when: int) -> None:
    """What Debian wants beside the files: whose they are, what changed, what lintian may skip."""
    doc = root / "usr/share/doc/lineguard"
    doc.mkdir(parents=True)
    (doc / "copyright").write_text(COPYRIGHT, "utf-8")
    date = formatdate(when)
    changelog = CHANGELOG.format(version=version, upstream=upstream, release=debian, date=date)
    (doc / "changelog.gz").write_bytes(gzip.compress(changelog.encode(), mtime=0))
    overrides = root / "usr/share/lintian/overrides/lineguard"
    overrides.parent.mkdir(parents=True)
    overrides.write_text(OVERRIDES, "utf-8")


def _write_control(root: Path, control: str) -> None:
    folder = root / "DEBIAN"
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    sums = (f"{_md5(path)}  {path.relative_to(root)}\n" for path in files)
    texts = {
        "conffiles": "".join(f"/{name}\n" for name in configuration()),
        "control": control,
        "md5sums": "".join(sums),
        "postinst": POSTINST.format(prefix=PREFIX) + script("setup"),
        "postrm": POSTRM + script("purge"),
        "prerm": PRERM.format(prefix=PREFIX) + script("stop"),
    }
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
        (folder / name).chmod(0o755 if text.startswith("#!") else 0o644)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _pack(root: Path, path: Path, when: int) -> None:
    # One thread: xz would cut the archive by their number, and the bytes would differ. Level 3: a
    # third of the usual one's time.
    how = ("--root-owner-group", "-Zxz", "-z3", "--threads-max=1", "--build")
    run_program("dpkg-deb", *how, root, path, settings={"SOURCE_DATE_EPOCH": str(when)})
