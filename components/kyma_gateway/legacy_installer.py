"""The overrides that the installer of Kyma 1 read: ConfigMaps with the gateway's domain and, in part, its key."""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from ..objects import in_base64
from .certificate import Issued
from .places import Places

_LABELS = {"installer": "overrides", "kyma-project.io/installation": ""}


def make_overrides(
    name: str, places: Places, data: Mapping[str, Mapping[str, pulumi.Output[str]]], opts: pulumi.ResourceOptions
) -> None:
    """Make ConfigMaps that the installer reads; `data` by their names."""
    for config_map, values in data.items():
        metadata = {**places.in_installer(config_map), "labels": _LABELS}
        k8s.core.v1.ConfigMap(f"{name}-{config_map}", metadata=metadata, data=values, opts=opts)


def overrides(
    domain: pulumi.Output[str], issued: Issued, *, is_users: bool
) -> dict[str, dict[str, pulumi.Output[str]]]:
    """Return the data of the ConfigMaps, by their names.

    domain: of the gateway, without `*.`
    issued: the gateway's certificate; without its key, the overrides hold the domain alone
    is_users: whether the user brought the certificate, which the installer then uses for all hosts
    """
    if issued.key is None:
        return {"net-global-overrides": {"global.domainName": domain, "global.ingress.domainName": domain}}
    certificate, key = in_base64(issued.certificate), in_base64(issued.key)
    ingress = {
        "global.ingress.domainName": domain,
        "global.ingress.tlsCrt": certificate,
        "global.ingress.tlsKey": key,
    }
    users = {"my-certificate-overrides": {"global.tlsCrt": certificate, "global.tlsKey": key}} if is_users else {}
    return {"net-global-overrides": ingress, **users}
