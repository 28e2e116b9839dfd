"""Stacks of the program, as the automation API drives them."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pulumi import automation
from pulumi.automation._stack import StackInitMode

from tests.contract import check_outputs
from tests.e2e.support.lab import Lab
from verification.tls import ClientCredential, Endpoint


class Stack(automation.Stack):
    """A stack whose `up` and `destroy` are one process, instead of four.

    The library asks for the outputs twice, to tell which are secret, and for the history.
    """

    def outputs(self) -> automation.OutputMap:
        """Return the outputs as the state has them; a secret one is `[secret]`, as `pulumi stack output` shows it."""
        stacks = (each for each in self.resources() if each["type"] == "pulumi:pulumi:Stack")
        shown: dict[str, Any] = next(stacks, {}).get("outputs", {})
        return {name: automation.OutputValue(without_secrets(each), secret=False) for name, each in shown.items()}

    def state(self) -> str:
        """Return the state as it lies on disk."""
        backend = Path(urlsplit(self.workspace.env_vars["PULUMI_BACKEND_URL"]).path)
        project = yaml.safe_load(Path(self.workspace.work_dir, "Pulumi.yaml").read_text())["name"]
        return (backend / f".pulumi/stacks/{project}/{self.name}.json").read_text()

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the state; none of a stack that was never deployed."""
        latest = json.loads(self.state())["checkpoint"]["latest"] or {}
        return list(latest.get("resources", []))

    def forget(self, urn: str) -> None:
        """Take a resource, and what depends on it, out of the state."""
        self._run_pulumi_cmd_sync(["state", "delete", urn, "--target-dependents", "--yes"])

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:  # noqa: ARG002 - inherited
        """Return an empty summary: no test looks at it."""
        return automation.UpdateSummary("", datetime.now(UTC), "", {}, {}, "")


def stack_in(directory: Path, name: str, environment: dict[str, str], *, is_new: bool = True) -> Stack:
    """Return a stack of the program in a directory, new or as it is."""
    workspace = automation.LocalWorkspace(str(directory), env_vars=environment, pulumi_command=_pulumi_command())
    return Stack(name, workspace, StackInitMode.CREATE if is_new else StackInitMode.SELECT)


@cache
def _pulumi_command() -> automation.PulumiCommand:
    """Return the CLI, which is asked for its version whenever one of these is made."""
    return automation.PulumiCommand()


@dataclass
class Deployed:
    """A stack, the outputs of its last `pulumi up`, what every one of them printed, and whether it is destroyed."""

    stack: Stack
    lab: Lab
    outputs: dict[str, Any] = field(default_factory=dict)
    printed: str = ""
    is_destroyed: bool = False

    def credential(self, client: str) -> ClientCredential:
        """Return a client's credential as its egress gateway has it now; the client is named like its cluster."""
        secret = self.lab.get(client, "secret", "istio-system", self.outputs["clients"][client]["secret"])["data"]
        return ClientCredential(secret["tls.crt"].encode(), secret["tls.key"].encode())

    def endpoint(self, host: str) -> Endpoint:
        """Return the target's ingress gateway under the name of a host."""
        return Endpoint(self.outputs["hosts"][host]["domain"], self.lab.ingress, self.outputs["caCertificate"])

    def up(self, *, refresh: bool = False, **config: object) -> None:
        """Change the config and deploy."""
        if config:
            configure(self.stack, **config)
        self.is_destroyed = False
        done = self.stack.up(refresh=refresh)
        self.outputs = {key: output.value for key, output in done.outputs.items()}
        check_outputs(self.outputs)
        self.printed += done.stdout

    def destroy(self, *, run_program: bool = False) -> None:
        """Destroy the stack, by its program if so asked; do nothing if that is done."""
        if not self.is_destroyed:
            self.stack.destroy(run_program=run_program)
            self.is_destroyed = True


@contextmanager
def destroyed_at_the_end(stack: Stack, lab: Lab, *, run_program: bool = False) -> Iterator[Deployed]:
    """Yield a stack to deploy, and destroy it even if that fails; with `--run-program` if so asked."""
    deployed = Deployed(stack, lab)
    try:
        yield deployed
    finally:
        deployed.destroy(run_program=run_program)


def age_certificates(stack: Stack) -> None:
    """Let the state say that every certificate of a host or a client ends tomorrow."""
    state = stack.export_stack()
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds").replace("+00:00", "Z")
    for resource in (state.deployment or {})["resources"]:
        if resource["type"] == "tls:index/locallySignedCert:LocallySignedCert":
            resource["outputs"]["validityEndTime"] = tomorrow
    stack.import_stack(state)


def configure(stack: Stack, **config: object) -> None:
    """Set keys of the project's config, those that hold secrets encrypted; structures are set as JSON."""
    change_config(stack, config)


def change_config(stack: Stack, config: Mapping[str, object], remove: Iterable[str] = ()) -> None:
    """Set keys of the project's config, and remove ones.

    Only secrets need a process: the other values are written to the stack's file as `pulumi config set` writes them.
    """
    texts = {f"kyma-mtls:{key}": each if isinstance(each, str) else json.dumps(each) for key, each in config.items()}
    hidden = {key: automation.ConfigValue(text, secret=True) for key, text in texts.items() if "PRIVATE KEY" in text}
    file = Path(stack.workspace.work_dir, f"Pulumi.{stack.name}.yaml")
    settings = (yaml.safe_load(file.read_text()) if file.exists() else None) or {}
    removed = {*hidden, *(f"kyma-mtls:{key}" for key in remove)}
    kept = {key: value for key, value in settings.get("config", {}).items() if key not in removed}
    settings["config"] = kept | {key: text for key, text in texts.items() if key not in hidden}
    file.write_text(yaml.safe_dump(settings))
    if hidden:
        stack.set_all_config(hidden)


def without_secrets(value: Any) -> Any:
    """Return a value of a state with each secret as `[secret]`: encrypted, it differs each time."""
    match value:
        case {"4dabf18193072939515e22adb298388d": _}:
            return "[secret]"
        case dict():
            return {key: without_secrets(each) for key, each in value.items()}
        case list():
            return [without_secrets(each) for each in value]
    return value


def refusal(command: Callable[[], object]) -> str:
    """Return what a preview or `pulumi up` says that has to fail."""
    with pytest.raises(automation.CommandError) as caught:
        command()
    return str(caught.value)


def policies_reported(printed: str) -> set[str]:
    """Return each policy that a preview reports as violated, `LEVEL NAME`."""
    return {" ".join(found) for found in re.findall(r"\[(mandatory|advisory)\] +([a-z-]+)", printed)}
