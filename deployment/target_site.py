"""The target: its namespace, its hosts, and the Kyma gateway."""

from collections.abc import Iterable
from typing import Any

import pulumi

from components.mtls_host import MtlsHost, MtlsHostArgs, ServiceRef
from components.mtls_target import MtlsTarget, MtlsTargetArgs
from deployment import kyma_gateway
from deployment.exports import Exports
from deployment.managed_site import ManagedSite
from deployment.shared import Shared
from outputs import HostOutput, TargetOutput
from settings import authorities


def deploy(shared: Shared, site: ManagedSite, exports: Exports) -> None:
    """Deploy the target, each of its hosts, and the Kyma gateway if the config asks for one; add their outputs."""
    settings, gateway = shared.settings, site.facts.gateway
    needs_demo = any(host.demo for host in settings.served.values())
    args = MtlsTargetArgs(
        namespace=shared.namespace,
        injection=site.facts.injection,
        demo_image=settings.target_image if needs_demo else "",
        platform=settings.platform,
        gateway=gateway,
    )
    target = MtlsTarget("target", args, site.options())
    exports.target = TargetOutput.exported(
        namespace=target.namespace,
        ingress_gateway=gateway.name,
        address=gateway.address,
        addresses=list(gateway.addresses),
    )
    exports.hosts |= {name: _deploy_host(shared, site, name, target) for name in settings.served}
    exports.gateway = kyma_gateway.deploy(shared, site, target.namespace)


def _deploy_host(shared: Shared, site: ManagedSite, name: str, target: MtlsTarget) -> dict[str, Any]:
    """Deploy a host of the target; return its output."""
    settings, admitted = shared.settings, shared.admitted(name)
    host = settings.hosts[name]
    server = shared.certificates.server(name, host.domain)
    args = MtlsHostArgs(
        platform=settings.platform,
        host=name,
        domain=host.domain,
        namespace=target.namespace,
        gateway=site.facts.gateway,
        service=ServiceRef(host.service.namespace, host.service.name, host.service.port) if host.service else None,
        methods=host.methods,
        paths=host.paths,
        server=server,
        ca_certificates=_authorities(shared, admitted),
        admitted=list(admitted.values()),
    )
    deployed = MtlsHost(f"target-{name}", args, pulumi.ResourceOptions(parent=target))
    site.confirm(f"target-{name}", f"hosts.{name}", deployed, target)
    return HostOutput.exported(
        domain=host.domain,
        external=False,
        clients=admitted,
        gateway=deployed.gateway,
        secret=deployed.secret,
        expiry=server.expiry,
    )


def _authorities(shared: Shared, admitted: Iterable[str]) -> list[pulumi.Input[str]]:
    """Return the CAs of the clients that a host admits; the stack's own if it admits none, since Envoy needs a CA."""
    clients = [shared.settings.clients[name] for name in admitted]
    partners = [client.certificate_authority for client in clients if client.is_partner]
    own = [shared.certificates.trusted] if len(partners) < len(clients) or not clients else []
    return [*own, *([authorities.in_order("".join(partners))] if partners else [])]
