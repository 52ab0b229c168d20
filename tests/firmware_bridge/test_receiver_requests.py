"""What a box answers, and what it refuses by name."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from box_lab import (
    FACTS,
    KEY,
    STRANGER,
    active,
    announce,
    ask,
    box,
    code_of,
    fails,
    flash,
    make_root,
    offered,
    release,
    send,
    send_all,
    tried,
)

from firmware_bridge import disk
from firmware_bridge.receiver import BoxFacts
from firmware_bridge.trials import TrialResult
from models.bundle import Manifest, file_entry, sign

ONE, TWO, THREE = release(1), release(2), release(3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root")


def tree(root: Path) -> dict[str, bytes | str]:
    """All that lies there but the journal and the lock, which hold nothing that counts."""
    return {
        str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in {"journal.jsonl", "lock"}
    }


def test_a_new_box_says_what_it_is(root: Path) -> None:
    answer = ask(box(root), "hello", host="laptop")
    empty = {"state": "EMPTY", "active": False, "manifest": None, "tries": 0, "held": False}
    assert answer.pop("free") > 0
    assert answer == {
        "m": "hello",
        "id": 7,
        "box": "box-1",
        "hardware": ["arm64"],
        "engines": {"onnxruntime": "1.23.2"},
        "slots": {"a": empty, "b": empty},
        "counter": 0,
        "keys": [bytes.fromhex(KEY.public.id)],
        "busy": False,
    }
    assert ask(box(root), "status")["state"] == "EMPTY"


def test_a_flash_makes_the_bundle_active(root: Path) -> None:
    receiver = box(root)
    status = flash(receiver, ONE)
    assert status["state"] == "READY"
    assert status["trial"] == {
        "manifest": ONE.id,
        "state": "passed",
        "reason": "",
        "p99_ms": 12.5,
        "runs": 50,
    }
    assert status["slots"]["a"] == {
        "state": "CONFIRMED",
        "active": True,
        "manifest": ONE.id,
        "tries": 0,
        "held": False,
        "name": "pcb",
        "version": "1.0.0",
        "counter": 1,
    }
    assert (active(root), os.readlink(root / "current")) == ("1.0.0", "a")
    assert list((root / "incoming").iterdir()) == []
    flash(receiver, TWO)
    assert (active(root), os.readlink(root / "current")) == ("2.0.0", "b")
    events = [entry["event"] for entry in ask(receiver, "log", after=0)["entries"]]
    assert events == ["offer", "receiving", "staged", "trial", "confirmed"] * 2
    numbers = [entry["n"] for entry in ask(receiver, "log", after=7)["entries"]]
    assert numbers == [8, 9, 10]


def test_a_failed_trial_changes_nothing(root: Path) -> None:
    flash(box(root), ONE)
    before = tree(root)
    status = flash(box(root, fails), TWO)
    assert status["trial"]["state"] == "failed"
    assert status["trial"]["reason"] == "golden/board.png: expected 'A', read 'B'"
    assert tree(root) == before
    assert not (root / "b").exists()


def test_a_trial_that_breaks_off_is_failed(root: Path) -> None:
    def broken(folder: Path, manifest: Manifest) -> TrialResult:
        raise RuntimeError("no")

    assert "broke off" in flash(box(root, broken), ONE)["trial"]["reason"]
    assert active(root) is None


def test_three_starts_without_an_end_fail(root: Path) -> None:
    flash(box(root), ONE)
    gate = threading.Event()

    def waits(folder: Path, manifest: Manifest) -> TrialResult:
        gate.wait(20)
        return TrialResult(True)

    first = box(root, waits)
    send_all(first, TWO)
    ask(first, "stage", transfer=TWO.id)
    ask(first, "activate", hold=False)
    for tries in (1, 2, 3):
        assert json.loads((root / "state.json").read_bytes())["slots"]["b"]["tries"] == tries
        first._slots.lock.release()  # as when its process is killed: its end is never heard of
        if tries < 3:
            first = box(root, waits)
            first.tick()
            assert first._trials.running
    last = box(root)
    status = ask(last, "status")
    assert status["trial"]["state"] == "failed"
    assert "3 times" in status["trial"]["reason"]
    assert status["slots"]["b"]["state"] == "EMPTY"
    assert active(root) == "1.0.0"
    gate.set()


def test_starts_outside_of_a_trial_cost_nothing(root: Path) -> None:
    receiver = box(root)
    send_all(receiver, ONE)
    ask(receiver, "stage", transfer=ONE.id)
    for _ in range(10):
        receiver = box(root)
    assert ask(receiver, "activate", hold=False)["state"] == "TRIAL"
    assert tried(receiver)["state"] == "READY"


def test_a_held_bundle_waits_until_the_line_is_idle_and_over_a_cut(root: Path) -> None:
    receiver = box(root)
    send_all(receiver, ONE)
    ask(receiver, "stage", transfer=ONE.id)
    assert ask(receiver, "activate", hold=True)["state"] == "STAGED"
    receiver = box(root)
    receiver.tick()
    assert ask(receiver, "status")["slots"]["a"]["held"] is True
    (root / "idle").touch()
    receiver.tick()
    assert tried(receiver)["state"] == "READY"


def test_a_bundle_is_not_held_where_the_line_is_idle(root: Path) -> None:
    receiver = box(root)
    send_all(receiver, ONE)
    ask(receiver, "stage", transfer=ONE.id)
    (root / "idle").touch()
    assert ask(receiver, "activate", hold=True)["state"] == "TRIAL"


def test_confirm_ends_a_hold_but_not_the_trial(root: Path) -> None:
    receiver = box(root, fails)
    assert code_of(receiver, "confirm") == "state"
    send_all(receiver, ONE)
    ask(receiver, "stage", transfer=ONE.id)
    ask(receiver, "activate", hold=True)
    assert ask(receiver, "confirm")["slots"]["a"]["state"] == "TRIAL"
    assert tried(receiver)["trial"]["state"] == "failed"


def test_rollback_goes_to_the_other_one_and_back(root: Path) -> None:
    receiver = box(root)
    assert code_of(receiver, "rollback") == "state"
    flash(receiver, ONE)
    assert code_of(receiver, "rollback") == "state"
    flash(receiver, TWO)
    assert ask(receiver, "rollback")["slots"]["a"]["active"] is True
    assert active(root) == "1.0.0"
    ask(receiver, "rollback")
    assert active(root) == "2.0.0"


def test_rollback_does_not_go_below_the_counter_or_to_what_is_damaged(root: Path) -> None:
    receiver = box(root)
    flash(receiver, ONE)
    flash(receiver, TWO)
    (root / "a" / "files" / "pcb" / "det.json").unlink()
    assert code_of(receiver, "rollback") == "content"
    flash(receiver, release(3, counter=2))
    assert code_of(receiver, "rollback") == "old"
    assert active(root) == "3.0.0"


@pytest.mark.parametrize(
    ("code", "new"),
    [
        ("untrusted", release(2, key=STRANGER)),
        ("old", release(2, counter=0)),
        ("hardware", release(2, hardware=("armv7", "x86-64"))),
        ("engine", release(2, engine={"name": "onnxruntime", "min": "1.24", "max": "2"})),
        ("engine", release(2, engine={"name": "paddle_lite", "min": "2.13", "max": "2.13"})),
    ],
)
def test_what_must_not_run_here_is_refused_before_anything_is_written(
    root: Path, code: str, new: Any
) -> None:
    receiver = box(root)
    flash(receiver, ONE)
    before = tree(root)
    assert code_of(receiver, "offer", envelope=new.envelope) == code
    assert tree(root) == before
    assert ask(receiver, "log", after=0)["entries"][-1]["event"] == "refused"


def test_a_box_that_trusts_nobody_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    assert code_of(box(tmp_path / "root"), "offer", envelope=ONE.envelope) == "untrusted"


@pytest.mark.parametrize("envelope", [b"", b"{}", b"\xff" * 100, ONE.envelope[:-1]])
def test_what_is_no_envelope_is_refused(root: Path, envelope: bytes) -> None:
    assert code_of(box(root), "offer", envelope=envelope) == "altered"
    assert tree(root).keys() == {f"trusted/{KEY.public.id}.pub"}


def test_a_signed_manifest_that_breaks_a_rule_is_refused(root: Path) -> None:
    """Whoever signs may err: nothing of it may come near the disk."""
    for path in ("../x", "/etc/passwd", "a/../../b"):
        bad = ONE.manifest.model_copy(
            update={"files": (ONE.manifest.files[0].model_copy(update={"path": path}),)}
        )
        assert code_of(box(root), "offer", envelope=sign(bad, KEY)) == "altered"
    assert tree(root).keys() == {f"trusted/{KEY.public.id}.pub"}


def test_two_writers_cannot_collide(root: Path) -> None:
    one, two = box(root), box(root)
    flash(one, ONE)
    offered(one, TWO)
    assert ask(two, "hello")["busy"] is True
    assert code_of(two, "offer", envelope=TWO.envelope) == "busy"
    assert code_of(two, "rollback") == "busy"
    assert ask(one, "hello")["busy"] is False
    one.disconnect()
    assert ask(two, "hello")["busy"] is False
    flash(two, TWO)
    assert ask(one, "status")["slots"]["b"]["active"] is True


def test_a_transfer_belongs_to_the_session_that_offered_it(root: Path) -> None:
    receiver = box(root)

    def say(sender: str, m: str, **fields: Any) -> dict[str, Any]:
        answer = receiver.handle({"m": m, "id": 1, **fields}, sender)
        assert answer is not None
        return answer

    assert "error" not in say("one", "offer", envelope=ONE.envelope)
    assert say("two", "offer", envelope=ONE.envelope)["error"] == "busy"
    assert say("two", "check", transfer=ONE.id, index=0)["error"] == "state"
    assert say("two", "stage", transfer=ONE.id)["error"] == "state"
    size = len(ONE.content(0))
    file = {"transfer": ONE.id, "index": 0, "at": 0, "coding": "raw", "bytes": size}
    assert "error" not in say("one", "file", **file)
    receiver.handle({"m": "data", "d": b"from somebody else"}, "two")
    receiver.handle({"m": "data", "d": ONE.content(0)}, "one")
    receiver.disconnect("two")
    assert say("one", "check", transfer=ONE.id, index=0)["ok"] is True
    receiver.disconnect("one")
    assert say("two", "offer", envelope=ONE.envelope)["files"][0]["need"] is False


def test_a_trial_keeps_other_writers_away(root: Path) -> None:
    gate = threading.Event()

    def waits(folder: Path, manifest: Manifest) -> TrialResult:
        gate.wait(20)
        return TrialResult(True)

    one, two = box(root, waits), box(root)
    send_all(one, ONE)
    ask(one, "stage", transfer=ONE.id)
    ask(one, "activate", hold=False)
    assert ask(one, "activate", hold=False)["state"] == "TRIAL"
    two.tick()
    assert two._trials.running is False
    assert code_of(two, "offer", envelope=TWO.envelope) == "busy"
    send_all(one, TWO)  # the same host may send the next one meanwhile, but not stage it
    assert code_of(one, "stage", transfer=TWO.id) == "state"
    gate.set()
    assert tried(one)["state"] == "READY"
    assert ask(one, "stage", transfer=TWO.id)["slot"] == "b"


def test_a_box_without_room_refuses_before_it_starts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = box(root)
    flash(receiver, ONE)
    before = tree(root)
    size = len(TWO.payload["pcb/det.onnx"])
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 4 * 2**20 + 2 * size - 1)
    assert code_of(receiver, "offer", envelope=TWO.envelope) == "room"
    assert tree(root) == before
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 4 * 2**20 + 2 * size)
    assert len(offered(receiver, TWO)) == 3
    # Where files cannot be linked they are copied.
    monkeypatch.setattr(disk, "links_work", lambda file: False)
    assert code_of(receiver, "offer", envelope=TWO.envelope) == "room"


def test_another_bundle_takes_the_place_of_an_unfinished_one(root: Path) -> None:
    receiver = box(root)
    send_all(receiver, ONE)
    offered(receiver, TWO)
    assert [each.name for each in (root / "incoming").iterdir()] == [TWO.id.hex()]


def test_stage_may_be_asked_again(root: Path) -> None:
    receiver = box(root)
    send_all(receiver, ONE)
    assert ask(receiver, "stage", transfer=ONE.id)["slot"] == "a"
    assert ask(receiver, "stage", transfer=ONE.id)["slot"] == "a"
    assert code_of(receiver, "stage", transfer=TWO.id) == "state"


def test_stage_wants_all_files(root: Path) -> None:
    receiver = box(root)
    offered(receiver, ONE)
    send(receiver, ONE, 0)
    assert code_of(receiver, "stage", transfer=ONE.id) == "state"
    assert not (root / "a").exists()


def test_a_file_that_changes_on_the_disk_is_found_at_stage(root: Path) -> None:
    receiver = box(root)
    send_all(receiver, ONE)
    whole = root / "incoming" / ONE.id.hex() / "2.whole"
    whole.write_bytes(whole.read_bytes()[:-1] + b"x")
    assert code_of(receiver, "stage", transfer=ONE.id) == "content"
    assert ask(receiver, "status")["slots"]["a"]["state"] == "EMPTY"
    assert [said["need"] for said in offered(receiver, ONE)] == [False, False, True]


def test_without_links_files_are_copied(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    receiver = box(root)
    flash(receiver, ONE)
    flash(receiver, TWO)
    assert active(root) == "2.0.0"


@pytest.mark.parametrize("letter", ["a", "b"])
def test_a_damaged_active_bundle_gives_way_to_the_other(root: Path, letter: str) -> None:
    receiver = box(root)
    flash(receiver, ONE)
    flash(receiver, TWO)
    if letter == "a":
        ask(receiver, "rollback")
    target = root / letter / "files" / "pcb" / "det.onnx"
    target.write_bytes(b"x" + target.read_bytes()[1:])
    status = ask(box(root), "status")
    assert (status["state"], status["slots"][letter]["state"]) == ("READY", "EMPTY")
    assert active(root) == {"a": "2.0.0", "b": "1.0.0"}[letter]
    flash(box(root), THREE)
    assert active(root) == "3.0.0"


def test_a_box_without_a_whole_bundle_says_fault_and_can_be_flashed(root: Path) -> None:
    flash(box(root), ONE)
    (root / "a" / "manifest.dsse").write_bytes(b"{")
    receiver = box(root)
    status = ask(receiver, "status")
    assert status["state"] == "FAULT"
    assert "slot a: " in status["fault"]
    assert status["slots"]["a"]["state"] == "CONFIRMED"  # it may read better the next time
    assert flash(receiver, TWO)["state"] == "READY"
    assert active(root) == "2.0.0"


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\0" * 300, b'{"format": 2}'])
def test_a_lost_state_is_made_anew_from_what_current_points_to(
    root: Path, content: bytes | None
) -> None:
    flash(box(root), ONE)
    flash(box(root), release(2, counter=5))
    (root / "state.json").unlink()
    if content is not None:
        (root / "state.json").write_bytes(content)
    status = ask(box(root), "status")
    assert (status["state"], status["counter"]) == ("READY", 5)
    assert active(root) == "2.0.0"


def test_facts_stand_in_the_refusal(root: Path) -> None:
    receiver = box(root, facts=BoxFacts("x", ("armv7",), {}))
    answer = ask(receiver, "offer", envelope=ONE.envelope)
    assert answer["text"] == "pcb 1.0.0 is for arm64, this box is armv7"
    receiver = box(root, facts=BoxFacts("x", FACTS.hardware, {}))
    answer = ask(receiver, "offer", envelope=ONE.envelope)
    assert "needs onnxruntime 1.20 to 1.30, this box has none" in answer["text"]


def test_a_duplicate_file_is_sent_twice_and_is_right(root: Path) -> None:
    payload = {"golden/board.png": b"same", "pcb/det.onnx": b"same", "empty": b""}
    new = release(1, payload=payload)
    assert file_entry("empty", b"").chunks == ()
    receiver = box(root)
    assert send_all(receiver, new) == 3
    assert announce(receiver, new, 0, bytes=4)["error"] == "state"
    ask(receiver, "stage", transfer=new.id)
    ask(receiver, "activate", hold=False)
    assert tried(receiver)["state"] == "READY"
