import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InputError
from models.ppyoloe.train.checkpoint import Checkpoint

SETUP: dict[str, Any] = {"variant": "n", "rate": 0.1, "labels": ["a", "b"], "sides": [64]}


def example() -> Checkpoint:
    rng = np.random.default_rng(0)
    arrays = {f"layer.{i}": rng.normal(size=(3, i + 1)).astype(np.float32) for i in range(3)}
    return Checkpoint(
        SETUP,
        step=17,
        seconds=2.5,
        network=arrays,
        average={k: v * 2 for k, v in arrays.items()},
        optimizer={"layer.0_moment1_0": np.ones(4, np.float32), "beta": np.array(0.9, np.float32)},
        history={"steps": [{"step": 16, "loss": 0.5}], "scores": []},
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "x.npz"
    example().save(path)
    return path.read_bytes()


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.npz"
    example().save(path)
    loaded, own = Checkpoint.load(path), example()
    assert (loaded.setup, loaded.step, loaded.seconds) == (own.setup, own.step, own.seconds)
    assert loaded.history == own.history
    for part in ("network", "average", "optimizer"):
        before, after = getattr(own, part), getattr(loaded, part)
        assert before.keys() == after.keys()
        for name, value in before.items():
            assert np.array_equal(after[name], value)
            assert after[name].dtype == value.dtype
            assert after[name].shape == value.shape
    assert [p.name for p in path.parent.iterdir()] == ["x.npz"]


def test_the_same_setup_goes_on() -> None:
    example().check_setup(dict(SETUP), Path("x.npz"))


def test_everything_that_differs_is_named() -> None:
    other = {"variant": "xs", "rate": 0.1, "labels": ["a"], "seed": 3, "sides": [64]}
    with pytest.raises(InputError) as caught:
        example().check_setup(other, Path("x.npz"))
    assert str(caught.value) == (
        "x.npz: checkpoint of another training (labels was ['a', 'b'], is ['a']; "
        "seed was None, is 3; variant was n, is xs): "
        "give the same options, or begin anew with another --out"
    )


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        Checkpoint.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_cut_off_is_refused_wherever(saved: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for length in [*range(0, len(saved), 13), len(saved) - 1]:
        path.write_bytes(saved[:length])
        refused(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read(
    saved: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    broken = bytearray(saved)
    for _ in range(data.draw(st.integers(1, 3))):
        broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "x.npz"
    path.write_bytes(broken)
    try:
        loaded = Checkpoint.load(path)
    except InputError:
        return
    assert loaded.step == 17


def meta(**changed: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    whole = {"format": 1, "setup": SETUP, "step": 1, "seconds": 0.0, "history": {}}
    text = json.dumps({k: v for k, v in {**whole, **changed}.items() if v is not None})
    return np.frombuffer(text.encode(), np.uint8)


@pytest.mark.parametrize(
    "arrays",
    [
        {"a": np.zeros(3)},
        {"meta": np.zeros(3, np.uint8)},
        {"meta": np.frombuffer(b"[1, 2]", np.uint8)},
        {"meta": meta(format=2)},
        {"meta": meta(step=None)},
        {"meta": meta(history=None)},
        {"meta": meta(setup=None)},
        {"meta": meta(), "elsewhere/a": np.zeros(3)},
    ],
)
def test_other_archives_are_refused(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    assert "no checkpoint of this version" in refused(tmp_path / "x.npz")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.save(tmp_path / "objects.npy", np.array([object()]), allow_pickle=True)
    for name in ("text", "one.npy", "objects.npy"):
        assert "no checkpoint of this version" in refused(tmp_path / name)
    assert "cannot be read" in refused(tmp_path)
    assert "cannot be read" in refused(tmp_path / "missing.npz")
