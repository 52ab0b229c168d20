"""Which engines are installed, and in which version; nothing native is loaded into the asker."""

from __future__ import annotations

import logging
from importlib import metadata

from edge.engines.lite import find_build, library_version
from models.errors import EngineError

__all__ = ["installed_engines"]

_log = logging.getLogger(__name__)

_PACKAGES = {"onnxruntime": "onnxruntime", "paddle_lite": "paddlelite"}


def installed_engines() -> dict[str, str]:
    """Version by name of each engine that a bundle can be for.

    Paddle Lite's C++ library goes before its Python module, as when a model is opened; one that
    was asked for and cannot be used counts as none.
    """
    found = {}
    for name, package in _PACKAGES.items():
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    try:
        build = find_build()
        if build is not None:
            found.pop("paddle_lite", None)
            version = library_version(build)
            if version is not None:
                found["paddle_lite"] = version.removeprefix("v")
    except EngineError as error:
        found.pop("paddle_lite", None)
        _log.warning("%s", error)
    return found
