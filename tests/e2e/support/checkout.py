"""A checkout of a project with a stack, in which the pipeline's commands run."""

import os
import re
import subprocess
import sys
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from pipeline.comment import previewed
from pipeline.plan import Plan
from tests.e2e.support.commands import run
from tests.e2e.support.lab import CLUSTERS
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed
from tests.unit.pki import issue

STACK = "pipeline"
HEAD = "3d3c42e5aac5ba805825da76410c181273ba90b1"
PEM_KEY = r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"
IMPORTS = (
    "import sys; from pathlib import Path; from pipeline import deployment, engine; from pipeline.plan import Plan"
)
FILE = f"Pulumi.{STACK}.yaml"
LATER = timedelta(days=200)
PARTNER = issue("Partner CA", end=LATER)
GATEWAY, OTHER_GATEWAY = (
    issue("gateway", PARTNER, hosts=("*.pipeline-gateway.target.test",), end=LATER) for _ in range(2)
)
API_KEY = "kyma-mtls:hosts.api.external.credentials.client2.key"
CLIENT = {"context": "client", "domain": "pipeline.client.test"}
CLIENTS: dict[str, Any] = {
    "client2": {"context": "client2", "callers": ["default/caller"]},
    "acme": {"certificateAuthority": PARTNER.pem, "identity": "dns:acme.example"},
}
EXTERNAL = {
    "domain": "pipeline.internet.test",
    "clients": ["client2"],
    "external": {"certificateAuthority": PARTNER.pem},
}
DEMO = {"domain": "pipeline.target.test", "clients": ["client"]}
CONFIG: dict[str, Any] = {
    "target": {"context": "target"},
    "clients": CLIENTS,
    "hosts": {"api": EXTERNAL},
    "gatewayMode": "own",
    "gatewayDomain": "pipeline-gateway.target.test",
    "gatewayCertificate": GATEWAY.pem + PARTNER.pem,
    "renewBeforeDays": 250,
}
ENDING = {
    "clients.acme.certificateAuthority",
    "hosts.api.external.certificateAuthority",
    "hosts.api.external.credentials.client2.certificate",
    "gatewayCertificate",
}
"""What ends within renewBeforeDays, always."""


@dataclass
class Checkout:
    """A project in a git repository, and all that the commands have printed and written of it so far."""

    project: Project
    deployed: Deployed
    folder: Path
    keys: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        return "".join(self.printed)

    @property
    def plan(self) -> Path:
        return self.folder / "plan.json"

    @property
    def comment(self) -> str:
        return (self.folder / "comment.md").read_text()

    def run(self, command: str, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a step of a workflow does, and expect its exit code."""
        return self.call("-m", "pipeline", command, STACK, *arguments, code=code, **environment)

    def call(self, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the project, and expect its exit code."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.project.directory,
            env=os.environ | self.project.environment | environment,
            check=False,
            capture_output=True,
            text=True,
        )
        self.printed.append(done.stdout + done.stderr)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def preview(self, code: int = 0, plan: str = "plan.json", **environment: str) -> frozenset[str] | None:
        """Preview; return the digests of the operations that the comment remembers, None if it failed."""
        comment = self.folder / "comment.md"
        files = ("--plan", str(self.folder / plan), "--comment", str(comment))
        self.run("preview", "--head", HEAD, *files, code=code, **environment)
        self.printed.append(comment.read_text())
        return previewed(comment.read_text(), HEAD)

    def deploy(self, readers: str = "") -> set[str]:
        """Take a change from its pull request to its deployment; return the operations of its plan.

        The verification, which takes its time, is left to other tests.

        readers: KUBECONFIG of users who only read, by whom reviewers get the comment; by default, it is the deployer's
        """
        with ThreadPoolExecutor() as pool:
            planned = pool.submit(self.run, "preview", "--plan", str(self.plan)) if readers else None
            seen = self.preview(plan="readers.json", KUBECONFIG=readers) if readers else self.preview()
            if planned:
                planned.result()
        self.expect_previewed(seen)
        self.call("-c", f"{IMPORTS}; sys.exit(engine.up({STACK!r}, {str(self.plan)!r}).exit_code)")
        self.git("add", FILE)
        self.commit()
        return {str(each) for each in Plan.read(self.plan).operations}

    def expect_previewed(self, seen: frozenset[str] | None) -> None:
        """Compare the plan with the digests that a comment remembers, as the step of the workflow does."""
        compare = f"deployment.expect_previewed({STACK!r}, Plan.read(Path({str(self.plan)!r})), {seen!r})"
        self.call("-c", f"{IMPORTS}; {compare}", PULUMI_CONFIG_PASSPHRASE="")  # the step of the workflow has none

    def update(self, code: int = 0) -> subprocess.CompletedProcess[str]:
        (self.folder / "record.json").unlink(missing_ok=True)  # each job begins without one
        reports = {"--record": "record.json", "--junit": "verified.xml", "--html": "verification.html"}
        files = [word for option, name in reports.items() for word in (option, str(self.folder / name))]
        return self.run("update", "--plan", str(self.plan), *files, code=code)

    def renew(self) -> str:
        """Renew, where partners' certificates end soon; return the problems that are printed."""
        printed = self.run("renew", "--problems", str(self.folder / "problems.txt"), code=1).stderr
        assert (self.folder / "problems.txt").read_text() == printed
        assert set(re.findall(r"^kyma-mtls:(\S+): ends on ", printed, re.MULTILINE)) == ENDING
        return printed

    def pulumi(self, *arguments: str) -> str:
        """Run a command of the engine on the stack; return what it prints."""
        command = ("pulumi", "stack", *arguments, "--stack", STACK)
        environment = os.environ | self.project.environment
        done = subprocess.run(
            command, cwd=self.project.directory, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def write(self, **config: Any) -> None:
        """Set keys in the stack's file, structures as YAML."""
        path = self.project.directory / FILE
        file = yaml.safe_load(path.read_text())
        file["config"].update({f"kyma-mtls:{key}": value for key, value in config.items()})
        path.write_text(yaml.safe_dump(file))

    def write_hosts(self, shown: str = "", later: str = "", **httpbin: Any) -> None:
        """Set the hosts: the demo's, with these keys, and the partner's, with another certificate if one is given.

        later: domain of a further host; none by default
        """
        hosts = yaml.safe_load((self.project.directory / FILE).read_text())["config"]["kyma-mtls:hosts"]
        if shown:
            external = {"certificateAuthority": PARTNER.pem, "credentials": {"client2": {"certificate": shown}}}
            hosts["api"] = {**EXTERNAL, "external": external}
        further = {"later": {**DEMO, "domain": later}} if later else {}
        self.write(hosts={"api": hosts["api"], "httpbin": {**DEMO, **httpbin}, **further})

    def set_secret(self, path: str, key: str) -> None:
        self.keys.append(key)
        self.deployed.stack.set_config(path, automation.ConfigValue(key, secret=True), path=True)

    def learn_keys(self) -> None:
        """Keep the private keys in the state, which no command may show."""
        exported = self.pulumi("export", "--show-secrets")
        self.keys += [re.sub(r"\\+n", "\n", key) for key in re.findall(PEM_KEY, exported)]

    def commit(self) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        self.git(*identity, "commit", "--allow-empty", "-m", "change")

    def git(self, *arguments: str) -> str:
        return run("git", *arguments, cwd=self.project.directory).stdout.strip()

    def expect_no_secret(self) -> None:
        """Expect that no output of the commands holds a private key, or a token of a kubeconfig."""
        for key in self.keys:
            encoded = b64encode(key.encode()).decode()
            assert key.splitlines()[1] not in self.output
            assert encoded[40:80] not in self.output
        for cluster in CLUSTERS:
            (user,) = yaml.safe_load(Path(self.project.lab.kubeconfig(cluster)).read_text())["users"]
            assert user["user"]["token"] not in self.output
        assert "PRIVATE KEY" not in self.output
