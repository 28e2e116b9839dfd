"""The Kyma gateway: its args from settings and facts, and its output."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pulumi

from clusters import gateway_hooks, release
from clusters.cluster import Cluster
from clusters.facts import KymaGatewayFacts
from components.certificates import AuthorityArgs
from components.kyma_gateway import KymaGateway, KymaGatewayArgs, TakeOver
from components.kyma_gateway.certificate import CertificateArgs, GardenerArgs, OwnArgs
from components.kyma_gateway.gardener import Gardener
from components.namespaced_name import NamespacedName
from deployment.managed_site import ManagedSite
from deployment.shared import Shared
from outputs import GatewayOutput
from settings import ConfigError, own_certificate
from settings.gateway import GatewayMode, GatewaySettings


def deploy(shared: Shared, site: ManagedSite, namespace: pulumi.Input[str]) -> dict[str, Any] | None:
    """Deploy the Kyma gateway into the target and return its output; None if the config asks for none.

    namespace: the stack's own in the target
    """
    give_back = gateway_hooks.register(site.cluster)
    facts, wanted, ingress = site.facts.kyma_gateway, shared.settings.gateway, site.facts.gateway
    if facts is None:
        return None
    args = KymaGatewayArgs(
        domain=facts.domain,
        ingress=ingress,
        namespace=namespace,
        take_over=_take_over(shared.owner, site.cluster, facts, give_back) if wanted.take_over else None,
        certificate=_certificate(wanted, shared.authority, site.cluster),
        cipher_suites=wanted.cipher_suites,
        apiserver_proxy=wanted.apiserver_proxy,
        legacy_installer=wanted.legacy_installer,
        service_entry_hosts=wanted.service_entry_hosts,
    )
    key = "gatewayTakeOver" if wanted.take_over else "namespace"
    gateway = KymaGateway("gateway", args, site.options(key, to_be_released=facts.to_be_released))
    proxy = gateway.apiserver_proxy
    return GatewayOutput.exported(
        domain=gateway.domain,
        gateway=gateway.gateway,
        address=ingress.address,
        ca_certificate=gateway.ca_certificate,
        secret=gateway.secret,
        ca_secret=gateway.ca_secret,
        **({"apiserver_proxy": proxy.host} if proxy else {}),
    )


def _take_over(
    owner: pulumi.Input[str], target: Cluster, facts: KymaGatewayFacts, give_back: pulumi.ResourceHookBinding
) -> TakeOver:
    return TakeOver(
        namespaces=facts.own_namespaces,
        operator=facts.operator,
        owner=owner,
        is_released=release.judge_of_release(target, facts.leftover_secret),
        restore=give_back,
        clean_up=partial(release.remove_leftover_secret, target, facts.leftover_secret),
    )


def _certificate(wanted: GatewaySettings, authority: AuthorityArgs, cluster: Cluster) -> CertificateArgs:
    match wanted.mode:
        case GatewayMode.OWN:
            ca_certificate = own_certificate.chain_end(wanted.certificate)
            return OwnArgs(wanted.certificate, ca_certificate, wanted.key.get_secret_value())
        case GatewayMode.SELF_SIGNED:
            return replace(authority, key_algorithm=wanted.key_algorithm)
        case _:
            gardener = Gardener(wanted.wait_minutes, partial(_secret_data, cluster))
            hours = (wanted.validity_days * 24, authority.early_renewal_hours)
            return GardenerArgs(gardener, wanted.issuer, wanted.key_algorithm, *hours)


def _secret_data(cluster: Cluster, secret: str) -> Mapping[str, str]:
    """Return the data of a Secret, NAMESPACE/NAME, as the cluster has it; raise RunError if it does not answer."""
    try:
        found = cluster.find("v1", "Secret", *NamespacedName.parse(secret))
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    return (found or {}).get("data") or {}
