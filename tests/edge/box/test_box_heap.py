"""What a station does so that its heap stays small."""

from __future__ import annotations

import subprocess
import sys

HEAPS = """
import ctypes, os, sys, threading
from edge.box.heap import few_heaps

if sys.argv[1] == "few":
    few_heaps()
together = threading.Barrier(16)
def work():
    together.wait()
    kept = [bytearray(10_000) for _ in range(200)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(16)]
for each in threads: each.start()
for each in threads: each.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fdopen(os.dup(1), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""

GIVEN = """
import re
from pathlib import Path
from edge.box.heap import give_back

def rss():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

pieces = [bytearray(10_000) for _ in range(5000)]
last = bytearray(10_000)  # above them, so that nothing goes back by itself
del pieces
before = rss()
give_back()
print(before - rss())
"""


def said(script: str, *more: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script, *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_threads_share_heaps() -> None:
    assert said(HEAPS, "many").count("<heap nr=") > 2
    assert said(HEAPS, "few").count("<heap nr=") <= 2


def test_what_is_free_goes_back() -> None:
    assert int(said(GIVEN)) > 30e6
