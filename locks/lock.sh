#!/usr/bin/env bash
# Makes the lock files anew, with hashes and without hosts. Needs uv; run it from the root.
set -euo pipefail
options=(--quiet --generate-hashes --no-annotate --no-header --upgrade --no-emit-package lineguard)
uv pip compile "${options[@]}" --python-version 3.10 --python-platform x86_64-manylinux_2_28 \
  --override locks/overrides.txt --extra dev --output-file locks/dev.txt pyproject.toml
uv pip compile "${options[@]}" --python-version 3.11 --universal \
  --extra box --output-file locks/box.txt pyproject.toml
