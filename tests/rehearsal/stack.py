"""The stack as a stranger deploys it: `sam deploy` with the template of the repository, and calls of its API."""

import json
import re
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checks import Checks
from postgres import DATABASE
from world import FUNCTIONS, REGION, Answer, World, cluster_arn

# Of secrets that were rotated away, in seconds: the least that the template allows.
AGE = 10
# What empties a parameter.
EMPTY = '""'


def build(world: World) -> None:
    """What `sam build` makes, for this machine and stripped. Zipped here, as sam would at every deployment."""
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda name: build_one(world, name), FUNCTIONS))


def build_one(world: World, name: str) -> None:
    program = world.folder / "artefacts" / name
    subprocess.run(["strip", "-o", program, world.binaries / name], check=True)
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(program.with_suffix(".zip"), "w", compresslevel=1) as artefact:
        artefact.writestr(entry, program.read_bytes(), compresslevel=1)
    program.unlink()


def template(world: World, *changes: tuple[str, str]) -> Path:
    """The template with its artefacts' places, and changed where that is asked for."""
    text = world.template
    for find, replace in changes:
        if text.count(find) != 1:
            raise ValueError(f"the template has {find!r} {text.count(find)} times")
        text = text.replace(find, replace)
    text = re.sub(r"(CodeUri: )functions/([a-z-]+)/", rf"\g<1>{world.folder}/artefacts/\g<2>.zip", text)
    text = re.sub(r"(ContentUri: )shared/", rf"\g<1>{world.repository}/shared/", text)
    path = world.folder / "template.yaml"
    path.write_text(text)
    return path


class Stack:
    """One stack, by its name."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.cloudformation = world.client("cloudformation")
        self.secretsmanager = world.client("secretsmanager")
        self.lambdas = world.client("lambda")

    # --- Deploying ---

    def parameters(self) -> dict[str, str]:
        """What a first deployment onto a cluster that is there is told."""
        return {
            "CreateDatabase": "false",
            "Topology": "single",
            "DatabaseName": DATABASE,
            "WriterClusterArn": cluster_arn("first"),
            "OwnerSecretArn": self.world.owner_secret,
            "RegistryUrl": self.world.registry_url,
            "RegistryInsecureHost": "127.0.0.1",
            "RegistryTokenAudience": "rehearsal-registry",
            "RegistryTokenIssuer": "rehearsal",
            "RegistrySigningKey": f"'{self.world.signing_key}'",
            "SecretMaxAgeSeconds": str(AGE),
        }

    def deploy(
        self, parameters: dict[str, str], *changes: tuple[str, str], keep: bool = False
    ) -> subprocess.CompletedProcess:
        """`sam deploy` as the handbook says: what is not named keeps its value. keep: what fails is left as it is."""
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        return self.sam(
            "deploy",
            "--template-file",
            template(self.world, *changes),
            "--resolve-s3",
            "--capabilities",
            "CAPABILITY_IAM",
            *(["--disable-rollback"] if keep else []),
            "--no-progressbar",
            "--parameter-overrides",
            *overrides,
        )

    def deploy_or_give_up(self, checks: Checks, parameters: dict[str, str], keep: bool = False) -> None:
        """Deploys and reads the outputs. Raises where that fails: nothing further could be checked."""
        done = self.deploy(parameters, keep=keep)
        checks.that("sam deploy", done.returncode == 0, (done.stdout + done.stderr)[-2000:])
        if done.returncode != 0:
            raise RuntimeError("without the stack nothing further can be checked: " + self.reasons()[-2000:])
        self.read_outputs()

    def deploy_guided(self, parameters: dict[str, str]) -> subprocess.CompletedProcess:
        """`sam deploy --guided`: each parameter is asked for, and Enter takes what it is by default."""
        section = self.world.template.partition("\nParameters:\n")[2].partition("\nRules:\n")[0]
        asked = [parameters.get(name, "").strip("'") for name in re.findall(r"^  (\w+):$", section, re.MULTILINE)]
        # Confirm the changes? Make roles? Keep what fails? (That would be saved, too.) Save the answers, and where?
        answers = [self.name, REGION, *asked, "n", "y", "n", "y", "", ""]
        return self.sam("deploy", "--guided", "--template-file", template(self.world), said="\n".join(answers) + "\n")

    def delete(self) -> subprocess.CompletedProcess:
        return self.sam("delete", "--no-prompts")

    def sam(self, command: str, *arguments, said: str = "") -> subprocess.CompletedProcess:
        program = self.world.repository / "target/tools/sam/bin/sam"
        done = subprocess.run(
            [program, command, "--stack-name", self.name, "--region", REGION, *arguments],
            input=said,
            capture_output=True,
            text=True,
            env=self.world.environment(),
            cwd=self.world.folder,
            start_new_session=True,
        )
        with (self.world.folder / "sam.log").open("a") as log:
            log.write(done.stdout + done.stderr)
        return done

    def status(self) -> str | None:
        """The stack's; None where there is none."""
        try:
            return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]
        except self.cloudformation.exceptions.ClientError:
            return None

    def id(self) -> str:
        return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"]

    def reasons(self) -> str:
        """Why something of it failed, in the words of its events."""
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.name)
        reasons = [event.get("ResourceStatusReason") for page in pages for event in page["StackEvents"]]
        return "\n".join(reason for reason in reasons if reason)

    def read_outputs(self) -> None:
        [stack] = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
        self.functions = self.named_functions()
        self.api_id = self.outputs["ApiUrl"].removeprefix("https://").split(".")[0]
        # The name does not resolve here, so the emulator's own form of the same address.
        self.api_url = f"{self.world.url}/_aws/execute-api/{self.api_id}/$default"
        self.notification_url = self.outputs["NotificationUrl"].replace(self.outputs["ApiUrl"], self.api_url)
        self.token = self.secret_value("OperatorTokenArn")
        self.notification_secret = self.secret_value("NotificationSecretArn")

        for output in self.outputs:
            if output.endswith("SecretArn") or output in ("OperatorTokenArn", "SigningKeyArn"):
                self.secret_value(output)

    def named_functions(self) -> dict[str, str]:
        """The functions' names, which CloudFormation gives, by the names of their folders."""
        resources = self.cloudformation.describe_stack_resources(StackName=self.name)["StackResources"]
        named = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources}
        return {name: named[name.title().replace("-", "")] for name in FUNCTIONS}

    # --- Secrets ---

    def secret_value(self, output: str) -> str:
        value = self.secretsmanager.get_secret_value(SecretId=self.outputs[output])["SecretString"]
        if value.startswith("{"):
            self.world.secrets.add(json.loads(value)["password"])
        elif not value.startswith("-----"):
            self.world.secrets.add(value)
        return value

    def put_secret(self, output: str, value: str) -> None:
        self.secretsmanager.put_secret_value(SecretId=self.outputs[output], SecretString=value)

    # --- Calls ---

    def call(self, method: str, path: str, body: object = None, token: str | None = None, **headers) -> Answer:
        """A request of an operator."""
        headers["Authorization"] = f"Bearer {token or self.token}"
        return self.world.ask(method, self.api_url + path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def notify(self, path: str, status: str, attempt: str | None = None, secret: str | None = None) -> Answer:
        """A notification as the registry sends it."""
        headers = {"Authorization": secret or self.notification_secret}
        if attempt:
            headers["X-Request-ID"] = attempt
        body = {"name": path.rsplit("/", 1)[-1], "path": path, "status": status, "detail": ""}
        return self.world.ask("PUT", self.notification_url.replace("{path}", path), body, headers)

    def invoke(self, function: str, asynchronously: bool = False) -> dict:
        kind = "Event" if asynchronously else "RequestResponse"
        return self.lambdas.invoke(FunctionName=self.functions[function], InvocationType=kind, Payload=b"{}")

    def environments(self) -> dict[str, dict]:
        """What each function is told."""
        found = {}
        for name in FUNCTIONS:
            config = self.lambdas.get_function_configuration(FunctionName=self.functions[name])
            found[name] = config["Environment"]["Variables"]
        return found

    def session(self, function: str) -> dict[str, str]:
        """The credentials that a function has: those of its role."""
        return json.loads((self.world.folder / "sessions" / f"{self.functions[function]}.json").read_text())
