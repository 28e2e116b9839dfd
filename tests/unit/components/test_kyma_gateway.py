"""What the Kyma gateway puts where, in each mode."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from components.certificates import AuthorityArgs
from components.kyma_gateway import KymaGateway, KymaGatewayArgs, TakeOver
from components.kyma_gateway.addresses import demo_domain, ip_stack
from components.kyma_gateway.certificate import CertificateArgs, GardenerArgs, OwnArgs
from components.kyma_gateway.gardener import Gardener
from components.ownership import OWNER_LABEL
from components.readiness import READY
from tests.unit.conftest import Deploy, Recorder
from tests.unit.facts import HELM_INGRESS, ISTIOCTL_INGRESS

OWN = OwnArgs("CERTIFICATE", "CA", "KEY")
SELF_SIGNED = AuthorityArgs("ECDSA-P256", 240, 2400, 24, "1")
WRITTEN = {key: base64.b64encode(f"ISSUED {key}".encode()).decode() for key in ("tls.crt", "ca.crt")}
ASKING = Gardener(5, lambda _: WRITTEN)
GARDENER = GardenerArgs(ASKING, "issuers/lab", "ECDSA-P384", 2160, 720)
MODES = {"own": OWN, "selfSigned": SELF_SIGNED, "gardener": GARDENER}

TABLES = {
    "own": [
        "Secret ingress-tls-cert kyma-system",
        "ConfigMap net-global-overrides kyma-installer",
        "Secret kyma-gateway-certs istio-system",
        "Secret kyma-gateway-certs-cacert istio-system",
        "Secret apiserver-proxy-tls-cert kyma-system",
        "ConfigMap apiserver-proxy kyma-system",
    ],
    "gardener": [
        "Secret ingress-tls-cert kyma-system",
        "ConfigMap net-global-overrides kyma-installer",
        "Secret kyma-gateway-certs-cacert istio-system",
        "Certificate kyma-tls-cert istio-system",
        "Certificate apiserver-proxy-tls-cert kyma-system",
        "ConfigMap apiserver-proxy kyma-system",
    ],
}
TABLES["selfSigned"] = TABLES["own"]

Gateway = Callable[..., Recorder]


@pytest.fixture
def gateway(deploy: Deploy) -> Gateway:
    """Deploys the component in one mode, taking over unless `alone`, with some arguments changed."""

    def run(
        certificate: CertificateArgs = OWN, *, alone: bool = False, operator: bool = False, **changed: Any
    ) -> Recorder:
        def program() -> None:
            back = pulumi.ResourceHook("given-back", lambda _: None)
            take_over = TakeOver(
                ("kyma-installer",),
                operator,
                "0a1b",
                lambda _cluster, _module: READY,
                pulumi.ResourceHookBinding(before_delete=[back]),
            )
            values: dict[str, Any] = {
                "domain": "kyma.example.com",
                "ingress": ISTIOCTL_INGRESS,
                "namespace": "mtls",
                "take_over": None if alone else take_over,
                "certificate": certificate,
                "cipher_suites": ("ECDHE-ECDSA-AES128-GCM-SHA256",),
                "apiserver_proxy": True,
                "legacy_installer": True,
                "service_entry_hosts": (),
            }
            KymaGateway("gateway", KymaGatewayArgs(**(values | changed)))

        return deploy(program)

    return run


def made(stack: Recorder, *kinds: str) -> list[str]:
    """Objects in the cluster that the stack makes, as `Kind name namespace`."""
    return [
        f"{r.typ.rpartition(':')[2]} {r.inputs['metadata']['name']} {r.inputs['metadata'].get('namespace')}"
        for r in stack.resources
        if "metadata" in r.inputs and not r.resource_id and r.typ.rpartition(":")[2] in kinds
    ]


def data(stack: Recorder, kind: str, name: str) -> dict[str, str]:
    values = stack.one(kind, name)["data"]
    return dict(rpc.unwrap_rpc_secret(values) if rpc.is_rpc_secret(values) else values)


def decoded(values: dict[str, str]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in values.items()}


@pytest.mark.parametrize("mode", MODES)
def test_every_object_of_the_documents_table_is_there_and_no_other(gateway: Gateway, mode: str) -> None:
    objects = made(gateway(MODES[mode]), "Secret", "ConfigMap", "Certificate")
    extra = {
        "own": ["ConfigMap my-certificate-overrides kyma-installer"],
        "gardener": ["Secret kyma-gateway-certs istio-system", "Secret apiserver-proxy-tls-cert kyma-system"],
    }
    assert sorted(objects) == sorted(TABLES[mode] + extra.get(mode, []))


def test_gardeners_secrets_are_left_for_it_to_fill_and_removed_with_the_stack(gateway: Gateway) -> None:
    stack = gateway(GARDENER)
    for name in ("gateway-certificate", "gateway-apiserver-proxy-certificate"):
        assert "data" not in stack.one("Secret", name)


def test_the_gateway_serves_the_domain_by_tls_1_2_and_redirects_to_it(gateway: Gateway) -> None:
    https, http = gateway().one("Gateway", "gateway-gateway")["spec"]["servers"]
    assert https["hosts"] == http["hosts"] == ["*.kyma.example.com"]
    assert https["port"] == {"number": 443, "name": "https", "protocol": "HTTPS"}
    assert https["tls"] == {
        "mode": "SIMPLE",
        "credentialName": "kyma-gateway-certs",
        "minProtocolVersion": "TLSV1_2",
        "cipherSuites": ["ECDHE-ECDSA-AES128-GCM-SHA256"],
    }
    assert (http["port"]["number"], http["tls"]) == (80, {"httpsRedirect": True})


def test_taking_over_gives_the_documented_name(gateway: Gateway) -> None:
    metadata = gateway().one("Gateway", "gateway-gateway")["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("kyma-system", "kyma-gateway")


def test_only_missing_namespaces_are_made(gateway: Gateway) -> None:
    assert made(gateway(), "Namespace") == ["Namespace kyma-installer None"], "kyma-system was there before"


@pytest.mark.parametrize("mode", MODES)
def test_without_taking_over_all_is_the_stacks_own(gateway: Gateway, mode: str) -> None:
    stack = gateway(MODES[mode], alone=True)
    assert not {"Namespace", "APIGatewayPatch"} & stack.kinds()
    metadata = [r.inputs["metadata"] for r in stack.resources if "metadata" in r.inputs and not r.resource_id]
    for place in metadata:
        assert place["namespace"] in {"mtls", "istio-system"}
        if place["namespace"] == "istio-system":
            assert place["name"].removesuffix("-cacert").endswith("-mtls"), "two stacks would fight over a name"
    credential = stack.one("Gateway", "gateway-gateway")["spec"]["servers"][0]["tls"]["credentialName"]
    assert f"Secret {credential}-cacert istio-system" in made(stack, "Secret")


def test_kymas_operator_gives_its_gateway_up_before_ours_is_made(gateway: Gateway) -> None:
    stack = gateway(operator=True)
    assert stack.one("APIGatewayPatch", "gateway-operator")["spec"] == {"enableKymaGateway": False}
    owner = stack.one("APIGatewayPatch", "gateway-owner")
    assert owner["metadata"]["labels"] == {OWNER_LABEL: "0a1b"}, "force would let a second stack take over, too"
    assert "APIGateway" not in stack.kinds(), "deleting the APIGateway uninstalls the module"
    assert stack.comes_after("APIGatewayPatch gateway-operator", "APIGatewayPatch gateway-owner")
    assert stack.comes_after("Stash gateway-operator-ready", "APIGatewayPatch gateway-operator")
    assert stack.comes_after("Gateway gateway-gateway", "Stash gateway-operator-ready")
    assert list(stack.request("APIGatewayPatch", "gateway-operator").hooks.before_delete) == ["given-back"]


def test_own_certificate_goes_where_it_is_needed_and_its_key_only_where_it_serves(gateway: Gateway) -> None:
    stack = gateway()
    pair = {"tls.crt": "CERTIFICATE", "tls.key": "KEY"}
    assert decoded(data(stack, "Secret", "gateway-certificate")) == pair
    assert decoded(data(stack, "Secret", "gateway-apiserver-proxy-certificate")) == pair
    assert decoded(data(stack, "Secret", "gateway-ca")) == {"cacert": "CA"}
    assert decoded(data(stack, "Secret", "gateway-ingress")) == {"tls.crt": "CERTIFICATE"}


def test_the_key_is_a_secret_in_the_state_wherever_it_goes(gateway: Gateway) -> None:
    stack = gateway()
    for kind, name in (
        ("Secret", "gateway-certificate"),
        ("Secret", "gateway-apiserver-proxy-certificate"),
        ("ConfigMap", "gateway-net-global-overrides"),
        ("ConfigMap", "gateway-my-certificate-overrides"),
    ):
        assert rpc.is_rpc_secret(stack.one(kind, name)["data"]), f"previews would show what is in {kind} {name}"


def test_self_signed_certificates_are_for_the_wildcard_and_the_proxy(gateway: Gateway) -> None:
    stack = gateway(SELF_SIGNED)
    assert stack.one("SelfSignedCert", "gateway-ca.1")["isCaCertificate"] is True
    names = {
        role: stack.one("CertRequest", f"gateway-{role}.1")["dnsNames"]
        for role in ("certificate", "apiserver-proxy-certificate")
    }
    assert names == {
        "certificate": ["*.kyma.example.com"],
        "apiserver-proxy-certificate": ["apiserver.kyma.example.com"],
    }
    uses = [r.inputs["allowedUses"] for r in stack.resources if r.typ.endswith("LocallySignedCert")]
    assert uses == 2 * [["digital_signature", "server_auth"]]


def test_another_generation_of_the_gateways_ca_keeps_the_documents_names(gateway: Gateway) -> None:
    stack = gateway(AuthorityArgs("ECDSA-P256", 240, 2400, 24, "2", ("1",)))
    assert stack.one("Secret", "gateway-certificate")["metadata"]["name"] == "kyma-gateway-certs"
    assert decoded(data(stack, "Secret", "gateway-certificate"))["tls.crt"] == "gateway-certificate.2-certPem"
    assert decoded(data(stack, "Secret", "gateway-ca")) == {"cacert": "gateway-ca.2-certPemgateway-ca.1-certPem"}


def test_without_a_domain_addresses_give_one(gateway: Gateway) -> None:
    stack = gateway(SELF_SIGNED, domain="")
    (https, _) = stack.one("Gateway", "gateway-gateway")["spec"]["servers"]
    assert https["hosts"] == ["*.192-0-2-7.sslip.io"]
    assert stack.one("CertRequest", "gateway-certificate.1")["dnsNames"] == ["*.192-0-2-7.sslip.io"]
    assert data(stack, "ConfigMap", "gateway-apiserver-proxy-domain") == {"DOMAIN": "192-0-2-8.sslip.io"}
    assert stack.one("CertRequest", "gateway-apiserver-proxy-certificate.1")["dnsNames"] == [
        "apiserver.192-0-2-8.sslip.io"
    ], "the proxy has a load balancer of its own"


def test_ipv6_addresses_give_a_domain_too() -> None:
    assert demo_domain("2001:db8::7") == "2001-0db8-0000-0000-0000-0000-0000-0007.sslip.io"


def test_gardener_is_asked_for_certificates_and_their_renewal(gateway: Gateway) -> None:
    stack = gateway(GARDENER)
    wildcard = stack.one("Certificate", "gateway-certificate")
    assert wildcard["spec"] == {
        "commonName": "*.kyma.example.com",
        "secretName": "kyma-gateway-certs",
        "issuerRef": {"name": "lab", "namespace": "issuers"},
        "duration": "2160h0m0s",
        "renewBefore": "720h0m0s",
        "privateKey": {"algorithm": "ECDSA", "size": 384},
    }
    assert stack.comes_after("Stash gateway-certificate-ready", "Certificate gateway-certificate")
    proxy = stack.one("Certificate", "gateway-apiserver-proxy-certificate")["spec"]
    assert (proxy["commonName"], proxy["secretName"]) == ("apiserver.kyma.example.com", "apiserver-proxy-tls-cert")


def test_gardener_gets_names_longer_than_a_common_name(gateway: Gateway) -> None:
    domain = ".".join(["a" * 40, "b" * 40, "example.com"])
    spec = gateway(GARDENER, domain=domain).one("Certificate", "gateway-certificate")["spec"]
    assert "commonName" not in spec, "it holds 64 characters"
    assert spec["dnsNames"] == [f"*.{domain}"]


def test_without_an_issuer_gardener_takes_its_default(gateway: Gateway) -> None:
    spec = gateway(GardenerArgs(ASKING, "", "RSA-4096", 2160, 720)).one("Certificate", "gateway-certificate")["spec"]
    assert "issuerRef" not in spec
    assert spec["privateKey"] == {"algorithm": "RSA", "size": 4096}


def test_what_gardener_issued_is_propagated_without_its_key(gateway: Gateway) -> None:
    stack = gateway(GARDENER)
    assert decoded(data(stack, "Secret", "gateway-ca")) == {"cacert": "ISSUED ca.crt"}
    assert decoded(data(stack, "Secret", "gateway-ingress")) == {"tls.crt": "ISSUED tls.crt"}
    assert data(stack, "ConfigMap", "gateway-net-global-overrides") == {
        "global.domainName": "kyma.example.com",
        "global.ingress.domainName": "kyma.example.com",
    }


def test_issuer_is_asked_for_no_duration_unless_one_is_set(gateway: Gateway) -> None:
    asked = gateway(replace(GARDENER, validity_hours=0)).one("Certificate", "gateway-certificate")
    assert "duration" not in asked["spec"], "an ACME issuer refuses it"


def test_gardener_makes_dns_entries(gateway: Gateway) -> None:
    stack = gateway(GARDENER)
    entries = {name: stack.one("DNSEntry", f"gateway-{name}") for name in ("dns", "apiserver-proxy-dns")}
    assert [entry["spec"] for entry in entries.values()] == [
        {"dnsName": "*.kyma.example.com", "ttl": 600, "targets": ["192.0.2.7"]},
        {"dnsName": "apiserver.kyma.example.com", "ttl": 600, "targets": ["192.0.2.8"]},
    ]
    assert stack.comes_after("Stash gateway-dns-ready", "DNSEntry gateway-dns")
    for entry in entries.values():
        annotations = entry["metadata"]["annotations"]
        assert annotations["dns.gardener.cloud/class"] == "garden"
        assert annotations["dns.gardener.cloud/ip-stack"] == "ipv4"


def test_every_address_of_a_dual_stack_gateway_is_in_its_dns_entry(gateway: Gateway) -> None:
    entry = gateway(GARDENER, ingress=HELM_INGRESS).one("DNSEntry", "gateway-dns")
    assert entry["spec"]["targets"] == ["192.0.2.9", "2001:db8::9"]
    assert entry["metadata"]["annotations"]["dns.gardener.cloud/ip-stack"] == "dual-stack"


@pytest.mark.parametrize(
    ("families", "named"), [(["IPv4"], "ipv4"), (["IPv6"], "ipv6"), (["IPv6", "IPv4"], "dual-stack"), ([], "ipv4")]
)
def test_ip_families_are_named_as_gardener_does(families: list[str], named: str) -> None:
    assert ip_stack(families) == named


def test_gateway_and_its_secrets_belong_to_the_ingress_gateway_that_is_there(gateway: Gateway) -> None:
    stack = gateway(alone=True, ingress=HELM_INGRESS)
    assert stack.one("Gateway", "gateway-gateway")["spec"]["selector"] == HELM_INGRESS.selector
    places = {r.inputs["metadata"].get("namespace") for r in stack.resources if r.typ.endswith("v1:Secret")}
    assert places == {"ingress", "mtls"}


def test_the_proxys_load_balancer_asks_for_its_dns_entry(gateway: Gateway) -> None:
    service = gateway().one("Service", "gateway-apiserver-proxy-service")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["spec"]["selector"] == {"app": "apiserver-proxy"}
    assert service["metadata"]["annotations"]["external-dns.alpha.kubernetes.io/hostname"] == (
        "apiserver.kyma.example.com"
    )


def test_the_old_installers_overrides_have_its_labels_and_keys(gateway: Gateway) -> None:
    stack = gateway()
    pair = {"tlsCrt": "CERTIFICATE", "tlsKey": "KEY"}
    for name, prefix in (("net-global-overrides", "global.ingress."), ("my-certificate-overrides", "global.")):
        config_map = stack.one("ConfigMap", f"gateway-{name}")
        assert config_map["metadata"]["labels"] == {"installer": "overrides", "kyma-project.io/installation": ""}
        values = data(stack, "ConfigMap", f"gateway-{name}")
        assert values.pop("global.ingress.domainName", "kyma.example.com") == "kyma.example.com"
        assert decoded(values) == {f"{prefix}{key}": value for key, value in pair.items()}


def test_neither_proxy_nor_old_installer_unless_asked_for(gateway: Gateway) -> None:
    stack = gateway(apiserver_proxy=False, legacy_installer=False)
    assert not {"ConfigMap", "Service", "ApiserverProxy"} & stack.kinds()
    assert sorted(made(stack, "Secret")) == [
        "Secret ingress-tls-cert kyma-system",
        "Secret kyma-gateway-certs istio-system",
        "Secret kyma-gateway-certs-cacert istio-system",
    ]


def test_the_mesh_may_be_left_and_knows_the_hosts_it_is_told(gateway: Gateway) -> None:
    assert not {"ServiceEntry", "Sidecar", "NetworkPolicy"} & gateway().kinds()
    entry = gateway(service_entry_hosts=("api.example.org",)).one("ServiceEntry", "gateway-api.example.org")
    assert entry["spec"]["hosts"] == ["api.example.org"]
    assert entry["spec"]["resolution"] == "DNS"
    assert {port["number"] for port in entry["spec"]["ports"]} == {80, 443}
