"""Stages: made once, whole or absent, whatever happens in the middle."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.cache import CHECKPOINT, Stage, Stages
from models.atomic import write_atomic
from models.errors import InputError, StorageError

Make = Callable[[Path], dict[str, object]]


def write(text: str) -> Make:
    def make(folder: Path) -> dict[str, object]:
        (folder / "made.txt").write_text(text)
        return {"length": len(text)}

    return make


def unexpected(folder: Path) -> dict[str, object]:
    raise AssertionError("was there already")


def run(folder: Path, make: Make, *, version: int = 1, **parameters: object) -> Stage:
    return Stages(folder).run("one", version, {}, parameters, make)


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_second_run_gives_what_is_there(tmp_path: Path) -> None:
    first = run(tmp_path, write("abc"))
    again = run(tmp_path, unexpected)
    assert (first.cached, again.cached) == (False, True)
    assert again.facts == {"length": 3}
    assert (again.folder / "made.txt").read_text() == "abc"
    assert again.seconds == first.seconds


def test_whatever_goes_in_decides(tmp_path: Path) -> None:
    source = tmp_path / "model.pdmodel"
    weights = tmp_path / "model.pdiparams"
    source.write_text("a")
    weights.write_text("b")
    stages = Stages(tmp_path / "stages")

    def made(name: str = "one", version: int = 1, **parameters: object) -> Path:
        return stages.run(name, version, {"model": source}, parameters, write("x")).folder

    folders = [made(), made(seed=1), made(version=2), made("two")]
    weights.write_text("c")
    folders.append(made())
    source.write_text("d")
    folders.append(made())
    assert len(set(folders)) == 6
    assert [stage.cached for stage in stages.done] == [False] * 6


def test_what_was_changed_on_disk_is_made_again(tmp_path: Path) -> None:
    stage = run(tmp_path, write("abc"))
    (stage.folder / "made.txt").write_text("xyz")
    assert not run(tmp_path, write("abc")).cached
    (stage.folder / "stage.json").write_text("{")
    assert not run(tmp_path, write("abc")).cached
    (stage.folder / "made.txt").unlink()
    assert not run(tmp_path, write("abc")).cached
    assert run(tmp_path, unexpected).cached


def test_a_failure_leaves_nothing_and_keeps_the_others(tmp_path: Path) -> None:
    run(tmp_path, write("abc"))
    before = left(tmp_path)

    def fails(folder: Path) -> dict[str, object]:
        (folder / "half.txt").write_text("half")
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        run(tmp_path, fails, seed=2)
    assert left(tmp_path) == before


def _killed(folder: Path) -> None:
    def dies(inner: Path) -> dict[str, object]:
        (inner / "half.txt").write_text("half")
        (inner / CHECKPOINT).mkdir()
        (inner / CHECKPOINT / "step").write_text("7")
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    run(folder, dies)


def test_a_killed_run_goes_on_from_its_checkpoint_alone(tmp_path: Path) -> None:
    child = multiprocessing.get_context("fork").Process(target=_killed, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL

    def goes_on(folder: Path) -> dict[str, object]:
        assert not (folder / "half.txt").exists()
        step = int((folder / CHECKPOINT / "step").read_text())
        (folder / "made.txt").write_text("whole")
        return {"step": step}

    stage = run(tmp_path, goes_on)
    assert stage.facts == {"step": 7}
    assert left(stage.folder) == {"made.txt", "stage.json"}
    assert [path.name for path in tmp_path.iterdir()] == [stage.folder.name]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_is_one_error_and_what_was_there_stays(number: int, tmp_path: Path) -> None:
    run(tmp_path, write("abc"))
    before = left(tmp_path)

    def full(folder: Path) -> dict[str, object]:
        (folder / "half.txt").write_text("half")
        raise OSError(number, os.strerror(number), "half.txt")

    with pytest.raises(StorageError, match=r"cannot be written .*: free some space"):
        run(tmp_path, full, seed=2)
    assert left(tmp_path) == before


def _limited(folder: Path, queue: multiprocessing.Queue[str]) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    def large(inner: Path) -> dict[str, object]:
        write_atomic(inner / "large.bin", bytes(5000))
        return {}

    try:
        run(folder, large)
    except StorageError as error:
        queue.put(str(error))


def test_a_disk_that_takes_no_more_in_the_middle_of_a_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_limited, args=(tmp_path, queue))
    child.start()
    assert "free some space" in queue.get(timeout=20)
    child.join()
    assert left(tmp_path) == set()


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path) -> None:
    first, second = Stages(tmp_path), Stages(tmp_path)
    refused = pytest.raises(InputError, match="another run is at work there")
    with first.locked(), refused, second.locked():
        pass
    with second.locked():
        pass


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.onnx: cannot be read"):
        Stages(tmp_path).run("one", 1, {"model": tmp_path / "none.onnx"}, {}, unexpected)
