"""``__all__`` is exactly what each module of the room offers."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import edge.engines

MODULES = [f"edge.engines.{m.name}" for m in pkgutil.iter_modules(edge.engines.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_all_is_exactly_the_public_names(name: str) -> None:
    module = importlib.import_module(name)
    public = {
        n
        for n, thing in vars(module).items()
        if not n.startswith("_")
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == name
    }
    assert public <= set(module.__all__)
    assert all(hasattr(module, n) for n in module.__all__)
