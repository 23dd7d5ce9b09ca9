"""What a user would write: a notification's handler with a plain guarded UPDATE, for Lambda's own runtime client."""

import base64
import hmac
import json
import os
import re
from urllib.parse import unquote

import boto3
from botocore.config import Config

ROUTE = re.compile(r"^(?:/api/v4)?/internal/registry/repositories/(.+)/migration/status$")
CHANGES = {
    "pre_import_complete": ("pre_importing", "pre_import_done", "pre_import_done_at"),
    "import_complete": ("importing", "import_done", "import_done_at"),
}
SQL = """UPDATE container_repositories
    SET migration_state = '{to}', {at} = now(), state_since = now(), version = version + 1
    WHERE path = :path AND migration_state = '{of}'
    RETURNING version"""

config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=8)
data_api = boto3.client("rds-data", config=config)
secrets = boto3.client("secretsmanager", config=config)
secret = secrets.get_secret_value(SecretId=os.environ["NOTIFICATION_SECRET_ARN"])["SecretString"]


def answer(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def handle(event, _context):
    if not hmac.compare_digest(event["headers"].get("authorization", ""), secret):
        return answer(401, {"message": "401 Unauthorized"})
    route = ROUTE.match(event["rawPath"])
    if not route:
        return answer(404, {"message": "404 Not found"})
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    change = CHANGES.get(json.loads(body).get("status"))
    if not change:
        return answer(400, {"message": "400 Bad request"})
    of, to, at = change
    path = unquote(route.group(1)).lower()
    done = data_api.execute_statement(
        resourceArn=os.environ["WRITER_ARN"],
        secretArn=os.environ["WRITER_SECRET_ARN"],
        database=os.environ["DATABASE_NAME"],
        sql=SQL.format(of=of, to=to, at=at),
        parameters=[{"name": "path", "value": {"stringValue": path}}],
    )
    if not done["records"]:
        return answer(400, {"message": "400 Bad request - Wrong migration state"})
    return answer(200, {"path": path, "version": done["records"][0][0]["longValue"]})
