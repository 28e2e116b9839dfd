"""What is read of a cluster before anything is planned for it: gateways, injection, DNS, access log."""

from collections.abc import Callable
from typing import Any

import pytest

from clusters import access_log, control_plane, dns, gateways
from clusters.control_plane import Mesh
from components.istio_gateway import DOCUMENTED_EGRESS, Destination, IstioGateway, Pods
from settings import ConfigError
from tests.unit.facts import (
    DNS,
    HELM_EGRESS,
    HELM_INGRESS,
    ISTIOCTL_EGRESS,
    ISTIOD,
    ISTIODS,
    KUBE_DNS,
    TELEMETRIES,
    WEBHOOKS,
    dns_ports,
    injector,
    istio,
    service,
    workload,
)
from tests.unit.fakes import FakeCluster, fake_cluster

EDGE = "/api/v1/namespaces/ingress/services/edge"
EDGES = {"app": "edge", "istio": "edge"}
DEPLOYMENTS, DAEMON_SETS = (f"/apis/apps/v1/namespaces/ingress/{kind}" for kind in ("deployments", "daemonsets"))
NODE_LOCAL = "/apis/apps/v1/namespaces/kube-system/daemonsets/node-local-dns"
HTTPS = {"port": 443, "targetPort": 443}


def problem(ask: Callable[[], object]) -> str:
    """Return the message of the refusal."""
    with pytest.raises(ConfigError) as caught:
        ask()
    return str(caught.value)


def edge(*ports: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return a cluster with a gateway of Helm's chart, in namespace `ingress`."""
    found = service("ingress", "edge", EDGES, *(ports or (HTTPS,)), ipFamilies=["IPv4", "IPv6"])
    found["status"]["loadBalancer"] = {"ingress": [{"ip": "192.0.2.9"}, {"ip": "2001:db8::9"}, {"ipMode": "VIP"}]}
    pods = workload({**EDGES, "istio.io/rev": "stable"}, "edge")
    return {EDGE: found, DEPLOYMENTS: {"items": [pods, workload({"app": "other"}, "other")]}, **changed}


def read_edge(found: dict[str, Any]) -> IstioGateway:
    return gateways.find(fake_cluster(found), "ingress/edge", "target.ingressGateway")


def test_gateway_is_as_its_service_and_its_pods_are() -> None:
    assert read_edge(edge()) == HELM_INGRESS


def test_gateway_of_istioctl_is_read_like_any_other() -> None:
    found = gateways.find(fake_cluster(istio()), "istio-system/istio-egressgateway", "clients.a.egressGateway")
    assert found == ISTIOCTL_EGRESS == DOCUMENTED_EGRESS


@pytest.mark.parametrize(
    ("port", "expected"), [({"port": 443, "targetPort": "https"}, "https"), ({"port": 443}, 443)], ids=["name", "none"]
)
def test_port_of_the_gateways_pods_is_that_behind_443(port: dict[str, Any], expected: int | str) -> None:
    assert read_edge(edge({"port": 80, "targetPort": 8080}, port)).port == expected


def test_service_accounts_are_those_of_every_workload_behind_the_service() -> None:
    found = edge(**{DAEMON_SETS: {"items": [workload({**EDGES, "more": "labels"}, "another")]}})
    assert read_edge(found).accounts == ("another", "edge")


def test_pods_tell_what_no_workload_does() -> None:
    pod = {"metadata": {"labels": EDGES}, "spec": {"serviceAccountName": "by-hand"}}
    pods = "/api/v1/namespaces/ingress/pods?labelSelector=app%3Dedge%2Cistio%3Dedge"
    found = edge(**{DEPLOYMENTS: {"items": []}, pods: {"items": [pod]}})
    assert read_edge(found).accounts == ("by-hand",)


@pytest.mark.parametrize(
    ("namespace", "revision"),
    [({"labels": {"istio.io/rev": "canary"}}, "canary"), ({"labels": {"istio-injection": "enabled"}}, "default")],
)
def test_gateway_without_a_revision_has_that_of_its_namespace(namespace: dict[str, Any], revision: str) -> None:
    found = edge(
        **{DEPLOYMENTS: {"items": [workload(EDGES, "edge")]}, "/api/v1/namespaces/ingress": {"metadata": namespace}}
    )
    assert read_edge(found).revision == revision


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "has no Service ingress/edge"),
        (edge({"port": 80}, {"port": 15021}), "has no port 443 in Service ingress/edge; it has 80, 15021"),
        (
            edge(**{EDGE: service("ingress", "edge", {}, HTTPS)}),
            "has no gateway behind Service ingress/edge, which has",
        ),
        (edge(**{DEPLOYMENTS: {"items": []}}), "has no Pods behind Service ingress/edge"),
    ],
    ids=["no-service", "no-port", "no-selector", "no-pods"],
)
def test_gateway_that_cannot_be_used_names_its_key(found: dict[str, Any], message: str) -> None:
    said = problem(lambda: read_edge(found))
    assert said.startswith(f"kyma-mtls:target.ingressGateway: cluster https://target {message}"), said


def test_gateway_that_the_stack_has_made_need_not_be_there_under_its_own_name() -> None:
    def find(name: str) -> IstioGateway:
        return gateways.find(fake_cluster(), name, "key", to_come=DOCUMENTED_EGRESS)

    assert find("istio-system/istio-egressgateway") is DOCUMENTED_EGRESS
    assert "has no Service egress/way-out" in problem(lambda: find("egress/way-out"))


def of_labels(cluster: FakeCluster, revision: str) -> control_plane.Injector:
    found = control_plane.injectors(cluster)
    return control_plane.injector_of(cluster, found, "mtls", revision, "target.revision")


@pytest.mark.parametrize(
    ("revision", "name", "leads_to"),
    [("", "default", "default"), ("default", "default", "default"), ("stable", "stable", "1-30"), ("1-30",) * 3],
)
def test_injector_is_that_of_the_default_a_revision_or_a_tag(revision: str, name: str, leads_to: str) -> None:
    installed = [injector(), injector("1-30", istiod="istiod-1-30"), injector("stable", revision="1-30")]
    found = of_labels(fake_cluster(istio(*installed)), revision)
    assert (found.name, found.revision) == (name, leads_to)


@pytest.mark.parametrize(("revision", "label"), [("", "istio-injection: enabled"), ("canary", "istio.io/rev: canary")])
def test_namespace_that_no_injector_takes_is_refused(revision: str, label: str) -> None:
    cluster = fake_cluster(istio(injector("1-30"), injector("stable", revision="1-30")))
    assert problem(lambda: of_labels(cluster, revision)) == (
        "kyma-mtls:target.revision: cluster https://target injects no sidecars into namespaces with the label "
        f"{label}; it has the revisions and tags 1-30, stable"
    )
    assert problem(lambda: of_labels(fake_cluster(), revision)).endswith("it has the revisions and tags none")


def expression(operator: str, *values: str, key: str = "istio-injection") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": values} if values else {})}]}


@pytest.mark.parametrize(
    ("namespace", "pod", "taken"),
    [
        ({"matchLabels": {"istio-injection": "enabled"}}, {}, True),
        ({"matchLabels": {"istio.io/deactivated": "never-match"}}, {}, False),
        (expression("In", "enabled", "yes"), {}, True),
        (expression("In", "yes"), {}, False),
        (expression("NotIn", "disabled"), {}, True),
        (expression("NotIn", "enabled"), {}, False),
        (expression("Exists"), {}, True),
        (expression("Exists", key="istio.io/rev"), {}, False),
        (expression("DoesNotExist", key="istio.io/rev"), {}, True),
        (expression("DoesNotExist"), {}, False),
        (expression("NotIn", "mtls", key="kubernetes.io/metadata.name"), {}, False),
        (expression("In", "enabled"), expression("NotIn", "false", key="sidecar.istio.io/inject"), True),
        (expression("In", "enabled"), expression("In", "true", key="sidecar.istio.io/inject"), False),
    ],
)
def test_selectors_of_injectors_are_read_as_kubernetes_does(
    namespace: dict[str, Any], pod: dict[str, Any], taken: bool
) -> None:
    webhook = {"name": "x.sidecar-injector.istio.io", "namespaceSelector": namespace, "objectSelector": pod}
    cluster = fake_cluster({WEBHOOKS: {"items": [{"metadata": {}, "webhooks": [webhook]}]}})
    if taken:
        assert of_labels(cluster, "")
    else:
        problem(lambda: of_labels(cluster, ""))


def test_other_webhooks_inject_no_sidecars() -> None:
    webhook = {"name": "pods.example.com", "namespaceSelector": {}}
    problem(lambda: of_labels(fake_cluster({WEBHOOKS: {"items": [{"metadata": {}, "webhooks": [webhook]}]}}), ""))


def find_istiods(found: dict[str, Any], revision: str = "") -> tuple[Destination, ...]:
    cluster = fake_cluster(found)
    key = "clients.a.networkPolicy"
    return control_plane.istiods(cluster, of_labels(cluster, revision), control_plane.injectors(cluster), key)


def test_istiods_are_those_of_every_revision() -> None:
    canary = service("istio-canary", "istiod-canary", {"app": "istiod", "istio.io/rev": "canary"}, {"port": 443})
    installed = injector("canary", istiod="istiod-canary")
    for webhook in installed["webhooks"]:
        webhook["clientConfig"]["service"]["namespace"] = "istio-canary"
    found = istio(injector(), installed) | {"/api/v1/namespaces/istio-canary/services/istiod-canary": canary}
    labels = {"app": "istiod", "istio.io/rev": "canary"}
    destinations = find_istiods(found, "canary")
    assert [each.pods for each in destinations] == [Pods("istio-canary", labels), ISTIODS.pods]
    assert {each.ports for each in destinations} == {((15012, "TCP"),)}


@pytest.mark.parametrize("found", [istio(injector(istiod=None)), istio() | {ISTIOD: None}], ids=["url", "no-service"])
def test_istiod_outside_the_cluster_is_refused_where_a_policy_has_to_name_it(found: dict[str, Any]) -> None:
    assert problem(lambda: find_istiods(found)) == (
        "kyma-mtls:clients.a.networkPolicy: cluster https://target runs istiod outside the cluster, which a "
        "NetworkPolicy cannot allow; set this to none"
    )


def mesh_of(found: dict[str, Any], name: str) -> Mesh:
    cluster = fake_cluster(found)
    return control_plane.mesh(cluster, control_plane.injectors(cluster), name)


def config_map(text: str, name: str = "istio") -> dict[str, Any]:
    return {f"/api/v1/namespaces/istio-system/configmaps/{name}": {"data": {"mesh": text}}}


def test_mesh_config_is_that_of_the_revision_that_a_tag_leads_to() -> None:
    installed = istio(injector(), injector("stable", revision="1-30"))
    found = installed | config_map("rootNamespace: root") | config_map("accessLogFile: /dev/stdout", "istio-1-30")
    assert mesh_of(found, "default") == Mesh({"rootNamespace": "root"}, "root")
    assert mesh_of(found, "stable") == Mesh({"accessLogFile": "/dev/stdout"}, "istio-system")
    assert mesh_of(found, "unknown") == Mesh({}, "istio-system")
    assert mesh_of(config_map("[]"), "default").get("defaultConfig", "a") is None
    assert "ConfigMap istio-system/istio, entry mesh" in problem(lambda: mesh_of(config_map("{"), "default"))


def find_dns(found: dict[str, Any], name: str = "") -> tuple[Destination, ...]:
    return dns.find(fake_cluster(found), name, "clients.a.dns")


COREDNS = Destination(((53, "UDP"), (53, "TCP")), pods=Pods("kube-system", {"k8s-app": "kube-dns"}))


def kube_dns(target: int | str = 53, **spec: Any) -> dict[str, Any]:
    addresses = {"clusterIPs": ["10.0.0.10"]}
    return service("kube-system", "kube-dns", {"k8s-app": "kube-dns"}, *dns_ports(target), **(addresses | spec))


def test_dns_is_kube_dns_by_its_addresses_and_by_its_pods() -> None:
    assert find_dns({KUBE_DNS: kube_dns()}) == (DNS, COREDNS), "not its metrics"


@pytest.mark.parametrize("target", [8053, "dns"], ids=["gardener", "name"])
def test_dns_pods_answer_at_the_port_behind_the_service(target: int | str) -> None:
    address, pods = find_dns({KUBE_DNS: kube_dns(target)})
    assert address.ports == ((53, "UDP"), (53, "TCP"))
    assert pods.ports == ((target, "UDP"), (target, "TCP"))


def test_dns_has_an_address_of_each_family() -> None:
    address, _ = find_dns({KUBE_DNS: kube_dns(clusterIPs=["10.0.0.10", "fd00::a"])})
    assert address.addresses == ("10.0.0.10/32", "fd00::a/128")
    without_list = kube_dns(clusterIP="10.0.0.10")
    del without_list["spec"]["clusterIPs"]
    assert find_dns({KUBE_DNS: without_list}) == (DNS, COREDNS)
    assert find_dns({KUBE_DNS: kube_dns(clusterIPs=["None"])}) == (COREDNS,), "an empty rule would let everything out"


def test_dns_of_rke2_and_openshift_is_found() -> None:
    labels = {"k8s-app": "kube-dns", "app.kubernetes.io/name": "rke2-coredns"}
    rke2 = service("kube-system", "rke2-coredns-rke2-coredns", labels, *dns_ports(), clusterIPs=["10.43.0.10"])
    labelled = "/api/v1/namespaces/kube-system/services?labelSelector=k8s-app%3Dkube-dns"
    metrics = service("kube-system", "coredns-metrics", labels, {"port": 9153}, clusterIPs=["10.43.0.11"])
    address, pods = find_dns({labelled: {"items": [metrics, rke2]}})
    assert (address.addresses, pods.pods) == (("10.43.0.10/32",), Pods("kube-system", labels))
    labels = {"dns.operator.openshift.io/daemonset-dns": "default"}
    openshift = service("openshift-dns", "dns-default", labels, *dns_ports("dns"), clusterIPs=["172.30.0.10"])
    address, pods = find_dns({"/api/v1/namespaces/openshift-dns/services/dns-default": openshift})
    assert (address.addresses, pods.pods) == (("172.30.0.10/32",), Pods("openshift-dns", labels))
    assert pods.ports == (("dns", "UDP"), ("dns", "TCP"))


def test_dns_of_the_config_comes_before_the_usual() -> None:
    own = service("names", "own", {"app": "own"}, *dns_ports(), clusterIPs=["10.0.0.53"])
    address, _ = find_dns({KUBE_DNS: kube_dns(), "/api/v1/namespaces/names/services/own": own}, "names/own")
    assert address.addresses == ("10.0.0.53/32",)


@pytest.mark.parametrize(
    "arguments",
    [
        {"args": ["-localip", "169.254.20.10,10.0.0.10", "-conf", "/etc/Corefile"]},
        {"args": ["--localip=169.254.20.10,10.0.0.10"]},
        {"command": ["sh", "-c", "node-cache -localip 169.254.20.10,10.0.0.10,__PILLAR__ -conf x"]},
    ],
    ids=["gardener", "equals", "shell"],
)
def test_dns_of_the_node_is_where_its_arguments_say(arguments: dict[str, Any]) -> None:
    labels = {"k8s-app": "node-local-dns"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [arguments]}}
    node_local = {"spec": {"selector": {"matchLabels": labels}, "template": template}}
    *_, cache = find_dns({KUBE_DNS: kube_dns(), NODE_LOCAL: node_local})
    assert cache.addresses == ("169.254.20.10/32", "10.0.0.10/32")
    assert cache.pods == Pods("kube-system", labels)
    assert cache.ports == ((53, "UDP"), (53, "TCP"))


@pytest.mark.parametrize(
    ("found", "name", "message"),
    [
        ({}, "", "has its DNS in no usual place (no kube-system/kube-dns, no Service with"),
        ({KUBE_DNS: kube_dns()}, "names/own", "has no Service names/own"),
        ({KUBE_DNS: service("kube-system", "kube-dns", {"a": "b"})}, "", "has no port 53 in Service kube-system/kube-"),
        (
            {KUBE_DNS: service("kube-system", "kube-dns", {}, *dns_ports())},
            "",
            "has no Pods behind Service kube-system/kube-dns, which has no sel",
        ),
    ],
    ids=["nowhere", "not-there", "no-port", "no-selector"],
)
def test_dns_that_is_not_found_names_its_key(found: dict[str, Any], name: str, message: str) -> None:
    said = problem(lambda: find_dns(found, name))
    assert said.startswith(f"kyma-mtls:clients.a.dns: cluster https://target {message}"), said


def telemetry(namespace: str = "egress", **changed: Any) -> dict[str, Any]:
    spec = {"accessLogging": [{"providers": [{"name": "otel"}]}]} | changed
    return {"metadata": {"namespace": namespace, "name": "logs", "labels": spec.pop("labels", {})}, "spec": spec}


def is_chosen(*telemetries: dict[str, Any], **mesh: Any) -> bool:
    cluster = fake_cluster({TELEMETRIES: {"items": list(telemetries)}})
    return access_log.is_chosen(cluster, HELM_EGRESS, Mesh(mesh, "root"))


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (telemetry(), True),
        (telemetry("root"), True),
        (telemetry("elsewhere"), False),
        (telemetry(selector={"matchLabels": {"istio": "way-out"}}), True),
        (telemetry(selector={"matchLabels": {"istio": "other"}}), False),
        (telemetry("root", selector={"matchLabels": {"istio": "way-out"}}), False),
        (telemetry(accessLogging=[], tracing=[{}]), False),
        (telemetry(accessLogging=[{"disabled": True}]), True),
        (telemetry(targetRefs=[{"kind": "Gateway", "name": "another"}]), False),
        (telemetry(labels={"kyma-mtls/owner": "0a1b"}), False),
    ],
    ids=["namespace", "root", "another", "selected", "others", "root-selects", "tracing", "off", "target", "a-stacks"],
)
def test_access_log_is_chosen_by_a_telemetry_that_governs_the_gateway(found: dict[str, Any], chosen: bool) -> None:
    assert is_chosen(found) is chosen


@pytest.mark.parametrize(
    ("mesh", "chosen"),
    [
        ({}, False),
        ({"accessLogFile": "/dev/stdout"}, True),
        ({"accessLogFile": ""}, False),
        ({"defaultProviders": {"accessLogging": ["otel"]}}, True),
        ({"defaultProviders": {"metrics": ["prometheus"]}}, False),
        ({"enableEnvoyAccessLogService": True}, True),
    ],
)
def test_access_log_is_chosen_by_the_mesh_config(mesh: dict[str, Any], chosen: bool) -> None:
    assert is_chosen(**mesh) is chosen
