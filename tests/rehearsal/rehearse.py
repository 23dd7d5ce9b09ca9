"""The rehearsal: one deployment after the other, each step checked and printed. See tests/rehearsal.sh.

usage: rehearse.py REPOSITORY BINARIES TEMPLATE
"""

import io
import json
import os
import signal
import sys
import traceback
import zipfile
from pathlib import Path

import emulator
import leftovers
import logs
import migrations
import operating
import permissions
import refusals
import rotation
import stack as deployed
import surface
import updates
from checks import Checks
from postgres import DATABASE
from stack import EMPTY, Stack
from world import World, cluster_arn

# Where the topology replica-cluster is left, and direct-reader.
NO_SECOND_CLUSTER = dict.fromkeys(("ReaderClusterArn", "ReaderOwnerSecretArn", "WriterHost"), EMPTY)
HOST = ("ReaderHost", "ReaderSubnetIds", "ReaderSecurityGroupIds", "ReaderResourceId", "CaBundleLayerArn")
NO_HOST = {"ReaderAuth": "secret"} | dict.fromkeys(HOST, EMPTY)
BELONGS = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'migration_driver'"
SAMS_OWN = "aws-sam-cli-managed-default"
EACH = 20
# For the command line.
BY_COMMAND = 7


def rehearse(world: World, checks: Checks) -> None:
    paths = prepare(world, checks)
    batches = [paths[start : start + EACH] for start in range(0, 3 * EACH, EACH)]
    single, by_command = paths[3 * EACH], paths[3 * EACH + 1 :]

    checks.section("a deployment is refused")
    empty = leftovers.inventory(world)
    refusals.refuse_by_rules(world, checks)
    before = leftovers.inventory(world)
    checks.equal("nothing is left of it but sam's own bucket", leftovers.left(empty, before), {"stacks": {SAMS_OWN}})

    checks.section("single is deployed, at first with a wrong password")
    stack = Stack(world, "migration")
    refusals.mend(stack, checks)
    world.start_registry(stack.notification_url, stack.notification_secret)

    checks.equal("the cluster belongs to the stack", world.primary.sql(BELONGS), f"of the stack {stack.id()}")

    checks.section("the API as it is deployed")
    surface.check_surface(stack, checks)
    operating.check_page(stack, checks)

    checks.section("a second stack is refused")
    refusals.refuse_second_stack(stack, checks)

    checks.section("secrets and passwords are rotated")
    rotation.rotate_shared_secrets(stack, checks, "no/such")
    rotation.rotate_database_passwords(stack, checks)
    world.start_registry(stack.notification_url, stack.notification_secret)

    checks.section("a run of a schedule fails for good")
    operating.fail_a_schedule(stack, checks)

    checks.section("an operator, from the doctor to the report")
    transcript = operating.run_transcript(stack, checks, by_command)

    checks.section(f"{EACH} repositories by the schedule, in single")
    migrations.migrate(stack, checks, batches[0], by_schedule=True)
    migrations.check_reader(stack, checks, batches[0][0])

    checks.section("the stack is updated while notifications arrive, and an update fails")
    updates.change_level(stack, checks, batches[0][0])
    updates.fail_and_roll_back(stack, checks, batches[0][0])

    checks.section("replica-cluster")
    second = {
        "ReaderClusterArn": cluster_arn("second"),
        "ReaderOwnerSecretArn": world.second_owner_secret,
        "WriterHost": "localhost",
        "WriterPort": str(world.primary.port),
    }
    stack.deploy_or_give_up(checks, {"Topology": "replica-cluster"} | second)
    migrations.start_by_hand(stack, checks, single)
    migrations.migrate(stack, checks, batches[1], by_schedule=False)
    migrations.check_reader(stack, checks, batches[1][0])
    copied = "SELECT count(*) FROM container_repositories WHERE migration_state = 'import_done'"
    checks.comes("the second cluster has them", lambda: world.second.sql(copied, DATABASE) == str(2 * EACH + 1 + BY_COMMAND))

    checks.section("what each function's role may do")
    permissions.check_permissions(stack, checks)

    checks.section("direct-reader, whose replica replays nothing meanwhile")
    direct = {
        "ReaderHost": "localhost",
        "ReaderPort": str(world.standby.port),
        "ReaderSubnetIds": "subnet-0a",
        "ReaderSecurityGroupIds": "sg-0a",
        "CaBundleLayerArn": layer(world),
    }
    stack.deploy_or_give_up(checks, {"Topology": "direct-reader"} | NO_SECOND_CLUSTER | direct)
    world.second.sql("DROP SUBSCRIPTION registry_migrations", DATABASE)
    migrations.check_reader(stack, checks, batches[0][0])
    tls = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'migration_reader'"
    checks.equal("the standby is read over TLS, as the reader's role", world.standby.sql(tls), "t")
    world.standby.sql("SELECT pg_wal_replay_pause()")
    migrations.migrate(stack, checks, batches[2], by_schedule=False)
    behind = stack.call("GET", f"/migrations/status/{batches[2][0]}?min_version=2").json
    checks.equal("who has seen more is answered by the writer", behind["served_by"], "writer_behind_floor")
    world.standby.sql("SELECT pg_wal_replay_resume()")
    migrations.check_reader(stack, checks, batches[2][0])

    checks.section("back to single")
    stack.deploy_or_give_up(checks, {"Topology": "single"} | NO_HOST)
    migrations.check_reader(stack, checks, batches[2][0])

    checks.section("all that was logged")
    logs.check_function_lines(stack, checks)
    lines = logs.check_access_log(stack, checks)
    logs.check_no_secret(world, checks, [*lines, stack.reasons(), json.dumps(stack.outputs), transcript])

    checks.section("the stack is deleted")
    done = stack.delete()
    checks.that("sam delete", done.returncode == 0, done.stdout[-500:] + done.stderr[-500:])
    remains = leftovers.left(before, leftovers.inventory(world))
    kept = {stack.outputs[output].split(":")[6][:-7] for output in ("NotificationSecretArn", "SigningKeyArn")}
    checks.equal(
        "two secrets stay, and the layer that was not its own", remains, {"layers": {"rds-ca"}, "secrets": kept}
    )
    roles = world.primary.sql(
        "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname ~ '^migration'"
    )
    kept = "migration_driver migration_importer migration_reader migration_replication"
    checks.equal("the database keeps its roles", roles, kept)
    checks.equal("the cluster belongs to no stack any more", world.primary.sql(BELONGS), "")
    slots = world.primary.sql("SELECT count(*) FROM pg_replication_slots")
    checks.equal("and no replication slot", slots, "0")


def prepare(world: World, checks: Checks) -> list[str]:
    """Everything that is there before; gives the repositories."""
    checks.section("PostgreSQL three times, the emulator, a registry with images")
    world.start_databases()
    paths = world.make_registry(3 * EACH + 1 + BY_COMMAND)
    deployed.build(world)
    world.start_emulator()
    secrets = world.client("secretsmanager")
    login = json.dumps({"username": "owner", "password": world.owner_password})
    world.owner_secret = secrets.create_secret(Name="owner", SecretString=login)["ARN"]
    world.second_owner_secret = secrets.create_secret(Name="second-owner", SecretString=login)["ARN"]
    return paths


def layer(world: World) -> str:
    """The handbook's layer: a zip with the authorities at its top."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.write(world.authority.file, "rds-ca.pem")
    published = world.client("lambda").publish_layer_version(LayerName="rds-ca", Content={"ZipFile": zipped.getvalue()})
    return published["LayerVersionArn"]


def print_corrections() -> None:
    print("Where the emulator is not as AWS, and what is done about it (tests/rehearsal/emulator.py):")
    for one in emulator.CORRECTIONS:
        print(f"  {one.wrong}; AWS: {one.on_aws}. {one.put_right[0].upper()}{one.put_right[1:]}.")


def main() -> int:
    repository, binaries, template = (Path(argument).resolve() for argument in sys.argv[1:])
    # Ended by others as by Ctrl-C: everything that was started is ended too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    checks = Checks()
    world = World(repository, binaries, template)
    print_corrections()
    try:
        rehearse(world, checks)
    except KeyboardInterrupt:
        checks.that("the rehearsal was not interrupted", False)
    except Exception as error:
        traceback.print_exc()
        checks.that("the rehearsal went to its end", False, error)
        print(world.processes.tail("emulator"), file=sys.stderr)
    finally:
        # An impatient second Ctrl-C would leave something running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        world.end(keep=bool(os.environ.get("KEEP")))
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
