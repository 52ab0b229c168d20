"""The ``lineguard`` command: one file a subcommand."""

from tools.cli.app import main

__all__ = ["main"]
