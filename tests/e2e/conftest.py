"""The lab, and projects of its users: each a copy of the program with stacks, state and passphrase of its own."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from pulumi import automation
from pulumi.automation._stack import StackInitMode

from lab import owner
from tests.contract import check_outputs
from verification.tls import ClientCredential, Endpoint

ROOT = Path(__file__).parents[2]
MANIFESTS = Path(__file__).with_name("manifests")
PROGRAM = ("Pulumi.yaml", "__main__.py", "settings", "clusters", "components", "deployment", "outputs", "verification")
SERVERS = {
    "target": "https://10.77.0.11:6443",
    "client": "https://10.77.0.12:6443",
    "client2": "https://10.77.0.13:6443",
}
CLUSTERS = tuple(SERVERS)
INGRESS = "10.77.0.11"
COMMAND_SECONDS = 300
"""The most that a command may take; whatever it waits for has come by then, or never will."""

OF_EVERY_NAMESPACE = {
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "istio-ca-root-cert"),
    ("ServiceAccount", "default"),
}
"""What controllers put into a namespace some time after it was made."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def run(*command: str, cwd: Path = ROOT, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; what it printed is shown when it fails."""
    done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True, timeout=COMMAND_SECONDS)
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


def together(act: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Act on all items at once, and return the results in their order; raise what the first failure raised."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(act, items))


@dataclass(frozen=True)
class Lab:
    """The running lab: clusters `target`, `client` and `client2`."""

    def kubectl(self, cluster: str, *arguments: str, check: bool = True, stdin: str = "") -> str:
        """Output of kubectl against a cluster."""
        command = ("kubectl", "--kubeconfig", self.kubeconfig(cluster), *arguments)
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, input=stdin, timeout=COMMAND_SECONDS
        )
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

    @contextmanager
    def namespaces(self, *places: tuple[str, str]) -> Iterator[None]:
        """Have namespaces of others in clusters, each with the workloads of its manifest, which are ready."""
        try:
            for cluster, name in places:
                self.kubectl(cluster, "apply", "-f", str(MANIFESTS / f"{name}.yaml"))
            for cluster, name in places:
                self.kubectl(cluster, "-n", name, "rollout", "status", "deployment", "--timeout=120s")
            yield
        finally:
            together(
                lambda place: self.kubectl(place[0], "delete", "namespace", place[1], "--ignore-not-found"), places
            )

    def add_kinds(self, cluster: str, *crds: str) -> None:
        """Create CustomResourceDefinitions, each a manifest, and wait until the cluster serves them."""
        applied = self.kubectl(cluster, "apply", "--server-side", *_files(crds)).splitlines()
        wait = ("wait", "--for=condition=Established", "--timeout=10s", *_files(crds))

        def served() -> bool:  # kubectl fails on a kind that has no conditions yet
            return self.kubectl(cluster, *wait, check=False).count("condition met") == len(applied)

        eventually(served, f"cluster {cluster} serves {', '.join(applied)}")

    def remove(self, cluster: str, manifest: str, namespace: str, *crds: str) -> None:
        """Delete what a manifest made, its namespace included, and then the kinds that it needs."""
        # kubectl waits for nothing once it meets a kind that is gone.
        self.kubectl(cluster, "delete", "--ignore-not-found", "--wait=false", "-f", manifest, check=False)
        self.remove_kinds(cluster, *crds)
        self.kubectl(cluster, "wait", "--for=delete", "--timeout=120s", f"namespace/{namespace}")

    def remove_kinds(self, cluster: str, *crds: str) -> None:
        """Delete CustomResourceDefinitions, each a manifest, with all objects, whose controllers are not asked."""
        kinds = self.kubectl(cluster, "get", "--ignore-not-found", "-o", "name", *_files(crds)).split()
        self.kubectl(cluster, "delete", "--ignore-not-found", "--wait=false", *_files(crds))
        free = json.dumps({"metadata": {"finalizers": None}})
        for kind in (each.partition("/")[2] for each in kinds):
            columns = "custom-columns=:.metadata.namespace,:.metadata.name"
            listed = self.kubectl(cluster, "get", kind, "-A", "--no-headers", "-o", columns, check=False)
            for namespace, name in (line.split() for line in listed.splitlines()):
                place = () if namespace == "<none>" else ("-n", namespace)
                self.kubectl(cluster, *place, "patch", kind, name, "--type=merge", "-p", free, check=False)
        if kinds:
            self.kubectl(cluster, "wait", "--for=delete", "--timeout=60s", *kinds)

    def objects(self, cluster: str) -> set[str]:
        """Every object of a cluster as `Kind namespace name`, without those that come and go in their own time."""
        kinds = set(self.kubectl(cluster, "api-resources", "--verbs=list", "-o", "name").split())
        passing = {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "componentstatuses"}
        passing |= {"apiservices.apiregistration.k8s.io"}  # they follow CustomResourceDefinitions in their own time
        columns = "custom-columns=:.kind,:.metadata.namespace,:.metadata.name"
        listing = self.kubectl(cluster, "get", ",".join(sorted(kinds - passing)), "-A", "--no-headers", "-o", columns)
        listed = [line.split() for line in listing.splitlines()]
        return {" ".join(each) for each in listed if (each[0], each[-1]) not in OF_EVERY_NAMESPACE}

    def inventory(self, *clusters: str) -> dict[str, set[str]]:
        """Return the objects of each cluster."""
        return dict(zip(clusters, together(self.objects, clusters), strict=True))


def _files(paths: Iterable[str]) -> list[str]:
    return [word for path in paths for word in ("-f", path)]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a developer try a test in the running lab."""
    parser.addoption("--running-lab", action="store_true", help="use the running lab, and leave it running")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that end the lab last, so that it is not booted again for others."""
    items.sort(key=lambda item: "lab_to_end" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let Pulumi end its plugins by SIGINT: a shell's background jobs ignore it, and Pulumi would wait 5 s for each."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@dataclass
class Deployed:
    """A stack, the outputs of its last `pulumi up`, what every one of them printed, and whether it is destroyed."""

    stack: Stack
    outputs: dict[str, Any] = field(default_factory=dict)
    printed: str = ""
    is_destroyed: bool = False

    def credential(self, client: str) -> ClientCredential:
        """Return a client's credential as its egress gateway has it now; the client is named like its cluster."""
        secret = Lab().get(client, "secret", "istio-system", self.outputs["clients"][client]["secret"])["data"]
        return ClientCredential(secret["tls.crt"].encode(), secret["tls.key"].encode())

    def endpoint(self, host: str) -> Endpoint:
        """Return the target's ingress gateway under the name of a host."""
        return Endpoint(self.outputs["hosts"][host]["domain"], INGRESS, self.outputs["caCertificate"])

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


@cache
def _pulumi_command() -> automation.PulumiCommand:
    """Return the CLI, which is asked for its version whenever one of these is made."""
    return automation.PulumiCommand()


@dataclass(frozen=True)
class Project:
    """A user's checkout of the program."""

    directory: Path
    environment: dict[str, str]

    def stack(self, name: str, **config: object) -> Stack:
        """A stack for the lab, with one host and one client; `config` is added to what its clusters need, and wins."""
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
        """The stack `dev`, with the config that the repository has for it and its public passphrase."""
        shutil.copy(ROOT / "Pulumi.dev.yaml", self.directory)
        public = {"PULUMI_CONFIG_PASSPHRASE": os.environ["PULUMI_CONFIG_PASSPHRASE"]}
        return self._stack("dev", StackInitMode.CREATE, self.environment | public)

    def _stack(self, name: str, mode: StackInitMode, environment: dict[str, str]) -> Stack:
        command = _pulumi_command()
        workspace = automation.LocalWorkspace(str(self.directory), env_vars=environment, pulumi_command=command)
        return Stack(name, workspace, mode)

    def deployment(self, name: str, *, run_program: bool = False, **config: object) -> AbstractContextManager[Deployed]:
        """A stack to deploy, destroyed at the end; with `--run-program` if so asked."""
        return destroyed_at_the_end(self.stack(name, **config), run_program=run_program)

    def verify(self, stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the verification as a user would."""
        return subprocess.run(
            [sys.executable, "-m", "verification", "--stack", stack.name, *arguments],
            cwd=self.directory,
            env=os.environ | stack.workspace.env_vars,
            check=False,
            capture_output=True,
            text=True,
        )

    def expect_verified(self, stack: Stack, counts: str, *arguments: str) -> None:
        """Verify a stack; every promise has to be kept, and the last line has to count them so."""
        verified = self.verify(stack, *arguments)
        assert verified.returncode == 0, verified.stdout
        assert counts in verified.stdout, verified.stdout

    def expect_working(self, *stacks: Stack) -> None:
        """Verify stacks, all at once, without attackers in their clusters: far quicker."""
        together(lambda stack: self.expect_verified(stack, " 0 failed", "--read-only"), stacks)

    def start_up(self, stack: Stack) -> subprocess.Popen[bytes]:
        """Start `pulumi up` as a process with a session of its own, to be killed."""
        return subprocess.Popen(
            ["pulumi", "up", "--stack", stack.name, "--yes", "--skip-preview"],
            cwd=self.directory,
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def state(self, stack: Stack) -> str:
        """The stack's state as it lies on disk."""
        return (self.directory / f"state/.pulumi/stacks/kyma-mtls/{stack.name}.json").read_text()


@contextmanager
def destroyed_at_the_end(stack: Stack, *, run_program: bool = False) -> Iterator[Deployed]:
    """Let a stack be deployed, and destroy it, whatever became of it; with `--run-program` if so asked."""
    deployed = Deployed(stack)
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
    """What a preview or `pulumi up` says that has to fail."""
    with pytest.raises(automation.CommandError) as caught:
        command()
    return str(caught.value)


def policies_reported(printed: str) -> set[str]:
    """Return each policy that a preview reports as violated, `LEVEL NAME`."""
    return {" ".join(found) for found in re.findall(r"\[(mandatory|advisory)\] +([a-z-]+)", printed)}


@pytest.fixture(scope="session")
def policy_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policy pack as a program, in a copy with an environment of its own."""
    directory = tmp_path_factory.mktemp("pack") / "policies"
    shutil.copytree(ROOT / "policies", directory, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    make_environment(directory / ".venv", directory / "requirements.txt")
    return directory / "pulumi-analyzer-kyma-mtls"


def make_environment(directory: Path, requirements: Path) -> None:
    """Make a virtual environment with locked requirements: for what wants other packages than the program."""
    uv, python = Path(sys.executable).with_name("uv"), directory / "bin" / "python"
    run(str(uv), "venv", "--quiet", str(directory))
    run(str(uv), "pip", "install", "--quiet", "--require-hashes", "--python", str(python), "-r", str(requirements))


@pytest.fixture(scope="module")
def before(lab: Lab) -> dict[str, set[str]]:
    """The objects of each cluster of a stack, before the first test of the module."""
    return lab.inventory("target", "client")


def expect_as_before(lab: Lab, before: dict[str, set[str]]) -> None:
    assert lab.inventory(*before) == before


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
