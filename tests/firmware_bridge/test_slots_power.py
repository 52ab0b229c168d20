"""The power goes after every operation on the disk, with and without what was not synced."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from box_lab import active, ask, box, flash, release, send_all, tried
from power import Loss, World, recorded

OLD, NEW, NEXT = release(1), release(2), release(3)

Steps = Callable[[Path], object]


def flashed(root: Path) -> object:
    return flash(box(root), NEW)


def rolled_back(root: Path) -> object:
    return ask(box(root), "rollback")


def before_and_after(root: Path, first: Steps, then: Steps) -> tuple[World, list[tuple[Any, ...]]]:
    """The disk after ``first``, and what ``then`` does to it."""
    with recorded():
        first(root)
    world = World(root)
    with recorded() as recorder:
        then(root)
    return world, recorder.log


def switched(log: list[tuple[Any, ...]], root: Path, letter: str) -> tuple[int, int]:
    """After how many operations ``state.json`` may name another active slot, and must."""
    wrote = next(
        n
        for n, op in enumerate(log)
        if op[0] == "write" and f'"active": "{letter}"'.encode() in op[3]
    )
    renamed = log.index(("replace", log[wrote][1], str(root / "state.json")))
    return renamed + 1, log.index(("sync", str(root)), renamed) + 1


def check_cut(world: World, root: Path, loss: Loss, chance: random.Random) -> str | None:
    """Cut the power: a whole bundle is active, and the next flash succeeds. Gives its version."""
    world.write(root, loss, chance)
    with recorded():
        receiver = box(root)
        status = ask(receiver, "status")
        assert status["fault"] == ""
        found = active(root)
        assert status["state"] == ("READY" if found else "EMPTY")
        assert [each.name for each in root.glob(".*")] == []
        tried(receiver)  # what the cut had interrupted
        new = chance.choice([NEW, NEXT])
        assert flash(receiver, new)["trial"]["state"] == "passed"
        assert active(root) == new.manifest.version
    assert list((root / "incoming").iterdir()) == []
    return found


def check_every_cut(
    root: Path, world: World, log: list[tuple[Any, ...]], loss: Loss, old: str | None, new: str
) -> None:
    letter = "a" if old is None else "b"
    may, must = switched(log, root, letter)
    assert 0 < may < must <= len(log)
    for cut in range(len(log) + 1):
        found = check_cut(world, root.with_name(f"{cut}"), loss, random.Random(cut))
        allowed = {old} if cut < may else {new} if cut >= must or loss == "all" else {old, new}
        assert found in allowed, (cut, log[cut - 1])
        if cut < len(log):
            world.do(*log[cut])


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["all", "none", "some"])
def test_a_flash_is_cut_after_every_operation(tmp_path: Path, loss: Loss) -> None:
    root = tmp_path / "root"
    world, log = before_and_after(root, lambda at: flash(box(at), OLD), flashed)
    assert len(log) > 60
    check_every_cut(root, world, log, loss, "1.0.0", "2.0.0")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["all", "some"])
def test_the_first_flash_of_a_box_is_cut(tmp_path: Path, loss: Loss) -> None:
    root = tmp_path / "root"
    world, log = before_and_after(root, box, flashed)
    check_every_cut(root, world, log, loss, None, "2.0.0")


@pytest.mark.slow
def test_a_delta_into_a_used_slot_is_cut(tmp_path: Path) -> None:
    """Slots and transfer share files here: none of them may be written to by another name."""
    root = tmp_path / "root"

    def twice(at: Path) -> None:
        flash(box(at), NEXT)
        flash(box(at), OLD)  # in b; what comes goes to a

    world, log = before_and_after(root, twice, lambda at: flash(box(at), NEW, OLD))
    may, _ = switched(log, root, "a")
    for cut in range(may):
        assert check_cut(world, root.with_name(f"{cut}"), "some", random.Random(cut)) == "1.0.0"
        world.do(*log[cut])


@pytest.mark.slow
def test_a_rollback_is_cut(tmp_path: Path) -> None:
    root = tmp_path / "root"

    def twice(at: Path) -> None:
        flash(box(at), OLD)
        flash(box(at), NEW)

    for loss in ("all", "none", "some"):
        at = tmp_path / loss / "root"
        at.parent.mkdir()
        world, log = before_and_after(at, twice, rolled_back)
        may, must = switched(log, at, "a")
        for cut in range(len(log) + 1):
            found = check_cut(world, at.with_name(f"{cut}"), loss, random.Random(cut))
            assert found in ({"2.0.0"} if cut < may else {"1.0.0", "2.0.0"})
            assert cut < must or found == "1.0.0"
            if cut < len(log):
                world.do(*log[cut])
    assert not root.exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_power_goes_again_and_again(tmp_path: Path, seed: int) -> None:
    """Cuts of what the cut before has left, at random: repairs and resumed flashes are cut too."""
    chance = random.Random(seed)
    root = tmp_path / "0"
    with recorded():
        flash(box(root), OLD)
    running = "1.0.0"
    for turn in range(1, 25):
        world = World(root)
        new = chance.choice([NEW, NEXT])
        with recorded() as recorder:
            receiver = box(root)
            found = active(root)
            tried(receiver)
            flash(receiver, new)
        assert found in {running, "2.0.0", "3.0.0"}
        for step in recorder.log[: chance.randrange(len(recorder.log) + 1)]:
            world.do(*step)
        root = tmp_path / f"{turn}"
        world.write(root, chance.choice(["all", "none", "some"]), chance)
        with recorded():
            box(root)
            running = active(root) or "nothing"
        assert running in {found, new.manifest.version, "2.0.0", "3.0.0"}


@pytest.mark.parametrize("kind", ["none", "files", "folders"])
def test_a_box_that_does_not_wait_for_its_disk_is_found_out(tmp_path: Path, kind: str) -> None:
    """The harness sees what is missing: without the syncs of one kind, a new bundle is lost."""
    root = tmp_path / "root"
    world, log = before_and_after(root, lambda at: flash(box(at), OLD), flashed)
    folders = {step[1] for step in log if step[0] == "mkdir"} | {str(root), str(root / "incoming")}
    for step in log:
        missing = "folders" if step[1] in folders else "files"
        if step[0] != "sync" or missing != kind:
            world.do(*step)
    found = {
        check_cut(world, tmp_path / f"{seed}", "some", random.Random(seed)) for seed in range(8)
    }
    assert (found == {"2.0.0"}) is (kind == "none")


def test_what_has_come_before_a_cut_is_not_sent_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with recorded():
        flash(box(root), OLD)
    receiver = box(root)
    assert send_all(receiver, NEW) == 1  # the others are in the slot that is active
    world = World(root)
    world.write(tmp_path / "cut", "none", random.Random(0))
    again = box(tmp_path / "cut")
    assert send_all(again, NEW) == 0
    assert ask(again, "stage", transfer=NEW.id)["slot"] == "b"
