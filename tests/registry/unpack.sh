#!/bin/sh
# Unpacks Debian's docker-registry into target/tools/docker-registry where this machine has none on PATH. It is not
# installed: its package would enable and start a service. Needs apt-get; where its lists of packages are missing also
# root or sudo.
set -eu

tools=$(cd "$(dirname -- "$0")/../.." && pwd)/target/tools/docker-registry
command -v docker-registry >/dev/null 2>&1 && exit
[ -x "$tools/usr/bin/docker-registry" ] && exit
command -v apt-get >/dev/null 2>&1 || {
    echo "docker-registry (CNCF distribution 2.8) is needed on PATH, and this machine has no apt-get" >&2
    exit 1
}
echo "Unpacking docker-registry into target/tools" >&2
rm -rf "$tools"
mkdir -p "$tools"
cd "$tools"
if ! apt-get download -qq docker-registry >&2; then
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq >&2
    elif sudo -n true 2>/dev/null; then
        sudo -n apt-get update -qq >&2
    else
        echo "Please run: sudo apt-get update" >&2
        exit 1
    fi
    apt-get download -qq docker-registry >&2
fi
dpkg-deb -x docker-registry_*.deb .
rm docker-registry_*.deb
