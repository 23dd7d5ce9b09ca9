#!/bin/sh
# The command line for operators by example, from the first look to the report: runs each command against a stack, prints
# it with what it shows, and checks that.
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

REGISTRY_MIGRATION_API=$(jq -r .base_url "$stack")
jq -r .operator_token "$stack" >"$folder/token"
REGISTRY_MIGRATION_TOKEN_FILE=$folder/token
REGISTRY_MIGRATION_OPERATOR=ann
export REGISTRY_MIGRATION_API REGISTRY_MIGRATION_TOKEN_FILE REGISTRY_MIGRATION_OPERATOR
unset REGISTRY_MIGRATION_TOKEN REGISTRY_MIGRATION_CONFIG REGISTRY_MIGRATION_CA || true
shown=$folder/shown
checks=0

# run STATUS TEXT COMMAND...: runs it, shows it, and checks its exit status and that it shows a text.
run() {
    wanted=$1 text=$2
    shift 2
    printf '\n$ registry-migration'
    for word in "$@"; do
        case $word in *[!A-Za-z0-9=/_.,:-]*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    echo
    status=0
    "$FUNCTIONS_DIR/registry-migration" "$@" >"$shown" 2>&1 || status=$?
    cat "$shown"
    checks=$((checks + 1))
    if [ "$status" != "$wanted" ] || ! grep -qF -- "$text" "$shown"; then
        echo "Exit status $wanted and \"$text\" were expected, and not $status" >&2
        exit 1
    fi
}

say() {
    printf '\n\n# %s\n' "$@"
}

say "Nobody starts anything yet: nothing is eligible for the schedule."
run 0 'created_before: 2000-01-01T00:00:00Z' settings created_before=2000-01-01T00:00:00Z enabled=true capacity=4
"$FUNCTIONS_DIR/local" list-storage "$folder/images" |
    curl -fsS -o "$folder/registered" -X POST -H "Authorization: Bearer $(cat "$folder/token")" -H 'Content-Type: application/x-ndjson' \
        --data-binary @- "$REGISTRY_MIGRATION_API/repositories"
jq -e '.registered == 6' "$folder/registered" >/dev/null
run 0 '7 repositories' list
first=$("$FUNCTIONS_DIR/registry-migration" list --state default --json | jq -rs '.[0].path')
second=$("$FUNCTIONS_DIR/registry-migration" list --state default --json | jq -rs '.[1].path')

say "Does everything work? The doctor looks at each part, and migrates one repository to see a notification come."
run 0 'may import' doctor
run 0 "$first is migrated, by its notifications" doctor --canary "$first"

say "A repository that is not wanted is taken out, with a reason, and let in again."
run 0 'import_skipped' skip "$second" --reason not_in_plan
run 2 'functions/README.md#wrong-migration-state' retry "$second"
run 0 '1 would be reopened' reopen --all --state import_skipped
run 0 '1 reopened, 0 left' reopen --all --state import_skipped --yes

say "What waits for what?"
run 0 'next: settings' explain "$second"

say "Final steps are held by prefix, for everybody to see, and released."
run 0 'there is none' hold
run 0 'held until released' hold "${second%%/*}/" --reason 'their release is on Friday'
run 0 'their release is on Friday' hold
run 0 'only from 22:00 to 04:00 in Europe/Berlin' hold --all --window 22:00-04:00 --zone Europe/Berlin
run 2 'functions/README.md#no-hold' release no/such/prefix
run 0 'removed: every repository' release --all
run 0 'removed' release "${second%%/*}/"

say "Everything may go now. The table is shown until nothing is left."
run 0 'created_before: -' settings created_before=null
run 0 '0 left' status --watch --wait --interval 1
run 0 'migrations are on' status
run 0 '7 repositories' list --state import_done
run 0 'finish_import' history "$second"

say "What cannot be is refused, and the exit status says by whom."
run 1 'NAME=VALUE' settings enabled
run 2 'capacity: must be between 0 and 1000' settings capacity=5000
run 2 'functions/README.md#unknown-repository' explain no/such/repository
REGISTRY_MIGRATION_TOKEN_FILE=/dev/null run 1 'token' status
REGISTRY_MIGRATION_API=http://127.0.0.1:9 run 3 'cannot be reached' status

say "The end: who did what, when, and with how many tags."
run 0 'tags_complete' report --format csv
run 0 '"open":0' report --by-prefix

echo
echo "$checks commands showed what was expected"
