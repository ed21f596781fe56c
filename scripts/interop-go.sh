#!/bin/sh
# `interop-go.sh http2` builds what `npm run interop` runs of Go: h2spec, and a server and client of net/http for HTTP/2; some 20
# seconds once. `interop-go.sh grpc` builds the server and client of the interop cases of grpc-go; a minute or two once.
# `interop-go.sh hello` builds servers and clients of crypto/tls; some 10 seconds once. Into the cache folder, outside the checkout.
# Prints the folder. Ends with 77 where this machine cannot do it.
set -eu

h2spec_version=2.2.1
what=$1
cache=${MAESH_CACHE:-$HOME/.cache/maesh}
sources=$(cd "$(dirname "$0")/.." && pwd)/test/interop

missing() {
  echo "interop-go: $1" >&2
  exit 77
}

case $what in
http2)
  here=$sources/go
  least=24
  name=interop-go-$h2spec_version
  ;;
grpc)
  here=$sources/go-grpc
  least=25
  name=interop-go-grpc
  ;;
hello)
  here=$sources/go-hello
  least=25
  name=interop-go-hello
  ;;
*)
  missing 'say http2, grpc or hello'
  ;;
esac

folder=$cache/$name-$(cat "$here"/* | cksum | tr -d ' ')
if [ ! -d "$folder" ]; then
  command -v go >/dev/null 2>&1 || missing "Go is not in PATH; install Go 1.$least or later"
  export GOTOOLCHAIN=local CGO_ENABLED=0
  version=$(go env GOVERSION)
  minor=${version#go1.}
  [ "${minor%%[!0-9]*}" -ge "$least" ] || missing "$version is too old; install Go 1.$least or later"
  # A folder gets its name when it is whole.
  rm -rf "$folder.part" && mkdir -p "$folder.part"
  if [ "$what" = grpc ]; then
    # Go notes beside its sources what they need beyond the module that they name.
    cp -r "$here" "$folder.part/sources"
    (cd "$folder.part/sources" && GOFLAGS=-mod=mod go build -p 2 -o ../grpc .) >&2 ||
      missing 'Cannot build the server and client of grpc-go: are the Go modules within reach?'
  elif [ "$what" = hello ]; then
    (cd "$here" && go build -p 2 -o "$folder.part/hello" .) >&2 || missing 'Cannot build the servers and clients of crypto/tls'
  else
    GOBIN=$folder.part GOFLAGS=-mod=mod go install -p 2 "github.com/summerwind/h2spec/cmd/h2spec@v$h2spec_version+incompatible" >&2 ||
      missing 'Cannot build h2spec: are the Go modules within reach?'
    (cd "$here" && go build -p 2 -o "$folder.part/pages" .) >&2 || missing 'Cannot build the server and client of net/http'
  fi
  mv "$folder.part" "$folder"
fi

echo "$folder"
