"""Which certificate a host shows, and whose it demands, by the proxies' own configuration."""

import base64
import json
from dataclasses import replace

import pytest

from proxies.dump import Dump
from tests.unit.pki import issue
from tests.unit.verification.effective.recorded import FIRST, beside, changed, recorded
from verification.effective.certificates import Wanted, problems
from verification.effective.tls_settings import fingerprints

CREDENTIAL = "kyma-mtls-certs-broken-first.1"
OTHER = issue("another CA").pem


def received(name: str) -> str:
    return base64.b64decode(changed("ingress").secrets[name]).decode()


WANTED = Wanted(FIRST, CREDENTIAL, fingerprints(received(CREDENTIAL)), fingerprints(received(f"{CREDENTIAL}-cacert")))


def with_secret(name: str, pem: str) -> Dump:
    old, new = (base64.b64encode(each.encode()).decode() for each in (received(name), pem))
    item = f'"name": "kubernetes://{name}"'
    head, _, rest = json.dumps(recorded("ingress")["secrets"]).partition(item)
    parts = {**recorded("ingress"), "secrets": json.loads(head + item + rest.replace(old, new, 1))}
    return Dump.parse(parts)


def test_the_stacks_certificates_pass() -> None:
    assert WANTED.certificate
    assert list(problems(changed("ingress"), WANTED)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"require_client_certificate": true', '"require_client_certificate": false', "asks for no client certificate"),
        (f'"kubernetes://{CREDENTIAL}"}}]', '"kubernetes://other"}]', "has the Secrets other and"),
        (f'"kubernetes://{CREDENTIAL}-cacert"}}', '"kubernetes://other-cacert"}', "has the Secrets"),
        (
            '"alpn_protocols"',
            '"tls_params": {"tls_minimum_protocol_version": "TLSv1_0"}, "alpn_protocols"',
            "speaks TLSv1_0",
        ),
        (
            '"alpn_protocols"',
            '"tls_params": {"tls_maximum_protocol_version": "TLSv1_1"}, "alpn_protocols"',
            "no version above",
        ),
        ('"alpn_protocols"', '"tls_params": {"cipher_suites": ["AES128-SHA"]}, "alpn_protocols"', "ciphers AES128-SHA"),
        (
            '"default_validation_context": {}',
            '"default_validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}',
            "has trust_chain_verification set",
        ),
        (
            '"default_validation_context": {}',
            '"default_validation_context": {"custom_validator_config": {"name": "a"}}',
            "has custom_validator_config set",
        ),
        (f'"kubernetes://{CREDENTIAL}"}}]', f'"kubernetes://{CREDENTIAL}"}}, {{"name": "a"}}]', f"{CREDENTIAL}, a and"),
        (f'"server_names": ["{FIRST}"]', '"server_names": ["a.test"]', "has no filter chain for"),
    ],
)
def test_a_changed_setting_is_noticed(old: str, new: str, expected: str) -> None:
    assert any(expected in each for each in problems(changed("ingress", old, new), WANTED))


def test_each_chain_that_may_take_a_connection_is_judged() -> None:
    found = recorded("ingress")
    listener = found["listeners"]["configs"][0]["active_state"]["listener"]
    further = json.loads(json.dumps(listener["filter_chains"][0]))
    further["filter_chain_match"]["application_protocols"] = ["h2"]
    further["transport_socket"]["typed_config"]["require_client_certificate"] = False
    listener["filter_chains"].append(further)
    assert list(problems(Dump.parse(found), WANTED)) == ["asks for no client certificate"]


def test_a_listener_of_quic_is_judged() -> None:
    found = recorded("ingress")
    socket = found["listeners"]["configs"][0]["active_state"]["listener"]["filter_chains"][0]["transport_socket"]
    socket["typed_config"] = {"downstream_tls_context": {**socket["typed_config"], "require_client_certificate": False}}
    assert list(problems(Dump.parse(found), WANTED)) == ["asks for no client certificate"]


def test_a_server_of_others_at_a_further_port_is_none_of_the_hosts() -> None:
    assert list(problems(beside("ingress"), WANTED)) == []


def test_strong_settings_pass() -> None:
    params = (
        '"tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "cipher_suites": ["ECDHE-RSA-AES128-GCM-SHA256"]}'
    )
    assert list(problems(changed("ingress", '"alpn_protocols"', f'{params}, "alpn_protocols"'), WANTED)) == []


@pytest.mark.parametrize(
    ("name", "pem", "expected"),
    [
        (CREDENTIAL, OTHER, "shows certificate"),
        (f"{CREDENTIAL}-cacert", OTHER, "which the stack does not"),
        (f"{CREDENTIAL}-cacert", received(f"{CREDENTIAL}-cacert") + OTHER, "which the stack does not"),
        (f"{CREDENTIAL}-cacert", "", "does not trust CA"),
    ],
)
def test_another_certificate_in_a_secret_is_noticed(name: str, pem: str, expected: str) -> None:
    assert any(expected in each for each in problems(with_secret(name, pem), WANTED))


def test_a_host_with_dns_identities_demands_their_names() -> None:
    wanted = replace(WANTED, names=frozenset({"a.test"}))
    assert list(problems(changed("ingress"), wanted)) == ["accepts the names of any certificate"]
    context = '"default_validation_context": {"match_subject_alt_names": [{"exact": "a.test"}]}'
    assert list(problems(changed("ingress", '"default_validation_context": {}', context), wanted)) == []
