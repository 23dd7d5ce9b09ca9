"""Secrets changed as the handbook says: the registry's, the operators', and the database's passwords."""

import json

from checks import Checks
from postgres import DATABASE
from stack import AGE, Stack
from world import Answer


def rotate_shared_secrets(stack: Stack, checks: Checks, path: str) -> None:
    """Rotated twice, and the first value shown alone: it ends by itself."""

    def notify(secret: str) -> Answer:
        # Nothing has this path: 404 is what an admitted caller is answered.
        return stack.notify(path, "import_complete", secret=secret)

    def read(token: str) -> Answer:
        return stack.call("GET", "/migrations/summary", token=token)

    first = {"OperatorTokenArn": stack.token, "NotificationSecretArn": stack.notification_secret}
    checks.equal(
        "both secrets are admitted", (read(stack.token).status, notify(stack.notification_secret).status), (200, 404)
    )
    values = [{output: stack.world.secret() for output in first} for _ in range(2)]
    for value in values:
        for output, text in value.items():
            stack.put_secret(output, text)
    # Longer than the age: what is slow is not taken for what is never refused.
    limit = AGE + 5
    first_token, first_secret = first.values()
    checks.comes("the first token, shown alone, is refused in time", lambda: read(first_token).status == 401, limit)
    checks.comes("so is the first notification secret", lambda: notify(first_secret).status == 401, limit)
    for value, which in zip(values, ("previous", "current"), strict=True):
        answers = (read(value["OperatorTokenArn"]).status, notify(value["NotificationSecretArn"]).status)
        checks.equal(f"the {which} ones are admitted", answers, (200, 404))
    stack.token, stack.notification_secret = values[-1].values()


def rotate_database_passwords(stack: Stack, checks: Checks) -> None:
    """A new password, then apply-schema by hand, which tells the database."""
    primary = stack.world.primary
    for output, user in (("WritingSecretArn", "migration_driver"), ("ReadingSecretArn", "migration_reader")):
        before = json.loads(stack.secret_value(output))["password"]
        after = stack.world.secret()
        stack.put_secret(output, json.dumps({"username": user, "password": after}))
        invoked = stack.invoke("apply-schema")
        checks.that(f"apply-schema tells the database of {user}'s", "FunctionError" not in invoked, invoked)
        logins = [primary.sql("SELECT 1", DATABASE, user, one, check=False) for one in (after, before)]
        checks.equal("the new password is taken, the old one is not", logins, ["1", None])
    answers = (stack.call("GET", "/settings").status, stack.call("GET", "/migrations/summary").status)
    checks.equal("writer and reader answer", answers, (200, 200))
