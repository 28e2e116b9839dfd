"""Which attacks are tried on which stack."""

from dataclasses import replace

import pytest

from tests.unit.deployed import (
    ACME,
    BILLING,
    HTTPBIN,
    ORDERS,
    PARTNER,
    TARGET,
    WAREHOUSE,
    demo_stack,
    stack_of,
)
from tests.unit.verification.promises import (
    ACCOUNT,
    BARE,
    BY_ADDRESS,
    CALLER,
    CAPTURED,
    CERTIFICATES,
    FORGED,
    FORGED_BY_CALLER,
    FRONTED,
    HTTP2,
    OF_CLIENT,
    OF_HOST,
    OUT_OF_NAMESPACE,
    PUBLISHED,
    UNLISTED,
    WORKLOAD,
    skip_reason,
)
from verification import __main__ as command
from verification import attacks
from verification.checks import CREATES, READS_KEY
from verification.context import ClientContext, HostContext
from verification.stack import DeployedStack


def tried(stack: DeployedStack) -> list[str]:
    """Return the attacks on every host and client, with the reason of a skipped one."""
    checks = [check for host in stack.settings.served for check in attacks.of_host(HostContext(stack, host))]
    checks += [check for client in stack.settings.clients for check in attacks.of_client(ClientContext(stack, client))]
    return [f"{check.promise}{skip_reason(check)}" for check in checks]


def test_demo_is_tried_by_every_attack() -> None:
    assert tried(demo_stack(platform="istio")) == OF_HOST + OF_CLIENT


def test_every_check_has_an_expected_result_and_a_hint() -> None:
    checks = [check for check in command.every_check(demo_stack()) if check.look]
    assert len(checks) > len(OF_HOST + OF_CLIENT)
    assert all(check.expected for check in checks)


def test_read_only_skips_checks_with_a_reason() -> None:
    reasons = dict.fromkeys((*CERTIFICATES, UNLISTED), READS_KEY)
    reasons |= dict.fromkeys((WORKLOAD, PUBLISHED, CAPTURED, CALLER, BARE, ACCOUNT, OUT_OF_NAMESPACE), CREATES)
    stack = replace(demo_stack(), read_only=True)
    assert tried(stack) == [
        f"{promise} - {reasons[promise]}" if promise in reasons else promise for promise in OF_HOST + OF_CLIENT
    ]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"hosts": {"orders": ORDERS}, "platform": "istio"},
            {WORKLOAD: "the workload is your own Service, to whose namespace"},
        ),
        (
            {"hosts": {"orders": ORDERS}, "platform": "kyma"},
            {FORGED: "only the demo shows which headers", WORKLOAD: ""},
        ),
        (
            {"clients": {"acme": ACME}},
            {CERTIFICATES[0]: "the host trusts the CAs of partners only", CAPTURED: "the host admits no"},
        ),
        ({"target": {**TARGET, "gatewayPassthrough": True}}, {PUBLISHED: "gatewayPassthrough allows it"}),
        (
            {"hosts": {"orders": {**ORDERS, "methods": ["POST"]}}},
            {
                UNLISTED: "the host's route allows none of GET",
                PUBLISHED: "the host's route allows none",
                HTTP2: "the host's route allows",
            },
        ),
        ({"clients": {"warehouse": BILLING}}, {FORGED_BY_CALLER: "the callers are your own Pods", CALLER: ""}),
        (
            {"clients": {"warehouse": BILLING}},
            {"service accounts beside shop/till reach no host": "the verification makes no Pods in your own"},
        ),
    ],
)
def test_attack_that_cannot_be_judged_is_skipped(config: dict[str, object], expected: dict[str, str]) -> None:
    found = dict(line.partition(" - ")[::2] for line in tried(demo_stack(**config)))
    assert {promise: found[promise].startswith(reason) for promise, reason in expected.items()} == dict.fromkeys(
        expected, True
    )
    assert all(found[promise] == "" for promise, reason in expected.items() if not reason)


def test_hosts_are_requested_with_sni_of_each_other() -> None:
    hosts = {"httpbin": {**HTTPBIN, "clients": ["warehouse"]}, "orders": {**ORDERS, "clients": []}}
    stack = demo_stack(hosts=hosts)
    assert tried(stack).count(FRONTED) == 2
    stack = replace(stack, read_only=True)
    assert [line for line in tried(stack) if FRONTED in line] == [f"{FRONTED} - {READS_KEY}", FRONTED], (
        "orders does not admit a client whose credential is there"
    )


def test_partners_host_is_not_attacked_before_the_partner_signs() -> None:
    stack = stack_of(clients={"warehouse": WAREHOUSE}, hosts={"api": PARTNER})
    assert tried(stack) == [], "the partner has not signed yet"


def test_client_without_network_policy_is_not_tried_for_direct_connections() -> None:
    stack = demo_stack(clients={"warehouse": {**WAREHOUSE, "networkPolicy": "none"}})
    assert not {BY_ADDRESS, OUT_OF_NAMESPACE} & set(tried(stack))
