"""The command as a whole: what there is, what errors look like, what it returns.

Exit codes: 0 fine; 1 NG, or a gate was missed; 2 bad usage or input; 3 a device, link or disk
failed.
"""

from __future__ import annotations

import os
import sys
import threading

import typer

from models.errors import LineguardError
from tools.cli import data, demo, evaluate, read, run, station, zoo

__all__ = ["app", "main"]

EPILOG = (
    "Exit codes: 0 fine, 1 NG or a gate was missed, 2 bad usage or input, "
    "3 a device, link or disk failed."
)

app = typer.Typer(
    name="lineguard",
    help="Realtime inspection on the factory line: is the print right, is the part sound.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"lineguard {version('lineguard')}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Say the version and stop."
    ),
) -> None:
    """Realtime inspection on the factory line: is the print right, is the part sound."""


app.command(epilog=EPILOG)(demo.demo)
app.command(epilog=EPILOG)(run.run)
app.command(epilog=EPILOG)(read.read)
app.add_typer(evaluate.app, name="eval")
app.add_typer(station.app, name="station")
app.add_typer(zoo.app, name="models")
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; every error of ours is one line and an exit code, no traceback."""
    code = _run()
    if threading.active_count() > 1:
        # A camera or an engine hangs in native code. Its thread is left behind, and the ordinary
        # way out would pull the interpreter from under it, which aborts.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except LineguardError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has left: nothing more to say, and no second error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 3
    return 0
