"""Where the sidecars of callers lead requests for a host."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from clusters.cluster import Cluster
from components.istio_gateway import DOCUMENTED_EGRESS
from proxies.dump import Dump
from settings import ConfigError
from tests.unit.deployed import BILLING, HTTPBIN, TARGET, stack_of
from tests.unit.fakes import fake_cluster
from tests.unit.verification.effective.recorded import FIRST, SECOND, changed, with_socket
from verification.checks import Failed, Skipped
from verification.context import ClientContext, HostContext
from verification.dumps import Answers, Dumps, Question
from verification.effective.callers import Way, problems, requests_are_led

GATEWAY = ("istio-system", ("istio-egressgateway-service-account",))
LED = Way(FIRST, "first.broken.kyma-mtls.internal", (443,), GATEWAY)
REFUSED = Way(SECOND, "", (443,), GATEWAY)
ROUTE = '"route": {"cluster": "outbound|443||first.broken.kyma-mtls.internal"}'
TO_SERVER = '"cluster": "outbound|443||one.broken.target.test"'
EMPTY = '"cluster_name": "outbound|443||one.broken.target.test"'


def test_sidecars_lead_to_the_egress_gateway_or_refuse() -> None:
    assert list(problems(changed("caller"), LED)) == []
    assert list(problems(changed("caller"), REFUSED)) == []


@pytest.mark.parametrize(
    ("way", "old", "new", "expected"),
    [
        (
            LED,
            ROUTE,
            ROUTE.replace("outbound|443||first.broken.kyma-mtls.internal", "PassthroughCluster"),
            "to Passthrough",
        ),
        (LED, f'"domains": ["{FIRST}"', '"domains": ["a.test"', "leave in clear"),
        (LED, ROUTE, '"direct_response": {"status": 503}', "does not lead requests"),
        (LED, ROUTE, ROUTE.replace('"}', '", "request_mirror_policies": [{"cluster": "copies"}]}'), "to copies"),
        (LED, TO_SERVER, '"cluster": "PassthroughCluster"', "port 443 of one.broken.target.test to Passthrough"),
        (LED, EMPTY, f'{EMPTY}, "endpoints": [{{"lb_endpoints": [{{}}]}}]', "to outbound|443||one.broken"),
        (LED, f'"server_names": ["{FIRST}"]', '"server_names": ["a.test"]', "to PassthroughCluster"),
        (LED, ROUTE, f'"redirect": {{}}}}, {{{ROUTE}', "redirects requests for one"),
        (LED, '"0.0.0.0_443", "active', '"10.0.0.1_443", "active', "lets connections to port 443"),
        (LED, "sa/istio-egressgateway-service-account", "sa/other", "for the egress gateway"),
        (LED, f'"sni": "{FIRST}"', '"sni": "a.test"', "asks the egress gateway for a.test"),
        (LED, '"common_tls_context"', '"others"', "has no mutual TLS"),
        (REFUSED, '"direct_response": {"status": 403}', '"route": {"cluster": "a"}', "leads requests for two"),
        (REFUSED, f'"domains": ["{SECOND}"', '"domains": ["a.test"', "leave in clear"),
    ],
)
def test_a_changed_way_is_noticed(way: Way, old: str, new: str, expected: str) -> None:
    assert any(expected in each for each in problems(changed("caller", old, new), way))


def test_an_entry_with_an_address_of_istios_dns_is_closed_there() -> None:
    assert list(problems(changed("caller", '"0.0.0.0_443", "active', '"240.240.0.7_443", "active'), LED)) == []


def test_another_entry_for_addresses_of_its_own_says_nothing() -> None:
    match = '"filter_chain_match": {"prefix_ranges": [{"address_prefix": "10.0.0.0"}]}'
    chain = f'{{{match}, "filters": [{{"typed_config": {{"cluster": "a"}}}}]}}'
    dump = changed("caller", '"filter_chains": [', f'"filter_chains": [{chain}, ')
    assert list(problems(dump, LED)) == []


def test_an_entry_whose_server_is_found_by_dns_is_noticed() -> None:
    place = '{"lb_endpoints": [{"endpoint": {}}]}'
    old = f'"name": "outbound|443||{FIRST}", "type": "EDS"'
    new = f'"name": "outbound|443||{FIRST}", "type": "STRICT_DNS", "load_assignment": {{"endpoints": [{place}]}}'
    assert any("port 443" in each for each in problems(changed("caller", old, new), LED))


class Asked(Dumps):
    """Answers for callers of some namespaces; of the others, no Pod is ready."""

    def __init__(self, answers: Mapping[str, Dump], trouble: ConfigError | None = None) -> None:
        super().__init__()
        self._answers, self._trouble = answers, trouble

    def ask(self, _: Cluster, question: Question) -> Answers:
        if question.namespace not in self._answers:
            raise self._trouble or Skipped(question.none)
        return Answers({"a": self._answers[question.namespace]}, 1, question.namespace)

    def gateway(self, *_: Any) -> Any:
        return DOCUMENTED_EGRESS


def led(trouble: ConfigError | None = None, **answers: Dump) -> str:
    """Judge the callers of a client: all of namespace invoices, and one account of namespace shop."""
    stack = stack_of(target=TARGET, clients={"billing": BILLING}, hosts={"httpbin": HTTPBIN})
    stack = replace(stack, dumps=Asked(answers, trouble), reached={"clients.billing": fake_cluster({})})
    return requests_are_led(ClientContext(stack, "billing"), HostContext(stack, "httpbin"), is_led=True)


def test_a_caller_without_pods_hides_no_other_one() -> None:
    with pytest.raises(Failed, match=r"has no route for httpbin\.example\.com.* \(Pod shop/a\)"):
        led(shop=changed("caller"))


def test_callers_without_pods_are_named() -> None:
    with pytest.raises(Skipped, match=r"caller invoices .* is ready; no Pod of caller shop/till"):
        led()


def test_trouble_of_one_caller_hides_no_break_of_another() -> None:
    with pytest.raises(Failed, match=r"has no route for httpbin"):
        led(ConfigError("does not answer"), shop=changed("caller"))
    with pytest.raises(ConfigError, match="does not answer"):
        led(ConfigError("does not answer"))


def test_a_socket_for_some_endpoints_is_judged_too() -> None:
    assert list(problems(with_socket("caller", LED.upstream), LED)) == []
    assert any("no mutual TLS" in each for each in problems(with_socket("caller", LED.upstream, plain=True), LED))
    other = with_socket("caller", LED.upstream, "sa/istio-egressgateway-service-account", "sa/other")
    assert any("sa/other for the egress gateway" in each for each in problems(other, LED))
