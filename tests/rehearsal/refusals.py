"""Two deployments that must be refused: by the template's rules, and by the schema's function. Both leave nothing."""

import json

from checks import Checks
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


def refuse_by_schema(world: World, checks: Checks) -> None:
    stack = Stack(world, "mistaken")
    wrong = json.dumps({"username": "owner", "password": world.secret()})
    secret = stack.secretsmanager.create_secret(Name="mistaken-owner", SecretString=wrong)["ARN"]
    done = stack.deploy(stack.parameters() | {"OwnerSecretArn": secret})
    checks.that("a wrong password of the owner is refused", done.returncode != 0, done.stdout[-500:])
    said = "the user or the password of the owner's secret is refused"
    checks.that("the stack's events say so in words", said in stack.reasons(), stack.reasons()[-800:])
    checks.equal("it is rolled back", stack.status(), "ROLLBACK_COMPLETE")
    done = stack.delete()
    checks.that("it can be deleted", done.returncode == 0 and stack.status() is None, done.stdout[-500:])
    stack.secretsmanager.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    tables = world.primary.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "migrations")
    checks.equal("nothing of the schema was kept", tables, "0")


def made_by(world: World, stack: str) -> list[str]:
    """The functions of a stack."""
    functions = world.client("lambda").list_functions()["Functions"]
    return [one["FunctionName"] for one in functions if one["FunctionName"].startswith(stack + "-")]
