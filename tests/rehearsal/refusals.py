"""Deployments that must be refused: by the template's rules, and by the schema's function in words."""

import json

import leftovers
from checks import Checks
from postgres import DATABASE
from stack import Stack
from world import World, cluster_arn


def refuse_by_rules(world: World, checks: Checks) -> None:
    stack = Stack(world, "refused")
    done = stack.deploy(stack.parameters() | {"Topology": "replica-cluster", "ReaderClusterArn": cluster_arn("second")})
    said = done.stdout + done.stderr
    checks.that("a second cluster without its owner is refused", done.returncode != 0, said[-500:])
    sentence = "names the secret that the second cluster's schema is applied with"
    checks.that("the refusal is the template's own sentence", sentence in " ".join(said.split()), said[-800:])
    checks.that("nothing of it was made", not made_by(world, "refused"), made_by(world, "refused"))
    stack.cloudformation.delete_stack(StackName="refused")
    checks.that("what is left of it can be deleted", stack.status() in (None, "DELETE_COMPLETE"), stack.status())


def mend(stack: Stack, checks: Checks) -> None:
    """The handbook's first deployment, with a wrong password, and the same command again with the right one."""
    world = stack.world
    wrong = json.dumps({"username": "owner", "password": world.secret()})
    secret = stack.secretsmanager.create_secret(Name="wrong-owner", SecretString=wrong)["ARN"]
    done = stack.deploy(stack.parameters() | {"OwnerSecretArn": secret}, keep=True)
    checks.that("a wrong password of the owner is refused", done.returncode != 0, done.stdout[-500:])
    said = "the user or the password of the owner's secret is refused"
    checks.that("the stack's events say so in words", said in stack.reasons(), stack.reasons()[-800:])
    checks.equal("what was made is left", stack.status(), "CREATE_FAILED")
    stack.secretsmanager.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    tables = world.primary.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", DATABASE)
    checks.equal("nothing of the schema was kept", tables, "0")
    stack.deploy_or_give_up(checks, stack.parameters(), keep=True)


def refuse_second_stack(first: Stack, checks: Checks) -> None:
    """Another stack onto the same cluster, by a guided deployment that answers Enter where it can."""
    world, before = first.world, leftovers.inventory(first.world)
    stack = Stack(world, "another")
    done = stack.deploy_guided(stack.parameters())
    said = done.stdout + done.stderr
    checks.that("a second stack on the cluster is refused", done.returncode != 0 and bool(stack.status()), said[-2000:])
    checks.that("guided, nothing is asked about authorizers", "has no authentication" not in said, said[-2000:])
    saved = world.folder / "samconfig.toml"
    text = saved.read_text()
    checks.that("the answers are saved without the key", "RegistryUrl" in text and "PRIVATE KEY" not in text, "")
    # Another stranger's folder: what follows is told all that it needs.
    saved.unlink()
    reasons = stack.reasons()
    checks.that("its events name the first one", f"the cluster belongs to the stack {first.id()}" in reasons, reasons)
    checks.equal("it is rolled back", stack.status(), "ROLLBACK_COMPLETE")
    stack.cloudformation.delete_stack(StackName="another")
    checks.comes("it can be deleted", lambda: stack.status() is None)
    checks.equal("nothing of it is left", leftovers.left(before, leftovers.inventory(world)), {})
    answers = (first.call("GET", "/settings").status, first.call("GET", "/migrations/summary").status)
    checks.equal("the first one works on", answers, (200, 200))


def made_by(world: World, stack: str) -> list[str]:
    """The functions of a stack."""
    functions = world.client("lambda").list_functions()["Functions"]
    return [one["FunctionName"] for one in functions if one["FunctionName"].startswith(stack + "-")]
