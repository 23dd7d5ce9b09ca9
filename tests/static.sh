#!/bin/sh
# Builds `registry-migration` as one static program for x86-64 Linux: musl, linked by the zig that came with cargo-lambda.
# Checks that it needs no library of the machine, and runs it in an empty root where that is allowed.
#
# usage: tests/static.sh [FILE]   FILE: where the program is put (target/registry-migration)
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh

static_target=x86_64-unknown-linux-musl
static_zigbuild=0.24.1
static_file=${1:-target/registry-migration}
[ -x "$setup_tools/venv/bin/python" ] || setup_fail "cargo-lambda is not in target/tools: it is on PATH, without its zig"
if [ ! -x "$setup_tools/venv/bin/cargo-zigbuild" ]; then
    echo "Installing cargo-zigbuild $static_zigbuild into target/tools" >&2
    "$setup_tools/venv/bin/pip" install --quiet --disable-pip-version-check "cargo-zigbuild==$static_zigbuild" >&2
fi
PATH=$setup_tools/venv/bin:$PATH
rustup target add "$static_target" >&2

echo "Building (many minutes the first time)" >&2
CARGO_PROFILE_RELEASE_OPT_LEVEL=3 CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    cargo zigbuild --locked --quiet --release --package command --bin registry-migration \
    --target "$static_target" --target-dir target/static
cp "target/static/$static_target/release/registry-migration" "$static_file"

# A program that is loaded by another one names it (PT_INTERP), and one with libraries has a dynamic section that needs
# some (DT_NEEDED).
python3 - "$static_file" <<'END'
import struct
import sys

data = open(sys.argv[1], "rb").read()
assert data[:6] == b"\x7fELF\x02\x01", "no ELF file of 64 bits"
begin, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
headers = [struct.unpack_from("<IIQQQQ", data, begin + size * index) for index in range(count)]
if any(kind == 3 for kind, *_ in headers):
    sys.exit("FAILED it is loaded by another program: it is not static")
for kind, _, offset, _, _, length in headers:
    for entry in range(offset, offset + length, 16) if kind == 2 else ():
        if struct.unpack_from("<q", data, entry)[0] == 1:
            sys.exit("FAILED it needs a library")
END
echo "ok  it needs no loader and no library"
if [ "$(id -u)" = 0 ]; then
    root=$(mktemp -d)
    cp "$static_file" "$root/registry-migration"
    shown=$(chroot "$root" /registry-migration --version)
    rm -rf "$root"
    echo "ok  in an empty root it says: $shown"
fi
echo "$static_file: $(stat -c %s "$static_file" | awk '{ printf "%.1f MB", $1 / 1000000 }')"
