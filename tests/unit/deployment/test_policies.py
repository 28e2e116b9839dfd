"""The policy pack, judged on the resources that the program registers."""

from typing import Any

import pytest
from pulumi.runtime import rpc

from policies.mtls_policies import POLICIES
from policies.mtls_policies.policy import Resource, ResourcePolicy
from tests.unit.conftest import Recorder
from tests.unit.deployment.program import (
    BILLING,
    CALLER,
    CALLS_OUT,
    GATEWAY,
    HTTPBIN,
    ORDERS,
    PARTNER,
    TAKE_OVER,
    TARGET,
    Stack,
)
from tests.unit.pki import issue

WEBSITE = issue("website", PARTNER, hosts=("*.kyma.example.com",))
OWN_GATEWAY = GATEWAY | {
    "gatewayMode": "own",
    "gatewayCertificate": WEBSITE.pem + PARTNER.pem,
    "gatewayKey": WEBSITE.key_pem,
}
WEAK_CIPHERS = GATEWAY | {
    "gatewayCiphers": "documented",
    "gatewayKeyAlgorithm": "RSA-2048",
    "gatewayLegacyInstaller": "false",
}


@pytest.mark.parametrize(
    ("config", "violated"),
    [
        ({}, set()),
        ({"platform": "kyma"}, set()),
        ({"clients": {"a": CALLS_OUT}, "hosts": {"orders": ORDERS}}, set()),
        (OWN_GATEWAY | {"gatewayLegacyInstaller": "false"}, set()),
        (TAKE_OVER | {"gatewayMode": "gardener"}, set()),
        ({"clients": {"a": {**CALLER, "networkPolicy": "none"}}}, {"egress-network-policy"}),
        (WEAK_CIPHERS, {"gateway-tls"}),
        (GATEWAY, {"no-key-in-config-maps"}),
        (OWN_GATEWAY, {"no-key-in-config-maps"}),
        ({"validityDays": "366"}, {"certificate-lifetime"}),
        ({"caValidityDays": "1826"}, {"certificate-lifetime"}),
    ],
)
def test_stack_violates_a_policy_only_by_a_setting_that_weakens_it(
    stack: Stack, config: dict[str, Any], violated: set[str]
) -> None:
    given = {"target": TARGET, "clients": {"a": CALLER}, "hosts": {"httpbin": HTTPBIN}} | config
    keys = {"PrivateKey": {"privateKeyPem": BILLING.key_pem}}  # which the policies know as such
    assert violations(stack(made=keys, **given)) == violated


def violations(made: Recorder) -> set[str]:
    """Return the names of the policies that a stack violates, in their default config."""
    resources = [Resource("pulumi:pulumi:Stack", "stack", made.result)]
    for each in made.resources:
        plain = {name: rpc.unwrap_rpc_secret(value) for name, value in each.inputs.items()}
        resources.append(Resource(each.typ, each.name, plain, each.provider or ""))
    violated = set()
    for policy in POLICIES:
        config = {name: setting["default"] for name, setting in policy.config.items()}
        if isinstance(policy, ResourcePolicy):
            problems: list[object] = [line for each in resources for line in policy.judge(each, config)]
        else:
            problems = list(policy.judge(resources, config))
        violated |= {policy.name} if problems else set()
    return violated
