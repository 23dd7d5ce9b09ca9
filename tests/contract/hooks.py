"""Gives some of schemathesis's calls a repository in the state that they need, and writes down every answer.

Generated paths name no repository, so by themselves nearly all calls would be answered 404. Every third valid call of an
operation gets a repository of its own, put into its state by the same HTTP API (by SQL where that takes a fault)."""

import ast
import collections
import json
import os
import subprocess
import threading

import requests
import schemathesis

STACK = json.load(open(os.environ["CONTRACT_STACK"]))
LOG = open(os.environ["CONTRACT_LOG"], "w")
BASE = STACK["base_url"]
OPERATOR = {"Authorization": f"Bearer {STACK['operator_token']}"}
REGISTRY = {"Authorization": STACK["notification_secret"]}
SETTINGS = {
    "enabled": True, "capacity": 1000, "waiting_time_seconds": 0, "max_retries": 1000, "circuit_breaker_failures": 0,
    "reader_enabled": True, "reader_lag_bound_seconds": 60, "target_plans": [], "denied_root_namespaces": [],
    "max_tags_count": 0,
    # Nothing is started but what is named: a slot that becomes free would take what is being prepared.
    "created_before": "2000-01-01T00:00:00Z",
}
# How often another repository is taken, where somebody else changed the first one meanwhile.
ATTEMPTS = 10

session = requests.Session()
calls = collections.Counter()
lock = threading.Lock()
made = 0


# Python's parser counts its depth for all threads together, so two that parse at once fail ("AST constructor recursion
# depth mismatch"). Hypothesis parses to describe its strategies, in each of the workers.
parse_alone = threading.Lock()
parse = ast.parse


def parse_in_turn(*args, **kwargs):
    with parse_alone:
        return parse(*args, **kwargs)


ast.parse = parse_in_turn


schemathesis.serializer.alias("application/x-ndjson", "text/plain")


class Refused(RuntimeError):
    """The repository is not in the state that the call needs, or the registry is thought to stop."""


def ask(method, path, body=None, headers=OPERATOR):
    answer = session.request(method, BASE + path, json=body, headers=headers, timeout=30)
    if answer.status_code in (409, 429):
        raise Refused(f"{method} {path}: {answer.text}")
    if answer.status_code >= 400:
        raise RuntimeError(f"{method} {path}: {answer.text}")
    return answer.json()


def execute(statement):
    subprocess.run([os.environ["CONTRACT_PSQL"], "-qX", STACK["writer_dsn"], "-c", statement], check=True)


def registered():
    global made
    made += 1
    path = f"prepared/{made}"
    ask("POST", "/repositories", [{"path": path}])
    return path


def running():
    """Its start is cut off, so nobody knows whether the registry runs it."""
    path = registered()
    rule = {"operation": "start", "repository": path, "effect": {"kind": "cut"}}
    session.post(STACK["registry_url"] + "/-/rules", json=rule, timeout=30).raise_for_status()
    ask("POST", f"/migrations/start/{path}")
    return path


def aborted():
    path = running()
    notice = {"path": path, "status": "pre_import_failed"}
    ask("PUT", f"/internal/registry/repositories/{path}/migration/status", notice, REGISTRY)
    return path


def skipped():
    path = registered()
    ask("POST", f"/migrations/skip/{path}", {"reason": "not_in_plan"})
    return path


def unverified():
    path = registered()
    ask("POST", f"/migrations/start/{path}")
    execute(f"UPDATE container_repositories SET tags_check = 'tags_unverified' WHERE path = '{path}'")
    return path


PREPARED = {
    "showRepository": registered, "showHistory": skipped, "explain": registered, "start": registered, "retry": aborted,
    "cancel": running, "skip": registered, "accept": unverified, "reopen": skipped, "remove": registered,
    "notify": running, "notifyWithoutPrefix": running,
}


def prepare(name):
    """A repository for one call of an operation, whatever other calls did to the settings."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            ask("PATCH", "/settings", SETTINGS)
            return PREPARED[name]()
        except Refused:
            if attempt == ATTEMPTS:
                raise
            # Notifications of cancelations hold all starts back for a while.
            execute("UPDATE migration_brake SET stopped_until = NULL, full_until = NULL, opened_at = NULL")


def name_of(case):
    return case.operation.definition.raw.get("operationId", case.operation.label)


def is_valid(case):
    return case.meta is not None and case.meta.generation.mode.is_positive and case.method == case.operation.method.upper()


@schemathesis.hook
def before_call(context, case, kwargs):
    name = name_of(case)
    if not is_valid(case):
        return
    calls[name] += 1
    if name == "setHold" and isinstance(case.body, dict) and case.body.get("window") and calls[name] % 3 != 1:
        # Made-up names are no time zones.
        case.body["window"]["zone"] = "Europe/Berlin"
    if name == "register" and isinstance(case.body, str) and calls[name] % 3 != 1:
        # Made-up text is no list.
        case.body = "".join(json.dumps({"path": f"lines/{calls[name]}/{line}"}) + "\n" for line in range(3))
    if name not in PREPARED:
        return
    if calls[name] % 3 != 1:
        return
    with lock:
        case.path_parameters["path"] = prepare(name)
    if name == "cancel":
        # The registry knows of no import.
        case.body = {"force": True}


@schemathesis.hook
def after_call(context, case, response):
    row = {"operation": name_of(case), "method": case.method, "status": response.status_code}
    LOG.write(json.dumps(row) + "\n")
    LOG.flush()
