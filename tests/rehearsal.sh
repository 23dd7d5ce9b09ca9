#!/bin/sh
# Deploys template.yaml as a stranger would, by `sam deploy`, onto an independent emulator of AWS (ministack, no Docker),
# with permissions enforced, and works with it: repositories are migrated in all three topologies, secrets rotated, the stack
# updated, rolled back and deleted. Where the emulator is not as AWS is said in tests/rehearsal/emulator.py.
#
# usage: tests/rehearsal.sh
# BIN names another folder with the programs than target/debug, TEMPLATE another template; with KEEP=1 the folder with
# everybody's logs stays. Installs what it needs as tests/setup.sh does; only loopback.
set -eu

cd "$(dirname -- "$0")/.."
setup_programs="openssl=openssl psql=postgresql-client strip=binutils"
. tests/setup.sh
. tests/sam.sh

ministack_version=1.5.33
translator_version=1.115.0
rehearsal_venv=$PWD/target/tools/rehearsal
"$rehearsal_venv/bin/python" -c "
from importlib.metadata import version
assert (version('ministack'), version('aws-sam-translator')) == ('$ministack_version', '$translator_version')
import boto3" 2>/dev/null || {
    echo "Installing ministack $ministack_version into target/tools" >&2
    rm -rf "$rehearsal_venv"
    python3 -m venv "$rehearsal_venv" >&2
    # It pins botocore, and sam pins boto3: not in one venv.
    "$rehearsal_venv/bin/pip" install --quiet --disable-pip-version-check \
        "ministack==$ministack_version" "aws-sam-translator==$translator_version" boto3 >&2
}

if [ -z "${BIN:-}" ]; then
    echo "Building (a minute or two the first time)" >&2
    cargo build --locked --quiet --workspace --bins --target-dir target
    BIN=$PWD/target/debug
fi
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost
exec "$rehearsal_venv/bin/python" tests/rehearsal/rehearse.py "$PWD" "$BIN" "${TEMPLATE:-template.yaml}"
