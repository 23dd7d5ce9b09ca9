#!/usr/bin/env bash
# What is deployed, built as it is deployed: `sam build` makes every function's artefact for arm64, and one of them is
# run here under qemu through an invocation: an event of an HTTP API in, its answer out. Takes many minutes.
#
# usage: tests/sam-build.sh [--no-build]   --no-build: run what .aws-sam holds already
# Installs qemu-user and arm64's libc where they are missing (apt-get, as root or through sudo).
set -euo pipefail
cd "$(dirname -- "$0")/.."
. tests/setup.sh
# cargo lambda links for arm64 with the zig that came with it.
PATH=$PWD/target/tools/venv/bin:$PATH

packages=
command -v qemu-aarch64 >/dev/null 2>&1 || packages="$packages qemu-user"
[ -e /usr/aarch64-linux-gnu/lib/libc.so.6 ] || packages="$packages libc6-arm64-cross"
[ -e /usr/aarch64-linux-gnu/lib/libgcc_s.so.1 ] || packages="$packages libgcc-s1-arm64-cross"
if [ -n "$packages" ]; then
    echo "Installing:$packages" >&2
    as_root=
    [ "$(id -u)" = 0 ] || as_root="sudo -n"
    # shellcheck disable=SC2086 # one word per package
    $as_root sh -euc "$(setup_apt $packages)" >&2
fi
rustup target add aarch64-unknown-linux-gnu

# What the template is checked with also builds it.
tests/template.sh
if [ "${1-}" != --no-build ]; then
    SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-central-1 target/tools/sam/bin/sam build
fi

built=.aws-sam/build
for function in functions/*/; do
    name=$(basename "$function")
    # StartMigration is built from start-migration.
    id=$(echo "$name" | sed -E 's/(^|-)([a-z])/\U\2/g')
    artefact=$built/$id/bootstrap
    [ -f "$artefact" ] || { echo "FAILED there is no artefact of $name" >&2; exit 1; }
    # An ELF file's machine is at byte 18: 183 is AArch64.
    [ "$(od -An -tu2 -j18 -N2 "$artefact" | tr -d ' ')" = 183 ] || { echo "FAILED $name is not for arm64" >&2; exit 1; }
    printf 'ok  %-24s %5.1f MB, for arm64\n' "$name" "$(stat -c %s "$artefact" | awk '{ print $1 / 1000000 }')"
done

# What is put beside the functions that read directly: at the top of the layer, where they look for it.
layer=$(awk '/^  Authorities:/ { there = 1 } there && /ContentUri:/ { print $2; exit }' "$built/template.yaml")
cmp "$built/$layer/rds-ca.pem" shared/direct/authorities/rds-ca.pem
echo "ok  the layer with the authorities is $layer"

# The local stack without its functions; the artefact joins a cargo lambda as one of its own.
echo "Building the local stack" >&2
cargo build --locked --quiet -p local --bins --target-dir target
work=$(mktemp -d)
pids=()
end() {
    for pid in "${pids[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT
LOCAL_FOLDER=$work target/debug/local up --no-functions >"$work/stack.out" 2>"$work/stack.err" &
stack=$!
pids+=("$stack")
until [ -f "$work/stack.json" ]; do
    kill -0 "$stack" 2>/dev/null || { cat "$work/stack.err" >&2; exit 1; }
    sleep 0.2
done
PYTHONDONTWRITEBYTECODE=1 python3 tests/sam-build/invoke.py "$work" "$built/MigrationStatus/bootstrap"
