#!/bin/sh
# The whole HTTP API by example: sends each request, prints it with its answer, and checks what the answer shows.
#
# usage: tests/requests.sh [--stack FILE]
#   --stack FILE  use a stack that runs (`target/debug/local up` prints its FILE) instead of starting one.
#                 It needs repositories in its storage, slow steps and no schedule:
#                   target/debug/local-registry make-storage /tmp/images --repositories 6
#                   target/debug/local up --storage /tmp/images --step-time 60000 --no-schedule
set -eu

case "${1:-} ${2:+FILE} ${3:+more}" in
"--stack FILE ") stack=$2 ;;
"  ") stack= ;;
*)
    sed -n '4,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
command -v curl >/dev/null && command -v jq >/dev/null || {
    echo "curl and jq are needed: apt-get install -y curl jq" >&2
    exit 1
}

folder=$(mktemp -d)
up=
trap '[ -z "$up" ] || { kill -TERM $up; wait $up; } 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
if [ -z "$stack" ]; then
    cd "$(dirname -- "$0")/.."
    . tests/setup.sh
    if [ -z "${FUNCTIONS_DIR:-}" ]; then
        echo "Building (a minute or two the first time)" >&2
        cargo build --locked --quiet --workspace --bins --target-dir target
        FUNCTIONS_DIR=$PWD/target/debug
        export FUNCTIONS_DIR
    fi
    "$FUNCTIONS_DIR/local-registry" make-storage "$folder/images" --repositories 6 >&2
    LOCAL_FOLDER=$folder/stack "$FUNCTIONS_DIR/local" up --storage "$folder/images" --step-time 60000 --no-schedule \
        >"$folder/ready" &
    up=$!
    until [ -s "$folder/ready" ]; do
        kill -0 $up 2>/dev/null || exit 1
        sleep 0.1
    done
    stack=$folder/stack/stack.json
fi

BASE=$(jq -r .base_url "$stack")
TOKEN=$(jq -r .operator_token "$stack")
SECRET=$(jq -r .notification_secret "$stack")
REGISTRY=$(jq -r .registry_url "$stack")
answer=$folder/answer
checks=0

# call METHOD PATH [BODY]: a request of an operator's.
call() {
    echo
    echo "\$ curl -X $1 -H \"Authorization: Bearer \$TOKEN\"${3:+ -H 'Content-Type: application/json' -d '$3'} \"\$BASE$2\""
    if [ $# = 3 ]; then
        send -X "$1" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d "$3" "$BASE$2"
    else
        send -X "$1" -H "Authorization: Bearer $TOKEN" "$BASE$2"
    fi
}

# notify PATH STATUS: what the registry sends when a step has ended.
notify() {
    body="{\"name\":\"${1##*/}\",\"path\":\"$1\",\"status\":\"$2\",\"detail\":\"\"}"
    url=/api/v4/internal/registry/repositories/$1/migration/status
    echo
    echo "\$ curl -X PUT -H \"Authorization: \$SECRET\" -H 'X-Request-ID: $ATTEMPT' -H 'Content-Type: application/json' -d '$body' \"\$BASE$url\""
    send -X PUT -H "Authorization: $SECRET" -H "X-Request-ID: $ATTEMPT" -H 'Content-Type: application/json' -d "$body" \
        "$BASE$url"
}

send() {
    status=$(curl -s -m 30 -o "$answer" -w '%{http_code}' "$@")
    echo "$status"
    jq . "$answer" 2>/dev/null || cat "$answer"
}

# expect STATUS [FILTER]: the last answer has this status, and the jq filter says true of its body.
expect() {
    checks=$((checks + 1))
    if [ "$status" != "$1" ] || { [ $# = 2 ] && ! jq -e "$2" "$answer" >/dev/null; }; then
        echo "This answer was expected: $*" >&2
        exit 1
    fi
}

say() {
    printf '\n\n# %s\n' "$@"
}

say "The settings. The kill switch is off in a new database; a change holds for every statement that starts after it."
call GET /settings
expect 200 '.capacity'
call PATCH /settings '{"enabled":true,"capacity":5}'
expect 200 '.enabled and .capacity == 5'

say "Hold the final steps of a prefix until it is released, or but for a window. (A name in X-Operator is kept with every change.)"
call PUT /holds '{"prefix":"frozen/","until_released":true,"reason":"the audit"}'
expect 200 '.hold.prefix == "frozen" and .hold.holding'
call PUT /holds '{"prefix":"nightly","window":{"from":"22:00","until":"04:00","zone":"Europe/Berlin"},"priority":5}'
expect 200 '.hold.changes_at'
call GET /holds
expect 200 '.holds | length == 2'
call DELETE '/holds?prefix=frozen'
expect 200 '.hold.reason == "the audit"'
call DELETE '/holds?prefix=nightly'
expect 200

say "Register repositories: a JSON array, or one JSON object per line. Repositories that exist are left as they are."
call POST /repositories '[{"path":"group/project/image","tags_count":3,"priority":1},{"path":"group/lost"}]'
expect 200 '.registered == 2'

say "Or register what the registry lists, as far as the time allows. Where there is a \`next\`, send it as \`after\`." \
    "(This registry is in migration mode already, and then it lists only what is imported. The stack has registered its storage.)"
call POST /repositories/from-catalog
expect 200 '.ended == "empty"'
ONE=$(curl -s "$BASE/migrations?limit=500" -H "Authorization: Bearer $TOKEN" |
    jq -r '[.repositories[].path | select(startswith("group-"))][0]')
OTHER=$(curl -s "$BASE/migrations?limit=500" -H "Authorization: Bearer $TOKEN" |
    jq -r '[.repositories[].path | select(startswith("group-"))][1]')

say "Start one repository. 202 answers with the row, its version, and the step's status at the registry."
call POST "/migrations/start/$ONE"
expect 202 '.standing == "running" and .migration_state == "pre_importing"'
VERSION=$(jq .version "$answer")

say "The registry's storage does not have this one. There is nothing to import, so it is done."
call POST /migrations/start/group/project/image
expect 200 '.standing == "settled" and .migration_state == "import_done"'

say "One repository's status, from the reader. Send the version that you saw last as min_version, and you never see an" \
    "older state: where the reader is behind, the writer answers, and \`served_by\` says so."
call GET "/migrations/status/$ONE?min_version=$VERSION"
expect 200 ".version >= $VERSION and .served_by"

say "The same by entity tag: 304 while nothing has changed."
echo
echo "\$ curl -i -H \"Authorization: Bearer \$TOKEN\" -H 'If-None-Match: \"$VERSION\"' \"\$BASE/migrations/status/$ONE\""
send -H "Authorization: Bearer $TOKEN" -H "If-None-Match: \"$VERSION\"" "$BASE/migrations/status/$ONE"
expect 304

say "Its history, oldest first. Ignored notifications are in it too."
call GET "/migrations/history/$ONE?min_version=$VERSION&limit=50"
expect 200 '.transitions[0].event == "start_pre_import"'

say "What a check-up asks: the database's clock, schema and heartbeat, and each permission at the registry."
call GET /doctor
expect 200 '.expected_schema'
call GET /doctor/registry
expect 200 '.import.ok'

say "The whole API described (OpenAPI 3.1). No token is needed. (Only its beginning is shown.)"
echo
echo "\$ curl \"\$BASE/openapi.json\" | jq .info"
status=$(curl -s -m 30 -o "$answer" -w '%{http_code}' "$BASE/openapi.json")
jq .info "$answer"
expect 200 '.paths'

say "Many repositories, in the order of their paths: by state, by prefix, by seconds in their state. Send \`next\` as" \
    "\`after\` for the next page. Only \`next\` says whether more follow: a page may be shorter than \`limit\`."
call GET "/migrations?state=default&limit=2"
expect 200 '.next'
call GET "/migrations?prefix=group/&older_than_seconds=0"
expect 200 '.repositories | length == 2'

say "The whole migration: rows and oldest age by state, slots, what holds starts back, retries, what is stuck, what is left."
call GET /migrations/summary
expect 200 '.slots'

say "Each prefix with its rows by state, up to the next slash; what ended in each minute of the last hour; what needs attention."
call GET "/migrations/prefixes?limit=1000"
expect 200 '.prefixes | map(.repositories) | add > 2'
call GET "/migrations/progress?hours=1"
expect 200 '.part_seconds == 60 and (.parts | length > 0)'
call GET /migrations/attention
expect 200 '.repositories'

say "What became of each repository, to close a migration with."
call GET "/migrations/report?limit=100"
expect 200 '.repositories | map(select(.migration_state == "import_done" and .started_at != null and (.changed_by | length > 0))) | length > 0'

say "What the importer has copied and read back of one repository. Here a registry imports by itself."
call GET "/migrations/proof/$ONE"
expect 200 '.import == null'

say "The operators' page: open it in a browser. It needs no token, its data does."
echo
echo "\$ curl -I \"\$BASE/\""
send "$BASE/" >/dev/null
echo "$status"
expect 200

say "One repository here and at the registry, and what happens to it next and when."
call GET "/migrations/explain/$ONE"
expect 200

say "A notification, as the registry sends it: with the attempt that the start gave it. This one says that the step failed."
call GET "/migrations/status/$ONE?min_version=1"
ATTEMPT=$(jq -r .attempt "$answer")
notify "$ONE" pre_import_failed
expect 200
say "Where the repository is not in progress, the answer is 400, and nothing changes."
notify group/project/image pre_import_failed
expect 400 '.message == "400 Bad request - Wrong migration state (import_done)"'

say "Retry the repository that failed at once. Here the registry still runs the step, and the driver takes it over."
call POST "/migrations/retry/$ONE"
expect 202 '.migration_state == "pre_importing"'

say "Cancel a running import, at the registry first. Then reopen the repository, so that it can start again."
call POST "/migrations/cancel/$ONE"
expect 200 '.skipped_reason == "migration_canceled"'
call POST "/migrations/reopen/$ONE"
expect 200 '.migration_state == "default"'

say "Skip a repository for a reason of yours, whether it runs or waits."
call POST "/migrations/skip/$OTHER" '{"reason":"not_in_plan"}'
expect 200 '.migration_state == "import_skipped"'

say "A repository that is done is reopened only with a reason, which its history keeps."
call POST /migrations/reopen/group/project/image
expect 409
call POST /migrations/reopen/group/project/image '{"reason":"it was a proxy that answered"}'
expect 200 '.migration_state == "default"'

say "Reopen all that were skipped for a reason: first as a trial, then at most a thousand at once."
call POST /migrations/reopen '{"state":"import_skipped","reason":"not_in_plan"}'
expect 200 '.dry_run'
call POST /migrations/reopen '{"state":"import_skipped","reason":"not_in_plan","dry_run":false}'
expect 200 '.reopened == 1'

say "Cancel what the registry knows nothing of: 409. (A rule of the local registry cuts this start off.) With force it is" \
    "skipped all the same."
curl -s -X POST -d '{"operation":"start","repository":"group/lost","effect":{"kind":"cut"}}' "$REGISTRY/-/rules" >/dev/null
call POST /migrations/start/group/lost
expect 202 '.standing == "unknown"'
call POST /migrations/cancel/group/lost
expect 409
call POST /migrations/cancel/group/lost '{"force":true}'
expect 200 '.skipped_reason == "migration_forced_canceled"'

say "Accept that tags are missing, with a reason: 409 where none are."
call POST "/migrations/accept/$OTHER" '{"reason":"its owner deleted them"}'
expect 409

say "Remove a repository that is not in progress, with its history."
call DELETE /repositories/group/lost
expect 200

echo
echo "$checks answers were as expected"
