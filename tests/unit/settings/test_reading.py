"""Reading the config: every problem at once, each by its path, and none that shows a private key."""

from typing import Any

import pytest

from settings import read_config
from tests.unit.config import SMALLEST, check_refusal, engine_config, read, refusal
from tests.unit.pki import issue

CA = issue("partner")
BILLING = issue("billing", CA, hosts=("billing.example.com",))


def test_structures_take_numbers_for_texts_and_texts_for_numbers() -> None:
    service = {"namespace": 7, "name": "orders", "port": "8080"}
    found = read(hosts={"orders": {"domain": "orders.example.com", "service": service}}).hosts["orders"].service
    assert found
    assert (found.namespace, found.port) == ("7", 8080), "`pulumi config set --path` guesses"


def test_config_of_other_projects_is_ignored() -> None:
    settings = read_config({"kubernetes:context": "x"} | engine_config(SMALLEST))
    assert list(settings.hosts) == ["httpbin"]


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
def test_wrong_value_is_one_error_that_names_its_key(key: str, value: Any, message: str) -> None:
    path = "target.path" if value == {"path": "x"} else key
    check_refusal(path, message, **{key: value})


def test_problems_are_reported_at_once() -> None:
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
def test_problem_causes_no_further_lines(config: dict[str, Any]) -> None:
    assert len(refusal(**config)) == 1


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
def test_errors_show_no_private_key(config: dict[str, Any]) -> None:
    shown = "\n".join(refusal(**config))
    assert not any(line in shown for line in BILLING.key_pem.splitlines())
