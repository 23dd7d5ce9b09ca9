#!/bin/sh
# Installs what the demo and the tests need and this machine does not have: a C compiler, PostgreSQL, Python's
# venv, curl and jq (by apt-get, as root or through sudo), cargo-lambda, and boto3 as an independent client of the
# Data API (both into target/tools). Says what it does; does nothing when everything is there. Rust itself is yours to install: https://rustup.rs
#
# usage: tests/setup.sh, or ". tests/setup.sh" from the workspace's folder
set -eu

setup_cargo_lambda=1.9.2
setup_boto3=1.44.5
setup_tools=$PWD/target/tools

setup_fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# PostgreSQL's programs are often not on PATH. The same places as in tests/postgres-pair.
setup_has_postgres() {
    command -v initdb >/dev/null 2>&1 && command -v postgres >/dev/null 2>&1 && return
    for setup_dir in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
        [ -x "$setup_dir/initdb" ] && return
    done
    return 1
}

# The account that owns a system's PostgreSQL must not get a server of its own by this: none is created.
setup_apt() {
    cat <<END
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
case " $* " in *" postgresql "*)
    apt-get install -y -q --no-install-recommends postgresql-common
    sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
esac
apt-get install -y -q --no-install-recommends $*
END
}

command -v cargo >/dev/null 2>&1 || setup_fail "Rust is not installed (no cargo on PATH): https://rustup.rs"
[ -f "$PWD/tests/setup.sh" ] || setup_fail "tests/setup.sh must be run from the workspace's folder"

setup_packages=
command -v cc >/dev/null 2>&1 || setup_packages="$setup_packages gcc libc6-dev"
setup_has_postgres || setup_packages="$setup_packages postgresql"
command -v curl >/dev/null 2>&1 || setup_packages="$setup_packages curl"
command -v jq >/dev/null 2>&1 || setup_packages="$setup_packages jq"
if [ ! -e "$setup_tools/python/boto3-$setup_boto3" ] ||
    { ! command -v cargo-lambda >/dev/null 2>&1 && [ ! -x "$setup_tools/venv/bin/cargo-lambda" ]; }; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || setup_packages="$setup_packages python3-venv"
fi

if [ -n "$setup_packages" ]; then
    # shellcheck disable=SC2086 # one word per package
    setup_script=$(setup_apt $setup_packages)
    command -v apt-get >/dev/null 2>&1 ||
        setup_fail "Missing, under Debian's names:$setup_packages" "This machine has no apt-get: please install them."
    if [ "$(id -u)" = 0 ]; then
        echo "Installing:$setup_packages" >&2
        sh -euc "$setup_script" >&2
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        echo "Installing by sudo:$setup_packages" >&2
        sudo -n sh -euc "$setup_script" >&2
    else
        setup_fail "Missing:$setup_packages" "Please run:" "  sudo apt-get install -y$setup_packages"
    fi
fi

if ! command -v cargo-lambda >/dev/null 2>&1; then
    if [ ! -x "$setup_tools/venv/bin/cargo-lambda" ]; then
        echo "Installing cargo-lambda $setup_cargo_lambda into target/tools" >&2
        rm -rf "$setup_tools/venv"
        python3 -m venv "$setup_tools/venv" >&2
        "$setup_tools/venv/bin/pip" install --quiet --disable-pip-version-check \
            "cargo-lambda==$setup_cargo_lambda" >&2
    fi
    PATH=$PATH:$setup_tools/venv/bin
    export PATH
fi

# The mark is set last: an installation that was cut off is begun anew.
if [ ! -e "$setup_tools/python/boto3-$setup_boto3" ]; then
    echo "Installing boto3 $setup_boto3 into target/tools" >&2
    rm -rf "$setup_tools/python"
    python3 -m venv "$setup_tools/python" >&2
    "$setup_tools/python/bin/pip" install --quiet --disable-pip-version-check "boto3==$setup_boto3" >&2
    touch "$setup_tools/python/boto3-$setup_boto3"
fi
