"""The ``lineguard`` command, the simulated line and the benches."""
