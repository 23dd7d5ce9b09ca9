#!/bin/sh
# Processes that were left running: those whose command line holds one of the words. They are listed, and it fails when
# they are still there after 5 s (a keeper may take a moment). Looks into /proc itself, since a small machine has no
# pgrep. Fails as well where it cannot look.
#
# usage: tests/leftovers.sh WORD...
set -eu

proc=${LEFTOVERS_PROC:-/proc}
rounds=${LEFTOVERS_ROUNDS:-50}
words=$(mktemp)
trap 'rm -f "$words"' EXIT
printf '%s\n' "$@" >"$words"

# The command lines that hold a word, without this script's own. A process that ends meanwhile is none.
left() {
    for file in $(grep -laFs -f "$words" "$proc"/[0-9]*/cmdline); do
        [ "$file" = "$proc/$$/cmdline" ] || echo "$file"
    done
}

# Its own command line holds the words: who does not find that finds nothing.
grep -qaFs -f "$words" "$proc/$$/cmdline" || {
    echo "cannot look for processes: $proc/$$/cmdline does not show this one" >&2
    exit 2
}
found=$words.found
trap 'rm -f "$words" "$found"' EXIT
while left >"$found" && [ -s "$found" ]; do
    rounds=$((rounds - 1))
    if [ "$rounds" -le 0 ]; then
        while read -r file; do
            printf '%s ' "$file"
            tr '\0' ' ' <"$file" || true
            echo
        done <"$found"
        exit 1
    fi
    sleep 0.1
done
