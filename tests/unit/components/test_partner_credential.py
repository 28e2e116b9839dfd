"""What a client shows to a partner's host."""

from typing import Any

import pulumi
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from pulumi.runtime import rpc

from components.partner_credential import PartnerCredential, PartnerCredentialArgs
from tests.unit.conftest import Deploy, Recorder
from tests.unit.facts import HELM_EGRESS
from tests.unit.pki import Holder, issue

IDENTITY = "spiffe://kyma-mtls/test/client/billing"
CLIENT_AUTH, NAMES = ExtendedKeyUsageOID.CLIENT_AUTH, ("billing.example.com",)
ANSWER, CA = issue("billing", hosts=NAMES, usage=CLIENT_AUTH), issue("partner")


def credential(deploy: Deploy, certificate: str = "", key: str = "", made: Holder = ANSWER) -> Recorder:
    """Deploy the component with a given certificate and key; `made` holds the key that the component makes."""

    def program() -> dict[str, Any]:
        args = PartnerCredentialArgs(
            host="api",
            client="billing",
            namespace=pulumi.Output.from_input("mtls"),
            gateway=HELM_EGRESS,
            identity=IDENTITY,
            client_domain="billing.example.com",
            key_algorithm="ECDSA-P256",
            ca_certificate="PARTNER",
            certificate=certificate,
            key=key,
        )
        deployed = PartnerCredential("client-billing-api", args)
        return {"secret": deployed.secret, "request": deployed.request}

    public = made.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return deploy(program, outputs={"PrivateKey": {"publicKeyPem": public.decode()}})


def test_given_credential_is_stored_as_the_egress_gateway_reads_it(deploy: Deploy) -> None:
    stack = credential(deploy, ANSWER.pem, "KEY")
    name = stack.marked("client-billing-api-credential")
    expected = f"client-credential-mtls-api{name.removeprefix('client-billing-api-credential')}"
    metadata, pem = stack.credential(name)
    assert metadata == {"name": expected, "namespace": "egress"}
    assert pem == {"ca.crt": "PARTNER", "tls.crt": ANSWER.pem, "tls.key": "KEY"}
    assert stack.result == {"secret": expected, "request": None}
    assert "PrivateKey" not in stack.kinds(), "it would have no use"


def test_secret_keeps_its_name_when_a_certificate_is_renewed_and_changes_it_with_key_or_name(deploy: Deploy) -> None:
    renewed = issue("billing", CA, hosts=NAMES, usage=CLIENT_AUTH, key=ANSWER.key)
    other_name = issue("billing", hosts=("other.example.com",), usage=CLIENT_AUTH, key=ANSWER.key)
    other_key = issue("billing", hosts=NAMES, usage=CLIENT_AUTH)
    names = [
        credential(deploy, holder.pem, "KEY").result["secret"] for holder in (ANSWER, renewed, other_name, other_key)
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_signing_request_waits_for_its_answer_without_a_secret(deploy: Deploy) -> None:
    stack = credential(deploy)
    assert "Secret" not in stack.kinds()
    assert stack.result == {"secret": None, "request": "client-billing-api-request-certRequestPem"}
    request = stack.one("CertRequest", "client-billing-api-request")
    assert request["uris"] == [IDENTITY]
    assert request["dnsNames"] == ["billing.example.com"]


def test_answer_is_stored_with_the_key_that_the_stack_made(deploy: Deploy) -> None:
    stack = credential(deploy, ANSWER.pem)
    assert stack.pem("Secret", stack.marked("client-billing-api-credential")) == {
        "ca.crt": "PARTNER",
        "tls.crt": ANSWER.pem,
        "tls.key": "client-billing-api-request-privateKeyPem",
    }
    assert stack.result["request"], "the output stays"
    assert not rpc.is_rpc_secret(stack.result["request"])


def test_answer_for_another_key_is_an_error_that_names_the_config_path(deploy: Deploy) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        credential(deploy, ANSWER.pem, made=issue("another"))
    assert str(caught.value) == (
        "kyma-mtls:hosts.api.external.credentials.billing.certificate: not for the key of output signingRequests"
    )
