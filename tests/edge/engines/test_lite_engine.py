"""Paddle Lite's C++ library, as a stand-in: arrays go there and come back, in every type."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from engine_lab import nb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes
from lite_lab import ARM, HERE, build, lab, other_build, write_model

from edge.engines import Engine, open_engine, trial
from edge.engines.base import Array
from edge.engines.lite import LiteEngine, library_version
from edge.engines.lite.child import piece
from edge.engines.lite.probe import nothing_nb
from edge.engines.nb import read_nb
from edge.engines.paddle_lite import PaddleLiteEngine
from models.errors import EngineError

IMAGE = np.arange(3 * 5 * 7, dtype=np.float32).reshape(1, 3, 5, 7)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINEGUARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LINEGUARD_LITE", raising=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model.nb", "add 3")


@pytest.fixture
def engine(model: Path) -> Iterator[Engine]:
    engine = LiteEngine(model, 2, build())
    yield engine
    engine.close()


def test_it_says_what_it_is(engine: Engine) -> None:
    assert (engine.name, engine.version, engine.precision) == ("paddle_lite", "v2.13-rc", "fp32")
    assert engine.threads == 2
    assert [str(spec) for spec in engine.inputs] == ["float32 (?, 3, ?, ?)"]
    assert engine.outputs == ("x.out", "config")


def test_it_computes_with_the_threads_it_is_given_and_binds_none(engine: Engine) -> None:
    answers = engine.run({"x": IMAGE})
    assert np.array_equal(answers["x.out"], IMAGE * 2 + 3)
    threads, power_mode = answers["config"]
    assert (threads, power_mode) == (2, 3)  # LITE_POWER_NO_BIND


def test_answers_are_the_callers(engine: Engine) -> None:
    first = engine.run({"x": IMAGE})["x.out"]
    engine.run({"x": IMAGE * 5})
    assert np.array_equal(first, IMAGE * 2 + 3)
    first[:] = 7
    engine.close()
    assert (first == 7).all()
    with pytest.raises(EngineError, match="closed"):
        engine.run({"x": IMAGE})
    engine.close()


def test_an_input_need_not_be_contiguous(engine: Engine) -> None:
    turned = np.asfortranarray(IMAGE)
    assert np.array_equal(engine.run({"x": turned})["x.out"], IMAGE * 2 + 3)
    flipped = np.concatenate([IMAGE, IMAGE])[::-1, :, ::-1]
    assert np.array_equal(engine.run({"x": flipped})["x.out"], flipped * 2 + 3)


@pytest.mark.parametrize("extra", [-4, 0, 4])
@pytest.mark.parametrize("pieces", [1, 2, 3, 40])
def test_arrays_around_the_size_of_a_piece(
    engine: Engine, tmp_path: Path, pieces: int, extra: int
) -> None:
    row = write_model(tmp_path / "row.nb", inputs={"x": ("float32", (-1,))})
    large = LiteEngine(row, 1, build())
    values = np.random.default_rng(0).random((pieces * piece(0) + extra) // 4, np.float32)
    for _ in range(2):
        assert np.array_equal(large.run({"x": values})["x.out"], values * 2)
    small = values[:9]
    assert np.array_equal(large.run({"x": small})["x.out"], small * 2)
    large.close()


TYPES = ("float32", "int64", "int32", "int8")
NAMED: dict[str, tuple[str, Sequence[int]]] = {f"a-{name}": (name, (-1,)) for name in TYPES}
NAMED["b"] = ("int32", (-1, -1, -1))


@pytest.fixture(scope="module")
def every_type() -> Iterator[Engine]:
    engine = LiteEngine(write_model(lab() / "types.nb", "add 1", inputs=NAMED), 1, build())
    yield engine
    engine.close()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_type_and_shape_comes_back(every_type: Engine, data: st.DataObject) -> None:
    feeds: dict[str, Array] = {}
    for name, (dtype, dims) in data.draw(st.permutations(sorted(NAMED.items()))):
        shape = data.draw(shapes.array_shapes(min_dims=len(dims), max_dims=len(dims), max_side=9))
        exact = st.integers(-60, 60)  # doubled and one more, still a float32 and an int8
        feeds[name] = data.draw(shapes.arrays(dtype, shape, elements=exact))
    answers = every_type.run(feeds)
    for name, array in feeds.items():
        answer = answers[f"{name}.out"]
        assert (answer.dtype, answer.shape) == (array.dtype, array.shape)
        assert np.array_equal(answer, array * 2 + 1)


def test_values_at_the_ends_of_their_type(every_type: Engine) -> None:
    feeds: dict[str, Array] = {"b": np.ones((1, 1, 1), np.int32)}
    for name in TYPES[1:]:
        feeds[f"a-{name}"] = np.array([np.iinfo(name).max // 2, np.iinfo(name).min // 2], name)
    feeds["a-float32"] = np.array([np.nan, np.inf, -0.0, 1e-45], np.float32)
    answers = every_type.run(feeds)
    for name in TYPES:
        expected = feeds[f"a-{name}"] * 2 + 1
        assert answers[f"a-{name}.out"].tobytes() == expected.astype(name).tobytes()


def test_an_output_without_elements(tmp_path: Path) -> None:
    engine = LiteEngine(write_model(tmp_path / "model.nb", "output empty"), 1, build())
    assert engine.run({"x": IMAGE})["empty"].shape == (0, 6)
    engine.close()


@pytest.mark.parametrize(
    ("what", "why"), [("uint8", "a type that is not supported"), ("lost", "has no data")]
)
def test_an_output_that_cannot_be_read(what: str, why: str, tmp_path: Path) -> None:
    engine = LiteEngine(write_model(tmp_path / "model.nb", f"output {what}"), 1, build())
    for _ in range(2):  # and the process lives
        with pytest.raises(EngineError, match=why):
            engine.run({"x": IMAGE})
    assert engine.deaths == 0
    engine.close()


def test_an_input_of_a_type_that_cannot_be_given(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.nb", inputs={"x": ("uint8", (1,))})
    with pytest.raises(EngineError, match=r"input x is uint8: .* float32, int64, int32, int8"):
        LiteEngine(path, 1, build())


@pytest.mark.parametrize(
    ("feeds", "expected"),
    [
        ({}, "got only nothing"),
        ({"x": IMAGE[0]}, r"got float32 \(3, 5, 7\)"),
        ({"x": IMAGE.astype(np.float64)}, "got float64"),
        ({"x": IMAGE, "y": IMAGE}, "input y: there is none"),
    ],
)
def test_feeds_that_do_not_fit(engine: Engine, feeds: dict[str, Array], expected: str) -> None:
    with pytest.raises(EngineError, match=expected):
        engine.run(feeds)
    assert np.array_equal(engine.run({"x": IMAGE})["x.out"], IMAGE * 2 + 3)


def test_names_that_the_library_does_not_know(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.nb")
    path.write_bytes(path.read_bytes().replace(b"input x\n", b"input image\n"))
    with pytest.raises(EngineError, match="finds the inputs image, the file names x"):
        LiteEngine(path, 1, build())


def test_versions_are_compared_before_the_model_is_loaded(tmp_path: Path) -> None:
    assert library_version(build()) == "v2.13-rc"
    path = write_model(tmp_path / "model.nb", "load abort", version="v2.12")
    with pytest.raises(EngineError, match=r"opt v2\.12, but Paddle Lite here is v2\.13-rc"):
        LiteEngine(path, 1, build())


def test_versions_are_compared_afterwards_if_the_library_loads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDIN_NO_PROBE", "1")
    odd = other_build(tmp_path)
    assert library_version(odd) is None
    LiteEngine(write_model(tmp_path / "model.nb"), 1, odd).close()
    with pytest.raises(EngineError, match=r"opt v2\.12, but Paddle Lite here is v2\.13-rc"):
        LiteEngine(write_model(tmp_path / "old.nb", version="v2.12"), 1, odd)


def test_a_version_longer_than_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_VERSION", "v2.13-rc0-of-today")
    path = write_model(tmp_path / "model.nb", version="v2.13-rc0-of-today")
    engine = LiteEngine(path, 1, other_build(tmp_path))
    assert engine.version == "v2.13-rc0-of-today"
    engine.close()


def test_a_model_for_another_processor(tmp_path: Path) -> None:
    foreign = 2 if HERE == ARM else ARM
    path = write_model(tmp_path / "model.nb", "load abort", kernel=f"conv2d/def/{foreign}/1/1")
    with pytest.raises(EngineError, match="which is not this processor"):
        LiteEngine(path, 1, build())


@pytest.mark.skipif(HERE == ARM, reason="of x86")
def test_int8_on_x86_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.nb", kernel=f"conv2d/int8/{HERE}/2/1")
    with pytest.raises(EngineError, match="wrong results"):
        LiteEngine(path, 1, build())


@pytest.mark.skipif(HERE == ARM, reason="of x86")
def test_on_x86_other_shapes_get_another_predictor(tmp_path: Path) -> None:
    engine = LiteEngine(write_model(tmp_path / "model.nb", "output runs"), 1, build())
    counted = [int(engine.run({"x": IMAGE})["runs"][0]) for _ in range(2)]
    counted.append(int(engine.run({"x": IMAGE[..., :3]})["runs"][0]))
    assert counted == [1, 2, 1]
    engine.close()


def test_the_models_own_name_may_be_anything(tmp_path: Path) -> None:
    path = write_model(tmp_path / os.fsdecode(b"mod\xe8le \xff\n.nb"))
    engine = LiteEngine(path, 1, build())
    assert engine.run({"x": IMAGE})["x.out"].shape == IMAGE.shape
    engine.close()


def test_the_model_of_nothing_is_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "nothing.nb"
    path.write_bytes(nothing_nb())
    head = read_nb(path)
    assert (head.inputs, head.targets) == ((), frozenset())


@pytest.mark.skipif(HERE == ARM, reason="the module is there on x86 alone")
def test_real_paddle_lite_loads_the_model_of_nothing(tmp_path: Path) -> None:
    from paddlelite import lite

    path = tmp_path / "nothing.nb"
    path.write_bytes(nothing_nb())
    config = lite.MobileConfig()
    config.set_model_from_file(str(path))
    predictor = lite.create_paddle_predictor(config)
    assert predictor.get_version() == "v2.13-rc"
    assert predictor.get_input_names() == []


def test_what_was_built_comes_before_the_module(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEGUARD_LITE", str(build().folder.parent))
    engine = open_engine(model, threads=1, sample={"x": IMAGE.shape})
    assert isinstance(engine, LiteEngine)
    assert np.array_equal(engine.run({"x": IMAGE})["x.out"], IMAGE * 2 + 3)
    engine.close()


@pytest.mark.slow
def test_the_module_where_nothing_was_built() -> None:
    engine = open_engine(nb("cls"), threads=1, trial=False)
    assert isinstance(engine, PaddleLiteEngine)


def test_another_build_makes_an_old_trial_void(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Path] = []

    def ask(path: Path, *_: object) -> tuple[str, bool]:
        asked.append(path)
        return "", True

    monkeypatch.setattr(trial, "_ask_child", ask)
    for each in (build(), build(), other_build(tmp_path)):
        monkeypatch.setenv("LINEGUARD_LITE", str(each.folder.parent))
        open_engine(model, threads=1).close()
    assert len(asked) == 2


def test_a_model_that_aborts_is_told_by_its_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEGUARD_LITE", str(build().folder.parent))
    path = write_model(tmp_path / "model.nb", f"run abort {tmp_path}")
    with pytest.raises(EngineError, match=r"SIGABRT.*no kernel for op") as caught:
        open_engine(path, threads=1, sample={"x": (1, 3, 4, 4)})
    with pytest.raises(EngineError, match="tried before"):
        open_engine(path, threads=1, sample={"x": (1, 3, 4, 4)})
    assert "\n" not in str(caught.value)
