"""The stack: hosts behind mutual TLS in one cluster, and clients that call them through their egress gateways."""

import sys

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

import clusters
from clusters import gateway_hooks, gateway_site, rights
from components.certificates import AuthorityArgs, Certificates
from components.lifecycle import Lifecycle
from components.placement import Placement
from deployment import clients, kyma_gateway, placement, target
from deployment.identities import identities
from settings import ConfigError, Settings

# The exit code by which a program tells the engine that its error has been shown.
_USER_WAS_TOLD = 32

try:
    settings = Settings.from_config(pulumi.runtime.get_config_env(), pulumi.runtime.is_config_secret)
    found = clusters.check(settings)
    ingress = found.offers["target"].gateway if found.target else None
    site = gateway_site.find(settings, found.target, ingress.address) if found.target and ingress else None
    rights.check(settings, found, site)
except ConfigError as error:
    pulumi.log.error(f"stack {pulumi.get_stack()} cannot be planned:\n{error}")
    sys.exit(_USER_WAS_TOLD)

placed = Placement("placement", placement.facts(settings, found), settings.confirm)
owner = random.RandomId("owner", byte_length=8).hex
lifecycles = {path: Lifecycle(path, owner, cluster) for path, cluster in found.all.items()}
namespace: pulumi.Input[str] = settings.namespace
if not namespace:
    suffix = random.RandomString("suffix", length=5, special=False, upper=False).result
    namespace = pulumi.Output.concat("kyma-mtls-", suffix)


def options(path: str, key: str = "namespace", *, vacated: bool = False) -> pulumi.ResourceOptions:
    """Return options that deploy into the cluster of this config path, under the rule for the life of objects."""
    return pulumi.ResourceOptions.merge(
        lifecycles[path].options(key, vacated=vacated), pulumi.ResourceOptions(provider=providers[path])
    )


providers = {
    path: k8s.Provider(
        f"{path}-{cluster.uid}",  # another cluster is another provider: the old one stays until its objects are gone
        kubeconfig=placed.secret(cluster.kubeconfig),
        cluster_identifier=cluster.uid,
        enable_secret_mutable=True,
        enable_config_map_mutable=True,
    )
    for path, cluster in found.all.items()
}
authority = AuthorityArgs(
    key_algorithm=settings.key_algorithm,
    validity_hours=settings.validity_days * 24,
    ca_validity_hours=settings.ca_validity_days * 24,
    early_renewal_hours=settings.renew_before_days * 24,
    generation=settings.generation,
)
certificates = Certificates("certificates", authority)
who = identities(settings, pulumi.get_stack())
hosts = target.partners(settings, who)
if found.target and ingress:
    serving, served = target.deploy(settings, namespace, certificates, who, found.offers["target"], options("target"))
    hosts |= served
    pulumi.export("target", target.output(serving, ingress))
    hooks = gateway_hooks.register(found.target)
    if site:
        key = "gatewayTakeOver" if settings.gateway.take_over else "namespace"
        opts = options("target", key, vacated=site.operator)
        deployed = kyma_gateway.deploy(settings.gateway, site, ingress, serving, authority, owner, hooks, opts)
        pulumi.export("gateway", deployed)
opts_of_clients = {name: options(f"clients.{name}") for name in found.clients}
calling = clients.deploy(settings, namespace, certificates, who, found.offers, opts_of_clients)

pulumi.export("caCertificate", certificates.ca.certificate)
pulumi.export("caExpiry", certificates.ca.expiry)
pulumi.export("hosts", hosts)
pulumi.export("clients", calling.clients)
pulumi.export("signingRequests", calling.signing_requests)


async def check_whole() -> None:
    """Fail if an object of the stack is gone from its cluster."""
    if lost := await placement.missing(lifecycles.values()):
        remedy = "`pulumi up --refresh` makes anew what somebody deleted; before a destroy, `pulumi refresh` forgets it"
        pulumi.log.error("\n".join([*lost, remedy]))
        sys.exit(_USER_WAS_TOLD)


pulumi.run(check_whole)
