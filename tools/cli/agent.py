"""``lineguard agent``: what a box runs to be flashed."""

from __future__ import annotations

from pathlib import Path

import typer

from tools.cli.output import console

__all__ = ["agent"]

STUCK_S = 120.0
"""Seconds for one request: to compare a large bundle with its hashes, on a slow card, takes 30."""


def agent(
    port: str = typer.Option(
        help="Where hosts come from: a serial port, or tcp://HOST:PORT.", show_default=False
    ),
    root: Path = typer.Option(
        help="Folder of the bundles; trusted/ in it holds the keys.", show_default=False
    ),
) -> None:
    """Take bundles in, try them, and make them active: runs on the box until SIGTERM or Ctrl-C.

    Whatever happens meanwhile, one whole bundle stays active: the power may go at any moment.

    Example: lineguard agent --port /dev/ttyS1 --root /var/lib/lineguard
    """
    import signal
    import threading
    import time
    from types import FrameType

    from edge.agent import box_facts, serve, try_bundle
    from edge.service.notify import Pulse
    from firmware_bridge.receiver import Receiver
    from firmware_bridge.transport import listen

    stop = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        stop.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, end)
    receiver = Receiver(root, box_facts(), try_bundle)
    moved = time.monotonic()

    def move() -> None:
        nonlocal moved
        moved = time.monotonic()

    def stuck() -> list[str]:
        still = time.monotonic() - moved
        return [f"a request hangs for {still:.0f} s"] if still > STUCK_S else []

    with listen(port) as listener:
        listening = f"listening at {listener.address}"
        console.print(listening, soft_wrap=True)
        with Pulse(lambda: True, stuck, lambda: listening):
            serve(listener, receiver, stop, move)
