#!/bin/sh
# Looks for known holes in the dependencies, in the RustSec database as it is at this moment. It is no part of
# tests/test.sh, since its answer changes without a commit: run it each day. It fails when it cannot look.
#
# usage: tests/advisories.sh
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh
setup_cargo_deny

# A database from yesterday would hide what was found today.
database=target/advisories
rm -rf "$database"
status=0
target/tools/bin/cargo-deny check --hide-inclusion-graph advisories || status=$?
if [ -z "$(find "$database" -name 'RUSTSEC-*.md' 2>/dev/null | head -n 1)" ]; then
    setup_fail "The database of advisories cannot be fetched: nothing was looked for."
fi
exit "$status"
