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
from tools.cli import (
    agent,
    bench,
    box,
    bundle,
    compress,
    data,
    demo,
    detect,
    evaluate,
    flash,
    keys,
    read,
    records,
    run,
    shadow,
    station,
    train,
    zoo,
)

__all__ = ["app", "main"]

EPILOG = (
    "Exit codes: 0 fine, 1 NG or a gate was missed, 2 bad usage or input, "
    "3 a device, link or disk failed."
)

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What a command line that cannot be understood raises, whichever click typer brings along."""

app = typer.Typer(
    name="lineguard",
    help="Realtime inspection on the factory line: is the print right, is the part sound.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",  # a paragraph of a docstring is one paragraph of the help
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
app.command(epilog=EPILOG)(detect.detect)
app.add_typer(evaluate.app, name="eval")
app.add_typer(train.app, name="train")
app.command(epilog=EPILOG)(compress.compress)
app.add_typer(bench.app, name="bench")
app.add_typer(station.app, name="station")
app.add_typer(zoo.app, name="models")
app.add_typer(data.app, name="data")
app.add_typer(bundle.app, name="bundle")
app.add_typer(keys.app, name="keys")
app.command(epilog=EPILOG)(flash.flash)
app.command(epilog=EPILOG)(agent.agent)
app.add_typer(box.app, name="box")
app.add_typer(records.app, name="records")
app.add_typer(shadow.app, name="shadow")


def main() -> None:
    """Run the command line; every error of ours is one line and an exit code, no traceback."""
    # Our errors say what OpenCV has to say, and its own lines would tear the display.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
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
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except UsageError as error:
        return _usage(error)
    except LineguardError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return error.exit_code
    except (BrokenPipeError, SystemExit):
        # Whoever read our output has left, and there is nothing more to say. typer and rich end
        # the program of themselves then, and only then.
        return _without_stdout()
    except OSError as error:  # stdout is on a full disk; every other file is ours to explain
        name = error.filename or "stdout"
        print(f"error: {name}: {error.strerror}: free some space", file=sys.stderr)
        return _without_stdout()
    return int(code or 0)


def _usage(error: Exception) -> int:
    # There is no message where the help was printed instead.
    message = " ".join(getattr(error, "format_message", error.__str__)().split()).rstrip(".")
    if message:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "lineguard"
        print(f"error: {message}: see `{command} --help`", file=sys.stderr)
    return 2


def _without_stdout() -> int:
    """Keep the interpreter from trying once more, on its way out, to write what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 3
