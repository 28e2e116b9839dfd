"""A program that connects an existing caller to an existing Service in a second cluster, by the package kyma_mtls.

It makes `namespace` in both clusters, and puts the objects of the connection there and into the gateways' namespaces.
The command kyma-mtls-gateway describes gateways that neither istioctl nor Kyma installed.
"""

import pulumi
import pulumi_kubernetes as k8s
from kyma_mtls import (
    DOCUMENTED_EGRESS,
    DOCUMENTED_INGRESS,
    AuthorityArgs,
    Certificates,
    EgressClient,
    EgressClientArgs,
    EgressRoute,
    EgressRouteArgs,
    IstioGateway,
    MtlsHost,
    MtlsHostArgs,
    MtlsTarget,
    MtlsTargetArgs,
    ServiceRef,
)

config = pulumi.Config()
platform = config.get("platform") or "kyma"
namespace, domain = config.require("namespace"), config.require("domain")
caller = config.require("caller")  # NAMESPACE/SERVICEACCOUNT
service = ServiceRef(
    config.require("serviceNamespace"), config.require("serviceName"), config.require_int("servicePort")
)
identity = f"spiffe://{pulumi.get_project()}/{pulumi.get_stack()}/caller"


def cluster(name: str) -> pulumi.ResourceOptions:
    """Return options that deploy into the cluster behind a kubeconfig."""
    provider = k8s.Provider(
        name,
        kubeconfig=config.require_secret(f"{name}Kubeconfig"),
        # Without it, a new kubeconfig for the same cluster replaces all objects.
        cluster_identifier=config.get(f"{name}Uid"),
        enable_secret_mutable=True,
    )
    return pulumi.ResourceOptions(provider=provider)


def gateway(key: str, documented: IstioGateway) -> IstioGateway:
    """Return the gateway that the config describes; the documented one if it describes none."""
    described = config.get_object(key)
    return IstioGateway(**described) if described else documented


certificates = Certificates("certificates", AuthorityArgs())

target = MtlsTarget("target", MtlsTargetArgs(namespace), cluster("target"))
MtlsHost(
    "orders",
    MtlsHostArgs(
        platform=platform,
        host="orders",
        domain=domain,
        namespace=target.namespace,
        gateway=gateway("ingressGateway", DOCUMENTED_INGRESS),
        service=service,
        server=certificates.server("orders", domain),
        admitted=[identity],
    ),
    pulumi.ResourceOptions(parent=target),
)

client = EgressClient(
    "client",
    EgressClientArgs(
        platform=platform,
        namespace=namespace,
        gateway=gateway("egressGateway", DOCUMENTED_EGRESS),
        callers=[caller],
        client=certificates.client("caller", identity),
    ),
    cluster("client"),
)
EgressRoute(
    "client-orders",
    EgressRouteArgs(
        host="orders",
        domain=domain,
        namespace=client.namespace,
        gateway=client.gateway,
        secret=client.secret,
        callers=client.callers,
        caller_namespaces=[caller.split("/")[0]],
    ),
    pulumi.ResourceOptions(parent=client),
)

pulumi.export("url", f"http://{domain}")
pulumi.export("identity", identity)
pulumi.export("caCertificate", certificates.trusted)
