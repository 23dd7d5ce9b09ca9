# shellcheck shell=sh
# Ends processes and removes a folder once the owner of its standard input is gone, however it went:
# the pipe is closed by a clean end, by a panic and by SIGKILL alike.
# usage: sh keeper.sh SIGNAL [FOLDER]; lines on standard input: "watch PID" and "forget PID".
trap '' INT TERM HUP QUIT PIPE
signal=$1 folder=$2 pids=

alive() { # a zombie that nobody reaps is not alive
    kill -0 "$1" 2>/dev/null && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"
}

while read -r verb pid; do
    case $verb in
    watch) pids="$pids $pid" ;;
    forget)
        kept=
        for p in $pids; do [ "$p" = "$pid" ] || kept="$kept $p"; done
        pids=$kept
        ;;
    esac
done

for p in $pids; do kill "-$signal" "$p" 2>/dev/null; done
rounds=0
for p in $pids; do
    while alive "$p" && [ "$rounds" -lt 60 ]; do
        sleep 0.05
        rounds=$((rounds + 1))
    done
    alive "$p" && kill -KILL "$p"
done

# A child of what was just killed may still be writing for a moment.
rounds=0
while [ -n "$folder" ] && [ -e "$folder" ] && [ "$rounds" -lt 100 ]; do
    rm -rf "$folder" 2>/dev/null || sleep 0.05
    rounds=$((rounds + 1))
done
exit 0
