"""Whatever a spec holds, its faults are told."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ConfigError
from tools.bundle_spec import load_spec

KEYS = (
    "name", "version", "counter", "hardware", "engine", "models", "golden", "bounds", "figures",
    "source", "recipe", "engine.name", "engine.min", "models.a", "models.a.family", "models.a.det",
    "models.a.rec", "models.a.labels", "bounds.p99_ms",
)  # fmt: skip
VALUES = (
    "3", "-1.5", "nan", "true", '""', '"x"', '"zoo:none"', '"/"', '"~nobody/x"', "'a\\u0000b'",
    '"\\u0000"', "[]", "[[]]", "{}", "[{}]", '[{image = 3, model = {}, mode = []}]', "1979-05-27",
    '{a = {family = "ppyoloe", det = []}}', '{a = {family = []}}', '{"é\\n" = {}}', '["x", "x"]',
    '[{image = "\\u0000", model = "a", box = [1, 1, 1, 1], defects = [{}]}]',
)  # fmt: skip


def faults(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_spec(path)
    assert all(fault.startswith(str(path)) for fault in caught.value.faults)
    assert all(fault.isprintable() for fault in caught.value.faults)
    return caught.value.faults


@pytest.mark.parametrize("key", KEYS)
def test_any_value_of_any_key(key: str, tmp_path: Path) -> None:
    for value in VALUES:
        assert faults(tmp_path / "b.toml", f"{key} = {value}\n")


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=6))
def test_any_values_together(tmp_path_factory: Any, lines: list[tuple[str, str]]) -> None:
    text = "".join(f"{key} = {value}\n" for key, value in lines)
    assert faults(tmp_path_factory.getbasetemp() / "b.toml", text)


@pytest.mark.parametrize(
    "text",
    ["", "\x00", "x" * 200_000, "a = " + "[" * 5000, "a = " + "1" * 5000, "[a\n", "a = 1\na = 2"],
)
def test_what_is_no_spec_at_all(text: str, tmp_path: Path) -> None:
    assert faults(tmp_path / "b.toml", text)


def test_a_hundred_faults_are_enough(tmp_path: Path) -> None:
    text = "\n".join(f"key{n} = 1" for n in range(300))
    assert len(faults(tmp_path / "b.toml", text)) == 100
