"""A PLC that says by Modbus that a part is there: a coil that rises, or a register that counts."""

from __future__ import annotations

import time

from edge.io.hooks import Hooks
from edge.io.modbus_client import ModbusClient, RegisterKind
from edge.trigger.base import PolledTrigger

__all__ = ["ModbusTrigger", "steps"]

POLL_S = 0.005
"""Seconds between two looks; a coil must stay on for some times longer, say 50 ms, to be seen."""

MAX_STEPS = 16
"""More parts than that do not pass between two looks: the counter was set anew."""


class ModbusTrigger(PolledTrigger):
    """Fires when a coil goes from 0 to 1, or once for each step of a register that counts parts.

    A counter is the surer of the two: a part that came between two looks, or while the line was
    down, shows as a step of two, and is fired for. What a register holds at the first look is
    where counting begins. One that goes back was set anew, and fires once.

    Parameters
    ----------
    name
        How messages call it.
    client
        To the PLC; its own, not shared with an output.
    kind, address
        Coil or register.
    hooks
        Told when the PLC does not answer.
    """

    def __init__(
        self, name: str, client: ModbusClient, kind: RegisterKind, address: int, hooks: Hooks
    ) -> None:
        super().__init__(name, hooks)
        self._client, self._kind, self._address = client, kind, address
        self._last: int | None = None

    def open(self) -> None:
        """Connect."""
        self._client.open()
        value = self._read()
        if self._last is None or self._kind in ("coil", "discrete"):
            self._last = value  # a coil that rose while nobody looked is an old part

    def wait(self) -> list[float]:
        """Look once."""
        time.sleep(POLL_S)
        value = self._read()
        last, self._last = self._last or 0, value
        counts = self._kind in ("holding", "input")
        return [time.monotonic()] * (steps(last, value) if counts else int(value > last))

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _read(self) -> int:
        return self._client.read(self._kind, self._address)[0]


def steps(last: int, value: int) -> int:
    """Parts between two values of a counter of 16 bits.

    >>> steps(3, 5), steps(65535, 1), steps(700, 0), steps(4, 4)
    (2, 2, 1, 0)
    """
    count = (value - last) % 65536
    return count if count <= MAX_STEPS else 1
