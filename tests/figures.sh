#!/bin/sh
# Figures: the functions' sizes and dependencies, how soon the local stack is ready, what it holds, what each
# operation asks of the services, and what a notification costs beside its bare statement.
#
# usage: tests/figures.sh [--no-release|--plans]
# Without --no-release the functions are built as they are deployed, which takes minutes the first time. --plans shows
# only what a notification's statement costs the database beside plain ones, by custom and by generic plans.
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh

release=yes
only=
case ${1:-} in
'') ;;
--no-release) release= ;;
--plans) release= only=plans ;;
*) setup_fail "usage: tests/figures.sh [--no-release|--plans]" ;;
esac

echo "Building" >&2
cargo build --locked --quiet --workspace --bins --target-dir target
[ -z "$release" ] || cargo build --locked --quiet --release --bins --target-dir target

if [ -z "$only" ]; then
    printf 'Functions %47s %12s\n' crates 'release, MiB'
    for manifest in functions/*/Cargo.toml; do
        name=$(basename "$(dirname "$manifest")")
        crates=$(cargo tree --locked -p "$name" -e normal --prefix none | sed 's/ (.*//' | sort -u | wc -l)
        size=-
        [ -z "$release" ] || size=$(wc -c <"target/release/$name" | awk '{printf "%.1f", $1 / 1048576}')
        printf '  %-40s %14d %12s\n' "$name" "$crates" "$size"
    done
fi

FUNCTIONS_DIR=$PWD/target/debug
LOCAL_FOLDER=$(mktemp -d)
export FUNCTIONS_DIR LOCAL_FOLDER
trap 'rm -rf "$LOCAL_FOLDER"' EXIT
# shellcheck disable=SC2086 # none, or one word
target/debug/figures $only
