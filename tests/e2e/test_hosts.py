"""Many hosts, clients and partners in one stack: who reaches what, and that a change of one disturbs no other."""

import http.client
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from pulumi import automation

from tests.e2e.conftest import CLUSTERS, Lab, Project, configure, eventually
from tests.e2e.traffic import Load, open_connection, status_or_none
from tests.unit.pki import Holder, issue
from verification.tls import ClientCredential, Endpoint

MANIFESTS = Path(__file__).with_name("manifests")
INTERNET, PARTNER_ADDRESS, PARTNER_PORT = "/run/netns/kyma-lab-internet", "203.0.113.10", 443
INGRESS = "10.77.0.11"

ACME_CA, OTHER_CA, PARTNER_CA = issue("Acme CA"), issue("Other CA"), issue("Partner CA")
ACME = issue("acme", ACME_CA, uris=("spiffe://acme.example/client",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
DHL = issue("dhl", OTHER_CA, hosts=("client.dhl.example",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
FORGED = issue("acme", ACME_CA, uris=("spiffe://kyma-mtls/many/client/client",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
GIVEN = issue("ours", PARTNER_CA, uris=("spiffe://partner.example/us",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)

CLIENTS: dict[str, Any] = {
    "client": {"kubeconfig": ".lab/client.kubeconfig", "domain": "client.test"},
    "client2": {"kubeconfig": ".lab/client2.kubeconfig", "callers": ["logistics/dispatcher"]},
    "acme": {"certificateAuthority": ACME_CA.pem, "identity": "spiffe://acme.example/client"},
    "dhl": {"certificateAuthority": OTHER_CA.pem, "identity": "dns:client.dhl.example"},
}
HOSTS: dict[str, Any] = {
    "httpbin": {"domain": "httpbin.target.test", "clients": ["client", "client2"]},
    "forms": {
        "domain": "forms.target.test",
        "methods": ["GET", "POST"],
        "paths": ["/headers", "/anything/*"],
        "clients": ["client", "dhl"],
    },
    "orders": {
        "domain": "orders.target.test",
        "service": {"namespace": "shop", "name": "orders", "port": 8080},
        "clients": ["client2", "acme"],
    },
    "api": {
        "domain": "api.internet.test",
        "clients": ["client", "client2"],
        "external": {
            "certificateAuthority": PARTNER_CA.pem,
            "credentials": {"client": {"certificate": GIVEN.pem, "key": GIVEN.key_pem}},
        },
    },
}


@dataclass
class Many:
    """The deployed stack, its outputs, and each cluster's objects from before."""

    stack: automation.Stack
    lab: Lab
    before: dict[str, set[str]]
    outputs: dict[str, Any] = field(default_factory=dict)

    def up(self, **config: object) -> None:
        """Change the config and deploy."""
        configure(self.stack, **config)
        self.outputs = {key: output.value for key, output in self.stack.up().outputs.items()}

    def credential(self, client: str) -> ClientCredential:
        """A client's credential, as its egress gateway has it."""
        secret = self.lab.get(client, "secret", "istio-system", self.outputs["clients"][client]["secret"])["data"]
        return ClientCredential(secret["tls.crt"].encode(), secret["tls.key"].encode())

    def status(self, host: str, credential: ClientCredential, path: str = "/headers", method: str = "GET") -> int:
        """The HTTP status that a credential gets from a host of the target, from outside."""
        return self.endpoint(host).request(method, path, credential).status

    def endpoint(self, host: str) -> Endpoint:
        """The target's gateway, asked for a host."""
        return Endpoint(HOSTS[host]["domain"], INGRESS, self.outputs["caCertificate"])


def held(holder: Holder) -> ClientCredential:
    return ClientCredential(holder.pem.encode(), holder.key_pem.encode())


@contextmanager
def partner(directory: Path) -> Iterator[None]:
    """Run a partner's server in the lab's internet, outside both meshes."""
    server = issue("api", PARTNER_CA, hosts=("api.internet.test", "solo.internet.test"))
    for name, text in (("crt", server.pem), ("key", server.key_pem), ("ca", PARTNER_CA.pem)):
        (directory / name).write_text(text)
    script = shutil.copy(Path(__file__).with_name("partner_server.py"), directory)
    files = [str(directory / name) for name in ("crt", "key", "ca")]
    command = ["nsenter", f"--net={INTERNET}", sys.executable, script, PARTNER_ADDRESS, str(PARTNER_PORT), *files]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def many(lab: Lab, project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    for cluster, name in (("target", "shop"), ("client2", "logistics")):
        lab.kubectl(cluster, "apply", "-f", str(MANIFESTS / f"{name}.yaml"))
    for cluster, name in (("target", "shop"), ("client2", "logistics")):
        lab.kubectl(cluster, "-n", name, "rollout", "status", "deployment", "--timeout=120s")
    stack = project.stack("many", namespace="many", clients=CLIENTS, hosts=HOSTS)
    deployed = Many(stack, lab, {cluster: lab.objects(cluster) for cluster in CLUSTERS})
    with partner(tmp_path_factory.mktemp("partner")):
        deployed.up()
        yield deployed
        stack.destroy()
    for cluster, name in (("target", "shop"), ("client2", "logistics")):
        lab.kubectl(cluster, "delete", "namespace", name)


def test_verification_keeps_every_promise_of_every_host_and_client(project: Project, many: Many) -> None:
    verified = project.verify(many.stack)
    assert verified.returncode == 0, verified.stdout
    assert " 0 failed" in verified.stdout


def test_second_preview_has_no_changes(many: Many) -> None:
    many.stack.preview(expect_no_changes=True)


@pytest.mark.parametrize(
    ("host", "client", "status"),
    [
        ("httpbin", "client", 200),
        ("httpbin", "client2", 200),
        ("forms", "client", 200),
        ("forms", "client2", 403),
        ("orders", "client", 403),
        ("orders", "client2", 200),
    ],
)
def test_host_admits_its_own_clients_alone(many: Many, host: str, client: str, status: int) -> None:
    eventually(lambda: many.status(host, many.credential(client)) == status, f"{client} gets {status} from {host}")


def test_partners_client_reaches_the_hosts_that_admit_it_alone(many: Many) -> None:
    assert many.status("orders", held(ACME)) == 200
    assert many.status("forms", held(DHL)) == 200
    for host in ("httpbin", "forms"):
        refused = many.endpoint(host).alert(held(ACME), ssl.TLSVersion.TLSv1_2)
        assert refused, "another host does not even trust its CA"


def test_partner_cannot_show_the_identity_of_another_client(many: Many) -> None:
    assert many.status("orders", held(FORGED)) == 403, "that identity is not admitted here"
    refused = many.endpoint("httpbin").alert(held(FORGED), ssl.TLSVersion.TLSv1_2)
    assert refused, "where it is admitted, that CA is not"


def test_methods_and_paths_are_the_named_ones(many: Many) -> None:
    credential = many.credential("client")
    assert many.status("forms", credential, "/anything/x", "POST") == 200
    assert many.status("forms", credential, "/ip") == 403
    assert many.status("forms", credential, "/anything/x", "DELETE") == 403
    assert many.status("httpbin", credential, "/anything", "POST") == 403


def test_declared_caller_is_the_only_one(many: Many) -> None:
    def status(pod: str, host: str) -> str:
        return many.lab.status("logistics", f"http://{host}/headers", cluster="client2", pod=pod)

    for host in ("httpbin.target.test", "orders.target.test"):
        eventually(lambda host=host: status("dispatcher", host) == "200", f"dispatcher reaches {host}")  # type: ignore[misc]
        eventually(lambda host=host: status("stranger", host) == "403", f"a stranger is refused at {host}")  # type: ignore[misc]


def test_partners_host_is_reached_with_the_given_credential(many: Many) -> None:
    eventually(
        lambda: many.lab.curl("many", "http://api.internet.test/") == (0, "URI:spiffe://partner.example/us"),
        "the partner sees the given identity",
    )


def test_partner_that_signs_the_request_is_reached_with_its_answer(many: Many) -> None:
    request = many.outputs["signingRequests"]["api"]["client2"]
    assert set(many.outputs["signingRequests"]) == {"api"}
    assert set(many.outputs["signingRequests"]["api"]) == {"client2"}, "a given credential needs no request"
    answer = PARTNER_CA.sign(request)
    external = {**HOSTS["api"]["external"]}
    external["credentials"] = {**external["credentials"], "client2": {"certificate": answer}}
    many.up(hosts={**HOSTS, "api": {**HOSTS["api"], "external": external}})
    seen = ("logistics", "http://api.internet.test/")
    eventually(
        lambda: (
            many.lab.curl(*seen, cluster="client2", pod="dispatcher")
            == (0, "URI:spiffe://kyma-mtls/many/client/client2")
        ),
        "the partner sees the identity that it signed",
    )
    other = issue("other", PARTNER_CA, uris=("spiffe://x.example/y",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    external["credentials"] = {**external["credentials"], "client2": {"certificate": other.pem}}
    configure(many.stack, hosts={**HOSTS, "api": {**HOSTS["api"], "external": external}})
    with pytest.raises(automation.CommandError, match=r"credentials\.client2\.certificate: not for") as told:
        many.stack.preview()
    assert "Traceback" not in str(told.value)
    many.up(hosts=HOSTS)


def test_namespaces_of_others_are_left_as_they_are(many: Many) -> None:
    for cluster, namespace in (("target", "shop"), ("client2", "logistics")):
        before = {name for name in many.before[cluster] if f" {namespace} " in name}
        assert {name for name in many.lab.objects(cluster) if f" {namespace} " in name} == before


def test_istioctl_finds_nothing_to_complain_about(many: Many) -> None:
    for cluster in CLUSTERS:
        many.lab.expect_no_complaint(cluster, "many")


def test_callers_namespace_is_closed_where_that_is_asked_for(many: Many) -> None:
    def status(url: str) -> str:
        return many.lab.status("logistics", url, cluster="client2", pod="dispatcher")

    outside, host = "http://www.internet.test/", "http://httpbin.target.test/headers"
    eventually(lambda: status(outside) == "200", "the namespace is open, as its owner left it")
    many.up(clients={**CLIENTS, "client2": {**CLIENTS["client2"], "networkPolicy": "callers"}})
    eventually(lambda: status(outside) == "503", "the sidecar cannot connect any more")
    eventually(lambda: status(host) == "200", "the way through the egress gateway is open")
    many.up(clients=CLIENTS)
    eventually(lambda: status(outside) == "200", "the policy is gone, and the namespace as before")


def test_stack_of_a_target_alone_serves_a_partners_client(project: Project, many: Many) -> None:
    hosts = {"solo": {"domain": "solo.target.test", "clients": ["acme"]}}
    with project.deployment("serving", clients={"acme": CLIENTS["acme"]}, hosts=hosts) as deployed:
        deployed.up()
        endpoint = Endpoint("solo.target.test", INGRESS, deployed.outputs["caCertificate"])
        eventually(lambda: status_or_none(endpoint, held(ACME)) == 200, "the partner's client is served")
        assert endpoint.alert(many.credential("client"), ssl.TLSVersion.TLSv1_2), "another stack's client is not"
        project.expect_working(deployed.stack)


def test_stack_of_a_client_alone_calls_a_partners_host(project: Project, many: Many) -> None:
    solo = {"domain": "solo.internet.test", "external": HOSTS["api"]["external"]}
    stack = project.stack("calling", namespace="calling", clients={"client": CLIENTS["client"]}, hosts={"solo": solo})
    stack.remove_config("kyma-mtls:target")
    try:
        stack.up()
        url = "http://solo.internet.test/"
        seen = (0, "URI:spiffe://partner.example/us")
        eventually(lambda: many.lab.curl("calling", url) == seen, "the partner sees the given identity")
        project.expect_working(stack)
    finally:
        stack.destroy()


def test_another_namespace_cannot_publish_or_take_over_a_host(many: Many) -> None:
    manifest = str(MANIFESTS / "open_doors.yaml")
    many.lab.kubectl("target", "apply", "-f", manifest)
    try:
        # The workload's own policy names its hosts: open.target.test shows that the door as such is open.
        eventually(lambda: plain("open.target.test")[0] == 403, "the other namespace's route is there")
        assert plain("httpbin.target.test") == (403, "RBAC: access denied")
        assert plain("HTTPBIN.target.test:80") == (403, "RBAC: access denied")
        assert many.status("httpbin", many.credential("client")) == 200, "not 418: the longer prefix is not bound"
    finally:
        many.lab.kubectl("target", "delete", "-f", manifest)


def plain(host: str) -> tuple[int, str]:
    """Status and body of plain HTTP at the ingress gateway; 0 while nothing listens."""
    try:
        with closing(http.client.HTTPConnection(INGRESS, 80, timeout=10)) as connection:
            connection.request("GET", "/headers", headers={"Host": host})
            response = connection.getresponse()
            return response.status, response.read().decode()
    except OSError:
        return 0, ""


def load(many: Many, **pairs: str) -> Load:
    """A load on hosts, each with the credential of a client."""
    credentials = {client: many.credential(client) for client in set(pairs.values())}

    def request(host: str, client: str) -> bool:
        return status_or_none(many.endpoint(host), credentials[client]) == 200

    requests: dict[str, Callable[[], bool]] = {
        f"{host} by {client}": lambda host=host, client=client: request(host, client)  # type: ignore[misc]
        for host, client in pairs.items()
    }
    callers = ("many", "http://httpbin.target.test/headers")
    return Load(requests | {"httpbin from the Pod": lambda: many.lab.status(*callers) == "200"})


def changed(stack: automation.Stack) -> set[str]:
    """Names of the Kubernetes objects that a preview would change."""
    seen: set[str] = set()

    def note(event: automation.events.EngineEvent) -> None:
        step = event.resource_pre_event and event.resource_pre_event.metadata
        if step and step.op not in ("same", "read") and step.type.startswith("kubernetes:"):
            seen.add(step.urn.rpartition("::")[2])

    stack.preview(on_event=note)
    return seen


def test_adding_a_host_changes_its_own_objects_and_disturbs_nobody(many: Many) -> None:
    more = {**HOSTS, "news": {"domain": "news.target.test", "clients": ["client"]}}
    configure(many.stack, hosts=more)
    names = changed(many.stack)
    assert names
    assert all(name.startswith(("target-news-", "client-client.news-")) for name in names), names
    running = load(many, httpbin="client", orders="client2", forms="client")
    with running.running():
        many.up()
        eventually(lambda: many.lab.status("many", "http://news.target.test/headers") == "200", "it is served")
        many.up(hosts=HOSTS)
    assert not running.failures
    assert running.sent > 50


def test_revoking_a_client_takes_effect_on_open_connections_and_disturbs_nobody(many: Many) -> None:
    running = load(many, httpbin="client", forms="client")
    credential = many.credential("client2")
    with open_connection(many.endpoint("httpbin"), credential) as ask, running.running():
        assert ask() == 200
        many.up(hosts={**HOSTS, "httpbin": {**HOSTS["httpbin"], "clients": ["client"]}})
        eventually(lambda: ask() != 200, "the open connection is refused, or ended")
        assert many.status("httpbin", credential) == 403
        names = {name for name in many.lab.objects("client2") if "httpbin" in name}
        assert not names, "its way to the host is gone as well"
        many.up(hosts=HOSTS)
        eventually(lambda: many.status("httpbin", credential) == 200, "admitted again")
    assert not running.failures


def test_removing_a_client_disturbs_nobody(many: Many) -> None:
    fewer = {name: client for name, client in CLIENTS.items() if name != "client2"}
    hosts = {
        name: {**host, "clients": [client for client in host["clients"] if client != "client2"]}
        for name, host in HOSTS.items()
    }
    running = load(many, httpbin="client", forms="client")
    with running.running():
        many.up(clients=fewer, hosts=hosts)
    assert not running.failures
    assert many.lab.objects("client2") == many.before["client2"], "nothing of the stack is left in its cluster"
    many.up(clients=CLIENTS, hosts=HOSTS)


def test_destroy_leaves_the_clusters_as_they_were_found(many: Many) -> None:
    many.stack.destroy()
    for cluster, before in many.before.items():
        assert many.lab.objects(cluster) == before, cluster
