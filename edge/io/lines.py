"""Lines of the box: outputs that are set, inputs whose edges are waited for; real and fake ones."""

from __future__ import annotations

import queue
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Literal, Protocol

import gpiod
from gpiod.line import Bias, Direction, Edge, Value

from models.errors import DeviceError

__all__ = ["Edges", "FakeEdges", "FakeLines", "GpiodEdges", "GpiodLines", "Lines"]

CONSUMER = "lineguard"
"""What ``gpioinfo`` shows as the user of our lines."""


class Lines(Protocol):
    """Output lines by name. Calls may come from several threads."""

    def set(self, line: str, active: bool) -> None:
        """Set one; whether active means high or low is the driver's. ``OSError`` if it is gone."""

    def close(self) -> None:
        """Let go of them; they stay as they are, as far as the hardware allows."""


class Edges(Protocol):
    """One input line."""

    def wait(self, seconds: float) -> list[float]:
        """The edges since the last call, ``time.monotonic()``; waits for one. ``OSError``: gone."""

    def close(self) -> None:
        """Let go of it."""


class GpiodLines:
    """Lines of a GPIO chip, by the kernel's character device.

    Parameters
    ----------
    chip
        Path of its device.
    offsets
        Line name to its number on the chip.
    active_low
        Names of those that are low when active.
    active
        Names of those that are active from the first moment on.

    Raises
    ------
    DeviceError
        There is no such chip or line, or another program holds it.
    """

    def __init__(
        self,
        chip: str,
        offsets: Mapping[str, int],
        active_low: Collection[str] = (),
        active: Collection[str] = (),
    ) -> None:
        self._offsets = dict(offsets)
        settings: dict[Iterable[int | str] | int | str, gpiod.LineSettings | None] = {
            offset: gpiod.LineSettings(
                direction=Direction.OUTPUT,
                active_low=name in active_low,
                output_value=_value(name in active),
            )
            for name, offset in offsets.items()
        }
        try:
            self._request = gpiod.request_lines(chip, consumer=CONSUMER, config=settings)
        except (OSError, ValueError) as error:
            raise _refused(chip, offsets.values(), error) from error

    def set(self, line: str, active: bool) -> None:
        """Set one line."""
        self._request.set_value(self._offsets[line], _value(active))

    def close(self) -> None:
        """Let go of them."""
        self._request.release()


class GpiodEdges:
    """An input line of a GPIO chip.

    Parameters
    ----------
    chip
        Path of its device.
    offset
        Number of the line.
    edge
        Which edges count.
    pull
        The chip's own resistor, if the sensor has none.
    debounce_ms
        Edges that come sooner after each other are a contact that bounces.

    Raises
    ------
    DeviceError
        There is no such chip or line, or another program holds it.
    """

    def __init__(
        self,
        chip: str,
        offset: int,
        edge: Literal["rising", "falling"] = "rising",
        pull: Literal["up", "down", "none"] = "none",
        debounce_ms: float = 0.0,
    ) -> None:
        bias = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "none": Bias.AS_IS}[pull]
        settings = gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Edge.RISING if edge == "rising" else Edge.FALLING,
            bias=bias,
            debounce_period=timedelta(milliseconds=debounce_ms),
        )
        try:
            self._request = gpiod.request_lines(chip, consumer=CONSUMER, config={offset: settings})
        except (OSError, ValueError) as error:
            raise _refused(chip, [offset], error) from error

    def wait(self, seconds: float) -> list[float]:
        """Times are the kernel's, taken at the interrupt: our own delay is not in them."""
        if not self._request.wait_edge_events(seconds):
            return []
        return [event.timestamp_ns / 1e9 for event in self._request.read_edge_events()]

    def close(self) -> None:
        """Let go of it."""
        self._request.release()


class FakeLines:
    """Lines of no hardware: remembers all that was set.

    Attributes
    ----------
    changes
        ``(time.monotonic(), line, active)``, one for each call.
    closed
        Whether they were let go of.
    broken
        Set it, and the next call fails as if the chip had been unplugged.
    """

    def __init__(self) -> None:
        self.changes: list[tuple[float, str, bool]] = []
        self.closed = self.broken = False

    def set(self, line: str, active: bool) -> None:
        """Remember it."""
        if self.broken:
            raise OSError("no such device")
        self.changes.append((time.monotonic(), line, active))

    def close(self) -> None:
        """Remember that."""
        self.closed = True

    def state(self, line: str) -> bool | None:
        """What a line was set to last; ``None`` if never."""
        return next((active for _, name, active in reversed(self.changes) if name == line), None)

    def times(self, line: str, active: bool) -> list[float]:
        """When a line was set so."""
        return [at for at, name, value in self.changes if (name, value) == (line, active)]


class FakeEdges:
    """An input line of no hardware: :meth:`edge` is what a sensor does."""

    def __init__(self) -> None:
        self._queue: queue.Queue[float | OSError] = queue.Queue()
        self.closed = False

    def edge(self, at: float | None = None) -> None:
        """One edge, now or at a given ``time.monotonic()``."""
        self._queue.put(time.monotonic() if at is None else at)

    def unplug(self) -> None:
        """Fail from here on."""
        self._queue.put(OSError("no such device"))

    def wait(self, seconds: float) -> list[float]:
        """The next edge, if one comes in time."""
        try:
            event = self._queue.get(timeout=seconds)
        except queue.Empty:
            return []
        if isinstance(event, OSError):
            raise event
        return [event]

    def close(self) -> None:
        """Remember that."""
        self.closed = True


def _value(active: bool) -> Value:
    return Value.ACTIVE if active else Value.INACTIVE


def _refused(chip: str, lines: Collection[int], error: Exception) -> DeviceError:
    cause = getattr(error, "strerror", None) or error
    numbers = ", ".join(map(str, lines))
    return DeviceError(f"{chip}: line {numbers}: {cause}: `gpioinfo` shows lines and their users")
