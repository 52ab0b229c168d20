#!/usr/bin/env bash
# Installs the wheel with the `box` extra into a Python of its own and runs it: nothing of the
# host's may be needed. Run from the root, after `make setup`.
set -euo pipefail
python=${BOX_PYTHON:-python3.11}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

.venv/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$scratch" .
"$python" -m venv "$scratch/box"
"$scratch/box/bin/python" -m pip install --quiet --require-hashes --no-deps -r locks/box.txt
"$scratch/box/bin/python" -m pip install --quiet --no-deps "$scratch"/lineguard-*.whl
export LINEGUARD_MODELS=${LINEGUARD_MODELS:-$(.venv/bin/python -c 'from models.zoo import models_folder; print(models_folder())')}

photo=$PWD/tests/data/wire_markers/rec/wire_7624_crop_0.jpg
board=$PWD/tools/line/assets/12100023.png
cd "$scratch" # away from the source: what runs is what was installed
lineguard=$scratch/box/bin/lineguard
"$lineguard" --version
"$lineguard" models verify ppocrv4-det-onnx ppocrv4-rec-onnx ppocr-cls-onnx ppocr-keys
"$lineguard" read "$photo" --mode label --json | tee read.json
grep -q '"text": "3048"' read.json
"$lineguard" eval ocr --labels "$(dirname "$photo")/../det/labels.txt" --json | tee eval.json
grep -q '"hmean": 1.0' eval.json # page mode: detector, classifier, recogniser
"$lineguard" detect "$board" --json | tee detect.json
grep -q '"label": "' detect.json # the detector that ships, in tiles of 640x640
cp -r "$(dirname "$photo")" parts
"$lineguard" station new >example.toml
cat >station.toml <<'TOML'
[station]
name = "box-check"
deadline_ms = 20000
[[cameras]]
name = "top"
source = "folder:parts"
[models.print]
family = "ppocr"
rec = "zoo:ppocrv4-rec-onnx"
dictionary = "zoo:ppocr-keys"
[[regions]]
name = "code"
camera = "top"
model = "print"
mode = "label"
[[rules]]
name = "legible"
kind = "pattern"
region = "code"
pattern = '\w+'
min_score = 0.3
[[outputs]]
kind = "jsonl"
path = "verdicts.jsonl"
TOML
"$lineguard" station check station.toml
"$lineguard" run station.toml
test "$(wc -l <verdicts.jsonl)" = "$(ls parts/*.jpg | wc -l)"
for line in "demo" "data render labels"; do # what draws the simulated line is not on a box
  code=0
  $lineguard $line 2>said || code=$?
  test "$code" = 2 && grep -q "^error: .*lineguard\[line\]" said
done
"$scratch/box/bin/python" - <<'PYTHON'
import importlib.util
import sys

import edge.loop
import tools.cli

assert importlib.util.find_spec("paddle") is None, "paddle is installed on the box"
assert not [name for name in sys.modules if name.startswith("paddle")]
print("the box install runs on Python", sys.version.split()[0], "without paddle")
PYTHON
