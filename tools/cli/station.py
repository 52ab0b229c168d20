"""``lineguard station``: the file that says what a station does."""

from __future__ import annotations

from pathlib import Path

import typer

from tools.cli.output import JSON, console, print_json

__all__ = ["app"]

app = typer.Typer(help="The file that says what a station does.", no_args_is_help=True)


@app.command()
def new() -> None:
    """Print a station file to start from, every key explained.

    Example: lineguard station new > station.toml
    """
    from edge.station import example_station

    print(example_station(), end="")


@app.command()
def check(
    station_file: Path = typer.Argument(metavar="STATION", help="A station.toml."),
    as_json: bool = JSON,
) -> None:
    """Say all that is wrong with a station file, each fault with its line. Exit code 2 if any."""
    from edge.station import load_station
    from models.errors import ConfigError
    from tools.running import register_line

    register_line()
    try:
        station = load_station(station_file)
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"file": str(station_file), "faults": error.faults})
        raise typer.Exit(error.exit_code) from error
    if as_json:
        print_json({"file": str(station_file), "faults": []})
        return
    console.print(
        f"{station_file}: fine: {len(station.cameras)} cameras, {len(station.regions)} regions, "
        f"{len(station.rules)} rules",
        soft_wrap=True,
    )


@app.command()
def cameras(as_json: bool = JSON) -> None:
    """List the cameras plugged into this machine."""
    from edge.camera import list_cameras

    found = list_cameras()
    if as_json:
        print_json({"cameras": found})
        return
    for camera in found:
        console.print(camera)
    if not found:
        console.print("no V4L2 camera here; other sources: rtsp://, http://, file:, folder:, line:")
