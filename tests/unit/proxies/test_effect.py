"""Objects that are in effect, and those that are not yet: recorded ones, each of whose promises is changed once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from components.certificate_names import http_filter, refusing_filter
from components.istio_gateway import DOCUMENTED_INGRESS
from proxies.dump import Dump
from proxies.effect import domains, lacking
from tests.unit.proxies.recorded import GATEWAYS, one, recorded

FORMS_GATEWAY, FORMS_POLICY = "kyma-mtls-gateway-forms", "admission-many-forms-14be7b53"
FORMS_TABLE = "https.443.mtls.kyma-mtls-gateway-forms.many"
Found = dict[str, Any]


def lines(side: str, found: Found) -> list[str]:
    return list(dict.fromkeys(lacking(found["objects"], GATEWAYS[side], Dump.parse(found["dump"]))))


def rule(found: Found, number: int) -> dict[str, Any]:
    rules: list[dict[str, Any]] = one(found, "AuthorizationPolicy", FORMS_POLICY)["spec"]["rules"]
    return rules[number]


def admit_another(found: Found) -> None:
    rule(found, 0)["from"][0]["source"]["notPrincipals"].append("kyma-mtls/many/client/client2")


def admit_nobody(found: Found) -> None:
    del rule(found, 0)["from"]


def admit_another_dns_name(found: Found) -> None:
    rule(found, 0)["when"][0]["notValues"] = ["*;DNS=client.ups.example"]


def allow_another_method(found: Found) -> None:
    rule(found, 1)["to"][0]["operation"]["notMethods"].append("PUT")


def allow_another_path(found: Found) -> None:
    rule(found, 2)["to"][0]["operation"]["notPaths"] = ["/headers"]


def allow_all_paths(found: Found) -> None:
    del one(found, "AuthorizationPolicy", FORMS_POLICY)["spec"]["rules"][2]


@pytest.mark.parametrize(
    "change",
    [
        admit_another,
        admit_nobody,
        admit_another_dns_name,
        allow_another_method,
        allow_another_path,
        allow_all_paths,
    ],
)
def test_policy_is_in_effect_when_envoy_has_exactly_its_rules(change: Callable[[Found], None]) -> None:
    found = recorded("ingress")
    assert lines("ingress", found) == []
    change(found)
    assert lines("ingress", found) == [f"no AuthorizationPolicy istio-system/{FORMS_POLICY} as it is now"]


def test_gateway_is_in_effect_when_envoy_has_its_chain_with_the_credential_and_a_route() -> None:
    found = recorded("ingress")
    tls = one(found, "Gateway", FORMS_GATEWAY)["spec"]["servers"][0]["tls"]
    tls["credentialName"] = "kyma-mtls-certs-many-forms.2.1"
    assert lines("ingress", found) == [
        "no credential kyma-mtls-certs-many-forms.2.1 in the filter chain for forms.target.test, but "
        "kyma-mtls-certs-many-forms.1"
    ]
    found = recorded("ingress")
    secrets = found["dump"]["secrets"]["configs"]
    secrets[:] = [each for each in secrets if not each["name"].endswith("forms.1-cacert")]
    assert lines("ingress", found) == ["no certificates of Secret kyma-mtls-certs-many-forms.1 yet"]


def test_gateway_that_asks_for_no_certificate_needs_no_ca() -> None:
    found = recorded("ingress")
    one(found, "Gateway", FORMS_GATEWAY)["spec"]["servers"][0]["tls"]["mode"] = "SIMPLE"
    secrets = found["dump"]["secrets"]["configs"]
    secrets[:] = [each for each in secrets if not each["name"].endswith("-cacert")]
    assert lines("ingress", found) == ["no certificates of Secret kyma-mtls-certs-many-orders.1 yet"]


@pytest.mark.parametrize(("certificate", "authority"), [("cert", "cacert"), ("tls.crt", "ca.crt")])
def test_secret_is_in_effect_when_envoy_has_its_certificates(certificate: str, authority: str) -> None:
    name = "kyma-mtls-certs-many-forms.1"
    received = {
        name: {"tls_certificate": {"certificate_chain": {"inline_bytes": "Q0VSVA=="}}},
        f"{name}-cacert": {"validation_context": {"trusted_ca": {"inline_bytes": "Q0E="}}},
    }
    found = recorded("ingress")
    secrets = found["dump"]["secrets"]["configs"]
    secrets[:] = [{**each, "secret": received.get(each["name"].removeprefix("kubernetes://"))} for each in secrets]
    for data, expected in (
        ({certificate: "Q0VSVA==", authority: "Q0E=", "key": "S0VZ"}, []),
        ({certificate: "TkVX", authority: "Q0E="}, [f"no certificates of Secret {name} as they are now"]),
        ({certificate: "Q0VSVA==", authority: "TkVX"}, [f"no certificates of Secret {name} as they are now"]),
    ):
        secret = {"kind": "Secret", "metadata": {"name": name, "namespace": "istio-system"}, "data": data}
        assert lines("ingress", {**found, "objects": [*found["objects"], secret]}) == expected


def test_gateway_is_not_in_effect_without_a_route() -> None:
    found = recorded("ingress")
    tables = found["dump"]["routes"]["configs"]
    tables[:] = [each for each in tables if each["route_config"]["name"] != FORMS_TABLE]
    found["objects"] = [each for each in found["objects"] if each["kind"] != "VirtualService"]
    assert lines("ingress", found) == ["no route for forms.target.test"], "as of an APIRule"


def test_gateway_is_not_in_effect_while_another_one_serves_its_host() -> None:
    found = recorded("ingress")
    chains = found["dump"]["listeners"]["configs"][0]["active_state"]["listener"]["filter_chains"]
    manager = chains[0]["filters"][0]["typed_config"]
    manager["rds"]["route_config_name"] = "https.443.https.theirs.default"
    (line,) = lines("ingress", found)
    assert line == ("no filter chain for forms.target.test of this Gateway, but https.443.https.theirs.default")
    chains.clear()
    assert "no filter chain for forms.target.test of this Gateway" in lines("ingress", found)


def test_gateway_is_not_in_effect_while_it_asks_for_no_certificate() -> None:
    found = recorded("egress")
    chain = found["dump"]["listeners"]["configs"][0]["active_state"]["listener"]["filter_chains"][0]
    chain["transport_socket"]["typed_config"]["require_client_certificate"] = False
    assert lines("egress", found) == ["no demand for client certificates of api.internet.test"]


def test_virtual_service_is_in_effect_when_envoys_route_is_its_own_and_leads_where_it_says() -> None:
    wanted = "no route for forms.target.test by VirtualService many/forms as it is now"
    found = recorded("ingress")
    http = one(found, "VirtualService", "forms")["spec"]["http"]
    http[0]["route"][0]["destination"]["port"]["number"] = 8080
    assert lines("ingress", found) == [wanted]
    found = recorded("ingress")
    made = [each["route_config"] for each in found["dump"]["routes"]["configs"]]
    (table,) = (each for each in made if each["name"] == FORMS_TABLE)
    table["virtual_hosts"][0]["routes"][0]["metadata"]["filter_metadata"]["istio"]["config"] = "/other"
    assert lines("ingress", found) == [wanted]


def test_routes_of_sidecars_are_not_looked_for_in_a_gateway() -> None:
    found = recorded("egress")
    spec = one(found, "VirtualService", "direct-api-through-egress-gateway")["spec"]
    assert any(match["gateways"] == ["mesh"] for rule in spec["http"] for match in rule["match"])
    assert lines("egress", found) == []
    mesh = {**spec, "gateways": ["mesh"], "hosts": ["new.test"]}
    found["objects"] = [{"kind": "VirtualService", "metadata": {"namespace": "many", "name": "mesh"}, "spec": mesh}]
    assert lines("egress", found) == []


def test_refusing_route_is_in_effect_when_envoy_has_it() -> None:
    found = recorded("ingress")
    route = one(found, "VirtualService", "forms")
    route["spec"]["http"] = [{"directResponse": {"status": 403}}]
    assert lines("ingress", found) == []
    route["metadata"]["name"] = "forms-refused"
    assert lines("ingress", found) == [
        "no route for forms.target.test by VirtualService many/forms-refused as it is now"
    ]


def originate(found: Found) -> dict[str, Any]:
    spec = one(found, "DestinationRule", "originate-mtls-for-many-api")["spec"]
    return dict(spec["trafficPolicy"]["portLevelSettings"][0]["tls"])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"credentialName": "client-credential-many-api.2"},
            "no credential client-credential-many-api.2 in the cluster outbound|443||api.internet.test, but "
            "client-credential-many-api",
        ),
        (
            {"subjectAltNames": ["other.test"]},
            "no server name and alternative names as they are now in the cluster outbound|443||api.internet.test",
        ),
        (
            {"sni": "other.test"},
            "no server name and alternative names as they are now in the cluster outbound|443||api.internet.test",
        ),
    ],
)
def test_origination_is_in_effect_when_the_upstream_has_its_credential_and_names(
    change: dict[str, Any], line: str
) -> None:
    found = recorded("egress")
    spec = one(found, "DestinationRule", "originate-mtls-for-many-api")["spec"]
    spec["trafficPolicy"]["portLevelSettings"][0]["tls"] |= change
    assert lines("egress", found) == [line]


def test_origination_is_not_in_effect_without_its_cluster() -> None:
    found = recorded("egress")
    found["dump"]["clusters"] = {}
    assert "no cluster outbound|443||api.internet.test" in lines("egress", found)


def test_objects_for_other_proxies_are_not_looked_for() -> None:
    found = recorded("ingress")
    elsewhere = replace(DOCUMENTED_INGRESS, namespace="edge", labels={"istio": "edge"}, selector={"istio": "edge"})
    found["objects"] = [each for each in found["objects"] if each["kind"] != "VirtualService"]
    dump = Dump.parse({part: {} for part in found["dump"]})
    assert list(lacking(found["objects"], elsewhere, dump)) == []
    assert list(lacking(found["objects"], DOCUMENTED_INGRESS, dump)) != []


def test_domains_are_those_that_the_gateways_serve() -> None:
    assert domains(recorded("ingress")["objects"]) == {"forms.target.test", "orders.target.test"}
    assert domains([]) == set()


def test_envoy_filter_is_in_effect_when_every_chain_of_its_host_has_its_http_filter() -> None:
    found = recorded("ingress")
    spec = refusing_filter(DOCUMENTED_INGRESS.selector, "forms.target.test", ["dns:client.ups.example"])
    metadata = {"name": "names-many-forms", "namespace": "istio-system"}
    found["objects"].append({"kind": "EnvoyFilter", "metadata": metadata, "spec": spec})
    assert lines("ingress", found) == ["no EnvoyFilter istio-system/names-many-forms as it is now"]
    managers = [
        filters["typed_config"]
        for listener in found["dump"]["listeners"]["configs"]
        for chain in listener.get("active_state", {}).get("listener", {}).get("filter_chains", ())
        for filters in chain["filters"]
        if "forms.target.test" in (chain.get("filter_chain_match") or {}).get("server_names", ())
    ]
    assert managers
    for manager in managers:
        manager["http_filters"].insert(0, http_filter(["dns:client.ups.example"]))
    assert lines("ingress", found) == []
    managers[0]["http_filters"][0] = http_filter(["dns:other.example"])
    assert lines("ingress", found) == ["no EnvoyFilter istio-system/names-many-forms as it is now"]
