"""The lab, and projects of its users: each a copy of the program with stacks, state and passphrase of its own."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi import automation

from lab import owner

ROOT = Path(__file__).parents[2]
MANIFESTS = Path(__file__).with_name("manifests")
PROGRAM = ("Pulumi.yaml", "__main__.py", "settings", "clusters", "components", "deployment", "verification")
CLUSTERS = ("target", "client", "client2")


def run(*command: str, cwd: Path = ROOT, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; what it printed is shown when it fails."""
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
    assert done.returncode == 0 or not check, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done


def eventually(promise: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait for something that Envoy or Kubernetes brings about in its own time."""
    end = time.monotonic() + seconds
    while not promise():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(1)


@contextmanager
def meanwhile(act: Callable[[], object], pause: float = 1) -> Iterator[None]:
    """Act again and again, `pause` seconds apart, beside what is done in the context; what `act` raises, this does."""
    done = threading.Event()

    def keep_acting() -> None:
        while not done.wait(pause):
            act()

    with ThreadPoolExecutor() as pool:
        acting = pool.submit(keep_acting)
        try:
            yield
        finally:
            done.set()
        acting.result()


@dataclass(frozen=True)
class Lab:
    """The running lab: clusters `target`, `client` and `client2`."""

    def kubectl(self, cluster: str, *arguments: str, check: bool = True, stdin: str = "") -> str:
        """Output of kubectl against a cluster."""
        command = ("kubectl", "--kubeconfig", self.kubeconfig(cluster), *arguments)
        done = subprocess.run(command, check=False, capture_output=True, text=True, input=stdin)
        assert done.returncode == 0 or not check, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def kubeconfig(self, cluster: str) -> str:
        """Path of a cluster's kubeconfig."""
        return str(ROOT / ".lab" / f"{cluster}.kubeconfig")

    def apply(self, cluster: str, *manifests: dict[str, Any]) -> None:
        """Apply objects, each a manifest."""
        self.kubectl(cluster, "apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

    def get(self, cluster: str, kind: str, namespace: str, name: str) -> dict[str, Any]:
        """Return an object; Secrets with their data decoded."""
        item = json.loads(self.kubectl(cluster, "-n", namespace, "get", kind, name, "-o", "json"))
        if kind == "secret":
            item["data"] = {key: b64decode(value).decode() for key, value in item.get("data", {}).items()}
        return dict(item)

    def curl(self, namespace: str, *arguments: str, cluster: str = "client", pod: str = "curl") -> tuple[int, str]:
        """Exit code and output of curl in a Pod of the Deployment `pod`."""
        inside = ("-n", namespace, "exec", f"deploy/{pod}", "-c", "curl", "--", "curl", "-sS", "--max-time", "20")
        done = run("kubectl", "--kubeconfig", self.kubeconfig(cluster), *inside, *arguments, check=False)
        return done.returncode, done.stdout

    def status(self, namespace: str, *arguments: str, cluster: str = "client", pod: str = "curl") -> str:
        """The HTTP status that curl in a Pod gets."""
        return self.curl(namespace, "-o", "/dev/null", "-w", "%{http_code}", *arguments, cluster=cluster, pod=pod)[1]

    def expect_no_complaint(self, cluster: str, namespace: str) -> None:
        """Let istioctl analyze a stack's namespace and istio-system, and validate what the stack has there."""
        config = ("--kubeconfig", self.kubeconfig(cluster))
        kinds = "gateways.networking.istio.io,virtualservices,destinationrules,serviceentries,authorizationpolicies"
        for place in (namespace, "istio-system"):
            analyzed = run("istioctl", *config, "analyze", "-n", place, "-o", "json", check=False).stdout
            assert json.loads(analyzed or "[]") in ([], None), analyzed
            objects = self.kubectl(cluster, "-n", place, "get", f"{kinds},telemetries.telemetry.istio.io", "-o", "yaml")
            command = ("istioctl", "validate", "-f", "-")
            done = subprocess.run(command, input=objects, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "warning" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr

    def objects(self, cluster: str) -> set[str]:
        """Every object of a cluster as `Kind namespace name`, without those that come and go by themselves."""
        kinds = set(self.kubectl(cluster, "api-resources", "--verbs=list", "-o", "name").split())
        passing = {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "componentstatuses"}
        columns = "custom-columns=:.kind,:.metadata.namespace,:.metadata.name"
        listing = self.kubectl(cluster, "get", ",".join(sorted(kinds - passing)), "-A", "--no-headers", "-o", columns)
        return {" ".join(line.split()) for line in listing.splitlines()}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a developer try a test in the running lab."""
    parser.addoption("--running-lab", action="store_true", help="use the running lab, and leave it running")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that end the lab last, so that it is not booted again for others."""
    items.sort(key=lambda item: "lab_to_end" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab of this session's own: whatever was deployed into an earlier one is gone."""
    is_ours = not request.config.getoption("--running-lab")
    with owner.session(f"the end-to-end tests of {ROOT}"):
        if is_ours:
            subprocess.run([sys.executable, "-m", "lab", "down"], cwd=ROOT, check=True)
        subprocess.run([sys.executable, "-m", "lab", "up", "--clients", "2"], cwd=ROOT, check=True)
        environment = f'environment="$({sys.executable} -m lab env)" && eval "$environment" && env -0'
        exported = run("bash", "-c", environment).stdout
        before = dict(os.environ)
        os.environ.update(dict(line.split("=", 1) for line in exported.split("\0") if "=" in line))
        yield Lab()
        os.environ.clear()
        os.environ.update(before)
        if is_ours:
            subprocess.run([sys.executable, "-m", "lab", "down"], cwd=ROOT, check=True)


@dataclass
class Deployed:
    """A stack, the outputs of its last `pulumi up`, and what every one of them printed."""

    stack: automation.Stack
    outputs: dict[str, Any] = field(default_factory=dict)
    printed: str = ""

    def up(self, *, refresh: bool = False, **config: object) -> None:
        """Change the config and deploy."""
        if config:
            configure(self.stack, **config)
        done = self.stack.up(refresh=refresh)
        self.outputs = {key: output.value for key, output in done.outputs.items()}
        self.printed += done.stdout


@dataclass(frozen=True)
class Project:
    """A user's checkout of the program."""

    directory: Path
    environment: dict[str, str]

    def stack(self, name: str, **config: object) -> automation.Stack:
        """A stack for the lab, with one host and one client; `config` is added to what its clusters need, and wins."""
        defaults = {
            "platform": "istio",
            "target": {"kubeconfig": ".lab/target.kubeconfig"},
            "clients": {"client": {"kubeconfig": ".lab/client.kubeconfig", "domain": f"{name}.client.test"}},
            "hosts": {"httpbin": {"domain": f"{name}.target.test"}},
            "targetImage": "lab.local/httpbin:lab",
            "clientImage": "lab.local/curl:lab",
        }
        options = automation.LocalWorkspaceOptions(env_vars=self.environment)
        stack = automation.create_or_select_stack(name, work_dir=str(self.directory), opts=options)
        if old := stack.get_all_config():
            stack.remove_all_config(list(old))
        configure(stack, **(defaults | config))
        return stack

    @contextmanager
    def deployment(self, name: str, *, run_program: bool = False, **config: object) -> Iterator[Deployed]:
        """A stack to deploy, destroyed at the end, whatever became of it; with `--run-program` if so asked."""
        deployed = Deployed(self.stack(name, **config))
        try:
            yield deployed
        finally:
            deployed.stack.destroy(run_program=run_program)

    def verify(self, stack: automation.Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the verification as a user would."""
        return subprocess.run(
            [sys.executable, "-m", "verification", "--stack", stack.name, *arguments],
            cwd=self.directory,
            env=os.environ | self.environment,
            check=False,
            capture_output=True,
            text=True,
        )

    def expect_verified(self, stack: automation.Stack, counts: str, *arguments: str) -> None:
        """Verify a stack; every promise has to be kept, and the last line has to count them so."""
        verified = self.verify(stack, *arguments)
        assert verified.returncode == 0, verified.stdout
        assert counts in verified.stdout, verified.stdout

    def expect_working(self, stack: automation.Stack) -> None:
        """Verify a stack without attackers in its clusters: far quicker."""
        self.expect_verified(stack, " 0 failed", "--read-only")

    def start_up(self, stack: automation.Stack) -> subprocess.Popen[bytes]:
        """Start `pulumi up` as a process of its own, to be killed."""
        return subprocess.Popen(
            ["pulumi", "up", "--stack", stack.name, "--yes", "--skip-preview"],
            cwd=self.directory,
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def state(self, stack: automation.Stack) -> str:
        """The stack's state as it lies on disk."""
        return (self.directory / f"state/.pulumi/stacks/kyma-mtls/{stack.name}.json").read_text()


def configure(stack: automation.Stack, **config: object) -> None:
    """Set keys of the project's config, those that hold secrets encrypted; structures are set as JSON."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    values = {key: automation.ConfigValue(text, secret="PRIVATE KEY" in text) for key, text in texts.items()}
    stack.set_all_config({f"kyma-mtls:{key}": value for key, value in values.items()})


def refusal(command: Callable[[], object]) -> str:
    """What a preview or `pulumi up` says that has to fail."""
    with pytest.raises(automation.CommandError) as caught:
        command()
    return str(caught.value)


@pytest.fixture(scope="module")
def before(lab: Lab) -> dict[str, set[str]]:
    """The objects of each cluster of a stack, before the first test of the module."""
    return {cluster: lab.objects(cluster) for cluster in ("target", "client")}


def expect_as_before(lab: Lab, before: dict[str, set[str]]) -> None:
    for cluster, objects in before.items():
        assert lab.objects(cluster) == objects, cluster


@pytest.fixture(scope="session")
def project(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Project:  # noqa: ARG001 - it needs the lab
    """A checkout with a backend and a passphrase of its own."""
    directory = tmp_path_factory.mktemp("project")
    for name in PROGRAM:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, directory / name)
    for name in (".lab", ".venv"):
        (directory / name).symlink_to(ROOT / name)
    (directory / "state").mkdir()
    environment = {
        "PULUMI_BACKEND_URL": f"file://{directory / 'state'}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(),
    }
    return Project(directory, environment)
