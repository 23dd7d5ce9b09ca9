"""An operator at the deployed stack: the command line's transcript, the page, and the alarm of runs that failed for good."""

import json
import os
import subprocess
from pathlib import Path

from checks import Checks
from stack import Stack

TRANSCRIPT = "target/rehearsal/command.txt"
EMULATED = {"GreaterThanOrEqualToThreshold": lambda found, threshold: found >= threshold}


def check_page(stack: Stack, checks: Checks) -> None:
    """What anybody may see of it has no data, and the rest is an operator's."""
    page = stack.world.ask("GET", stack.api_url + "/")
    kind = page.headers.get("content-type")
    checks.equal("the page, for anybody", (page.status, kind), (200, "text/html; charset=utf-8"))
    description = stack.world.ask("GET", stack.api_url + "/openapi.json")
    checks.equal("the API's description, for anybody", (description.status, description.json["openapi"]), (200, "3.1.0"))
    for path in ("/doctor", "/doctor/registry", "/holds", "/migrations/report"):
        answers = (stack.world.ask("GET", stack.api_url + path).status, stack.call("GET", path).status)
        checks.equal(f"{path}, for operators", answers, (401, 200))


def run_transcript(stack: Stack, checks: Checks, paths: list[str]) -> str:
    """From the doctor to the report, by registry-migration. Gives what it showed."""
    world = stack.world
    token, repositories = world.folder / "token", world.folder / "repositories"
    token.write_text(stack.token)
    repositories.write_text("".join(json.dumps({"path": path, "tags_count": world.tags(path)}) + "\n" for path in paths))
    told = {
        "PATH": os.environ["PATH"],
        "HOME": str(world.folder / "home"),
        "LANG": "C.UTF-8",
        "REGISTRY_MIGRATION_API": stack.api_url,
        "REGISTRY_MIGRATION_TOKEN_FILE": str(token),
        "REGISTRY_MIGRATION_OPERATOR": "ann",
    }
    script = world.repository / "tests/command/transcript.sh"
    command = [script, world.binaries / "registry-migration", world.registry_url, repositories]
    done = subprocess.run(command, env=told, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    transcript = Path(world.repository / TRANSCRIPT)
    transcript.parent.mkdir(parents=True, exist_ok=True)
    transcript.write_text(done.stdout)
    said = done.stdout.strip().splitlines()[-1:]
    checks.that(f"the command line: {' '.join(said)} ({TRANSCRIPT})", done.returncode == 0, done.stdout[-1500:])
    checks.equal("every digest is equal", [path for path in paths if not world.is_equal(path)], [])
    return done.stdout


def fail_a_schedule(stack: Stack, checks: Checks) -> None:
    """A run fails for good and comes into the queue: the alarm's own threshold is reached until somebody empties it."""
    queues, url = stack.world.client("sqs"), stack.outputs["ScheduleFailuresUrl"]
    [alarm] = [
        one
        for one in stack.world.client("cloudwatch").describe_alarms()["MetricAlarms"]
        if one["MetricName"] == "ApproximateNumberOfMessagesVisible"
    ]

    def rings() -> bool:
        name = "ApproximateNumberOfMessages"
        found = int(queues.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
        return EMULATED[alarm["ComparisonOperator"]](found, alarm["Threshold"])

    checks.that("the alarm of runs that failed for good is silent", not rings(), alarm)
    right = stack.secretsmanager.get_secret_value(SecretId=stack.outputs["WritingSecretArn"])["SecretString"]
    stack.put_secret("WritingSecretArn", json.dumps({"username": "migration_driver", "password": stack.world.secret()}))
    stack.invoke("enqueue-migrations", asynchronously=True)
    checks.comes("it rings when a run has failed again and again", rings, 240)
    told = queues.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages", [{}])[0].get("Body", "")
    checks.that("the queue has the reason", "28P01" in told or "errorMessage" in told, told)
    stack.put_secret("WritingSecretArn", right)
    queues.purge_queue(QueueUrl=url)
    invoked = stack.invoke("enqueue-migrations")
    checks.that("the next run goes on by itself", "FunctionError" not in invoked, invoked)
    checks.comes("the emptied queue is silent", lambda: not rings())
