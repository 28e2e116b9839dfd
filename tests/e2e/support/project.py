"""A user's checkout of the program, with a backend, a state and a passphrase of its own."""

import os
import secrets
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.support.commands import COMMAND_SECONDS, ROOT
from tests.e2e.support.lab import Lab
from tests.e2e.support.stack import Deployed, Stack, configure, destroyed_at_the_end, stack_in
from tests.e2e.support.waiting import together

PROGRAM = (
    "Pulumi.yaml",
    "__main__.py",
    "settings",
    "clusters",
    "components",
    "proxies",
    "deployment",
    "outputs",
    "verification",
)


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
        stack = stack_in(self.directory, name, self.environment, is_new=not is_known)
        if is_known:
            stack.remove_all_config(list(stack.get_all_config()))
        configure(stack, **(defaults | config))
        return stack

    def lab_stack(self) -> Stack:
        """Return the stack `dev`, with the config that the repository has for it and its public passphrase."""
        shutil.copy(ROOT / "Pulumi.dev.yaml", self.directory)
        public = {"PULUMI_CONFIG_PASSPHRASE": os.environ["PULUMI_CONFIG_PASSPHRASE"]}
        return stack_in(self.directory, "dev", self.environment | public)

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
        """Start `pulumi up` as a process with a session of its own, to be killed; the log gets the engine's events.

        Two operations run at a time: else the last ones end together, and no moment lies between them.
        """
        options = ("--yes", "--skip-preview", "--parallel", "2", "--event-log", str(event_log))
        return subprocess.Popen(
            ["pulumi", "up", "--stack", stack.name, *options],
            cwd=self.directory,
            env=os.environ | self.environment | {"PULUMI_DEBUG_COMMANDS": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
