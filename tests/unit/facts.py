"""Facts of clusters: the answers of API servers, by path, and the objects that the checks make of them."""

from typing import Any

from clusters.facts import ClusterFacts
from components.istio_gateway import DOCUMENTED_EGRESS, Destination, IstioGateway, Pods

ISTIO_INJECTION = {"istio-injection": "enabled"}
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
TELEMETRIES = "/apis/telemetry.istio.io/v1/telemetries"
KUBE_DNS = "/api/v1/namespaces/kube-system/services/kube-dns"
ISTIOD = "/api/v1/namespaces/istio-system/services/istiod"
INGRESS = "/api/v1/namespaces/istio-system/services/istio-ingressgateway"
EGRESS = "/api/v1/namespaces/istio-system/services/istio-egressgateway"

INGRESS_LABELS = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
EGRESS_LABELS = {"app": "istio-egressgateway", "istio": "egressgateway"}

ISTIOCTL_INGRESS = IstioGateway(
    namespace="istio-system",
    service="istio-ingressgateway",
    selector=INGRESS_LABELS,
    port=8443,
    labels=INGRESS_LABELS,
    accounts=("istio-ingressgateway-service-account",),
    server_ports=(443, 8443),
    addresses=("192.0.2.7",),
    ip_families=("IPv4",),
)
ISTIOCTL_EGRESS = DOCUMENTED_EGRESS
HELM_INGRESS = IstioGateway(
    namespace="ingress",
    service="edge",
    selector={"app": "edge", "istio": "edge"},
    port=443,
    labels={"app": "edge", "istio": "edge", "istio.io/rev": "stable"},
    accounts=("edge",),
    revision="stable",
    addresses=("192.0.2.9", "2001:db8::9"),
    ip_families=("IPv4", "IPv6"),
)
HELM_EGRESS = IstioGateway(
    namespace="egress",
    service="way-out",
    selector={"app": "way-out", "istio": "way-out"},
    port=10443,
    labels={"app": "way-out", "istio": "way-out"},
    accounts=("way-out",),
    server_ports=(443, 10443),
)
DNS = Destination(((53, "UDP"), (53, "TCP")), ("10.0.0.10/32",))
ISTIODS = Destination(((15012, "TCP"),), pods=Pods("istio-system", {"app": "istiod", "istio": "pilot"}))
TARGET_FACTS = ClusterFacts(ISTIOCTL_INGRESS, ISTIO_INJECTION)
CLIENT_FACTS = ClusterFacts(ISTIOCTL_EGRESS, ISTIO_INJECTION, (DNS, ISTIODS))


def service(namespace: str, name: str, selector: dict[str, str], *ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return a Service as the API server has it."""
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"selector": selector, "ports": list(ports), **spec},
        "status": {"loadBalancer": {}},
    }


def dns_ports(target: int | str = 53) -> tuple[dict[str, Any], ...]:
    """Return the ports of a DNS Service, including that of its metrics."""
    answers = [
        {"name": f"dns-{proto.lower()}", "port": 53, "targetPort": target, "protocol": proto}
        for proto in ("UDP", "TCP")
    ]
    return (*answers, {"name": "metrics", "port": 9153, "targetPort": 9153, "protocol": "TCP"})


def workload(labels: dict[str, str], account: str) -> dict[str, Any]:
    """Return a Deployment or DaemonSet whose Pods have these labels, and a port `https`."""
    containers = [{"name": "istio-proxy", "ports": [{"name": "https", "containerPort": 10443}]}]
    spec = {"serviceAccountName": account, "containers": containers}
    return {"spec": {"template": {"metadata": {"labels": labels}, "spec": spec}}}


def injector(name: str = "default", *, revision: str = "", istiod: str | None = "istiod") -> dict[str, Any]:
    """Return the webhooks of a revision, or of a tag that leads to a `revision`, as istioctl makes them."""
    rev, inject = "istio.io/rev", "istio-injection"
    in_cluster = {"service": {"namespace": "istio-system", "name": istiod}}
    client_config = in_cluster if istiod else {"url": "https://istiod.example.com/inject"}
    not_refused = {"matchExpressions": [{"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]}]}

    def webhook(prefix: str, *expressions: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": f"{prefix}.sidecar-injector.istio.io",
            "clientConfig": client_config,
            "namespaceSelector": {"matchExpressions": list(expressions)},
            "objectSelector": not_refused,
        }

    by_revision = webhook(
        "rev.namespace",
        {"key": rev, "operator": "In", "values": [name]},
        {"key": inject, "operator": "DoesNotExist"},
    )
    by_default = webhook("namespace", {"key": inject, "operator": "In", "values": ["enabled"]})
    labels = {rev: revision or name} | ({"istio.io/tag": name} if revision else {})
    return {
        "metadata": {"name": f"istio-{name}", "labels": labels},
        "webhooks": [by_revision, *([by_default] if name == "default" else [])],
    }


def istio(*injectors: dict[str, Any]) -> dict[str, Any]:
    """Return Istio with both of its gateways, as istioctl installs it, and the cluster's DNS."""
    https = {"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP"}
    xds = {"name": "https-dns", "port": 15012, "targetPort": 15012, "protocol": "TCP"}
    workloads = [
        workload(INGRESS_LABELS, "istio-ingressgateway-service-account"),
        workload(EGRESS_LABELS, "istio-egressgateway-service-account"),
    ]
    return {
        INGRESS: service("istio-system", "istio-ingressgateway", INGRESS_LABELS, https),
        EGRESS: service("istio-system", "istio-egressgateway", EGRESS_LABELS, https),
        ISTIOD: service("istio-system", "istiod", {"app": "istiod", "istio": "pilot"}, xds),
        "/apis/apps/v1/namespaces/istio-system/deployments": {"items": workloads},
        WEBHOOKS: {"items": list(injectors) or [injector()]},
        KUBE_DNS: service("kube-system", "kube-dns", {"k8s-app": "kube-dns"}, *dns_ports(), clusterIPs=["10.0.0.10"]),
    }
