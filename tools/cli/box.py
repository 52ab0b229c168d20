"""``lineguard box``: what a box runs, and its changes by hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from models.errors import InputError, TransferError
from tools.cli.box_doctor import doctor, profile
from tools.cli.box_image import image
from tools.cli.box_install import install, uninstall
from tools.cli.box_lite import build_lite
from tools.cli.box_package import package
from tools.cli.output import JSON, console, print_json

__all__ = ["app"]

app = typer.Typer(help="What a box runs, and its changes by hand.", no_args_is_help=True)
app.command()(doctor)
app.command()(profile)
app.command()(build_lite)
app.command()(install)
app.command()(uninstall)
app.command()(package)
app.command()(image)

ROOT = typer.Option(None, "--root", help="The box is this machine: its folder of bundles.")
PORT = typer.Option(None, "--port", help="The box is at this serial port, or tcp://HOST:PORT.")

ANSWER_S = 30.0
"""Seconds for an answer: a rollback reads all of a bundle, from the slowest card."""

POLL_S = 0.5
"""How often the end of a trial is asked for."""

Ask = Callable[..., dict[str, Any]]
"""Sends a request by its name and fields; gives the answer."""


@app.command()
def status(root: Path | None = ROOT, port: str | None = PORT, as_json: bool = JSON) -> None:
    """Show which bundles a box has, and which is active. Exit code 1 if none can be used.

    Example: lineguard box status --port /dev/ttyUSB0
    """
    with _box(root, port) as ask:
        hello, now = ask("hello", host=""), ask("status")
    _show({**hello, **now}, as_json)
    if now["state"] != "READY":
        raise typer.Exit(1)


@app.command()
def log(
    root: Path | None = ROOT,
    port: str | None = PORT,
    after: int = typer.Option(0, min=0, help="Only entries with a higher number."),
    as_json: bool = JSON,
) -> None:
    """Show what happened on a box: the newest 200 entries of its journal, in UTC, oldest first."""
    with _box(root, port) as ask:
        entries = ask("log", after=after)["entries"]
    if as_json:
        print_json({"entries": entries})
        return
    for entry in entries:
        when = str(entry["time"])[:19].replace("T", " ")
        line = f"{entry['n']:5}  {when}  {entry['event']:10} {entry['text']}"
        console.print(line, soft_wrap=True, markup=False, highlight=False)


@app.command()
def rollback(root: Path | None = ROOT, port: str | None = PORT, as_json: bool = JSON) -> None:
    """Make the bundle active again that was so before; it is kept for this.

    Exit code 3 if there is none, or if the box must not go back to it.
    """
    with _box(root, port) as ask:
        ask("rollback")
        _show({**ask("hello", host=""), **ask("status")}, as_json)


@app.command()
def confirm(root: Path | None = ROOT, port: str | None = PORT, as_json: bool = JSON) -> None:
    """Try the staged bundle now, though the line is not idle; if it passes, it is active.

    Exit code 1 if it fails its trial; the box then runs what it ran before.
    """
    with _box(root, port) as ask:
        slots = ask("confirm")["slots"]
        letter = next((name for name, slot in slots.items() if slot["state"] == "TRIAL"), None)
        now = ask("status")
        while letter is not None and now["slots"][letter]["state"] == "TRIAL":
            time.sleep(POLL_S)
            now = ask("status")
        _show({**ask("hello", host=""), **now}, as_json)
    if letter is None or not now["slots"][letter]["active"]:
        raise typer.Exit(1)


@contextlib.contextmanager
def _box(root: Path | None, port: str | None) -> Iterator[Ask]:
    if (root is None) == (port is None):
        raise InputError("box: say where it is: --root DIR on the box itself, or --port ADDRESS")
    if root is not None:
        with _local(root) as ask:
            yield ask
        return
    from firmware_bridge.channel import request
    from firmware_bridge.transport import connect

    channel = connect(str(port))
    try:
        yield lambda m, **fields: request(channel, {"m": m, **fields}, ANSWER_S)
    finally:
        channel.close()


@contextlib.contextmanager
def _local(root: Path) -> Iterator[Ask]:
    """The box's own side of the conversation, without a line."""
    from edge.agent import box_facts, try_bundle
    from firmware_bridge.receiver import Receiver

    if not root.is_dir():
        raise InputError(f"{root}: no such folder: give the --root of the agent")
    receiver = Receiver(root, box_facts(), try_bundle)

    def ask(m: str, **fields: Any) -> dict[str, Any]:
        answer = receiver.handle({"m": m, "id": 1, **fields}) or {}
        if "error" in answer:
            raise TransferError(f"{root}: {answer['text']}", str(answer["error"]))
        return answer

    yield ask


def _show(box: dict[str, Any], as_json: bool) -> None:
    if as_json:
        skipped = {"m", "id"}
        print_json({key: _plain(value) for key, value in box.items() if key not in skipped})
        return
    engines = ", ".join(f"{name} {version}" for name, version in box["engines"].items())
    console.print(
        f"{box['box']}: {box['state']}, {', '.join(box['hardware'])}, {engines or 'no engine'}, "
        f"{box['free'] / 2**20:.0f} MiB free, security counter {box['counter']}",
        soft_wrap=True,
    )
    if box["fault"]:
        console.print(f"fault: {box['fault']}", soft_wrap=True, style="red", markup=False)
    table = Table("slot", "", "state", "bundle", "version", "counter", box=None, pad_edge=False)
    for letter, slot in box["slots"].items():
        held = ", waits for an idle line" if slot["held"] else ""
        table.add_row(
            letter,
            "active" if slot["active"] else "",
            f"{slot['state']}{held}",
            *(str(slot.get(key, "")) for key in ("name", "version", "counter")),
        )
    console.print(table)
    if trial := box["trial"]:
        p99 = "" if trial["p99_ms"] is None else f", p99 {trial['p99_ms']:.1f} ms"
        reason = f": {trial['reason']}" if trial["reason"] else ""
        console.print(f"trial: {trial['state']}{p99}{reason}", soft_wrap=True, markup=False)


def _plain(value: Any) -> Any:
    """Hashes as hex digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
