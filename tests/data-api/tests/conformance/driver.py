"""Drives the conformance cases with boto3 and checks every answer against botocore's model of the service.

Reads one JSON line from standard input (cases, servers, names); prints one JSON line per case. To let the server
`late` listen it prints one that says so, and waits for a line in return.
"""

import base64
import json
import math
import sys
import threading
import time
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

PATIENCE = 60.0
OPERATIONS = {
    "ExecuteStatement": "execute_statement",
    "BatchExecuteStatement": "batch_execute_statement",
    "BeginTransaction": "begin_transaction",
    "CommitTransaction": "commit_transaction",
    "RollbackTransaction": "rollback_transaction",
}
CONTROL = {"do", "gives", "lacks", "fails", "keep"}
# What AWS answers although the model of rds-data does not name it.
UNMODELLED = {
    "InternalFailure",
    "RequestEntityTooLargeException",
    "ThrottlingException",
    "ValidationException",
}
CLIENTS = {
    "once": Config(retries={"mode": "standard", "total_max_attempts": 1}),
    "hasty": Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=1),
    "default": Config(retries={"mode": "standard"}),
}


class Wrong(Exception):
    pass


def client_of(url, kind, sent=None):
    client = boto3.client(
        "rds-data",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=CLIENTS[kind],
    )
    client.meta.events.register("before-parse.rds-data.*", check_against_the_model)
    if sent is not None:
        client.meta.events.register("before-send.rds-data.*", lambda **_: sent.append(None))
    return client


def check_against_the_model(operation_model, response_dict, **_):
    status = response_dict["status_code"]
    try:
        body = json.loads(response_dict["body"])
    except ValueError:
        return  # a page of a proxy; parsing it is what the case is about
    if status == 200:
        fits(operation_model.output_shape, body, operation_model.name)
        return
    name = response_dict["headers"].get("x-amzn-errortype")
    if body.get("__type") != name:
        raise Wrong(f"error {name} in the header, {body.get('__type')} in the body")
    shapes = {shape.name: shape for shape in operation_model.error_shapes}
    if name not in shapes:
        if name not in UNMODELLED:
            raise Wrong(f"{name} is no error of {operation_model.name}")
        return
    expected = shapes[name].metadata["error"]["httpStatusCode"]
    if status != expected:
        raise Wrong(f"{name} has status {status}, the model says {expected}")


def fits(shape, value, place):
    if value is None:
        return  # sparse lists hold nulls
    kind = shape.type_name
    if kind == "structure":
        unknown = set(value) - set(shape.members)
        if unknown:
            raise Wrong(f"{place}: the model has no {sorted(unknown)}")
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            raise Wrong(f"{place}: a union with {sorted(value)}")
        for name, member in value.items():
            fits(shape.members[name], member, f"{place}.{name}")
    elif kind == "list":
        for member in value:
            fits(shape.member, member, f"{place}[]")
    else:
        types = {
            "string": str,
            "blob": str,
            "boolean": bool,
            "integer": int,
            "long": int,
            "double": (int, float, str),
        }[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean"):
            raise Wrong(f"{place}: {value!r} is no {kind}")


class Case:
    def __init__(self, case, setting):
        self.case = case
        self.setting = setting
        self.url = setting["servers"][case.get("server", "aws")]
        self.sent = []
        self.client = client_of(self.url, case.get("client", "once"), self.sent)
        self.watcher = client_of(setting["servers"]["aws"], "once")
        self.kept = {}

    def run(self):
        if self.case.get("server") != "late":
            self.control("DELETE", "faults")
            self.control("DELETE", "journal")
        for fault in self.case.get("faults", []):
            self.control("POST", "faults", self.resolve(fault))
        for step in self.case["steps"]:
            self.step(step)
        if "calls" in self.case:
            calls = len(self.control("GET", "journal"))
            if calls != self.case["calls"]:
                raise Wrong(f"{calls} calls arrived")
        if self.case.get("sent", len(self.sent)) != len(self.sent):
            raise Wrong(f"{len(self.sent)} requests were sent")

    def control(self, method, what, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/-/{what}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def step(self, step):
        if "while" in step:
            outcome = []
            other = threading.Thread(target=lambda: outcome.append(self.caught(step["while"])))
            other.start()
            self.until(step["until"])
            for inner in step["steps"]:
                self.step(inner)
            other.join(PATIENCE)
            if outcome != [None]:
                raise Wrong(f"the call in the background: {outcome}")
        elif "until" in step:
            self.until(step["until"])
        elif "listen" in step:
            print(json.dumps({"listen": True}), flush=True)
            sys.stdin.readline()
        else:
            self.call(step)

    def caught(self, step):
        try:
            self.call(step)
        except Exception as error:
            return str(error)

    def until(self, sql):
        end = time.monotonic() + PATIENCE
        names = {"resourceArn": "@writer", "secretArn": "@owner", "database": "@database"}
        while time.monotonic() < end:
            answer = self.watcher.execute_statement(sql=sql, **self.resolve(names))
            if answer["records"][0][0]["booleanValue"]:
                return
            time.sleep(0.01)
        raise Wrong(f"never true: {sql}")

    def call(self, step):
        members = {"resourceArn": "@writer", "secretArn": "@owner"}
        if step["do"] in ("ExecuteStatement", "BatchExecuteStatement", "BeginTransaction"):
            members["database"] = "@database"
        members.update({name: value for name, value in step.items() if name not in CONTROL})
        members = self.resolve({name: value for name, value in members.items() if value is not None})
        try:
            answer = getattr(self.client, OPERATIONS[step["do"]])(**members)
        except ClientError as error:
            self.failed(step, error)
            return
        except BotoCoreError as error:
            if step.get("fails", {}).get("error") != "NoAnswer":
                raise Wrong(f"no answer: {error!r}") from error
            return
        if "fails" in step:
            raise Wrong(f"{step['do']} did not fail: {plain(answer)}")
        answer = plain({name: value for name, value in answer.items() if name != "ResponseMetadata"})
        for name, member in step.get("keep", {}).items():
            self.kept[name] = answer[member]
        for name, expected in step.get("gives", {}).items():
            if answer.get(name) != expected:
                raise Wrong(f"{name}: {answer.get(name)!r} instead of {expected!r}")
        for name in step.get("lacks", []):
            if name in answer:
                raise Wrong(f"{name}: {answer[name]!r} instead of nothing")

    def failed(self, step, error):
        wanted = step.get("fails")
        code = error.response["Error"]["Code"]
        message = error.response["Error"].get("Message", "")
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        told = f"{status} {code}: {message}"
        if wanted is None:
            raise Wrong(told)
        # A page without an error name: botocore takes the status for the code.
        if wanted["error"] not in (code, "Unreadable") or status != wanted["status"]:
            raise Wrong(f"{told} instead of {wanted}")
        for part in wanted.get("says", []):
            if part not in message:
                raise Wrong(f"{told} does not say {part!r}")

    def resolve(self, value):
        if isinstance(value, dict):
            if "times" in value and "repeat" in value:
                return value.get("prefix", "") + value["repeat"] * value["times"]
            resolved = {name: self.resolve(member) for name, member in value.items()}
            if isinstance(resolved.get("blobValue"), str):
                resolved["blobValue"] = base64.b64decode(resolved["blobValue"])
            if isinstance(resolved.get("doubleValue"), str):
                resolved["doubleValue"] = float(resolved["doubleValue"])
            return resolved
        if isinstance(value, list):
            return [self.resolve(member) for member in value]
        if isinstance(value, str) and value[:1] == "@":
            return self.setting["names"][value[1:]]
        if isinstance(value, str) and value[:1] == "$":
            return self.kept[value[1:]]
        return value


def plain(value):
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(member) for member in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def main():
    setting = json.loads(sys.stdin.readline())
    for case in setting["cases"]:
        try:
            Case(case, setting).run()
            wrong = None
        except Exception as error:
            wrong = str(error) if isinstance(error, Wrong) else repr(error)
        print(json.dumps({"name": case["name"], "wrong": wrong}), flush=True)


main()
