"""What Gardener's extensions for certificates and DNS are asked for, each waited for until it is Ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

_READY = {"pulumi.com/waitFor": "jsonpath={.status.state}=Ready"}
_TTL_SECONDS = 600


@dataclass(frozen=True)
class Gardener:
    """Asks for certificates and DNS entries.

    wait_minutes: for each to be Ready; then `pulumi up` fails
    hooks: of each, to tell what Gardener has to say of a failure
    """

    wait_minutes: int
    hooks: pulumi.ResourceHookBinding

    def certificate(
        self,
        resource: str,
        metadata: dict[str, Any],
        spec: pulumi.Input[Mapping[str, object]],
        opts: pulumi.ResourceOptions,
    ) -> k8s.apiextensions.CustomResource:
        """A Certificate, which Gardener puts into a Secret and renews."""
        return self._ask(resource, "cert.gardener.cloud/v1alpha1", "Certificate", metadata, spec, opts)

    def dns_entry(
        self,
        resource: str,
        metadata: dict[str, Any],
        host: pulumi.Input[str],
        addresses: pulumi.Input[Sequence[str]],
        ip_stack: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> k8s.apiextensions.CustomResource:
        """A DNSEntry by which a host leads to a load balancer's IP addresses or host names.

        ip_stack: ipv4, ipv6 or dual-stack; where a host name becomes records for addresses, it says of which kind
        """
        spec = {"dnsName": host, "ttl": _TTL_SECONDS, "targets": addresses}
        classed = _annotated(metadata, {"dns.gardener.cloud/class": "garden", "dns.gardener.cloud/ip-stack": ip_stack})
        return self._ask(resource, "dns.gardener.cloud/v1alpha1", "DNSEntry", classed, spec, opts)

    def _ask(
        self,
        resource: str,
        api_version: str,
        kind: str,
        metadata: dict[str, Any],
        spec: pulumi.Input[Mapping[str, object]],
        opts: pulumi.ResourceOptions,
    ) -> k8s.apiextensions.CustomResource:
        limit = f"{self.wait_minutes}m"
        waiting = pulumi.CustomTimeouts(create=limit, update=limit)
        return k8s.apiextensions.CustomResource(
            resource,
            api_version=api_version,
            kind=kind,
            metadata=_annotated(metadata, _READY),
            spec=spec,
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(custom_timeouts=waiting, hooks=self.hooks)),
        )


def _annotated(metadata: dict[str, Any], annotations: Mapping[str, pulumi.Input[str]]) -> dict[str, Any]:
    return {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}
