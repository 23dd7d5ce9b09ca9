"""The stack updated while it is used: every notification is answered, and what fails leaves all as it was."""

import threading
import time

from checks import Checks
from postgres import DATABASE
from stack import Stack

ROWS = """SELECT md5(string_agg(container_repositories::text, ';' ORDER BY path)) FROM container_repositories;
SELECT count(*), max(table_name) FROM information_schema.tables WHERE table_schema = 'public'"""


class Notifications:
    """Sends a notification each second, of a repository that is done: a repeat, which is answered 200."""

    def __init__(self, stack: Stack, path: str) -> None:
        attempt = stack.world.primary.sql(f"SELECT attempt FROM container_repositories WHERE path = '{path}'", DATABASE)
        self.send = lambda: stack.notify(path, "import_complete", attempt)
        self.answers: list[int | str] = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        due = time.monotonic()
        while not self.stopped.is_set():
            try:
                self.answers.append(self.send().status)
            except Exception as error:  # Whatever it is, it is no 200.
                self.answers.append(repr(error))
            due += 1
            self.stopped.wait(max(0.0, due - time.monotonic()))

    def __enter__(self) -> "Notifications":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        self.thread.join()

    def check(self, checks: Checks) -> None:
        sent = self.answers
        right = len(sent) > 3 and set(sent) == {200}
        checks.that(f"all {len(sent)} notifications meanwhile were answered 200", right, sent)


def change_level(stack: Stack, checks: Checks, path: str) -> None:
    with Notifications(stack, path) as notifications:
        done = stack.deploy({"LogLevel": "DEBUG"})
    checks.that("another LogLevel is deployed", done.returncode == 0, done.stdout[-500:] + done.stderr[-500:])
    notifications.check(checks)
    told = stack.environments()
    checks.equal("every function is told so", {one["LOG_LEVEL"] for one in told.values()}, {"DEBUG"})


def fail_and_roll_back(stack: Stack, checks: Checks, path: str) -> None:
    """A template that expects a schema that the function does not have."""
    functions, rows = stack.environments(), stack.world.primary.sql(ROWS, DATABASE)
    newest = next(line for line in stack.world.template.splitlines() if "NewestScript:" in line)
    with Notifications(stack, path) as notifications:
        done = stack.deploy({"LogLevel": "WARN"}, (newest, newest.split(":")[0] + ": 9999_next"))
    checks.that("a schema that the function lacks is refused", done.returncode != 0, done.stdout[-500:])
    said = "the template expects the schema 9999_next"
    checks.that("the events say so in words", said in stack.reasons(), stack.reasons()[-500:])
    checks.equal("the stack is rolled back", stack.status(), "UPDATE_ROLLBACK_COMPLETE")
    now = stack.environments()
    checks.equal("the functions are as before", [name for name, told in functions.items() if now[name] != told], [])
    # Notifications that repeat are recorded in the history, and leave the rows as they are.
    checks.equal("the database is as before", stack.world.primary.sql(ROWS, DATABASE), rows)
    notifications.check(checks)
