"""Ingresses that Istio serves by its ingress gateway: each host of their TLS is a server on port 443.

Follows https://github.com/istio/istio/blob/master/pilot/pkg/config/kube/ingress/conversion.go. Where ingressSelector of
the mesh config names further Pods, their Ingresses are not found.
"""

from collections.abc import Iterator

from clusters.cluster import Cluster
from clusters.routes import Route, routes
from components.istio_gateway import IstioGateway

_CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_ISTIO_CLASS, _ISTIO_CONTROLLER = "istio", "istio.io/ingress-controller"
_INGRESS_GATEWAY = {"istio": "ingressgateway"}


def tls_hosts(cluster: Cluster, gateway: IstioGateway) -> Iterator[tuple[str, Route]]:
    """Yield each host that Ingresses serve by TLS on a gateway's Pods, with the Ingress."""
    if not _INGRESS_GATEWAY.items() <= gateway.labels.items():
        return
    found = routes(cluster, "Ingress")
    classes = {_ISTIO_CLASS, *_classes(cluster)} if found else set()
    for ingress in found:
        annotations = ingress.metadata.get("annotations") or {}
        if (annotations.get(_CLASS_ANNOTATION) or ingress.spec.get("ingressClassName")) in classes:
            for tls in ingress.spec.get("tls") or ():
                yield from ((host, ingress) for host in tls.get("hosts") or ())


def _classes(cluster: Cluster) -> Iterator[str]:
    for each in cluster.items(_CLASSES):
        if (each.get("spec") or {}).get("controller") == _ISTIO_CONTROLLER:
            yield each["metadata"]["name"]
