# Installs aws-sam-cli and cfn-lint into target/tools/sam, where they are not there yet, and sees to it that they find
# nobody's profile and look for no credentials on the network. To be read by a script: ". tests/sam.sh" from the workspace's
# folder. Sets sam_venv.
# shellcheck shell=sh

sam_version=1.170.0
lint_version=1.58.0
sam_venv=$PWD/target/tools/sam

if ! "$sam_venv/bin/python" -c "
from importlib.metadata import version
assert (version('aws-sam-cli'), version('cfn-lint')) == ('$sam_version', '$lint_version')" 2>/dev/null; then
    echo "Installing aws-sam-cli $sam_version and cfn-lint $lint_version into target/tools" >&2
    rm -rf "$sam_venv"
    python3 -m venv "$sam_venv" >&2
    "$sam_venv/bin/pip" install --quiet --disable-pip-version-check \
        "aws-sam-cli==$sam_version" "cfn-lint==$lint_version" >&2
fi

export AWS_DEFAULT_REGION=eu-central-1 AWS_REGION=eu-central-1 AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none
export SAM_CLI_TELEMETRY=0 PYTHONDONTWRITEBYTECODE=1
