"""A station as a service of the box: what its service manager is told, and the units it starts."""
