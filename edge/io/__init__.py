"""Where verdicts go: one file for each kind of output."""
