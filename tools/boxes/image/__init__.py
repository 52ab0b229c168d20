"""Images of whole disks: Debian and lineguard, from packages alone, without running any of it."""
