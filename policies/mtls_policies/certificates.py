"""The validity of certificates that a stack issues, or requests from an issuer in the cluster."""

import re
from collections.abc import Iterator

from .policy import Config, Resource, ResourcePolicy

_ISSUED = ("tls:index/locallySignedCert:LocallySignedCert", "tls:index/selfSignedCert:SelfSignedCert")
_REQUESTED = ("cert-manager.io/Certificate", "cert.gardener.cloud/Certificate")
_HOURS = {"h": 1.0, "m": 1 / 60, "s": 1 / 3600}


def _judge(resource: Resource, config: Config) -> Iterator[str]:
    if resource.type in _ISSUED:
        field, hours = "validityPeriodHours", resource.properties.get("validityPeriodHours")
        is_authority = resource.properties.get("isCaCertificate")
    elif resource.kind in _REQUESTED:
        field, hours = "spec.duration", _hours(resource.spec.get("duration"))
        is_authority = resource.spec.get("isCA")
    else:
        return
    setting = "maximumAuthorityDays" if is_authority else "maximumDays"
    if isinstance(hours, int | float) and hours > config[setting] * 24:
        yield f"{field}: {hours / 24:g} days; {config[setting]:g} are allowed ({setting})"


def _hours(duration: object) -> float | None:
    """Return the hours of a Kubernetes duration such as 2160h0m0s; None without one: then the issuer decides."""
    if not isinstance(duration, str):
        return None
    return sum(float(number) * _HOURS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([hms])", duration))


POLICY = ResourcePolicy(
    "certificate-lifetime",
    "No certificate is valid for longer than allowed.",
    _judge,
    {
        "maximumDays": {"type": "integer", "minimum": 1, "default": 365},
        "maximumAuthorityDays": {"type": "integer", "minimum": 1, "default": 1825},
    },
)
