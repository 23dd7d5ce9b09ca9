"""One parameter there and back, with unmodified boto3.

AWS_ENDPOINT_URL_RDS_DATA=http://127.0.0.1:8080 python examples/boto3_client.py
"""

import boto3

client = boto3.client(
    "rds-data",
    region_name="eu-central-1",
    aws_access_key_id="local",
    aws_secret_access_key="local",
)
answer = client.execute_statement(
    resourceArn="arn:aws:rds:eu-central-1:123456789012:cluster:example",
    secretArn="arn:aws:secretsmanager:eu-central-1:123456789012:secret:example",
    # Without the cast this is text, and text plus an integer is SQLSTATE 42883.
    sql="SELECT :day::date + 1",
    parameters=[{"name": "day", "value": {"stringValue": "2026-02-28"}}],
)
print(answer["records"])
