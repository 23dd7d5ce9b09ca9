"""What each function's role may do, asked with the function's own session: secrets, statements, the queue."""

import itertools

from botocore.exceptions import ClientError

from checks import Checks
from postgres import DATABASE
from stack import Stack
from world import cluster_arn

FIRST, SECOND = "first", "second"
SECRETS = (
    "WritingSecretArn",
    "ReadingSecretArn",
    "ReplicationSecretArn",
    "NotificationSecretArn",
    "OperatorTokenArn",
    "SigningKeyArn",
    "(first owner)",
    "(second owner)",
)

# With the topology replica-cluster: the secrets that a role may read, the clusters that it may send statements to, and
# whether it may send to the queue of failed runs. A statement needs both, so the secrets decide who is who there.
MATRIX: dict[str, tuple[set[str], set[str], bool]] = {
    "start-migration": ({"WritingSecretArn", "OperatorTokenArn", "SigningKeyArn"}, {FIRST}, False),
    "manage-migrations": ({"WritingSecretArn", "OperatorTokenArn", "SigningKeyArn"}, {FIRST}, False),
    "registry-notification": ({"WritingSecretArn", "NotificationSecretArn", "SigningKeyArn"}, {FIRST}, False),
    "migration-status": ({"ReadingSecretArn", "OperatorTokenArn"}, {FIRST, SECOND}, False),
    "enqueue-migrations": ({"WritingSecretArn", "SigningKeyArn"}, {FIRST}, True),
    "guard-migrations": ({"WritingSecretArn", "ReadingSecretArn", "SigningKeyArn"}, {FIRST, SECOND}, True),
    "observe-migrations": ({"WritingSecretArn", "ReadingSecretArn"}, {FIRST, SECOND}, True),
    # It looks at every secret that the functions will read.
    "apply-schema": (set(SECRETS), {FIRST, SECOND}, False),
}


def check_permissions(stack: Stack, checks: Checks) -> None:
    world = stack.world
    arns = stack.outputs | {"(first owner)": world.owner_secret, "(second owner)": world.second_owner_secret}
    for function, (secrets, clusters, queue) in MATRIX.items():
        session = stack.session(function)
        reads = world.client("secretsmanager", session)
        readable = {name for name in SECRETS if may(reads.get_secret_value, SecretId=arns[name])}
        checks.equal(f"{function} reads its secrets, no other", readable, secrets)
        data = world.client("rds-data", session)
        ran = {
            (cluster, name)
            for cluster, name in itertools.product((FIRST, SECOND), SECRETS)
            if name not in ("NotificationSecretArn", "OperatorTokenArn", "SigningKeyArn")
            and may(
                data.execute_statement,
                resourceArn=cluster_arn(cluster),
                secretArn=arns[name],
                database=DATABASE,
                sql="SELECT 1",
            )
        }
        checks.equal(f"{function} sends statements to its clusters", {one for one, _ in ran}, clusters)
        checks.that("  and only with secrets that it reads", {one for _, one in ran} <= readable, ran)
        sends = may(
            world.client("sqs", session).send_message, QueueUrl=stack.outputs["ScheduleFailuresUrl"], MessageBody="{}"
        )
        puts = may(reads.put_secret_value, SecretId=arns["WritingSecretArn"], SecretString="{}")
        checks.equal("  and may send to the queue, or not; and changes no secret", (sends, puts), (queue, False))
    world.client("sqs").purge_queue(QueueUrl=stack.outputs["ScheduleFailuresUrl"])


def may(call, **arguments) -> bool:
    """Whether a call is allowed; one that is refused for another reason than permission is an error."""
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"):
            return False
        # Allowed, but no role may log in so: as migration_driver on the second cluster, for one.
        if error.response["Error"]["Code"] == "DatabaseErrorException" or "28P01" in str(error):
            return False
        raise
    return True
