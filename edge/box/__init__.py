"""The board itself: what it is, what it can run, and what is wrong with it."""
