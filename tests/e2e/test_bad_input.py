"""What a user can get wrong fails the preview with one clear line for each mistake."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import urllib3
from pulumi import automation

from tests.e2e.support.commands import MANIFESTS
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import configure, refusal
from tests.e2e.support.waiting import eventually
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.pki import issue


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of loopback at which nothing answers, but that a program may share by SO_REUSEPORT."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@pytest.fixture(scope="module")
def bare_cluster(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001 - its programs
    """The kubeconfig of a real API server on loopback to which nothing was ever added."""
    directory = tmp_path_factory.mktemp("bare")
    (directory / "tokens").write_text("bare,admin,1,system:masters\n")
    keys, authority = directory / "service-accounts.key", directory / "certs/apiserver.crt"
    subprocess.run(["openssl", "genrsa", "-out", keys, "2048"], check=True, capture_output=True)
    with ExitStack() as stack:
        client, peer, port = (stack.enter_context(reserved_port()) for _ in range(3))
        etcd, server = f"http://127.0.0.1:{client}", f"https://127.0.0.1:{port}"
        commands = (
            f"etcd --data-dir etcd --listen-client-urls {etcd} --advertise-client-urls {etcd} "
            f"--listen-peer-urls http://127.0.0.1:{peer} --socket-reuse-port",
            f"kube-apiserver --etcd-servers {etcd} --bind-address 127.0.0.1 --secure-port {port} --permit-port-sharing "
            "--cert-dir certs --token-auth-file tokens --service-account-issuer https://bare.test "
            f"--service-cluster-ip-range 10.0.0.0/24 --service-account-key-file {keys} "
            f"--service-account-signing-key-file {keys}",
        )
        log = stack.enter_context((directory / "log").open("w"))
        for command in commands:
            program = subprocess.Popen(command.split(), cwd=directory, stdout=log, stderr=log)
            stack.callback(program.wait)
            stack.callback(program.terminate)
        eventually(lambda: is_ready(server, authority), "the API server answers")
        trusted = {"certificate-authority": str(authority)}
        yield write_kubeconfig(directory / "kubeconfig", server, cluster=trusted, user={"token": "bare"})


def is_ready(server: str, authority: Path) -> bool:
    try:
        with urllib3.PoolManager(ca_certs=str(authority), retries=False) as pool:
            url = f"{server}/api/v1/namespaces/kube-system"
            return pool.request("GET", url, headers={"Authorization": "Bearer bare"}).status == 200
    except (OSError, urllib3.exceptions.HTTPError):
        return False


def problems(command: Callable[[], object]) -> dict[str, str]:
    """What a preview that has to fail says, by the path that each line names."""
    said = refusal(command)
    assert "cannot be planned:" in said, said
    assert "Traceback" not in said, said
    assert "unhandled" not in said, said
    lines = [line.strip() for line in said.splitlines() if line.strip().startswith("kyma-mtls:")]
    named = [line.removeprefix("kyma-mtls:").partition(": ") for line in dict.fromkeys(lines)]
    assert len({path for path, _, _ in named}) == len(named), f"one line for each mistake: {said}"
    return {path: message for path, _, message in named}


def test_config_errors_are_one_line_each(project: Project) -> None:
    stack = project.stack(
        "wrong",
        platform="openshift",
        nameSpace="x",
        validityDays="many",
        clients={"client": {"kubeconfig": ".lab/client.kubeconfig", "networkPolicy": "off"}},
        hosts={
            "httpbin": {"domain": "no domain"},
            "orders": {"domain": "orders.target.test", "service": {"namespace": "shop", "name": "orders", "port": "x"}},
            "forms": {"domain": "forms.target.test", "clients": ["cleint"]},
        },
        gatewayMode="own",
    )
    stack.set_config("kyma-mtls:gatewayKey", automation.ConfigValue(issue("any").key_pem, secret=False))
    integer = "Input should be a valid integer, unable to parse string as an integer"
    assert problems(stack.preview) == {
        "platform": "'openshift': Input should be 'kyma' or 'istio'",
        "nameSpace": "unknown key; did you mean namespace?",
        "validityDays": f"'many': {integer}",
        "clients.client.networkPolicy": "'off': Input should be 'own', 'callers' or 'none'",
        "hosts.httpbin.domain": "'no domain': not a domain name: at least two labels of lower-case letters, digits and "
        "hyphens",
        "hosts.orders.service.port": f"'x': {integer}",
        "hosts.forms.clients[0]": "'cleint': no such client; did you mean client?",
        "gatewayKey": "not encrypted; `pulumi config set --secret gatewayKey`",
    }


def test_clusters_that_cannot_be_reached_are_named_all_at_once(project: Project) -> None:
    with reserved_port() as port:
        server = f"https://127.0.0.1:{port}"
        silent = write_kubeconfig(project.directory / "silent.kubeconfig", server)
        clients = {
            "client": {"kubeconfig": ".lab/client.kubeconfig", "context": "nowhere"},
            "silent": {"kubeconfig": silent},
        }
        hosts = {"httpbin": {"domain": "httpbin.target.test", "clients": []}}
        stack = project.stack("unreachable", target={"kubeconfig": "missing.yaml"}, clients=clients, hosts=hosts)
        found = problems(stack.preview)
    assert found == {
        "target.kubeconfig": "no such file: missing.yaml",
        "clients.client.context": ".lab/client.kubeconfig has no context 'nowhere'; it has client",
        "clients.silent.kubeconfig": (
            f"cluster {server} does not answer: [Errno 111] Connection refused; "
            "`pulumi config set --path clients.silent.away true` goes on without this cluster"
        ),
    }


def test_same_cluster_by_two_kubeconfigs_is_refused(lab: Lab, project: Project) -> None:
    target = lab.server("target")
    shutil.copy(lab.kubeconfig("target"), project.directory / "copy.kubeconfig")
    stack = project.stack("same", clients={"client": {"kubeconfig": "copy.kubeconfig"}})
    assert problems(stack.preview) == {
        "clients.client.kubeconfig": f"cluster {target} is that of target, too; each needs a cluster of its own"
    }


def test_preview_reports_all_missing_objects_at_once(lab: Lab, project: Project, bare_cluster: str) -> None:
    target = lab.server("target")
    service = {"namespace": "raw", "name": "databases", "port": 8080}
    stack = project.stack(
        "lacking",
        clients={"client": {"kubeconfig": ".lab/client.kubeconfig"}, "bare": {"kubeconfig": bare_cluster}},
        hosts={
            "httpbin": {"domain": "lacking.target.test", "clients": ["bare"]},
            "orders": {"domain": "orders.target.test", "clients": [], "service": service | {"name": "orders"}},
            "stock": {"domain": "stock.target.test", "clients": [], "service": service},
        },
        gatewayMode="gardener",
        validityDays="90",
    )
    lab.kubectl("target", "apply", "-f", str(MANIFESTS / "passthrough.yaml"))
    try:
        found = problems(stack.preview)
    finally:
        lab.kubectl("target", "delete", "-f", str(MANIFESTS / "passthrough.yaml"))
    bare = found.pop("clients.bare.kubeconfig")
    assert bare.startswith("cluster https://127.0.0.1:")
    assert bare.endswith("has no Istio; install it (on Kyma: add the Istio module)")
    assert found == {
        "target.kubeconfig": f"cluster {target} has no Gardener certificate management; set another gatewayMode",
        "target.gatewayPassthrough": f"cluster {target} forwards TLS or TCP by Gateway raw/databases through "
        "istio-ingressgateway without reading a host; a policy of this stack would end the connections; set this to "
        "true, or move it to another ingress or egress gateway",
        "hosts.orders.service": f"cluster {target} has no Service raw/orders",
        "hosts.stock.service.port": f"cluster {target} has no such port in Service raw/databases; it has 5432",
    }


def test_platform_kyma_needs_its_modules(lab: Lab, project: Project) -> None:
    target, client = lab.server("target"), lab.server("client")
    stack = project.stack("modules", platform="kyma")
    assert problems(stack.preview) == {
        "target.kubeconfig": f"cluster {target} has no Kyma API Gateway module; add it, or set platform to istio",
        "clients.client.kubeconfig": f"cluster {client} has no Kyma Istio module (no Istio kyma-system/default); add "
        "it, or set platform to istio",
    }


def test_users_own_namespace_is_left_alone(lab: Lab, project: Project) -> None:
    client = lab.server("client")
    lab.kubectl("client", "create", "namespace", "mine")
    try:
        before = lab.get("client", "namespace", "", "mine")
        with project.deployment("mine", namespace="mine") as deployed:
            for command in (deployed.stack.preview, deployed.up):
                said = refusal(command)
                taken = f"kyma-mtls:namespace: cluster {client} has Namespace mine already, and no stack made it"
                assert f"{taken}; remove it, or choose other names" in said, said
        assert lab.get("client", "namespace", "", "mine") == before
    finally:
        lab.kubectl("client", "delete", "namespace", "mine")


def test_users_own_gateway_is_left_alone(lab: Lab, project: Project) -> None:
    target = lab.server("target")
    stack = project.stack("late", gatewayMode="selfSigned", gatewayDomain="taken.target.test")
    lab.kubectl("target", "apply", "-f", str(MANIFESTS / "users_gateway.yaml"))
    try:
        assert problems(stack.preview) == {
            "gatewayDomain": f"cluster {target} serves *.taken.target.test by kyma-system/kyma-gateway already"
        }
        configure(stack, gatewayTakeOver="true")
        said = refusal(stack.preview)
        taken = f"kyma-mtls:gatewayTakeOver: cluster {target} has Gateway kyma-system/kyma-gateway already"
        assert f"{taken}, and no stack made it" in said, said
    finally:
        lab.kubectl("target", "delete", "-f", str(MANIFESTS / "users_gateway.yaml"))


def test_verification_says_what_it_cannot_judge(project: Project) -> None:
    verified = project.verify(project.stack("never"))
    assert verified.returncode == 2
    assert "stack never has no outputs yet; deploy it with `pulumi up`" in verified.stdout
