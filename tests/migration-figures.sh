#!/usr/bin/env bash
# The importer beside the tools that people use, in one run, between the same registries: time, CPU, memory, requests,
# bytes, and what each lost. Prints a table and writes target/migration-figures.json.
#
# usage: tests/migration-figures.sh [--rounds N] [--delay MILLISECONDS] [--tools ours,crane,regsync,skopeo]
#                                   [--jobs fleet,delayed,again,giant]
# Without --jobs it is all but giant, one repository of 5 GB. Installs skopeo where it is missing (apt-get, as root or
# through sudo), unpacks docker-registry, and builds crane, regsync and distribution 3 into target/tools where Go is there.
# Needs 4 GB where TMPDIR is, and 14 GB with giant; without TMPDIR it is all kept in memory where that is to spare. Takes half
# an hour for each round. Leaves nothing that runs.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. tests/setup.sh
. tests/registry/outside.sh
# On a disk it is the disk that would be measured.
setup_memory 14000000

echo "Building (some minutes the first time)" >&2
export CARGO_PROFILE_RELEASE_OPT_LEVEL=3 CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
for package in command local-registry; do
    cargo build --locked --quiet --release --package "$package" --bins --target-dir target/migrate
done

arguments=(--ours "$PWD/target/migrate/release/registry-migration" --skopeo "$(command -v skopeo)"
    --distribution-2 "$(command -v docker-registry)" --json "$PWD/target/migration-figures.json")
if command -v go >/dev/null; then
    crane=$(go_program crane v0.22.1 github.com/google/go-containerregistry/cmd/crane)
    regsync=$(go_program regsync v0.11.7 github.com/regclient/regclient/cmd/regsync)
    arguments+=(--crane "$crane" --regsync "$regsync" --distribution-3 "$(tests/registry/distribution-3.sh)")
else
    echo "NOT DONE crane, regsync, distribution 3: Go is not on PATH, so they cannot be built (https://go.dev/dl)"
fi
target/migrate/release/migration-figures "${arguments[@]}" "$@"
