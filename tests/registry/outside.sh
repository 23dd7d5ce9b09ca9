# Debian's docker-registry and skopeo, for scripts that compare with them: to be sourced by bash, under
# "set -euo pipefail". Sets $work, a folder that goes with the script, and ends what is listed in $pids.

# Installs skopeo where it is missing (apt-get, as root or through sudo), and unpacks Debian's docker-registry.
install_missing() {
    local here as_root=()
    here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    "$here/unpack.sh"
    PATH=$PATH:$(cd "$here/../.." && pwd)/target/tools/docker-registry/usr/bin
    command -v skopeo >/dev/null && return
    if [ "$(id -u)" != 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            echo "Please run: sudo apt-get update && sudo apt-get install -y skopeo" >&2
            return 1
        fi
        as_root=(sudo -n)
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq skopeo
}
install_missing >&2

work=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

# Waits until a command succeeds, for at most 20 s.
until_ok() {
    local left=200
    until "$@" 2>/dev/null; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { echo "gave up waiting for: $*" >&2; return 1; }
        sleep 0.1
    done
}

field() { python3 -c 'import json,sys; value = json.load(sys.stdin)[sys.argv[1]]; print(value if isinstance(value, (str, int)) else "\n".join(value or []))' "$1"; }

# docker_registry NAME STORAGE: starts Debian's registry on a free port; its address is in $address afterwards.
docker_registry() {
    cat >"$work/$1.yml" <<YML
version: 0.1
storage:
  filesystem: {rootdirectory: "$2"}
  delete: {enabled: true}
http: {addr: "127.0.0.1:0"}
YML
    docker-registry serve "$work/$1.yml" >"$work/$1.log" 2>&1 &
    pids+=($!)
    until_ok grep -q 'listening on 127' "$work/$1.log"
    address=$(grep -o 'listening on 127[0-9.:]*' "$work/$1.log" | head -1 | cut -d' ' -f3)
}

# go_program NAME VERSION PACKAGE: says where a program is that Go builds, and builds it into target/tools where it is missing.
go_program() {
    local folder=$root/target/tools/$1-$2
    local program=$folder/${3##*/}
    if [ ! -x "$program" ]; then
        echo "Building $1 $2 into target/tools (minutes)" >&2
        GOBIN=$folder go install "$3@$2" >&2
    fi
    printf '%s\n' "$program"
}

repositories() { curl -sSf "http://$1/v2/_catalog?n=1000" | field repositories; }
tags() { curl -sSf "http://$1/v2/$2/tags/list" | field tags; }

# digests ADDRESS: a line for each tag of each repository, as skopeo sees them.
digests() {
    for repository in $(repositories "$1"); do
        for tag in $(tags "$1" "$repository" | sort); do
            echo "$repository:$tag $(skopeo inspect --tls-verify=false --raw "docker://$1/$repository:$tag" | sha256sum | cut -d' ' -f1)"
        done
    done | sort
}

# copy FROM TO: every tag with all its platforms; skopeo checks each digest on the way.
copy() {
    for repository in $(repositories "$1"); do
        for tag in $(tags "$1" "$repository"); do
            skopeo --insecure-policy copy --quiet --all --preserve-digests --src-tls-verify=false \
                --dest-tls-verify=false "docker://$1/$repository:$tag" "docker://$2/$repository:$tag"
        done
    done
}

# same WHAT ONE OTHER: compares two lists of digests.
same() {
    [ -s "$2" ] || { echo "FAILED $1: there is nothing to compare" >&2; exit 1; }
    diff -u "$2" "$3" >&2 || { echo "FAILED $1" >&2; exit 1; }
    echo "ok  $1 ($(wc -l <"$2") tags)"
}
