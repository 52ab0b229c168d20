"""Paddle Lite's C++ library, compiled against once and run in a process of its own."""

from edge.engines.lite.build import Release, build_lite, find_compiler, find_release
from edge.engines.lite.built import LiteBuild, builds_folder, find_build, this_machine
from edge.engines.lite.engine import LiteEngine
from edge.engines.lite.probe import library_version

__all__ = [
    "LiteBuild",
    "LiteEngine",
    "Release",
    "build_lite",
    "builds_folder",
    "find_build",
    "find_compiler",
    "find_release",
    "library_version",
    "this_machine",
]
