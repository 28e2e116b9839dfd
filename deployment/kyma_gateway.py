"""The Kyma gateway, as the settings ask for it."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pulumi

from clusters import vacancy
from clusters.cluster import Cluster
from clusters.facts import KymaGatewayFacts
from components.certificates import AuthorityArgs
from components.istio_gateway import IstioGateway
from components.kyma_gateway import KymaGateway, KymaGatewayArgs, TakeOver
from components.kyma_gateway.certificate import CertificateArgs, GardenerArgs, OwnArgs
from components.kyma_gateway.gardener import Gardener
from components.mtls_target import MtlsTarget
from settings import ConfigError, own_certificate
from settings.gateway import GatewayMode, GatewaySettings


def deploy(
    wanted: GatewaySettings,
    site: KymaGatewayFacts,
    ingress: IstioGateway,
    target: MtlsTarget,
    authority: AuthorityArgs,
    owner: pulumi.Input[str],
    cluster: Cluster,
    given_back: pulumi.ResourceHookBinding,
    opts: pulumi.ResourceOptions,
) -> dict[str, Any]:
    """Deploy it beside the target's own gateway, and give what the stack says of it."""
    given_up = vacancy.given_up(cluster, site.leftover)
    take_over = TakeOver(site.namespaces, site.operator, owner, given_up, given_back)
    args = KymaGatewayArgs(
        domain=site.domain,
        ingress=ingress,
        namespace=target.namespace,
        take_over=take_over if wanted.take_over else None,
        certificate=_certificate(wanted, authority, Gardener(wanted.wait_minutes, partial(_written, cluster))),
        cipher_suites=wanted.cipher_suites,
        apiserver_proxy=wanted.apiserver_proxy,
        legacy_installer=wanted.legacy_installer,
        service_entry_hosts=wanted.service_entry_hosts,
    )
    gateway = KymaGateway("gateway", args, opts)
    proxy = gateway.apiserver_proxy
    return {
        "domain": gateway.domain,
        "gateway": gateway.gateway,
        "address": ingress.address,
        "caCertificate": gateway.ca_certificate,
        "secret": gateway.secret,
        "caSecret": gateway.ca_secret,
        **({"apiserverProxy": proxy.host} if proxy else {}),
    }


def _certificate(wanted: GatewaySettings, authority: AuthorityArgs, gardener: Gardener) -> CertificateArgs:
    match wanted.mode:
        case GatewayMode.OWN:
            ca_certificate = own_certificate.chain_end(wanted.certificate)
            return OwnArgs(wanted.certificate, ca_certificate, wanted.key.get_secret_value())
        case GatewayMode.SELF_SIGNED:
            return replace(authority, key_algorithm=wanted.key_algorithm)
        case _:
            hours = (wanted.validity_days * 24, authority.early_renewal_hours)
            return GardenerArgs(gardener, wanted.issuer, wanted.key_algorithm, *hours)


def _written(cluster: Cluster, secret: str) -> Mapping[str, str]:
    try:
        found = cluster.find("v1", "Secret", *secret.split("/"))
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
    return (found or {}).get("data") or {}
