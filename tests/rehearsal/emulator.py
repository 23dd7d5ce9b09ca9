"""ministack, put right where it is not as AWS: the one place where the rehearsal helps the emulator.

Run as a program it is the emulator's process. Nothing of ministack is edited: its handlers are wrapped from outside.
`CORRECTIONS` says what was wrong, what AWS does, and how it is put right; the rehearsal prints that table.

environment: REHEARSAL_FOLDER, where functions' lines and sessions are written, and what the Data API is told is read;
besides it what ministack knows (GATEWAY_PORT, AUTH, ...).
"""

import functools
import json
import os
import sys
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple


class Correction(NamedTuple):
    """One thing that the emulator does otherwise than AWS."""

    wrong: str
    on_aws: str
    put_right: str
    apply: Callable[[], None]


CORRECTIONS: list[Correction] = []


def correction(wrong: str, on_aws: str, put_right: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Adds the function that puts something right to the table."""

    def add(apply: Callable[[], None]) -> Callable[[], None]:
        CORRECTIONS.append(Correction(wrong, on_aws, put_right, apply))
        return apply

    return add


def wrap(owner: object, name: str, around: Callable) -> None:
    """Replaces `owner.name` by `around(original, ...)`."""
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(functools.partial(around, original)))


def wrap_method(owner: type, name: str, around: Callable) -> None:
    """The same for a method; `around` gets (original, self, ...)."""
    original = getattr(owner, name)
    setattr(owner, name, lambda self, *args, **kwargs: around(original, self, *args, **kwargs))


def folder() -> Path:
    return Path(os.environ["REHEARSAL_FOLDER"])


def resource_type(name: str) -> dict:
    from ministack.services.cloudformation import provisioners

    return provisioners._RESOURCE_HANDLERS[name]


# --- CloudFormation ------------------------------------------------------------------------------------------


@correction("Ref of a secret is its name", "it is its ARN", "the physical id is the ARN")
def refer_to_secrets_by_arn() -> None:
    from ministack.services import secretsmanager

    handlers = resource_type("AWS::SecretsManager::Secret")
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def name_of(arn: str) -> str:
        return next((name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn), arn)

    def by_arn(made: tuple) -> tuple:
        return made[1]["Arn"], made[1]

    handlers["create"] = lambda *args: by_arn(create(*args))
    handlers["update"] = lambda arn, *args, **kwargs: by_arn(update(name_of(arn), *args, **kwargs))
    handlers["delete"] = lambda arn, props: delete(name_of(arn), props)


@correction("generated secrets contain punctuation", "not with ExcludePunctuation", "its characters are excluded")
def exclude_punctuation() -> None:
    import string

    from ministack.services.cloudformation import provisioners

    def generate(original: Callable, props: dict) -> str:
        wanted = props.get("GenerateSecretString") or {}
        if wanted.get("ExcludePunctuation"):
            excluded = wanted.get("ExcludeCharacters", "") + string.punctuation
            props = {**props, "GenerateSecretString": {**wanted, "ExcludeCharacters": excluded}}
        return original(props)

    wrap(provisioners, "_sm_secret_string", generate)


@correction("an HTTP API's Body is ignored: it has no routes", "they are imported", "made from the Body, all at once")
def import_routes() -> None:
    from ministack.services import apigateway
    from ministack.services.cloudformation import provisioners

    handlers = resource_type("AWS::ApiGatewayV2::Api")
    create, update = handlers["create"], handlers["update"]

    def imported(api: str, props: dict) -> None:
        routes, integrations = {}, {}
        for path, methods in ((props.get("Body") or {}).get("paths") or {}).items():
            for method, operation in methods.items():
                told = operation["x-amazon-apigateway-integration"]
                integration = provisioners._apigw_v2_integration_props(
                    {"IntegrationUri": told["uri"], "PayloadFormatVersion": told["payloadFormatVersion"]}
                )
                key = f"{method.upper()} {path}"
                integrations[key.replace("/", "|")] = {"integrationId": key.replace("/", "|"), **integration}
                target = "integrations/" + key.replace("/", "|")
                route = provisioners._apigw_v2_route_props({"RouteKey": key, "Target": target})
                routes[key] = {"routeId": key, **route}
        # Never without a route: a request may arrive meanwhile.
        apigateway._integrations[api] = {**apigateway._integrations.get(api, {}), **integrations}
        apigateway._routes[api] = routes
        apigateway._integrations[api] = integrations

    def created(logical_id: str, props: dict, stack: str) -> tuple:
        made = create(logical_id, props, stack)
        imported(made[0], props)
        return made

    def updated(physical_id: str, old: dict, new: dict, *args, **kwargs) -> tuple:
        made = update(physical_id, old, new, *args, **kwargs)
        imported(made[0], new)
        return made

    handlers["create"], handlers["update"] = created, updated


@correction("an alarm on an expression of metrics is refused", "it is made", "kept as an alarm on its first metric")
def keep_alarms_on_expressions() -> None:
    from ministack.services.cloudformation import provisioners

    def record(original: Callable, name: str, props: dict) -> dict:
        metrics = props.get("Metrics") or []
        first = next((metric["MetricStat"] for metric in metrics if "MetricStat" in metric), None)
        if first:
            props = {**props, **first["Metric"], "Statistic": first["Stat"], "Period": first["Period"], "Metrics": None}
        return original(name, props)

    wrap(provisioners, "_cw_metric_alarm_record", record)


# --- API Gateway ---------------------------------------------------------------------------------------------


@correction("no access log is written", "one line a request, in the stage's format", "written with the known variables")
def write_access_log() -> None:
    from access_log import line
    from ministack.core.responses import get_request_client_ip
    from ministack.services import apigateway, cloudwatch_logs

    async def execute(original: Callable, api: str, stage: str, path: str, method: str, *args, **kwargs) -> tuple:
        started = time.time()
        answer = await original(api, stage, path, method, *args, **kwargs)
        settings = apigateway._stages.get(api, {}).get(stage, {}).get("accessLogSettings")
        if settings:
            route = apigateway._match_route(api, method, "/" + path.lstrip("/"))
            text = line(settings["format"], started, route, answer[0], get_request_client_ip())
            group = cloudwatch_logs._log_groups[settings["destinationArn"].split(":log-group:")[1].split(":")[0]]
            empty = {"events": [], "uploadSequenceToken": "1", "creationTime": int(started * 1000)}
            times = {"firstEventTimestamp": None, "lastEventTimestamp": None, "lastIngestionTime": None}
            stream = group["streams"].setdefault(api, empty | times)
            now = int(time.time() * 1000)
            event = {"timestamp": now, "message": text, "ingestionTime": now}
            cloudwatch_logs._append_log_events(stream, [event])
        return answer

    wrap(apigateway, "_handle_execute_in_scope", execute)


# --- RDS Data API --------------------------------------------------------------------------------------------


@correction(
    "the Data API needs Docker and is lax",
    "it is PostgreSQL's own word",
    "local-data-api answers, with the secret that the caller may read",
)
def answer_by_local_data_api() -> None:
    import asyncio

    from data_api import DataApi
    from ministack.services import rds_data

    data_api = DataApi(folder())

    async def handle(_original: Callable, method: str, path: str, headers: dict, body: bytes, _query: dict) -> tuple:
        return await asyncio.to_thread(data_api.answer, method, path, headers, body)

    wrap(rds_data, "handle_request", handle)


# --- Lambda --------------------------------------------------------------------------------------------------


@correction(
    "functions inherit the emulator's environment, and have nothing under /opt",
    "their own environment, and their layers under /opt",
    "inherited variables are removed; what names /opt names the unpacked layers",
)
def give_functions_their_own_environment() -> None:
    from ministack.services import lambda_svc

    def environment(original: Callable, config: dict, code: str, port: int) -> dict:
        own = original(config, code, port)
        told = (config.get("Environment") or {}).get("Variables") or {}
        kept = {
            name: value
            for name, value in own.items()
            if name in told or name.startswith(("AWS_", "_", "LAMBDA_")) or name == "PATH"
        }
        if any(str(value).startswith("/opt/") for value in told.values()):
            opt = layers(config, code)
            kept |= {name: str(opt / value[5:]) for name, value in told.items() if value.startswith("/opt/")}
        # The session that IAM knows this function by: what its role may do is asked with it.
        session = {name: kept[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
        path = folder() / "sessions" / f"{config['FunctionName']}.json"
        path.write_text(json.dumps(session))
        return kept

    def layers(config: dict, code: str) -> Path:
        opt = Path(code + ".opt")
        for layer in config.get("Layers") or []:
            zipfile.ZipFile(BytesIO(lambda_svc._resolve_layer_zip(layer))).extractall(opt)
        return opt

    wrap(lambda_svc, "_provided_worker_env", environment)


@correction("lines written after an answer come late or are lost", "every line is kept", "also written to a file")
def keep_every_line() -> None:
    from ministack.core.lambda_runtime import ProvidedWorker

    class Kept:
        """A stream whose lines are also written to a file."""

        def __init__(self, stream, path: Path) -> None:
            self.stream, self.path = stream, path

        def readline(self) -> bytes:
            line = self.stream.readline()
            with self.path.open("ab") as file:
                file.write(line)
            return line

        def close(self) -> None:
            self.stream.close()

    def pump(original: Callable, self: ProvidedWorker, stream, queue) -> None:
        original(self, Kept(stream, folder() / "lines" / f"{self.func_name}.jsonl"), queue)

    wrap_method(ProvidedWorker, "_pump_output", pump)


@correction(
    "a process is given its next event, or ended by an update, while it works after an answer",
    "not before it has asked for the next event",
    "it counts as busy until then, and what is busy is ended later",
)
def let_busy_processes_finish() -> None:
    from environments import let_finish

    let_finish(wrap, wrap_method)


def main() -> None:
    for one in CORRECTIONS:
        one.apply()
    from ministack.app import main as serve

    sys.argv = ["ministack"]
    serve()


if __name__ == "__main__":
    main()
