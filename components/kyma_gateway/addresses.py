"""Addresses of load balancers, as DNS and Gardener write them."""

from collections.abc import Sequence
from ipaddress import ip_address

import pulumi_kubernetes as k8s


def load_balancer_addresses(status: k8s.core.v1.outputs.ServiceStatus | None) -> Sequence[str]:
    """Return the IP addresses or host names of a LoadBalancer Service; none while it has none."""
    entries = (status and status.load_balancer and status.load_balancer.ingress) or []
    return [address for entry in entries if (address := entry.ip or entry.hostname)]


def ip_stack(families: Sequence[str]) -> str:
    """Return the IP families of a Service (IPv4, IPv6) as Gardener writes them: ipv4, ipv6 or dual-stack."""
    if len(families) > 1:
        return "dual-stack"
    return "ipv6" if "IPv6" in families else "ipv4"


def demo_domain(address: str) -> str:
    """Return a domain of sslip.io, whose every name resolves to this IP address; empty without an address."""
    return ip_address(address).exploded.replace(".", "-").replace(":", "-") + ".sslip.io" if address else ""
