"""Every rule of the hosts in a stack's config."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.config import check_refusal, read, refusal
from tests.unit.pki import Holder, ec_key, issue

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
CA = issue("partner")
NAMES = ("billing.example.com",)
BILLING = issue("billing", CA, hosts=NAMES, usage=CLIENT_AUTH)
CLIENTS = {
    "warehouse": {"context": "warehouse"},
    "billing": {"context": "billing"},
    "acme": {"certificateAuthority": CA.pem, "identity": "spiffe://acme.example/client"},
}
SERVICE = {"namespace": "shop", "name": "orders", "port": 8080}
CREDENTIALS = "hosts.api.external.credentials"


def served(**keys: Any) -> dict[str, Any]:
    """Config with a host that the target serves."""
    return {"clients": CLIENTS, "hosts": {"orders": {"domain": "orders.example.com", "clients": ["acme"]} | keys}}


def external(**keys: Any) -> dict[str, Any]:
    """Config with a partner's host."""
    known = {"certificateAuthority": CA.pem}
    api = {"domain": "api.example.com", "clients": ["billing"], "external": known | keys}
    return {"clients": CLIENTS, "hosts": {"api": api}}


def credential(certificate: str, key: str = "") -> dict[str, Any]:
    """Config with a credential for a partner's host."""
    return external(credentials={"billing": {"certificate": certificate, "key": key}})


def test_host_may_be_an_existing_service() -> None:
    host = read(**served(service=SERVICE, methods=["GET", "POST"], paths=["/health", "/orders/*"])).hosts["orders"]
    assert host.service
    assert (host.service.namespace, host.service.name, host.service.port) == ("shop", "orders", 8080)
    assert (host.methods, host.paths, host.demo) == (("GET", "POST"), ("/health", "/orders/*"), False)


def test_host_serves_get_of_all_paths_by_default() -> None:
    host = read(**served()).hosts["orders"]
    assert (host.methods, host.paths) == (("GET",), ("/*",))


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ("no domain", "not a domain name"),
        ("localhost", "not a domain name"),
        ("*.example.com", "not a domain name"),
        ("Orders.example.com", "not a domain name"),
        ("a" * 60 + ".example.com", "longer than 64"),
        (".".join(["a" * 60] * 5), "longer than 253"),
        ("192.0.2.1", "an IP address"),
        ("127.1", "an IP address"),
        ("orders.example.123", "an IP address"),
        ("127.0x1", "an IP address"),
        ("orders.shop.svc", "a name within a cluster"),
        ("orders.shop.svc.cluster.local", "a name within a cluster"),
        (None, "valid string"),
    ],
)
def test_domain_is_a_public_name(domain: str, message: str) -> None:
    check_refusal("hosts.orders.domain", message, **served(domain=domain))


def test_domain_is_required() -> None:
    missing = "not set; `pulumi config set --path 'hosts.orders.domain' VALUE` sets it"
    check_refusal("hosts.orders.domain", missing, clients=CLIENTS, hosts={"orders": {"clients": []}})


def test_partner_domain_may_be_longer_than_a_common_name() -> None:
    config = external()
    domain = config["hosts"]["api"]["domain"] = "a" * 60 + ".example.com"
    assert read(**config).hosts["api"].domain == domain


@pytest.mark.parametrize(
    ("second", "is_taken"),
    [
        ({"clients": ["warehouse"], "port": 8443}, True),
        ({"clients": ["warehouse"], "port": 443}, False),
        ({"clients": ["billing", "warehouse"], "port": 8443}, False),
    ],
)
def test_partner_domain_has_several_ports_for_different_clients(second: dict[str, Any], is_taken: bool) -> None:
    config = external()
    first = config["hosts"]["api"]
    config["hosts"]["more"] = first | {
        "clients": second["clients"],
        "external": first["external"] | {"port": second["port"]},
    }
    if is_taken:
        assert len(read(**config).hosts) == 2
    else:
        check_refusal("hosts.more.domain", "also the domain of hosts.api", **config)


def test_partners_with_keys_of_one_name_have_no_host_in_common() -> None:
    partners = {
        name: {"certificateAuthority": issue("partner").pem, "identity": f"dns:{name}.example"} for name in ("a", "b")
    }
    hosts = {"orders": {"domain": "orders.example.com", "clients": ["a", "b"]}}
    check_refusal("hosts.orders.clients", "several keys of CN=partner without", clients=partners, hosts=hosts)
    hosts["orders"]["clients"] = ["a"]
    assert read(clients=partners, hosts=hosts)


def test_domain_belongs_to_one_host() -> None:
    hosts = {name: {"domain": "a.example.com"} for name in ("first", "second")}
    check_refusal("hosts.second.domain", "'a.example.com': also the domain of hosts.first", hosts=hosts)


@pytest.mark.parametrize(
    ("place", "keys", "message"),
    [
        ("service.port", {"service": SERVICE | {"port": "x"}}, "'x': Input should be a valid integer"),
        ("service.port", {"service": SERVICE | {"port": 0}}, "0: Input should be greater than or equal to 1"),
        ("service.port", {"service": SERVICE | {"port": 65536}}, "less than or equal to 65535"),
        ("service.port", {"service": SERVICE | {"port": True}}, "True: not a number"),
        ("service.name", {"service": SERVICE | {"name": "a.b"}}, "'a.b': not a DNS label"),
        ("service.namespace", {"service": SERVICE | {"namespace": "Shop"}}, "'Shop': not a DNS label"),
        ("service.namespace", {"service": SERVICE | {"namespace": "istio-system"}}, "belongs to the cluster"),
        ("service.namespace", {"service": SERVICE | {"namespace": "kube-system"}}, "belongs to the cluster"),
        ("service.prt", {"service": SERVICE | {"prt": 1}}, "unknown key; did you mean port?"),
        ("service.colour", {"service": SERVICE | {"colour": 1}}, "unknown key; known are name, namespace, port"),
        ("service", {"service": "orders"}, "`pulumi config set --path 'hosts.orders.service.namespace' VALUE`"),
        ("methods", {"methods": "GET"}, "not a list; `pulumi config set --path 'hosts.orders.methods[0]' VALUE`"),
        ("methods", {"methods": []}, "empty"),
        ("methods", {"methods": ["GET", "GET"]}, "GET is listed more than once"),
        ("methods[1]", {"methods": ["GET", "get"]}, "'get': Input should be 'GET', 'HEAD'"),
        ("paths", {"paths": []}, "empty"),
        ("paths", {"paths": ["/", "/"]}, "/ is listed more than once"),
        ("clients", {"clients": ["acme", "acme"]}, "acme is listed more than once"),
        ("clients[0]", {"clients": ["acmee"]}, "'acmee': no such client; did you mean acme?"),
        ("clients[0]", {"clients": ["shop"]}, "'shop': no such client; known are acme, billing, warehouse"),
        ("clients", {"clients": None}, "not set, which only a stack with exactly one client allows; there are 3"),
        ("metods", {"metods": ["GET"]}, "unknown key; did you mean methods?"),
    ],
)
def test_wrong_value_is_one_error_that_names_its_path(place: str, keys: dict[str, Any], message: str) -> None:
    check_refusal(f"hosts.orders.{place}", message, **served(**keys))


def test_host_without_a_client_is_refused() -> None:
    check_refusal("hosts.httpbin.clients", "there is none", clients=None)


@pytest.mark.parametrize("path", ["/", "/*", "/a", "/a/", "/a/*", "/a~b/c;d=1,2/%7Ee", "/a:b@c/(d)!$&'+"])
def test_path_is_exact_or_a_prefix(path: str) -> None:
    assert read(**served(paths=[path])).hosts["orders"].paths == (path,)


@pytest.mark.parametrize(
    "path", ["", "a", "*", "/a*", "/*/b", "/a b", "/a?b", "/a#b", "/%zz", "//", "/a/../b", "/.", "/..;/b"]
)
def test_path_of_any_further_form_is_refused(path: str) -> None:
    check_refusal("hosts.orders.paths[0]", f"{path!r}: not a path", **served(paths=[path]))


@pytest.mark.parametrize("path", ["/a%2fb", "/a%5Cb/*", "/%252e"])
def test_path_with_an_encoded_separator_is_refused(path: str) -> None:
    check_refusal("hosts.orders.paths[0]", f"{path!r}: has %2f, %5c or %25", **served(paths=[path]))


@pytest.mark.parametrize("keys", [{"service": SERVICE}, {"methods": ["GET"]}, {"paths": ["/*"]}])
def test_partner_host_is_not_served(keys: dict[str, Any]) -> None:
    config = external()
    config["hosts"]["api"] |= keys
    check_refusal(f"hosts.api.{next(iter(keys))}", "set, but external makes it a partner's host", **config)


def test_partner_client_does_not_call_a_partner_host() -> None:
    api = external()["hosts"]["api"]
    named = {"api": api | {"clients": ["billing", "acme"]}}
    check_refusal("hosts.api.clients[1]", "'acme': a partner's client", clients=CLIENTS, hosts=named)
    only, gateway = {"acme": CLIENTS["acme"]}, "selfSigned"
    by_default = {"api": api | {"clients": None}}
    check_refusal("hosts.api.clients", "'acme': a partner's", clients=only, hosts=by_default, gatewayMode=gateway)


@pytest.mark.parametrize(
    "pem", [CA.pem, CA.pem + issue("next", CA, key_usage=("key_cert_sign",)).pem, f"Some text\n{CA.pem}"]
)
def test_partner_host_needs_its_authorities(pem: str) -> None:
    found = read(**external(certificateAuthority=pem)).hosts["api"].external
    assert found
    assert (found.certificate_authority, found.port) == (pem.removeprefix("Some text\n"), 443)


def test_partner_host_is_not_called_at_the_port_of_plain_http() -> None:
    check_refusal("hosts.api.external.port", "80: the port at which callers ask for the host", **external(port=80))


def test_certificates_end_with_a_line_break() -> None:
    config = credential(BILLING.pem.strip())
    config["hosts"]["api"]["external"]["certificateAuthority"] = CA.pem.strip()
    found = read(**config).hosts["api"].external
    assert found
    assert found.certificate_authority + found.credentials["billing"].certificate == CA.pem + BILLING.pem


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        ("", "empty"),
        ("CA", "not PEM certificates"),
        (CA.pem + CA.key_pem, "holds a private key"),
        (CA.pem + CA.pem[:200], "a block CERTIFICATE does not end with -----END CERTIFICATE-----"),
        (CA.pem + CA.pem.replace("\n", ""), "only 1 of 2 blocks are whole"),
        (CA.pem.replace("\n", " "), "only 0 of 1 blocks are whole"),
        (issue("mute", key_usage=("digital_signature",)).pem, "CN=mute: its key usage forbids a CA to sign"),
        (issue("k1", key=ec.generate_private_key(ec.SECP256K1())).pem, "CN=k1: its key is on curve secp256k1"),
        (CA.pem + issue("partner").pem, "several keys of CN=partner without a subject key identifier"),
    ],
)
def test_wrong_authority_is_refused(pem: str, message: str) -> None:
    check_refusal("hosts.api.external.certificateAuthority", message, **external(certificateAuthority=pem))


@pytest.mark.parametrize("key", ["", BILLING.key_pem])
def test_credential_has_a_key_or_answers_a_signing_request(key: str) -> None:
    found = read(**credential(BILLING.pem + CA.pem, key)).hosts["api"].external
    assert found
    assert found.credentials["billing"].key.get_secret_value() == key


@pytest.mark.parametrize(
    ("holder", "message"),
    [
        (issue("server", CA, hosts=NAMES), "its extended key usage lacks client authentication"),
        (issue("stray", hosts=NAMES, usage=CLIENT_AUTH), "none of the certificates that follow it signed CN=stray"),
        (
            issue("mute", CA, hosts=NAMES, usage=CLIENT_AUTH, key_usage=("key_encipherment",)),
            "its key usage lacks digital signature",
        ),
    ],
)
def test_wrong_certificate_of_a_client_is_refused(holder: Holder, message: str) -> None:
    check_refusal(f"{CREDENTIALS}.billing.certificate", message, **credential(holder.pem + CA.pem))


def test_text_without_a_certificate_of_a_client_is_refused() -> None:
    check_refusal(f"{CREDENTIALS}.billing.certificate", "not PEM certificates", **credential(""))
    check_refusal(
        f"{CREDENTIALS}.billing.certificate", "holds a private key", **credential(BILLING.pem + BILLING.key_pem)
    )


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (Holder(BILLING.certificate, ec_key()).key_pem, "not the key of certificate (CN=billing)"),
        (BILLING.encrypted_key_pem("passphrase"), "encrypted with a passphrase"),
        (BILLING.pem, "not a PEM private key"),
        (BILLING.key_pem.replace("\n", ""), "not a PEM private key"),
    ],
)
def test_wrong_key_of_a_client_is_refused(key: str, message: str) -> None:
    check_refusal(f"{CREDENTIALS}.billing.key", message, **credential(BILLING.pem, key))


def test_private_key_that_is_not_encrypted_is_refused() -> None:
    def is_encrypted(key: str) -> bool:
        return key != "kyma-mtls:hosts"

    (line,) = refusal(is_encrypted, **credential(BILLING.pem, BILLING.key_pem))
    place = f"{CREDENTIALS}.billing.key"
    assert line == f"kyma-mtls:{place}: not encrypted; `pulumi config set --path --secret '{place}'`"
    assert read(is_encrypted, **credential(BILLING.pem)), "a certificate is no secret"


def test_credential_is_of_a_client_that_the_host_admits() -> None:
    credentials = {"warehouse": {"certificate": BILLING.pem}}
    message = "not one of the host's clients; known are billing"
    check_refusal(f"{CREDENTIALS}.warehouse", message, **external(credentials=credentials))
