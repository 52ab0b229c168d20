"""A folder of pictures, shown in the order of their names."""

from __future__ import annotations

from pathlib import Path

from edge.camera.base import EndOfStream, Frame
from edge.camera.pace import Pace
from edge.camera.source import Source
from models.errors import CameraError, InputError
from models.images import IMAGE_SUFFIXES, load_image

__all__ = ["ImageFolder"]


class ImageFolder:
    """The image files of one folder, without its sub-folders.

    Parameters
    ----------
    path
        The folder.
    fps
        Hz; 0 shows them as fast as they can be read.
    loop
        Begin again after the last.
    """

    def __init__(self, path: Path, *, fps: float = 0.0, loop: bool = False) -> None:
        self.name = f"folder:{path}"
        self.fps = fps
        self._path = path
        self._loop = loop
        self._files: list[Path] = []
        self._number = 0
        self._pace = Pace(fps)

    @classmethod
    def from_source(cls, source: Source) -> ImageFolder:
        """From ``folder:PATH?fps=..&loop=1``.

        Raises
        ------
        InputError
            An option is unknown or out of bounds.
        """
        source.only("fps", "loop")
        if not source.target:
            raise InputError(f"{source.name}: no path: write folder:parts/")
        return cls(Path(source.target), fps=source.fps(), loop=source.flag("loop"))

    def open(self) -> None:
        """List the folder.

        Raises
        ------
        InputError
            It is missing, or holds no image file.
        """
        try:
            files = sorted(
                path
                for path in self._path.iterdir()
                if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
            )
        except OSError as error:
            raise InputError(
                f"{self.name}: cannot be listed ({error.strerror}): check the path"
            ) from error
        if not files:
            kinds = ", ".join(sorted(IMAGE_SUFFIXES))
            raise InputError(f"{self.name}: holds no image: put some there ({kinds})")
        self._files = files
        self._number = 0
        self._pace = Pace(self.fps)

    def read(self) -> Frame:
        """Wait until the next picture is due, and read it.

        Raises
        ------
        EndOfStream
            It was the last one.
        ImageError
            This one file cannot be decoded, or is gone; it takes up a number all the same.
        """
        if not self._files:
            raise CameraError(f"{self.name}: is not open: open it first")
        if self._number >= len(self._files) and not self._loop:
            raise EndOfStream(f"{self.name}: shown to its end")
        captured = self._pace.wait()
        number = self._number
        self._number += 1
        return Frame(load_image(self._files[number % len(self._files)]), captured, number)

    def close(self) -> None:
        """Forget the list."""
        self._files = []
