"""The HTTP API as it is deployed, against the handbook. The table holds one repository more than is migrated."""

import json

from checks import Checks
from stack import Stack
from world import Answer

ONE = "surface/project/image"
PROBLEM = "application/problem+json"


def check_surface(stack: Stack, checks: Checks) -> None:
    check_callers(stack, checks)
    check_registering(stack, checks)
    check_reading(stack, checks)
    check_notifications(stack, checks)
    check_settings(stack, checks)
    check_routes(stack, checks)


def problem(checks: Checks, what: str, answer: Answer, status: int, text: str = "") -> None:
    """A problem of this status, with a message that holds the text."""
    message = (answer.json or {}).get("message", "") if isinstance(answer.json, dict) else ""
    right = answer.status == status and answer.headers.get("content-type") == PROBLEM
    right = right and message.startswith(f"{status} ") and text in answer.body.decode()
    checks.that(f"{what}: {status}", right, f"{answer.status} {answer.headers.get('content-type')} {answer.body[:300]}")


def check_callers(stack: Stack, checks: Checks) -> None:
    world, url = stack.world, stack.api_url
    unknown = world.ask("GET", url + "/unknown")
    checks.equal(
        "an unknown route: 404 of the gateway", (unknown.status, unknown.json), (404, {"message": "Not Found"})
    )
    problem(checks, "no token", world.ask("GET", url + "/migrations/summary"), 401)
    problem(checks, "a wrong token", stack.call("GET", "/settings", token="wrong"), 401)
    summary = stack.call("GET", "/migrations/summary")
    checks.equal("the summary, from the reader", (summary.status, summary.json["served_by"]), (200, "reader"))
    checks.that("every answer has an id", bool(summary.headers.get("x-request-id")), summary.headers)


def check_registering(stack: Stack, checks: Checks) -> None:
    registered = stack.call("POST", "/repositories", [{"path": ONE, "tags_count": 3}])
    checks.equal("a repository is registered", (registered.status, registered.json["registered"]), (200, 1))
    again = stack.call("POST", "/repositories", f'{{"path":"{ONE}"}}\n', Content_Type="application/x-ndjson")
    checks.equal("registered again, by a line: it is there", (again.status, again.json["existing"]), (200, 1))
    wrong = stack.call("POST", "/repositories", [{"path": "a/b", "colour": "red"}])
    problem(checks, "a member that is not known", wrong, 400, "colour")
    form = stack.call("POST", "/repositories", "path=a", Content_Type="application/x-www-form-urlencoded")
    problem(checks, "a form", form, 415)
    problem(checks, "a start while migrations are off", stack.call("POST", f"/migrations/start/{ONE}"), 409)


def check_reading(stack: Stack, checks: Checks) -> None:
    found = stack.call("GET", f"/migrations/status/{ONE}")
    checks.equal("a repository's status", (found.status, found.json["migration_state"]), (200, "default"))
    tag = found.headers["etag"]
    checks.equal(
        "unchanged since its tag", stack.call("GET", f"/migrations/status/{ONE}", If_None_Match=tag).status, 304
    )
    coded = stack.call("GET", "/migrations/status/Surface%2Fproject%2F%69mage")
    checks.equal("escapes and upper case lead to the same row", coded.json.get("path"), ONE)
    problem(checks, "an impossible path", stack.call("GET", "/migrations/status/a%20b"), 404)
    problem(checks, "an unknown repository", stack.call("GET", "/migrations/status/no/such"), 404)
    future = stack.call("GET", f"/migrations/status/{ONE}?min_version={found.json['version'] + 1}")
    problem(checks, "a version from the future", future, 400)
    problem(checks, "a list of more than 500", stack.call("GET", "/migrations?limit=1000"), 400, "limit")
    listed = stack.call("GET", "/migrations?prefix=surface/")
    checks.equal("a list by prefix", [one["path"] for one in listed.json["repositories"]], [ONE])
    history = stack.call("GET", f"/migrations/history/{ONE}")
    checks.equal("a history", history.status, 200)


def check_notifications(stack: Stack, checks: Checks) -> None:
    problem(checks, "a notification without the secret", stack.notify(ONE, "import_complete", secret="wrong"), 401)
    problem(checks, "a notification of nothing", stack.notify("no/such", "import_complete"), 404)
    wrong = stack.notify(ONE, "pre_import_complete")
    problem(checks, "a notification out of turn", wrong, 400, "Wrong migration state (default)")


def check_settings(stack: Stack, checks: Checks) -> None:
    settings = stack.call("GET", "/settings")
    checks.equal("nothing is migrated yet", (settings.status, settings.json["enabled"]), (200, False))
    problem(checks, "a setting out of bounds", stack.call("PATCH", "/settings", {"capacity": 5000}), 400, "capacity")
    removed = stack.call("DELETE", f"/repositories/{ONE}")
    gone = stack.call("DELETE", f"/repositories/{ONE}")
    checks.equal("a repository is removed, once", (removed.status, gone.status), (200, 404))


def check_routes(stack: Stack, checks: Checks) -> None:
    """The API may invoke the functions that its routes lead to, and no other function."""
    api = stack.world.client("apigatewayv2")
    led_to = {one["IntegrationUri"] for one in api.get_integrations(ApiId=stack.api_id, MaxResults="500")["Items"]}
    allowed = set()
    for name, physical in stack.functions.items():
        try:
            policy = json.loads(stack.lambdas.get_policy(FunctionName=physical)["Policy"])
        except stack.lambdas.exceptions.ResourceNotFoundException:
            continue
        sources = [one["Condition"]["ArnLike"]["AWS:SourceArn"] for one in policy["Statement"]]
        if any(f":{stack.api_id}/" in source for source in sources):
            allowed.add(name)
    invoked = {
        name for name, physical in stack.functions.items() if any(f"function:{physical}/" in one for one in led_to)
    }
    checks.equal("the API may invoke the functions that its routes lead to", allowed, invoked)
    checks.equal("that are four", len(invoked), 4)
