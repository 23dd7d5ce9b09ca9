#!/bin/sh
# Explores the model of the whole protocol (tests/model) within larger bounds than tests/test.sh does, and shows for each
# how many different worlds it met. Ends with the first trace in which a property falls.
#
# usage: tests/model.sh [ARGUMENT...]   one exploration within bounds of one's own; --help names them
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh

echo "Building" >&2
cargo build --locked --quiet --workspace --target-dir target --bin protocol-model

explore() {
    echo "$*"
    target/debug/protocol-model --threads "$(nproc)" "$@"
}

if [ "$#" -gt 0 ]; then
    explore "$@"
    exit
fi
# One repository and many faults: everything within the bounds.
explore --repositories 1 --faults 2 --operations 1 --whole --at-least 2000000
# An operator who does more.
explore --repositories 1 --faults 1 --operations 2 --whole --at-least 1000000
# Two repositories: everything with one in progress at once, and millions of worlds with two.
explore --capacity 1 --faults 1 --operations 1 --whole --at-least 2000000
explore --capacity 2 --faults 1 --operations 1 --steps 8000000 --at-least 1000000
