#!/bin/sh
# Builds what `npm run interop` runs of Go: h2spec, and a server and client of net/http for HTTP/2. Into the cache folder, outside the
# checkout; some 20 seconds once. Prints the folder. Ends with 77 where this machine cannot do it.
set -eu

h2spec_version=2.2.1
cache=${MAESH_CACHE:-$HOME/.cache/maesh}
here=$(cd "$(dirname "$0")/.." && pwd)/test/interop/go

missing() {
  echo "interop-go: $1" >&2
  exit 77
}

folder=$cache/interop-go-$h2spec_version-$(cat "$here"/* | cksum | tr -d ' ')
if [ ! -d "$folder" ]; then
  command -v go >/dev/null 2>&1 || missing 'Go is not in PATH; install Go 1.24 or later'
  export GOTOOLCHAIN=local CGO_ENABLED=0
  version=$(go env GOVERSION)
  minor=${version#go1.}
  [ "${minor%%[!0-9]*}" -ge 24 ] || missing "$version is too old; install Go 1.24 or later"
  # A folder gets its name when it is whole.
  rm -rf "$folder.part" && mkdir -p "$folder.part"
  GOBIN=$folder.part GOFLAGS=-mod=mod go install -p 2 "github.com/summerwind/h2spec/cmd/h2spec@v$h2spec_version+incompatible" >&2 ||
    missing 'Cannot build h2spec: are the Go modules within reach?'
  (cd "$here" && go build -p 2 -o "$folder.part/pages" .) >&2 || missing 'Cannot build the server and client of net/http'
  mv "$folder.part" "$folder"
fi

echo "$folder"
