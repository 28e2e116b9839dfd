"""Config dumps of Envoys, as recorded."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from proxies.dump import Dump
from proxies.parts import caller_parts, gateway_parts, workload_parts
from tests.unit.proxies.recorded import REJECTION, recorded

EMPTY: dict[str, Any] = {part: {} for part in gateway_parts(8443)}


def test_dump_of_an_ingress_gateway_has_chains_routes_and_secrets() -> None:
    dump = Dump.parse(recorded("ingress")["dump"])
    credential = "kyma-mtls-certs-many-forms.1"
    listener, draining = dump.listeners
    assert (listener.name, listener.port, listener.rejection) == ("0.0.0.0_8443", 8443, "")
    assert draining.chains == (), "a listener that goes serves nothing"
    (chain,) = dump.chains("forms.target.test")
    assert chain.tls.secret == credential
    assert chain.tls.asks_for_certificate
    assert chain.decodes_http
    assert all(chain.rules(f"istio-system/admission-many-{each}") for each in ("forms-14be7b53", "orders-cfff9e3b"))
    assert chain.rules("istio-system/admission-many-forms") is None
    (target,) = dump.routes[chain.route]["forms.target.test"]
    assert target.made_by.endswith("/namespaces/many/virtual-service/forms")
    assert target.upstreams == {"outbound|8000||httpbin.many.svc.cluster.local"}
    assert dump.secrets.keys() >= {credential, f"{credential}-cacert"}
    assert list(dump.chains("other.test")) == []


def test_dump_of_an_egress_gateway_has_upstreams_with_their_credentials() -> None:
    upstreams = Dump.parse(recorded("egress")["dump"]).upstreams
    partner = upstreams["outbound|443||api.internet.test"]
    assert (partner.secret, partner.sni) == ("client-credential-many-api", "api.internet.test")
    assert partner.names == {"api.internet.test"}
    assert upstreams["outbound|80||api.internet.test"].secret == "", "no TLS"


def test_dump_has_what_envoy_said_of_a_listener_that_it_rejected() -> None:
    dump = Dump.parse({**EMPTY, "listeners": recorded("rejected_listener")})
    assert dump.rejections(18443) == [("0.0.0.0_8443", REJECTION)]
    assert dump.rejections(8080) == [], "it is another listener"
    listener = dump.listeners[0]
    assert [chain.server_names for chain in listener.chains] == [{"a.test"}, {"b.test"}], "the old ones stay in effect"


def test_listener_that_was_rejected_from_the_first_has_no_chains() -> None:
    answer = recorded("rejected_listener")
    del answer["configs"][0]["active_state"]
    dump = Dump.parse({**EMPTY, "listeners": answer})
    assert dump.rejections(18443) == [("0.0.0.0_8443", REJECTION)]
    assert dump.listeners[0].chains == ()


def test_listener_that_still_warms_is_not_in_effect() -> None:
    answer = recorded("ingress")["dump"]["listeners"]
    answer["configs"][0]["warming_state"] = answer["configs"][0].pop("active_state")
    assert list(Dump.parse({**EMPTY, "listeners": answer}).chains("forms.target.test")) == []


def test_weighted_routes_lead_to_each_of_their_clusters() -> None:
    weighted = {"route": {"weighted_clusters": {"clusters": [{"name": "one"}, {"name": "two"}]}}}
    answered = {"direct_response": {"status": 403}}
    table = {"name": "t", "virtual_hosts": [{"domains": ["a.test", "b.test"], "routes": [weighted, answered]}]}
    dump = Dump.parse({**EMPTY, "routes": {"configs": [{"route_config": table}]}})
    for domain in ("a.test", "b.test"):
        assert [target.upstreams for target in dump.routes["t"][domain]] == [{"one", "two"}, set()]


def test_dump_of_a_new_envoy_is_empty() -> None:
    assert Dump.parse(EMPTY) == Dump((), {}, {}, {})


def test_parts_ask_for_what_decides_alone() -> None:
    def asked(parts: Any) -> dict[str, list[str]]:
        queries = {part: parse_qs(urlsplit(path).query) for part, path in parts.items()}
        return {part: [query["resource"][0], query["name_regex"][0]] for part, query in queries.items()}

    listeners = ["dynamic_listeners", ".*_8443"]
    assert asked(gateway_parts(8443)) == {
        "states": listeners,
        "listeners": listeners,
        "routes": ["dynamic_route_configs", r"https\..*"],
        "clusters": ["dynamic_active_clusters", r"outbound\|.*"],
        "secrets": ["dynamic_active_secrets", "kubernetes://.*"],
    }
    assert asked(caller_parts(80, ["b.internal", "a.internal"])) == {
        "routes": ["dynamic_route_configs", "(.*:)?80"],
        "clusters": ["dynamic_active_clusters", r"outbound\|.*\|[^|.]+\.(a\.internal|b\.internal)"],
    }
    inbound = ["dynamic_listeners", "virtualInbound"]
    assert asked(workload_parts()) == {"states": inbound, "listeners": inbound}


def test_states_of_listeners_have_none_of_their_content() -> None:
    masks = [parse_qs(urlsplit(gateway_parts(8443)[part]).query)["mask"][0] for part in ("states", "listeners")]
    assert "active_state.listener" in masks[1]
    assert "active_state.listener" not in masks[0]
    assert {"active_state.last_updated", "error_state.details"} <= set(masks[0].split(","))
