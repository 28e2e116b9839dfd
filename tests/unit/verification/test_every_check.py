"""Which promises of hosts and clients are tried on which stack."""

from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.deployed import (
    ACME,
    BILLING,
    CA,
    HTTPBIN,
    KYMA_GATEWAY,
    ORDERS,
    PARTNER,
    TARGET,
    WAREHOUSE,
    demo_stack,
    outputs_of,
    settings_of,
    stack_of,
)
from tests.unit.pki import issue
from tests.unit.verification.promises import (
    DIRECT,
    FIRST,
    METHOD,
    MISREAD,
    PATH,
    SIDECAR,
    closed,
    skip_reason,
    way_out,
)
from verification import __main__ as command
from verification import clients as client_promises
from verification import hosts as host_promises
from verification.clients import NO_HOST_TO_CALL
from verification.context import ClientContext, HostContext
from verification.deployed_outputs import read_outputs
from verification.hosts import NO_OWN_CLIENT, ONLY_UNSAFE
from verification.probes import NO_SAFE_METHOD
from verification.stack import DeployedStack

AWAY_HOSTS = {"httpbin": {**HTTPBIN, "clients": ["warehouse"]}, "orders": {**ORDERS, "clients": ["billing"]}}
PARTNERS = "the partner's certificate is admitted - only the partner has its key"


def tried(stack: DeployedStack) -> list[str]:
    """Return every check but the attacks as `GROUP: PROMISE`, with the reason of a skipped one."""
    checks = [check for host in stack.settings.served for check in host_promises.checks(HostContext(stack, host))]
    checks += [
        check for client in stack.settings.clients for check in client_promises.checks(ClientContext(stack, client))
    ]
    return [f"{check.group}: {check.promise}{skip_reason(check)}" for check in checks]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param(
            {"target": TARGET, "clients": {"warehouse": WAREHOUSE}, "hosts": {"httpbin": HTTPBIN}},
            [
                *(f"host httpbin (httpbin.example.com): {promise}" for promise in FIRST),
                "host httpbin (httpbin.example.com): client warehouse is admitted",
                f"host httpbin (httpbin.example.com): {METHOD}",
                f"host httpbin (httpbin.example.com): {SIDECAR}",
                f"client warehouse: {way_out('httpbin')}",
                f"client warehouse: {DIRECT}",
                f"client warehouse: {SIDECAR}",
                f"client warehouse: {closed('mtls')}",
            ],
            id="two clusters with the demo",
        ),
        pytest.param(
            {
                "target": TARGET,
                "clients": {"warehouse": WAREHOUSE, "billing": BILLING},
                "hosts": {
                    "httpbin": {**HTTPBIN, "clients": ["billing"]},
                    "orders": {**ORDERS, "clients": ["billing"], "methods": ["OPTIONS", "POST"], "paths": ["/v1/*"]},
                },
            },
            [
                *(f"host httpbin (httpbin.example.com): {promise}" for promise in FIRST),
                "host httpbin (httpbin.example.com): client warehouse is refused",
                "host httpbin (httpbin.example.com): client billing is admitted",
                f"host httpbin (httpbin.example.com): {METHOD}",
                f"host httpbin (httpbin.example.com): {SIDECAR}",
                *(f"host orders (orders.example.com): {promise}" for promise in FIRST),
                "host orders (orders.example.com): client warehouse is refused",
                "host orders (orders.example.com): client billing is admitted",
                f"host orders (orders.example.com): {METHOD}",
                f"host orders (orders.example.com): {PATH}",
                f"host orders (orders.example.com): {MISREAD}",
                "client warehouse: the client reaches its hosts - no host admits it",
                f"client warehouse: {closed('mtls')}",
                f"client billing: {way_out('httpbin')} - the callers are your own Pods; "
                "run in one of invoices, shop/till: curl -sS -i http://httpbin.example.com/headers",
                f"client billing: {way_out('orders')} - the callers are your own Pods; "
                "run in one of invoices, shop/till: curl -sS -i -X OPTIONS http://orders.example.com/v1/",
                f"client billing: {closed('mtls')}",
                f"client billing: {closed('invoices, shop')} - networkPolicy is own: the callers' Pods may connect "
                "past the egress gateway",
            ],
            id="two clients, one without hosts and one with callers of its own",
        ),
        pytest.param(
            {
                "target": TARGET,
                "clients": {"warehouse": WAREHOUSE, "acme": ACME},
                "hosts": {"orders": {**ORDERS, "clients": ["warehouse", "acme"], "methods": ["POST"]}},
            },
            [
                *(f"host orders (orders.example.com): {promise}" for promise in FIRST),
                f"host orders (orders.example.com): client warehouse is admitted - {NO_SAFE_METHOD}",
                f"host orders (orders.example.com): {METHOD}",
                f"client warehouse: {way_out('orders')} - {NO_SAFE_METHOD}",
                f"client warehouse: {DIRECT} - {NO_HOST_TO_CALL}",
                f"client warehouse: {SIDECAR}",
                f"client warehouse: {closed('mtls')}",
                f"client acme: {PARTNERS}; admitted by orders",
            ],
            id="a service without a safe method, and a partner's client",
        ),
        pytest.param(
            {"target": TARGET, "clients": {"acme": ACME}, "hosts": {"httpbin": HTTPBIN}},
            [
                *(f"host httpbin (httpbin.example.com): {promise}" for promise in FIRST),
                f"host httpbin (httpbin.example.com): {METHOD} - {NO_OWN_CLIENT}",
                f"host httpbin (httpbin.example.com): {SIDECAR}",
                f"client acme: {PARTNERS}; admitted by httpbin",
            ],
            id="a target without a client cluster",
        ),
        pytest.param(
            {"clients": {"warehouse": WAREHOUSE}, "hosts": {"api": PARTNER}},
            [
                f"client warehouse: {way_out('api')} - "
                "the partner has not signed the output signingRequests.api.warehouse yet",
                f"client warehouse: {DIRECT} - {NO_HOST_TO_CALL}",
                f"client warehouse: {SIDECAR}",
                f"client warehouse: {closed('mtls')}",
            ],
            id="a client without a target, its credential awaited",
        ),
        pytest.param(
            {
                "target": TARGET,
                "clients": {"warehouse": {**WAREHOUSE, "networkPolicy": "none"}},
                "hosts": {"httpbin": {**HTTPBIN, "clients": []}, "bin": {"domain": "bin.example.com"}},
            },
            [
                *(f"host httpbin (httpbin.example.com): {promise}" for promise in FIRST),
                "host httpbin (httpbin.example.com): client warehouse is refused",
                f"host httpbin (httpbin.example.com): {METHOD} - {NO_OWN_CLIENT}",
                f"host httpbin (httpbin.example.com): {SIDECAR}",
                *(f"host bin (bin.example.com): {promise}" for promise in FIRST),
                "host bin (bin.example.com): client warehouse is admitted",
                f"host bin (bin.example.com): {METHOD}",
                f"host bin (bin.example.com): {SIDECAR}",
                f"client warehouse: {way_out('bin')}",
                f"client warehouse: {DIRECT} - networkPolicy is none: Pods may connect directly",
                f"client warehouse: {SIDECAR}",
            ],
            id="a host that admits no client, and no network policy",
        ),
    ],
)
def test_stack_is_tried_by_the_promises_of_its_config(config: dict[str, object], expected: list[str]) -> None:
    assert tried(stack_of(**config)) == expected


def test_partners_host_is_called_once_the_partner_has_signed() -> None:
    signer = issue("partner CA")
    client = issue("warehouse", signer, hosts=("warehouse.test",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    external = {"certificateAuthority": CA, "credentials": {"warehouse": {"certificate": client.pem}}}
    stack = stack_of(clients={"warehouse": WAREHOUSE}, hosts={"api": {**PARTNER, "external": external}})
    promises = (way_out("api"), DIRECT, SIDECAR, closed("mtls"))
    assert tried(stack) == [f"client warehouse: {promise}" for promise in promises]


def test_kyma_gateway_is_tried_if_there_is_one() -> None:
    stack = stack_of(KYMA_GATEWAY, target=TARGET, gatewayMode="selfSigned", gatewayDomain="kyma.example.com")
    assert [check.group for check in command.every_check(stack)] == ["Kyma gateway"] * 4


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"hosts": {"httpbin": {**HTTPBIN, "paths": ["/a", "/*"]}}}, [METHOD]),
        ({"hosts": {"httpbin": {**HTTPBIN, "paths": ["/a"]}}}, [METHOD, PATH]),
        ({"hosts": {"httpbin": {**HTTPBIN, "paths": ["/a", "/b/*"]}}}, [METHOD, PATH, MISREAD]),
        (
            {"clients": {"acme": ACME}, "hosts": {"orders": {**ORDERS, "paths": ["/b/*"]}}},
            [f"{promise} - {NO_OWN_CLIENT}" for promise in (METHOD, PATH, MISREAD)],
        ),
        (
            {"hosts": {"orders": {**ORDERS, "methods": ["GET", "HEAD", "OPTIONS"]}}},
            [f"{METHOD} - {ONLY_UNSAFE}"],
        ),
        (
            {"hosts": {"orders": {**ORDERS, "methods": ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]}}},
            [f"{METHOD} - the host's route allows every method"],
        ),
    ],
)
def test_methods_and_paths_are_tried_or_skipped_with_a_reason(config: dict[str, Any], expected: list[str]) -> None:
    found = [line.partition(": ")[2] for line in tried(demo_stack(**config))]
    assert [line for line in found if line.startswith((METHOD, PATH, MISREAD))] == expected


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (WAREHOUSE, [closed("mtls")]),
        ({**WAREHOUSE, "networkPolicy": "none"}, []),
        ({**BILLING, "networkPolicy": "callers"}, [closed("mtls"), closed("invoices"), closed("shop")]),
        (
            {**BILLING, "networkPolicy": "none"},
            [f"{closed('mtls, invoices, shop')} - networkPolicy is none: no namespace is closed"],
        ),
    ],
)
def test_closed_namespaces_are_those_of_the_config(client: dict[str, Any], expected: list[str]) -> None:
    found = [line.partition(": ")[2] for line in tried(demo_stack(clients={"warehouse": client}))]
    assert [line for line in found if line.startswith("no NetworkPolicy")] == expected


def test_hints_name_the_gateways_of_the_stack() -> None:
    settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"httpbin": HTTPBIN})
    said = outputs_of(settings)
    said["target"]["ingressGateway"] = "edge/in"
    said["clients"]["warehouse"]["egressGateway"] = "edge/out"
    stack = DeployedStack("test", settings, read_outputs("test", said, settings))
    hints = "\n".join(check.look for check in command.every_check(stack))
    assert "kubectl -n edge logs svc/in" in hints
    assert "kubectl -n edge logs svc/out" in hints
    assert "istio-system" not in hints


def test_client_whose_cluster_is_away_is_skipped_and_its_hosts_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its CA is trusted all the same: a host that admits it alone must not be taken for one that refuses the CA."""
    stack = demo_stack(clients={"warehouse": {**WAREHOUSE, "away": True}, "billing": BILLING}, hosts=AWAY_HOSTS)
    found = tried(stack)
    assert [each for each in found if "warehouse" in each] == [
        "client warehouse: the client reaches its hosts - its cluster is away"
    ]
    assert "host httpbin (httpbin.example.com): client billing is refused" in found
    assert HostContext(stack, "httpbin").trusts_the_stacks_ca
    reached: list[str] = []

    def connect(stack: DeployedStack, names: list[str], **_: object) -> DeployedStack:
        reached.extend(names)
        return stack

    monkeypatch.setattr(DeployedStack, "connect", connect)
    _, checks = command.chosen_checks(stack, (), ())
    assert reached == ["billing"]
    assert {check.client for check in checks} == {"", "billing", "warehouse"}
    assert len([check for check in checks if check.client == "warehouse"]) == 1
