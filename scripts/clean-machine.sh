#!/bin/sh
# Runs both README commands from a fresh clone of HEAD on a machine that has nothing but Node, npm, git, sh and coreutils: a root
# folder with just these in a mount namespace of its own. What the README promises is proven here, and nowhere else, since
# every other machine has more. Linux, root, util-linux; ends with 77 and says why where that is missing.
# Usage: scripts/clean-machine.sh [COMMAND...]: that command in the clone instead, after npm ci.
set -eu

skip() {
  echo "clean-machine: SKIPPED: $1" >&2
  exit 77
}

[ "$(id -u)" = 0 ] || skip 'it needs root, to make a root folder'
for each in unshare chroot mount ldd node npm git; do
  command -v "$each" >/dev/null 2>&1 || skip "it needs $each"
done
unshare --mount --pid --fork true 2>/dev/null || skip 'mount namespaces are not allowed here'

source=$(cd "$(dirname "$0")/.." && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# Copies files to where they are, with what they are links to and the libraries that they load.
copy() {
  for each in "$@"; do
    [ -e "$each" ] || continue
    cp -a --parents "$each" "$root" 2>/dev/null || true
    real=$(readlink -f "$each")
    [ "$real" = "$each" ] || cp -a --parents "$real" "$root"
    ldd "$real" 2>/dev/null | while read -r first second third _; do
      for library in "$first" "$third"; do
        case $library in /*) [ -e "$root$library" ] || cp -L --parents "$library" "$root" ;; esac
      done
    done
  done
}

for link in bin sbin lib lib64; do
  if [ -h "/$link" ]; then cp -a "/$link" "$root/$link"; else mkdir -p "$root/$link"; fi
done
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/proc" "$root/dev" "$root/sys" "$root/tmp" "$root/etc" \
  "$root/root"
git clone -q --bare "$source" "$root/source"
chmod 1777 "$root/tmp"

programs='[ arch b2sum base32 base64 basename basenc cat chgrp chmod chown cksum comm cp csplit cut date dd df dir dircolors dirname du echo
  env expand expr factor false fmt fold groups head hostid id install join link ln logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl
  nohup nproc numfmt od paste pathchk pinky pr printenv printf ptx pwd readlink realpath rm rmdir sha1sum sha224sum sha256sum sha384sum
  sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname unexpand
  uniq unlink users vdir wc who whoami yes'
for program in sh node git $programs; do
  copy "$(command -v "$program" | grep '^/' || echo "/usr/bin/$program")"
done
npm=$(readlink -f "$(command -v npm)")
for folder in "$(dirname "$(dirname "$npm")")" "$(git --exec-path)"; do
  mkdir -p "$root$folder"
  cp -a "$folder/." "$root$folder"
done
cp -a "$(command -v npm)" "$root/usr/bin/npm"
copy "$(git --exec-path)/git" /usr/bin/git-upload-pack
# Node 26, which npm brings, needs one library more than Node 20.
for folder in /lib/*-linux-gnu /lib64; do copy "$folder/libatomic.so.1"; done
# Name resolution and certificates, as any machine has them; and how this one reaches the package registry.
copy /lib/*/libnss_files.so.2 /lib/*/libnss_dns.so.2 /lib/*/libresolv.so.2
for file in passwd group nsswitch.conf hosts resolv.conf; do cp -L "/etc/$file" "$root/etc/$file"; done
[ ! -d /etc/ssl ] || cp -aL --parents /etc/ssl "$root" 2>/dev/null || true
[ ! -f "$HOME/.npmrc" ] || cp "$HOME/.npmrc" "$root/root/.npmrc"
for file in "${NODE_EXTRA_CA_CERTS:-}" "${SSL_CERT_FILE:-}"; do
  [ ! -f "$file" ] || [ -e "$root$file" ] || cp -L --parents "$file" "$root"
done

cat >"$root/run" <<'RUN'
set -eu
say() { printf 'clean-machine: %s\n' "$*"; }
say "Node $(node --version), npm $(npm --version), $(git --version)"
git -c safe.directory='*' clone -q --template= /source /root/maesh
cd /root/maesh
say 'npm ci'
npm ci >/tmp/ci.log 2>&1 || { cat /tmp/ci.log; exit 1; }
cat /tmp/ci.log
case $(cat /tmp/ci.log) in
*'npm warn'* | *'npm error'*) say 'npm ci is not clean: see above'; exit 1 ;;
esac
if [ $# -gt 0 ]; then exec "$@"; fi
say 'npm start, until callers were served'
npm start >/tmp/start.log 2>&1 &
pid=$!
seconds=0
while case $(cat /tmp/start.log) in *'success 100'*) false ;; esac; do
  if [ $seconds -ge 200 ] || ! kill -0 $pid 2>/dev/null; then cat /tmp/start.log; say 'npm start served nobody'; exit 1; fi
  seconds=$((seconds + 1))
  sleep 1
done
kill -TERM $pid
# npm ends itself with the signal that it has passed on.
code=0
wait $pid || code=$?
tail -n 5 /tmp/start.log
case $code in 0 | 143) ;; *) say "npm start ended with $code"; exit 1 ;; esac
# A signal to npm ends the demo too, and the mesh with it: nothing is left behind.
left() {
  for each in /proc/[0-9]*/cmdline; do
    case $(tr '\0' ' ' <"$each" 2>/dev/null || true) in
    *demo/main.ts* | *src/cli/main.ts*) return 0 ;;
    esac
  done
  return 1
}
# A process that ends takes a moment to be gone.
seconds=0
while left; do
  if [ $seconds -ge 60 ]; then say 'npm start left a process behind'; exit 1; fi
  seconds=$((seconds + 1))
  sleep 1
done
say 'npm test'
npm test
RUN

# shellcheck disable=SC2016 # for the inner shell
unshare --mount --pid --fork --kill-child sh -c '
  root=$1; shift
  mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount -t sysfs sysfs "$root/sys" &&
    exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root \
      NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-}" SSL_CERT_FILE="${SSL_CERT_FILE:-}" sh /run "$@"
' sh "$root" "$@"
