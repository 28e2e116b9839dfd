"""Every rule of the clients in a stack's config."""

from pathlib import Path
from typing import Any

import pytest

from settings import NetworkPolicy
from tests.unit.config import check_refusal, read
from tests.unit.pki import issue

CA = issue("partner")
ACME = {"certificateAuthority": CA.pem, "identity": "spiffe://acme.example/client"}


def own(**keys: Any) -> dict[str, Any]:
    """Config with one client that has a cluster."""
    return {"clients": {"caller": {"kubeconfig": "client.yaml"} | keys}}


def partner(**keys: Any) -> dict[str, Any]:
    """Config with one client of a partner."""
    return {"clients": {"acme": ACME | keys}}


def test_client_may_have_callers() -> None:
    callers = ["logistics/dispatcher", "invoices", "logistics/robot.v2"]
    client = read(**own(callers=callers, networkPolicy="callers", domain="client.example.com")).clients["caller"]
    assert client.callers == tuple(callers)
    assert client.caller_namespaces == ("logistics", "invoices")
    assert (client.network_policy, client.demo, client.is_partner) == (NetworkPolicy.CALLERS, False, False)


def test_client_has_the_demo_by_default() -> None:
    client = read(**own()).clients["caller"]
    assert client.demo
    assert client.caller_namespaces == ()


def test_partner_client_has_no_demo() -> None:
    client = read(**partner()).clients["acme"]
    assert client.is_partner
    assert not client.demo


@pytest.mark.parametrize(
    ("place", "keys", "message"),
    [
        ("domain", {"domain": "client"}, "'client': not a domain name"),
        ("domain", {"domain": "192.0.2.1"}, "an IP address"),
        ("domain", {"domain": "httpbin.example.com"}, "also the domain of hosts.httpbin"),
        ("callers", {"callers": "shop"}, "not a list"),
        ("callers", {"callers": []}, "empty"),
        ("callers", {"callers": ["shop", "shop"]}, "shop is listed more than once"),
        ("callers[0]", {"callers": ["a/b/c"]}, "'a/b/c': not a caller"),
        ("callers[0]", {"callers": ["shop/"]}, "'shop/': not a caller"),
        ("callers[0]", {"callers": ["*"]}, "'*': not a caller"),
        ("callers[0]", {"callers": ["istio-system/x"]}, "istio-system is Istio's own namespace"),
        (
            "callers[1]",
            {"callers": ["shop", "egress/x"], "egressGateway": "egress/way-out"},
            "egress is the egress gateway's namespace, not a caller's",
        ),
        ("egressGateway", {"egressGateway": "way-out"}, "'way-out': not a Service: NAMESPACE/NAME"),
        ("egressGateway", {"egressGateway": ""}, "not a Service: NAMESPACE/NAME"),
        ("dns", {"dns": "kube-system/kube_dns"}, "not a Service: NAMESPACE/NAME"),
        ("revision", {"revision": "1.30"}, "'1.30': not a DNS label"),
        ("networkPolicy", {"networkPolicy": False}, "Input should be 'own', 'callers' or 'none'"),
        ("networkPolicy", {"networkPolicy": "callers"}, "needs callers"),
        ("gatewayPassthrough", {"gatewayPassthrough": "perhaps"}, "valid boolean"),
        ("kubeconfg", {"kubeconfg": "x"}, "unknown key; did you mean kubeconfig?"),
        ("certificateAuthority", {"identity": "dns:a.b"}, "not set; a partner's client has both"),
    ],
)
def test_wrong_value_is_one_error_that_names_its_path(place: str, keys: dict[str, Any], message: str) -> None:
    config = own(**keys)
    if "identity" in keys:
        del config["clients"]["caller"]["kubeconfig"]
    check_refusal(f"clients.caller.{place}", message, **config)


@pytest.mark.parametrize(
    "client",
    [{"kubeconfig": "target.yaml"}, {"kubeconfig": "./target.yaml"}, {"kubeconfig": "a.yaml", "context": "first"}],
)
def test_cluster_has_one_path_in_the_config(client: dict[str, str]) -> None:
    clients = {"first": {"kubeconfig": "a.yaml", "context": "first"}, "second": client}
    key = "context" if "context" in client else "kubeconfig"
    other = "clients.first" if "context" in client else "target"
    check_refusal(f"clients.second.{key}", f"the same as that of {other}", clients=clients, hosts=None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kubeconfig", "x"),
        ("context", "x"),
        ("domain", "client.example.com"),
        ("callers", ["shop"]),
        ("networkPolicy", "none"),
        ("gatewayPassthrough", True),
    ],
)
def test_partner_client_has_no_cluster(key: str, value: Any) -> None:
    message = "a partner's client has certificateAuthority and identity only"
    check_refusal(f"clients.acme.{key}", message, **partner(**{key: value}))


@pytest.mark.parametrize(
    "identity", ["spiffe://acme.example/a/b-c_d.E", "spiffe://a_b/c", "dns:a.example", "dns:a", "dns:A.Example"]
)
def test_identity_is_a_spiffe_uri_or_a_dns_name(identity: str) -> None:
    assert read(**partner(identity=identity)).clients["acme"].identity == identity


@pytest.mark.parametrize(
    "identity",
    [
        *("acme", "acme.example", "https://acme.example/", "uri:spiffe://acme.example/client"),
        *("spiffe://acme.example", "spiffe://acme.example/", "spiffe://acme.example/a/", "spiffe://acme.example/a//b"),
        *("spiffe://acme.example/*", "spiffe://*/a", "spiffe://Acme.example/a", "spiffe://acme.example/../a"),
        *("spiffe://a:b@acme.example/a", "spiffe://acme.example:443/a", "spiffe:///a", "spiffe://acme.example/a?b"),
        *("dns:", "dns:*.acme.example", "dns:acme.example.", "dns:a b"),
        "spiffe://kyma-mtls/prod/client/caller",
    ],
)
def test_identity_of_any_further_form_is_refused(identity: str) -> None:
    check_refusal("clients.acme.identity", f"{identity!r}: ", **partner(identity=identity))


def test_partner_client_has_an_identity() -> None:
    message = "not set; a partner's client has both certificateAuthority and identity"
    check_refusal("clients.acme.identity", message, **partner(identity=""))


@pytest.mark.parametrize(
    "other",
    [ACME | {"identity": "dns:client.example.com"}, {"context": "own", "domain": "client.example.com"}],
)
def test_identity_belongs_to_one_client(other: dict[str, str]) -> None:
    clients = {"acme": ACME | {"identity": "dns:client.example.com"}, "other": other}
    (place, also) = ("other", "acme") if "identity" in other else ("acme", "other")
    hosts = {"httpbin": {"domain": "httpbin.example.com", "clients": []}}
    check_refusal(f"clients.{place}.identity", f"would admit clients.{also}, too", clients=clients, hosts=hosts)


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        ("CA", "not PEM certificates"),
        (CA.pem + CA.key_pem, "holds a private key"),
        ("file:/etc/acme.pem", "file:/etc/acme.pem: not a path within the project"),
        ("file:../acme.pem", "not a path within the project"),
        ("file:./acme.pem", "write file:acme.pem"),
        ("file:no/such.pem", "file:no/such.pem: cannot be read: No such file or directory"),
    ],
)
def test_wrong_authority_is_refused(pem: str, message: str) -> None:
    check_refusal("clients.acme.certificateAuthority", message, **partner(certificateAuthority=pem))


def test_authority_may_be_a_file_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acme.pem").write_text(f"ACME's CAs\n{CA.pem}")
    assert read(**partner(certificateAuthority="file:acme.pem")).clients["acme"].certificate_authority == CA.pem
    (tmp_path / "acme.pem").write_text("CA")
    check_refusal(
        "clients.acme.certificateAuthority", "not PEM certificates", **partner(certificateAuthority="file:acme.pem")
    )
