"""The credential of a client for a partner's host: given by the user, or signed by the partner on request."""

from dataclasses import dataclass

import pulumi
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .certificates import SigningRequest, client_names, mark
from .istio_gateway import IstioGateway
from .objects import credential_secret, in_gateway_namespace


@dataclass(frozen=True)
class PartnerCredentialArgs:
    """The client, the partner's host, and the credential.

    host, client: their names in the config
    namespace: the stack's own
    gateway: the egress gateway, which uses the credential
    identity: SPIFFE URI that the signing request asks for
    client_domain: DNS name that the signing request asks for; empty for none
    key_algorithm: of the key that the component makes if none is given
    ca_certificate: PEM of the CAs one of which must have signed the certificate of the partner's host
    certificate: PEM chain that the partner accepts; empty while the partner has not signed the request
    key: PEM of the certificate's key; empty if the component makes the key
    """

    host: str
    client: str
    namespace: pulumi.Output[str]
    gateway: IstioGateway
    identity: str
    client_domain: str
    key_algorithm: str
    ca_certificate: str
    certificate: str
    key: str


class PartnerCredential(pulumi.ComponentResource):
    """Makes the Secret client-credential-NAMESPACE-HOST.HASH, and before it a key and a signing request without a key.

    The hash is that of ca_certificate and of the certificate's key and names: another of these makes another Secret,
    which ends open connections; a renewed certificate updates the Secret.

    Raises RunError if the certificate is not for the key that the component made.

    secret: name of the Secret; None while there is no certificate
    request: PEM of the signing request; None if a key is given
    """

    secret: pulumi.Output[str] | None = None
    request: pulumi.Output[str] | None = None

    def __init__(self, name: str, args: PartnerCredentialArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kyma-mtls:index:PartnerCredential", name, None, opts)
        children = pulumi.ResourceOptions(parent=self)
        certificate = pulumi.Output.from_input(args.certificate)
        key = pulumi.Output.secret(args.key)
        if not args.key:
            names = client_names(args.client, args.identity, args.client_domain)
            made = SigningRequest(f"{name}-request", args.key_algorithm, *names, children)
            self.request, key = made.request, made.key
            path = f"hosts.{args.host}.external.credentials.{args.client}.certificate"
            certificate = made.public_key.apply(lambda public: _answer(args.certificate, public, path))
        if args.certificate:
            version = mark(args.ca_certificate, _holder(args.certificate))
            secret = pulumi.Output.concat("client-credential-", args.namespace, "-", args.host, version)
            self.secret = credential_secret(
                f"{name}-credential{version}",
                in_gateway_namespace(args.gateway, secret),
                {"ca.crt": pulumi.Output.from_input(args.ca_certificate), "tls.crt": certificate, "tls.key": key},
                children,
            ).metadata.name
        self.register_outputs({"request": self.request})


def _holder(certificate: str) -> bytes:
    """Return what a certificate says about its holder: key, subject and alternative names."""
    read = x509.load_pem_x509_certificate(certificate.encode())
    names = [
        each.value.public_bytes() for each in read.extensions if isinstance(each.value, x509.SubjectAlternativeName)
    ]
    key = read.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b"|".join((key, read.subject.public_bytes(), *names))


def _answer(certificate: str, public_key: str | None, path: str) -> str:
    """Return the certificate; raise RunError unless it is for this key."""
    # In `pulumi destroy --run-program` of a stack whose first update failed, the key may be None.
    if certificate and public_key:
        signed = x509.load_pem_x509_certificate(certificate.encode()).public_key()
        if signed != serialization.load_pem_public_key(public_key.encode()):
            raise pulumi.RunError(f"kyma-mtls:{path}: not for the key of output signingRequests")
    return certificate
