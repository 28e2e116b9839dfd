"""Whom the ingress gateway's proxies admit to a host, by the rules that they have."""

import json
from typing import Any

import pytest

from components.certificate_names import http_filter
from proxies.dump import Dump
from tests.unit.verification.effective.recorded import FIRST, SECOND, beside, changed, recorded
from verification.effective.admission import problems

CLIENT = "spiffe://kyma-mtls/broken/client/client"
ENDING = '"string_match": {"suffix": ";DNS=a.test"}'
NAMED = f'{{"authenticated": {{"principal_name": {{"exact": "{CLIENT}"}}}}}}'


def named(matcher: str) -> str:
    """Return the rule of the client, and beside it one with this matcher."""
    return f'{NAMED}, {{"authenticated": {{"principal_name": {matcher}}}}}'


def with_filter(config: dict[str, Any]) -> Dump:
    """Return the recorded dump with a further filter in the first host's chain."""
    found = recorded("ingress")
    chain = found["listeners"]["configs"][0]["active_state"]["listener"]["filter_chains"][0]
    rbac = {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", **config}
    chain["filters"][0]["typed_config"]["http_filters"].insert(0, {"name": "more", "typed_config": rbac})
    return Dump.parse(found)


@pytest.mark.parametrize(("domain", "listed"), [(FIRST, [CLIENT]), (SECOND, [])])
def test_listed_identities_alone_are_admitted(domain: str, listed: list[str]) -> None:
    assert list(problems(changed("ingress"), domain, listed)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (NAMED, named('{"exact": "spiffe://acme/a"}'), f"admits spiffe://acme/a for Host {FIRST}"),
        (NAMED, named('{"prefix": "spiffe://acme/"}'), "admits spiffe://acme/x"),
        (NAMED, named('{"safe_regex": {"regex": ".+"}}'), "admits CN=kyma-mtls-verification"),
        (
            NAMED,
            f'{NAMED}, {{"header": {{"name": "x-forwarded-client-cert", {ENDING}}}}}',
            "admits dns:a.test",
        ),
        (NAMED, NAMED.replace(CLIENT, "spiffe://acme/a"), f"refuses {CLIENT}"),
        ('"action": "DENY"', '"action": "LOG"', "admits spiffe://verification.invalid/client"),
        ('"prefix": "one.broken.target.test:"', '"exact": "a"', f"for Host {FIRST}:443"),
        ('test", "ignore_case": true', 'test", "ignore_case": false', f"for Host {FIRST.upper()}"),
        ('"server_names": ["one.broken.target.test"]', '"server_names": ["a.test"]', "has no filter chain for"),
    ],
)
def test_a_changed_rule_is_noticed(old: str, new: str, expected: str) -> None:
    assert any(expected in each for each in problems(changed("ingress", old, new), FIRST, [CLIENT]))


def test_a_name_within_a_name_is_no_name() -> None:
    ending = '{"header": {"name": "x-forwarded-client-cert", "string_match": {"suffix": ";DNS=a.test"}}}'
    parts = json.loads(json.dumps(recorded("ingress")).replace(NAMED, ending, 1))
    assert list(problems(Dump.parse(parts), FIRST, ["dns:a.test"])) == [
        f"admits dns:spiffe://verification.invalid/;DNS=a.test for Host {FIRST}"
    ]
    chain = parts["listeners"]["configs"][0]["active_state"]["listener"]["filter_chains"][0]
    chain["filters"][0]["typed_config"]["http_filters"].insert(0, http_filter(["dns:a.test"]))
    assert list(problems(Dump.parse(parts), FIRST, ["dns:a.test"])) == []


@pytest.mark.parametrize(("mode", "is_open"), [("SANITIZE_SET", False), ("ALWAYS_FORWARD_ONLY", True)])
def test_a_header_that_clients_write_is_noticed(mode: str, is_open: bool) -> None:
    dump = changed("ingress", '"http_filters": [', f'"forward_client_cert_details": "{mode}", "http_filters": [')
    assert bool(list(problems(dump, FIRST, [CLIENT]))) == is_open


def test_a_server_of_others_at_a_further_port_admits_nobody() -> None:
    assert list(problems(beside("ingress"), FIRST, [CLIENT])) == []
    found = list(problems(beside("ingress", '"action": "DENY"', '"action": "LOG"'), FIRST, [CLIENT]))
    assert any("admits spiffe://verification.invalid/client" in each for each in found)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"action": "ALLOW", "policies": {}}, f"refuses {CLIENT}"),
        ({}, f"refuses {CLIENT}"),
        (
            {"action": "DENY", "policies": {"a": {"permissions": [{"any": True}], "principals": [{"any": True}]}}},
            "refuses",
        ),
        ({"policies": {"a": {"permissions": [{"any": True}], "principals": [{"any": True}]}}}, ""),
        # Whether a client has an address or a token is not known.
        (
            {
                "action": "DENY",
                "policies": {"a": {"permissions": [{"any": True}], "principals": [{"remote_ip": {}}]}},
            },
            "",
        ),
    ],
)
def test_policies_of_others_are_judged_by_what_they_do(rules: dict[str, Any], expected: str) -> None:
    found = list(problems(with_filter({"rules": rules}), FIRST, [CLIENT]))
    assert [each for each in found if expected and expected in each] or found == []
    assert bool(found) == bool(expected)


def test_a_filter_that_does_nothing_for_certain_admits_nobody_for_certain() -> None:
    text = json.dumps(recorded("ingress")).replace('"action": "DENY", "policies"', '"action": "DENY", "others"')
    found = list(problems(Dump.parse(json.loads(text)), FIRST, [CLIENT]))
    assert any("admits spiffe://verification.invalid/client" in each for each in found)
