"""A host's link and a box's on a simulated line, and what came through."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from firmware_bridge.line import Faults, Line
from firmware_bridge.link import Link, Role, State

BAUDS = (230400, 460800, 921600, 1500000, 3000000)

SESSION = 4711


@dataclass
class Rig:
    """Two links, a line, and the messages that each end has taken."""

    host: Link
    line: Line
    at_host: list[bytes] = field(default_factory=list)
    at_box: list[bytes] = field(default_factory=list)

    @property
    def box(self) -> Link:
        return self.line.ends[1]

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until something holds; whether it does."""
        end = self.line.now + seconds
        while not (done := until()) and self.line.now < end:
            self.line.advance(end)
            self.at_host += _taken(self.host)
            self.at_box += _taken(self.box)
        return done

    def open(self) -> None:
        assert self.run(60, lambda: self.host.settled and self.box.settled)


def _taken(link: Link) -> list[bytes]:
    messages = []
    while (message := link.take()) is not None:
        messages.append(message)
    return messages


def make_rig(
    *,
    rate: int | None = None,
    bauds: tuple[int, ...] = BAUDS,
    latency: float = 0.0,
    fastest: float = math.inf,
    faults: Faults | None = None,
    session: int = SESSION,
) -> Rig:
    """Nothing has happened yet; ``rate`` is the highest that the host asks for."""
    bauds = () if rate is None else bauds
    host = Link(Role.HOST, 0.0, session=session, rate=rate or 0, bauds=bauds)
    box = Link(Role.BOX, 0.0, bauds=bauds)
    return Rig(host, Line(host, box, latency=latency, fastest=fastest, faults=faults))


def share_of_line(rig: Rig, total: int, message: int = 65536) -> float:
    """Bytes of messages over what the line could carry meanwhile, in an open rig."""
    assert rig.host.state is State.OPEN
    begin, left = rig.line.now, total // message
    expected = left
    while len(rig.at_box) < expected:
        while left and rig.host.waiting < message:
            rig.host.send(bytes([left % 251]) * message)
            left -= 1
        assert rig.run(60, lambda: rig.host.waiting < message or len(rig.at_box) == expected)
        if not left:
            assert rig.run(600, lambda: len(rig.at_box) == expected)
    assert rig.host.rate is not None
    return expected * message * 10 / rig.host.rate / (rig.line.now - begin)
