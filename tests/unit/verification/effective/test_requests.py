"""Filters that may rewrite requests before the policies of any promise compare them, or that are missing."""

from collections.abc import Callable, Iterator

import pytest

from proxies.dump import Dump
from tests.unit.verification.effective import test_egress, test_routes, test_workloads
from tests.unit.verification.effective.recorded import FIRST, SECOND, changed, with_http_filter, without_policies
from verification.checks import Failed, Skipped, Unjudged
from verification.dumps import Answers
from verification.effective import admission, egress, routes, workloads

LUA = {
    "name": "acme.lua",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"},
}
CLIENT = test_routes.CLIENT
PROMISES: dict[str, tuple[str, Callable[[Dump], Iterator[str]]]] = {
    "admission": ("ingress", lambda dump: admission.problems(dump, FIRST, [CLIENT])),
    "routes": ("ingress", lambda dump: routes.problems(dump, test_routes.HOST)),
    "egress": ("egress", lambda dump: egress.problems(dump, test_egress.WAY)),
    "workloads": ("workload", lambda dump: workloads.problems(dump, test_workloads.WANTED)),
}


def judged(promise: str, *dumps: Dump) -> str:
    pods = {f"pod-{number}": dump for number, dump in enumerate(dumps)}
    return Answers(pods, len(pods), "shop").judge(PROMISES[promise][1], "as declared")


@pytest.mark.parametrize("promise", PROMISES)
def test_a_filter_of_others_before_the_policies_skips_the_promise_and_is_named(promise: str) -> None:
    recording, _ = PROMISES[promise]
    with pytest.raises(Skipped, match=r"^filter acme\.lua runs before the policies .* \(Pod shop/pod-1\)$"):
        judged(promise, changed(recording), with_http_filter(recording, LUA))


@pytest.mark.parametrize("promise", PROMISES)
def test_a_filter_of_others_behind_the_policies_is_none_of_the_promise(promise: str) -> None:
    recording, _ = PROMISES[promise]
    assert judged(promise, with_http_filter(recording, LUA, place=1)) == "as declared: asked 1 of 1 Pods"


@pytest.mark.parametrize("promise", PROMISES)
def test_a_break_outweighs_a_filter_of_others(promise: str) -> None:
    recording, _ = PROMISES[promise]
    broken = Dump.parse({}) if promise != "workloads" else without_policies(recording)
    with pytest.raises(Failed, match="pod-1"):
        judged(promise, with_http_filter(recording, LUA), broken)


@pytest.mark.parametrize("promise", PROMISES)
def test_a_chain_without_a_filter_for_policies_breaks_the_promise(promise: str) -> None:
    with pytest.raises(Failed, match=r"admits |serves "):
        judged(promise, without_policies(PROMISES[promise][0]))


def test_a_chain_without_a_filter_for_policies_admits_strangers_to_a_host_of_nobody() -> None:
    assert any("admits " in each for each in admission.problems(without_policies("ingress"), SECOND, []))


WRITTEN = '"request_headers_to_add": [{"header": {"key": "X-Forwarded-Client-Cert", "value": "URI=a"}}], '


@pytest.mark.parametrize(
    "place", ['"virtual_hosts": [', '"domains": ["one.broken.target.test"]', '"match": {"prefix": "/"}']
)
def test_a_certificates_header_that_a_route_writes_is_noticed(place: str) -> None:
    dump = changed("ingress", place, WRITTEN + place, everywhere=True)
    with pytest.raises(Failed, match=r"rewrites requests \(x-forwarded-client-cert\), by virtual-service"):
        judged("routes", dump)
    other = WRITTEN.replace("X-Forwarded-Client-Cert", "x-forwarded-host")
    assert judged("routes", changed("ingress", place, other + place, everywhere=True))


IDENTITY = f'{{"exact": "{CLIENT}"}}'


def beside_the_client(principal: str) -> str:
    return f'{{"authenticated": {{"principal_name": {IDENTITY}}}}}, {principal}'


STATE = '"filter_state": {"key": "io.istio.peer_principal", "string_match": '


@pytest.mark.parametrize(
    ("principal", "is_known"),
    [
        ('{"authenticated": {"principal_name": {"safe_regex": {"regex": "spiffe://(a|b)/c[0-9]"}}}}', False),
        ('{"header": {"name": "x-forwarded-client-cert", "string_match": {"safe_regex": {"regex": "(a|b)"}}}}', False),
        (
            '{"filter_state": {"key": "io.istio.peer_principal", "string_match": {"safe_regex": {"regex": "[ab]"}}}}',
            False,
        ),
        (f"{{{STATE}{IDENTITY}}}}}", True),
        (f'{{"authenticated": {{"principal_name": {{"safe_regex": {{"regex": "{CLIENT}"}}}}}}}}', True),
    ],
)
def test_a_pattern_of_names_without_an_example_is_unjudged(principal: str, is_known: bool) -> None:
    dump = changed("ingress", beside_the_client("")[:-2], beside_the_client(principal))
    if is_known:
        assert judged("admission", dump)
        return
    with pytest.raises(Unjudged, match=r"^policy .* has a pattern of names .* \(Pod shop/pod-0\)$"):
        judged("admission", dump)
    with pytest.raises(Failed, match="pod-1"):
        judged("admission", dump, Dump.parse({}))
