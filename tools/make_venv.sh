#!/usr/bin/env bash
# Makes the virtual environment $1 from the lock file $2, with the Python that .python-version names.
set -euo pipefail
folder=$1 lock=$2
version=$(cat .python-version)
find_python() {
  local candidate
  for candidate in "${PAYONCE_PYTHON:-}" "python$version" python3; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c "import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '$version'.split('.'))))" 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  # pyenv's shims need to be told an exact version.
  if command -v pyenv >/dev/null; then
    candidate=$(ls -d "$(pyenv root)"/versions/"$version".*/bin/python 2>/dev/null | tail -n 1 || true)
    if [ -n "$candidate" ]; then echo "$candidate"; return; fi
  fi
  echo "payonce needs Python $version. Install it, or name it: make PAYONCE_PYTHON=/path/to/python$version ..." >&2
  return 1
}
python=$(find_python)
if ! "$folder/bin/python" -c "import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '$version'.split('.'))))" 2>/dev/null; then
  echo "making $folder with $python"
  rm -rf "$folder"
  "$python" -m venv "$folder"
fi
echo "installing $(grep -cE '^[A-Za-z0-9]' "$lock") packages from $lock (a few minutes on the first run)"
"$folder/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r "$lock"
if [ "$folder" = .venv ]; then
  # The command `payonce`, from this checkout: what is edited is what runs.
  "$folder/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-index --no-build-isolation --editable .
fi
touch "$folder/.ready"
