"""What a board's firmware finds on the first partition, and what it starts of it.

systemd-boot(7), https://uapi-group.org/specifications/specs/boot_loader_specification/,
https://www.raspberrypi.com/documentation/computers/config_txt.html.
"""

from __future__ import annotations

from pathlib import Path

from tools.boxes.image.boards import Board

__all__ = ["start_files"]

KERNEL_LINE = "lineguard={ident} quiet panic=10"
"""Of the kernel: which disk is its own; after a panic it starts again by itself."""

ENTRY = """title lineguard
linux /vmlinuz
initrd /initramfs
options {line}
"""

CONFIG = """# Read by the Raspberry Pi's own firmware.
arm_64bit=1
upstream_kernel=1
enable_uart=1
disable_overscan=1
kernel=vmlinuz
initramfs initramfs followkernel
"""


def start_files(
    board: Board, taken: Path, kernel: Path, initramfs: Path, ident: str, scratch: Path
) -> dict[str, Path]:
    """The files of the first partition, by their paths there.

    Parameters
    ----------
    board
        Whose firmware reads them.
    taken
        Folder with what Debian's packages have for it.
    kernel, initramfs
        Are started.
    ident
        Of the image.
    scratch
        Folder for what is written here; made.
    """
    scratch.mkdir()
    line = KERNEL_LINE.format(ident=ident)
    files = {"vmlinuz": kernel, "initramfs": initramfs}
    if board.start == "uefi":
        (loader,) = (taken / "usr/lib/systemd/boot/efi").glob("systemd-bootaa64.efi")
        texts = {"loader/loader.conf": "timeout 0\neditor no\n"}
        texts["loader/entries/lineguard.conf"] = ENTRY.format(line=line)
        files["EFI/BOOT/BOOTAA64.EFI"] = loader
    else:
        # A console where there is a screen, and on the pins of the header.
        texts = {"config.txt": CONFIG, "cmdline.txt": f"console=ttyS1,115200 console=tty0 {line}\n"}
        firmware = taken / "usr/lib/raspi-firmware"
        files |= {path.name: path for path in firmware.iterdir() if path.suffix in {".elf", ".dat"}}
        files |= {path.name: path for path in taken.glob("usr/lib/linux-image-*/broadcom/*.dtb")}
    for number, (name, text) in enumerate(texts.items()):
        files[name] = scratch / str(number)
        files[name].write_text(text, "utf-8")
    return files
