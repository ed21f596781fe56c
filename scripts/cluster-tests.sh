#!/bin/sh
# `npm run test:cluster -- [FILE...]`: installs what the tests need, and runs them, or those of the files.
set -eu
cd "$(dirname "$0")/.."
scripts/cluster-tools.sh
[ $# -gt 0 ] || set -- 'test/cluster/*.cluster.ts'
exec node --test --test-concurrency=1 --test-timeout=1200000 "$@"
