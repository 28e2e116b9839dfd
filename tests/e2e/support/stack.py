"""Stacks of the program, as the automation API drives them."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation
from pulumi.automation._stack import StackInitMode

from tests.contract import check_outputs
from tests.e2e.support.lab import Lab
from verification.tls import ClientCredential, Endpoint


class Stack(automation.Stack):
    """A stack whose `up` and `destroy` are one process and at most one more, instead of three more.

    The library asks for the outputs twice, to tell which are secret, and for the history.
    """

    def outputs(self) -> automation.OutputMap:
        """Return the outputs; a secret one is `[secret]`."""
        shown = self._run_pulumi_cmd_sync(["stack", "output", "--json"]).stdout
        return {name: automation.OutputValue(value, secret=False) for name, value in json.loads(shown).items()}

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


def configure(stack: Stack, **config: object) -> None:
    """Set keys of the project's config, those that hold secrets encrypted; structures are set as JSON."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    values = {key: automation.ConfigValue(text, secret="PRIVATE KEY" in text) for key, text in texts.items()}
    stack.set_all_config({f"kyma-mtls:{key}": value for key, value in values.items()})


def refusal(command: Callable[[], object]) -> str:
    """Return what a preview or `pulumi up` says that has to fail."""
    with pytest.raises(automation.CommandError) as caught:
        command()
    return str(caught.value)


def policies_reported(printed: str) -> set[str]:
    """Return each policy that a preview reports as violated, `LEVEL NAME`."""
    return {" ".join(found) for found in re.findall(r"\[(mandatory|advisory)\] +([a-z-]+)", printed)}
