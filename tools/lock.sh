#!/usr/bin/env bash
# Renews the lock files: every package pinned with its hashes, no index named.
set -euo pipefail
.venv/bin/python -m pip install --quiet uv
lock() {
  (cd "$1" && "$OLDPWD/.venv/bin/uv" pip compile -q --upgrade --generate-hashes --no-header --no-emit-index-url --universal \
    --python-version "$(cat "$OLDPWD/.python-version")" "$2" -o "$3")
}
for layer in console dependencies reconciliation; do lock layers/$layer requirements.in requirements.txt; done
for name in dev cloud java reconcile redis security sidecar spark; do lock requirements "$name.in" "$name.txt"; done
