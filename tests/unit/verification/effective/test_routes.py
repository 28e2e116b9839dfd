"""Which methods and paths lead to a host's Service, and what else does."""

import json
from dataclasses import replace

import pytest

from proxies.dump import Dump
from tests.unit.verification.effective.recorded import FIRST, SECOND, beside, changed, recorded
from verification.effective.routes import Declared, further_ways, problems

CLIENT = "spiffe://kyma-mtls/broken/client/client"
SERVICE = "httpbin.broken.svc.cluster.local"
TABLE = "https.443.mtls.kyma-mtls-gateway-first.broken"
HOST = Declared(FIRST, TABLE, SERVICE, 8000, ("GET",), ("/headers",), CLIENT)
OWN = {(TABLE, FIRST), ("https.443.mtls.kyma-mtls-gateway-second.broken", SECOND)}
UPSTREAM = f'"cluster": "outbound|8000||{SERVICE}"'
METHOD = '{"name": ":method", "string_match": {"exact": "GET"}}'


def test_a_host_is_served_as_declared() -> None:
    assert list(problems(changed("ingress"), HOST)) == []
    assert list(further_ways(changed("ingress"), SERVICE, OWN)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            f'{{"header": {METHOD}}}',
            f'{{"header": {METHOD}}}, {{"header": {METHOD.replace("GET", "POST")}}}',
            "serves POST",
        ),
        (f'{{"header": {METHOD}}}', f'{{"header": {METHOD.replace("GET", "PURGE")}}}', "refuses GET /headers"),
        ('"path": {"exact": "/headers"}', '"path": {"prefix": "/headers"}', "serves GET /headersx"),
        ('"path": {"exact": "/headers"}', '"path": {"exact": "/get"}', "serves GET /get"),
        ('"path": {"exact": "/headers"}', '"path": {"prefix": "/"}', "serves GET /kyma-mtls-verification"),
        (UPSTREAM, UPSTREAM.replace("httpbin", "other"), "leads to outbound|8000||other.broken.svc.cluster.local"),
        (UPSTREAM, UPSTREAM.replace("8000", "80"), "leads to outbound|80||"),
        (
            UPSTREAM,
            f'{UPSTREAM}, "request_mirror_policies": [{{"cluster": "copies"}}]',
            "leads to copies, by virtual-service",
        ),
        ('"match": {"prefix": "/"}', '"match": {"prefix": "/get"}', "refuses GET /headers"),
        (
            '"match": {"prefix": "/"}',
            '"typed_per_filter_config": {"envoy.filters.http.rbac": {}}, "match": {"prefix": "/"}',
            "replaces the policies of a route",
        ),
        (
            f"{UPSTREAM}}}",
            f'"weighted_clusters": {{"clusters": [{{"name": "outbound|8000||{SERVICE}", "typed_per_filter_config": '
            '{"envoy.filters.http.rbac": {}}}]}}',
            "replaces the policies of a route",
        ),
        (
            '"virtual_hosts": [',
            '"typed_per_filter_config": {"envoy.filters.http.rbac": {}}, "virtual_hosts": [',
            "replaces the policies of a route",
        ),
        (UPSTREAM, '"cluster_header": "x-a"', "leads to the cluster of cluster_header"),
        (UPSTREAM, f'{UPSTREAM}, "prefix_rewrite": "/admin"', "rewrites requests (prefix_rewrite), by virtual-service"),
        (f'"server_names": ["{FIRST}"]', '"server_names": ["a.test"]', "has no filter chain for"),
        (f'"route_config_name": "{TABLE}"', '"route_config_name": "https.8443.a.b.c"', "has another filter chain"),
        (f'"domains": ["{FIRST}"]', '"domains": ["a.test"]', f"has no route for {FIRST}"),
    ],
)
def test_a_changed_rule_or_route_is_noticed(old: str, new: str, expected: str) -> None:
    assert any(expected in each for each in problems(changed("ingress", old, new, everywhere=True), HOST))


def test_a_filter_of_any_name_that_a_route_replaces_is_noticed() -> None:
    named = '"name": "envoy.filters.http.rbac", "typed_config"'
    dump = changed("ingress", named, named.replace("envoy.filters.http.rbac", "own"), everywhere=True)
    assert list(problems(dump, HOST)) == []
    override = '"typed_per_filter_config": {"own": {}}, "virtual_hosts": ['
    text = json.dumps(recorded("ingress")).replace(named, named.replace("envoy.filters.http.rbac", "own"))
    replaced = Dump.parse(json.loads(text.replace('"virtual_hosts": [', override)))
    assert any("replaces the policies of a route" in each for each in problems(replaced, HOST))


def test_a_server_of_others_at_a_further_port_is_none_of_the_hosts() -> None:
    assert list(problems(beside("ingress"), HOST)) == []


@pytest.mark.parametrize(("paths", "expected"), [(("/headers",), 0), (("/a/*",), 1), (("/*",), 0)])
def test_dot_segments_matter_to_prefixes(paths: tuple[str, ...], expected: int) -> None:
    old = '"http_filters": ['
    dumps = (changed("ingress", old, f'"normalize_path": {value}, {old}') for value in ("true", "false"))
    found = [[each for each in problems(dump, replace(HOST, paths=paths)) if "dot segments" in each] for dump in dumps]
    assert [len(each) for each in found] == [0, expected]


def test_a_prefix_does_not_let_encoded_separators_through() -> None:
    dump = changed("ingress", '"path": {"exact": "/headers"}', '"path": {"prefix": "/headers/"}')
    host = replace(HOST, paths=("/headers/*",))
    assert list(problems(dump, host)) == ["serves GET /headers/..%2fverification"]
    refusing = '"routes": [{"match": {"safe_regex": {"regex": "(?i).*%2f.*"}}, "direct_response": {"status": 403}}, '
    text = f'"domains": ["{FIRST}"], "routes": ['
    both = changed("ingress", text, text.replace('"routes": [', refusing))
    assert [each for each in problems(both, HOST) if "%2f" in each] == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (f'"domains": ["{FIRST}"]', f'"domains": ["{FIRST}", "a.test"]', "leads requests for a.test to it"),
        (f'"route_config_name": "{TABLE}"', '"route_config_name": "http.8080"', ""),
        (
            '"filters": [{"name"',
            f'"filters": [{{"name": "tcp", "typed_config": {{{UPSTREAM}}}}}, {{"name"',
            "forwards connections to it",
        ),
    ],
)
def test_further_ways_are_noticed(old: str, new: str, expected: str) -> None:
    found = list(further_ways(changed("ingress", old, new), SERVICE, OWN))
    assert any(expected in each for each in found) if expected else found == []


def test_routes_of_this_runs_own_attack_are_no_further_ways() -> None:
    dump = changed("ingress", f'"domains": ["{FIRST}"]', f'"domains": ["{FIRST}", "a.test"]')
    (made_by,) = {each.made_by for each in dump.routes[TABLE]["a.test"] if each.upstreams}
    namespace = made_by.partition("/namespaces/")[2].partition("/")[0]
    assert list(further_ways(dump, SERVICE, OWN, namespace)) == []
    assert list(further_ways(dump, SERVICE, OWN, "another"))
