#!/bin/sh
# The command line for operators by example, from the doctor to the report, against a local stack. What is run and what it
# must show is in tests/command/transcript.sh, which tests/rehearsal.sh runs against the deployed stack.
#
# usage: tests/command.sh
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh
if [ -z "${FUNCTIONS_DIR:-}" ]; then
    echo "Building (a minute or two the first time)" >&2
    cargo build --locked --quiet --workspace --bins --target-dir target
    FUNCTIONS_DIR=$PWD/target/debug
    export FUNCTIONS_DIR
fi
folder=$(mktemp -d)
up=
trap '[ -z "$up" ] || { kill -TERM $up; wait $up; } 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
# One at first: what the stack finds in its storage it registers and migrates at once.
"$FUNCTIONS_DIR/local-registry" make-storage "$folder/images" --repositories 1 >&2
LOCAL_FOLDER=$folder/stack "$FUNCTIONS_DIR/local" up --storage "$folder/images" >"$folder/ready" &
up=$!
until [ -s "$folder/ready" ]; do
    kill -0 $up 2>/dev/null || exit 1
    sleep 0.1
done
stack=$folder/stack/stack.json
"$FUNCTIONS_DIR/local-registry" make-storage "$folder/images" --repositories 7 >&2
"$FUNCTIONS_DIR/local" list-storage "$folder/images" >"$folder/repositories"

REGISTRY_MIGRATION_API=$(jq -r .base_url "$stack")
jq -r .operator_token "$stack" >"$folder/token"
REGISTRY_MIGRATION_TOKEN_FILE=$folder/token
REGISTRY_MIGRATION_OPERATOR=ann
export REGISTRY_MIGRATION_API REGISTRY_MIGRATION_TOKEN_FILE REGISTRY_MIGRATION_OPERATOR
tests/command/transcript.sh "$FUNCTIONS_DIR/registry-migration" "$(jq -r .registry_url "$stack")" "$folder/repositories"
