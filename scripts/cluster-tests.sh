#!/bin/sh
# `npm run test:cluster -- [FILE...]`: installs what the tests need, and runs them, or those of the files.
set -eu
cd "$(dirname "$0")/.."
scripts/cluster-tools.sh
[ $# -gt 0 ] || set -- 'test/cluster/*.cluster.ts'
# The Node of the project, also where npm has not put it first.
PATH=$PWD/node_modules/.bin:$PATH
exec node --test --test-concurrency=1 --test-timeout=1200000 "$@"
