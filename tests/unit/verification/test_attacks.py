"""Which attacks are tried on which stack, and how each judges what it sees."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from kubernetes.client import CoreV1Api

from tests.unit.deployed import (
    ACME,
    AUTHORITY,
    BILLING,
    CA,
    HTTPBIN,
    IDENTITY,
    KYMA_GATEWAY,
    ORDERS,
    PARTNER,
    SUBJECT,
    TARGET,
    WAREHOUSE,
    demo_stack,
    stack_of,
)
from tests.unit.pki import issue
from verification import __main__ as command
from verification import attacks
from verification.answers import RBAC, Answer
from verification.attacker import Attacker
from verification.attacks import egress_gateway, foreign_routes, server_identity
from verification.checks import CREATES, EXECUTES, READS_KEY, Failed, Skipped
from verification.client_cluster import ClientCluster
from verification.issuing import Authority, Wanted
from verification.pods import Executed
from verification.stack import DeployedStack
from verification.tls import ClientCredential, Endpoint

UPSTREAM = {"x-envoy-upstream-service-time": "1"}
HOP = f'Hash=1;Subject="{SUBJECT}";URI={IDENTITY}'
OK = Answer(200, UPSTREAM, json.dumps({"headers": {"X-Forwarded-Client-Cert": [HOP]}}))
DENIED, NO_ROUTE = Answer(403, {}, RBAC), Answer(404, {}, "")
UNREACHED = Answer(503, {}, "upstream connect error or disconnect/reset before headers")
REFUSED, RESET, TIMED_OUT = Executed(7, "", ""), Executed(56, "", "reset"), Executed(28, "", "timed out")

CERTIFICATES = (
    "an expired certificate is refused",
    "a certificate that is not valid yet is refused",
    "a certificate without clientAuth is refused",
)
IDENTITY_REFUSED = "a certificate of the CA with an identity that is not listed is refused"
SPELLED = "its name is the same in capitals and with a port"
FRONTED = "a request in the name of another host does not reach it"
OLD_TLS, PLAIN = "TLS 1.1 is refused", "plain HTTP at port 443 is refused"
HTTP2_REFUSED = "HTTP/2 without a client certificate is refused"
HTTP2 = "HTTP/2 is served to an admitted client"
FORGED = "a forged X-Forwarded-Client-Cert is replaced"
WORKLOAD = "its workload answers nobody past the gateway"
PUBLISHED = "another namespace's Gateway does not publish it"
TAKE_OVER = "another namespace's VirtualService does not take it over"
OF_HOST = [*CERTIFICATES, IDENTITY_REFUSED, SPELLED, OLD_TLS, PLAIN, HTTP2_REFUSED, HTTP2, FORGED]
OF_HOST += [WORKLOAD, PUBLISHED, TAKE_OVER]
FORGED_BY_CALLER = "a forged X-Forwarded-Client-Cert of a caller does not reach httpbin"
CALLER = "a caller that is not declared does not reach httpbin"
BARE = "a Pod without a sidecar does not reach httpbin through the egress gateway"
SERVER = "its Envoy accepts no server of another name or CA as httpbin"
BY_ADDRESS = "the direct way out by IP address and by another port is refused"
IN_STACK_NAMESPACE = "a Pod without a sidecar cannot leave the stack's namespace"
OF_CLIENT = [FORGED_BY_CALLER, CALLER, BARE, SERVER, BY_ADDRESS, IN_STACK_NAMESPACE]


def tried(stack: DeployedStack) -> list[str]:
    """Return the attacks on every host and client, skipped ones with the reason."""
    checks = [check for host in stack.settings.served for check in attacks.of_host(stack, host)]
    checks += [check for client in stack.settings.clients for check in attacks.of_client(stack, client)]
    return [f"{check.promise}{skip_reason(check.run) if not check.look else ''}" for check in checks]


def skip_reason(run: Callable[[], str]) -> str:
    with pytest.raises(Skipped) as caught:
        run()
    return f" - {caught.value}"


# Which attacks are tried


def test_the_demo_is_tried_by_every_attack() -> None:
    assert tried(demo_stack(platform="istio")) == OF_HOST + OF_CLIENT


def test_every_check_tells_what_is_expected_and_where_to_look() -> None:
    checks = [check for check in command.every_check(demo_stack()) if check.look]
    assert len(checks) > len(OF_HOST + OF_CLIENT)
    assert all(check.expected for check in checks)


def test_read_only_says_what_it_does_not_try() -> None:
    reasons = dict.fromkeys((*CERTIFICATES, IDENTITY_REFUSED), READS_KEY)
    reasons |= dict.fromkeys((WORKLOAD, PUBLISHED, TAKE_OVER, CALLER, BARE, IN_STACK_NAMESPACE), CREATES) | {
        SERVER: EXECUTES
    }
    stack = replace(demo_stack(), read_only=True)
    assert tried(stack) == [
        f"{promise} - {reasons[promise]}" if promise in reasons else promise for promise in OF_HOST + OF_CLIENT
    ]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"hosts": {"orders": ORDERS}, "platform": "istio"}, {WORKLOAD: "it is your Service, to whose namespace"}),
        ({"hosts": {"orders": ORDERS}, "platform": "kyma"}, {FORGED: "only the demo shows", WORKLOAD: ""}),
        (
            {"clients": {"acme": ACME}},
            {CERTIFICATES[0]: "it trusts the CAs of partners only", TAKE_OVER: "it admits no"},
        ),
        ({"target": {**TARGET, "gatewayPassthrough": True}}, {PUBLISHED: "gatewayPassthrough accepts this"}),
        (
            {"hosts": {"orders": {**ORDERS, "methods": ["POST"]}}},
            {
                IDENTITY_REFUSED: "its route allows none of GET",
                PUBLISHED: "its route allows none",
                HTTP2: "its route allows",
            },
        ),
        ({"clients": {"warehouse": BILLING}}, {FORGED_BY_CALLER: "its callers are your own Pods", CALLER: ""}),
    ],
)
def test_an_attack_that_cannot_be_judged_is_skipped(config: dict[str, object], expected: dict[str, str]) -> None:
    found = dict(line.partition(" - ")[::2] for line in tried(demo_stack(**config)))
    assert {promise: found[promise].startswith(reason) for promise, reason in expected.items()} == dict.fromkeys(
        expected, True
    )
    assert all(found[promise] == "" for promise, reason in expected.items() if not reason)


def test_hosts_are_asked_for_in_the_name_of_each_other() -> None:
    hosts = {"httpbin": {**HTTPBIN, "clients": ["warehouse"]}, "orders": {**ORDERS, "clients": []}}
    stack = demo_stack(hosts=hosts)
    assert tried(stack).count(FRONTED) == 2
    stack = replace(stack, read_only=True)
    assert [line for line in tried(stack) if FRONTED in line] == [f"{FRONTED} - {READS_KEY}", FRONTED], (
        "orders does not admit a client whose credential is there"
    )


def test_a_partners_host_is_tried_on_the_way_out_only() -> None:
    stack = stack_of(clients={"warehouse": WAREHOUSE}, hosts={"api": PARTNER})
    assert tried(stack) == [], "the partner's answer is awaited"


def test_a_client_that_may_leave_by_any_way_is_not_tried_for_it() -> None:
    stack = demo_stack(clients={"warehouse": {**WAREHOUSE, "networkPolicy": "none"}})
    assert not {BY_ADDRESS, IN_STACK_NAMESPACE} & set(tried(stack))


# From outside, with fakes for the gateway


@dataclass
class FakeCluster:
    """A client's cluster, whose demo prints one answer after the other."""

    answers: list[Executed] = field(default_factory=list)

    def credential(self) -> ClientCredential:
        return ClientCredential(b"certificate", b"key")

    def curl(self, *_: str) -> Executed:
        return self.answers.pop(0)


@dataclass
class FakeAttacker:
    """An attacker's Pods, whose curl prints what a function says of its arguments."""

    curl_with_sidecar: Callable[..., Executed]
    curl_without_sidecar: Callable[..., Executed]
    curl_in_stack_namespace: Callable[..., Executed] = lambda *_: REFUSED
    deployments: list[tuple[Any, ...]] = field(default_factory=list)
    api: object = None
    stack_namespace: str = "mtls"

    @contextmanager
    def deployed(self, *objects: Any) -> Iterator[None]:
        self.deployments.append(objects)
        yield


def outcome(stack: DeployedStack, promise: str, attacker: FakeAttacker | None = None, *answers: Executed) -> str:
    """Return what an attack sees, `FAILED: ` and why, or `SKIPPED: ` and why."""
    attacked = replace(
        stack,
        clients={"warehouse": cast(ClientCluster, FakeCluster(list(answers)))},
        attackers=dict.fromkeys(("target", "clients.warehouse"), cast(Attacker, attacker)),
        authority=Authority(CA, lambda: state_with(AUTHORITY.key_pem)),
    )
    check = next(check for check in command.every_check(attacked) if check.promise == promise)
    try:
        return check.run()
    except Failed as failure:
        return f"FAILED: {failure}"
    except Skipped as reason:
        return f"SKIPPED: {reason}"


def state_with(*keys: str) -> str:
    outputs = [
        {"privateKeyPem": {"4dabf18193072939515e22adb298388d": "x", "plaintext": json.dumps(key)}} for key in keys
    ]
    resources = [{"type": "tls:index/privateKey:PrivateKey", "outputs": each} for each in outputs]
    return json.dumps({"deployment": {"resources": [*resources, {"type": "pulumi:pulumi:Stack"}]}})


def printed(answer: Answer) -> Executed:
    headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    return Executed(0, f"HTTP/1.1 {answer.status} x\r\n{headers}\r\n{answer.body}", "")


@pytest.mark.parametrize(
    ("promise", "flawed", "right", "expected"),
    [
        (CERTIFICATES[0], "certificate expired", None, "TLS 1.2: certificate expired, TLS 1.3: certificate expired"),
        (CERTIFICATES[1], "certificate expired", None, "TLS 1.2: certificate expired"),
        (CERTIFICATES[2], "unsupported certificate", None, "TLS 1.2: unsupported certificate"),
        (CERTIFICATES[2], None, None, "FAILED: TLS 1.2: the handshake succeeded"),
        (CERTIFICATES[0], "unknown ca", "unknown ca", "FAILED: TLS 1.2: unknown ca, TLS 1.3: unknown ca, but so is"),
    ],
)
def test_a_flawed_certificate_is_judged_beside_a_right_one(
    monkeypatch: pytest.MonkeyPatch, promise: str, flawed: str | None, right: str | None, expected: str
) -> None:
    def alert(_: Endpoint, credential: ClientCredential, *__: object) -> str | None:
        certificate = x509.load_pem_x509_certificate(credential.certificate)
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        now = datetime.now(UTC)
        is_right = certificate.not_valid_before_utc < now < certificate.not_valid_after_utc
        assert certificate.subject.rfc4514_string() == SUBJECT
        certificate.verify_directly_issued_by(AUTHORITY.certificate)
        return right if is_right and ExtendedKeyUsageOID.CLIENT_AUTH in usages else flawed

    monkeypatch.setattr(Endpoint, "alert", alert)
    assert outcome(demo_stack(), promise).startswith(expected)


@pytest.mark.parametrize(
    ("answer", "expected"), [(DENIED, "403"), (OK, "FAILED: got 200"), (NO_ROUTE, "FAILED: got 404")]
)
def test_an_identity_that_is_not_listed_has_to_be_denied(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, expected: str
) -> None:
    monkeypatch.setattr(Endpoint, "alert", lambda *_: "unknown ca")
    monkeypatch.setattr(Endpoint, "request", lambda *_, **__: answer)
    assert outcome(demo_stack(), IDENTITY_REFUSED).startswith(expected)


def test_the_cas_key_is_read_once_and_found_by_the_certificate() -> None:
    exports: list[str] = []

    def export() -> str:
        exports.append(state_with(issue("other").key_pem, AUTHORITY.key_pem))
        return exports[-1]

    authority = Authority(CA, export)
    for _ in range(2):
        signed = authority.sign(Wanted(x509.Name([])))
        x509.load_pem_x509_certificate(signed.certificate).verify_directly_issued_by(AUTHORITY.certificate)
    assert len(exports) == 1
    assert "PRIVATE KEY" not in repr(authority) + repr(signed)


def test_a_state_without_the_cas_key_is_a_failure() -> None:
    with pytest.raises(Failed, match="the state has no private key of output caCertificate"):
        Authority(CA, lambda: state_with(issue("other").key_pem)).sign(Wanted(x509.Name([])))


@pytest.mark.parametrize(
    ("platform", "served", "expected"),
    [
        ("istio", {"HTTPBIN.EXAMPLE.COM", "httpbin.example.com:443"}, "served as HTTPBIN.EXAMPLE.COM and httpbin."),
        ("istio", {"HTTPBIN.EXAMPLE.COM"}, f"FAILED: Host httpbin.example.com:443: got 403 {RBAC}"),
        ("kyma", {"HTTPBIN.EXAMPLE.COM"}, "served as HTTPBIN.EXAMPLE.COM"),
        ("kyma", set(), "FAILED: Host HTTPBIN.EXAMPLE.COM"),
    ],
)
def test_each_spelling_of_a_name_has_to_be_served(
    monkeypatch: pytest.MonkeyPatch, platform: str, served: set[str], expected: str
) -> None:
    monkeypatch.setattr(Endpoint, "request", lambda *_, host: OK if host in served else DENIED)
    assert outcome(demo_stack(platform=platform), SPELLED).startswith(expected)


@pytest.mark.parametrize(
    ("open_name", "expected"),
    [
        ("", "SNI orders.example.com: 403 and 404"),
        ("httpbin.example.com", "FAILED: SNI orders.example.com, Host httpbin.example.com: got 200"),
        ("httpbin.example.com:443", "FAILED: SNI orders.example.com, Host httpbin.example.com:443: got 200"),
        ("HTTPBIN.EXAMPLE.COM", "FAILED: SNI orders.example.com, Host HTTPBIN.EXAMPLE.COM: got 200"),
        ("httpbin.example.com.", "FAILED: SNI orders.example.com, Host httpbin.example.com.: got 200"),
        ("HTTP/2", "FAILED: SNI orders.example.com, Host httpbin.example.com by HTTP/2: got 200"),
    ],
)
def test_no_spelling_of_a_name_may_reach_it_in_the_name_of_another(
    monkeypatch: pytest.MonkeyPatch, open_name: str, expected: str
) -> None:
    def request(endpoint: Endpoint, *_: object, host: str) -> Answer:
        assert endpoint.domain == "orders.example.com"
        return OK if host == open_name else (DENIED if ":" in host else NO_ROUTE)

    monkeypatch.setattr(Endpoint, "request", request)
    monkeypatch.setattr(Endpoint, "request_http2", lambda *_, **__: OK if open_name == "HTTP/2" else NO_ROUTE)
    hosts = {"httpbin": {**HTTPBIN, "clients": []}, "orders": {**ORDERS, "clients": ["warehouse"]}}
    assert outcome(demo_stack(hosts=hosts), FRONTED).startswith(expected)


def test_the_kyma_gateway_asks_for_no_certificate_and_is_no_front(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(endpoint: Endpoint, _: str, __: str, credential: ClientCredential | None, *, host: str) -> Answer:
        assert (endpoint.domain, credential) == ("verification.kyma.example.com", None)
        return OK if host.isupper() else NO_ROUTE

    monkeypatch.setattr(Endpoint, "request", request)
    monkeypatch.setattr(Endpoint, "request_http2", request)
    stack = stack_of(KYMA_GATEWAY, target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"httpbin": HTTPBIN})
    promise = "a request in the name of the Kyma gateway does not reach it"
    assert outcome(stack, promise).startswith("FAILED: SNI verification.kyma.example.com, Host HTTPBIN.EXAMPLE.COM")


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        ("protocol version", "alert protocol version"),
        ("handshake failure", "FAILED: alert handshake failure"),
        (None, "FAILED: a handshake by TLS 1.1 came about"),
    ],
)
def test_tls_before_1_2_has_to_be_refused_for_its_version(
    monkeypatch: pytest.MonkeyPatch, alert: str | None, expected: str
) -> None:
    def refuse(_: Endpoint, __: object, version: ssl.TLSVersion) -> str | None:
        assert version.name == "TLSv1_1"
        return alert

    monkeypatch.setattr(Endpoint, "alert", refuse)
    assert outcome(demo_stack(), OLD_TLS) == expected


@pytest.mark.parametrize("speaks", [True, False])
def test_plain_http_may_get_no_answer(monkeypatch: pytest.MonkeyPatch, speaks: bool) -> None:
    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.rfile.readline()
            if speaks:
                self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.close_connection = True

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        endpoint = Endpoint("httpbin.example.com", "127.0.0.1", CA, server.server_port)
        monkeypatch.setattr(DeployedStack, "endpoint", lambda *_: endpoint)
        seen = outcome(demo_stack(), PLAIN)
        thread.join()
    if speaks:
        assert seen == "FAILED: got HTTP/1.1 400 Bad Request"
    else:
        assert seen in ("the connection was closed", "the connection was reset")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (OK.body, f"200, Subject {SUBJECT}"),
        (
            OK.body.replace('["', '["URI=spiffe://forged.invalid/b,'),
            f"FAILED: 200, Subject {SUBJECT}, URI {IDENTITY}; but",
        ),
        (OK.body.replace("warehouse", "forged"), "FAILED: got 200, but X-Forwarded-Client-Cert has"),
    ],
)
def test_a_forged_header_may_not_come_through(monkeypatch: pytest.MonkeyPatch, body: str, expected: str) -> None:
    answer = replace(OK, body=body)
    sent: list[dict[str, str]] = []

    def request(*_: object, headers: dict[str, str]) -> Answer:
        sent.append(headers)
        return answer

    monkeypatch.setattr(Endpoint, "request", request)
    assert outcome(demo_stack(), FORGED).startswith(expected)
    assert "spiffe://forged.invalid/b" in sent[0]["X-Forwarded-Client-Cert"]
    assert outcome(demo_stack(), FORGED_BY_CALLER, None, printed(answer)).startswith(expected)


# From inside, with fakes for the attacker's Pods


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> None:
    """Return a Service with one Pod behind it, and that of the ingress gateway."""
    port = SimpleNamespace(port=8000, target_port=8080)
    service = SimpleNamespace(spec=SimpleNamespace(selector={"app": "httpbin"}, ports=[port]))
    ports = [SimpleNamespace(port=80, target_port=8080), SimpleNamespace(port=443, target_port=8443)]
    gateway = SimpleNamespace(spec=SimpleNamespace(selector={"app": "gateway"}, ports=ports))
    read = {"istio-ingressgateway": gateway}
    pod = SimpleNamespace(status=SimpleNamespace(pod_ip="10.0.0.7"))
    monkeypatch.setattr(CoreV1Api, "read_namespaced_service", lambda _, name, *__, **___: read.get(name, service))
    monkeypatch.setattr(CoreV1Api, "list_namespaced_pod", lambda *_, **__: SimpleNamespace(items=[pod]))


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("with_sidecar", "without_sidecar", "expected"),
    [
        (DENIED, printed(DENIED), "403"),
        (DENIED, RESET, "403, no connection"),
        (UNREACHED, TIMED_OUT, "SKIPPED: no answer of a policy"),
        (OK, RESET, "FAILED: a Pod with a sidecar at httpbin.mtls.svc:8000: got 200"),
        (DENIED, printed(OK), "FAILED: a Pod without a sidecar at httpbin.mtls.svc:8000: got 200"),
        (
            DENIED,
            printed(Answer(404, UPSTREAM, "")),
            "FAILED: a Pod without a sidecar at httpbin.mtls.svc:8000: got 404",
        ),
        (
            DENIED,
            Executed(6, "", "no such host"),
            "FAILED: a Pod without a sidecar at httpbin.mtls.svc:8000: curl ended",
        ),
    ],
)
def test_a_workload_may_answer_nobody_past_the_gateway(
    with_sidecar: Answer, without_sidecar: Executed, expected: str
) -> None:
    attacker = FakeAttacker(lambda *_: printed(with_sidecar), lambda *_: without_sidecar)
    assert outcome(demo_stack(), WORKLOAD, attacker).startswith(expected)


@pytest.mark.usefixtures("services")
def test_a_workload_is_asked_at_each_address_with_and_without_the_gateways_header() -> None:
    asked: list[tuple[str, ...]] = []

    def curl(*arguments: str) -> Executed:
        asked.append(arguments)
        return printed(DENIED)

    outcome(demo_stack(), WORKLOAD, FakeAttacker(curl, curl))
    assert {arguments[-1] for arguments in asked} == {
        *("http://httpbin.mtls.svc:8000/headers", "http://10.0.0.7:8080/headers")
    }
    disguised = [arguments for arguments in asked if any(IDENTITY in each for each in arguments)]
    assert len(disguised) == len(asked) / 2
    assert all("Host: httpbin.example.com" in arguments for arguments in disguised)


def of_door(domain: Answer) -> FakeAttacker:
    """Return an attacker whose own host answers 418, and any other host as given."""
    own = Answer(foreign_routes.TEAPOT, {}, "")
    return FakeAttacker(
        lambda *_: REFUSED,
        lambda *arguments: printed(own if any(".kyma-mtls.invalid" in each for each in arguments) else domain),
    )


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (DENIED, "403"),
        (Answer(301, {"location": "https://httpbin.example.com"}, ""), "301"),
        (OK, "FAILED: Host httpbin.example.com, without a client certificate: got 200"),
    ],
)
def test_another_namespaces_gateway_may_publish_nothing(answer: Answer, expected: str) -> None:
    attacker = of_door(answer)
    assert outcome(demo_stack(), PUBLISHED, attacker).startswith(expected)
    gateway = attacker.deployments[0][0]["spec"]
    assert gateway["selector"] == {"app": "gateway"}, "that of the gateway's Service"
    assert gateway["servers"][0]["port"]["number"] == 80, "a second server at 443 would end the listener"
    assert {each["spec"]["exportTo"][0] for each in attacker.deployments[0][1:]} == {"*"}, "a mesh may export nothing"


@pytest.mark.usefixtures("services")
def test_one_gateway_of_several_that_publishes_is_found() -> None:
    answers = [NO_ROUTE] * 5 + [OK] + [NO_ROUTE] * 3
    control = Answer(foreign_routes.TEAPOT, {}, "")

    def curl(*arguments: str) -> Executed:
        is_control = any(".kyma-mtls.invalid" in each for each in arguments)
        return printed(control if is_control else answers.pop(0))

    assert outcome(demo_stack(), PUBLISHED, FakeAttacker(curl, curl)).endswith(
        "without a client certificate: got 200 " + OK.body
    )
    assert answers == []


@pytest.mark.parametrize("promise", [PUBLISHED, TAKE_OVER])
def test_foreign_routes_are_not_tried_without_port_80(monkeypatch: pytest.MonkeyPatch, promise: str) -> None:
    spec = SimpleNamespace(selector={}, ports=[SimpleNamespace(port=443)])
    monkeypatch.setattr(CoreV1Api, "read_namespaced_service", lambda *_, **__: SimpleNamespace(spec=spec))
    seen = outcome(demo_stack(), promise, of_door(OK))
    assert seen.startswith("SKIPPED: the ingress gateway's Service istio-system/istio-ingressgateway has no port 80")


@pytest.mark.usefixtures("services")
def test_nothing_is_told_of_a_route_that_is_not_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_routes, "_LIVE_SECONDS", 0.1)
    attacker = FakeAttacker(lambda *_: REFUSED, lambda *_: REFUSED)
    seen = outcome(demo_stack(), PUBLISHED, attacker)
    assert seen.startswith("SKIPPED: the attacker's own host is not served, so that nothing can be told: port 80")


def test_nothing_is_told_of_a_callers_route_that_is_not_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress_gateway, "_LIVE_SECONDS", 0)
    attacker = FakeAttacker(lambda *_: REFUSED, lambda *_: REFUSED)
    assert outcome(demo_stack(), CALLER, attacker).startswith("SKIPPED: the attacker's own route is not there")


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("answer", "expected"), [(OK, "200, Subject"), (Answer(418, {}, ""), "FAILED: got 418: the other namespace's own")]
)
def test_another_namespaces_route_may_answer_nothing(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, expected: str
) -> None:
    answers = [OK, OK, answer]
    monkeypatch.setattr(Endpoint, "request", lambda *_, **__: answers.pop(0))
    attacker = of_door(DENIED)
    assert outcome(demo_stack(), TAKE_OVER, attacker).startswith(expected)
    rules = attacker.deployments[0][1]["spec"]["http"]
    assert "match" in rules[0], "only requests with the attacker's own header meet its answer"
    assert "match" not in rules[1], "all others are served on"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (printed(DENIED), "403"),
        (printed(OK), "FAILED: got 200"),
        (printed(UNREACHED), "FAILED: got 503"),
        (RESET, "FAILED: curl ended with 56, which is no refusal"),
    ],
)
def test_an_undeclared_caller_has_to_be_denied(answer: Executed, expected: str) -> None:
    def curl_with_sidecar(*arguments: str) -> Executed:
        is_control = any(each.startswith(foreign_routes.HEADER) for each in arguments)
        return printed(Answer(foreign_routes.TEAPOT, {}, "")) if is_control else answer

    attacker = FakeAttacker(curl_with_sidecar, lambda *_: REFUSED)
    assert outcome(demo_stack(), CALLER, attacker).startswith(expected)
    assert [each["kind"] for each in attacker.deployments[0]] == ["ServiceEntry", "DestinationRule", "VirtualService"]


@pytest.mark.parametrize(
    ("connected", "answer", "expected"),
    [
        ("0.001", RESET, "http://httpbin.example.com:80: no answer (curl 56), http://httpbin.example.com:443: no"),
        ("0.001", printed(NO_ROUTE), "http://httpbin.example.com:80: 404"),
        ("0.001", printed(OK), "FAILED: http://httpbin.example.com:80: got 200"),
        ("0.000", RESET, "SKIPPED: the cluster's network refuses it"),
    ],
)
def test_a_pod_without_a_sidecar_may_not_use_the_egress_gateway(
    connected: str, answer: Executed, expected: str
) -> None:
    def curl_without_sidecar(*arguments: str) -> Executed:
        return Executed(52, connected, "") if "%{time_connect}" in arguments else answer

    assert outcome(demo_stack(), BARE, FakeAttacker(lambda *_: REFUSED, curl_without_sidecar)).startswith(expected)


def envoys(names: list[str] | None, own: str, authority: str, key: str = "match_subject_alt_names") -> str:
    matchers = [{"exact": name} for name in names or []]
    if key == "match_typed_subject_alt_names":
        matchers = [{"san_type": "DNS", "matcher": each} for each in matchers]  # type: ignore[dict-item]
    tls = {
        "tls_certificate_sds_secret_configs": [{"name": f"kubernetes://{own}"}],
        "combined_validation_context": {
            "default_validation_context": {key: matchers} if names is not None else {},
            "validation_context_sds_secret_config": {"name": f"kubernetes://{authority}"},
        },
    }
    cluster = {"name": "a", "transport_socket": {"typed_config": {"common_tls_context": tls}}}
    return json.dumps({"configs": [{"cluster": cluster}]})


@pytest.mark.parametrize(
    ("dump", "expected"),
    [
        (envoys(["a.test"], "s", "s-cacert"), "a.test only, by the CA of Secret s"),
        (envoys(["a.test"], "s", "s-cacert", "match_typed_subject_alt_names"), "a.test only"),
        (envoys(None, "s", "s-cacert"), "accepts a server of any name"),
        (envoys(["a.test", "b.test"], "s", "s-cacert"), "accepts a server of the names a.test, b.test"),
        (envoys(["a.test"], "s", "other-cacert"), "trusts the CA of other-cacert, and shows the certificate of s"),
        (envoys(["a.test"], "", ""), "trusts the CA of no Secret, and shows the certificate of no Secret"),
        (envoys(["a.test"], "other", "other-cacert"), "shows the certificate of Secret other, not s"),
        (json.dumps({"configs": [{"cluster": {"name": "a"}}]}), "Envoy's cluster a is without TLS"),
        ("{}", "Envoy has no cluster a"),
        ("not found", "Envoy told no configuration: 'not found'"),
        ("[]", "Envoy told no configuration: '[]'"),
    ],
)
def test_envoy_has_to_verify_the_servers_name_and_ca(dump: str, expected: str) -> None:
    try:
        seen = server_identity.judge(dump, "a", "a.test", "s")
    except Failed as failure:
        seen = str(failure)
    assert seen.startswith(expected)


@pytest.mark.parametrize(
    ("without_sidecar", "in_stack_namespace", "expected"),
    [
        (
            Executed(35, "0.000", "reset"),
            REFUSED,
            "no connection to https://httpbin.example.com:443/, https://httpbin.example.com:443/ at 192.0.2.7, http://192.",
        ),
        (RESET, Executed(28, "0.000", "timed out"), "no connection to https://httpbin.example.com:443/"),
        (RESET, Executed(28, "0.010", "timed out"), "FAILED: https://httpbin.example.com:443/ could be reached"),
        (RESET, Executed(35, "0.000", "reset"), "FAILED: https://httpbin.example.com:443/ could be reached"),
        (REFUSED, REFUSED, "SKIPPED: no Pod of this cluster gets out directly"),
    ],
)
def test_a_pod_without_a_sidecar_may_not_leave_the_namespace(
    without_sidecar: Executed, in_stack_namespace: Executed, expected: str
) -> None:
    attacker = FakeAttacker(lambda *_: REFUSED, lambda *_: without_sidecar, lambda *_: in_stack_namespace)
    assert outcome(demo_stack(), IN_STACK_NAMESPACE, attacker).startswith(expected)


@pytest.mark.parametrize(
    ("by_tls", "by_http", "expected"),
    [
        (
            Executed(35, "0.000", ""),
            UNREACHED,
            "https://httpbin.example.com:443/ at 192.0.2.7: curl 35, http://192.0.2.7:80/: 503 of its sidecar",
        ),
        (
            Executed(60, "0.010", ""),
            UNREACHED,
            "FAILED: https://httpbin.example.com:443/ at 192.0.2.7 could be reached by TLS",
        ),
        (
            Executed(6, "0.000", "odd"),
            UNREACHED,
            "FAILED: https://httpbin.example.com:443/ at 192.0.2.7: curl ended with 6",
        ),
        (Executed(35, "0.000", ""), NO_ROUTE, "FAILED: http://192.0.2.7:80/: got 404"),
    ],
)
def test_a_sidecar_may_not_connect_by_address_or_another_port(
    monkeypatch: pytest.MonkeyPatch, by_tls: Executed, by_http: Answer, expected: str
) -> None:
    monkeypatch.setattr("verification.attacks.network._is_open", lambda _: True)
    assert outcome(demo_stack(), BY_ADDRESS, None, by_tls, printed(by_http)).startswith(expected)
