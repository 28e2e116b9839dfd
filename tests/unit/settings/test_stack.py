"""What a stack's config means, and every rule of the keys that stand alone."""

from typing import Any

import pytest

from components.choices import KeyAlgorithm
from settings import NetworkPolicy, Platform, read_config
from tests.unit.config import SMALLEST, check_refusal, engine_config, read, refusal
from tests.unit.pki import issue

CA = issue("partner")
ACME = {"certificateAuthority": CA.pem, "identity": "spiffe://acme.example/client"}
BILLING = issue("billing", CA, hosts=("billing.example.com",))


def test_two_clusters_and_a_domain_are_enough() -> None:
    settings = read()
    assert settings.platform == Platform.KYMA, "Kyma is what the project is for"
    assert settings.key_algorithm == KeyAlgorithm.ECDSA_P256
    assert settings.clients["caller"].network_policy == NetworkPolicy.OWN, "secure unless said otherwise"
    assert settings.clients["caller"].demo
    assert settings.hosts["httpbin"].demo
    assert settings.admitted("httpbin") == ("caller",)


def test_texts_become_what_they_mean() -> None:
    settings = read(platform="istio", validityDays="90", generation="7", confirm=["namespace=b", "clients.a="])
    assert (settings.platform, settings.validity_days, settings.generation) == (Platform.ISTIO, 90, "7")
    assert settings.confirm == ("namespace=b", "clients.a=")


def test_a_namespace_has_at_most_30_characters() -> None:
    assert read(namespace="n" * 30).namespace == "n" * 30


def test_numbers_stand_for_texts_and_texts_for_numbers_within_structures() -> None:
    service = {"namespace": 7, "name": "orders", "port": "8080"}
    found = read(hosts={"orders": {"domain": "orders.example.com", "service": service}}).hosts["orders"].service
    assert found
    assert (found.namespace, found.port) == ("7", 8080), "`pulumi config set --path` guesses"


def test_config_of_other_projects_is_none_of_ours() -> None:
    settings = read_config({"kubernetes:context": "x"} | engine_config(SMALLEST))
    assert list(settings.hosts) == ["httpbin"]


def test_hosts_and_clients_are_found_by_each_other() -> None:
    external = {"certificateAuthority": CA.pem}
    settings = read(
        clients=SMALLEST["clients"] | {"acme": ACME},
        hosts={
            "orders": {"domain": "orders.example.com", "clients": ["caller", "acme"]},
            "closed": {"domain": "closed.example.com", "clients": []},
            "api": {"domain": "api.example.com", "clients": ["caller"], "external": external},
        },
    )
    assert list(settings.own_clients) == ["caller"]
    assert list(settings.served) == ["orders", "closed"]
    assert settings.admitted("orders") == ("caller", "acme")
    assert settings.admitted("closed") == ()
    assert list(settings.hosts_of("caller")) == ["orders", "api"]
    assert list(settings.hosts_of("acme")) == ["orders"]


def test_clusters_are_named_by_their_path_in_the_config() -> None:
    settings = read(clients={"caller": {"context": "caller"}})
    assert settings.target_access
    assert (settings.target_access.path, settings.target_access.key) == ("target", "target.kubeconfig")
    access = settings.client_access("caller")
    assert (access.path, access.key, access.context) == ("clients.caller", "clients.caller.context", "caller")


def test_a_stack_needs_no_target_for_partners_hosts() -> None:
    api = {"domain": "api.example.com", "external": {"certificateAuthority": CA.pem}}
    assert read(target=None, hosts={"api": api}).target_access is None
    assert read(target=None, hosts=None).hosts == {}


def test_a_stack_needs_no_own_client_for_partners_clients() -> None:
    settings = read(clients={"acme": ACME})
    assert settings.own_clients == {}
    assert settings.admitted("httpbin") == ("acme",)


def test_a_target_may_have_a_gateway_only() -> None:
    assert read(clients=None, hosts=None, gatewayMode="selfSigned").target == read().target


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("platform", "openshift", "'openshift': Input should be 'kyma' or 'istio'"),
        ("keyAlgorithm", "ECDSA-P224", "'ECDSA-P256'"),
        ("validityDays", "0", "greater than or equal to 1"),
        ("validityDays", "soon", "valid integer"),
        ("renewBeforeDays", "365", "not less than validityDays"),
        ("caValidityDays", "395", "not more than validityDays and renewBeforeDays together (365 + 30): no certificate"),
        ("generation", "", "not a generation: at most 20 lower-case letters, digits and hyphens"),
        ("generation", "Two", "'Two': not a generation"),
        ("generation", "2.1", "'2.1': not a generation"),
        ("generation", "2" * 21, "not a generation"),
        ("generation", "2-cacert", "ends in -cacert, by which Istio knows Secrets that hold a CA"),
        ("trustedGenerations", "2", "not a list; `pulumi config set --path 'trustedGenerations[0]' VALUE`"),
        ("trustedGenerations", ["2", "2"], "2 is listed more than once"),
        ("trustedGenerations", ["2", "3", "4", "5"], "at most 3 items"),
        ("namespace", "istio-system", "belongs to the cluster"),
        ("namespace", "kyma-installer", "belongs to the cluster"),
        ("namespace", "kube-public", "belongs to the cluster"),
        ("namespace", "Upper", "not a namespace's name"),
        ("namespace", "n" * 31, "longer than 30 characters"),
        ("targetImage", "", "at least 1 character"),
        ("keyAlgoritm", "RSA-2048", "unknown key; did you mean keyAlgorithm?"),
        ("colour", "blue", "unknown key; known are caValidityDays, clientImage"),
        ("domain", "httpbin.example.com", "unknown key"),
        ("clientDomain", "client.example.com", "unknown key"),
        ("targetKubeconfig", "target.yaml", "unknown key"),
        ("targetContext", "target", "unknown key"),
        ("clientKubeconfig", "client.yaml", "unknown key"),
        ("clientContext", "client", "unknown key"),
        ("networkPolicy", "false", "unknown key"),
        ("hosts.shop.domain", "shop.example.com", "`pulumi config set --path 'hosts.shop.domain' VALUE`"),
        ("target", "target.yaml", "not a structure; `pulumi config set --path 'target.kubeconfig' VALUE`"),
        ("target", {"path": "x"}, ""),
        ("clients", ["caller"], "not a structure; `pulumi config set --path 'clients.NAME.kubeconfig' VALUE`"),
        ("hosts", "{", "not a structure; `pulumi config set --path 'hosts.NAME.domain' VALUE`"),
        ("hosts", "5", "not a structure; `pulumi config set --path 'hosts.NAME.domain' VALUE`"),
        ("confirm", "namespace=b", "not a list; `pulumi config set --path 'confirm[0]' VALUE`"),
        ("confirm", ["namespace=b", "namespace=b"], "namespace=b is listed more than once"),
    ],
)
def test_a_wrong_value_is_one_error_that_names_its_key(key: str, value: Any, message: str) -> None:
    path = "target.path" if value == {"path": "x"} else key
    check_refusal(path, message, **{key: value})


def test_the_ca_outlives_what_it_signs_by_a_day_at_least() -> None:
    assert read(caValidityDays="396").ca_validity_days == 396


def test_trusted_generations_are_others() -> None:
    assert read(generation="2026-11", trustedGenerations=["b", 3]).trusted_generations == ("b", "3")
    check_refusal("trustedGenerations[1]", "'2': is generation itself", generation="2", trustedGenerations=["1", "2"])
    check_refusal("trustedGenerations[0]", "'B': not a generation", trustedGenerations=["B"])


@pytest.mark.parametrize("value", ["namespace", "=b", "a b=c"])
def test_a_confirmation_names_key_and_value(value: str) -> None:
    check_refusal("confirm[0]", f"{value!r}: not KEY=NEWVALUE", confirm=[value])


@pytest.mark.parametrize("config", [{"target": {}}, {"clients": {"acme": ACME}}, {"hosts": {}}])
def test_a_stack_deploys_something(config: dict[str, Any]) -> None:
    nothing = {"target": None, "clients": None, "hosts": None} | config
    check_refusal("hosts", "nothing to deploy; `pulumi config set --path 'hosts.NAME.domain' VALUE`", **nothing)


def test_what_the_target_does_needs_a_target() -> None:
    check_refusal("target", "not set, but needed by hosts.httpbin;", target=None)
    check_refusal("target", "not set, but needed by gatewayMode;", target=None, hosts=None, gatewayMode="selfSigned")


def test_ingress_gateway_of_platform_kyma_is_the_one_that_api_rules_admit() -> None:
    target = {"kubeconfig": "target.yaml", "ingressGateway": "ingress/edge"}
    kyma = "APIRules of platform kyma admit istio-system/istio-ingressgateway only"
    check_refusal("target.ingressGateway", f"'ingress/edge': {kyma}", target=target)
    assert read(platform="istio", target=target).target.ingress_gateway == "ingress/edge"  # type: ignore[union-attr]


def test_all_mistakes_are_told_at_once() -> None:
    lines = refusal(
        platform="x",
        validityDays="9000",
        clients={"a": {"context": "a"}, "b": {"context": "a"}, "c": {"callers": "x"}},
        hosts={
            "x": {"domain": "x", "service": {"port": "x", "nam": "x"}},
            "y": {"domain": "y.example.com", "clients": ["c", "d"]},
            "z": {"domain": "y.example.com"},
        },
    )
    assert [line.split(": ")[0].removeprefix("kyma-mtls:") for line in lines] == [
        *("platform", "clients.c.callers", "hosts.x.domain", "hosts.x.service.namespace", "hosts.x.service.name"),
        *("hosts.x.service.port", "hosts.x.service.nam"),
        *("clients.b.context", "hosts.z.domain", "hosts.y.clients[1]", "hosts.z.clients", "caValidityDays"),
    ]


@pytest.mark.parametrize(
    "config",
    [
        {"target": None, "targets": {}},
        {"hosts": None, "host": {}, "clients": None},
        {"clients": {"caller": {"domian": "x"}}},
        {"clients": "caller"},
        {"validityDays": "x", "caValidityDays": "20"},
        {"generation": "B", "trustedGenerations": ["1"]},
        {"gatewayDomain": "kyma.example.com", "gatewayMod": "selfSigned"},
    ],
)
def test_no_mistake_brings_about_others(config: dict[str, Any]) -> None:
    assert len(refusal(**config)) == 1


@pytest.mark.parametrize("name", ["Shop", "a.b", "a" * 31, "-a", "a\nb", ""])
def test_hosts_and_clients_have_short_plain_names(name: str) -> None:
    domain = {"domain": "a.example.com"}
    for lines in (refusal(hosts={name: domain}), refusal(clients={name: {}}, hosts=None)):
        assert len(lines) == 1, lines
        assert "not a name: at most 30" in lines[0]


def secrets_in(value: str) -> list[dict[str, Any]]:
    """Configs that hold this text where a secret could have got to."""
    credential = {"certificate": value, "key": value}
    external = {"certificateAuthority": CA.pem, "credentials": {"caller": credential}}
    api = {"domain": "api.example.com", "external": external}
    return [
        {"hosts": {"api": api}},
        {"hosts": {"api": api | {"external": external | {"credentials": {"caller": value}}}}},
        {"hosts": {"api": api | {"external": external | {"credentials": {"caller": {"key": [value]}}}}}},
        {"hosts": {"api": api | {"external": value}}},
        {"hosts": {"api": api | {"external": {"certificateAuthority": value}}}},
        {"hosts": {"api": api | {"clients": [value]}}},
        {"hosts": {"api": api | {value: value}}},
        {"hosts": value},
        {"clients": {"caller": {"certificateAuthority": value, "identity": value}}},
        {"gatewayMode": "own", "gatewayCertificate": value, "gatewayKey": value, "gatewayDomain": "a.example.com"},
        {"gatewayMode": "selfSigned", "gatewayCiphers": value},
        {"gatewayMode": value},
    ]


@pytest.mark.parametrize("config", secrets_in(BILLING.key_pem))
def test_no_error_shows_a_key(config: dict[str, Any]) -> None:
    shown = "\n".join(refusal(**config))
    assert not any(line in shown for line in BILLING.key_pem.splitlines())
