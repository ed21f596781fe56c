#!/bin/sh
# Installs what `npm run interop` runs: HTTP servers and clients from npm and PyPI, into the cache folder, outside the checkout.
# What is there stays as it is. Ends with 77 where this machine cannot do it.
set -eu

cache=${MAESH_CACHE:-$HOME/.cache/maesh}
here=$(cd "$(dirname "$0")/.." && pwd)/test/interop

missing() {
  echo "interop-tools: $1" >&2
  exit 77
}

# A folder is named after what is in it, and gets its name when it is whole.
stamp() {
  cksum <"$1" | tr -d ' '
}

node_folder=$cache/interop-node-$(stamp "$here/node/package.json")
if [ ! -d "$node_folder" ]; then
  rm -rf "$node_folder.part" && mkdir -p "$node_folder.part"
  cp "$here/node/package.json" "$node_folder.part"
  (cd "$node_folder.part" && npm install --silent --no-audit --no-fund --ignore-scripts) || missing 'Cannot install the npm packages'
  mv "$node_folder.part" "$node_folder"
fi

python_folder=$cache/interop-python-$(stamp "$here/python/requirements.txt")
if [ ! -x "$python_folder/bin/python3" ]; then
  command -v python3 >/dev/null 2>&1 || missing 'Python is missing: install it (Debian packages python3 and python3-venv)'
  # A virtual environment cannot be moved: the last package makes it whole.
  rm -rf "$python_folder" "$python_folder.part"
  python3 -m venv --without-pip "$python_folder.part" >/dev/null 2>&1 && rm -rf "$python_folder.part" ||
    missing 'Cannot make a Python environment: install python3-venv'
  python3 -m venv "$python_folder"
  "$python_folder/bin/python3" -m pip install --quiet --disable-pip-version-check -r "$here/python/requirements.txt" || {
    rm -rf "$python_folder"
    missing 'Cannot install the Python packages'
  }
fi

echo "$node_folder"
echo "$python_folder"
