"""A flash over lines that break and boxes that fall over: old or new runs, and new at last."""

import contextlib
import itertools
import random
import time
from pathlib import Path

import pytest
from box_lab import active, fails, passes
from flash_lab import Box, Lossy, parcel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_bridge.channel import Channel
from firmware_bridge.line import Faults
from firmware_bridge.parcel import Parcel, bases_of
from firmware_bridge.sender import DATA
from firmware_bridge.trials import TrialResult
from models.bundle import CHUNK, Manifest
from models.errors import TransferError

CHUNKS = 10
NOISE = random.Random(5).randbytes(CHUNKS * CHUNK)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firmware_bridge.patience.PAUSES", (0.01,))


def noisy(folder: Path, version: int = 2) -> Parcel:
    """One file of ten chunks, nothing of which is in version 1."""
    payload = {"golden/board.png": b"png", "pcb/det.json": b"{}", "pcb/det.onnx": NOISE}
    return parcel(folder, version, payload=payload)


def messages(folder: Path) -> int:
    """How many messages a whole flash takes."""
    box = Box(folder / "counted")
    box.flash(parcel(folder / "host", 1))
    box.heard.clear()
    box.flash(parcel(folder / "host", 2))
    return len(box.heard)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["lost", "passed"])
@pytest.mark.parametrize("reboot", [False, True], ids=["line", "power"])
def test_a_break_at_every_message(reboot: bool, after: bool, tmp_path: Path) -> None:
    old, new = (parcel(tmp_path / "host", version) for version in (1, 2))
    for at in range(1, messages(tmp_path) + 1):
        box = Box(tmp_path / f"box-{at}")
        box.flash(old)

        def cut(channel: Channel, session: int, at: int = at, box: Box = box) -> Channel:
            if session == 1:
                return Lossy(channel, at, after)
            assert active(box.root) in {"1.0.0", "2.0.0"}
            if reboot and session == 2:
                box.start()
            return channel

        box.wrap = cut
        trials = len(box.asked("activate"))
        done = box.flash(new)
        assert done.runs.startswith("pcb 2.0.0")
        assert active(box.root) == "2.0.0"
        assert not done.already
        assert len(box.asked("activate")) - trials <= 2


def test_it_resumes_where_the_box_stands(tmp_path: Path) -> None:
    new = noisy(tmp_path / "host")
    box = Box(tmp_path / "box")
    box.wrap = lambda channel, session: Lossy(channel, 30, False) if not session else channel
    done = box.flash(new)
    last = [each for each in box.asked("file") if each["index"] == 2]
    begun = sum(each["d"] == DATA for each in box.heard[:29]) * DATA
    assert begun > 3 * CHUNK
    assert [each["at"] for each in last] == [0, begun // CHUNK * CHUNK]
    assert done.sent == new.manifest.total + begun % CHUNK
    sends = [step for step in box.steps if step.phase == "send"]
    assert {step.total for step in sends} == {new.manifest.total}
    assert all(b.done > a.done - CHUNK for a, b in itertools.pairwise(sends))
    notes = {step.note for step in box.steps}
    assert notes == {"", "pipe: it was cut"}


def test_a_delta_takes_over_from_half_a_file(tmp_path: Path) -> None:
    box = Box(tmp_path / "box")
    old = noisy(tmp_path / "host", 1)
    box.flash(old)
    payload = {"golden/board.png": b"png", "pcb/det.json": b"{}", "pcb/det.onnx": NOISE[:-1] + b"?"}
    new = parcel(tmp_path / "host", 2, payload=payload)
    box.heard.clear()
    box.session = -1
    box.wrap = lambda channel, session: Lossy(channel, 20, True) if not session else channel
    with pytest.raises(TransferError):
        box.flash(new, patience=0)
    done = box.flash(Parcel(new.bundle, bases_of(old.bundle), thorough=True))
    said = [(each["coding"], each["at"]) for each in box.asked("file")]
    assert said == [("raw", 0), ("bsdiff", 0)]
    assert done.sent < 1000
    assert active(box.root) == "2.0.0"


def test_another_host_takes_it_up(tmp_path: Path) -> None:
    new = noisy(tmp_path / "host")
    box = Box(tmp_path / "box")
    box.wrap = lambda channel, session: Lossy(channel, 30 if session == 0 else 1, True)
    with pytest.raises(TransferError, match="it was cut; box-1 ran nothing when it was last asked"):
        box.flash(new, patience=0.2)
    box.wrap = lambda channel, session: channel
    box.start()
    done = box.flash(noisy(tmp_path / "other"))
    assert 0 < done.sent < new.manifest.total * 0.7
    assert active(box.root) == "2.0.0"


def test_a_line_that_breaks_again_and_again(tmp_path: Path) -> None:
    """Ten to fifteen messages get through each time: never enough for one file."""
    new = noisy(tmp_path / "host")
    box = Box(tmp_path / "box")
    dice = random.Random(1)
    box.wrap = lambda channel, session: Lossy(channel, dice.randrange(10, 16), bool(session % 2))
    done = box.flash(new, patience=0.01)
    assert active(box.root) == "2.0.0"
    assert len(box.asked("hello")) > 5
    assert done.sent < 3 * new.manifest.total


def test_patience_ends_where_nothing_moves(tmp_path: Path) -> None:
    box = Box(tmp_path / "box")
    box.wrap = lambda channel, session: Lossy(channel, 6, False)  # one message of a file each time
    start = time.monotonic()
    with pytest.raises(TransferError, match="it was cut; box-1 ran nothing"):
        box.flash(noisy(tmp_path / "host"), patience=0.5)
    assert 0.5 < time.monotonic() - start < 5
    assert active(box.root) is None


def test_the_line_breaks_during_the_trial(tmp_path: Path) -> None:
    """Neither a second trial nor a second transfer comes of it, whoever asks."""
    trials = []

    def slow(folder: Path, manifest: Manifest) -> TrialResult:
        trials.append(manifest.version)
        time.sleep(0.5)
        return passes(folder, manifest)

    box = Box(tmp_path / "box", slow)
    new = parcel(tmp_path / "host")
    needed = 27
    box.wrap = lambda channel, session: Lossy(channel, needed, False) if not session else channel
    with pytest.raises(TransferError):
        box.flash(new, patience=0.0)
    assert box.asked("activate")
    done = box.flash(new)
    assert (done.runs, done.already, done.sent) == ("pcb 1.0.0 (slot a)", False, 0)
    assert trials == ["1.0.0"]


@pytest.mark.parametrize(
    ("uses", "after"), [(24, True), (25, False)], ids=["activation", "first look"]
)
def test_a_trial_that_failed_unseen_is_not_tried_again(
    uses: int, after: bool, tmp_path: Path
) -> None:
    box = Box(tmp_path / "box", fails)
    new = parcel(tmp_path / "host")

    def wrap(channel: Channel, session: int) -> Channel:
        if session == 0:
            return Lossy(channel, uses, after)
        if session == 1:
            for _ in range(100):
                box.receiver.tick()
                time.sleep(0.002)
            box.start()  # and what it knew of the trial is gone
        return channel

    box.wrap = wrap
    with pytest.raises(
        TransferError, match="failed its trial: see `lineguard box log`; box-1 runs"
    ):
        box.flash(new)
    assert len(box.asked("activate")) == 1
    assert len(box.asked("stage")) == 1


shares = st.floats(0, 0.03)
harm = st.builds(
    Faults,
    flip=st.sampled_from([0.0, 1e-6, 1e-5]),
    drop=shares,
    duplicate=shares,
    delay=shares,
    truncate=shares,
    disconnect=st.floats(0.02, 3.0),
    seed=st.integers(0, 1000),
)


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(harms=st.lists(harm, max_size=5), thorough=st.booleans(), reboots=st.sets(st.integers(1, 5)))
def test_whatever_the_line_does(
    harms: list[Faults],
    thorough: bool,
    reboots: set[int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("faults")
    box = Box(folder / "box", rate=230400)
    box.flash(parcel(folder / "host", 1))
    new = Parcel(noisy(folder / "host").bundle, thorough=thorough)
    sessions = iter(harms)

    def line(session: int) -> Faults | None:
        assert active(box.root) in {"1.0.0", "2.0.0"}
        if session in reboots:
            box.start()
        return next(sessions, None)

    box.line = line
    done = None
    for _ in range(len(harms) + 1):  # who is not even answered once gives up, and comes again
        with contextlib.suppress(TransferError):
            done = done or box.flash(new, patience=20)
    assert done is not None
    assert done.runs.startswith("pcb 2.0.0")
    assert active(box.root) == "2.0.0"
    assert not thorough or sum(each["d"] for each in box.heard) >= len(NOISE)
