#!/bin/sh
# template.yaml as SAM and CloudFormation see it: valid, without a finding of the linters, and transformed into the
# resources that tests/template/transformed.txt lists. Needs no account and no credentials. What the template says
# against the code that it deploys is tested in tests/suite.
#
# usage: tests/template.sh [--accept]   --accept: take the present transformation as the right one
set -eu

cd "$(dirname -- "$0")/.."

sam_version=1.170.0
lint_version=1.58.0
venv=$PWD/target/tools/sam

if ! "$venv/bin/python" -c "
from importlib.metadata import version
assert (version('aws-sam-cli'), version('cfn-lint')) == ('$sam_version', '$lint_version')" 2>/dev/null; then
    echo "Installing aws-sam-cli $sam_version and cfn-lint $lint_version into target/tools" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        "aws-sam-cli==$sam_version" "cfn-lint==$lint_version" >&2
fi

# Nobody's profile, and no look for credentials on the network.
export AWS_DEFAULT_REGION=eu-central-1 AWS_REGION=eu-central-1 AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none
export SAM_CLI_TELEMETRY=0 PYTHONDONTWRITEBYTECODE=1

"$venv/bin/cfn-lint" --template template.yaml --regions eu-central-1 us-east-1
"$venv/bin/sam" validate --lint --template template.yaml

golden=tests/template/transformed.txt
fresh=target/transformed.txt
"$venv/bin/python" tests/template/transform.py template.yaml target/transformed.json >"$fresh"
"$venv/bin/cfn-lint" --template target/transformed.json --regions eu-central-1 us-east-1
if [ "${1-}" = --accept ]; then
    cp "$fresh" "$golden"
fi
diff -u "$golden" "$fresh" || {
    echo "What is deployed has changed: if that is meant, tests/template.sh --accept" >&2
    exit 1
}
echo "template.yaml: $(wc -l <"$golden") lines of resources, routes and schedules, as before"
