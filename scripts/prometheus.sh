#!/bin/sh
# Puts Debian's Prometheus into the cache folder, outside the checkout, for test/chart/prometheus.test.ts. Needs no root; installs nothing.
# Ends with 77 and a sentence where that cannot be done.
set -eu

cache=${MAESH_CACHE:-$HOME/.cache/maesh}
program=$cache/prometheus/usr/bin/prometheus

skip() {
  echo "prometheus: $1" >&2
  exit 77
}

if command -v prometheus >/dev/null 2>&1 || [ -x "$program" ]; then
  exit 0
fi
command -v apt-get >/dev/null 2>&1 || skip 'Cannot get it: this is not Debian or Ubuntu; install "prometheus" with your package manager'
command -v dpkg-deb >/dev/null 2>&1 || skip 'Cannot unpack it: dpkg-deb is missing'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get -o APT::Sandbox::User=root download -qq prometheus) || skip 'Cannot get the package "prometheus"; try "apt-get update"'
dpkg-deb -x "$work"/prometheus_*.deb "$work/root"
mkdir -p "$cache"
rm -rf "$cache/prometheus"
mv "$work/root" "$cache/prometheus"
echo "prometheus: made $program"
