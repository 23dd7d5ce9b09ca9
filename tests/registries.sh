#!/usr/bin/env bash
# The registries that the local ones are named for answer the same questions with the same answers: distribution 2 (Debian's
# docker-registry) and distribution 3, which is built from its sources into target/tools where Go is there.
#
# usage: tests/registries.sh
# Leaves nothing that runs.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. tests/registry/outside.sh
export CARGO_PROFILE_DEV_DEBUG=${CARGO_PROFILE_DEV_DEBUG:-0}
cargo build --locked --quiet --workspace --target-dir target --bin local-registry

# compare PERSONALITY ADDRESS
compare() {
    target/debug/local-registry compare-distribution --personality "$1" "http://$2" >"$work/$1.json" ||
        { cat "$work/$1.json" >&2; echo "FAILED $1" >&2; exit 1; }
    echo "ok  $1 answers as the real one does ($(tail -1 "$work/$1.json" | field questions) questions)"
}

docker_registry debian "$work/debian"
compare distribution-2 "$address"

registry=$(tests/registry/distribution-3.sh) || {
    [ $? = 3 ] && echo "NOT DONE distribution 3" && exit
    exit 1
}
cat >"$work/distribution.yml" <<YML
version: 0.1
storage:
  filesystem: {rootdirectory: "$work/distribution"}
  delete: {enabled: true}
http: {addr: "127.0.0.1:0"}
YML
OTEL_TRACES_EXPORTER=none "$registry" serve "$work/distribution.yml" >"$work/distribution.log" 2>&1 &
pids+=($!)
until_ok grep -q 'listening on 127' "$work/distribution.log"
compare distribution-3 "$(grep -o 'listening on 127[0-9.:]*' "$work/distribution.log" | head -1 | cut -d' ' -f3)"
