"""What Gardener's extensions for certificates and DNS are asked for, each waited for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from . import judges
from .readiness import Judge, Ready

_TTL_SECONDS = 600


@dataclass(frozen=True)
class Gardener:
    """Asks for certificates and DNS entries.

    wait_minutes: for each to be ready; then `pulumi up` fails
    written: reads the data of a Secret, NAMESPACE/NAME, as the cluster has it
    """

    wait_minutes: int
    written: Callable[[str], Mapping[str, str]]

    def certificate(
        self,
        resource: str,
        metadata: dict[str, Any],
        spec: pulumi.Input[Mapping[str, object]],
        opts: pulumi.ResourceOptions,
    ) -> Ready:
        """Ask for a Certificate, which Gardener puts into a Secret and renews; return what comes when it is ready."""
        api_version = "cert.gardener.cloud/v1alpha1"
        return self._ask(resource, api_version, "Certificate", metadata, spec, judges.certificate, opts)

    def dns_entry(
        self,
        resource: str,
        metadata: dict[str, Any],
        host: pulumi.Input[str],
        addresses: pulumi.Input[Sequence[str]],
        ip_stack: pulumi.Input[str],
        opts: pulumi.ResourceOptions,
    ) -> Ready:
        """Ask for a DNSEntry by which a host leads to a load balancer's IP addresses or host names.

        ip_stack: ipv4, ipv6 or dual-stack; where a host name becomes records for addresses, it says of which kind
        """
        spec = {"dnsName": host, "ttl": _TTL_SECONDS, "targets": addresses}
        annotations = {"dns.gardener.cloud/class": "garden", "dns.gardener.cloud/ip-stack": ip_stack}
        classed = {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}
        return self._ask(resource, "dns.gardener.cloud/v1alpha1", "DNSEntry", classed, spec, judges.dns_entry, opts)

    def _ask(
        self,
        resource: str,
        api_version: str,
        kind: str,
        metadata: dict[str, Any],
        spec: pulumi.Input[Mapping[str, object]],
        judge: Judge,
        opts: pulumi.ResourceOptions,
    ) -> Ready:
        asked = k8s.apiextensions.CustomResource(
            resource, api_version=api_version, kind=kind, metadata=metadata, spec=spec, opts=opts
        )
        return Ready(resource, asked, judge, opts, limit=self.wait_minutes * 60)
