"""What a client shows to a partner's host: a given credential, or the answer to a signing request."""

from dataclasses import dataclass

import pulumi
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .certificates import SigningRequest, client_names
from .istio_gateway import IstioGateway
from .objects import credential_secret, in_gateway_namespace


@dataclass(frozen=True)
class PartnerCredentialArgs:
    """Who shows what to whom.

    host, client: their names in the config
    namespace: the stack's own
    gateway: the egress gateway, which shows it
    identity, client_domain: names that the signing request asks for: a SPIFFE URI, and a DNS name or nothing
    key_algorithm: of the key that the stack makes if none is given
    ca_certificate: PEM of the CA that must have signed the certificate of the partner's host
    certificate: PEM chain by which the partner knows the client; empty while the signing request has no answer
    key: PEM of its key; empty if the stack made the key
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
    """Makes the Secret client-credential-NAMESPACE-HOST, and before it a key and a signing request if no key is given.

    Gives `secret`, its name, None while there is no certificate; and `request` (PEM), None if a key is given.
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
            self.secret = credential_secret(
                f"{name}-credential",
                in_gateway_namespace(
                    args.gateway, pulumi.Output.concat("client-credential-", args.namespace, "-", args.host)
                ),
                {"ca.crt": pulumi.Output.from_input(args.ca_certificate), "tls.crt": certificate, "tls.key": key},
                children,
            ).metadata.name
        self.register_outputs({"request": self.request})


def _answer(certificate: str, public_key: str | None, path: str) -> str:
    """Return the certificate; raise RunError unless it is for this key."""
    # There is no key when `pulumi destroy --run-program` meets a stack that was never finished.
    if certificate and public_key:
        signed = x509.load_pem_x509_certificate(certificate.encode()).public_key()
        if signed != serialization.load_pem_public_key(public_key.encode()):
            raise pulumi.RunError(f"kyma-mtls:{path}: not for the key of output signingRequests")
    return certificate
