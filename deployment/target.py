"""The target cluster and its hosts, as the settings ask for them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi

from clusters.facts import ClusterFacts
from components.certificates import Certificates
from components.istio_gateway import IstioGateway
from components.mtls_host import MtlsHost, MtlsHostArgs, ServiceRef
from components.mtls_target import MtlsTarget, MtlsTargetArgs
from settings import Host, Settings


def deploy(
    settings: Settings,
    namespace: pulumi.Input[str],
    certificates: Certificates,
    identities: Mapping[str, str],
    offer: ClusterFacts,
    opts: pulumi.ResourceOptions,
) -> tuple[MtlsTarget, dict[str, Any]]:
    """Deploy the target and each of its hosts; return the target, and what the stack's outputs say of each host."""
    needs_demo = any(host.demo for host in settings.served.values())
    args = MtlsTargetArgs(namespace, offer.injection, settings.target_image if needs_demo else "")
    target = MtlsTarget("target", args, opts)
    passthrough = settings.target is not None and settings.target.gateway_passthrough
    gateway = replace(offer.gateway, passthrough=passthrough)
    outputs = {
        name: _deploy_host(settings, name, host, target, gateway, certificates, identities)
        for name, host in settings.served.items()
    }
    return target, outputs


def output(target: MtlsTarget, ingress: IstioGateway) -> dict[str, Any]:
    """Return what the stack's outputs say of the target."""
    return {
        "namespace": target.namespace,
        "ingressGateway": ingress.name,
        "address": ingress.address,
        "addresses": list(ingress.addresses),
    }


def partners(settings: Settings, identities: Mapping[str, str]) -> dict[str, Any]:
    """Return what the stack's outputs say of the hosts of partners."""
    return {
        name: {"domain": host.domain, "external": True, "clients": _admitted(settings, name, identities)}
        for name, host in settings.hosts.items()
        if host.external
    }


def _admitted(settings: Settings, host: str, identities: Mapping[str, str]) -> dict[str, str]:
    return {client: identities[client] for client in settings.admitted(host)}


def _deploy_host(
    settings: Settings,
    name: str,
    host: Host,
    target: MtlsTarget,
    gateway: IstioGateway,
    certificates: Certificates,
    identities: Mapping[str, str],
) -> dict[str, Any]:
    server = certificates.server(name, host.domain)
    admitted = _admitted(settings, name, identities)
    args = MtlsHostArgs(
        platform=settings.platform,
        host=name,
        domain=host.domain,
        namespace=target.namespace,
        gateway=gateway,
        service=ServiceRef(host.service.namespace, host.service.name, host.service.port) if host.service else None,
        methods=host.methods,
        paths=host.paths,
        server=server,
        ca_certificates=_authorities(settings, admitted, certificates),
        admitted=list(admitted.values()),
    )
    deployed = MtlsHost(f"target-{name}", args, pulumi.ResourceOptions(parent=target))
    return {
        "domain": host.domain,
        "external": False,
        "clients": admitted,
        "gateway": deployed.gateway,
        "secret": deployed.secret,
        "expiry": server.expiry,
    }


def _authorities(
    settings: Settings, admitted: Mapping[str, str], certificates: Certificates
) -> list[pulumi.Input[str]]:
    """Return the CAs of those who are admitted; the stack's own if nobody is, since Envoy wants one."""
    partners = [settings.clients[name].certificate_authority for name in admitted if settings.clients[name].is_partner]
    own = [certificates.trusted] if len(partners) < len(admitted) or not admitted else []
    return [*own, *(f"{pem.strip()}\n" for pem in partners)]
