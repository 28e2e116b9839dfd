"""Connections to clusters, against HTTP servers in the place of API servers."""

import base64
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters import Cluster, Refused, connect
from settings import ClusterAccess, ConfigError
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.clusters.conftest import Serve
from tests.unit.clusters.served import TOKEN
from tests.unit.fakes import KUBE_SYSTEM, Answer, discovery, fake_cluster, kube_system

Reach = Callable[..., str]
RESET = Answer(b"", status=0)
PEM_OF_NOTHING = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").decode()


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    """Return a function that fails to connect by a kubeconfig with this user, and returns the error."""

    def run(server: str, context: str = "", **user: Any) -> str:
        path = write_kubeconfig(tmp_path / "config", server, contexts=("one", "two"), user={"token": TOKEN} | user)
        with pytest.raises(ConfigError) as caught:
            connect(ClusterAccess(path="target", kubeconfig=path, context=context))
        return str(caught.value)

    return run


def test_connection_has_the_uid_and_the_content_of_the_kubeconfig(tmp_path: Path, serve: Serve) -> None:
    url = serve(kube_system("uid-1"))
    path = write_kubeconfig(tmp_path / "config", url, contexts=("one", "two"), user={"token": TOKEN})
    cluster = connect(ClusterAccess(path="target", kubeconfig=path, context="two"))
    assert (cluster.uid, cluster.host) == ("uid-1", url)
    assert '"current-context": "two"' in cluster.kubeconfig
    assert TOKEN in cluster.kubeconfig
    assert TOKEN not in repr(cluster), "logs and tracebacks would show it"


def test_cluster_without_an_answer_is_reported_by_the_key_that_chose_it(reach: Reach) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{closed.getsockname()[1]}"
    refused = f"cluster {server} does not answer: [Errno 111] Connection refused"
    assert reach(server) == f"kyma-mtls:target.kubeconfig: {refused}"
    assert reach(server, "two") == f"kyma-mtls:target.context: {refused}"


def test_clients_cluster_without_an_answer_may_be_declared_away(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        path = write_kubeconfig(tmp_path / "config", f"https://127.0.0.1:{closed.getsockname()[1]}")
    with pytest.raises(ConfigError) as caught:
        connect(ClusterAccess(path="clients.caller", kubeconfig=path, context=""))
    goes_on = "`pulumi config set --path clients.caller.away true` goes on without this cluster"
    assert str(caught.value).endswith(f"does not answer: [Errno 111] Connection refused; {goes_on}")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(b"<html>Sign in</html>"), f"answers {KUBE_SYSTEM} without a JSON object"),
        (Answer(b"[1, 2]"), f"answers {KUBE_SYSTEM} without a JSON object"),
        (Answer(b"\xff\xfe"), f"answers {KUBE_SYSTEM} without a JSON object"),
        (Answer(b"{}", 404), "is no Kubernetes API server: it has no namespace kube-system"),
        (Answer(b'{"metadata": []}'), "is no Kubernetes API server: it has no namespace kube-system"),
        (Answer(b"{}", 401), f"refuses GET {KUBE_SYSTEM}: 401 Unauthorized; renew the credentials of its kubeconfig"),
        (Answer(b"{}", 403), f"refuses GET {KUBE_SYSTEM}: 403 Forbidden"),
        (Answer(b"oops", 500), f"refuses GET {KUBE_SYSTEM}: 500 Internal Server Error"),
    ],
    ids=["html", "list", "no-text", "404", "no-uid", "401", "403", "500"],
)
def test_answer_of_another_server_is_refused(reach: Reach, serve: Serve, answer: Answer, message: str) -> None:
    server = serve({KUBE_SYSTEM: answer})
    assert reach(server) == f"kyma-mtls:target.kubeconfig: cluster {server} {message}"


def test_refusal_for_want_of_rights_is_told_from_further_ones(tmp_path: Path, serve: Serve) -> None:
    answers = {**kube_system("uid"), "/closed": Answer(b"{}", 403), "/broken": Answer(b"{}", 500)}
    path = write_kubeconfig(tmp_path / "config", serve(answers), user={"token": TOKEN})
    cluster = connect(ClusterAccess(path="target", kubeconfig=path, context=""))
    with pytest.raises(Refused, match="refuses GET /closed: 403 Forbidden"):
        cluster.read("/closed")
    with pytest.raises(ConfigError, match="500") as caught:
        cluster.read("/broken")
    assert not isinstance(caught.value, Refused)


@pytest.mark.parametrize("passing", [RESET, Answer(b"{}", 429), Answer(b"{}", 503)], ids=["reset", "429", "503"])
def test_request_is_sent_once_more_after_a_passing_failure(tmp_path: Path, serve: Serve, passing: Answer) -> None:
    answers = {KUBE_SYSTEM: [passing, *kube_system("uid").values()]}
    path = write_kubeconfig(tmp_path / "config", serve(answers), user={"token": TOKEN})
    cluster = connect(ClusterAccess(path="target", kubeconfig=path, context=""))
    assert cluster.uid == "uid"
    answers["/twice"] = [passing, passing, Answer(b"{}")]
    with pytest.raises(ConfigError, match=r"Connection aborted|without response|429|503"):
        cluster.read("/twice")
    assert len(answers["/twice"]) == 1, "it is asked twice"
    answers["/refused"] = [Answer(b"{}", 500), Answer(b"{}")]
    with pytest.raises(ConfigError, match="500"):
        cluster.read("/refused")
    answers["/made"] = [passing, Answer(b"{}")]
    with pytest.raises(ConfigError):
        cluster.create("/made", {})
    assert len(answers["/made"]) == 1, "what changes something is done once"


@pytest.mark.parametrize(
    "user",
    [
        {"client-certificate-data": TOKEN, "client-key-data": TOKEN},
        {"client-key-data": base64.b64encode(TOKEN.encode()).decode()},
        {"token": f"{TOKEN}\nX-Other: header"},
        {"token": f"{TOKEN}\n"},
        {"token": f"{TOKEN}\N{SNOWMAN}"},
        {"token": [TOKEN]},
        {"token": None, "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}},
        {"token": None, "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-command"}},
        {"token": None, "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "echo", "args": [TOKEN]}},
        {"token": None, "username": TOKEN, "password": None},
    ],
    ids=[
        "no-base64",
        "key-alone",
        "header",
        "newline",
        "snowman",
        "list",
        "failing-command",
        "no-command",
        "command-without-credential",
        "no-password",
    ],
)
def test_message_holds_no_key_and_no_token(reach: Reach, serve: Serve, user: dict[str, Any]) -> None:
    for server in (serve({}), "https://127.0.0.1:1"):
        message = reach(server, **user)
        assert message.startswith("kyma-mtls:target.kubeconfig: ")
        assert TOKEN not in message
        assert "\n" not in message


@pytest.mark.parametrize("data", ["no base64", "Q0E=", PEM_OF_NOTHING, 7, ["a"]])
def test_malformed_certificate_authority_is_reported_in_one_line(tmp_path: Path, data: Any) -> None:
    cluster = {"certificate-authority-data": data}
    path = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1", cluster=cluster, user={"token": TOKEN})
    with pytest.raises(ConfigError, match=r"^kyma-mtls:target\.kubeconfig: [^\n]*$"):
        connect(ClusterAccess(path="target", kubeconfig=path, context=""))


def test_token_file_may_end_with_a_newline(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    path = write_kubeconfig(tmp_path / "config", serve(kube_system("uid")), user={"tokenFile": "token"})
    assert connect(ClusterAccess(path="target", kubeconfig=path, context="")).uid == "uid"


def test_path_follows_the_discovery_of_the_kind() -> None:
    cluster = fake_cluster()
    assert cluster.path("v1", "Namespace", "", "mtls") == "/api/v1/namespaces/mtls"
    gateway = cluster.path("networking.istio.io/v1", "Gateway", "mtls", "a")
    assert gateway == "/apis/networking.istio.io/v1/namespaces/mtls/gateways/a"
    assert cluster.path("v1", "Unheard", "mtls", "a") is None
    assert cluster.path("unheard.example/v1", "Secret", "mtls", "a") is None


def test_metadata_is_none_without_the_object_or_its_kind(tmp_path: Path, serve: Serve) -> None:
    secret = {"/api/v1/namespaces/a/secrets/b": {"metadata": {"name": "b"}}}
    path = write_kubeconfig(tmp_path / "config", serve(kube_system("uid") | discovery() | secret))
    cluster = connect(ClusterAccess(path="target", kubeconfig=path, context=""))
    assert cluster.metadata("v1", "Secret", "a", "b") == {"name": "b"}
    assert cluster.metadata("v1", "Secret", "a", "c") is None
    assert cluster.metadata("v1", "Unheard", "a", "b") is None


def test_object_without_metadata_is_refused(tmp_path: Path, serve: Serve) -> None:
    secret = {"/api/v1/namespaces/a/secrets/b": {"kind": "Status"}}
    path = write_kubeconfig(tmp_path / "config", serve(kube_system("uid") | discovery() | secret))
    cluster = connect(ClusterAccess(path="target", kubeconfig=path, context=""))
    with pytest.raises(ConfigError, match=r"without metadata$"):
        cluster.metadata("v1", "Secret", "a", "b")


def test_listed_objects_are_known_by_namespace_and_name() -> None:
    query = "?labelSelector=a%3Db"
    item = {"metadata": {"name": "certs", "namespace": "mtls"}}
    everywhere, there = f"/api/v1/secrets{query}", f"/api/v1/namespaces/mtls/secrets{query}"
    cluster = fake_cluster({everywhere: {"items": [item]}, there: {"items": []}})
    assert cluster.listed("v1", "Secret", {"a": "b"}) == {("mtls", "certs"): item}
    assert cluster.listed("v1", "Secret", {"a": "b"}, "mtls") == {}
    assert cluster.listed("v1", "Unknown", {"a": "b"}) == {}


def test_objects_that_may_not_be_listed_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Refused("403")

    monkeypatch.setattr(Cluster, "items", refuse)
    assert fake_cluster().listed("v1", "Secret", {"a": "b"}) is None
