"""Whom the egress gateway's proxies admit to a host, and where they lead their requests."""

import pytest

from tests.unit.verification.effective.recorded import FIRST, beside, changed
from verification.effective.egress import Way, problems

WAY = Way(FIRST, 443, ("broken/curl",), "https.443.https.istio-egressgateway-first.broken")
CURL = '{"authenticated": {"principal_name": {"safe_regex": {"regex": "spiffe://.*/ns/broken/sa/curl"}}}}'
UPSTREAM = '"cluster": "outbound|443||one.broken.target.test"}, "metadata"'


def test_declared_callers_alone_are_admitted() -> None:
    assert list(problems(changed("egress"), WAY)) == []


def test_a_server_of_others_at_a_further_port_is_none_of_the_hosts() -> None:
    assert list(problems(beside("egress"), WAY)) == []


def test_a_namespace_stands_for_its_accounts() -> None:
    dump = changed("egress", "/ns/broken/sa/curl", "/ns/broken/.*")
    way = Way(FIRST, 443, ("broken",), WAY.table)
    assert list(problems(dump, way)) == []
    assert any("sa/kyma-mtls-verification" in each for each in problems(dump, WAY)), "for one account, it is too much"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (CURL, f"{CURL}, {CURL.replace('sa/curl', 'sa/default')}", "admits spiffe://x/ns/broken/sa/default"),
        (CURL, f"{CURL}, {CURL.replace('ns/broken', 'ns/other')}", "admits spiffe://x/ns/other/sa/curl"),
        (CURL, CURL.replace("spiffe://.*/ns/broken/sa/curl", ".+"), "admits spiffe://cluster.local/ns/kyma-mtls-"),
        (CURL, CURL.replace("sa/curl", "sa/other"), "refuses spiffe://cluster.local/ns/broken/sa/curl"),
        ('"action": "DENY"', '"action": "LOG"', "admits a peer without a certificate"),
        ('"require_client_certificate": true', '"require_client_certificate": false', "does not demand"),
        ('"ROOTCA"', '"other"', "does not demand a certificate of the mesh"),
        (UPSTREAM, UPSTREAM.replace("one", "two"), "leads to outbound|443||two.broken.target.test"),
        (UPSTREAM, f'"host_rewrite_literal": "a.test", {UPSTREAM}', "rewrites requests (host_rewrite_literal)"),
        (f'"domains": ["{FIRST}"]', '"domains": ["a.test"]', "leads requests for a.test to it"),
        ('"server_names": ["one.broken.target.test"]', '"server_names": ["a.test"]', "has no filter chain"),
    ],
)
def test_a_changed_rule_or_route_is_noticed(old: str, new: str, expected: str) -> None:
    assert any(expected in each for each in problems(changed("egress", old, new), WAY))
