"""Boxes made on the host: their program, its Debian package, images of whole disks."""
