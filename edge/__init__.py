"""The on-box runtime: cameras, engines, loop, judge."""
