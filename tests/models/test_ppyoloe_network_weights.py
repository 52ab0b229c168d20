import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InputError, ModelError
from models.ppyoloe.network import PPYOLOE
from models.ppyoloe.train.weights import Arrays, arrays_of, load_pdparams, put, start_from


@pytest.fixture(scope="module")
def network() -> PPYOLOE:
    return PPYOLOE("n", 6)


@pytest.fixture(scope="module")
def saved(network: PPYOLOE, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "n.pdparams"
    paddle.save(network.state_dict(), str(path))
    return path


def other_values(network: PPYOLOE) -> Arrays:
    rng = np.random.default_rng(1)
    return {k: rng.normal(size=v.shape).astype(np.float32) for k, v in arrays_of(network).items()}


def test_put_sets_everything_and_arrays_are_copies(network: PPYOLOE) -> None:
    values = other_values(network)
    put(network, values, "x")
    read = arrays_of(network)
    assert read.keys() == values.keys()
    assert all(np.array_equal(read[k], values[k]) for k in values)
    read["backbone.stem.conv1.conv.weight"][:] = 7
    assert not (arrays_of(network)["backbone.stem.conv1.conv.weight"] == 7).any()


def test_put_names_what_differs_and_changes_nothing(network: PPYOLOE) -> None:
    values = other_values(network)
    before = arrays_of(network)
    missing = "backbone.stem.conv1.bn._mean"
    del values[missing]
    values["aux.weight"] = np.zeros(1, np.float32)
    values["yolo_head.pred_reg.0.bias"] = np.zeros(4, np.float32)
    with pytest.raises(ModelError) as caught:
        put(network, values, "x.pdparams")
    assert str(caught.value) == (
        f"x.pdparams: weights of another network ({missing} is missing; aux.weight is unknown; "
        "yolo_head.pred_reg.0.bias is [4], expected [68]): "
        "give the variant and the classes that it was trained with"
    )
    after = arrays_of(network)
    assert all(np.array_equal(before[k], after[k]) for k in before)


def test_put_counts_what_it_does_not_name(network: PPYOLOE) -> None:
    with pytest.raises(ModelError, match=r"is missing and \d+ more\)"):
        put(network, {}, "x")


def test_a_head_for_other_classes_starts_from_the_rest(network: PPYOLOE) -> None:
    values = other_values(network)
    other = PPYOLOE("n", 2)
    fresh = arrays_of(other)
    left = start_from(other, values, "x")
    last = {f"yolo_head.pred_cls.{i}.{part}" for i in range(3) for part in ("weight", "bias")}
    assert set(left) == last
    for name, value in arrays_of(other).items():
        assert np.array_equal(value, fresh[name] if name in last else values[name]), name
    assert start_from(PPYOLOE("n", 6), values, "x") == []


def test_nothing_but_the_classes_may_differ(network: PPYOLOE) -> None:
    with pytest.raises(ModelError, match=r"backbone\.stem\.conv1\.conv\.weight is \[6, 3, 3, 3\]"):
        start_from(PPYOLOE("xs", 6), arrays_of(network), "x")
    without = {k: v for k, v in arrays_of(network).items() if "pred_cls.0.bias" not in k}
    with pytest.raises(ModelError, match=r"pred_cls\.0\.bias is missing"):
        start_from(PPYOLOE("n", 2), without, "x")


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_files_of_paddle_load(network: PPYOLOE, tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "x.pdparams"
    paddle.save(network.state_dict(), str(path), protocol=protocol)
    loaded, own = load_pdparams(path), arrays_of(network)
    assert loaded.keys() == own.keys()
    assert all(np.array_equal(loaded[k], own[k]) for k in own)


def test_half_precision_comes_back_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "x.pdparams"
    paddle.save({"a": paddle.to_tensor(np.array([0.1, 2], np.float16))}, str(path))
    value = load_pdparams(path)["a"]
    assert value.dtype == np.float32
    assert value.tolist() == pytest.approx([0.1, 2], rel=1e-3)


def test_what_only_the_training_of_official_tiny_models_uses_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.pdparams"
    names = ("neck.a", "aux_neck.a", "aux_head.a")
    paddle.save({name: paddle.ones([1]) for name in names}, str(path))
    assert list(load_pdparams(path)) == ["neck.a"]


class Malicious:
    """Makes a folder of that name when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    path, proof = tmp_path / "x.pdparams", tmp_path / "proof"
    path.write_bytes(pickle.dumps({"a": np.zeros(2), "b": Malicious(proof)}))
    with pytest.raises(InputError, match=r"x\.pdparams: .*mkdir"):
        load_pdparams(path)
    assert not proof.exists()
    pickle.loads(path.read_bytes())  # noqa: S301 - the test's own
    assert proof.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no .pdparams file"),
        (b"not weights at all\n", "no .pdparams file"),
        (pickle.dumps([1, 2, 3]), "holds no weights by name"),
        (pickle.dumps({"a": 3}), "holds no weights by name"),
        (pickle.dumps({1: np.zeros(2)}), "holds no weights by name"),
        (pickle.dumps({}), "holds no weights by name"),
        (pickle.dumps({"a": np.array(["x"])}), "holds no weights by name"),
        (pickle.dumps({"a": np.array([None])}), "holds no weights by name"),
        (pickle.dumps({"a": Path("x")}), "no .pdparams file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.pdparams"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        load_pdparams(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps({"a": np.ones(2), "b": np.array([0, value])}))
    with pytest.raises(InputError, match=r"x\.pdparams: b holds values that are no numbers: "):
        load_pdparams(path)


def test_an_npz_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    for path in (tmp_path / "x.npz", tmp_path, tmp_path / "missing.pdparams"):
        with pytest.raises(InputError, match="check the path"):
            load_pdparams(path)


def test_a_file_that_is_cut_off_is_refused(saved: Path, tmp_path: Path) -> None:
    data = saved.read_bytes()
    path = tmp_path / "cut.pdparams"
    for length in [*range(0, 200, 7), *range(200, len(data), len(data) // 9), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"cut\.pdparams: "):
            load_pdparams(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(pickle.dumps({"a": np.arange(6, dtype=np.float32), "b": np.zeros((2, 2))}))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "x.pdparams"
    path.write_bytes(whole)
    try:
        loaded = load_pdparams(path)
    except InputError:
        return
    assert all(value.dtype == np.float32 for value in loaded.values())
