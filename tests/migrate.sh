#!/bin/sh
# Copies container repositories from one registry to another on this machine, and proves that both are equal. Builds the
# command line and calls its `run`.
#
# usage: tests/migrate.sh --from URL --to URL --state DIR [OPTION...]     all options: tests/migrate.sh --help
#        tests/migrate.sh limit --state DIR [LIMIT...]                      changes the limits of a run
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
caller=$PWD
cd "$root"
. tests/setup.sh
echo "Building (some minutes the first time)" >&2
# Optimised, since it hashes every byte; without what makes a build of the functions small and slow to make.
CARGO_PROFILE_RELEASE_OPT_LEVEL=3 CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    cargo build --locked --quiet --release --package command --target-dir target/migrate
# DIR may be relative to the caller's folder.
cd "$caller"
case ${1-} in
limit | help) ;;
*) set -- run "$@" ;;
esac
exec "$root/target/migrate/release/registry-migration" "$@"
