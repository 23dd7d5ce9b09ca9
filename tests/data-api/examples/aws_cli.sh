#!/bin/sh
# One parameter there and back, with the unmodified aws CLI.
# AWS_ENDPOINT_URL_RDS_DATA=http://127.0.0.1:8080 examples/aws_cli.sh
set -eu
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=eu-central-1
# Without the cast this is text, and text plus an integer is SQLSTATE 42883.
aws rds-data execute-statement \
    --endpoint-url "$AWS_ENDPOINT_URL_RDS_DATA" \
    --resource-arn arn:aws:rds:eu-central-1:123456789012:cluster:example \
    --secret-arn arn:aws:secretsmanager:eu-central-1:123456789012:secret:example \
    --sql 'SELECT :day::date + 1' \
    --parameters '[{"name":"day","value":{"stringValue":"2026-02-28"}}]'
