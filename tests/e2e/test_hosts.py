"""Many hosts, clients and partners in one stack: who reaches what, and that a change of one disturbs no other."""

import http.client
import json
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from pulumi import automation

from tests.e2e.support.commands import MANIFESTS
from tests.e2e.support.lab import CLUSTERS, Lab
from tests.e2e.support.many import ACME, ACME_CA, CLIENTS, DHL, HOSTS, OTHER_CA, PARTNER_CA, partner
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, Stack, configure, refusal
from tests.e2e.support.traffic import Load, caller, expect_status, open_connection, status_or_none
from tests.e2e.support.waiting import eventually, together
from tests.unit.pki import Holder, issue
from verification.tls import ClientCredential

FORGED = issue("acme", ACME_CA, uris=("spiffe://kyma-mtls/many/client/client",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
WITHIN_A_NAME = [
    issue("dhl", OTHER_CA, hosts=("evil;DNS=client.dhl.example",), usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    issue("dhl", OTHER_CA, uris=("spiffe://x;DNS=client.dhl.example",), usage=ExtendedKeyUsageOID.CLIENT_AUTH),
]
BESIDE_A_WILDCARD = issue(
    "dhl", OTHER_CA, hosts=("*.dhl.example", "x;DNS=client.dhl.example"), usage=ExtendedKeyUsageOID.CLIENT_AUTH
)
MORE_HOSTS = {**HOSTS, "news": {"domain": "news.target.test", "clients": ["client"]}}
OUTSIDE = "http://www.internet.test/"
# It never runs: what counts is what it consists of.
BARE_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "bare",
        "namespace": "shop",
        "labels": {"app": "orders", "sidecar.istio.io/inject": "false"},
    },
    "spec": {"schedulerName": "none", "containers": [{"name": "bare", "image": "lab.local/httpbin:lab"}]},
}


@dataclass
class Many(Deployed):
    """The deployed stack, and each cluster's objects from before."""

    before: dict[str, set[str]] = field(kw_only=True)

    def expect(self, host: str, credential: ClientCredential, status: int, *request: str) -> None:
        """Wait until a credential gets this status; the request is a path and a method."""
        expect_status(self.endpoint(host), credential, status, *request)


def held(holder: Holder) -> ClientCredential:
    return ClientCredential(holder.pem.encode(), holder.key_pem.encode())


@pytest.fixture(scope="module")
def services(lab: Lab) -> Iterator[None]:
    """The namespaces of others whom the stack serves and calls for."""
    with lab.namespaces(("target", "shop"), ("client2", "logistics")):
        yield


@pytest.fixture(scope="module")
def many(
    lab: Lab,
    project: Project,
    services: None,  # noqa: ARG001 - which it serves
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Many]:
    stack = project.stack("many", namespace="many", clients=CLIENTS, hosts=HOSTS)
    deployed = Many(stack, lab=lab, before=lab.inventory(*CLUSTERS))
    with partner(tmp_path_factory.mktemp("partner")):
        try:
            deployed.up()
            yield deployed
        finally:
            deployed.destroy()


def test_verification_keeps_every_promise_of_every_host_and_client(project: Project, many: Many) -> None:
    project.expect_verified(many.stack, " 0 failed")


@pytest.mark.parametrize(
    ("host", "client", "status"),
    [
        ("httpbin", "client", 200),
        ("httpbin", "client2", 200),
        ("forms", "client", 200),
        ("orders", "client", 403),
        ("orders", "client2", 200),
    ],
)
def test_host_admits_its_own_clients_alone(many: Many, host: str, client: str, status: int) -> None:
    many.expect(host, many.credential(client), status)


def test_partners_client_reaches_the_hosts_that_admit_it_alone(many: Many) -> None:
    many.expect("orders", held(ACME), 200)
    many.expect("forms", held(DHL), 200)
    for host in ("httpbin", "forms"):
        refused = many.endpoint(host).alert(held(ACME), ssl.TLSVersion.TLSv1_2)
        assert refused, "another host does not even trust its CA"


def test_partner_cannot_show_the_identity_of_another_client(many: Many) -> None:
    many.expect("orders", held(FORGED), 403)
    refused = many.endpoint("httpbin").alert(held(FORGED), ssl.TLSVersion.TLSv1_2)
    assert refused, "where that identity is admitted, the CA is not trusted"


def test_host_of_a_dns_identity_admits_no_name_within_another_name(many: Many) -> None:
    many.expect("forms", held(DHL), 200)
    for refused in (*map(held, WITHIN_A_NAME), many.credential("client2")):
        assert many.endpoint("forms").alert(refused, ssl.TLSVersion.TLSv1_2), "its CA is trusted, but none of its names"
    many.expect("forms", held(BESIDE_A_WILDCARD), 403)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/anything/a%20b?x=%2f", 200),
        *(
            (f"/anything/{end}", 403)
            for end in ("..%2fip", "..%5Cip", "%252e%252e/ip", "..;/ip", "%2e%2e;/ip", "%2e%2e/ip")
        ),
    ],
)
def test_path_that_a_server_may_read_otherwise_is_refused(many: Many, path: str, status: int) -> None:
    many.expect("forms", many.credential("client"), status, path)


def test_methods_and_paths_are_the_named_ones(many: Many) -> None:
    credential = many.credential("client")
    many.expect("forms", credential, 200, "/anything/x", "POST")
    many.expect("forms", credential, 403, "/ip")
    many.expect("forms", credential, 403, "/anything/x", "DELETE")
    many.expect("httpbin", credential, 403, "/anything", "POST")


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


def answered(host: str, **answers: str) -> dict[str, Any]:
    """Return the hosts, with what the partner answered to the requests of clients for one of them."""
    given = HOSTS[host]["external"]
    credentials = given["credentials"] | {client: {"certificate": answer} for client, answer in answers.items()}
    return {**HOSTS, host: {**HOSTS[host], "external": {**given, "credentials": credentials}}}


def test_partners_answer_to_another_request_is_refused(many: Many) -> None:
    other = issue("other", PARTNER_CA, uris=("spiffe://x.example/y",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    configure(many.stack, hosts=answered("api", client2=other.pem))
    said = refusal(many.stack.preview)
    configure(many.stack, hosts=HOSTS)
    assert "credentials.client2.certificate: not for" in said, said
    assert "Traceback" not in said, said


def test_namespaces_of_others_are_left_as_they_are(many: Many) -> None:
    for cluster, namespace in (("target", "shop"), ("client2", "logistics")):
        before = {name for name in many.before[cluster] if f" {namespace} " in name}
        assert {name for name in many.lab.objects(cluster) if f" {namespace} " in name} == before


def test_istioctl_finds_nothing_to_complain_about(many: Many) -> None:
    together(lambda cluster: many.lab.expect_no_complaint(cluster, "many"), CLUSTERS)


def test_target_alone_serves_a_partners_client_and_client_alone_calls_a_partners_host(
    project: Project, many: Many
) -> None:
    """Two stacks side by side: one has no client cluster, the other no target."""
    served = {"solo": {"domain": "solo.target.test", "clients": ["acme"]}}
    called = {"solo": {"domain": "solo.internet.test", "external": HOSTS["api"]["external"]}}
    with (
        project.deployment("serving", clients={"acme": CLIENTS["acme"]}, hosts=served) as serving,
        project.deployment(
            "calling", namespace="calling", clients={"client": CLIENTS["client"]}, hosts=called
        ) as calling,
    ):
        calling.stack.remove_config("kyma-mtls:target")
        together(Deployed.up, (serving, calling))
        endpoint = serving.endpoint("solo")
        expect_status(endpoint, held(ACME), 200)
        assert endpoint.alert(many.credential("client"), ssl.TLSVersion.TLSv1_2), "another stack's client is not"
        seen = (0, "URI:spiffe://partner.example/us")
        url = "http://solo.internet.test/"
        eventually(lambda: many.lab.curl("calling", url) == seen, "the partner sees the given identity")
        project.expect_working(serving.stack, calling.stack)
        together(Deployed.destroy, (serving, calling))


def test_another_namespace_cannot_publish_or_take_over_a_host(many: Many) -> None:
    manifest = str(MANIFESTS / "open_doors.yaml")
    many.lab.kubectl("target", "apply", "-f", manifest)
    try:
        eventually(
            lambda: plain(many.lab.ingress, "open.target.test")[0] == 200, "the other namespace's route is there"
        )
        assert plain(many.lab.ingress, "httpbin.target.test") == (403, "RBAC: access denied")
        assert plain(many.lab.ingress, "HTTPBIN.target.test:80") == (403, "RBAC: access denied")
        many.expect("httpbin", many.credential("client"), 200)  # not 418: the longer prefix is not bound
    finally:
        many.lab.kubectl("target", "delete", "-f", manifest)


def plain(address: str, host: str) -> tuple[int, str]:
    """Status and body of plain HTTP at the ingress gateway; 0 while nothing listens."""
    try:
        with closing(http.client.HTTPConnection(address, 80, timeout=10)) as connection:
            connection.request("GET", "/headers", headers={"Host": host})
            response = connection.getresponse()
            return response.status, response.read().decode()
    except OSError:
        return 0, ""


@contextmanager
def load(many: Many, **pairs: str) -> Iterator[Load]:
    """Run a load on hosts, each with the credential of a client, and on one from a caller's Pod."""
    credentials = {client: many.credential(client) for client in set(pairs.values())}

    def request(host: str, client: str) -> bool:
        return status_or_none(many.endpoint(host), credentials[client]) == 200

    requests: dict[str, Callable[[], bool]] = {
        f"{host} by {client}": lambda host=host, client=client: request(host, client)  # type: ignore[misc]
        for host, client in pairs.items()
    }
    with caller(many.lab, "many", "http://httpbin.target.test/headers") as from_pod:
        load = Load(requests | {"httpbin from the Pod": from_pod}, pause=0.1)
        with load.running():
            yield load


def previewed(stack: Stack) -> tuple[str, set[str]]:
    """Return what a preview prints, and the names of the resources that it would change."""
    seen: set[str] = set()

    def note(event: automation.events.EngineEvent) -> None:
        step = event.resource_pre_event and event.resource_pre_event.metadata
        if step and step.op not in ("same", "read"):
            seen.add(step.urn.rpartition("::")[2])

    return stack.preview(on_event=note).stdout, seen


def status_inside(many: Many, url: str) -> str:
    """Return the status that the declared caller of the second client gets."""
    return many.lab.status("logistics", url, cluster="client2", pod="dispatcher")


def health(many: Many, namespace: str, app: str) -> str:
    """Return the URL at which the proxy of a Pod in the second client's cluster says that it is ready."""
    found = many.lab.kubectl("client2", "-n", namespace, "get", "pods", "-l", f"app={app}", "-o", "json")
    return f"http://{json.loads(found)['items'][0]['status']['podIP']}:15021/healthz/ready"


def test_preview_of_a_new_host_has_its_own_objects_alone_and_warns_of_a_pod_without_a_sidecar(many: Many) -> None:
    many.lab.apply("target", BARE_POD)
    try:
        configure(many.stack, hosts=MORE_HOSTS)
        printed, names = previewed(many.stack)
    finally:
        many.lab.kubectl("target", "-n", "shop", "delete", "pod", "bare", "--now")
        configure(many.stack, hosts=HOSTS)
    assert names
    own = re.compile(r"(target-|client-client2?\.|certificates-host-)news([-.].*)?")
    assert all(own.fullmatch(name) for name in names), names
    behind = f"cluster {many.lab.server('target')} has no sidecars in Pods behind Service shop/orders: bare"
    assert f"warning: kyma-mtls:hosts.orders.service: {behind}" in printed, printed


def test_adding_and_removing_a_host_and_closing_a_namespace_interrupts_no_request(many: Many) -> None:
    """Close the second client's namespace, and bring a partner's answer, by the update that removes the host again."""
    request = many.outputs["signingRequests"]["api"]["client2"]
    assert set(many.outputs["signingRequests"]) == {"api"}
    assert set(many.outputs["signingRequests"]["api"]) == {"client2"}, "a given credential needs no request"
    eventually(lambda: status_inside(many, OUTSIDE) == "200", "the namespace is open, as its owner left it")
    reach = {"networkPolicy": "callers", "allowedDestinations": ["istio-system:15021"]}
    closed = {**CLIENTS, "client2": {**CLIENTS["client2"], **reach}}
    with load(many, httpbin="client", orders="client2", forms="client") as running:
        many.up(hosts=MORE_HOSTS)
        eventually(lambda: many.lab.status("many", "http://news.target.test/headers") == "200", "it is served")
        many.up(clients=closed, hosts=answered("api", client2=PARTNER_CA.sign(request)))
        eventually(lambda: running.sent > 50, "the load is one")
    assert not running.failures
    eventually(lambda: status_inside(many, OUTSIDE) == "503", "the sidecar cannot connect any more")
    assert "will close in Pods of namespace logistics that are no callers, 1 in all: stranger-" in many.printed
    for inside in (health(many, "logistics", "stranger"), health(many, "istio-system", "istio-egressgateway")):
        eventually(lambda url=inside: status_inside(many, url) == "200", f"{inside} is its own, or allowed")  # type: ignore[misc]
    host = "http://httpbin.target.test/headers"
    eventually(lambda: status_inside(many, host) == "200", "the way through the egress gateway is open")
    asked = ("logistics", "http://api.internet.test/")
    seen = (0, "URI:spiffe://kyma-mtls/many/client/client2")
    eventually(
        lambda: many.lab.curl(*asked, cluster="client2", pod="dispatcher") == seen,
        "the partner sees the identity that it signed",
    )


def test_revoking_and_removing_a_client_takes_effect_at_once_and_interrupts_no_request(many: Many) -> None:
    """Open the client's namespace again first, by the update that revokes its admission to a host."""
    fewer = {name: client for name, client in CLIENTS.items() if name != "client2"}
    others = {
        name: {**host, "clients": [client for client in host["clients"] if client != "client2"]}
        for name, host in HOSTS.items()
    }
    credential = many.credential("client2")
    with (
        open_connection(many.endpoint("httpbin"), credential) as ask,
        load(many, httpbin="client", forms="client") as running,
    ):
        assert ask() == 200
        many.up(clients=CLIENTS, hosts={**HOSTS, "httpbin": others["httpbin"]})
        eventually(lambda: ask() != 200, "the open connection is refused, or ended")
        many.expect("httpbin", credential, 403)
        names = {name for name in many.lab.objects("client2") if "httpbin" in name}
        assert names == {
            "ServiceEntry many httpbin",
            "VirtualService many direct-httpbin-through-egress-gateway",
        }, "its way to the host is gone as well, and its sidecars refuse"
        many.expect("orders", credential, 200)  # another host admits it still
        eventually(lambda: status_inside(many, OUTSIDE) == "200", "no policy closes its namespace any more")
        many.up(clients=fewer, hosts=others)
        assert many.lab.objects("client2") == many.before["client2"], "nothing of the stack is left in its cluster"
        many.up(clients=CLIENTS, hosts=HOSTS)
        many.expect("httpbin", many.credential("client2"), 200)
    assert not running.failures


def test_client_is_revoked_while_its_cluster_is_away(many: Many) -> None:
    """The destroy that follows shows that the state has kept what the stack has there."""
    there = many.lab.objects("client2")
    away = {**CLIENTS, "client2": {**CLIENTS["client2"], "kubeconfig": "gone.kubeconfig", "away": True}}
    many.up(clients=away, hosts={**HOSTS, "httpbin": {**HOSTS["httpbin"], "clients": ["client"]}})
    assert "kyma-mtls:clients.client2.away: true: its cluster is not asked" in many.printed
    many.expect("httpbin", many.credential("client2"), 403)
    assert many.lab.objects("client2") == there


def test_destroy_leaves_the_clusters_as_they_were_found(many: Many) -> None:
    many.destroy()
    many.lab.expect_as_before(many.before)
