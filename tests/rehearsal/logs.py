"""All that was logged: every line is JSON, and none holds a secret."""

import json

from checks import Checks
from stack import Stack
from world import FUNCTIONS, World

ACCESS_LOG = {
    "timestamp": str,
    "route": str,
    "status": int,
    "responseLatency": int,
    "requestId": str,
    "integrationStatus": str,
    "sourceIp": str,
}
LEVELS = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"}


def check_function_lines(stack: Stack, checks: Checks) -> None:
    groups = {}
    for name in FUNCTIONS:
        path = stack.world.folder / "lines" / f"{stack.functions[name]}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        wrong = [line for line in lines if not is_line(line)]
        config = stack.lambdas.get_function_configuration(FunctionName=stack.functions[name])
        groups[name] = config["LoggingConfig"]["LogGroup"]
        checks.that(
            f"{name}: {len(lines)} lines, each with its time and level, or metrics", lines and not wrong, wrong[:3]
        )
    described = stack.world.client("logs").describe_log_groups()["logGroups"]
    kept = {one["logGroupName"]: one.get("retentionInDays") for one in described}
    checks.equal("each writes to a log of its own", len(set(groups.values())), len(FUNCTIONS))
    checks.equal("which is kept for 30 days", {kept.get(group) for group in groups.values()}, {30})


def is_line(text: str) -> bool:
    """Whether it is an object with a time and a level, or one of metrics."""
    try:
        line = json.loads(text)
    except ValueError:
        return False
    return isinstance(line, dict) and ("_aws" in line or ("timestamp" in line and line.get("level") in LEVELS))


def check_access_log(stack: Stack, checks: Checks) -> list[str]:
    """Each line of the API's own log is an object, its numbers numbers. Gives the lines."""
    group = f"/aws/vendedlogs/{stack.name}-api"
    pages = stack.world.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    lines = [event["message"] for page in pages for event in page["events"]]
    wrong = []
    for line in lines:
        try:
            found = {name: type(value) for name, value in json.loads(line).items()}
        except ValueError:
            found = {}
        if found != ACCESS_LOG:
            wrong.append(line)
    checks.that(f"access log: {len(lines)} lines, numbers as numbers", lines and not wrong, wrong[:3])
    return lines


def check_no_secret(world: World, checks: Checks, more: list[str]) -> None:
    """No secret stands in a function's line, the access log, a stack's events, what sam printed or servers said."""
    files = [
        *(world.folder / "lines").iterdir(),
        *(world.folder / name for name in ("sam.log", "data-api.log", "registry.log")),
    ]
    texts = {path.name: path.read_text(errors="replace") for path in files} | {"access log and events": "\n".join(more)}
    shown = {(where, secret[:4] + "...") for where, text in texts.items() for secret in world.secrets if secret in text}
    checks.that(f"none of {len(world.secrets)} secrets is in any of {len(texts)} logs", not shown, shown)
