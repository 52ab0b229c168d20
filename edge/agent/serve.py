"""The agent: hosts come and go, and all of them talk to the same box."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable

from firmware_bridge.channel import Channel
from firmware_bridge.receiver import Receiver
from firmware_bridge.transport import Listener
from models.errors import TransferError

__all__ = ["serve"]

TICK_S = 0.5
"""How often ends of trials, and an idle line, are looked for; a host asks once a second."""


def serve(
    listener: Listener,
    receiver: Receiver,
    stop: threading.Event,
    moved: Callable[[], None] = lambda: None,
) -> None:
    """Answer whoever comes to ``listener``, which is closed at the end, until ``stop`` is set.

    ``moved`` is called twice a second, as long as nothing hangs.
    """
    accept = threading.Thread(target=_accept, args=(listener, receiver), name="agent", daemon=True)
    accept.start()
    while not stop.wait(TICK_S):
        receiver.tick()
        moved()
    listener.close()
    accept.join()


def _accept(listener: Listener, receiver: Receiver) -> None:
    talks: list[threading.Thread] = []
    for channel in listener:
        talk = threading.Thread(target=_talk, args=(channel, receiver), name="talk", daemon=True)
        talk.start()
        talks = [each for each in [*talks, talk] if each.is_alive()]
    for talk in talks:
        talk.join()


def _talk(channel: Channel, receiver: Receiver) -> None:
    """One session, to its end; a broken one is no more than an end."""
    with contextlib.suppress(TransferError):
        while True:
            answer = receiver.handle(channel.receive(math.inf), channel)
            if answer is not None:
                channel.send(answer)
    receiver.disconnect(channel)
    channel.close()
