"""PostgreSQL: a primary with a streaming standby, and a second cluster; all over TLS and with passwords."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from checks import wait_until
from processes import Processes

DATABASE = "migrations"
SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 200
dynamic_shared_memory_type = mmap
fsync = off
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
wal_retrieve_retry_interval = 100ms
ssl = on
"""


class Postgres:
    """One server. Its superuser is `postgres`."""

    def __init__(self, name: str, port: int, folder: Path, password: str, processes: Processes) -> None:
        self.name, self.port, self.password, self.processes = name, port, password, processes
        self.data = folder / name
        self.account = account()

    def init(self, authority: "Authority") -> None:
        """Makes an empty cluster that takes nobody without a password."""
        secret = self.data.with_suffix(".password")
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        self.own(secret)
        options = ["--auth=scram-sha-256", "--username=postgres", f"--pwfile={secret}"]
        options += ["--wal-segsize=1", "--no-sync", "--encoding=UTF8", "--locale=C"]
        self.run("initdb", *options, "-D", self.data)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS.format(port=self.port))
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write("host replication all 127.0.0.1/32 scram-sha-256\n")
        authority.certify(self)

    def copy_from(self, primary: "Postgres") -> None:
        """Becomes a standby of a primary that has not run yet: a copy that is told so."""
        subprocess.run(["cp", "-a", primary.data, self.data], check=True)
        upstream = f"host=127.0.0.1 port={primary.port} user=postgres password={primary.password}"
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"port = {self.port}\nprimary_conninfo = '{upstream}'\n")
        (self.data / "standby.signal").touch()
        self.own(self.data / "standby.signal")

    def start(self) -> None:
        command = [program("postgres"), "-D", self.data]
        self.processes.start(self.name, command, signal.SIGQUIT, env=environment(self.data), **self.as_account())
        wait_until(f"PostgreSQL ({self.name}) takes connections", lambda: self.sql("SELECT 1", check=False) == "1")

    def sql(
        self,
        text: str,
        database: str = "postgres",
        user: str = "postgres",
        password: str | None = None,
        check: bool = True,
    ) -> str | None:
        """Runs statements one by one and gives what they print; None where that fails and `check` is not asked for."""
        login = f"host=127.0.0.1 port={self.port} dbname={database} user={user} sslmode=require connect_timeout=5"
        secret = environment(self.data) | {"PGPASSWORD": password or self.password}
        command = [program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", login]
        done = subprocess.run(command, input=text, capture_output=True, text=True, env=secret)
        if done.returncode == 0:
            return done.stdout.strip()
        if check:
            raise RuntimeError(f"{self.name}: {done.stderr.strip()}")
        return None

    def run(self, name: str, *arguments) -> None:
        done = subprocess.run(
            [program(name), *arguments],
            capture_output=True,
            text=True,
            env=environment(self.data.parent),
            cwd=self.data.parent,
            **self.as_account(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr}")

    def as_account(self) -> dict:
        """PostgreSQL refuses to run as root."""
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if self.account else {}

    def own(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)


class Authority:
    """Signs the servers' certificates; `file` is what clients trust."""

    def __init__(self, folder: Path) -> None:
        self.file, self.key = folder / "rds-ca.pem", folder / "rds-ca.key"
        openssl(
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            self.key,
            "-out",
            self.file,
            "-days",
            "2",
            "-subj",
            "/CN=rehearsal",
        )

    def certify(self, server: Postgres) -> None:
        key, request, made = (server.data / name for name in ("server.key", "server.csr", "server.crt"))
        names = server.data / "names"
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=localhost")
        openssl(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            self.file,
            "-CAkey",
            self.key,
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            names,
            "-out",
            made,
        )
        key.chmod(0o600)
        for path in (key, made):
            server.own(path)


def openssl(*arguments) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("running as root, and there is neither a user postgres nor nobody to run PostgreSQL as")


def program(name: str) -> str:
    """One of PostgreSQL's, on PATH or where Debian and Homebrew keep them, the newest first."""
    if found := shutil.which(name):
        return found
    places = ["/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin"]
    found = [path for place in places for path in sorted(Path("/").glob(f"{place[1:]}/{name}"), reverse=True)]
    if not found:
        raise RuntimeError(f"PostgreSQL's {name} is not installed")
    return str(found[0])


def environment(home: Path) -> dict[str, str]:
    """Without the caller's PG* variables, and with a home that the account may look into."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "HOME": str(home)}
