"""What every room shows to the others, what it imports, and how long that takes."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

BOX = ("edge", "firmware_bridge", "models")
"""Rooms that run on a box."""

HOST_ONLY = (
    "edge.engines.paddle_inference",
    "models.ppyoloe.coco_ap",
    "models.ppyoloe.network",
    "models.ppyoloe.train",
)
"""Never imported on a box: what opens a .pdmodel, and what trains and scores detectors."""

SCRIPTS = {"edge.engines.trial_child"}
"""Run, not imported."""


def modules(*rooms: str) -> list[str]:
    found = list(rooms)
    for room in rooms:
        package = importlib.import_module(room)
        found += [each.name for each in pkgutil.walk_packages(package.__path__, f"{room}.")]
    return sorted(
        name
        for name in set(found) - SCRIPTS
        if not any(name == host or name.startswith(f"{host}.") for host in HOST_ONLY)
    )


def rank(name: str) -> tuple[int, str]:
    """Constants, classes, functions, each by name: as ruff sorts."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("name", modules(*BOX, "tools"))
def test_all_names_things_that_exist_in_order_and_once(name: str) -> None:
    module = importlib.import_module(name)
    if hasattr(module, "__path__") and not hasattr(module, "__all__"):
        return  # a package that only holds others
    names = list(module.__all__)
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=rank)
    assert [each for each in names if not hasattr(module, each)] == []


@pytest.mark.parametrize("name", modules(*BOX))
def test_every_function_and_class_without_an_underscore_is_public(name: str) -> None:
    module = importlib.import_module(name)
    own = {
        each
        for each, value in vars(module).items()
        if not each.startswith("_")
        and getattr(value, "__module__", None) == name
        and (isinstance(value, type) or callable(value))
    }
    assert own <= set(getattr(module, "__all__", ()))


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    ).stdout.strip()


def test_what_runs_on_a_box_imports_no_paddle() -> None:
    names = modules(*BOX)
    assert len(names) > 40
    code = f"""
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
print(sorted({{name.partition(".")[0] for name in sys.modules}} & {{
    "paddle", "paddlelite", "paddleslim", "paddle2onnx", "torch", "tools", "compress"}}))
"""
    assert python(code) == "[]"


@pytest.mark.parametrize(
    ("what", "limit"),
    [("edge", 0.5), ("models", 0.5), ("edge.loop, edge.station", 2.0), ("tools.cli", 1.0)],
)
def test_imports_take_little_time(what: str, limit: float) -> None:
    code = f"import time; start = time.process_time(); import {what}; "
    code += "print(time.process_time() - start)"
    assert min(float(python(code)) for _ in range(3)) < limit


def test_the_command_starts_without_what_only_some_commands_need() -> None:
    heavy = "{'cv2', 'numpy', 'onnxruntime', 'pydantic', 'PIL'}"
    assert python(f"import sys, tools.cli; print(sorted({heavy} & set(sys.modules)))") == "[]"
