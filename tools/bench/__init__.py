"""What docs/benchmarks.md says, measured: ``python -m tools.bench``."""
