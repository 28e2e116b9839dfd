"""The Kyma gateway's part of a stack's config."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic.alias_generators import to_camel

from components.choices import KeyAlgorithm
from components.rules import LABEL, host_name
from settings import own_certificate
from settings.section import Section, encrypted_in
from settings.values import each_once, listed, may_be_shown, refuse

CIPHER_PROFILES = {
    "modern": (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ),
    "documented": (
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-SHA",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-SHA",
    ),
}

_SHORTEST_GARDENER_DAYS = 60
_GATEWAY_DOMAIN_LENGTH = 253 - len("apiserver.")
# Known to Envoy (its BoringSSL), yet without forward secrecy or authenticated encryption.
_WEAK_CIPHER = re.compile(r"(ECDHE-(ECDSA|RSA)-)?(AES(128|256)-(SHA|SHA256|GCM-SHA256|GCM-SHA384)|DES-CBC3-SHA)")


class GatewayMode(StrEnum):
    """Whether the target cluster gets a Kyma gateway, and where its certificate comes from."""

    NONE = "none"
    OWN = "own"
    SELF_SIGNED = "selfSigned"
    GARDENER = "gardener"


def _gateway_domain(value: str) -> str:
    if len(value) > _GATEWAY_DOMAIN_LENGTH:
        raise ValueError(f"longer than {_GATEWAY_DOMAIN_LENGTH} characters, which leaves no room for apiserver.DOMAIN")
    return host_name(value) if value else value


def _ciphers(value: str) -> str:
    if value in CIPHER_PROFILES:
        return value
    for name in listed(value) or ("",):
        if name in CIPHER_PROFILES["modern"]:
            continue
        if _WEAK_CIPHER.fullmatch(name):
            raise ValueError(f"{name} is weak; profile documented has some of the weak ciphers, no list may name one")
        known = ", ".join((*CIPHER_PROFILES, *CIPHER_PROFILES["modern"]))
        shown = f"cipher {name!r}" if may_be_shown(name) else "such cipher"
        raise ValueError(f"Envoy has no {shown}; known are {known}")
    each_once(listed(value))
    return value


def _hosts(value: str) -> str:
    for host in listed(value):
        host_name(host)
    each_once(listed(value))
    return value


def _issuer(value: str) -> str:
    if value and not re.fullmatch(rf"({LABEL}/)?{LABEL}(\.{LABEL})*", value):
        raise ValueError("not the name of an Issuer: NAME, or NAMESPACE/NAME")
    return value


def _gardener_days(value: int) -> int:
    if value and value < _SHORTEST_GARDENER_DAYS:
        raise ValueError(f"less than {_SHORTEST_GARDENER_DAYS}, the least that Gardener issues certificates for")
    return value


class GatewaySettings(Section):
    """The Kyma gateway: one field for each config key, there in camelCase and beginning with `gateway`."""

    model_config = ConfigDict(alias_generator=lambda name: to_camel(f"gateway_{name}"))

    mode: GatewayMode = Field(
        default=GatewayMode.NONE,
        description="Whether the stack deploys a Kyma gateway for `*.gatewayDomain` into the target, and where its "
        "certificate comes from: gatewayCertificate and gatewayKey (own), a CA of the stack's own (selfSigned) or "
        "Gardener's certificate management (gardener); none deploys no gateway",
    )
    domain: Annotated[str, AfterValidator(_gateway_domain)] = Field(
        default="",
        description="Domain whose names the gateway serves. Empty in mode gardener for the shoot's domain, in mode "
        "selfSigned for a demo domain at sslip.io, derived from the ingress gateway's IP address",
    )
    take_over: bool = Field(
        default=False,
        description="Whether the gateway takes over the documented names in kyma-system, kyma-installer and "
        "istio-system, which one stack in a cluster can have. On platform kyma, the API Gateway module then switches "
        "off its own gateway until `pulumi destroy --run-program`. With false, every object is in the stack's "
        "namespace or has a name that ends in it",
    )
    ciphers: Annotated[str, AfterValidator(_ciphers)] = Field(
        default="modern",
        description="Ciphers of TLS 1.2, the oldest version accepted: modern (authenticated encryption, for ECDSA and "
        "RSA keys), documented (Kyma's own list, for RSA keys; it has weak CBC ciphers) or Envoy's names, separated "
        "by commas",
    )
    certificate: str = Field(
        default="",
        description="PEM certificate for `*.gatewayDomain`, followed by those that signed it, up to its CA; mode own",
    )
    key: Annotated[SecretStr, encrypted_in("gatewayKey")] = Field(
        default=SecretStr(""),
        description="PEM private key of gatewayCertificate, without a passphrase; mode own; set with --secret",
    )
    key_algorithm: KeyAlgorithm = Field(
        default=KeyAlgorithm.ECDSA_P256,
        description="Algorithm of the gateway's private keys; modes selfSigned and gardener",
    )
    issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        default="",
        description="Gardener Issuer of the certificates, NAME or NAMESPACE/NAME; empty for the cluster's default. "
        "Gardener renews them renewBeforeDays before their end; mode gardener",
    )
    validity_days: Annotated[int, AfterValidator(_gardener_days)] = Field(
        default=0,
        le=36500,
        json_schema_extra={"minimum": 0},
        description="Validity in days that the Certificate requests, 60 or more; 0 sets none, which an ACME issuer "
        "needs; mode gardener",
    )
    wait_minutes: Annotated[int, Field(ge=1, le=60)] = Field(
        default=5,
        description="Minutes, 1 to 60, after which `pulumi up` fails while a certificate or a DNS entry of Gardener is "
        "not ready; mode gardener",
    )
    apiserver_proxy: bool = Field(
        default=False,
        description="Whether Kyma's apiserver-proxy gets a load balancer, a certificate for `apiserver.DOMAIN` and a "
        "DNS entry",
    )
    legacy_installer: bool = Field(
        default=False,
        description="Whether the stack makes the ConfigMaps that the installer of Kyma 1 reads. true weakens security: "
        "outside mode gardener, they hold the private key",
    )
    service_entries: Annotated[str, AfterValidator(_hosts)] = Field(
        default="",
        description="Host names outside the target cluster that get a ServiceEntry, separated by commas. Applications "
        "may call any host without it; two stacks cannot name the same host",
    )

    @property
    def cipher_suites(self) -> tuple[str, ...]:
        """Names of the TLS 1.2 ciphers, best first."""
        return CIPHER_PROFILES.get(self.ciphers) or listed(self.ciphers)

    @property
    def service_entry_hosts(self) -> tuple[str, ...]:
        """Host names outside the cluster that get a ServiceEntry."""
        return listed(self.service_entries)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        refuse(*self._conflicts())
        return self

    def _conflicts(self) -> Iterator[tuple[str, str]]:
        for name, field in type(self).model_fields.items():
            modes = _MODES_OF.get(name, _GATEWAY_MODES)
            if name != "mode" and getattr(self, name) != field.default and self.mode not in modes:
                yield f"{field.alias}", f"set, but gatewayMode is {self.mode}; it belongs to {' or '.join(modes)}"
        if self.mode == GatewayMode.OWN:
            yield from self._own_conflicts()
        elif self.mode != GatewayMode.NONE:
            yield from self._cipher_conflicts(self.key_algorithm.type)

    def _own_conflicts(self) -> Iterator[tuple[str, str]]:
        given = {"gatewayDomain": self.domain, "gatewayCertificate": self.certificate, "gatewayKey": self.key}
        missing = [key for key, value in given.items() if not value]
        if missing:
            yield from ((key, "not set; gatewayMode own needs it") for key in missing)
            return
        checked = own_certificate.check(self.certificate, self.key.get_secret_value(), self.domain)
        yield from ((f"gateway{part}", message) for part, message in checked.problems)
        if checked.key_type:
            yield from self._cipher_conflicts(checked.key_type)

    def _cipher_conflicts(self, key_type: str) -> Iterator[tuple[str, str]]:
        if not any(f"-{key_type}-" in name for name in self.cipher_suites):
            yield (
                "gatewayCiphers",
                f"{self.ciphers!r}: no cipher for a key of type {key_type}; TLS 1.2 would always fail",
            )


_GATEWAY_MODES = (GatewayMode.OWN, GatewayMode.SELF_SIGNED, GatewayMode.GARDENER)
_MODES_OF = {
    "certificate": (GatewayMode.OWN,),
    "key": (GatewayMode.OWN,),
    "key_algorithm": (GatewayMode.SELF_SIGNED, GatewayMode.GARDENER),
    "issuer": (GatewayMode.GARDENER,),
    "validity_days": (GatewayMode.GARDENER,),
    "wait_minutes": (GatewayMode.GARDENER,),
}
