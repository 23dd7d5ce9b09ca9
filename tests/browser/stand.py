"""The stack that the page is tried on: `local up`, with its database and its HTTP API at hand."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import images


class Stand:
    """A running stack with `repositories` images in its registry. Ends with its context, unless it ran before: then
    `running` is its stack.json."""

    def __init__(self, binaries, repositories, step_time, running=None):
        self.binaries = pathlib.Path(binaries)
        self.process = None
        self.folder = None
        if running:
            self.local_folder = pathlib.Path(running).parent
            self._read(pathlib.Path(running).read_text())
            return
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="browser-"))
        self.local_folder = self.folder / "stack"
        try:
            self._start(repositories, step_time)
        except BaseException:
            self.close()
            raise

    def _start(self, repositories, step_time):
        storage = self.folder / "images"
        images.write(storage, repositories)
        environment = {**os.environ, "LOCAL_FOLDER": str(self.local_folder), "FUNCTIONS_DIR": str(self.binaries)}
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [self.binaries / "local", "up", "--storage", storage, "--step-time", str(step_time)],
            stdout=subprocess.PIPE, stderr=self.log, env=environment, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the stack did not start:\n" + (self.folder / "log").read_text())
        self._read(line)
        # The registry's list has no counts.
        self.sql("UPDATE container_repositories SET tags_count = 3")

    def _read(self, text):
        self.about = json.loads(text)
        self.base = self.about["base_url"]
        self.token = self.about["operator_token"]

    def sql(self, text):
        """What psql prints for `text` on the primary."""
        ended = subprocess.run(
            ["psql", self.about["writer_dsn"], "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text],
            check=True, capture_output=True, text=True)
        return ended.stdout.strip()

    def ask(self, method, path, body=None):
        """The JSON that the driver answers an operator."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def lag(self, what):
        """`pause` or `resume`: whether the reader replays what the writer commits."""
        environment = {**os.environ, "LOCAL_FOLDER": str(self.local_folder)}
        subprocess.run([self.binaries / "local", "lag", what], check=True, env=environment, stdout=subprocess.DEVNULL)

    def waiting(self, number):
        """The last paths by name that have not been started."""
        found = self.sql(f"""
            SELECT path FROM container_repositories WHERE migration_state = 'default' ORDER BY path DESC LIMIT {number}""")
        paths = found.split()
        assert len(paths) == number, f"{number} are left: {paths}"
        return paths

    def abort(self, paths, detail):
        """Their step has failed."""
        named = ",".join(f"'{path}'" for path in paths)
        self.sql(f"""
            UPDATE container_repositories SET migration_state = 'import_aborted', aborted_at = now(), state_since = now(),
                aborted_in_state = 'pre_importing', version = version + 1, retries_count = 1,
                not_before = now() + interval '1 hour', detail = '{detail}'
            WHERE path IN ({named})""")

    def rule(self, rule):
        """What the registry does with an import."""
        request = urllib.request.Request(self.about["registry_url"] + "/-/rules", data=json.dumps(rule).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 201

    def starts(self, path):
        """Whether a repository has been started; not where no slot is free."""
        try:
            self.ask("POST", f"/migrations/start/{path}")
            return True
        except urllib.error.HTTPError as refused:
            assert refused.code == 429, refused.read()
            return False

    def failed(self, prefix, number, detail):
        """Registers so many repositories whose step has failed."""
        self.sql(f"""
            INSERT INTO container_repositories (
                path, migration_state, version, pre_import_started_at, aborted_at, aborted_in_state, retries_count,
                not_before, detail, tags_count
            )
            SELECT '{prefix}/image-' || lpad(n::text, 5, '0'), 'import_aborted', 2, now(), now(), 'pre_importing', 1,
                now() + interval '1 hour', '{detail}', 3
            FROM generate_series(1, {number}) AS n""")

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def until(what, holds, seconds=20):
    """Waits until `holds()` is true; answers with what it was."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
