#!/bin/sh
# Changes the core (shared::migration) and the decisions on endpoints (shared::endpoint) by cargo-mutants, one place at a
# time, and runs their unit tests, and no others, on each. Fails for a change that no test sees. tests/mutation.toml says
# where changes are made, and lists those that make no difference, each with why.
#
# usage: tests/mutation.sh [ARGUMENT...]   arguments of `cargo mutants`: --list, --shard 0/8, or --re EXPRESSION, which is
#     sought in the lines of --list (--file would add to the files that tests/mutation.toml names)
# The tree is copied next to target; about 750 changes, 10 to 20 seconds each on a machine at rest.
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh
setup_cargo_mutants

mkdir -p target/mutation
# On a disk: a build of its own does not fit into memory everywhere.
TMPDIR=$PWD/target/mutation
CARGO_PROFILE_DEV_DEBUG=0
export TMPDIR CARGO_PROFILE_DEV_DEBUG
exec target/tools/bin/cargo-mutants mutants --config tests/mutation.toml --output target/mutation --package shared \
    --jobs 1 --minimum-test-timeout 120 --cargo-arg=--lib --cargo-arg=--locked "$@" -- -- migration:: endpoint::
