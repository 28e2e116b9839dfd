"""Routes, entries and network policies of a namespace `shop`."""

from typing import Any

from policies.mtls_policies import egress
from policies.mtls_policies.policy import Resource
from tests.unit.policies.judging import ISTIO, resource, stack_problems

ROUTE = {"hosts": ["api.example.com"], "gateways": ["egress", "mesh"]}
CLOSED = {
    "podSelector": {},
    "policyTypes": ["Egress"],
    "egress": [
        {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"istio": "egressgateway"}}}]},
        {"to": [{"ipBlock": {"cidr": "10.0.0.10/32"}}], "ports": [{"port": 53, "protocol": "UDP"}]},
        {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "endPort": 53, "protocol": "TCP"}]},
    ],
}
OF_SOME = {"podSelector": {"matchLabels": {"app": "curl"}}}
EVERYWHERE = ("urn::policy", "spec.egress[0]: lets Pods of shop connect past the egress gateway, to every address")


def in_namespace(
    kind: str, name: str, spec: Any, *, namespace: Any = "shop", on: str = "cluster", metadata: Any = None
) -> Resource:
    return resource(kind, name, on, metadata=metadata or {"name": name, "namespace": namespace}, spec=spec)


def route(spec: Any = None, name: str = "route", **where: Any) -> Resource:
    return in_namespace(f"{ISTIO}:VirtualService", name, ROUTE if spec is None else spec, **where)


def entry(**spec: Any) -> Resource:
    return in_namespace(f"{ISTIO}:ServiceEntry", "entry", {"hosts": ["api.example.com"], **spec})


def network_policy(spec: Any = CLOSED, kind: str = "NetworkPolicy", **where: Any) -> Resource:
    return in_namespace(f"kubernetes:networking.k8s.io/v1:{kind}", "policy", spec, **where)


def egress_problems(*judged: Resource) -> list[tuple[str, str]]:
    """Return the problems of resources beside a route of an external host through an egress gateway."""
    return stack_problems(egress.POLICY, route(), entry(), *judged)


def needs_a_policy(found: list[tuple[str, str]]) -> bool:
    """Return whether the only problem is that namespace shop has no NetworkPolicy."""
    return [problem.startswith("namespace shop lets its Pods connect past") for _, problem in found] == [True]


def block(cidr: str, *excepted: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr, **({"except": [*excepted]} if excepted else {})}}
