"""Mutual TLS that a gateway or sidecar originates: with whom, and by which workload."""

from collections.abc import Iterator, Mapping
from typing import Any

from mtls_policies.policy import UNKNOWN, Config, Resource, ResourcePolicy, entries, structure


def _judge(resource: Resource, _: Config) -> Iterator[str]:
    if resource.kind != "networking.istio.io/DestinationRule":
        return
    mutual = [(path, tls) for path, tls in _tls_settings(resource.spec) if tls.get("mode") == "MUTUAL"]
    for path, tls in mutual:
        if not tls.get("subjectAltNames"):
            yield f"{path}.subjectAltNames: not set; every certificate of a trusted CA would pass for the server's"
        if tls.get("insecureSkipVerify") is True:
            yield f"{path}.insecureSkipVerify: true; every certificate would pass for the server's"
    selector = resource.spec.get("workloadSelector")
    if mutual and selector is not UNKNOWN and not structure(selector).get("matchLabels"):
        yield (
            "spec.workloadSelector.matchLabels: not set; the rule would also be that of workloads which cannot read "
            "the client's certificate, and those send plaintext"
        )


def _tls_settings(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every TLS setting of a DestinationRule, with its path."""
    policies = [("spec.trafficPolicy", spec.get("trafficPolicy"))]
    for index, subset in enumerate(entries(spec.get("subsets"))):
        policies.append((f"spec.subsets[{index}].trafficPolicy", structure(subset).get("trafficPolicy")))
    for path, policy in policies:
        yield f"{path}.tls", structure(structure(policy).get("tls"))
        for index, port in enumerate(entries(structure(policy).get("portLevelSettings"))):
            yield f"{path}.portLevelSettings[{index}].tls", structure(structure(port).get("tls"))


POLICY = ResourcePolicy(
    "mutual-origination",
    "A DestinationRule that originates mutual TLS names the server and the workload that does so.",
    _judge,
)
