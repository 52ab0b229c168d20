"""The ``lineguard`` command: one file a subcommand."""
