"""Training PP-YOLOE, for the host alone: it needs paddle."""
