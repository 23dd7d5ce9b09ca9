#!/bin/sh
# The HTTP API against its description (GET /openapi.json): thousands of calls that are made from it, valid ones and
# wrong ones, each answer compared with it. All checks of schemathesis are on, from a fixed seed, against a stack of its
# own. Every operation must be answered with a success at least once, and none with a 5xx.
#
# usage: tests/contract.sh [OPTION...]   options for schemathesis, such as --include-operation-id start
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh

contract_version=4.32.5
contract_venv=$setup_tools/contract
if [ ! -e "$contract_venv/schemathesis-$contract_version" ]; then
    echo "Installing schemathesis $contract_version into target/tools" >&2
    rm -rf "$contract_venv"
    python3 -m venv "$contract_venv" >&2
    "$contract_venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$contract_version" >&2
    touch "$contract_venv/schemathesis-$contract_version"
fi

CONTRACT_PSQL=$(command -v psql || ls /usr/lib/postgresql/*/bin/psql | tail -n 1)
export CONTRACT_PSQL

folder=$(mktemp -d)
up=
gateway=
trap 'for pid in $gateway $up; do { kill -TERM $pid; wait $pid; } 2>/dev/null || :; done; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
if [ -z "${FUNCTIONS_DIR:-}" ]; then
    echo "Building (a minute or two the first time)" >&2
    cargo build --locked --quiet --workspace --bins --target-dir target
    FUNCTIONS_DIR=$PWD/target/debug
    export FUNCTIONS_DIR
fi
LOCAL_FOLDER=$folder/stack "$FUNCTIONS_DIR/local" up --no-schedule >"$folder/ready" &
up=$!
until [ -s "$folder/ready" ]; do
    kill -0 $up 2>/dev/null || exit 1
    sleep 0.1
done
CONTRACT_STACK=$folder/stack/stack.json
CONTRACT_LOG=$folder/answers.ndjson
CONTRACT_TOKEN=$(jq -r .operator_token "$CONTRACT_STACK")
CONTRACT_SECRET=$(jq -r .notification_secret "$CONTRACT_STACK")
export CONTRACT_STACK CONTRACT_LOG CONTRACT_TOKEN CONTRACT_SECRET
base=$(jq -r .base_url "$CONTRACT_STACK")
"$contract_venv/bin/python" tests/contract/gateway.py "$base" Cargo.toml "$folder/gateway" &
gateway=$!
until [ -s "$folder/gateway" ]; do
    kill -0 $gateway 2>/dev/null || exit 1
    sleep 0.1
done
base=$(cat "$folder/gateway")
curl -fsS -m 10 -o "$folder/openapi.json" "$base/openapi.json"

status=0
root=$PWD
# It keeps what it has seen beside it.
(
    cd "$folder"
    PYTHONPATH=$root/tests/contract "$contract_venv/bin/schemathesis" --config-file "$root/tests/contract/schemathesis.toml" \
        run openapi.json --url "$base" --checks all --workers 4 "$@"
) || status=$?
[ $# = 0 ] || exit $status
"$contract_venv/bin/python" tests/contract/result.py "$CONTRACT_LOG" "$folder/openapi.json" || status=1
exit $status
