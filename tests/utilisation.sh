#!/bin/sh
# How well the slots are used: the share of the time that repositories waited in which the slots were held, and in
# which the registry was really at work. Everything is built as it is deployed, which takes minutes the first time.
#
# usage: tests/utilisation.sh [--repositories N] [--capacity N] [--shortest MILLISECONDS] [--longest MILLISECONDS] [--tail] [--seed N]
#        tests/utilisation.sh --throughput   how many repositories a second where a step takes no time, at capacities 1 to 32
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh

echo "Building" >&2
# By themselves first: what the local stack needs of a crate must not reach a function.
cargo build --locked --quiet --release --bins --target-dir target
# What they run on is optimised as well, and needs no more.
CARGO_PROFILE_RELEASE_OPT_LEVEL=3 CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    cargo build --locked --quiet --release -p suite --bin utilisation --target-dir target/utilisation
FUNCTIONS_DIR=$PWD/target/release
export FUNCTIONS_DIR
exec target/utilisation/release/utilisation "$@"
