"""Certificates and DNS entries by Gardener's extensions, each with the wait until it is ready."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from .. import judges
from ..kinds import KINDS
from ..readiness import Judge, Ready

_TTL_SECONDS = 600


@dataclass(frozen=True)
class DnsTargets:
    """Where a DNS name leads to.

    addresses: IP addresses or host names of a load balancer
    ip_stack: ipv4, ipv6 or dual-stack: the kinds of address records that Gardener makes of a host name
    """

    addresses: pulumi.Input[Sequence[str]]
    ip_stack: pulumi.Input[str]


@dataclass(frozen=True)
class Gardener:
    """Asks for certificates and DNS entries.

    wait_minutes: how long `pulumi up` waits for each of them before it fails
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
        """Ask for a Certificate, which Gardener puts into a Secret and renews.

        Return a resource that is made once the Certificate is ready.
        """
        asked = k8s.apiextensions.CustomResource(
            resource,
            api_version=KINDS["Certificate"],
            kind="Certificate",
            metadata=metadata,
            spec=spec,
            opts=opts,
        )
        return self._wait(resource, asked, judges.certificate, opts)

    def dns_entry(
        self,
        resource: str,
        metadata: dict[str, Any],
        host: pulumi.Input[str],
        targets: DnsTargets,
        opts: pulumi.ResourceOptions,
    ) -> Ready:
        """Ask for a DNSEntry by which a host name leads to the targets.

        Return a resource that is made once the DNSEntry is ready.
        """
        annotations = {"dns.gardener.cloud/class": "garden", "dns.gardener.cloud/ip-stack": targets.ip_stack}
        asked = k8s.apiextensions.CustomResource(
            resource,
            api_version=KINDS["DNSEntry"],
            kind="DNSEntry",
            metadata={**metadata, "annotations": annotations},
            spec={"dnsName": host, "ttl": _TTL_SECONDS, "targets": targets.addresses},
            opts=opts,
        )
        return self._wait(resource, asked, judges.dns_entry, opts)

    def _wait(self, resource: str, asked: pulumi.Resource, judge: Judge, opts: pulumi.ResourceOptions) -> Ready:
        return Ready(resource, asked, judge, opts, limit=self.wait_minutes * 60)
