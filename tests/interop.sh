#!/usr/bin/env bash
# The whole way with other people's tools: images that skopeo pushed to Debian's docker-registry are migrated by
# tests/demo.sh, and pulled from the new storage by the same tools with the same digests.
#
# usage: tests/interop.sh
# Installs skopeo where it is missing (apt-get, as root or through sudo), and unpacks docker-registry into target/tools.
# Leaves nothing that runs.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. tests/registry/outside.sh
echo "Building (a minute or two the first time)" >&2
cargo build --locked --quiet --workspace --bins --target-dir target

# Something to push: a storage of real images, served by docker-registry.
target/debug/local-registry make-storage "$work/made" --repositories 12 >/dev/null
docker_registry source "$work/made"; source=$address
docker_registry old "$work/old"; old=$address
copy "$source" "$old"
digests "$source" >"$work/source"
digests "$old" >"$work/before"
same "skopeo pushed to docker-registry" "$work/source" "$work/before"

# The demo migrates what docker-registry has written, and stays, so that what it wrote is still there.
LOCAL_FOLDER=$work/announced tests/demo.sh --storage "$work/old" --keep >"$work/demo.out" 2>"$work/demo.err" &
demo=$!
pids+=("$demo")
announced() { [ -f "$work/announced/stack.json" ]; }
until_migrated() {
    until announced; do
        kill -0 "$demo" 2>/dev/null || { cat "$work/demo.out" "$work/demo.err" >&2; return 1; }
        sleep 0.2
    done
}
until_migrated
# Its report, without its live lines and without how to call what stays.
{ grep -vE '^ *[0-9]+\.[0-9] s |"ready"' "$work/demo.out" || true; } | sed -n '1,14s/^/    /p'
logs=$(field logs <"$work/announced/stack.json")
new=${logs%/logs/*}/new
ours=$(field registry_url <"$work/announced/stack.json")

docker_registry new "$new"; new_address=$address
digests "$new_address" >"$work/after"
same "docker-registry serves the new storage with the digests of the old one" "$work/before" "$work/after"
docker_registry check "$work/check"; check=$address
copy "$new_address" "$check"
digests "$check" >"$work/pulled"
same "skopeo pulled every blob of it from there" "$work/before" "$work/pulled"
digests "${ours#http://}" >"$work/ours"
same "skopeo sees the same on the registry that was migrated" "$work/before" "$work/ours"

# A comparison that could not fail would show nothing: one repository taken away must be noticed.
all=$(repositories "$check")
victim=${all%%$'\n'*}
rm -rf "$work/check/docker/registry/v2/repositories/$victim"
digests "$check" >"$work/less"
if cmp -s "$work/before" "$work/less"; then
    echo "FAILED a repository that is missing is not noticed" >&2
    exit 1
fi
echo "ok  a repository that is missing would be noticed"

kill -INT "$demo"
wait "$demo" || { echo "FAILED the demo ended with $?" >&2; cat "$work/demo.err" >&2; exit 1; }
echo "ok  the demo held every promise and ended"
