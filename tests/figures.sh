#!/bin/sh
# Figures: the functions' sizes and dependencies, how soon the local stack is ready, what it holds, what each
# operation asks of the services, what a notification costs beside its bare statement, and what it costs in Python and in
# Node. All of it once more as JSON in target/figures.json.
#
# usage: tests/figures.sh [--no-release]
#        tests/figures.sh --all            every figure that has a goal, in one run with everything optimised, and one table
#                                          of all; half an hour with its builds, and 8 GB of memory, or where TMPDIR is
#        tests/figures.sh --PART [ARG...]  a part alone
# Without --no-release the functions are built as they are deployed, which takes minutes the first time. The parts:
#   sizes         crates and sizes
#   handlers      the functions beside the same handler in other languages
#   plans         what a notification's statement costs the database beside plain ones, by custom and by generic plans
#   statements    what every statement costs on tables of up to a million repositories with ten million lines of history:
#                 a quarter of an hour (1000 100000 as arguments is quicker; the plans are in target/plans)
#   instructions  those of a notification, by callgrind; it fails where they are more than a tenth away from
#                 tests/figures/instructions.json
#   utilisation   the share of the time that repositories waited in which the slots were held, and in which the registry was
#                 really at work: [--repositories N] [--capacity N] [--shortest MILLISECONDS] [--longest MILLISECONDS]
#                 [--tail] [--seed N]; or --throughput, how many repositories a second where a step takes no time
# boto3, awslambdaric, the SDK for JavaScript and esbuild are installed into target/tools; where there is no Node, that is
# said.
set -eu

cd "$(dirname -- "$0")/.."
release=yes
optimised=
part=
case ${1:-} in
'') ;;
--no-release) release= ;;
--all | --utilisation) optimised=yes part=${1#--} ;;
--plans | --statements) release= part=${1#--} ;;
--sizes | --handlers) part=${1#--} ;;
--instructions) part=instructions setup_programs=valgrind=valgrind ;;
*)
    echo "usage: tests/figures.sh [--no-release|--all|--sizes|--handlers|--plans|--statements|--instructions|--utilisation]" >&2
    exit 2
    ;;
esac
[ $# -eq 0 ] || shift
[ "$part" != instructions ] || set -- "$PWD/tests/figures/instructions.json"

. tests/setup.sh

# The size of a program as it is uploaded.
zipped() {
    python3 -c 'import io, sys, zipfile
file = io.BytesIO()
zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED).write(sys.argv[1], "bootstrap")
print(len(file.getvalue()))' "$1"
}

echo "Building" >&2
# By themselves: what the local stack needs of a crate must not reach a function.
[ -z "$release" ] || cargo build --locked --quiet --release --bins --target-dir target

# On a disk the stand-ins would do little but make files and delete them.
setup_memory 12000000
LOCAL_FOLDER=$(mktemp -d)
trap 'rm -rf "$LOCAL_FOLDER"' EXIT
FIGURES_SIZES=$LOCAL_FOLDER/sizes
if [ -z "$part" ] || [ "$part" = sizes ] || [ "$part" = all ]; then
    printf 'Functions %47s %12s %12s\n' crates 'release, MiB' 'zip, MB'
    for manifest in functions/*/Cargo.toml; do
        name=$(basename "$(dirname "$manifest")")
        crates=$(cargo tree --locked -p "$name" -e normal --prefix none | sed 's/ (.*//' | sort -u | wc -l)
        size=- zip=-
        if [ -n "$release" ]; then
            size=$(wc -c <"target/release/$name" | awk '{printf "%.1f", $1 / 1048576}')
            zip=$(zipped "target/release/$name" | awk '{printf "%.2f", $1 / 1000000}')
        fi
        printf '  %-40s %14d %12s %12s\n' "$name" "$crates" "$size" "$zip"
        printf '%s %s %s\n' "$name" "$crates" "$zip" >>"$FIGURES_SIZES"
    done
fi
[ "$part" != sizes ] || exit 0

if [ -n "$optimised" ]; then
    figures=target/figures/release/figures
    CARGO_PROFILE_RELEASE_OPT_LEVEL=3 CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo build --locked --quiet --release -p suite --bin figures --target-dir target/figures
else
    figures=target/debug/figures
    cargo build --locked --quiet --workspace --bins --target-dir target
fi

# The same handler in other languages, as a user would write and bundle it.
peers=$setup_tools/peers
boto3="boto3==$setup_boto3 awslambdaric==4.2.2"
node_lock="@aws-sdk/client-rds-data@3.1143.0 @aws-sdk/client-secrets-manager@3.1143.0 esbuild@0.28.2"

install_python() {
    [ "$(cat "$peers/python/lock" 2>/dev/null)" = "$boto3" ] && return
    echo "Installing $boto3 into target/tools" >&2
    rm -rf "$peers/python"
    # shellcheck disable=SC2086 # a word each
    python3 -m venv "$peers/python" >&2 &&
        "$peers/python/bin/pip" install --quiet --disable-pip-version-check $boto3 >&2 &&
        printf '%s' "$boto3" >"$peers/python/lock"
}

install_node() {
    node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null && command -v npm >/dev/null || return
    [ "$(cat "$peers/node/lock" 2>/dev/null)" = "$node_lock" ] && return
    echo "Installing $node_lock into target/tools" >&2
    rm -rf "$peers/node"
    mkdir -p "$peers/node"
    echo '{"private": true}' >"$peers/node/package.json"
    # shellcheck disable=SC2086 # a word each
    npm install --prefix "$peers/node" --silent --no-audit --no-fund --save-exact $node_lock >&2 &&
        printf '%s' "$node_lock" >"$peers/node/lock"
}

if [ -z "$part" ] || [ "$part" = handlers ] || [ "$part" = all ]; then
    if install_python; then
        # Compiled beforehand, as Lambda's own images are.
        cp tests/figures/python/handler.py "$(echo "$peers"/python/lib/python3*/site-packages)/figures_handler.py"
        "$peers/python/bin/python" -m compileall -q "$peers/python/lib" || true
        export FIGURES_PYTHON="$peers/python/bin/python -m awslambdaric figures_handler.handle"
    else
        echo "Python's handler cannot be measured: there is no boto3 with awslambdaric" >&2
    fi
    if install_node; then
        cp tests/figures/node/*.mjs "$peers/node/"
        "$peers/node/node_modules/.bin/esbuild" "$peers/node/runtime.mjs" --bundle --platform=node --format=esm \
            --target=node20 --minify --outfile="$peers/node/bundle.mjs" --log-level=error \
            --banner:js="import {createRequire} from 'node:module'; const require = createRequire(import.meta.url);"
        FIGURES_NODE="$(command -v node) $peers/node/bundle.mjs"
        export FIGURES_NODE
    else
        echo "Node's handler cannot be measured: there is no Node 20 with npm" >&2
    fi
fi

FUNCTIONS_DIR=$PWD/target/debug
# Beside others, what is shipped counts.
[ -z "$release" ] || FUNCTIONS_DIR=$PWD/target/release
FIGURES_JSON=$PWD/target/figures.json
# The plan of each statement, on each size of tables.
FIGURES_PLANS=$PWD/target/plans
mkdir -p "$FIGURES_PLANS"
export FUNCTIONS_DIR LOCAL_FOLDER FIGURES_SIZES FIGURES_JSON FIGURES_PLANS
# shellcheck disable=SC2086 # none, or one word
"$figures" $part "$@"
