#!/bin/sh
# `npm run test:cluster -- [FILE...]`: installs what the tests need, and runs them, or those of the files.
set -eu
cd "$(dirname "$0")/.."
scripts/cluster-tools.sh
# The Node of the project, also where npm has not put it first.
PATH=$PWD/node_modules/.bin:$PATH

# run FILES_AT_A_TIME FILE...
run() {
  count=$1
  shift
  node --test --test-concurrency="$count" --test-timeout=1200000 "$@"
}

if [ $# -gt 0 ]; then
  run 1 "$@"
  exit
fi

# What measures time has the machine to itself. The others wait most of the time, for a look that comes every 30 s or a Pod
# that takes its leave, so two of them go together, each with a cluster of its own.
alone='control-faults data-faults latency ports'
set --
for file in test/cluster/*.cluster.ts; do
  name=$(basename "$file" .cluster.ts)
  case " $alone " in
    *" $name "*) ;;
    *) set -- "$@" "$file" ;;
  esac
done
together=$*
set --
for name in $alone; do set -- "$@" "test/cluster/$name.cluster.ts"; done
if [ "${MAESH_TEST_EXTERNAL:-}" = 1 ]; then
  # There is one cluster for all.
  # shellcheck disable=SC2086 # the list is meant to be split
  run 1 "$@" $together
  exit
fi
run 1 "$@"
# shellcheck disable=SC2086 # the list is meant to be split
run 2 $together
