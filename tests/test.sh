#!/bin/sh
# Every check: format, lints, licences and bans, the template, unit tests, doc tests, integration tests. What CI
# runs.
#
# usage: tests/test.sh [STAGE...]   the stages: format lints deny template build tests doctests leftovers
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh

deny_version=0.20.2
deny=target/tools/bin/cargo-deny
stages=${*:-format lints deny template build tests doctests leftovers}
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
    if ! "$deny" --version 2>/dev/null | grep -q " $deny_version\$"; then
        echo "Building cargo-deny $deny_version into target/tools"
        # Its own profile: what matters is how soon it is there.
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
            cargo install --quiet --locked --root target/tools --target-dir target/tools/build \
            --version "=$deny_version" cargo-deny
        rm -rf target/tools/build
    fi
    "$deny" check --hide-inclusion-graph bans licenses sources
}

stage_template() {
    tests/template.sh
}

stage_build() {
    # shellcheck disable=SC2086
    cargo build $all --all-targets
}

stage_tests() {
    # The integration tests mostly wait for processes and servers: three times as many at once as CI has cores.
    RUST_TEST_THREADS=${RUST_TEST_THREADS:-6}
    export RUST_TEST_THREADS
    # Hundreds of servers come and go with all their files: on a disk that costs more than all that they do.
    if [ -z "${TMPDIR:-}" ] && [ "$(free_kilobytes /dev/shm)" -gt 4000000 ]; then
        export TMPDIR=/dev/shm
    fi
    # shellcheck disable=SC2086
    cargo test $all --all-targets --no-fail-fast
}

free_kilobytes() {
    df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 } END { if (NR < 2) print 0 }'
}

stage_doctests() {
    # shellcheck disable=SC2086
    cargo test $all --doc --no-fail-fast
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
