#!/bin/sh
# The command line for operators by example, from the doctor to the report, against a driver that has migrated nothing of
# what is registered here: runs each command, prints it with what it shows, and checks that.
#
# usage: tests/command/transcript.sh PROGRAM REGISTRY REPOSITORIES
#   PROGRAM       registry-migration
#   REGISTRY      the address of the local registry that the driver asks: one step fails there, and one takes long
#   REPOSITORIES  a file with the seven repositories that the registry has, a line of JSON each
# Needs REGISTRY_MIGRATION_API, REGISTRY_MIGRATION_TOKEN_FILE and REGISTRY_MIGRATION_OPERATOR.
set -eu

program=$1 registry=$2 repositories=$3
unset REGISTRY_MIGRATION_TOKEN REGISTRY_MIGRATION_CONFIG REGISTRY_MIGRATION_CA || true
shown=$(mktemp)
trap 'rm -f "$shown"' EXIT
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
    "$program" "$@" >"$shown" 2>&1 || status=$?
    cat "$shown"
    checks=$((checks + 1))
    if [ "$status" != "$wanted" ] || ! grep -qF -- "$text" "$shown"; then
        echo "Exit status $wanted and \"$text\" were expected, and not $status" >&2
        exit 1
    fi
}

# comes TEXT COMMAND...: waits until a command shows a text.
comes() {
    text=$1
    shift
    limit=$(($(date +%s) + 120))
    until "$program" "$@" 2>&1 | grep -qF -- "$text"; do
        if [ "$(date +%s)" -gt "$limit" ]; then
            echo "\"$text\" was waited for in vain: $*" >&2
            "$program" "$@" >&2 || true
            exit 1
        fi
        sleep 0.2
    done
}

# rule PATH EFFECT: what the registry does with the repository's next pre-import.
rule() {
    curl -fsS -o "$shown" -X POST -d "{\"repository\":\"$1\",\"step\":\"pre\",\"times\":1,\"effect\":$2}" "$registry/-/rules"
}

say() {
    printf '\n\n# %s\n' "$@"
}

say "Nobody starts anything yet: nothing is eligible for the schedule."
run 0 'created_before: 2000-01-01T00:00:00Z' settings created_before=2000-01-01T00:00:00Z enabled=true capacity=4
curl -fsS -o "$shown" -X POST -H "Authorization: Bearer $(cat "$REGISTRY_MIGRATION_TOKEN_FILE")" \
    -H 'Content-Type: application/x-ndjson' --data-binary "@$repositories" "$REGISTRY_MIGRATION_API/repositories"
jq -e '.registered + .existing == 7' "$shown" >/dev/null
comes '7 repositories' list
run 0 '7 repositories' list
first=$("$program" list --state default --json | jq -rs '.[0].path')
second=$("$program" list --state default --json | jq -rs '.[1].path')

say "Does everything work? The doctor looks at each part, and migrates one repository to see a notification come."
run 0 'may import' doctor
run 0 "$first is migrated, by its notifications" doctor --canary "$first"

say "A repository that is not wanted is taken out, with a reason, and let in again."
run 0 'import_skipped' skip "$second" --reason not_in_plan
run 2 'functions/README.md#wrong-migration-state' retry "$second"
comes '1 would be reopened' reopen --all --state import_skipped
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

say "A step fails. The history has the registry's words; once the cause is repaired, it is tried again."
rule "$second" '{"kind":"fail","error":"manifest unknown"}'
run 0 "$second is" start "$second"
comes "$second" list --state import_aborted
run 0 'manifest unknown' history "$second"
run 0 "$second is" retry "$second"
comes 'pre_import_done' list --prefix "$second"

say "Its final step is held. It is released, and one that takes too long is canceled."
run 0 "${second%%/*}" explain "$second"
run 0 'removed' release "${second%%/*}/"
third=$("$program" list --state default --json | jq -rs '.[0].path')
rule "$third" '{"kind":"slow","milliseconds":60000}'
run 0 "$third is" start "$third"
run 0 "$third is" cancel "$third"
comes "$third" list --state import_skipped
run 0 "$third is default" reopen "$third" --reason 'at night'
run 2 'functions/README.md#nothing-to-accept' accept "$first" --reason 'nothing is missing'

say "Everything may go now. The table is shown until nothing is left."
run 0 'created_before: -' settings created_before=null
run 0 '0 left' status --watch --wait --interval 1
run 0 'migrations are on' status
comes '7 repositories' list --state import_done
run 0 '7 repositories' list --state import_done
run 0 'finish_import' history "$second"

say "What cannot be is refused, and the exit status says by whom."
run 1 'NAME=VALUE' settings enabled
run 2 'capacity: must be between 0 and 1000' settings capacity=5000
run 2 'functions/README.md#unknown-repository' explain no/such/repository
REGISTRY_MIGRATION_TOKEN_FILE=/dev/null run 1 'token' status
REGISTRY_MIGRATION_API=http://127.0.0.1:9 run 3 'cannot be reached' status

say "The end: the kill switch, and who did what, when, and with how many tags."
run 0 'enabled: false' settings enabled=false
comes "operator (${REGISTRY_MIGRATION_OPERATOR})" report --prefix "$second"
run 0 'tags_complete' report --format csv
run 0 '"open":0' report --by-prefix

echo
echo "$checks commands showed what was expected"
