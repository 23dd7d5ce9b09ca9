#!/bin/sh
# The README's two commands on a machine that has only Rust: a minimal Debian in a folder, made by debootstrap, with
# this machine's Rust toolchain, a clone of the last commit, and nothing else. Needs root, Debian or Ubuntu, and Rust by
# rustup. Takes about half an hour on two cores, and 12 GB of disk.
#
# usage: tests/fresh.sh [--folder DIR] [--suite NAME] [--shell]
#   --folder DIR  where the machine is made (default: a temporary folder); removed at the end
#   --suite NAME  the Debian or Ubuntu release (default: this machine's)
#   --shell       a shell in the machine instead of the commands
set -eu

usage() {
    sed -n '6,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

folder=
suite=
commands='tests/demo.sh tests/test.sh'
while [ $# -gt 0 ]; do
    case $1 in
    --folder) folder=${2:?} && shift ;;
    --suite) suite=${2:?} && shift ;;
    --shell) commands= ;;
    *) usage ;;
    esac
    shift
done

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "tests/fresh.sh makes a machine of its own, and must be run as root: sudo tests/fresh.sh"
command -v apt-get >/dev/null || fail "This machine has no apt-get: run tests/fresh.sh on Debian or Ubuntu."
command -v rustup >/dev/null || fail "Rust is not installed by rustup: https://rustup.rs"
if ! command -v debootstrap >/dev/null; then
    echo "Installing: debootstrap" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends debootstrap >&2
fi
cd "$(dirname -- "$0")/.."

# Its mounts and processes are in namespaces of their own: they end with this script, however it ends.
if [ -z "${FRESH_INSIDE:-}" ]; then
    # shellcheck source=/dev/null
    suite=${suite:-$(. /etc/os-release && echo "${VERSION_CODENAME:-}")}
    [ -n "$suite" ] || fail "This machine does not name its release: give --suite NAME."
    made=${folder:-$(mktemp -d)}
    [ -z "$(ls -A "$made" 2>/dev/null)" ] || fail "$made is not empty."
    trap 'rm -rf --one-file-system "$made"' EXIT
    trap 'exit 130' INT TERM
    export FRESH_INSIDE=1 FRESH_FOLDER="$made" FRESH_SUITE="$suite" FRESH_COMMANDS="$commands"
    unshare --mount --pid --fork --kill-child "$0"
    exit
fi

root=$FRESH_FOLDER
# As this machine gets its packages, so does the new one.
mirror=$(apt-get indextargets --format "\$(CODENAME) \$(SITE)" 'Created-By: Packages' |
    awk -v suite="$FRESH_SUITE" '$1 == suite { print $2; exit }')
[ -n "$mirror" ] || fail "apt-get knows no packages of $FRESH_SUITE here: run apt-get update, or give another --suite."
echo "Making a minimal $FRESH_SUITE" >&2
debootstrap --variant=minbase "$FRESH_SUITE" "$root" "$mirror" >"$root.log" 2>&1 || {
    tail -20 "$root.log" >&2
    fail "debootstrap failed."
}
rm -f "$root.log"
for file in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/apt/trusted.gpg.d /etc/apt/keyrings \
    /etc/resolv.conf /etc/hosts /etc/pip.conf; do
    if [ -e "$file" ]; then
        rm -rf "${root:?}$file"
        cp -RL "$file" "$root$file"
    fi
done
# Rust as rustup installs it, and no crate.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
mkdir -p "$root/root/.cargo/bin" "$root/root/.rustup"
cp -P "$cargo_home"/bin/rustup "$cargo_home"/bin/cargo "$cargo_home"/bin/rustc "$cargo_home"/bin/rustfmt \
    "$cargo_home"/bin/cargo-fmt "$cargo_home"/bin/cargo-clippy "$cargo_home"/bin/clippy-driver "$cargo_home"/bin/rustdoc \
    "$root/root/.cargo/bin/"
[ ! -e "$cargo_home/config.toml" ] || cp "$cargo_home/config.toml" "$root/root/.cargo/"
mount --bind "$rustup_home" "$root/root/.rustup"
mount -o remount,bind,ro "$root/root/.rustup"

git clone --quiet . "$root/root/driver"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o size=12g tmpfs "$root/dev/shm"

# How this machine reaches package servers, and whom it trusts: nothing else of its environment. Files that it names go
# along, under a name that no package overwrites.
env | grep -E '^((https?|no)_proxy|PIP_[A-Z_]*|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|CARGO_(HTTP|NET|REGISTRIES)_[A-Z_]*|RUSTUP_[A-Z_]*)=' |
    grep -v -E '^(RUSTUP_HOME|PIP_FIND_LINKS)=' | while IFS='=' read -r name value; do
    if [ -f "$value" ]; then
        cp -L "$value" "$root/root/reach.$name"
        value=/root/reach.$name
    fi
    printf "export %s='%s'\n" "$name" "$value"
done >"$root/root/reach"

run() {
    env -i HOME=/root TERM="${TERM:-dumb}" PATH=/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$root" /bin/sh -c ". /root/reach && cd /root/driver && $1"
}

if [ -z "$FRESH_COMMANDS" ]; then
    run 'exec /bin/bash'
    exit
fi
failed=0
summary=
for command in $FRESH_COMMANDS; do
    began=$(date +%s)
    if run "$command" </dev/null; then ended=ok; else ended=FAILED failed=1; fi
    summary="$summary$command on a minimal $FRESH_SUITE: $ended, $(($(date +%s) - began)) s
"
done
printf '\n%s' "$summary"
exit $failed
