"""The settings of a stack: defaults, names, and the relations of hosts and clients."""

import pytest

from components.choices import KeyAlgorithm
from settings import NetworkPolicy, Platform
from tests.unit.config import SMALLEST, check_refusal, read, refusal
from tests.unit.pki import issue

CA = issue("partner")
ACME = {"certificateAuthority": CA.pem, "identity": "spiffe://acme.example/client"}


def test_settings_need_two_clusters_and_a_domain_only() -> None:
    settings = read()
    assert settings.platform == Platform.KYMA, "the project is for Kyma"
    assert settings.key_algorithm == KeyAlgorithm.ECDSA_P256
    assert settings.clients["caller"].network_policy == NetworkPolicy.OWN, "secure unless said otherwise"
    assert settings.clients["caller"].demo
    assert settings.hosts["httpbin"].demo
    assert settings.admitted("httpbin") == ("caller",)


def test_texts_become_values_of_their_types() -> None:
    settings = read(platform="istio", validityDays="90", generation="7", confirm=["namespace=b", "clients.a="])
    assert (settings.platform, settings.validity_days, settings.generation) == (Platform.ISTIO, 90, "7")
    assert settings.confirm == ("namespace=b", "clients.a=")


def test_namespace_has_at_most_30_characters() -> None:
    assert read(namespace="n" * 30).namespace == "n" * 30


@pytest.mark.parametrize("value", ["namespace", "=b", "a b=c"])
def test_confirmation_names_key_and_new_value(value: str) -> None:
    check_refusal("confirm[0]", f"{value!r}: not KEY=NEWVALUE", confirm=[value])


@pytest.mark.parametrize("name", ["Shop", "a.b", "a" * 31, "-a", "a\nb", ""])
def test_names_of_hosts_and_clients_are_short_and_plain(name: str) -> None:
    domain = {"domain": "a.example.com"}
    for lines in (refusal(hosts={name: domain}), refusal(clients={name: {}}, hosts=None)):
        assert len(lines) == 1, lines
        assert "not a name: at most 30" in lines[0]


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
    assert list(settings.known_to("caller")) == ["orders", "closed", "api"], "those that refuse it, too"


def test_cluster_access_names_its_path_in_the_config() -> None:
    settings = read(clients={"caller": {"context": "caller"}})
    assert settings.target_access
    assert (settings.target_access.path, settings.target_access.key) == ("target", "target.kubeconfig")
    access = settings.client_access("caller")
    assert (access.path, access.key, access.context) == ("clients.caller", "clients.caller.context", "caller")
