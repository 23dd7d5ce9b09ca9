"""Gives some of schemathesis's calls a repository in the state that they need, and writes down every answer.

Generated paths name no repository, so by themselves nearly all calls would be answered 404. Every third valid call of an
operation gets a repository of its own, put into its state by the same HTTP API (by SQL where that takes a fault)."""

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
    "reader_enabled": True, "reader_lag_bound_seconds": 60, "created_before": None, "target_plans": [],
    "denied_root_namespaces": [], "max_tags_count": 0,
}

session = requests.Session()
calls = collections.Counter()
lock = threading.Lock()
made = 0


def ask(method, path, body=None, headers=OPERATOR):
    answer = session.request(method, BASE + path, json=body, headers=headers, timeout=30)
    if answer.status_code >= 400:
        raise RuntimeError(f"{method} {path}: {answer.text}")
    return answer.json()


def registered():
    global made
    made += 1
    path = f"prepared/{made}"
    ask("POST", "/repositories", [{"path": path}])
    return path


def running():
    """Its start is cut off, so nobody knows whether the registry runs it."""
    ask("PATCH", "/settings", SETTINGS)
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


def startable():
    ask("PATCH", "/settings", SETTINGS)
    return registered()


def unverified():
    path = startable()
    ask("POST", f"/migrations/start/{path}")
    statement = f"UPDATE container_repositories SET tags_check = 'tags_unverified' WHERE path = '{path}'"
    subprocess.run([os.environ["CONTRACT_PSQL"], "-qX", STACK["writer_dsn"], "-c", statement], check=True)
    return path


PREPARED = {
    "showRepository": registered, "showHistory": skipped, "explain": registered, "start": startable, "retry": aborted,
    "cancel": running, "skip": registered, "accept": unverified, "reopen": skipped, "remove": registered,
    "notify": running, "notifyWithoutPrefix": running,
}


def name_of(case):
    return case.operation.definition.raw.get("operationId", case.operation.label)


def is_valid(case):
    return case.meta is not None and case.meta.generation.mode.is_positive and case.method == case.operation.method.upper()


@schemathesis.hook
def before_call(context, case, kwargs):
    name = name_of(case)
    if name not in PREPARED or not is_valid(case):
        return
    calls[name] += 1
    if calls[name] % 3 != 1:
        return
    with lock:
        case.path_parameters["path"] = PREPARED[name]()
    if name == "cancel":
        # The registry knows of no import.
        case.body = {"force": True}


@schemathesis.hook
def after_call(context, case, response):
    row = {"operation": name_of(case), "method": case.method, "status": response.status_code}
    LOG.write(json.dumps(row) + "\n")
    LOG.flush()
