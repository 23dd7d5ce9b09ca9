#!/bin/sh
# Builds distribution 3 from its sources into target/tools, where Go is there, and prints the program's path. Where Go is
# missing it says so and ends with 3.
set -eu

version=v3.1.2
tools=$(cd "$(dirname -- "$0")/../.." && pwd)/target/tools/distribution-$version
if [ ! -x "$tools/registry" ]; then
    command -v go >/dev/null || {
        echo "Go is not on PATH, so distribution 3 cannot be built (https://go.dev/dl)" >&2
        exit 3
    }
    echo "Building distribution $version into target/tools (minutes)" >&2
    GOBIN=$tools go install "github.com/distribution/distribution/v3/cmd/registry@$version" >&2
fi
echo "$tools/registry"
