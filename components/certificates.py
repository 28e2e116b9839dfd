"""The trust: a CA, and the server and client certificates it signs, all as pulumi-tls resources.

Follows "Generate mTLS certificates" of the mTLS tutorial, with what its certificates lack: subject alternative names
and extended key usages, without which no peer can tell the server's certificate from the client's.
"""

from dataclasses import dataclass
from typing import Required, TypedDict

import pulumi
import pulumi_random as random
import pulumi_tls as tls


class _Algorithm(TypedDict, total=False):
    algorithm: Required[str]
    ecdsa_curve: str
    rsa_bits: int


_ALGORITHMS: dict[str, _Algorithm] = {
    "ECDSA-P256": {"algorithm": "ECDSA", "ecdsa_curve": "P256"},
    "ECDSA-P384": {"algorithm": "ECDSA", "ecdsa_curve": "P384"},
    "RSA-2048": {"algorithm": "RSA", "rsa_bits": 2048},
    "RSA-3072": {"algorithm": "RSA", "rsa_bits": 3072},
    "RSA-4096": {"algorithm": "RSA", "rsa_bits": 4096},
}


class Subject(TypedDict, total=False):
    """Whom a certificate is for."""

    common_name: str
    organization: Required[str]


@dataclass(frozen=True)
class AuthorityArgs:
    """How a CA and the certificates it signs are issued.

    key_algorithm: of every key: ECDSA-P256, ECDSA-P384, RSA-2048, RSA-3072 or RSA-4096
    validity_hours, ca_validity_hours: from issue to end
    early_renewal_hours: a `pulumi up` within so many hours of the end renews
    generation: another value re-issues every key and certificate
    """

    key_algorithm: str
    validity_hours: int
    ca_validity_hours: int
    early_renewal_hours: int
    generation: str


@dataclass(frozen=True)
class CertificatesArgs:
    """What the certificates say.

    domain: the server certificate's common name and DNS name
    client_domain: the client certificate's common name and DNS name
    authority: how they are issued
    """

    domain: str
    client_domain: str
    authority: AuthorityArgs


@dataclass(frozen=True)
class Credential:
    """A certificate and its private key, both PEM; the key is a Pulumi secret.

    `expiry` is RFC 3339; `subject` is RFC 4514, as Envoy writes it into X-Forwarded-Client-Cert.
    """

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    expiry: pulumi.Output[str]
    subject: str


class Authority:
    """A CA that is made with `opts`; `credential` is its own."""

    credential: Credential

    def __init__(self, name: str, subject: Subject, args: AuthorityArgs, opts: pulumi.ResourceOptions) -> None:
        self._args, self._opts = args, opts
        self._generation = random.RandomId(
            f"{name}-generation", byte_length=8, keepers={"generation": args.generation}, opts=opts
        )
        key = self._key(f"{name}-ca")
        certificate = tls.SelfSignedCert(
            f"{name}-ca",
            private_key_pem=key.private_key_pem,
            subject=subject,
            is_ca_certificate=True,
            set_subject_key_id=True,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=args.ca_validity_hours,
            early_renewal_hours=args.early_renewal_hours,
            opts=opts,
        )
        self.credential = _credential(certificate, key, subject)

    def sign(self, resource: str, subject: Subject, dns_name: pulumi.Input[str], use: str) -> Credential:
        """A new key and its certificate for one DNS name, of the extended key usage server_auth or client_auth."""
        key = self._key(resource)
        request = tls.CertRequest(
            resource,
            private_key_pem=key.private_key_pem,
            subject=subject,
            dns_names=[dns_name],
            opts=self._opts,
        )
        certificate = tls.LocallySignedCert(
            resource,
            cert_request_pem=request.cert_request_pem,
            ca_cert_pem=self.credential.certificate,
            ca_private_key_pem=self.credential.key,
            set_subject_key_id=True,
            allowed_uses=["digital_signature", use],
            validity_period_hours=self._args.validity_hours,
            early_renewal_hours=self._args.early_renewal_hours,
            opts=self._opts,
        )
        return _credential(certificate, key, subject)

    def _key(self, resource: str) -> tls.PrivateKey:
        options = pulumi.ResourceOptions(
            replacement_trigger=self._generation.hex,
            additional_secret_outputs=["privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"],
        )
        return tls.PrivateKey(
            resource,
            **_ALGORITHMS[self._args.key_algorithm],
            opts=pulumi.ResourceOptions.merge(self._opts, options),
        )


class Certificates(pulumi.ComponentResource):
    """Makes the CA (`ca`), and the `server` and `client` credentials it signed."""

    ca: Credential
    server: Credential
    client: Credential

    def __init__(self, name: str, args: CertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:Certificates", name, None, opts)
        subject: Subject = {"common_name": args.domain, "organization": "example Inc."}
        authority = Authority(name, subject, args.authority, pulumi.ResourceOptions(parent=self))

        def sign(role: str, domain: str, organization: str, use: str) -> Credential:
            subject: Subject = {"common_name": domain, "organization": organization}
            return authority.sign(f"{name}-{role}", subject, domain, use)

        self.ca = authority.credential
        self.server = sign("server", args.domain, "some organization", "server_auth")
        self.client = sign("client", args.client_domain, "client organization", "client_auth")
        self.register_outputs({"caCertificate": self.ca.certificate})


def _credential(
    certificate: tls.SelfSignedCert | tls.LocallySignedCert, key: tls.PrivateKey, subject: Subject
) -> Credential:
    names = [f"CN={subject['common_name']}"] if "common_name" in subject else []
    rfc4514 = ",".join([*names, f"O={subject['organization']}"])
    return Credential(certificate.cert_pem, key.private_key_pem, certificate.validity_end_time, rfc4514)
