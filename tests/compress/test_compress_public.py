"""``__all__`` is exactly what each module of the room offers."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import compress

SCRIPTS = {"compress.export.child"}

MODULES = [m.name for m in pkgutil.walk_packages(compress.__path__, "compress.")]


@pytest.mark.parametrize("name", [n for n in MODULES if n not in SCRIPTS])
def test_all_is_exactly_the_public_names(name: str) -> None:
    module = importlib.import_module(name)
    own = {
        each
        for each, value in vars(module).items()
        if not each.startswith("_")
        and getattr(value, "__module__", None) == name
        and (isinstance(value, type) or callable(value))
    }
    names = list(module.__all__)
    assert own <= set(names)
    assert names == sorted(
        names, key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n)
    )
    assert [each for each in names if not hasattr(module, each)] == []
