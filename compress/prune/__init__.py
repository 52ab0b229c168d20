"""Channels that a network can do without: which go together, how much they cost, and away with them."""
