#!/bin/sh
# Installs what the demo and the tests need and this machine does not have: a C compiler, PostgreSQL, Python's
# venv, curl and jq (by apt-get, as root or through sudo), cargo-lambda, and boto3 as an independent client of the
# Data API (both into target/tools). Says what it does; does nothing when everything is there. rustup is yours to
# install (https://rustup.rs); it is asked here for the version of Rust that rust-toolchain.toml names.
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

# PostgreSQL's programs are often not on PATH. The same places as in shared/postgres.
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

# The version of Rust that the code is checked with. rustup may be told to install nothing by itself, and then every call
# of cargo fails until somebody has done it.
setup_rust() {
    setup_wanted=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
    setup_is_wanted && return
    if [ -n "${RUSTUP_TOOLCHAIN-}" ] || ! command -v rustup >/dev/null 2>&1; then
        echo "Rust $setup_wanted is needed and this is $(rustc --version): another version may refuse the code" >&2
        return
    fi
    echo "Installing Rust $setup_wanted by rustup" >&2
    rustup toolchain install "$setup_wanted" --profile minimal --component rustfmt --component clippy >&2 && return
    if RUSTUP_TOOLCHAIN=stable setup_is_wanted; then
        echo "It cannot be installed. The toolchain \"stable\" is the same version and is used: RUSTUP_TOOLCHAIN=stable" >&2
        RUSTUP_TOOLCHAIN=stable
        export RUSTUP_TOOLCHAIN
        return
    fi
    setup_fail "Rust $setup_wanted cannot be installed. Please run:" "  rustup toolchain install $setup_wanted"
}

setup_is_wanted() {
    rustc --version 2>/dev/null | grep -q "^rustc $setup_wanted "
}

# setup_cargo_tool NAME VERSION: a program that cargo builds, in target/tools/bin.
setup_cargo_tool() {
    # Some answer as cargo calls them only.
    { "$setup_tools/bin/$1" --version || "$setup_tools/bin/$1" "${1#cargo-}" --version; } 2>/dev/null |
        grep -q "\(^\| \)$2\$" && return
    echo "Building $1 $2 into target/tools" >&2
    # Its own profile: what matters is how soon it is there.
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo install --quiet --locked --force --root "$setup_tools" --target-dir "$setup_tools/build" \
        --version "=$2" "$1"
    rm -rf "$setup_tools/build"
}

# setup_memory KILOBYTES: what is only needed during a run is kept in memory where there is so much to spare.
setup_memory() {
    setup_free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 } END { if (NR < 2) print 0 }')
    if [ -z "${TMPDIR:-}" ] && [ "$setup_free" -gt "$1" ]; then
        export TMPDIR=/dev/shm
    fi
}

setup_cargo_deny() {
    setup_cargo_tool cargo-deny 0.20.2
}

setup_cargo_mutants() {
    setup_cargo_tool cargo-mutants 27.1.0
}

command -v cargo >/dev/null 2>&1 || setup_fail "Rust is not installed (no cargo on PATH): https://rustup.rs"
[ -f "$PWD/tests/setup.sh" ] || setup_fail "tests/setup.sh must be run from the workspace's folder"

setup_rust
setup_packages=
command -v cc >/dev/null 2>&1 || setup_packages="$setup_packages gcc libc6-dev"
setup_has_postgres || setup_packages="$setup_packages postgresql"
command -v curl >/dev/null 2>&1 || setup_packages="$setup_packages curl"
command -v jq >/dev/null 2>&1 || setup_packages="$setup_packages jq"
# What else the script that reads this one needs: PROGRAM=PACKAGE each.
for setup_program in ${setup_programs:-}; do
    command -v "${setup_program%%=*}" >/dev/null 2>&1 || setup_packages="$setup_packages ${setup_program#*=}"
done
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
