import errno
import os
from pathlib import Path

import pytest

from models.atomic import write_atomic
from models.errors import StorageError


def test_new_folder_and_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b.txt", b"new")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_a_full_disk_at_any_step_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    target = tmp_path / "verdict.png"
    target.write_bytes(b"old")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(StorageError, match=r"verdict\.png: cannot be written \(No space left"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["verdict.png"]


def test_a_really_full_disk() -> None:
    with pytest.raises(StorageError, match="/proc/self"):
        write_atomic(Path("/proc/self/no-such-folder/file"), b"x")
