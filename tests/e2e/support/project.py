"""A user's checkout of the program, with a backend, a state and a passphrase of its own."""

import os
import secrets
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pulumi import automation
from pulumi.automation._stack import StackInitMode

from tests.e2e.support.commands import COMMAND_SECONDS, ROOT
from tests.e2e.support.lab import Lab
from tests.e2e.support.stack import Deployed, Stack, configure, destroyed_at_the_end
from tests.e2e.support.waiting import together

PROGRAM = ("Pulumi.yaml", "__main__.py", "settings", "clusters", "components", "deployment", "outputs", "verification")


@dataclass(frozen=True)
class Project:
    """A user's checkout of the program."""

    lab: Lab
    directory: Path
    environment: dict[str, str]

    @classmethod
    def copied(cls, lab: Lab, directory: Path) -> "Project":
        """Copy the program into an empty directory."""
        for name in PROGRAM:
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, directory / name)
        (directory / ".lab").symlink_to(lab.directory)
        (directory / ".venv").symlink_to(ROOT / ".venv")
        (directory / "state").mkdir()
        environment = {
            "PULUMI_BACKEND_URL": f"file://{directory / 'state'}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(),
        }
        return cls(lab, directory, environment)

    def stack(self, name: str, **config: object) -> Stack:
        """Return a stack for the lab, with one host and one client; `config` is added to that, and wins."""
        defaults = {
            "platform": "istio",
            "target": {"kubeconfig": ".lab/target.kubeconfig"},
            "clients": {"client": {"kubeconfig": ".lab/client.kubeconfig", "domain": f"{name}.client.test"}},
            "hosts": {"httpbin": {"domain": f"{name}.target.test"}},
            "targetImage": "lab.local/httpbin:lab",
            "clientImage": "lab.local/curl:lab",
        }
        is_known = (self.directory / f"Pulumi.{name}.yaml").exists()
        stack = self._stack(name, StackInitMode.SELECT if is_known else StackInitMode.CREATE, self.environment)
        if is_known:
            stack.remove_all_config(list(stack.get_all_config()))
        configure(stack, **(defaults | config))
        return stack

    def lab_stack(self) -> Stack:
        """Return the stack `dev`, with the config that the repository has for it and its public passphrase."""
        shutil.copy(ROOT / "Pulumi.dev.yaml", self.directory)
        public = {"PULUMI_CONFIG_PASSPHRASE": os.environ["PULUMI_CONFIG_PASSPHRASE"]}
        return self._stack("dev", StackInitMode.CREATE, self.environment | public)

    def _stack(self, name: str, mode: StackInitMode, environment: dict[str, str]) -> Stack:
        command = _pulumi_command()
        workspace = automation.LocalWorkspace(str(self.directory), env_vars=environment, pulumi_command=command)
        return Stack(name, workspace, mode)

    def deployment(self, name: str, *, run_program: bool = False, **config: object) -> AbstractContextManager[Deployed]:
        """Return a stack to deploy, destroyed at the end; with `--run-program` if so asked."""
        return destroyed_at_the_end(self.stack(name, **config), self.lab, run_program=run_program)

    def verify(self, stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the verification as a user would."""
        return subprocess.run(
            [sys.executable, "-m", "verification", "--stack", stack.name, "--timeout", "240", *arguments],
            cwd=self.directory,
            env=os.environ | stack.workspace.env_vars,
            check=False,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )

    def expect_verified(self, stack: Stack, counts: str, *arguments: str) -> None:
        """Verify a stack; every promise has to be kept, and the last line has to count them so."""
        verified = self.verify(stack, *arguments)
        assert verified.returncode == 0, verified.stdout
        assert counts in verified.stdout, verified.stdout

    def expect_working(self, *stacks: Stack) -> None:
        """Verify stacks, all at once, without attackers in their clusters: far quicker."""
        together(lambda stack: self.expect_verified(stack, " 0 failed", "--read-only"), stacks)

    def start_up(self, stack: Stack, event_log: Path) -> subprocess.Popen[bytes]:
        """Start `pulumi up` as a process with a session of its own, to be killed; the log gets the engine's events."""
        return subprocess.Popen(
            ["pulumi", "up", "--stack", stack.name, "--yes", "--skip-preview", "--event-log", str(event_log)],
            cwd=self.directory,
            env=os.environ | self.environment | {"PULUMI_DEBUG_COMMANDS": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def state(self, stack: Stack) -> str:
        """Return the stack's state as it lies on disk."""
        return (self.directory / f"state/.pulumi/stacks/kyma-mtls/{stack.name}.json").read_text()


@cache
def _pulumi_command() -> automation.PulumiCommand:
    """Return the CLI, which is asked for its version whenever one of these is made."""
    return automation.PulumiCommand()
