"""What is there before a stranger deploys: an account on the emulator, databases, a registry; and clients of it."""

import base64
import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import boto3
import urllib3
from botocore.config import Config

from checks import wait_until
from postgres import DATABASE, Authority, Postgres
from processes import Processes, ready_line

REGION = "eu-central-1"
ACCOUNT = "123456789012"
HERE = Path(__file__).resolve().parent
FUNCTIONS = (
    "start-migration",
    "registry-notification",
    "migration-status",
    "manage-migrations",
    "enqueue-migrations",
    "guard-migrations",
    "observe-migrations",
    "apply-schema",
)


class Answer(NamedTuple):
    """An HTTP answer; `json` is None where the body is none."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class World:
    """Holds everything that a rehearsal starts, and ends it."""

    def __init__(self, repository: Path, binaries: Path, template: Path) -> None:
        self.repository, self.binaries, self.template = repository, binaries, template.read_text()
        self.folder = Path(tempfile.mkdtemp(prefix="registry-rehearsal-"))
        # PostgreSQL's account must pass.
        self.folder.chmod(0o711)
        for name in ("lines", "sessions", "postgres", "artefacts", "home"):
            (self.folder / name).mkdir()
        self.processes = Processes(self.folder)
        self.http = urllib3.PoolManager(maxsize=32, retries=False, timeout=urllib3.Timeout(connect=5, read=35))
        self.port, self.registry_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.registry_url = f"http://127.0.0.1:{self.registry_port}"
        self.registry = None
        # All that must stand in no log.
        self.secrets: set[str] = set()

    # --- Databases ---

    def start_databases(self) -> None:
        folder = self.folder / "postgres"
        self.primary, self.standby, self.second = (
            Postgres(name, free_port(), folder, self.secret(), self.processes)
            for name in ("primary", "standby", "second")
        )
        self.primary.own(folder)
        self.authority = Authority(folder)
        for server in (self.primary, self.second):
            server.init(self.authority)
        self.standby.password = self.primary.password
        self.standby.copy_from(self.primary)
        for server in (self.primary, self.standby, self.second):
            server.start()
        # Superusers in place of rds_superuser, which a second cluster's owner is on AWS.
        self.owner_password = self.secret()
        for server in (self.primary, self.second):
            server.sql(f"CREATE ROLE owner LOGIN SUPERUSER PASSWORD '{self.owner_password}'")
            server.sql(f"CREATE DATABASE {DATABASE} OWNER owner")

    # --- The account ---

    def start_emulator(self) -> None:
        """As AUTH demands: policies and signatures are enforced."""
        clusters = {"first": self.primary, "second": self.second}
        told = {
            "program": str(self.binaries / "local-data-api"),
            "database": DATABASE,
            "clusters": [
                {"arn": cluster_arn(name), "host": "127.0.0.1", "port": server.port}
                for name, server in clusters.items()
            ],
        }
        (self.folder / "data-api.json").write_text(json.dumps(told))
        more = {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "AUTH": "true",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "LAMBDA_STRICT": "0",
            "REHEARSAL_FOLDER": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.folder),
        }
        command = [sys.executable, HERE / "emulator.py"]
        emulator = self.processes.start("emulator", command, env=self.environment() | more)

        def is_ready() -> bool:
            if emulator.poll() is not None:
                raise RuntimeError("the emulator ended:\n" + self.processes.tail("emulator"))
            try:
                return self.http.request("GET", self.url + "/_ministack/health").status == 200
            except urllib3.exceptions.HTTPError:
                return False

        wait_until("the emulator answers", is_ready)

    def environment(self) -> dict[str, str]:
        """Of the stranger's shell: the account's keys, no profile, and nothing of who runs the rehearsal."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(self, service: str, session: dict[str, str] | None = None):
        """A client of the account's owner, or of a function's session."""
        keys = session or self.environment()
        config = Config(retries={"total_max_attempts": 1}, read_timeout=310, proxies={})
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            config=config,
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=keys.get("AWS_SESSION_TOKEN"),
        )

    # --- The registry ---

    def make_registry(self, repositories: int) -> list[str]:
        """Makes a storage full of images and a key, and gives the paths of the repositories."""
        self.old, self.new = self.folder / "old", self.folder / "new"
        program = self.binaries / "local-registry"
        subprocess.run(
            [program, "make-storage", self.old, "--repositories", str(repositories)], check=True, capture_output=True
        )
        # As the handbook says: openssl makes the key, and its line breaks are taken out.
        key = self.folder / "signing-key.pem"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        public = ["openssl", "rsa", "-in", key, "-pubout", "-out", self.folder / "signing-key.pub"]
        subprocess.run(public, check=True, capture_output=True)
        self.signing_key = key.read_text().replace("\n", "")
        self.secrets.add(re.sub("-----[A-Z ]+-----", "", self.signing_key)[200:264])
        root = self.old / "docker/registry/v2/repositories"
        return sorted(str(path.parent.relative_to(root)) for path in root.glob("**/_manifests"))

    def start_registry(self, notification_url: str, secret: str) -> None:
        """Starts it, or again with another secret: what it knows is in its storage."""
        if self.registry:
            self.processes.end(self.registry)
        command = [
            self.binaries / "local-registry",
            "serve",
            "--listen",
            f"127.0.0.1:{self.registry_port}",
            "--old-storage",
            self.old,
            "--new-storage",
            self.new,
            "--token-public-key",
            self.folder / "signing-key.pub",
            "--token-issuer",
            "rehearsal",
            "--token-audience",
            "rehearsal-registry",
            "--max-concurrent-imports",
            "8",
            "--notification-url",
            notification_url,
        ]
        told = self.environment() | {"LOCAL_REGISTRY_NOTIFICATION_SECRET": secret}
        self.registry = self.processes.start("registry", command, env=told, stdout=subprocess.PIPE)
        ready_line(self.registry, "the registry")

    def tags(self, path: str) -> int:
        """How many tags the old storage has of it."""
        return len(list((self.old / "docker/registry/v2/repositories" / path / "_manifests/tags").iterdir()))

    def notifications(self) -> list[dict]:
        return self.ask("GET", self.registry_url + "/-/journal").json["notifications"]

    def is_equal(self, path: str) -> bool:
        """Whether the new storage has the same digests as the old one."""
        return self.ask("GET", f"{self.registry_url}/-/verify/{path}").status == 200

    # --- Requests ---

    def ask(self, method: str, url: str, body: object = None, headers: dict | None = None) -> Answer:
        """One request; a body that is no text is sent as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        answer = self.http.request(method, url, body=body, headers=headers)
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)

    def secret(self) -> str:
        """A new password, remembered as one that must stand in no log."""
        made = base64.b32encode(os.urandom(20)).decode()
        self.secrets.add(made)
        return made

    def end(self, keep: bool) -> None:
        """Ends all that runs; keep: the folder with everybody's logs stays, and is named."""
        self.processes.end_all()
        if keep:
            print(f"Logs: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def cluster_arn(name: str) -> str:
    return f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:{name}"


def free_port() -> int:
    """One below those that the system gives to outgoing connections: nobody takes it before it is listened to."""
    for port in random.sample(range(15_000, 30_000), 1_000):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port on 127.0.0.1 between 15000 and 30000")
