"""Promises of a client, with fakes for its cluster."""

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.deployed import (
    CA,
    HTTPBIN,
    IDENTITY,
    ORDERS,
    PARTNER,
    SUBJECT,
    demo_stack,
)
from tests.unit.pki import issue
from tests.unit.verification.answered import OK, UPSTREAM, printed
from tests.unit.verification.promises import DIRECT, way_out
from tests.unit.verification.trying import FakeCluster, outcome
from verification import __main__ as command
from verification.answers import RBAC, Answer
from verification.pods import Executed
from verification.stack import DeployedStack


@pytest.mark.parametrize(
    ("done", "log", "expected"),
    [
        (printed(OK), "{marker} 200", f"200, Subject {SUBJECT}, URI {IDENTITY}; logged by the egress gateway"),
        (
            printed(OK),
            "a different line",
            f"FAILED: 200, Subject {SUBJECT}, URI {IDENTITY}, but the egress gateway's log has no",
        ),
        (printed(Answer(503, UPSTREAM, "")), "{marker}", "FAILED: got 503"),
        (Executed(6, "", "could not resolve"), "{marker}", "FAILED: curl ended with 6: could not resolve"),
        (Executed(0, "", ""), "{marker}", "FAILED: curl printed no HTTP answer"),
    ],
)
def test_plain_http_must_leave_through_the_egress_gateway(done: Executed, log: str, expected: str) -> None:
    assert outcome(demo_stack(), FakeCluster([done], log), way_out("httpbin")).startswith(expected)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("{marker} 200", "; logged by the egress gateway"),
        ("a different line", "; not seen in the egress gateway's log, which the stack does not configure"),
    ],
)
def test_log_that_the_stack_does_not_configure_may_lack_the_request(log: str, expected: str) -> None:
    stack = demo_stack()
    client = stack.outputs.clients["warehouse"].model_copy(update={"access_log": False})
    outputs = stack.outputs.model_copy(update={"clients": {"warehouse": client}})
    logs_elsewhere = DeployedStack("test", stack.settings, outputs)
    assert outcome(logs_elsewhere, FakeCluster([printed(OK)], log), way_out("httpbin")).endswith(expected)
    for tried_on, has_log in ((stack, True), (logs_elsewhere, False)):
        check = next(each for each in command.every_check(tried_on) if each.promise == way_out("httpbin"))
        assert ("log" in check.expected) == has_log


@pytest.mark.parametrize(
    ("done", "log", "expected"),
    [
        (
            printed(Answer(401, UPSTREAM, "who are you?")),
            "{marker}",
            "401 of the service; logged by the egress gateway",
        ),
        (Executed(28, printed(OK).stdout, "timed out"), "{marker}", "200 of the service; logged"),
        (printed(Answer(404, UPSTREAM, "")), "{marker}", "404 of the service; logged"),
        (
            printed(Answer(404, UPSTREAM, "")),
            "{marker} 404 NR route_not_found",
            "FAILED: got 404 of the egress gateway itself",
        ),
        (printed(Answer(403, UPSTREAM, RBAC)), "{marker}", f"FAILED: got 403: {RBAC}"),
    ],
)
def test_answer_of_users_service_may_have_any_status(done: Executed, log: str, expected: str) -> None:
    cluster = FakeCluster([done], log)
    stack = demo_stack(hosts={"orders": {**ORDERS, "methods": ["HEAD"], "paths": ["/health"]}})
    assert outcome(stack, cluster, way_out("orders")).startswith(expected)
    assert cluster.calls[0][:2] == ("-sS", "-I")
    assert cluster.calls[0][-1] == "http://orders.example.com/health", (
        "a service is called only by a method and path of its route"
    )


@pytest.mark.parametrize(
    ("direct", "through", "expected"),
    [
        (Executed(35, "0.000000", "reset"), OK, "httpbin: curl ended with 35 directly; 200 through the egress gateway"),
        (Executed(56, "0.031234", "certificate required"), OK, "FAILED: httpbin could be reached by TLS directly"),
        (
            Executed(35, "0.000000", "tlsv1 alert protocol version"),
            OK,
            "FAILED: httpbin could be reached by TLS directly",
        ),
        (Executed(6, "0.000000", "not resolved"), OK, "FAILED: curl ended with 6, which is no refused connection"),
        (Executed(2, "", "failed to initialise"), OK, "FAILED: curl printed '' instead of a time: failed to init"),
        (Executed(7, "0.000000", "refused"), Answer(503, UPSTREAM, ""), "FAILED: got 503"),
    ],
)
def test_tls_handshake_past_the_egress_gateway_fails_the_check(
    direct: Executed, through: Answer, expected: str
) -> None:
    assert outcome(demo_stack(), FakeCluster([direct, printed(through)]), DIRECT).startswith(expected)


def test_direct_connection_is_tried_with_a_host_of_the_target_if_there_is_one() -> None:
    signer = issue("partner CA")
    client = issue("warehouse", signer, hosts=("warehouse.test",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    external = {"certificateAuthority": CA, "port": 8443, "credentials": {"warehouse": {"certificate": client.pem}}}
    hosts = {"api": {**PARTNER, "external": external}, "httpbin": HTTPBIN}
    for chosen, url in (
        (hosts, "https://httpbin.example.com:443/headers"),
        ({"api": hosts["api"]}, "https://api.partner.example:8443/"),
    ):
        cluster = FakeCluster([Executed(35, "0", ""), printed(OK)])
        outcome(demo_stack(hosts=chosen), cluster, DIRECT)
        assert cluster.calls[0][-1] == url
