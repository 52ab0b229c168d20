"""A model learns again what it lost, or what it never knew."""
