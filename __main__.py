"""The stack: hosts behind mutual TLS in one cluster, and clients that call them through their egress gateways."""

import atexit
import signal
import sys
from collections.abc import Collection, Mapping

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

import clusters
import outputs
from clusters import Clusters, gateway_hooks, provider_files, rights
from components.certificates import AuthorityArgs, Certificates
from components.lifecycle import Lifecycle
from components.placement import Placement
from deployment import clients, kyma_gateway, placement, target
from deployment.identities import identities
from settings import ConfigError, Settings, read_config, validity

# The exit code by which a program tells the engine that its error has been shown.
_USER_WAS_TOLD = 32
# The engine interrupts a program that still waits for something when an `up` fails: that is no news to the user.
signal.signal(signal.SIGINT, lambda *_: sys.exit(_USER_WAS_TOLD))
atexit.register(provider_files.remove)


async def main() -> None:
    """Judge the config and the clusters as they are, deploy, and see that nothing has been lost."""
    try:
        settings = read_config(pulumi.runtime.get_config_env(), pulumi.runtime.is_config_secret)
        for line in validity.warnings(settings):
            pulumi.log.warn(line)
        owner = random.RandomId("owner", byte_length=8).hex
        found = clusters.check(settings, await owner.future())
        rights.check(settings, found)
    except ConfigError as error:
        pulumi.log.error(f"stack {pulumi.get_stack()} cannot be planned:\n{error}")
        sys.exit(_USER_WAS_TOLD)
    for line in found.warnings:
        pulumi.log.warn(line)
    lifecycles = {path: Lifecycle(path, owner, cluster) for path, cluster in found.all.items()}
    deploy(settings, found, owner, lifecycles)
    if lost := await placement.missing(lifecycles.values()):
        pulumi.log.error("\n".join(lost))
        sys.exit(_USER_WAS_TOLD)


def deploy(settings: Settings, found: Clusters, owner: pulumi.Output[str], lifecycles: Mapping[str, Lifecycle]) -> None:
    """Deploy what the settings ask for, into clusters as they were found, and export the outputs."""
    placed = Placement("placement", placement.facts(settings, found), settings.confirm)
    namespace: pulumi.Input[str] = settings.namespace
    if not namespace:
        suffix = random.RandomString("suffix", length=5, special=False, upper=False).result
        namespace = pulumi.Output.concat("kyma-mtls-", suffix)
    providers = {
        path: k8s.Provider(
            f"{path}-{cluster.uid}",  # another cluster is another provider: the old one stays until its objects go
            kubeconfig=placed.secret(cluster.kubeconfig),
            cluster_identifier=cluster.uid,
            enable_secret_mutable=True,
            enable_config_map_mutable=True,
        )
        for path, cluster in found.all.items()
    }

    def options(path: str, key: str = "namespace", *, to_be_released: Collection[str] = ()) -> pulumi.ResourceOptions:
        """Return options that deploy into the cluster of this config path, under the rule for the life of objects."""
        rule = lifecycles[path].options(key, to_be_released=to_be_released)
        return pulumi.ResourceOptions.merge(rule, pulumi.ResourceOptions(provider=providers[path]))

    authority = AuthorityArgs(
        key_algorithm=settings.key_algorithm,
        validity_hours=settings.validity_days * 24,
        ca_validity_hours=settings.ca_validity_days * 24,
        early_renewal_hours=settings.renew_before_days * 24,
        generation=settings.generation,
        trusted_generations=settings.trusted_generations,
    )
    certificates = Certificates("certificates", authority)
    who = identities(settings, pulumi.get_stack())
    hosts = target.partners(settings, who)
    if found.target:
        offer, opts = found.offers["target"], options("target")
        serving, served = target.deploy(settings, namespace, certificates, who, offer, opts)
        hosts |= served
        pulumi.export("target", target.output(serving, offer.gateway))
        given_back = gateway_hooks.register(found.target)
        if site := offer.site:
            key = "gatewayTakeOver" if settings.gateway.take_over else "namespace"
            opts = options("target", key, to_be_released=site.to_be_released)
            deployed = kyma_gateway.deploy(
                settings.gateway, site, offer.gateway, serving, authority, owner, found.target, given_back, opts
            )
            pulumi.export("gateway", deployed)
    opts_of_clients = {name: options(f"clients.{name}") for name in found.clients}
    calling = clients.deploy(settings, namespace, certificates, who, found.offers, opts_of_clients)

    pulumi.export("version", outputs.VERSION)
    pulumi.export("caCertificate", certificates.trusted)
    pulumi.export("caExpiry", certificates.ca.expiry)
    pulumi.export("hosts", hosts)
    pulumi.export("clients", calling.clients)
    pulumi.export("signingRequests", calling.signing_requests)


pulumi.run(main)
