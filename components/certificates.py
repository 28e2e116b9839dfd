"""CAs, the server and client certificates that they sign, and signing requests for partners, by pulumi-tls.

A generation is a CA with everything that it signs. Its name is part of the resources' names, so that Pulumi makes the
resources of a new generation before it deletes those of the old one.

Follows "Generate mTLS certificates" of the mTLS tutorial (https://developers.sap.com/tutorials/cp-kyma-mtls-requests-egress),
and adds to its certificates subject alternative names and extended key usages, by which a peer can tell a server's
certificate from a client's.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Required, TypedDict

import pulumi
import pulumi_tls as tls

from .arguments import check_choice
from .choices import KeyAlgorithm

ORGANIZATION = "kyma-mtls"

_END_OF_CERTIFICATE = "-----END CERTIFICATE-----"


class _Algorithm(TypedDict, total=False):
    algorithm: Required[str]
    ecdsa_curve: str
    rsa_bits: int


# A change of the algorithm keeps the keys that exist.
_KEPT = pulumi.ResourceOptions(ignore_changes=["algorithm", "ecdsaCurve", "rsaBits"])


class Subject(TypedDict, total=False):
    """The subject of a certificate."""

    common_name: str
    organization: Required[str]


@dataclass(frozen=True)
class Names:
    """Subject alternative names of a certificate: DNS names and URIs."""

    dns: Sequence[pulumi.Input[str]]
    uris: Sequence[str] = ()


@dataclass(frozen=True)
class AuthorityArgs:
    """How a CA, and the certificates that it signs, are issued; RunError for an unknown algorithm.

    key_algorithm: of new keys: ECDSA-P256 (default), ECDSA-P384, RSA-2048, RSA-3072 or RSA-4096
    validity_hours: of the certificates of servers and clients, from issue to end; one year by default
    ca_validity_hours: of the CA's certificate; five years by default
    early_renewal_hours: before its end, from which on `pulumi up` renews a certificate; 30 days by default. A CA's is
        renewed earlier by validity_hours, so that it outlives all that it signs
    generation: of the CA that signs; "1" by default
    trusted_generations: whose CAs are made and trusted as well, and sign nothing; none by default
    """

    key_algorithm: str = KeyAlgorithm.ECDSA_P256
    validity_hours: int = 365 * 24
    ca_validity_hours: int = 5 * 365 * 24
    early_renewal_hours: int = 30 * 24
    generation: str = "1"
    trusted_generations: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_choice("key_algorithm", self.key_algorithm, KeyAlgorithm)


@dataclass(frozen=True)
class CertifiedKey:
    """A certificate and its private key, both PEM; the key is a Pulumi secret.

    expiry: end of the certificate, RFC 3339 in whole seconds
    subject: of the certificate, RFC 4514, as Envoy writes it into X-Forwarded-Client-Cert
    """

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    expiry: pulumi.Output[str]
    subject: str


@dataclass(frozen=True)
class Credential(CertifiedKey):
    """A certified key of a server or client, and the CAs of the stack that it travels with.

    generations: of these CAs, joined by dots, first the one that signed this certificate. They are part of the name of
        the Secret that holds the credential: a change of them makes a new Secret, which ends open connections
    trusted: PEM of these CAs in one text, in the same order
    """

    generations: str
    trusted: pulumi.Output[str]


class Authority:
    """The CAs of all generations, made with `opts`.

    ca: of the generation that signs
    trusted: PEM of the CAs of all generations in one text, first the one that signs
    """

    ca: CertifiedKey
    trusted: pulumi.Output[str]

    def __init__(self, name: str, subject: Subject, args: AuthorityArgs, opts: pulumi.ResourceOptions) -> None:
        self._args, self._opts = args, opts
        self.ca = self._make(name, args.generation, subject)
        further = [self._make(name, generation, subject) for generation in args.trusted_generations]
        self.trusted = joined([ca.certificate for ca in (self.ca, *further)])
        self._generations = ".".join((args.generation, *args.trusted_generations))

    def sign(self, resource: str, subject: Subject, names: Names, use: str) -> Credential:
        """Return a new key and its certificate, with the extended key usage `use`: server_auth or client_auth."""
        resource = f"{resource}.{self._args.generation}"
        key = _private_key(resource, self._args.key_algorithm, self._opts)
        request = tls.CertRequest(
            resource,
            private_key_pem=key.private_key_pem,
            subject=subject,
            dns_names=names.dns,
            uris=names.uris,
            opts=self._opts,
        )
        certificate = tls.LocallySignedCert(
            resource,
            cert_request_pem=request.cert_request_pem,
            ca_cert_pem=self.ca.certificate,
            ca_private_key_pem=self.ca.key,
            set_subject_key_id=True,
            allowed_uses=["digital_signature", use],
            validity_period_hours=self._args.validity_hours,
            early_renewal_hours=self._args.early_renewal_hours,
            opts=self._opts,
        )
        issued = _certified(certificate, key, subject)
        return Credential(**vars(issued), generations=self._generations, trusted=self.trusted)

    def _make(self, name: str, generation: str, subject: Subject) -> CertifiedKey:
        resource, args = f"{name}-ca.{generation}", self._args
        # A new key would make a new CA, which no peer trusts yet.
        key = _private_key(resource, args.key_algorithm, pulumi.ResourceOptions.merge(self._opts, _KEPT))
        named: Subject = {**subject, "common_name": f"{subject['common_name']} {generation}"}
        certificate = tls.SelfSignedCert(
            resource,
            private_key_pem=key.private_key_pem,
            subject=named,
            is_ca_certificate=True,
            set_subject_key_id=True,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=args.ca_validity_hours,
            early_renewal_hours=args.validity_hours + args.early_renewal_hours,
            opts=self._opts,
        )
        return _certified(certificate, key, named)


class Certificates(pulumi.ComponentResource):
    """Makes the CAs of all generations, and signs the credentials of servers and clients.

    ca: of the generation that signs
    trusted: PEM of the CAs of all generations in one text, first the one that signs
    """

    ca: CertifiedKey
    trusted: pulumi.Output[str]

    def __init__(self, name: str, args: AuthorityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:Certificates", name, None, opts)
        self._name = name
        subject: Subject = {"common_name": f"kyma-mtls {pulumi.get_stack()}", "organization": ORGANIZATION}
        self._authority = Authority(name, subject, args, pulumi.ResourceOptions(parent=self))
        self.ca, self.trusted = self._authority.ca, self._authority.trusted
        self.register_outputs({"caCertificate": self.trusted})

    def server(self, host: str, domain: str) -> Credential:
        """Return the credential of a host, by its name in the config, for its domain."""
        subject: Subject = {"common_name": domain, "organization": ORGANIZATION}
        return self._authority.sign(f"{self._name}-host-{host}", subject, Names([domain]), "server_auth")

    def client(self, client: str, identity: str, domain: str = "") -> Credential:
        """Return the credential of a client, for its identity (a SPIFFE URI), and for its domain if it has one."""
        subject, names = client_names(client, identity, domain)
        return self._authority.sign(f"{self._name}-client-{client}", subject, names, "client_auth")


def client_names(client: str, identity: str, domain: str) -> tuple[Subject, Names]:
    """Return the subject and the subject alternative names of a client's certificate."""
    subject: Subject = {"common_name": domain or client, "organization": ORGANIZATION}
    return subject, Names([domain] if domain else [], [identity])


class SigningRequest(pulumi.ComponentResource):
    """Makes a private key and a certificate signing request for it.

    The partner that signs the request decides how long the certificate is valid: no renewal, no generation and no
    change of the algorithm changes the key.

    key, public_key, request: PEM; the key is a Pulumi secret
    """

    key: pulumi.Output[str]
    request: pulumi.Output[str]
    public_key: pulumi.Output[str]

    def __init__(
        self, name: str, key_algorithm: str, subject: Subject, names: Names, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kyma-mtls:index:SigningRequest", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        key = _private_key(name, key_algorithm, pulumi.ResourceOptions.merge(children, _KEPT))
        request = tls.CertRequest(
            name,
            private_key_pem=key.private_key_pem,
            subject=subject,
            dns_names=names.dns,
            uris=names.uris,
            opts=children,
        )
        self.key, self.request, self.public_key = key.private_key_pem, request.cert_request_pem, key.public_key_pem
        self.register_outputs({"request": self.request})


def joined(pems: pulumi.Input[str] | Sequence[pulumi.Input[str]]) -> pulumi.Output[str]:
    """Return a PEM text of these, each once; a single text stands for a list of one."""
    several = pems if isinstance(pems, Sequence) and not isinstance(pems, str) else [pems]
    return pulumi.Output.all(*several).apply(_join)


def mark(pems: pulumi.Input[str] | Sequence[pulumi.Input[str]] | None, *further: bytes) -> str:
    """Return the part of a Secret's name that follows what the user gave for it: a dot and a hash; empty if nothing.

    Of the PEM texts, those that are known before anything is deployed count, as a set of certificates.
    """
    several = pems if isinstance(pems, Sequence) and not isinstance(pems, str) else [pems]
    given = [pem for pem in several if isinstance(pem, str)]
    if not given and not further:
        return ""
    blocks = {block.strip() for block in "\n".join(given).split(_END_OF_CERTIFICATE)}
    return f".{hashlib.sha256(b'|'.join((*further, *(each.encode() for each in sorted(blocks))))).hexdigest()[:8]}"


def _join(pems: Sequence[str | None]) -> str:
    # In `pulumi destroy --run-program`, what was never deployed has outputs that are None.
    text = "".join(dict.fromkeys(filter(None, pems)))
    return text.replace("----------", "-----\n-----")  # after a text without a final line break


def _private_key(resource: str, algorithm: str, opts: pulumi.ResourceOptions) -> tls.PrivateKey:
    secret = ["privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"]
    options = pulumi.ResourceOptions(additional_secret_outputs=secret)
    return tls.PrivateKey(resource, **_described(algorithm), opts=pulumi.ResourceOptions.merge(opts, options))


def _described(algorithm: str) -> _Algorithm:
    known = KeyAlgorithm(algorithm)
    if known.type == "RSA":
        return {"algorithm": known.type, "rsa_bits": known.bits}
    return {"algorithm": known.type, "ecdsa_curve": f"P{known.bits}"}


def _certified(
    certificate: tls.SelfSignedCert | tls.LocallySignedCert, key: tls.PrivateKey, subject: Subject
) -> CertifiedKey:
    names = [f"CN={subject['common_name']}"] if "common_name" in subject else []
    rfc4514 = ",".join([*names, f"O={subject['organization']}"])
    # The provider gives nanoseconds; the certificate has whole seconds.
    expiry = certificate.validity_end_time.apply(lambda time: re.sub(r"\.\d+(?=Z|[+-]\d\d:)", "", time or ""))
    return CertifiedKey(certificate.cert_pem, key.private_key_pem, expiry, rfc4514)
