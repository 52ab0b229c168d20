"""Whatever a host says, a box answers, and goes on with what it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from box_lab import active, ask, box, code_of, fails, flash, make_root, offered, release
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.receiver import Receiver

ONE, TWO = release(1), release(2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path / "root")


@pytest.mark.parametrize("name", ["offer", "file", "check", "stage", "activate", "log"])
def test_fields_of_a_wrong_type_are_malformed(root: Path, name: str) -> None:
    receiver = box(root)
    offered(receiver, ONE)
    requests: dict[str, dict[str, Any]] = {
        "offer": {"envelope": ONE.envelope},
        "file": {"transfer": ONE.id, "index": 0, "at": 0, "coding": "raw", "bytes": 1},
        "check": {"transfer": ONE.id, "index": 0},
        "stage": {"transfer": ONE.id},
        "activate": {"hold": False},
        "log": {"after": 0},
    }
    sound = requests[name]
    for key in sound:
        values: list[Any] = [
            None,
            [1],
            {},
            -1,
            2**60,
            1.5,
            3 if isinstance(sound[key], str) else "x",
        ]
        for bad in values:
            said = ask(receiver, name, **{**sound, key: bad})
            assert said.get("error") == "malformed", (key, bad, said)
        missing = {other: value for other, value in sound.items() if other != key}
        assert code_of(receiver, name, **missing) == "malformed"


def test_requests_that_are_none(root: Path) -> None:
    receiver = box(root)
    messages: list[Any] = [None, 3, [], b"", {}, {"m": 3, "id": 1}, {"m": "hello"}]
    for message in [*messages, {"m": "hello", "id": "1"}, {"m": "hello", "id": True}]:
        answer = receiver.handle(message)
        assert answer is not None
        assert answer["error"] == "malformed"
    assert receiver.handle({"m": "baud", "id": 1, "rate": 9600}) == {
        "m": "baud",
        "id": 1,
        "error": "malformed",
        "text": "baud: is no request",
    }


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.sampled_from([ONE.id, TWO.id, ONE.envelope, "raw", "zstd", "bsdiff", 0, 65536]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
_KEYS = ["transfer", "index", "at", "coding", "base", "bytes", "d", "envelope", "hold", "after"]
_NAMES = ["hello", "offer", "file", "data", "check", "stage", "activate", "status", "confirm"]
_MESSAGES = st.builds(
    lambda name, fields, number: {**fields, "m": name, "id": number},
    st.sampled_from([*_NAMES, "rollback", "log"]) | _VALUES,
    st.dictionaries(st.sampled_from(_KEYS), _VALUES),
    st.just(7) | _VALUES,
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Receiver]:
    root = make_root(tmp_path_factory.mktemp("fuzz") / "root")
    receiver = box(root, fails)
    flash(box(root), ONE)
    return root, receiver


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(_MESSAGES | _VALUES, max_size=8))
def test_nothing_that_is_said_raises_or_harms(
    running: tuple[Path, Receiver], messages: list[Any]
) -> None:
    root, receiver = running
    for message in messages:
        answer = receiver.handle(message)
        assert (answer is None) == (isinstance(message, dict) and message.get("m") == "data")
    assert active(root) == "1.0.0"
