"""The oldest TLS version and the ciphers that Istio Gateways accept."""

from collections.abc import Iterator, Mapping
from typing import Any

from .policy import UNKNOWN, Config, Resource, ResourcePolicy, entries, structure

_TERMINATING = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")
_VERSIONS = ["TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]

# With forward secrecy and authenticated encryption; also those that Envoy offers if a Gateway names none:
# https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/transport_sockets/tls/v3/common.proto
MODERN_CIPHERS = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
]


def _judge(resource: Resource, config: Config) -> Iterator[str]:
    if resource.kind != "networking.istio.io/Gateway":
        return
    for index, server in enumerate(entries(resource.spec.get("servers"))):
        tls = structure(structure(server).get("tls"))
        if tls.get("mode") in _TERMINATING:
            for problem in _problems(tls, config):
                yield f"spec.servers[{index}].tls.{problem}"


def _problems(tls: Mapping[str, Any], config: Config) -> Iterator[str]:
    floor, allowed = config["minProtocolVersion"], config["cipherSuites"]
    oldest = tls.get("minProtocolVersion") or "TLS_AUTO"
    if oldest == "TLS_AUTO":
        oldest = "TLSV1_2"
    if oldest in _VERSIONS[: _VERSIONS.index(floor)]:
        yield f"minProtocolVersion: accepts {oldest}; {floor} is the oldest allowed"
    if oldest in ("TLSV1_3", UNKNOWN):
        return  # neither Istio nor Envoy has a setting for the ciphers of TLS 1.3
    offered = tls.get("cipherSuites") or MODERN_CIPHERS
    refused = [name for name in entries(offered) if name is not UNKNOWN and name not in allowed]
    if refused:
        yield f"cipherSuites: offers {', '.join(refused)}; allowed are {', '.join(allowed)}"


POLICY = ResourcePolicy(
    "gateway-tls",
    "Gateways that terminate TLS accept neither old TLS versions nor weak ciphers.",
    _judge,
    {
        "minProtocolVersion": {"type": "string", "enum": ["TLSV1_2", "TLSV1_3"], "default": "TLSV1_2"},
        "cipherSuites": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "default": MODERN_CIPHERS,
        },
    },
)
