"""Mutual TLS that a gateway or sidecar originates: the servers that it accepts, and the workload that originates it."""

from collections.abc import Iterator, Mapping
from typing import Any

from .policy import UNKNOWN, Config, Resource, ResourcePolicy, entries, structure


def _judge(resource: Resource, _: Config) -> Iterator[str]:
    if resource.kind != "networking.istio.io/DestinationRule":
        return
    unsaid = "MUTUAL" if resource.is_patch else "DISABLE"  # a Patch without a mode may patch a rule with mode MUTUAL
    mutual = [(path, tls) for path, tls in _tls_settings(resource.spec) if tls.get("mode", unsaid) == "MUTUAL"]
    for path, tls in mutual:
        names = tls.get("subjectAltNames", UNKNOWN if resource.is_patch else [])
        if not names:
            yield f"{path}.subjectAltNames: not set; the client would accept any server of a trusted CA"
        if tls.get("insecureSkipVerify") is True:
            yield f"{path}.insecureSkipVerify: true; the client would accept any server"
    selector = resource.spec.get("workloadSelector")
    if mutual and not resource.is_patch and selector is not UNKNOWN and not structure(selector).get("matchLabels"):
        yield (
            "spec.workloadSelector.matchLabels: not set; the rule would also apply to workloads that cannot read "
            "the client's certificate, and they would send plaintext"
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
    "A DestinationRule that originates mutual TLS names the server and selects the workload.",
    _judge,
)
