#!/bin/sh
# template.yaml as SAM and CloudFormation see it: valid, without a finding of the linters, and transformed into the
# resources that tests/template/transformed.txt lists. Needs no account and no credentials. What the template says
# against the code that it deploys is tested in tests/suite.
#
# usage: tests/template.sh [--accept]   --accept: take the present transformation as the right one
set -eu

cd "$(dirname -- "$0")/.."

. tests/sam.sh

"$sam_venv/bin/cfn-lint" --template template.yaml --regions eu-central-1 us-east-1
"$sam_venv/bin/sam" validate --lint --template template.yaml

golden=tests/template/transformed.txt
fresh=target/transformed.txt
"$sam_venv/bin/python" tests/template/transform.py template.yaml target/transformed.json >"$fresh"
"$sam_venv/bin/cfn-lint" --template target/transformed.json --regions eu-central-1 us-east-1
if [ "${1-}" = --accept ]; then
    cp "$fresh" "$golden"
fi
diff -u "$golden" "$fresh" || {
    echo "What is deployed has changed: if that is meant, tests/template.sh --accept" >&2
    exit 1
}
echo "template.yaml: $(wc -l <"$golden") lines of resources, routes and schedules, as before"
