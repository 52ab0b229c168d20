"""The latency bench: statistics, what is measured and how, and its reports."""
