#!/bin/sh
# Repositories are migrated while everything fails at random, drawn from a seed that is printed: notifications are lost,
# doubled and late, function processes are killed, the Data API fails, registry and writer are restarted, the reader goes
# silent, foreign pages answer in the registry's place, and secrets are rotated. Each repository must come to the end that
# belongs to it, by the database and by its digests, with no retry counted for what was not its own failure.
#
# usage: tests/chaos.sh [--repositories N] [--capacity N] [--engine registry|importer] [--seed N] [--runs N] [--seconds N]
#        tests/chaos.sh size [--seed N]   2000 repositories at capacity 100; 200 at capacity 25 with ten seeds; and these
#                                         200 once more with the importer
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh
echo "Building" >&2
cargo build --locked --quiet --workspace --bins --target-dir target
FUNCTIONS_DIR=$PWD/target/debug
export FUNCTIONS_DIR
if [ "${1-}" != size ]; then
    exec target/debug/chaos "$@"
fi
shift
target/debug/chaos --repositories 2000 --capacity 100 --seconds 180 "$@"
target/debug/chaos --repositories 200 --capacity 25 --runs 10 "$@"
target/debug/chaos --repositories 200 --capacity 25 --engine importer "$@"
