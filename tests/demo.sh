#!/bin/sh
# The main job: container repositories are migrated while the replica lags, watched live and checked.
#
# usage: tests/demo.sh [--chaos] [--storage DIR] [--keep] [--lag MILLISECONDS] [--step-time MILLISECONDS]
#                      [--repositories N]
#   --chaos  the registry is restarted twice in the middle, and cuts off what it is importing
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
caller=$PWD
cd "$root"
. tests/setup.sh
echo "Building (a minute or two the first time)" >&2
cargo build --locked --quiet --workspace --bins --target-dir target
export FUNCTIONS_DIR="$root/target/debug"
# DIR may be relative to the caller's folder.
cd "$caller"
exec "$root/target/debug/local" demo "$@"
