"""``lineguard service``: station and agent as services of the box."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from models.errors import InputError
from tools.cli.output import console

__all__ = ["app"]

app = typer.Typer(
    help="Station and agent as services of systemd, which starts them and keeps them alive.",
    no_args_is_help=True,
)


@app.callback()
def _service() -> None:
    """Keep it a group: with one command alone typer would leave the name out."""


@app.command()
def install(
    station: Path | None = typer.Option(
        None, help="A station.toml: the service that runs it.", show_default=False
    ),
    port: str | None = typer.Option(
        None, help="Where hosts come from: the service of the agent, too.", show_default=False
    ),
    root: Path | None = typer.Option(
        None, help="The agent's folder; that of [bundle] if left out.", show_default=False
    ),
    into: Path = typer.Option(Path("/"), help="Below this: the root of an image that is made."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the files, write nothing."),
) -> None:
    """Write the units of a station, of the agent, and their user; then say how to start them.

    Both run as the user lineguard, see nothing of the box that they do not need, and are started
    anew when they fail or hang.

    Example: lineguard service install --station /var/lib/lineguard/station.toml --dry-run
    """
    from edge.service import units
    from edge.station import load_station
    from models.atomic import write_atomic
    from tools.running import register_line

    program = Path(sys.executable).with_name("lineguard")
    texts: dict[Path, str] = {}
    folders: list[Path] = []
    if station is not None:
        register_line()
        file = station.absolute()
        written = load_station(file)
        texts[units.STATION] = units.station_unit(program, file, written)
        folders += units.writable(file, written)
        if written.bundle is not None:
            own = file.parent / written.bundle.root
            if root is not None and root.absolute() != own:
                raise InputError(f"--root {root}: the station's [bundle] has {own}: use that")
            root = own
    if port is not None:
        if root is None:
            raise InputError("--port: the agent needs a folder: give --root")
        texts[units.AGENT] = units.agent_unit(program, port, root.absolute())
        folders.append(root.absolute())
    elif station is None:
        raise InputError("service install: what? give --station, or --port and --root")
    texts[units.USERS] = units.users()
    for name, text in texts.items():
        if dry_run:
            print(f"# {into / name}\n{text}")
        else:
            write_atomic(into / name, text.encode())
            console.print(f"written: {into / name}", soft_wrap=True, highlight=False)
    if not dry_run:
        names = [name.stem for name in texts if name.suffix == ".service"]
        _say_next(names, [each for each in units.outermost(folders) if each != units.STATE])


def _say_next(names: list[str], folders: list[Path]) -> None:
    console.print("next, as root:", highlight=False)
    commands = [
        "systemd-sysusers",
        *(f"mkdir -p {folder} && chown -R lineguard: {folder}" for folder in folders),
        "systemctl daemon-reload",
        f"systemctl enable --now {' '.join(names)}",
    ]
    for command in commands:
        console.print(f"  {command}", soft_wrap=True, highlight=False)
