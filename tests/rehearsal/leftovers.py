"""What an account holds, by kind: to see that a deleted stack leaves nothing but what the handbook names."""

from world import World


def inventory(world: World) -> dict[str, set[str]]:
    """Everything in the account of the kinds that the template makes."""
    iam, logs = world.client("iam"), world.client("logs")
    watch, api = world.client("cloudwatch"), world.client("apigatewayv2")
    return {
        "stacks": {one["StackName"] for one in world.client("cloudformation").describe_stacks()["Stacks"]},
        "functions": {one["FunctionName"] for one in world.client("lambda").list_functions()["Functions"]},
        "layers": {one["LayerName"] for one in world.client("lambda").list_layers()["Layers"]},
        "roles": {one["RoleName"] for one in iam.list_roles()["Roles"]},
        "policies": {one["PolicyName"] for one in iam.list_policies(Scope="Local")["Policies"]},
        "secrets": {one["Name"] for one in world.client("secretsmanager").list_secrets()["SecretList"]},
        "logs": {one["logGroupName"] for one in logs.describe_log_groups()["logGroups"]},
        "queues": set(world.client("sqs").list_queues().get("QueueUrls", [])),
        "rules": {one["Name"] for one in world.client("events").list_rules()["Rules"]},
        "alarms": {one["AlarmName"] for one in watch.describe_alarms()["MetricAlarms"]},
        "dashboards": {one["DashboardName"] for one in watch.list_dashboards()["DashboardEntries"]},
        "apis": {one["ApiId"] for one in api.get_apis()["Items"]},
    }


def left(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is there and was not, by kind."""
    return {kind: found - before[kind] for kind, found in after.items() if found - before[kind]}
