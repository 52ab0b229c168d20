"""An ARM64 system that is none: Python of this machine, and a QEMU that counts what it is told."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from onnx import TensorProto, helper

from compress.counting import Arm64, find_arm64

WRAPPER = """#!/bin/sh
home=$PYTHONHOME
unset PYTHONHOME
GUEST_HOME=$home exec '{python}' '{script}' "$@"
"""

# It is called as the real one is, runs the rest of the command as it stands, and says that the
# process made 100 calls before the first mark, and so many a run in between.
QEMU = """
import os, subprocess, sys
{behaviour}
at = sys.argv.index("-plugin")
plugin, _, out = sys.argv[at + 1].partition(",out=")
assert os.path.getsize(plugin) > 1000
prefix = sys.argv[sys.argv.index("-L") + 1]
features = open(prefix + "/proc/cpuinfo").read()
assert os.path.samefile(prefix + "/usr", os.environ["GUEST_HOME"])
dot = 7 if "asimddp" in features else 0
done = subprocess.run(sys.argv[at + 2 :])
if done.returncode:
    sys.exit(done.returncode)
runs = int(sys.argv[at + 6])
with open(out, "w") as file:
    print("dot=0 fma=100 other=100 ", file=file)
    print(f"dot={{dot * runs}} fma={{100 + 50 * runs}} other={{100 + runs}} ", file=file)
"""


def arm64(folder: Path, behaviour: str = "") -> Arm64:
    """One whose QEMU runs ``behaviour`` first."""
    root = folder / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "proc").mkdir()
    (root / "usr/bin/python3.11").symlink_to(sys.executable)
    (root / "usr/bin/python3.11-config").touch()
    qemu = folder / "qemu-aarch64"
    script = folder / "qemu.py"
    script.write_text(QEMU.format(behaviour=behaviour))
    qemu.write_text(WRAPPER.format(python=sys.executable, script=script))
    qemu.chmod(qemu.stat().st_mode | stat.S_IXUSR)
    old = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}{os.pathsep}{old}"
    try:
        found = find_arm64(root)
    finally:
        os.environ["PATH"] = old
    # Resolved, a virtual environment's Python would lose its packages.
    return Arm64(found.qemu, found.compiler, found.root, Path(sys.executable))


def tiny_onnx(path: Path) -> Path:
    """One that adds its input to itself."""
    shape = [1, None]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path
