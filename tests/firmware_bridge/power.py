"""A disk whose power can be taken away: after any operation, with whatever was not synced lost.

A run is recorded operation by operation while it changes a real folder. Afterwards the disk as it
may be found after a cut behind operation ``k`` is made anew, as often as one likes:

- ``all``: nothing is lost (the process was killed, the kernel lives);
- ``none``: of files only what was fsynced, of folders only names of before their last fsync;
- ``some``: of each folder any of the changes since its last fsync, of each file written since then
  what it held before, what it should hold, the beginning of that, or as many zeros.

Worse than any file system that is used on boxes; POSIX promises no more.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from unittest import mock

Loss = Literal["all", "none", "some"]


class File:
    def __init__(self, data: bytes = b"") -> None:
        self.data, self.durable = bytearray(data), bytes(data)

    def left(self, loss: Loss, chance: random.Random) -> bytes:
        whole = bytes(self.data)
        if loss == "all" or whole == self.durable:
            return whole
        cut = whole[: chance.randrange(len(whole) + 1)]
        return (
            self.durable
            if loss == "none"
            else chance.choice([self.durable, whole, cut, bytes(len(whole))])
        )


class Link:
    def __init__(self, target: str) -> None:
        self.target = target


class Folder:
    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.durable: dict[str, Any] = {}
        self.pending: list[dict[str, Any]] = []

    def change(self, change: dict[str, Any]) -> None:
        _apply(self.names, change)
        self.pending.append(change)

    def sync(self) -> None:
        self.durable, self.pending = dict(self.names), []

    def left(self, loss: Loss, chance: random.Random) -> dict[str, Any]:
        if loss == "all":
            return self.names
        names = dict(self.durable)
        for change in self.pending if loss == "some" else ():
            if chance.random() < 0.5:
                _apply(names, change)
        return names


def _apply(names: dict[str, Any], change: dict[str, Any]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class World:
    """A disk in memory, all that is on it durable at first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[int, File] = {}
        self.top = self._read(root)

    def _read(self, path: Path) -> Any:
        if path.is_symlink():
            return Link(os.readlink(path))
        if path.is_file():
            return self._known.setdefault(path.stat().st_ino, File(path.read_bytes()))
        folder = Folder()
        folder.names = {each.name: self._read(each) for each in sorted(path.iterdir())}
        folder.sync()
        return folder

    def find(self, path: str) -> Any:
        node = self.top
        for part in Path(path).relative_to(self.root).parts:
            node = node.names[part]
        return node

    def do(self, what: str, path: str, *more: Any) -> None:
        """One recorded operation."""
        parent, name = str(Path(path).parent), Path(path).name
        if what == "write":
            at, data = more
            file = self.find(path).data
            file.extend(bytes(max(0, at - len(file))))
            file[at : at + len(data)] = data
        elif what == "truncate":
            file = self.find(path).data
            file.extend(bytes(max(0, more[0] - len(file))))
            del file[more[0] :]
        elif what == "sync":
            node = self.find(path)
            if isinstance(node, Folder):
                node.sync()
            else:
                node.durable = bytes(node.data)
        elif what == "replace":
            target = Path(more[0])
            assert str(target.parent) == parent
            self.find(parent).change({name: None, target.name: self.find(path)})
        elif what == "remove":
            self.find(parent).change({name: None})
        else:
            makers: dict[str, Any] = {
                "create": File,
                "mkdir": Folder,
                "symlink": lambda: Link(more[0]),
                "link": lambda: self.find(more[0]),
            }
            self.find(parent).change({name: makers[what]()})

    def write(self, to: Path, loss: Loss, chance: random.Random) -> None:
        """Make the disk as it is found after a cut now."""
        known: dict[int, Path] = {}

        def put(node: Any, path: Path) -> None:
            if isinstance(node, Link):
                path.symlink_to(node.target)
            elif isinstance(node, Folder):
                path.mkdir()
                for name, inner in node.left(loss, chance).items():
                    put(inner, path / name)
            elif id(node) in known:
                path.hardlink_to(known[id(node)])
            else:
                path.write_bytes(node.left(loss, chance))
                known[id(node)] = path

        put(self.top, to)


class Recorder:
    """Stands in for the ``os`` and ``tempfile`` of a module, and writes down what they change."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self._paths: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        new = not os.path.lexists(path)
        descriptor = os.open(path, flags, mode)
        self._paths[descriptor] = str(path)
        if flags & os.O_CREAT and new:
            self.log.append(("create", str(path)))
        return descriptor

    def mkstemp(self, prefix: str, dir: Any) -> tuple[int, str]:  # noqa: A002
        descriptor, path = tempfile.mkstemp(prefix=prefix, dir=dir)
        self._paths[descriptor] = path
        self.log.append(("create", path))
        return descriptor, path

    def fdopen(self, descriptor: int, mode: str, **options: Any) -> Any:
        return _Through(self, descriptor) if "w" in mode else os.fdopen(descriptor, mode, **options)

    def write(self, descriptor: int, data: Any) -> int:
        end = os.write(descriptor, data)
        at = os.lseek(descriptor, 0, os.SEEK_CUR) - end
        self.log.append(("write", self._paths[descriptor], at, bytes(data[:end])))
        return end

    def ftruncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)
        self.log.append(("truncate", self._paths[descriptor], size))

    def fsync(self, descriptor: int) -> None:
        self.log.append(("sync", self._paths[descriptor]))

    def replace(self, old: Any, new: Any) -> None:
        os.replace(old, new)
        self.log.append(("replace", str(old), str(new)))

    def link(self, old: Any, new: Any, **options: Any) -> None:
        os.link(old, new, **options)
        self.log.append(("link", str(new), str(old)))

    def symlink(self, target: str, path: Any) -> None:
        os.symlink(target, path)
        self.log.append(("symlink", str(path), target))

    def mkdir(self, path: Any, mode: int = 0o777) -> None:
        os.mkdir(path, mode)
        self.log.append(("mkdir", str(path)))

    def unlink(self, path: Any) -> None:
        os.unlink(path)
        self.log.append(("remove", str(path)))

    def rmdir(self, path: Any) -> None:
        os.rmdir(path)
        self.log.append(("remove", str(path)))


class _Through:
    """What ``os.fdopen`` gives to write to, without a buffer."""

    def __init__(self, recorder: Recorder, descriptor: int) -> None:
        self._recorder, self._descriptor = recorder, descriptor

    def __enter__(self) -> _Through:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def write(self, data: bytes) -> int:
        return self._recorder.write(self._descriptor, data)

    def flush(self) -> None:
        pass

    def fileno(self) -> int:
        return self._descriptor


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Write down every change that the box makes to its disk meanwhile; fsync costs nothing."""
    recorder = Recorder()
    with (
        mock.patch("firmware_bridge.disk.os", recorder),
        mock.patch("models.atomic.os", recorder),
        mock.patch("models.atomic.tempfile", recorder),
    ):
        yield recorder
