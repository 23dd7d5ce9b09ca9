#!/bin/sh
# Every check: format, lints, licences and bans, unused dependencies, the template, unit tests, doc tests, integration
# tests, the page in a browser, the documentation. What CI runs. Known holes in dependencies: tests/advisories.sh.
#
# usage: tests/test.sh [STAGE...]   the stages: format lints deny unused template build tests doctests browser doc leftovers
set -eu

cd "$(dirname -- "$0")/.."
setup_programs=skopeo=skopeo
. tests/setup.sh

stages=${*:-format lints deny unused template build tests doctests browser doc leftovers}
failed=
summary=

# All of it is built once, with the features of the whole workspace; the functions that are tried are from the
# same build.
export FUNCTIONS_DIR="$PWD/target/debug"
all='--locked --workspace --target-dir target'

stage_format() {
    cargo fmt --all --check
}

stage_lints() {
    # shellcheck disable=SC2086 # several words
    cargo clippy $all --all-targets -- -D warnings
}

stage_deny() {
    setup_cargo_deny
    target/tools/bin/cargo-deny check --hide-inclusion-graph bans licenses sources
}

# A dependency that a crate names and does not use.
stage_unused() {
    setup_cargo_tool cargo-machete 0.9.2
    target/tools/bin/cargo-machete
}

# The documentation of everything, private items too: a link that leads nowhere is an error.
stage_doc() {
    # shellcheck disable=SC2086
    RUSTDOCFLAGS=-Dwarnings cargo doc $all --no-deps --document-private-items
}

stage_template() {
    tests/template.sh
}

stage_build() {
    # shellcheck disable=SC2086
    cargo build $all --all-targets
}

stage_tests() {
    # Some tests compare with it.
    tests/registry/unpack.sh
    # The integration tests mostly wait for processes and servers: three times as many at once as CI has cores.
    RUST_TEST_THREADS=${RUST_TEST_THREADS:-6}
    export RUST_TEST_THREADS
    # Hundreds of servers come and go with all their files: on a disk that costs more than all that they do.
    setup_memory 4000000
    # shellcheck disable=SC2086
    cargo test $all --all-targets --no-fail-fast
}

stage_doctests() {
    # shellcheck disable=SC2086
    cargo test $all --doc --no-fail-fast
}

# The operators' page in a real browser.
stage_browser() {
    # shellcheck disable=SC2086
    cargo build $all --all-targets
    BIN=$FUNCTIONS_DIR tests/browser.sh
}

# What this tree's processes have left running.
stage_leftovers() {
    tests/leftovers.sh "$PWD/target/debug/" /postgres-pair-
}

for stage in $stages; do
    printf '\n=== %s\n' "$stage"
    began=$(date +%s)
    # In a shell of its own: under "if" or "||" a failure inside it would go on unnoticed.
    set +e
    (set -e; "stage_$stage")
    status=$?
    set -e
    if [ "$status" = 0 ]; then result=ok; else result="FAILED ($status)" failed="$failed $stage"; fi
    summary="$summary$(printf '%-12s %5d s  %s' "$stage" "$(($(date +%s) - began))" "$result")
"
done

printf '\n=== summary\n%s' "$summary"
if [ -n "$failed" ]; then
    echo "Failed:$failed"
    exit 1
fi
