#!/bin/sh
# Repositories are migrated while everything fails at random, drawn from a seed that is printed: notifications are
# lost, doubled and late, function processes are killed, the Data API fails, registry and writer are restarted. Each
# repository must come to the end that belongs to it, with no retry counted for what was not its own failure.
#
# usage: tests/chaos.sh [--repositories N] [--seed N] [--seconds N]
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh
echo "Building" >&2
cargo build --locked --quiet --workspace --bins --target-dir target
FUNCTIONS_DIR=$PWD/target/debug
export FUNCTIONS_DIR
exec target/debug/chaos "$@"
