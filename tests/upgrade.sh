#!/bin/sh
# An upgrade and the way back: 50 repositories in every state on the schema and the functions of an earlier version. The
# schema is upgraded while those functions go on, then the present ones take over, then the earlier ones again on the
# present schema, until all is migrated. A notification a second is sent all the while: each must be answered 200. Builds
# the earlier functions from git's history, in target/earlier: many minutes the first time.
#
# usage: tests/upgrade.sh [--rows N]
#   N: so many repositories are there besides, all of them done; a million takes some minutes more
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh
# The last version that could be deployed before the scripts 0006 and later.
EARLIER=96ba353a4de057
SOURCE=target/earlier/source
RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)}
export RUSTUP_TOOLCHAIN
if [ ! -f "$SOURCE/.complete" ]; then
	rm -rf "$SOURCE"
	mkdir -p "$SOURCE"
	git archive --format=tar "$EARLIER" >target/earlier/source.tar
	tar -xf target/earlier/source.tar -C "$SOURCE"
	touch "$SOURCE/.complete"
fi
echo "Building the earlier functions" >&2
(
	cd "$SOURCE"
	set --
	for function in functions/*/; do set -- "$@" -p "$(basename "$function")"; done
	cargo build --locked --quiet --bins --target-dir ../target "$@"
)
echo "Building" >&2
cargo build --locked --quiet --workspace --bins --target-dir target
FUNCTIONS_DIR=$PWD/target/debug
EARLIER_FUNCTIONS_DIR=$PWD/target/earlier/target/debug
export FUNCTIONS_DIR EARLIER_FUNCTIONS_DIR
exec target/debug/upgrade "$@"
