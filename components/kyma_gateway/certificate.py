"""The sources of the Kyma gateway's certificates: the user, a CA of the stack's own, or Gardener.

Follows "TLS management" of Kyma's "Ingress and Egress traffic"
(https://kyma-project.io/docs/kyma/latest/04-operation-guides/security/sec-04-ingress-egress-traffic/).
"""

from base64 import b64decode
from dataclasses import dataclass
from typing import Any, Protocol

import pulumi
import pulumi_kubernetes as k8s

from ..certificates import Authority, AuthorityArgs, Names
from ..choices import KeyAlgorithm
from ..objects import credential_secret
from .gardener import Gardener

_COMMON_NAME_LENGTH = 64


@dataclass(frozen=True)
class OwnArgs:
    """A certificate that the user gives, for every host.

    certificate: PEM chain, server certificate first
    ca_certificate: PEM of the chain's last certificate
    key: PEM of the server certificate's key
    """

    certificate: str
    ca_certificate: str
    key: str


@dataclass(frozen=True)
class GardenerArgs:
    """Certificates of Gardener's certificate management.

    gardener: makes the Certificates
    issuer: name of an Issuer, or NAMESPACE/NAME for one in this cluster; empty for the cluster's default
    key_algorithm: ECDSA-P256, ECDSA-P384, RSA-2048, RSA-3072 or RSA-4096
    validity_hours: 1440 or more, which the issuer is asked for and may change; 0 asks for nothing: an ACME issuer
        refuses a Certificate with a duration
    renew_before_hours: before its end, when Gardener renews a certificate
    """

    gardener: Gardener
    issuer: str
    key_algorithm: str
    validity_hours: int
    renew_before_hours: int


CertificateArgs = OwnArgs | AuthorityArgs | GardenerArgs


@dataclass(frozen=True)
class Wanted:
    """A certificate that a source is to issue.

    host: DNS name
    secret: metadata of the Secret that holds it
    certificate: metadata of the Certificate, if Gardener issues it
    """

    host: pulumi.Input[str]
    secret: dict[str, Any]
    certificate: dict[str, Any]


@dataclass(frozen=True)
class Issued:
    """An issued certificate.

    certificate: PEM chain
    ca_certificate: PEM of the CA that the chain ends with, and of the trusted CAs of further generations
    key: PEM; None for Gardener's, which stays in its Secret
    """

    certificate: pulumi.Output[str]
    ca_certificate: pulumi.Output[str]
    key: pulumi.Output[str] | None


class CertificateSource(Protocol):
    """Issues certificates."""

    def issue(self, resource: str, wanted: Wanted, opts: pulumi.ResourceOptions) -> Issued:
        """Put a certificate and its key (tls.crt, tls.key) into the wanted Secret."""


def certificate_source(name: str, args: CertificateArgs, opts: pulumi.ResourceOptions) -> CertificateSource:
    """Return the source of certificates for its arguments; objects of a CA are made with `opts`."""
    match args:
        case OwnArgs():
            return _Own(args)
        case AuthorityArgs():
            return _SelfSigned(name, args, opts)
        case GardenerArgs():
            return _Gardener(args)


class _Own:
    def __init__(self, args: OwnArgs) -> None:
        self._certificate, self._ca_certificate = map(pulumi.Output.from_input, (args.certificate, args.ca_certificate))
        self._key = pulumi.Output.secret(args.key)

    def issue(self, resource: str, wanted: Wanted, opts: pulumi.ResourceOptions) -> Issued:
        _store(resource, wanted, self._certificate, self._key, opts)
        return Issued(self._certificate, self._ca_certificate, self._key)


class _SelfSigned:
    def __init__(self, name: str, args: AuthorityArgs, opts: pulumi.ResourceOptions) -> None:
        self._authority = Authority(name, {"common_name": "Kyma gateway CA", "organization": "Kyma"}, args, opts)

    def issue(self, resource: str, wanted: Wanted, opts: pulumi.ResourceOptions) -> Issued:
        server = self._authority.sign(resource, {"organization": "Kyma"}, Names([wanted.host]), "server_auth")
        _store(resource, wanted, server.certificate, server.key, opts)
        return Issued(server.certificate, server.trusted, server.key)


class _Gardener:
    def __init__(self, args: GardenerArgs) -> None:
        self._args = args

    def issue(self, resource: str, wanted: Wanted, opts: pulumi.ResourceOptions) -> Issued:
        # Gardener writes into the Secret, and does not delete it with the Certificate; the stack deletes its own:
        # https://github.com/gardener/cert-management/blob/master/pkg/controller/issuer/certificate/reconciler.go
        secret = k8s.core.v1.Secret(resource, metadata=wanted.secret, opts=opts)
        spec = pulumi.Output.all(wanted.host, secret.metadata.name).apply(
            lambda known: {**self._terms(), **_named(known[0]), "secretName": known[1]}
        )
        ready = self._args.gardener.certificate(resource, wanted.certificate, spec, opts)
        # Read once the Certificate is ready: until then, the ID of `ready` is unknown. A read resource would put the
        # key into the state, and break a destroy before the Certificate was ever ready.
        written = pulumi.Output.all(secret.id, ready.id).apply(lambda ids: self._args.gardener.written(ids[0]))

        def entry(key: str) -> pulumi.Output[str]:
            return written.apply(lambda data: b64decode(data.get(key, "")).decode())

        return Issued(entry("tls.crt"), entry("ca.crt"), None)

    def _terms(self) -> dict[str, object]:
        algorithm = KeyAlgorithm(self._args.key_algorithm)
        namespace, _, name = self._args.issuer.rpartition("/")
        issuer = {"name": name} | ({"namespace": namespace} if namespace else {})
        # Gardener rewrites every further notation of a duration to this one, and becomes the field's manager.
        validity = {"duration": f"{self._args.validity_hours}h0m0s"} if self._args.validity_hours else {}
        return {
            **validity,
            "renewBefore": f"{self._args.renew_before_hours}h0m0s",
            "privateKey": {"algorithm": algorithm.type, "size": algorithm.bits},
            **({"issuerRef": issuer} if name else {}),
        }


def _named(host: str) -> dict[str, object]:
    return {"commonName": host} if len(host) <= _COMMON_NAME_LENGTH else {"dnsNames": [host]}


def _store(
    resource: str,
    wanted: Wanted,
    certificate: pulumi.Output[str],
    key: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> None:
    credential_secret(resource, wanted.secret, {"tls.crt": certificate, "tls.key": key}, opts)
