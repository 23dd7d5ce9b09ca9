#!/bin/sh
# Feeds everything that comes from outside with rubbish (tests/fuzz), and holds what becomes of it against what is
# promised. Each target must first find a fault that is planted in it. The suite runs the corpus by itself.
#
# usage: tests/fuzz.sh [--seconds N] [--at-once N] [--minimise] [TARGET...]
# --seconds says for how long each target is run, by default 600, and --at-once how many of them run at a time, by default
# two. --minimise makes the corpus of each target as small as it can be with the same coverage. Installs cargo-fuzz into target/tools and a nightly of Rust by
# rustup; without that nightly the same targets run on the version that the code is checked with, without a sanitizer.
set -eu

cd "$(dirname -- "$0")/.."
setup_programs=g++=g++
. tests/setup.sh

seconds=600
at_once=2
minimise=
targets=
while [ "$#" -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2 && shift ;;
    --at-once) at_once=$2 && shift ;;
    --minimise) minimise=yes ;;
    -*) setup_fail "usage: tests/fuzz.sh [--seconds N] [--at-once N] [--minimise] [TARGET...]" ;;
    *) targets="$targets $1" ;;
    esac
    shift
done
[ -n "$targets" ] || targets=$(cd tests/fuzz/corpus && echo *)

# The day of a nightly of the version that the code is checked with, or a little newer.
nightly=nightly-2026-05-20
setup_cargo_tool cargo-fuzz 0.13.2
PATH=$PATH:$setup_tools/bin
export PATH
sanitizer=address
if rustup toolchain list 2>/dev/null | grep -q "^$nightly" ||
    { echo "Installing $nightly by rustup" >&2 && rustup toolchain install "$nightly" --profile minimal >&2; }; then
    RUSTUP_TOOLCHAIN=$nightly
    export RUSTUP_TOOLCHAIN
else
    echo "There is no $nightly to be had: the targets run on $(rustc --version), without a sanitizer" >&2
    sanitizer=none
fi

# What counts is how soon it is built, and that it is instrumented.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
export CARGO_PROFILE_RELEASE_STRIP=false

work=target/fuzz
echo "Building" >&2
cargo fuzz build --fuzz-dir tests/fuzz --target-dir "$work" --features libfuzzer --sanitizer "$sanitizer" \
    --no-cfg-fuzzing --debug-assertions --codegen-units 16
program=$(echo "$work"/*/release/fuzz)
[ -x "$program" ] || setup_fail "cargo-fuzz has built no $program"

# feed TARGET ARGUMENT...
feed() {
    target=$1 && shift
    ASAN_OPTIONS=detect_odr_violation=0 FUZZ_TARGET=$target nice -n 19 "$program" -rss_limit_mb=4096 -max_len=4096 "$@"
}

mkdir -p "$work/found" "$work/logs"

# A fault that is planted: whoever does not find that finds nothing. The search begins with what does not show it.
find_planted() {
    folder=$(mktemp -d)
    for file in "tests/fuzz/corpus/$1"/*; do
        ! FUZZ_PLANTED=1 feed "$1" "$file" >/dev/null 2>&1 || cp "$file" "$folder"
    done
    status=0
    FUZZ_PLANTED=1 feed "$1" "$folder" -max_total_time=600 \
        -artifact_prefix="$folder/" >"$work/logs/$1.planted" 2>&1 || status=$?
    found=$(find "$folder" -name 'crash-*' | wc -l)
    rm -rf "$folder"
    if [ "$status" = 0 ] || [ "$found" = 0 ]; then
        echo "$1: does not find the planted fault: $work/logs/$1.planted" >&2
        return 1
    fi
    echo "$1: finds the planted fault"
}

# What is found besides goes into a folder of its own, so that only what is minimised reaches the corpus.
search() {
    mkdir -p "$work/corpus/$1"
    if ! feed "$1" "$work/corpus/$1" "tests/fuzz/corpus/$1" -max_total_time="$seconds" -timeout=60 \
        -print_final_stats=1 -artifact_prefix="$work/found/$1-" >"$work/logs/$1" 2>&1; then
        echo "$1: breaks a promise: $work/logs/$1, the input is in $work/found" >&2
        return 1
    fi
    printf '%s: %s inputs in %s s, none of them breaks a promise\n' "$1" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/logs/$1")" "$seconds"
    [ -z "$minimise" ] || shrink "$1"
}

shrink() {
    whole=$(mktemp -d)
    cp "$work/corpus/$1"/* "tests/fuzz/corpus/$1"/* "$whole"
    mkdir "$whole/least"
    feed "$1" -merge=1 "$whole/least" "$whole" >"$work/logs/$1.minimised" 2>&1
    rm -rf "tests/fuzz/corpus/$1"
    mkdir "tests/fuzz/corpus/$1"
    # The smallest ones, so that the suite's corpus stays small.
    find "$whole/least" -type f -printf '%s %p\n' | sort -n | head -n 28 | while read -r _ file; do
        cp "$file" "tests/fuzz/corpus/$1/$(basename "$file" | cut -c1-16)"
    done
    rm -rf "$whole"
}

failed=
running=
wait_for() {
    for process in $running; do
        wait "$process" || failed=yes
    done
    running=
}
for target in $targets; do
    (find_planted "$target" && search "$target") &
    running="$running $!"
    # shellcheck disable=SC2086 # a word each
    set -- $running
    [ "$#" -lt "$at_once" ] || wait_for
done
wait_for
[ -z "$failed" ]
