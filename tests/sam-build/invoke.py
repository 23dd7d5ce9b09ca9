"""Runs migration-status's artefact for arm64 under qemu, invokes it with an event of an HTTP API, checks its answer.

usage: invoke.py FOLDER BOOTSTRAP     FOLDER holds what `local up --no-functions` announced
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

# An emulated start takes seconds, and the machine may be busy.
PATIENCE = 120


def event(token):
    path = "/migrations"
    return {
        "version": "2.0",
        "routeKey": f"GET {path}",
        "rawPath": path,
        "rawQueryString": "limit=5",
        "headers": {"authorization": f"Bearer {token}", "host": "api.execute-api.eu-central-1.amazonaws.com"},
        "queryStringParameters": {"limit": "5"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "api",
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "python",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": f"GET {path}",
            "stage": "$default",
            "time": "10/Mar/2020:05:16:23 +0000",
            "timeEpoch": 1583817383220,
        },
        "isBase64Encoded": False,
    }


def invoke(base, token):
    body = json.dumps(event(token)).encode()
    url = f"{base}/2015-03-31/functions/migration-status/invocations"
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=PATIENCE) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError):
            # cargo lambda does not listen yet.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def main(folder, bootstrap):
    with open(os.path.join(folder, "stack.json"), encoding="utf-8") as file:
        stack = json.load(file)
    with open(os.path.join(folder, "functions.env"), encoding="utf-8") as file:
        told = dict(line.rstrip("\n").split("=", 1) for line in file)
    base = stack["base_url"]
    port = base.rsplit(":", 1)[1]
    processes = [
        subprocess.Popen(
            ["cargo-lambda", "lambda", "watch", "--only-lambda-apis", "--ignore-changes"]
            + ["--invoke-address", "127.0.0.1", "--invoke-port", port],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    ]
    told |= {
        "AWS_LAMBDA_RUNTIME_API": f"{base}/.rt/migration-status",
        "AWS_LAMBDA_FUNCTION_NAME": "migration-status",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    }
    program = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", bootstrap]
    with open(os.path.join(folder, "bootstrap.log"), "w", encoding="utf-8") as log:
        processes.append(subprocess.Popen(program, env=told, stdout=log, stderr=log))
    try:
        good = invoke(base, stack["operator_token"])
        bad = invoke(base, "somebody else's")
    finally:
        for process in processes:
            process.terminate()
            process.wait()
        with open(os.path.join(folder, "bootstrap.log"), encoding="utf-8") as log:
            written = log.read()
    assert good["statusCode"] == 200, (good, written)
    listed = json.loads(good["body"])
    assert listed["repositories"] == [] and listed["served_by"] == "reader", listed
    assert bad["statusCode"] == 401, bad
    assert written and all(json.loads(line)["timestamp"] for line in written.splitlines()), written
    print("ok  migration-status for arm64 under qemu: an event in, 200 from the reader; another's token, 401")


if __name__ == "__main__":
    main(*sys.argv[1:])
