"""The Data API in front of the rehearsal's servers: `local-data-api`, one process for each value of a secret.

The emulator has checked the signature and whether the caller may use the cluster. Here the caller must be allowed to
read the secret, too, and the value is the one that the secret has at that moment.
"""

import json
import subprocess
import threading
from pathlib import Path

import urllib3

REFUSED_HEADERS = ("host", "content-length", "connection", "transfer-encoding")


class DataApi:
    """Answers calls of the Data API.

    folder: has `data-api.json`, which names the program, the clusters by ARN and the database; what the processes are
    told is kept there, readable to nobody else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = json.loads((folder / "data-api.json").read_text())
        self.urls: dict[tuple[str, str], str] = {}
        self.lock = threading.Lock()
        self.http = urllib3.PoolManager(maxsize=64)

    def answer(self, method: str, path: str, headers: dict, body: bytes) -> tuple[int, dict, bytes]:
        arn = (json.loads(body or b"{}")).get("secretArn", "")
        if denied := self.denied(arn, headers):
            return denied
        url = self.url_for(arn)
        if url is None:
            text = "There was a problem with the Secrets Manager secret used with the request"
            return problem(400, "SecretsErrorException", text)
        sent = {name: value for name, value in headers.items() if name not in REFUSED_HEADERS}
        answer = self.http.request(method, url + path, body=body, headers=sent, retries=False)
        kept = {
            name: value for name, value in answer.headers.items() if name.lower().startswith(("content-type", "x-"))
        }
        return answer.status, kept, answer.data

    def denied(self, arn: str, headers: dict) -> tuple[int, dict, bytes] | None:
        from ministack.core.iam_evaluator import enforce
        from ministack.core.responses import get_region
        from ministack.core.router import extract_access_key_id

        action = "secretsmanager:GetSecretValue"
        if enforce(extract_access_key_id(headers), action, "secretsmanager", get_region(), resource_arn=arn) is None:
            return None
        return problem(403, "AccessDeniedException", f"The caller is not authorized to perform: {action} on {arn}")

    def url_for(self, arn: str) -> str | None:
        """The process that logs in with what the secret holds now; None where it holds no user and password."""
        from ministack.services import secretsmanager

        _, secret = secretsmanager._resolve(arn)
        if not secret:
            return None
        version, value = secretsmanager._find_stage_version(secret, "AWSCURRENT")
        try:
            login = json.loads(value["SecretString"])
            user = {"arn": arn, "username": login["username"], "password": login["password"]}
        except (TypeError, ValueError, KeyError):
            return None
        with self.lock:
            if (arn, version) not in self.urls:
                self.urls[arn, version] = self.start(user, version)
            return self.urls[arn, version]

    def start(self, user: dict, version: str) -> str:
        config = self.folder / f"data-api-{version}.json"
        config.touch(mode=0o600)
        told = {"clusters": self.told["clusters"], "default_database": self.told["database"], "secrets": [user]}
        config.write_text(json.dumps(told))
        with (self.folder / "data-api.log").open("ab") as log:
            process = subprocess.Popen(
                [self.told["program"], "--config", config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        return json.loads(process.stdout.readline())["url"]


def problem(status: int, name: str, text: str) -> tuple[int, dict, bytes]:
    body = json.dumps({"__type": name, "message": text}).encode()
    return status, {"content-type": "application/x-amz-json-1.1", "x-amzn-errortype": name}, body
