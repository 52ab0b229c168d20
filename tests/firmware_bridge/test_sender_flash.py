"""A flash over a line that holds: what is sent, what is told, what is refused."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from box_lab import FACTS, STRANGER, active, fails, passes
from flash_lab import Box, parcel

from firmware_bridge.parcel import Parcel, bases_of
from firmware_bridge.receiver import BoxFacts
from firmware_bridge.sender import Step
from firmware_bridge.trials import TrialResult
from models.bundle import CHUNK, Manifest, trust
from models.errors import BundleError, TransferError

NOISE = random.Random(5).randbytes(3 * CHUNK + 1000)
"""What no coding makes shorter."""


def payload(content: bytes) -> dict[str, bytes]:
    return {
        "golden/board.png": b"\x89PNG, or so it says",
        "pcb/det.json": b'{"labels": ["short"]}\n',
        "pcb/det.onnx": content,
    }


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "box")


def codings(box: Box) -> list[str]:
    return [each["coding"] for each in box.asked("file")]


def refused(box: Box, new: Parcel, code: str, **how: Any) -> str:
    """The words of a flash that must fail with ``code``, and say what the box runs."""
    with pytest.raises(TransferError) as caught:
        box.flash(new, **how)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_first_bundle_and_the_next(box: Box, tmp_path: Path) -> None:
    one = box.flash(parcel(tmp_path / "host", 1))
    assert (one.box, one.slot, one.before) == ("box-1", "a", "nothing")
    assert (one.runs, one.p99_ms) == ("pcb 1.0.0 (slot a)", 12.5)
    assert not one.already
    assert active(box.root) == "1.0.0"
    told = ["send", "check"] * 3
    assert box.phases == ["connect", "offer", "plan", *told, "stage", "trial", "done"]

    two = box.flash(parcel(tmp_path / "host", 2))
    assert (two.slot, two.before, two.runs) == ("b", one.runs, "pcb 2.0.0 (slot b)")
    assert active(box.root) == "2.0.0"
    assert box.phases.count("check") == 1  # what did not change is not sent


def test_what_is_there_already_is_not_sent(box: Box, tmp_path: Path) -> None:
    new = parcel(tmp_path / "host")
    box.flash(new)
    box.heard.clear()
    again = box.flash(new)
    assert again.already
    assert (again.sent, again.runs) == (0, "pcb 1.0.0 (slot a)")
    assert [each["m"] for each in box.heard] == ["hello", "status"]


def test_progress_ends_where_it_said(box: Box, tmp_path: Path) -> None:
    new = parcel(tmp_path / "host", payload=payload(NOISE))
    done = box.flash(new)
    sends = [step for step in box.steps if step.phase == "send"]
    assert [step.done for step in sends] == sorted({step.done for step in sends})
    assert {step.total for step in sends} == {new.manifest.total}
    assert sends[-1].done == sends[-1].total == sends[-1].sent == done.sent
    assert {step.note for step in box.steps} == {""}
    assert {step.runs for step in box.steps[:1]} == {""}
    assert (box.steps[-1].box, box.steps[-1].runs) == ("box-1", "pcb 1.0.0 (slot a)")


def test_lines_with_a_baud_get_the_shortest_form(box: Box, tmp_path: Path) -> None:
    one, two = (parcel(tmp_path / "host", version) for version in (1, 2))
    fast = box.flash(one)
    assert set(codings(box)) == {"raw"}
    assert fast.sent == one.manifest.total
    box.heard.clear()
    box.rate = 921600
    slow = box.flash(Parcel(two.bundle))
    assert codings(box) == ["zstd"]
    assert slow.sent < 1000


def test_a_delta_on_what_the_box_has(box: Box, tmp_path: Path) -> None:
    changed = bytearray(NOISE)
    changed[5000:5003] = b"new"
    old = parcel(tmp_path / "host", 1, payload=payload(NOISE))
    new = parcel(tmp_path / "host", 2, payload=payload(bytes(changed)))
    box.flash(old)
    box.heard.clear()
    done = box.flash(Parcel(new.bundle, bases_of(old.bundle), thorough=True))
    assert codings(box) == ["bsdiff"]
    assert done.sent < 500
    assert active(box.root) == "2.0.0"


def test_a_delta_that_fails_is_followed_by_the_whole_file(box: Box, tmp_path: Path) -> None:
    old = parcel(tmp_path / "host", 1, payload=payload(NOISE))
    new = parcel(tmp_path / "host", 2, payload=payload(NOISE[:-1] + b"?"))
    box.flash(old)
    rotten = box.root / "a" / "files" / "pcb" / "det.onnx"
    rotten.write_bytes(bytes(len(NOISE)))
    box.heard.clear()
    done = box.flash(Parcel(new.bundle, bases_of(old.bundle), thorough=True))
    assert codings(box) == ["bsdiff", "raw"]
    assert done.sent > len(NOISE)
    assert any("is not what the manifest says" in step.note for step in box.steps)
    assert active(box.root) == "2.0.0"


def gone() -> bytes:
    raise BundleError("it was taken away")


@pytest.mark.parametrize("base", [gone, lambda: NOISE[:-2] + b"!!"], ids=["gone", "rotten"])
def test_a_base_that_is_no_more_is_not_used(
    box: Box, tmp_path: Path, base: Callable[[], bytes]
) -> None:
    old = parcel(tmp_path / "host", 1, payload=payload(NOISE))
    new = parcel(tmp_path / "host", 2, payload=payload(NOISE[:-1] + b"?"))
    box.flash(old)
    box.heard.clear()
    box.flash(Parcel(new.bundle, dict.fromkeys(bases_of(old.bundle), base), thorough=True))
    assert codings(box) == ["raw"]


def test_a_bundle_is_coded_once_for_all_boxes(tmp_path: Path) -> None:
    new = parcel(tmp_path / "host", payload=payload(bytes(NOISE) * 2), thorough=True)
    reads = []
    read = new.bundle.read
    new.bundle.read = lambda index, at=0: reads.append(index) or read(index, at)  # type: ignore[func-returns-value, method-assign]
    for name in ("one", "two", "three"):
        Box(tmp_path / name).flash(new)
    assert sorted(reads) == [0, 1, 2]


@pytest.mark.parametrize(
    ("code", "facts", "fields"),
    [
        ("untrusted", FACTS, {"key": STRANGER}),
        ("hardware", BoxFacts("box-1", ("armv7",), FACTS.engines), {}),
        ("engine", BoxFacts("box-1", ("arm64",), {}), {}),
        ("old", FACTS, {"counter": 0}),
    ],
)
def test_refusals_are_final_at_once(
    code: str, facts: BoxFacts, fields: dict[str, Any], tmp_path: Path
) -> None:
    box = Box(tmp_path / "box")
    box.flash(parcel(tmp_path / "host", 1))
    box.facts = facts
    box.start()
    box.heard.clear()
    words = refused(box, parcel(tmp_path / "host", 2, **fields), code)
    assert words.endswith("; box-1 runs pcb 1.0.0 (slot a)")
    assert len(box.asked("offer")) == 1
    assert active(box.root) == "1.0.0"


def test_a_trial_that_fails_leaves_the_old_one(box: Box, tmp_path: Path) -> None:
    box.flash(parcel(tmp_path / "host", 1))
    box.trial = fails
    box.start()
    words = refused(box, parcel(tmp_path / "host", 2), "trial")
    assert "failed its trial: golden/board.png: expected 'A', read 'B'" in words
    assert words.endswith("; box-1 runs pcb 1.0.0 (slot a)")
    assert len(box.asked("activate")) == 2


def test_the_trial_of_another_bundle_explains_nothing(box: Box, tmp_path: Path) -> None:
    def other(message: dict[str, Any]) -> dict[str, Any] | None:
        said = serve(message)
        if said and said.get("trial"):
            said["trial"]["manifest"] = bytes(32)
        return said

    serve = box.serve
    box.serve = other  # type: ignore[method-assign]
    box.trial = fails
    box.start()
    words = refused(box, parcel(tmp_path / "host"), "trial")
    assert "failed its trial: see `lineguard box log`;" in words


def test_the_trial_is_waited_for(box: Box, tmp_path: Path) -> None:
    def slow(folder: Path, manifest: Manifest) -> TrialResult:
        time.sleep(0.3)
        return passes(folder, manifest)

    box.trial = slow
    box.start()
    assert box.flash(parcel(tmp_path / "host")).p99_ms == 12.5
    assert 2 < len(box.asked("status")) < 10


def test_a_trial_that_never_ends(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(folder: Path, manifest: Manifest) -> TrialResult:
        time.sleep(2)
        return passes(folder, manifest)

    monkeypatch.setattr("firmware_bridge.sender.TRIAL", 0.1)
    monkeypatch.setattr("firmware_bridge.sender.SLOWEST", 0)
    box.trial = stuck
    box.start()
    words = refused(box, parcel(tmp_path / "host"), "trial")
    assert "does not end: see `lineguard box log`; box-1 runs nothing" in words


def test_hold_leaves_the_trial_to_the_box(box: Box, tmp_path: Path) -> None:
    box.flash(parcel(tmp_path / "host", 1))
    new = parcel(tmp_path / "host", 2)
    for _ in range(2):  # asking again changes nothing
        held = box.flash(new, hold=True)
        assert held.held
        assert (held.slot, held.runs, held.p99_ms) == ("b", "pcb 1.0.0 (slot a)", None)
    assert len(box.asked("stage")) == 2
    assert active(box.root) == "1.0.0"
    assert box.flash(new).runs == "pcb 2.0.0 (slot b)"  # somebody will not wait after all


def test_hold_does_not_wait_on_an_idle_line(box: Box, tmp_path: Path) -> None:
    (box.root / "idle").touch()
    done = box.flash(parcel(tmp_path / "host"), hold=True)
    assert (done.held, done.runs) == (False, "pcb 1.0.0 (slot a)")


def test_another_writer_is_waited_for(box: Box, tmp_path: Path) -> None:
    other = Box(box.root)
    old, new = parcel(tmp_path / "host", 1), parcel(tmp_path / "host", 2)
    other.receiver.handle({"m": "offer", "id": 1, "envelope": old.bundle.envelope})
    words = refused(box, new, "busy", patience=0.3)
    assert "is writing to this box: wait; box-1 runs nothing" in words
    assert len(box.asked("offer")) > 1
    assert len(box.asked("hello")) == 1  # one session does

    def leave(step: Step) -> None:
        if step.phase == "offer" and step.note:
            other.receiver.disconnect()

    box.tell = leave  # type: ignore[method-assign]
    assert box.flash(new).runs == "pcb 2.0.0 (slot a)"


def test_spoilt_content_is_sent_three_times(box: Box, tmp_path: Path) -> None:
    new = parcel(tmp_path / "host", payload=payload(NOISE))

    def spoil(message: dict[str, Any]) -> dict[str, Any] | None:
        if message.get("m") == "data" and len(message["d"]) > 100:
            message = {**message, "d": b"?" * len(message["d"])}
        return serve(message)

    serve = box.serve
    box.serve = spoil  # type: ignore[method-assign]
    words = refused(box, new, "content")
    assert "pcb/det.onnx: is not what the manifest says" in words
    assert [each["index"] for each in box.asked("check")] == [0, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("m", "changes"),
    [
        ("hello", {"box": 7}),
        ("status", {"slots": None}),
        ("status", {"trial": {"manifest": b"", "state": "fine"}}),
        ("offer", {"files": []}),
        ("offer", {"files": [{"need": True, "at": 7, "base": []}] * 3}),
        ("offer", {"files": [{"need": True, "at": -1, "base": [b"x"]}] * 3}),
        ("offer", {"files": [{"need": True, "at": 1 << 40, "base": []}] * 3}),
        ("offer", {"transfer": bytes(32)}),
    ],
)
def test_answers_without_sense(m: str, changes: dict[str, Any], box: Box, tmp_path: Path) -> None:
    def answer(message: dict[str, Any]) -> dict[str, Any] | None:
        said = serve(message)
        return {**said, **changes} if said and message["m"] == m else said

    serve = box.serve
    box.serve = answer  # type: ignore[method-assign]
    refused(box, parcel(tmp_path / "host"), "malformed")
    assert active(box.root) is None


def test_a_box_has_no_say_over_the_terminal(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", facts=BoxFacts("\x1b[2Jbox\n", FACTS.hardware, FACTS.engines))
    assert box.flash(parcel(tmp_path / "host")).box == " [2Jbox "


def test_a_bundle_that_changes_meanwhile(box: Box, tmp_path: Path) -> None:
    new = parcel(tmp_path / "host", payload=payload(NOISE))
    with new.bundle.path.open("r+b") as file:
        file.seek(-70_000, 2)
        file.write(b"?")
    with pytest.raises(BundleError, match=r"pcb/det\.onnx: was altered at"):
        box.flash(new)
    assert active(box.root) is None


def test_a_damaged_box_is_flashed_with_what_it_has(box: Box, tmp_path: Path) -> None:
    new = parcel(tmp_path / "host")
    box.flash(new)
    (box.root / "a" / "files" / "pcb" / "det.onnx").write_bytes(b"rotten")
    box.start()
    done = box.flash(new)
    assert (done.already, done.before) == (False, "nothing, for its bundle is damaged")
    assert done.runs == "pcb 1.0.0 (slot b)"
    assert active(box.root) == "1.0.0"


def test_nobody_there_is_said_at_once(box: Box, tmp_path: Path) -> None:
    def nobody() -> Any:
        raise TransferError("/dev/ttyUSB7: there is no such port")

    box.connect = nobody  # type: ignore[method-assign]
    start = time.monotonic()
    words = refused(box, parcel(tmp_path / "host"), "")
    assert (
        words
        == "/dev/ttyUSB7: there is no such port; what it runs is not known; nothing was changed"
    )
    assert time.monotonic() < start + 0.1


def test_keys_may_come_later(box: Box, tmp_path: Path) -> None:
    new = parcel(tmp_path / "host", key=STRANGER)
    refused(box, new, "untrusted")
    trust(STRANGER.public, box.root / "trusted")
    assert box.flash(new).runs == "pcb 1.0.0 (slot a)"
