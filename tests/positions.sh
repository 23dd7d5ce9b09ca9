#!/bin/sh
# 10,000 status reads that name what their caller has seen, with the reader from 0 ms behind to paused for ever: none is
# answered with something older, and the share that the reader answered is printed.
#
# usage: tests/positions.sh
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh

cargo build --locked --workspace --bins --target-dir target
FUNCTIONS_DIR=$PWD/target/debug exec target/debug/positions
