"""Cameras: what takes the pictures, one file for each kind.

A new kind is one file beside these and one line in ``register`` calls below.
"""

from __future__ import annotations

from edge.camera.base import Camera
from edge.camera.folder import ImageFolder
from edge.camera.source import KINDS, Factory, Source, parse_source
from edge.camera.stream import StreamCamera
from edge.camera.v4l2 import V4l2Camera, list_cameras
from edge.camera.video import VideoFile

__all__ = [
    "KINDS",
    "Source",
    "check_source",
    "list_cameras",
    "open_camera",
    "register",
]


def register(kind: str, factory: Factory) -> None:
    """Make ``kind:`` a source; a kind that exists already is replaced.

    Parameters
    ----------
    kind
        What stands before the colon, in lower case.
    factory
        Makes a camera, touches no device, and raises :class:`models.errors.InputError` for options
        that it does not know or that are out of bounds.
    """
    KINDS[kind] = factory


register("v4l2", V4l2Camera.from_source)
register("rtsp", StreamCamera.from_source)
register("http", StreamCamera.from_source)
register("https", StreamCamera.from_source)
register("file", VideoFile.from_source)
register("folder", ImageFolder.from_source)


def open_camera(source: str) -> Camera:
    """Make the camera that a source string names; its device is not touched before ``open()``.

    ============================================== ===========================================
    source                                         options
    ============================================== ===========================================
    ``v4l2:/dev/video0?width=1280&height=720``     ``width``, ``height``, ``fps``, ``fourcc``
    ``rtsp://user:password@host/path#fps=25``      ``fps``; behind a ``#``, as a URL's ``?`` is
    ``http://host/path``, ``https://host/path``    its own
    ``file:part.mp4?fps=10``                       ``fps`` (0: as fast as it can be read)
    ``folder:parts/?fps=4&loop=1``                 ``fps`` (0, as before, is usual), ``loop``
    ============================================== ===========================================

    Raises
    ------
    InputError
        The kind or an option is unknown (the nearest known name is told), or out of bounds.
    """
    parsed = parse_source(source)
    return KINDS[parsed.kind](parsed)


def check_source(source: str) -> None:
    """Say what is wrong with a source string, as :func:`open_camera` would, for the station file.

    Raises
    ------
    InputError
        See :func:`open_camera`.
    """
    open_camera(source)
