"""How clusters are reached, and what must be true of them; against HTTP servers in the place of API servers."""

import base64
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import clusters
from clusters import Clusters
from components.ownership import OWNER_LABEL
from settings import ClusterAccess, ConfigError
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.config import read
from tests.unit.facts import EGRESS, INGRESS, ISTIOCTL_EGRESS, ISTIODS, KUBE_DNS, WEBHOOKS, injector, istio
from tests.unit.fakes import KUBE_SYSTEM, Answer, api_server, discovery, fake_cluster, kube_system
from tests.unit.pki import issue

GATEWAYS = "/apis/networking.istio.io/v1/gateways"
API_RULES = "/apis/gateway.kyma-project.io/v2/apirules"
VIRTUAL_SERVICES = "/apis/networking.istio.io/v1/virtualservices"
SERVICE_ENTRIES = "/apis/networking.istio.io/v1/serviceentries"
ISTIO_CONFIG = "/api/v1/namespaces/istio-system/configmaps/istio"
ISTIO_KIND = "/apis/operator.kyma-project.io/v1alpha2"
ISTIO_CR = f"{ISTIO_KIND}/namespaces/kyma-system/istios/default"
ORDERS = "/api/v1/namespaces/shop/services/orders"
ORDERS_PODS = "/api/v1/namespaces/shop/pods?labelSelector=app%3Dorders"
PARTNER = issue("partner")
OURS = "0a1b"
SECRET = "s3cr3t"  # noqa: S105 - what no message may hold

Serve = Callable[[dict[str, Any]], str]
Reach = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server, which ends with the test, and returns its URL."""
    with ExitStack() as servers:
        yield lambda answers: servers.enter_context(api_server(answers))


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    """Fails to connect by a kubeconfig with some user; gives the error."""

    def run(server: str, context: str = "", **user: Any) -> str:
        path = write_kubeconfig(tmp_path / "config", server, contexts=("one", "two"), user={"token": SECRET} | user)
        with pytest.raises(ConfigError) as caught:
            clusters.connect(ClusterAccess(path="target", kubeconfig=path, context=context))
        return str(caught.value)

    return run


def test_cluster_is_known_by_its_uid_and_reached_by_what_its_kubeconfig_held(tmp_path: Path, serve: Serve) -> None:
    url = serve(kube_system("uid-1"))
    path = write_kubeconfig(tmp_path / "config", url, contexts=("one", "two"), user={"token": SECRET})
    cluster = clusters.connect(ClusterAccess(path="target", kubeconfig=path, context="two"))
    assert (cluster.uid, cluster.host) == ("uid-1", url)
    assert '"current-context": "two"' in cluster.kubeconfig
    assert SECRET in cluster.kubeconfig
    assert SECRET not in repr(cluster), "logs and tracebacks would show it"


def test_cluster_that_does_not_answer_is_named_by_the_key_that_chose_it(reach: Reach) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{closed.getsockname()[1]}"
    refused = f"cluster {server} does not answer: [Errno 111] Connection refused"
    assert reach(server) == f"kyma-mtls:target.kubeconfig: {refused}"
    assert reach(server, "two") == f"kyma-mtls:target.context: {refused}"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(b"<html>Sign in</html>"), f"answers {KUBE_SYSTEM} with something that is no JSON object"),
        (Answer(b"[1, 2]"), f"answers {KUBE_SYSTEM} with something that is no JSON object"),
        (Answer(b"\xff\xfe"), f"answers {KUBE_SYSTEM} with something that is no JSON object"),
        (Answer(b"{}", 404), "answers like no Kubernetes API server: it has no namespace kube-system"),
        (Answer(b'{"metadata": []}'), "answers like no Kubernetes API server: it has no namespace kube-system"),
        (Answer(b"{}", 401), f"refuses GET {KUBE_SYSTEM}: 401 Unauthorized"),
        (Answer(b"{}", 403), f"refuses GET {KUBE_SYSTEM}: 403 Forbidden"),
        (Answer(b"oops", 500), f"refuses GET {KUBE_SYSTEM}: 500 Internal Server Error"),
    ],
    ids=["html", "list", "no-text", "404", "no-uid", "401", "403", "500"],
)
def test_server_that_answers_otherwise_is_told(reach: Reach, serve: Serve, answer: Answer, message: str) -> None:
    server = serve({KUBE_SYSTEM: answer})
    assert reach(server) == f"kyma-mtls:target.kubeconfig: cluster {server} {message}"


RESET = Answer(b"", status=0)


@pytest.mark.parametrize("passing", [RESET, Answer(b"{}", 429), Answer(b"{}", 503)], ids=["reset", "429", "503"])
def test_what_passes_by_itself_is_asked_for_once_more(tmp_path: Path, serve: Serve, passing: Answer) -> None:
    answers = {KUBE_SYSTEM: [passing, *kube_system("uid").values()]}
    path = write_kubeconfig(tmp_path / "config", serve(answers), user={"token": SECRET})
    cluster = clusters.connect(ClusterAccess(path="target", kubeconfig=path, context=""))
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
        {"client-certificate-data": SECRET, "client-key-data": SECRET},
        {"client-key-data": base64.b64encode(SECRET.encode()).decode()},
        {"token": f"{SECRET}\nX-Other: header"},
        {"token": f"{SECRET}\n"},
        {"token": f"{SECRET}\N{SNOWMAN}"},
        {"token": [SECRET]},
        {"token": None, "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}},
        {"token": None, "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-command"}},
        {"token": None, "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "echo", "args": [SECRET]}},
        {"token": None, "username": SECRET, "password": None},
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
def test_no_message_holds_a_key_or_a_token(reach: Reach, serve: Serve, user: dict[str, Any]) -> None:
    for server in (serve({}), "https://127.0.0.1:1"):
        message = reach(server, **user)
        assert message.startswith("kyma-mtls:target.kubeconfig: ")
        assert SECRET not in message
        assert "\n" not in message


PEM_OF_NOTHING = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").decode()


@pytest.mark.parametrize("data", ["no base64", "Q0E=", PEM_OF_NOTHING, 7, ["a"]])
def test_certificate_authority_that_is_none_is_told_in_one_line(tmp_path: Path, data: Any) -> None:
    cluster = {"certificate-authority-data": data}
    path = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1", cluster=cluster, user={"token": SECRET})
    with pytest.raises(ConfigError, match=r"^kyma-mtls:target\.kubeconfig: [^\n]*$"):
        clusters.connect(ClusterAccess(path="target", kubeconfig=path, context=""))


def test_token_file_may_end_with_a_newline(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    path = write_kubeconfig(tmp_path / "config", serve(kube_system("uid")), user={"tokenFile": "token"})
    assert clusters.connect(ClusterAccess(path="target", kubeconfig=path, context="")).uid == "uid"


def test_path_of_an_object_is_what_the_cluster_says_of_its_kind() -> None:
    cluster = fake_cluster()
    assert cluster.path("v1", "Namespace", "", "mtls") == "/api/v1/namespaces/mtls"
    gateway = cluster.path("networking.istio.io/v1", "Gateway", "mtls", "a")
    assert gateway == "/apis/networking.istio.io/v1/namespaces/mtls/gateways/a"
    assert cluster.path("v1", "Unheard", "mtls", "a") is None
    assert cluster.path("unheard.example/v1", "Secret", "mtls", "a") is None


def test_metadata_is_that_of_the_object_or_nothing(tmp_path: Path, serve: Serve) -> None:
    secret = {"/api/v1/namespaces/a/secrets/b": {"metadata": {"name": "b"}}}
    path = write_kubeconfig(tmp_path / "config", serve(kube_system("uid") | discovery() | secret))
    cluster = clusters.connect(ClusterAccess(path="target", kubeconfig=path, context=""))
    assert cluster.metadata("v1", "Secret", "a", "b") == {"name": "b"}
    assert cluster.metadata("v1", "Secret", "a", "c") is None
    assert cluster.metadata("v1", "Unheard", "a", "b") is None


def test_object_without_metadata_is_told(tmp_path: Path, serve: Serve) -> None:
    secret = {"/api/v1/namespaces/a/secrets/b": {"kind": "Status"}}
    path = write_kubeconfig(tmp_path / "config", serve(kube_system("uid") | discovery() | secret))
    cluster = clusters.connect(ClusterAccess(path="target", kubeconfig=path, context=""))
    with pytest.raises(ConfigError, match=r"with something that has no metadata$"):
        cluster.metadata("v1", "Secret", "a", "b")


def gateway(selector: dict[str, str], *servers: tuple[str, str], name: str = "raw") -> dict[str, Any]:
    """Return a Gateway with servers of a protocol and mode."""
    listed = [{"port": {"number": 443, "protocol": it}, "tls": {"mode": mode}} for it, mode in servers]
    return {"metadata": {"namespace": "others", "name": name}, "spec": {"selector": selector, "servers": listed}}


def whole(uid: str, **changed: Any) -> dict[str, Any]:
    """Return a cluster that has all that a stack on platform istio needs."""
    answers = {
        "/apis": {"groups": [{"name": "networking.istio.io"}]},
        GATEWAYS: {"items": []},
    }
    return {**kube_system(uid), **istio(), **answers, **changed}


@pytest.fixture
def check(tmp_path: Path, serve: Serve) -> Callable[..., Clusters]:
    """Return a function that checks a target and a client with the given objects against a config."""

    def run(target: dict[str, Any], client: dict[str, Any], /, owner: str | None = None, **config: Any) -> Clusters:
        paths = {
            name: write_kubeconfig(tmp_path / name, serve(answers), user={"token": SECRET})
            for name, answers in (("target", target), ("client", client))
        }
        values: dict[str, Any] = {
            "platform": "istio",
            "target": {"kubeconfig": paths["target"]} | config.pop("target", {}),
            "clients": {"caller": {"kubeconfig": paths["client"]} | config.pop("client", {})},
        }
        return clusters.check(read(**(values | config)), owner)

    return run


Check = Callable[..., Clusters]


def problems(check: Check, *arguments: Any, **config: Any) -> list[str]:
    """Return the lines of the error that a check raises, without the servers' ports."""
    with pytest.raises(ConfigError) as caught:
        check(*arguments, **config)
    assert SECRET not in str(caught.value)
    lines = str(caught.value).removeprefix("kyma-mtls:").split("\nkyma-mtls:")
    return [" ".join(word for word in line.split(" ") if "127.0.0.1" not in word) for line in lines]


def test_clusters_that_have_everything_are_given(check: Check) -> None:
    found = check(whole("uid-1"), whole("uid-2"))
    assert {path: cluster.uid for path, cluster in found.all.items()} == {"target": "uid-1", "clients.caller": "uid-2"}
    assert found.target is found.all["target"]
    assert found.clients["caller"] is found.all["clients.caller"]


def test_clients_without_a_target_are_checked_alone(tmp_path: Path, serve: Serve) -> None:
    path = write_kubeconfig(tmp_path / "client", serve(whole("uid")))
    settings = read(platform="istio", clients={"caller": {"kubeconfig": path}})
    found = clusters.check(settings.model_copy(update={"target": None, "hosts": {}}))
    assert list(found.all) == ["clients.caller"]


@pytest.mark.parametrize("groups", [{"groups": []}, {"groups": None}, {}, Answer(b"{}", 404)])
def test_problems_of_all_clusters_are_told_at_once(check: Check, groups: Any) -> None:
    bare = {"/apis": groups}
    assert problems(check, whole("uid-1", **bare), whole("uid-2", **bare)) == [
        "target.kubeconfig: cluster has no Istio; install it (on Kyma: add the Istio module)",
        "clients.caller.kubeconfig: cluster has no Istio; install it (on Kyma: add the Istio module)",
    ]
    assert len(problems(check, {KUBE_SYSTEM: Answer(b"[]")}, {})) == 2


def test_one_cluster_is_not_two(check: Check) -> None:
    (line,) = problems(check, whole("uid"), whole("uid"))
    assert line == "clients.caller.kubeconfig: cluster is that of target, too; each needs a cluster of its own"


def test_kyma_needs_its_modules_but_no_egress_gateway_beforehand(check: Check) -> None:
    names = ["networking.istio.io", "operator.kyma-project.io", "gateway.kyma-project.io"]
    groups = {"/apis": {"groups": [{"name": name} for name in names]}}
    module = {
        ISTIO_KIND: {"resources": [{"kind": "Istio", "name": "istios", "namespaced": True}]},
        ISTIO_CR: {"metadata": {}},
    }
    target, client = whole("uid-1", **groups), whole("uid-2", **groups, **module)
    del client[EGRESS]
    assert check(target, client, platform="kyma").target
    lacks = "clients.caller.kubeconfig: cluster has no Kyma Istio module (no Istio kyma-system/default); add it, or "
    for missing in (ISTIO_CR, ISTIO_KIND):
        del client[missing]
        assert problems(check, whole("uid-1"), client, platform="kyma") == [
            "target.kubeconfig: cluster has no Kyma API Gateway module; add it, or set platform to istio",
            lacks + "set platform to istio",
        ], "the API Gateway module has the same API group"


def test_clusters_tell_what_they_offer(check: Check) -> None:
    offers = check(whole("uid-1"), whole("uid-2")).offers
    assert offers["target"].gateway.name == "istio-system/istio-ingressgateway"
    client = offers["clients.caller"]
    assert client.gateway == ISTIOCTL_EGRESS
    assert client.injection == {"istio-injection": "enabled"}
    assert [each.addresses for each in client.allowed_destinations] == [("10.0.0.10/32",), (), ()]
    assert client.allowed_destinations[-1] == ISTIODS
    assert not client.logs_elsewhere


def test_offer_follows_the_config(check: Check) -> None:
    logs = {ISTIO_CONFIG: {"data": {"mesh": "accessLogFile: /dev/stdout"}}}
    canary = istio(injector(), injector("canary"))
    client = whole("uid-2", **canary, **logs)
    del client[KUBE_DNS]
    wanted = {"revision": "canary", "networkPolicy": "none"}
    offer = check(whole("uid-1"), client, client=wanted).offers["clients.caller"]
    assert offer.injection == {"istio.io/rev": "canary"}
    assert offer.allowed_destinations == (), (
        "no policy asks for them: a cluster without DNS is none of the stack's business"
    )
    assert offer.logs_elsewhere


def test_all_that_one_cluster_lacks_is_told_at_once(check: Check) -> None:
    client = whole("uid-2")
    del client[KUBE_DNS], client[EGRESS]
    keys = [line.partition(":")[0] for line in problems(check, whole("uid-1"), client, client={"revision": "canary"})]
    assert keys == [f"clients.caller.{key}" for key in ("egressGateway", "dns", "revision")]


def claiming(kind: str, owner: str = "", name: str = "httpbin", **spec: Any) -> dict[str, Any]:
    """Return a list with an object that has the host of the smallest config."""
    labels = {OWNER_LABEL: owner} if owner else {}
    spec = {"hosts": ["httpbin.example.com"], **spec}
    return {kind: {"items": [{"metadata": {"namespace": "shop", "name": name, "labels": labels}, "spec": spec}]}}


def test_names_are_judged_in_all_clusters_beside_everything_else(check: Check) -> None:
    target = whole("uid-1", **claiming(API_RULES))
    client = whole("uid-2", **claiming(SERVICE_ENTRIES, owner="0a1b"))
    del client[KUBE_DNS]
    taken = "hosts.httpbin.domain: cluster has httpbin.example.com already, in {}; choose another one, or remove what "
    assert problems(check, target, client, gatewayMode="selfSigned")[:3] == [
        "gatewayDomain: cluster reaches its ingress gateway by no address; set a domain",
        taken.format("APIRule shop/httpbin") + "has it",
        taken.format("ServiceEntry shop/httpbin of another stack") + "has it",
    ]
    assert len(problems(check, target, client, gatewayMode="selfSigned")) == 4


def test_stack_knows_by_its_mark_what_it_has(check: Check) -> None:
    own = whole("uid-2", **claiming(SERVICE_ENTRIES, owner="0a1b"))
    assert check(whole("uid-1"), own, owner="0a1b").warnings == ()
    later = claiming(SERVICE_ENTRIES, owner="0a1b")
    later[SERVICE_ENTRIES]["items"] += claiming(SERVICE_ENTRIES)[SERVICE_ENTRIES]["items"]
    later[SERVICE_ENTRIES]["items"][-1]["metadata"]["name"] = "later"
    (line,) = check(whole("uid-1"), whole("uid-2", **later), owner="0a1b").warnings
    assert "in ServiceEntry shop/later; " in line


def test_gateways_have_to_be_there(check: Check) -> None:
    target, client = whole("uid-1"), whole("uid-2")
    del target[INGRESS], client[EGRESS]
    assert problems(check, target, client) == [
        "target.ingressGateway: cluster has no Service istio-system/istio-ingressgateway",
        "clients.caller.egressGateway: cluster has no Service istio-system/istio-egressgateway",
    ]


@pytest.mark.parametrize(
    ("found", "in_the_way"),
    [
        (gateway({"istio": "ingressgateway"}, ("TLS", "PASSTHROUGH")), True),
        (gateway({"app": "istio-ingressgateway"}, ("TCP", "SIMPLE")), True),
        (gateway({"istio": "ingressgateway", "app": "istio-ingressgateway"}, ("HTTPS", "AUTO_PASSTHROUGH")), True),
        (gateway({}, ("HTTPS", "SIMPLE"), ("mongo", "")), True),
        (gateway({"istio": "ingressgateway"}, ("HTTPS", "SIMPLE"), ("HTTP", "")), False),
        (gateway({"istio": "another"}, ("TLS", "PASSTHROUGH")), False),
        (gateway({"istio": "ingressgateway", "more": "labels"}, ("TLS", "PASSTHROUGH")), False),
        ({"metadata": {"namespace": "others", "name": "none"}}, False),
    ],
    ids=[
        "passthrough",
        "tcp",
        "auto-passthrough",
        "any-gateway",
        "terminated",
        "another-gateway",
        "more-labels",
        "bare",
    ],
)
def test_gateway_that_passes_through_what_a_policy_would_end_is_told(
    check: Check, found: dict[str, Any], in_the_way: bool
) -> None:
    target = whole("uid-1", **{GATEWAYS: {"items": [found]}})
    if in_the_way:
        assert problems(check, target, whole("uid-2")) == [
            "target.gatewayPassthrough: cluster passes TLS or TCP by Gateway others/raw, without looking at a host, "
            "through istio-ingressgateway; a policy of this stack would end that; set this to true, or move them to "
            "another one"
        ]
        assert check(target, whole("uid-3"), target={"gatewayPassthrough": True}).target
    else:
        assert check(target, whole("uid-2")).target


def test_egress_gateways_that_pass_through_are_told_by_name(check: Check) -> None:
    raw = [gateway({"istio": "egressgateway"}, ("TLS", "PASSTHROUGH"), name=name) for name in ("b", "a")]
    client = whole("uid-2", **{GATEWAYS: {"items": raw}})
    (line,) = problems(check, whole("uid-1"), client)
    assert line.startswith(
        "clients.caller.gatewayPassthrough: cluster passes TLS or TCP by Gateway others/a, others/b, without looking "
        "at a host, through istio-egressgateway; "
    )
    assert check(whole("uid-1"), client, client={"gatewayPassthrough": True}).clients


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "server", [("TCP", "MUTUAL"), ("TLS", "ISTIO_MUTUAL"), ("TLS", "OPTIONAL_MUTUAL"), ("mysql", "MUTUAL")]
)
def test_gateway_that_sees_principals_without_hosts_is_refused_whatever_the_config_allows(
    check: Check, server: tuple[str, str], allowed: bool
) -> None:
    found = [
        gateway({"istio": "ingressgateway"}, server, ("TLS", "PASSTHROUGH")),
        gateway({"istio": "ingressgateway"}, ("TCP", "SIMPLE"), name="simple"),
    ]
    target = whole("uid-1", **{GATEWAYS: {"items": found}})
    assert problems(check, target, whole("uid-2"), target={"gatewayPassthrough": allowed}) == [
        "target.kubeconfig: cluster serves TCP with client certificates by Gateway others/raw, without looking at a "
        "host, through istio-ingressgateway; a policy of this stack would end that; move them elsewhere"
    ]


@pytest.mark.parametrize("server", [("TCP", "SIMPLE"), ("TCP", ""), ("TLS", "PASSTHROUGH")])
def test_other_servers_are_accepted_where_the_config_allows_them(check: Check, server: tuple[str, str]) -> None:
    items = {"items": [gateway({"istio": "ingressgateway"}, server, ("HTTPS", "MUTUAL"))]}
    target = whole("uid-1", **{GATEWAYS: items})
    assert check(target, whole("uid-2"), target={"gatewayPassthrough": True}).target


def mesh(mode: str) -> dict[str, Any]:
    """Istio's config, with what gateways do with the header that tells of a client certificate."""
    topology = {"gatewayTopology": {"forwardClientCertDetails": mode}} if mode else {}
    return {ISTIO_CONFIG: {"data": {"mesh": json.dumps({"defaultConfig": topology})}}}


def check_partner(check: Check, mesh: dict[str, Any], identity: str, **host: Any) -> Clusters:
    """Check a target with this config of Istio, for a host that admits a partner's client."""
    partner = {"certificateAuthority": PARTNER.pem, "identity": identity}
    hosts = {"httpbin": {"domain": "httpbin.example.com", "clients": ["partner"]} | host}
    return check(whole("uid-1", **mesh), whole("uid-2"), clients={"partner": partner}, hosts=hosts)


@pytest.mark.parametrize("mode", ["FORWARD_ONLY", "ALWAYS_FORWARD_ONLY"])
def test_dns_name_that_callers_could_claim_is_refused(check: Check, mode: str) -> None:
    def run(*_: Any) -> Clusters:
        return check_partner(check, mesh(mode), "dns:partner.example")

    (line,) = problems(run)
    assert line.startswith("clients.partner.identity: cluster forwards the caller's own X-Forwarded-Client-Cert")
    assert f"({mode})" in line
    assert check_partner(check, mesh(mode), "spiffe://partner.example/client").target, "no header names it"
    assert check_partner(check, mesh(mode), "dns:partner.example", clients=[]).target, "it is admitted nowhere"


@pytest.mark.parametrize("mode", ["", "SANITIZE", "SANITIZE_SET", "APPEND_FORWARD"])
def test_dns_name_that_the_gateway_tells_is_accepted(check: Check, mode: str) -> None:
    assert check_partner(check, mesh(mode), "dns:partner.example").target
    assert check_partner(check, {}, "dns:partner.example").target, "another revision has a config of another name"


def service(*ports: int, **spec: Any) -> dict[str, Any]:
    """Return the Service shop/orders."""
    return {"spec": {"selector": {"app": "orders"}, "ports": [{"port": port} for port in ports]} | spec}


def pods(*containers: tuple[str, ...], **metadata: Any) -> dict[str, Any]:
    """Pods of the orders, each with these containers; those of which the name begins with + start before others."""
    return {
        "items": [
            {
                "metadata": {"name": f"orders-{number}", **metadata},
                "spec": {
                    "containers": [{"name": name} for name in names if not name.startswith("+")],
                    "initContainers": [{"name": name[1:]} for name in names if name.startswith("+")],
                },
            }
            for number, names in enumerate(containers)
        ]
    }


OVER = pods(("app",)) | {"items": [{**pods(("app",))["items"][0], "status": {"phase": "Succeeded"}}]}
NO_SIDECAR = (
    "hosts.orders.service: cluster has no sidecars in Pods behind Service shop/orders: {}; label their namespace for "
    "injection, and restart them"
)


@pytest.mark.parametrize(
    ("found", "selected", "lines"),
    [
        (service(80, 8080), {"items": []}, []),
        (service(8080), pods(("app", "istio-proxy"), ("app", "+istio-proxy")), []),
        (service(8080), OVER, []),
        (service(8080), pods(("app",), deletionTimestamp="2026-11-24T00:00:00Z"), []),
        (service(8080), pods(("app", "istio-proxy"), ("app", "+istio-init")), [NO_SIDECAR.format("orders-1")]),
        (
            service(8080),
            pods(*[("app",)] * 5),
            [NO_SIDECAR.format("orders-0, orders-1, orders-2 and others")],
        ),
        (Answer(b"{}", 404), {}, ["hosts.orders.service: cluster has no Service shop/orders"]),
        (
            service(8080, selector=None),
            {},
            ["hosts.orders.service: cluster has no Pods behind Service shop/orders, which has no selector"],
        ),
        (
            {"spec": {"type": "ExternalName"}},
            {},
            [
                "hosts.orders.service: cluster leads outside by Service shop/orders, which has the type ExternalName",
                "hosts.orders.service.port: cluster has no such port in Service shop/orders; it has none",
            ],
        ),
        (
            service(80, 443),
            pods(("app",)),
            [
                NO_SIDECAR.format("orders-0"),
                "hosts.orders.service.port: cluster has no such port in Service shop/orders; it has 80, 443",
            ],
        ),
    ],
    ids=[
        "no-pods",
        "sidecars",
        "job-is-done",
        "goes-away",
        "one-without",
        "many-without",
        "no-service",
        "no-selector",
        "external-name",
        "both",
    ],
)
def test_service_that_exists_has_to_have_the_port_and_pods_of_the_mesh(
    check: Check, found: Any, selected: Any, lines: list[str]
) -> None:
    orders = {"domain": "orders.example.com", "service": {"namespace": "shop", "name": "orders", "port": 8080}}
    target = whole("uid-1", **{ORDERS: found, ORDERS_PODS: selected})
    if lines:
        assert problems(check, target, whole("uid-2"), hosts={"orders": orders}) == lines
    else:
        assert check(target, whole("uid-2"), hosts={"orders": orders}).target


def route_to_orders(kind: str, owner: str = OURS, port: int = 8080, **changed: Any) -> dict[str, Any]:
    """Return a cluster's lists with a stack's route to Service shop/orders."""
    to_rule = {"service": {"name": "orders", "namespace": "shop", "port": port}, "gateway": "mtls/gateway"}
    to_route = {"host": "orders.shop.svc.cluster.local", "port": {"number": port}}
    spec: Any = {API_RULES: to_rule, VIRTUAL_SERVICES: {"http": [{"route": [{"destination": to_route}]}]}}[kind]
    return claiming(kind, owner, "orders", **{"hosts": ["orders.example.com"], **spec, **changed})


@pytest.mark.parametrize("kind", [API_RULES, VIRTUAL_SERVICES])
def test_service_that_breaks_behind_a_deployed_route_stops_nothing(check: Check, kind: str) -> None:
    orders = {"domain": "orders.example.com", "service": {"namespace": "shop", "name": "orders", "port": 8080}}
    broken = {ORDERS: service(8080), ORDERS_PODS: pods(("app",))}

    def run(routed: dict[str, Any], owner: str | None = OURS) -> Clusters:
        return check(whole("uid-1", **broken, **routed), whole("uid-2"), owner=owner, hosts={"orders": orders})

    (line,) = run(route_to_orders(kind)).warnings
    assert "has no sidecars in Pods behind Service shop/orders: orders-0; " in line
    told = [NO_SIDECAR.format("orders-0")]
    assert problems(run, route_to_orders(kind, port=80)) == told, "another Service is to come"
    assert problems(run, route_to_orders(kind, hosts=["carts.example.com"])) == told, "another host's route"
    assert problems(run, {}) == told
    assert told[0] in problems(run, route_to_orders(kind, owner="another"))
    assert told[0] in problems(run, route_to_orders(kind), None)


def test_injection_is_asked_of_a_cluster_only_for_pods_that_need_it(check: Check) -> None:
    bare: dict[str, Any] = {WEBHOOKS: {"items": []}}
    orders = {"domain": "orders.example.com", "service": {"namespace": "shop", "name": "orders", "port": 8080}}
    target, served = whole("uid-1", **bare, **{ORDERS: service(8080), ORDERS_PODS: pods()}), {"orders": orders}
    callers = {"callers": ["shop"], "networkPolicy": "none"}
    assert check(target, whole("uid-2", **bare), hosts=served, client=callers).offers
    for client in ({}, {"networkPolicy": "none"}, {"callers": ["shop"]}):
        (line,) = problems(check, target, whole("uid-2", **bare), hosts=served, client=client)
        assert line.startswith("clients.caller.revision: cluster injects no sidecars into namespaces ")
    (line,) = problems(check, target, whole("uid-2"))
    assert line.startswith("target.revision: cluster injects no sidecars into namespaces ")
