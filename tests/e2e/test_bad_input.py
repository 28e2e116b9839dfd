"""What a user can get wrong is one clear error at preview."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
import yaml
from pulumi import automation

from tests.e2e.conftest import Lab, Project, eventually


def kubeconfig(file: Path, server: str, token: str = "", authority: Path | None = None) -> str:
    """Write a kubeconfig with one context, `only`; return its path."""
    cluster = {"server": server} | ({"certificate-authority": str(authority)} if authority else {})
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "only",
        "contexts": [{"name": "only", "context": {"cluster": "only", "user": "only"}}],
        "clusters": [{"name": "only", "cluster": cluster}],
        "users": [{"name": "only", "user": {"token": token}}],
    }
    file.write_text(yaml.safe_dump(content))
    return str(file)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def bare_cluster(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:  # noqa: ARG001 - its programs
    """The kubeconfig of a real API server on loopback to which nothing was ever added."""
    directory = tmp_path_factory.mktemp("bare")
    client, peer, port = free_port(), free_port(), free_port()
    (directory / "tokens").write_text("bare,admin,1,system:masters\n")
    keys, authority = directory / "service-accounts.key", directory / "certs/apiserver.crt"
    subprocess.run(["openssl", "genrsa", "-out", keys, "2048"], check=True, capture_output=True)
    etcd = f"http://127.0.0.1:{client}"
    commands = (
        f"etcd --data-dir etcd --listen-client-urls {etcd} --advertise-client-urls {etcd} "
        f"--listen-peer-urls http://127.0.0.1:{peer}",
        f"kube-apiserver --etcd-servers {etcd} --bind-address 127.0.0.1 --secure-port {port} --cert-dir certs "
        "--token-auth-file tokens --service-account-issuer https://bare.test --service-cluster-ip-range 10.0.0.0/24 "
        f"--service-account-key-file {keys} --service-account-signing-key-file {keys}",
    )
    with (directory / "log").open("w") as log:
        programs = [subprocess.Popen(command.split(), cwd=directory, stdout=log, stderr=log) for command in commands]
    server = f"https://127.0.0.1:{port}"

    def is_ready() -> bool:
        try:
            with urllib3.PoolManager(ca_certs=str(authority), retries=False) as pool:
                url = f"{server}/api/v1/namespaces/kube-system"
                return pool.request("GET", url, headers={"Authorization": "Bearer bare"}).status == 200
        except (OSError, urllib3.exceptions.HTTPError):
            return False

    try:
        eventually(is_ready, "the API server answers")
        yield kubeconfig(directory / "kubeconfig", server, "bare", authority)
    finally:
        for program in reversed(programs):
            program.terminate()
            program.wait()


def refusal(stack: automation.Stack) -> str:
    """What preview says of a stack that cannot be planned; nothing else may have happened."""
    with pytest.raises(automation.CommandError) as caught:
        stack.preview()
    message = str(caught.value)
    assert "Traceback" not in message
    assert "unhandled" not in message
    deployment = stack.export_stack().deployment
    assert not (deployment and deployment.get("resources")), "nothing is planned, so nothing is kept"
    return message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"domain": "no domain"}, "kyma-mtls:domain: 'no domain': not a domain name"),
        ({"platform": "openshift"}, "kyma-mtls:platform: 'openshift'"),
        ({"keyAlgorithm": "DSA"}, "kyma-mtls:keyAlgorithm: 'DSA'"),
        ({"validityDays": "30"}, "kyma-mtls:renewBeforeDays: "),
        ({"validityDays": "many"}, "validityDays' must be of type 'integer'"),
        ({"nameSpace": "x"}, "kyma-mtls:nameSpace: unknown key; did you mean namespace?"),
        ({"targetKubeconfig": "missing.yaml"}, "kyma-mtls:targetKubeconfig: no such file: missing.yaml"),
        ({"clientContext": "nowhere"}, "kyma-mtls:clientContext: .lab/client.kubeconfig has no context 'nowhere'"),
        ({"clientKubeconfig": ".lab/target.kubeconfig"}, "kyma-mtls:clientKubeconfig: cluster"),
        ({"platform": "kyma"}, "has no Kyma API Gateway module"),
    ],
)
def test_a_wrong_value_is_named_before_anything_is_touched(
    project: Project, config: dict[str, str], message: str
) -> None:
    stack = project.stack("bad", **config)
    try:
        assert message in refusal(stack)
    finally:
        stack.workspace.remove_stack("bad")


def test_a_namespace_that_is_somebody_elses_is_left_alone(lab: Lab, project: Project) -> None:
    lab.kubectl("client", "create", "namespace", "shop")
    try:
        message = refusal(project.stack("shop", namespace="shop"))
        assert "kyma-mtls:namespace: cluster https://10.77.0.12:6443 has /api/v1/namespaces/shop already" in message
    finally:
        lab.kubectl("client", "delete", "namespace", "shop")


def test_a_cluster_that_does_not_answer_is_named(project: Project) -> None:
    path = kubeconfig(project.directory / "silent.kubeconfig", f"https://127.0.0.1:{free_port()}")
    message = refusal(project.stack("silent", targetKubeconfig=path))
    assert "kyma-mtls:targetKubeconfig: cluster https://127.0.0.1:" in message
    assert "does not answer" in message


def test_a_cluster_without_istio_is_named(project: Project, bare_cluster: str) -> None:
    message = refusal(project.stack("bare", clientKubeconfig=bare_cluster))
    assert "kyma-mtls:clientKubeconfig: cluster https://127.0.0.1:" in message
    assert "has no Istio; install it" in message


def test_the_verification_says_what_it_cannot_judge(project: Project) -> None:
    verified = project.verify(project.stack("never"))
    assert verified.returncode == 2
    assert "stack never has no outputs yet; deploy it with `pulumi up`" in verified.stdout
