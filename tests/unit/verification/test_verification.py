"""What the verification tries on which stack, how it reads answers, and how it tells its verdicts."""

import base64
import io
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import websocket
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kubernetes.client import ApiClient, ApiException, CoreV1Api
from pulumi import automation
from rich.console import Console

import clusters
from components.namespaced_name import NamespacedName
from settings import ConfigError, read_config
from settings.clusters import EGRESS_GATEWAY
from tests.unit.deployed import (
    ACME,
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
    outputs_of,
    settings_of,
    stack_of,
)
from tests.unit.pki import Holder, issue
from verification import __main__ as command
from verification import clients as client_promises
from verification import hosts as host_promises
from verification import runner
from verification.answers import RBAC, Answer, client_hops
from verification.checks import Check, Failed, Skipped
from verification.client_cluster import ClientCluster
from verification.issuing import foreign_credential
from verification.outputs import read_outputs
from verification.pods import Executed, execute
from verification.probes import NO_SAFE_METHOD, Probe, probe, refused_probe
from verification.report import Report
from verification.runner import Outcome, Verdict
from verification.stack import DeployedStack
from verification.tls import ClientCredential, Endpoint

UPSTREAM = {"x-envoy-upstream-service-time": "1"}

PLACE = NamespacedName.parse(EGRESS_GATEWAY)
FIRST = ("no client certificate is refused", "a certificate of another CA is refused")
METHOD = "a method that is not allowed is refused"
PATH = "a path that is not allowed is refused"
SIDECAR = "the demo's Pods have a sidecar"
DIRECT = "the direct way out is refused"


def way_out(host: str) -> str:
    return f"plain HTTP to {host} leaves through the egress gateway"


def shown(*hops: str) -> str:
    return json.dumps({"headers": {"X-Forwarded-Client-Cert": [",".join(hops)]}})


MESH_HOP = 'By=spiffe://cluster.local/x;Hash=2;Subject="";URI=spiffe://cluster.local/ns/istio-system/sa/gateway'
CLIENT_HOP = f'Hash=1;Cert="-----";Subject="{SUBJECT}";URI={IDENTITY};DNS=a'
OK = Answer(200, UPSTREAM, shown(CLIENT_HOP, MESH_HOP))
DENIED = Answer(403, {}, RBAC)


def tried(stack: DeployedStack) -> list[str]:
    """Every check but the attacks as `GROUP: PROMISE`, those that are skipped with the reason."""
    checks = [check for host in stack.settings.served for check in host_promises.checks(stack, host)]
    checks += [check for client in stack.settings.clients for check in client_promises.checks(stack, client)]
    return [f"{check.group}: {check.promise}{skip_reason(check)}" for check in checks]


def skip_reason(check: Check) -> str:
    if check.look:
        return ""
    with pytest.raises(Skipped) as caught:
        check.run()
    return f" - {caught.value}"


BASE = {
    *FIRST,
    *(f"client {name} is {verdict}" for name in ("warehouse", "billing") for verdict in ("admitted", "refused")),
    *map(way_out, ("httpbin", "orders")),
}


# Which checks are made for which stack


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
                f"host orders (orders.example.com): {PATH}",
                "client warehouse: it reaches its hosts - no host admits it",
                f"client billing: {way_out('httpbin')} - its callers are your own Pods; "
                "run in one of invoices, shop/till: curl -sS -i http://httpbin.example.com/headers",
                f"client billing: {way_out('orders')} - its callers are your own Pods; "
                "run in one of invoices, shop/till: curl -sS -i -X OPTIONS http://orders.example.com/v1/",
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
                f"client warehouse: {way_out('orders')} - {NO_SAFE_METHOD}",
                f"client warehouse: {DIRECT} - no host of it can be called to tell a refusal from a failure",
                f"client warehouse: {SIDECAR}",
                "client acme: its certificate is admitted - only the partner has its key; admitted by orders",
            ],
            id="a service without a safe method, and a partner's client",
        ),
        pytest.param(
            {"target": TARGET, "clients": {"acme": ACME}, "hosts": {"httpbin": HTTPBIN}},
            [
                *(f"host httpbin (httpbin.example.com): {promise}" for promise in FIRST),
                f"host httpbin (httpbin.example.com): {METHOD} - it admits no client whose credential the stack has",
                f"host httpbin (httpbin.example.com): {SIDECAR}",
                "client acme: its certificate is admitted - only the partner has its key; admitted by httpbin",
            ],
            id="a target without a client cluster",
        ),
        pytest.param(
            {"clients": {"warehouse": WAREHOUSE}, "hosts": {"api": PARTNER}},
            [
                f"client warehouse: {way_out('api')} - "
                "the partner's answer to the output signingRequests.api.warehouse is awaited",
                f"client warehouse: {DIRECT} - no host of it can be called to tell a refusal from a failure",
                f"client warehouse: {SIDECAR}",
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
                f"host httpbin (httpbin.example.com): {METHOD} - it admits no client whose credential the stack has",
                f"host httpbin (httpbin.example.com): {SIDECAR}",
                *(f"host bin (bin.example.com): {promise}" for promise in FIRST),
                "host bin (bin.example.com): client warehouse is admitted",
                f"host bin (bin.example.com): {METHOD}",
                f"host bin (bin.example.com): {SIDECAR}",
                f"client warehouse: {way_out('bin')}",
                f"client warehouse: {DIRECT} - networkPolicy is none: its namespaces may be left by any way",
                f"client warehouse: {SIDECAR}",
            ],
            id="a host that admits nobody, and no network policy",
        ),
    ],
)
def test_a_stack_is_tried_by_its_own_promises(config: dict[str, object], expected: list[str]) -> None:
    assert tried(stack_of(**config)) == expected


def test_a_partners_host_is_called_once_its_answer_is_there() -> None:
    signer = issue("partner CA")
    client = issue("warehouse", signer, hosts=("warehouse.test",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    external = {"certificateAuthority": CA, "credentials": {"warehouse": {"certificate": client.pem}}}
    stack = stack_of(clients={"warehouse": WAREHOUSE}, hosts={"api": {**PARTNER, "external": external}})
    promises = (way_out("api"), DIRECT, SIDECAR)
    assert tried(stack) == [f"client warehouse: {promise}" for promise in promises]


def test_the_kyma_gateway_is_tried_if_there_is_one() -> None:
    stack = stack_of(KYMA_GATEWAY, target=TARGET, gatewayMode="selfSigned", gatewayDomain="kyma.example.com")
    assert [check.group for check in command.every_check(stack)] == ["Kyma gateway"] * 4


@pytest.mark.parametrize(
    ("hosts", "clients", "expected"),
    [
        (["orders"], [], [*FIRST, "client warehouse is admitted", "client billing is refused", way_out("orders")]),
        ([], ["billing"], ["client billing is admitted", "client billing is refused", way_out("httpbin")]),
        (["orders"], ["billing"], ["client billing is refused"]),
    ],
)
def test_what_is_tried_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, hosts: list[str], clients: list[str], expected: list[str]
) -> None:
    monkeypatch.setattr(DeployedStack, "connect", lambda stack, *_, **__: stack)
    stack = stack_of(
        target=TARGET,
        clients={"warehouse": WAREHOUSE, "billing": BILLING},
        hosts={
            "httpbin": {**HTTPBIN, "clients": ["warehouse", "billing"]},
            "orders": {**ORDERS, "clients": ["warehouse"]},
        },
    )
    _, checks = command.chosen_checks(stack, hosts, clients)
    assert [check.promise for check in checks if check.promise in BASE] == expected
    assert all(check.host in hosts for check in checks if hosts), "the attacks are chosen alike"
    assert all(check.client in clients for check in checks if clients)


@pytest.mark.parametrize(
    ("hosts", "clients", "message"),
    [
        (["shop"], [], "--host: no host shop in the config, which has httpbin"),
        ([], ["shop"], "--client: no client shop in the config, which has warehouse"),
    ],
)
def test_a_name_that_the_stack_does_not_know_is_refused(hosts: list[str], clients: list[str], message: str) -> None:
    stack = stack_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"httpbin": HTTPBIN})
    with pytest.raises(ConfigError, match=message):
        command.chosen_checks(stack, hosts, clients)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (HTTPBIN, Probe("GET", "/headers", shows_client=True)),
        ({**HTTPBIN, "paths": ["/get", "/headers"]}, Probe("GET", "/headers", shows_client=True)),
        ({**HTTPBIN, "paths": ["/anything/*"]}, Probe("GET", "/anything/")),
        ({**HTTPBIN, "methods": ["HEAD"]}, Probe("HEAD", "/")),
        (ORDERS, Probe("GET", "/")),
        ({**ORDERS, "paths": ["/health", "/*"], "methods": ["OPTIONS", "GET"]}, Probe("GET", "/health")),
        ({**ORDERS, "methods": ["POST", "DELETE"]}, None),
        (PARTNER, Probe("GET", "/")),
    ],
)
def test_a_host_is_tried_by_a_harmless_request_that_it_allows(host: dict[str, object], expected: Probe | None) -> None:
    settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"it": host})
    assert probe(settings.hosts["it"]) == expected


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (["GET"], "POST"),
        (["GET", "POST"], "PUT"),
        (["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS"], None),
    ],
)
def test_a_method_that_is_not_allowed_is_found(methods: list[str], expected: str | None) -> None:
    host = {**HTTPBIN, "methods": methods}
    settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"it": host})
    found = refused_probe(settings.hosts["it"])
    assert (found.method if found else None) == expected


# What a deployed stack says of itself


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda outputs: outputs.clear(), r"stack test has no outputs yet; deploy it with `pulumi up`"),
        (lambda outputs: outputs.pop("hosts"), r"stack test: output hosts: Field required; deploy it again"),
        (lambda outputs: outputs.update(hosts=7), r"stack test: output hosts: Input should be .*dictionary"),
        (lambda outputs: outputs["hosts"]["httpbin"].pop("domain"), r"output hosts.httpbin.domain: Field required"),
        (lambda outputs: outputs["hosts"].clear(), r"kyma-mtls:hosts.httpbin: not deployed yet; run `pulumi up`"),
        (lambda outputs: outputs["clients"].clear(), r"kyma-mtls:clients.warehouse: not deployed yet"),
        (
            lambda outputs: outputs["hosts"].update(
                old={"domain": "old.example.com", "external": False, "clients": {}}
            ),
            r"kyma-mtls:hosts.old: deployed, but no longer in the config",
        ),
        (
            lambda outputs: outputs["hosts"]["httpbin"]["clients"].clear(),
            r"kyma-mtls:hosts.httpbin.clients: not deployed yet; run `pulumi up`",
        ),
        (
            lambda outputs: outputs["hosts"]["httpbin"]["clients"].update(billing="spiffe://b"),
            r"kyma-mtls:hosts.httpbin.clients: not deployed yet; run `pulumi up`",
        ),
        (lambda outputs: outputs.pop("target"), r"kyma-mtls:target: not deployed yet"),
        (
            lambda outputs: outputs["clients"]["warehouse"].pop("secret"),
            r"kyma-mtls:clients.warehouse: deployed without a cluster",
        ),
    ],
)
def test_outputs_that_are_not_those_of_the_config_cannot_be_judged(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    settings = settings_of(target=TARGET, clients={"warehouse": WAREHOUSE}, hosts={"httpbin": HTTPBIN})
    outputs = outputs_of(settings)
    change(outputs)
    with pytest.raises(ConfigError, match=message):
        read_outputs("test", outputs, settings)


@dataclass
class FakeWorkspace:
    """What the automation API tells of the project in the current directory."""

    config: dict[str, str]
    outputs: dict[str, object]
    selected: str | None = "test"
    error: Exception | None = None
    work_dir: str = "."
    env_vars: Mapping[str, str] = field(default_factory=dict)

    @property
    def pulumi_command(self) -> object:
        mark = {"urn": "urn:pulumi:test::kyma-mtls::random:index/randomId:RandomId::owner", "outputs": {"hex": "0a1b"}}
        exported = json.dumps({"deployment": {"resources": [{**mark, "type": "random:index/randomId:RandomId"}]}})
        commands = {("stack", "export", "--stack", "test"): exported}
        return SimpleNamespace(run=lambda command, *_: SimpleNamespace(stdout=commands[tuple(command)]))

    def stack(self) -> object:
        if self.error:
            raise self.error
        return SimpleNamespace(name=self.selected) if self.selected else None

    def get_all_config(self, _: str) -> dict[str, automation.ConfigValue]:
        return {key: automation.ConfigValue(value) for key, value in self.config.items()}

    def stack_outputs(self, _: str) -> dict[str, automation.OutputValue]:
        return {key: automation.OutputValue(value, secret=False) for key, value in self.outputs.items()}


def test_the_selected_stack_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {
        "kyma-mtls:clients": json.dumps({"warehouse": WAREHOUSE}),
        "kyma-mtls:hosts": json.dumps({"api": PARTNER}),
    }
    settings = read_config(config)
    workspace = FakeWorkspace(config, outputs_of(settings))
    monkeypatch.setattr(automation, "LocalWorkspace", lambda **_: workspace)
    loaded = DeployedStack.load(None)
    assert (loaded.name, loaded.settings) == ("test", settings)
    assert loaded.outputs.hosts["api"].domain == "api.partner.example"
    assert loaded.state.owner == "0a1b"
    assert (loaded.clients, loaded.reached) == ({}, {})


@pytest.mark.parametrize(
    ("workspace", "message"),
    [
        (FakeWorkspace({}, {}, selected=None), "no stack is selected; name one with --stack"),
        (FakeWorkspace({}, {}, error=FileNotFoundError("pulumi")), "no usable `pulumi` on PATH: pulumi"),
        (FakeWorkspace({"kyma-mtls:platform": "openshift"}, {}), "kyma-mtls:platform: 'openshift'"),
    ],
)
def test_a_stack_that_cannot_be_read_cannot_be_judged(
    monkeypatch: pytest.MonkeyPatch, workspace: FakeWorkspace, message: str
) -> None:
    monkeypatch.setattr(automation, "LocalWorkspace", lambda **_: workspace)
    with pytest.raises(ConfigError, match=message):
        DeployedStack.load(None)


def test_problems_of_all_client_clusters_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(access: Any) -> None:
        raise ConfigError(f"kyma-mtls:{access.path}: does not answer")

    monkeypatch.setattr(clusters, "connect", connect)
    stack = stack_of(clients={"warehouse": WAREHOUSE, "billing": BILLING})
    with pytest.raises(ConfigError) as caught:
        stack.connect(["warehouse", "billing"])
    assert str(caught.value).splitlines() == [
        "kyma-mtls:clients.warehouse: does not answer",
        "kyma-mtls:clients.billing: does not answer",
    ]


def test_a_client_cluster_is_known_by_the_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "connect", lambda access: SimpleNamespace(api=access.path))
    connected = stack_of(clients={"warehouse": WAREHOUSE, "acme": ACME}).connect(["warehouse"])
    assert connected.clients == {
        "warehouse": ClientCluster(cast(ApiClient, "clients.warehouse"), "mtls", PLACE, "client-credential-mtls")
    }


# How answers are read


def test_every_hop_with_a_subject_is_read() -> None:
    earlier = 'Hash=0;Subject="CN=a,O=\\"b;c\\"";URI=;URI=spiffe://x;URI=spiffe://y'
    assert [(hop["Subject"], hop["URI"]) for hop in client_hops(shown(earlier, CLIENT_HOP, MESH_HOP))] == [
        (['CN=a,O=\\"b;c\\"'], ["", "spiffe://x", "spiffe://y"]),
        ([SUBJECT], [IDENTITY]),
    ]
    assert client_hops(json.dumps({"headers": {}})) == []


@pytest.mark.parametrize(
    "body", ["<html>", "", "[]", "{}", "null", '{"headers": []}', '{"headers": {"X-Forwarded-Client-Cert": 7}}']
)
def test_an_answer_that_is_not_httpbins_is_a_failure(body: str) -> None:
    with pytest.raises(Failed, match="not what httpbin answers"):
        Answer(200, {}, body).check_shows(SUBJECT, IDENTITY)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(503, {}, "no healthy\nupstream"), "got 503 no healthy upstream"),
        (Answer(200, {}, json.dumps({"headers": {}})), "names nobody"),
        (Answer(200, {}, shown(MESH_HOP)), "names nobody"),
        (Answer(200, {}, shown(CLIENT_HOP.replace("warehouse,", "billing,"))), "not Subject CN=warehouse"),
        (Answer(200, {}, shown(CLIENT_HOP.replace(IDENTITY, ""))), "URI none, not Subject"),
        (
            Answer(200, {}, shown(f'Subject="{SUBJECT}";URI=spiffe://x', f'Subject="";URI={IDENTITY}')),
            "URI spiffe://x, not",
        ),
        (Answer(200, {}, shown(CLIENT_HOP, 'Subject="CN=proxy";URI=spiffe://proxy', MESH_HOP)), "Subject CN=proxy"),
    ],
)
def test_subject_and_identity_have_to_be_those_of_the_nearest_client_hop(answer: Answer, message: str) -> None:
    with pytest.raises(Failed, match=message):
        answer.check_shows(SUBJECT, IDENTITY)


def test_subject_and_identity_are_told() -> None:
    assert OK.check_shows(SUBJECT, IDENTITY) == f"200, Subject {SUBJECT}, URI {IDENTITY}"


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (Answer(200, UPSTREAM, "hello"), ""),
        (Answer(401, UPSTREAM, ""), ""),
        (Answer(403, UPSTREAM, "not yours"), ""),
        (Answer(404, UPSTREAM, ""), ""),
        (Answer(404, {}, "no such page"), ""),
        (Answer(503, UPSTREAM, "closed on Sundays"), ""),
        (Answer(403, UPSTREAM, RBAC), f"got 403: {RBAC}"),
        (Answer(403, {"content-length": "19"}, ""), f"got 403: {RBAC}"),
        (Answer(404, {}, ""), "got 404 of Envoy itself, which has no route"),
        (Answer(503, UPSTREAM, ""), "got 503, of Envoy itself"),
        (Answer(503, {}, "anything"), "got 503 anything, of Envoy itself"),
        (Answer(503, UPSTREAM, "upstream connect error or disconnect"), "got 503 upstream connect error"),
        (Answer(504, UPSTREAM, "upstream request timeout"), "got 504 upstream request timeout"),
    ],
)
def test_an_answer_of_envoy_is_told_from_a_services(answer: Answer, refusal: str) -> None:
    if refusal:
        with pytest.raises(Failed, match=refusal):
            answer.check_is_services()
    else:
        assert answer.check_is_services() == f"{answer.status} of the service"


def test_what_curl_prints_is_read() -> None:
    answer = Answer.printed(
        "HTTP/1.1 404 Not Found\r\nX-Envoy-Upstream-Service-Time: 1\r\nA: b:c\r\n\r\none\r\n\r\ntwo"
    )
    assert answer == Answer(404, {**UPSTREAM, "a": "b:c"}, "one\n\ntwo")
    assert Answer.printed("HTTP/2 200\r\n\r\n") == Answer(200, {}, "")
    for odd in ("", "curl: (7)", "HTTP/1.1 OK\n\n"):
        with pytest.raises(Failed, match="curl printed no HTTP answer"):
            Answer.printed(odd)


# Promises of hosts and clients, with fakes for gateways and clusters


@dataclass
class FakeCluster:
    """A client's cluster: what curl prints, by call, and what the egress gateway logs."""

    answers: list[Executed] = field(default_factory=list)
    log: str = "{marker}"
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def credential(self) -> ClientCredential:
        return ClientCredential(b"certificate", b"key")

    def curl(self, *arguments: str) -> Executed:
        self.calls.append(arguments)
        return self.answers.pop(0)

    def wait_for_log(self, marker: str, _: datetime) -> str:
        line = self.log.replace("{marker}", marker)
        if marker not in line:
            raise Failed("the egress gateway's log has no line of it")
        return line


def printed(answer: Answer) -> Executed:
    return Executed(0, f"HTTP/1.1 {answer.status} x\r\nx-envoy-upstream-service-time: 1\r\n\r\n{answer.body}", "")


def outcome(stack: DeployedStack, cluster: FakeCluster, promise: str) -> str:
    """Return what a check sees, or `FAILED: ` and why."""
    connected = DeployedStack(stack.name, stack.settings, stack.outputs, {"warehouse": cast(ClientCluster, cluster)})
    check = next(check for check in command.every_check(connected) if check.promise == promise)
    try:
        return check.run()
    except Failed as failure:
        return f"FAILED: {failure}"


def alert(name: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL] {name}")
    error.reason = name
    return error


@pytest.mark.parametrize(
    ("answer", "platform", "promise", "expected"),
    [
        (OK, "kyma", "client warehouse is admitted", f"200, Subject {SUBJECT}, URI {IDENTITY}"),
        (DENIED, "kyma", "client warehouse is admitted", f"FAILED: got 403 {RBAC}"),
        (DENIED, "kyma", METHOD, "POST: 403"),
        (Answer(404, {}, ""), "kyma", METHOD, "POST: 404"),
        (Answer(404, {}, ""), "istio", METHOD, "FAILED: POST got 404"),
        (Answer(404, UPSTREAM, ""), "kyma", METHOD, "FAILED: POST got 404"),
        (OK, "istio", METHOD, "FAILED: POST got 200"),
    ],
)
def test_a_host_is_judged_by_its_answer(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, platform: str, promise: str, expected: str
) -> None:
    monkeypatch.setattr(Endpoint, "request", lambda *_, **__: answer)
    assert outcome(demo_stack(platform=platform), FakeCluster(), promise).startswith(expected)


@pytest.mark.parametrize(
    ("host", "answer", "platform", "expected"),
    [
        (HTTPBIN, DENIED, "kyma", "GET /kyma-mtls-verification-"),
        (HTTPBIN, Answer(404, {}, ""), "kyma", "GET /kyma-mtls-verification-"),
        (HTTPBIN, Answer(404, {}, ""), "istio", "FAILED: GET /kyma-mtls-verification-"),
        (HTTPBIN, Answer(404, UPSTREAM, ""), "kyma", "FAILED: GET /kyma-mtls-verification-"),
        (ORDERS, Answer(403, UPSTREAM, "not yours"), "istio", "FAILED: GET /kyma-mtls-verification-"),
        ({**ORDERS, "methods": ["HEAD"]}, DENIED, "istio", "HEAD /kyma-mtls-verification-"),
        ({**ORDERS, "methods": ["POST"]}, DENIED, "istio", "GET /kyma-mtls-verification-"),
    ],
)
def test_a_path_that_is_not_allowed_has_to_be_refused(
    monkeypatch: pytest.MonkeyPatch, host: dict[str, object], answer: Answer, platform: str, expected: str
) -> None:
    monkeypatch.setattr(Endpoint, "request", lambda *_, **__: answer)
    stack = demo_stack(platform=platform, hosts={"it": {**host, "paths": ["/headers", "/v1/*"]}})
    assert outcome(stack, FakeCluster(), PATH).startswith(expected)


@pytest.mark.parametrize(
    "config", [{"hosts": {"httpbin": {**HTTPBIN, "paths": ["/a", "/*"]}}}, {"clients": {"acme": ACME}}]
)
def test_paths_are_tried_where_some_are_refused_and_a_client_is_there(config: dict[str, Any]) -> None:
    config = {"hosts": {"httpbin": {**HTTPBIN, "paths": ["/a"]}}, **config}
    assert not [line for line in tried(demo_stack(**config)) if PATH in line]


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        (("handshake failure", "unknown ca", "certificate required"), "TLS 1.2: handshake failure, TLS 1.3: cert"),
        (
            ("handshake failure", "handshake failure", "certificate required"),
            "FAILED: TLS 1.2: alert handshake failure",
        ),
        (
            ("protocol version", "protocol version", "certificate required"),
            "TLS 1.2: not offered, TLS 1.3: certificate",
        ),
        (("handshake failure", "unknown ca", "handshake failure"), "FAILED: TLS 1.3: alert handshake failure, which"),
        (("protocol version",) * 3, "FAILED: no version of TLS comes about: TLS 1.2: not offered, TLS 1.3: not"),
        (("internal error", "unknown ca", "certificate required"), "FAILED: TLS 1.2: alert internal error, which is"),
        ((None, None, "certificate required"), "FAILED: TLS 1.2: the handshake succeeded"),
    ],
)
def test_an_alert_that_is_not_about_certificates_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch, alerts: tuple[str | None, str | None, str | None], expected: str
) -> None:
    bare, stranger, newer = alerts

    def said(_: Endpoint, credential: ClientCredential | None, version: ssl.TLSVersion, *__: object) -> str | None:
        if version == ssl.TLSVersion.TLSv1_3:
            return newer
        return stranger if credential else bare

    monkeypatch.setattr(Endpoint, "alert", said)
    assert outcome(demo_stack(), FakeCluster(), FIRST[0]).startswith(expected)


@pytest.mark.parametrize(
    ("by_1_2", "version"),
    [("unknown ca", "TLSv1_2"), ("protocol version", "TLSv1_3"), ("handshake failure", "TLSv1_3")],
)
def test_a_client_is_denied_by_a_version_of_tls_that_works(
    monkeypatch: pytest.MonkeyPatch, by_1_2: str, version: str
) -> None:
    asked: list[ssl.TLSVersion] = []

    def request(_: Endpoint, __: str, ___: str, ____: ClientCredential, version: ssl.TLSVersion) -> Answer:
        asked.append(version)
        return DENIED

    by_version = {ssl.TLSVersion.TLSv1_2: by_1_2, ssl.TLSVersion.TLSv1_3: "unknown ca"}
    monkeypatch.setattr(Endpoint, "alert", lambda _, __, version: by_version[version])
    monkeypatch.setattr(Endpoint, "request", request)
    stack = demo_stack(hosts={"httpbin": {**HTTPBIN, "clients": []}})
    assert outcome(stack, FakeCluster(), "client warehouse is refused") == "403"
    assert [each.name for each in asked] == [version]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (DENIED, "403"),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), "alert unknown ca"),
        (alert("TLSV1_ALERT_INTERNAL_ERROR"), "FAILED: alert internal error, which is not about the certificate"),
        (Answer(403, UPSTREAM, "not yours"), "FAILED: got 403 not yours"),
        (OK, "FAILED: got 200"),
        (Answer(404, {}, ""), "FAILED: got 404"),
    ],
)
def test_a_client_that_is_not_admitted_has_to_be_refused(
    monkeypatch: pytest.MonkeyPatch, answer: Answer | ssl.SSLError, expected: str
) -> None:
    def request(*_: object) -> Answer:
        if isinstance(answer, ssl.SSLError):
            raise answer
        return answer

    monkeypatch.setattr(Endpoint, "alert", lambda *_: "unknown ca")
    monkeypatch.setattr(Endpoint, "request", request)
    stack = demo_stack(hosts={"httpbin": {**HTTPBIN, "clients": []}})
    assert outcome(stack, FakeCluster(), "client warehouse is refused").startswith(expected)


def test_an_error_that_is_no_alert_is_no_refusal_of_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(*_: object) -> Answer:
        raise alert("CERTIFICATE_VERIFY_FAILED")

    monkeypatch.setattr(Endpoint, "alert", lambda *_: "unknown ca")
    monkeypatch.setattr(Endpoint, "request", request)
    with pytest.raises(ssl.SSLError):
        outcome(demo_stack(hosts={"httpbin": {**HTTPBIN, "clients": []}}), FakeCluster(), "client warehouse is refused")


@pytest.mark.parametrize(
    ("config", "subject", "names"),
    [
        ({}, SUBJECT, [x509.UniformResourceIdentifier(IDENTITY)]),
        (
            {"clients": {"acme": ACME}},
            "CN=verification.invalid",
            [x509.UniformResourceIdentifier("spiffe://acme.example/client")],
        ),
        (
            {"clients": {"acme": {**ACME, "identity": "dns:client.acme.example"}}},
            "CN=verification.invalid",
            [x509.DNSName("client.acme.example")],
        ),
        ({"hosts": {"httpbin": {**HTTPBIN, "clients": []}}}, "CN=verification.invalid", []),
    ],
)
def test_a_foreign_certificate_says_what_an_admitted_clients_does(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, object], subject: str, names: list[x509.GeneralName]
) -> None:
    seen: list[ClientCredential] = []

    def refuse(_: Endpoint, credential: ClientCredential, *__: object) -> str:
        seen.append(credential)
        return "unknown ca"

    monkeypatch.setattr(Endpoint, "alert", refuse)
    assert outcome(demo_stack(**config), FakeCluster(), FIRST[1]) == "TLS 1.2: unknown ca, TLS 1.3: unknown ca"
    certificate = x509.load_pem_x509_certificate(seen[0].certificate)
    assert certificate.subject.rfc4514_string() == certificate.issuer.rfc4514_string() == subject
    found = [
        name
        for extension in certificate.extensions
        if isinstance(extension.value, x509.SubjectAlternativeName)
        for name in extension.value
    ]
    assert found == names


def test_an_output_that_is_no_subject_is_a_failure() -> None:
    stack = demo_stack()
    client = stack.outputs.clients["warehouse"].model_copy(update={"subject": "nobody"})
    outputs = stack.outputs.model_copy(update={"clients": {"warehouse": client}})
    seen = outcome(DeployedStack("test", stack.settings, outputs), FakeCluster(), FIRST[1])
    assert seen == "FAILED: output clients.warehouse.subject: 'nobody' is no Subject"


@pytest.mark.parametrize(
    ("done", "log", "expected"),
    [
        (printed(OK), "{marker} 200", f"200, Subject {SUBJECT}, URI {IDENTITY}; logged by the egress gateway"),
        (
            printed(OK),
            "another",
            f"FAILED: 200, Subject {SUBJECT}, URI {IDENTITY}, but the egress gateway's log has no",
        ),
        (printed(Answer(503, {}, "")), "{marker}", "FAILED: got 503"),
        (Executed(6, "", "could not resolve"), "{marker}", "FAILED: curl ended with 6: could not resolve"),
        (Executed(0, "", ""), "{marker}", "FAILED: curl printed no HTTP answer"),
    ],
)
def test_plain_http_has_to_leave_through_the_egress_gateway(done: Executed, log: str, expected: str) -> None:
    assert outcome(demo_stack(), FakeCluster([done], log), way_out("httpbin")).startswith(expected)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("{marker} 200", "; logged by the egress gateway"),
        ("another", "; not seen in the egress gateway's log, which is not the stack's"),
    ],
)
def test_a_log_that_is_not_the_stacks_may_be_silent(log: str, expected: str) -> None:
    stack = demo_stack()
    client = stack.outputs.clients["warehouse"].model_copy(update={"access_log": False})
    outputs = stack.outputs.model_copy(update={"clients": {"warehouse": client}})
    logs_elsewhere = DeployedStack("test", stack.settings, outputs)
    assert outcome(logs_elsewhere, FakeCluster([printed(OK)], log), way_out("httpbin")).endswith(expected)
    for tried_on, has_log in ((stack, True), (logs_elsewhere, False)):
        check = next(each for each in command.every_check(tried_on) if each.promise == way_out("httpbin"))
        assert ("log" in check.expected) == has_log


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


@pytest.mark.parametrize(
    ("done", "log", "expected"),
    [
        (printed(Answer(401, {}, "who are you?")), "{marker}", "401 of the service; logged by the egress gateway"),
        (Executed(28, printed(OK).stdout, "timed out"), "{marker}", "200 of the service; logged"),
        (printed(Answer(404, {}, "")), "{marker}", "404 of the service; logged"),
        (
            printed(Answer(404, {}, "")),
            "{marker} 404 NR route_not_found",
            "FAILED: got 404 of the egress gateway itself",
        ),
        (printed(Answer(403, {}, RBAC)), "{marker}", f"FAILED: got 403: {RBAC}"),
    ],
)
def test_a_users_service_may_answer_as_it_likes(done: Executed, log: str, expected: str) -> None:
    cluster = FakeCluster([done], log)
    stack = demo_stack(hosts={"orders": {**ORDERS, "methods": ["HEAD"], "paths": ["/health"]}})
    assert outcome(stack, cluster, way_out("orders")).startswith(expected)
    assert cluster.calls[0][:2] == ("-sS", "-I")
    assert cluster.calls[0][-1] == "http://orders.example.com/health", (
        "a service is called by what its route allows only"
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
        (Executed(7, "0.000000", "refused"), Answer(503, {}, ""), "FAILED: got 503"),
    ],
)
def test_no_handshake_may_come_about_past_the_egress_gateway(direct: Executed, through: Answer, expected: str) -> None:
    assert outcome(demo_stack(), FakeCluster([direct, printed(through)]), DIRECT).startswith(expected)


def test_the_direct_way_is_tried_with_a_host_of_the_target_rather_than_with_a_partners() -> None:
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


# A client's cluster


def fake_core(monkeypatch: pytest.MonkeyPatch, **methods: Callable[..., object]) -> ClientCluster:
    for name, method in methods.items():
        monkeypatch.setattr(CoreV1Api, name, lambda _, *arguments, method=method, **__: method(*arguments))
    return ClientCluster(ApiClient(), "mtls", PLACE, "credential")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "Secret istio-system/credential has no tls.crt and no tls.key"),
        ({"tls.crt": "eA=="}, "Secret istio-system/credential has no tls.key"),
    ],
)
def test_a_secret_without_a_credential_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, data: Mapping[str, str] | None, message: str
) -> None:
    cluster = fake_core(monkeypatch, read_namespaced_secret=lambda *_: SimpleNamespace(data=data))
    with pytest.raises(Failed, match=message):
        cluster.credential()


def test_a_missing_secret_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise ApiException(404, "Not Found")

    with pytest.raises(Failed, match="Secret istio-system/credential is missing"):
        fake_core(monkeypatch, read_namespaced_secret=missing).credential()


def test_a_credential_is_read_from_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"tls.crt": base64.b64encode(b"certificate").decode(), "tls.key": base64.b64encode(b"key").decode()}
    cluster = fake_core(monkeypatch, read_namespaced_secret=lambda *_: SimpleNamespace(data=data))
    assert cluster.credential() == ClientCredential(b"certificate", b"key")


def test_the_log_of_every_egress_gateway_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    pods = [SimpleNamespace(metadata=SimpleNamespace(name=name)) for name in ("one", "two")]
    cluster = fake_core(
        monkeypatch,
        read_namespaced_service=lambda *_: SimpleNamespace(spec=SimpleNamespace(selector={"istio": "egress"})),
        list_namespaced_pod=lambda *_: SimpleNamespace(items=pods),
        read_namespaced_pod_log=lambda name, _: f"{name} GET /a\n{name} GET /b",
    )
    assert cluster.wait_for_log("two GET /b", datetime.now(UTC)) == "two GET /b"
    with pytest.raises(Failed, match="the egress gateway's log has no line of it"):
        cluster.wait_for_log("GET /c", datetime(2020, 1, 1, tzinfo=UTC))


def test_the_log_is_the_proxys_whatever_else_runs_in_its_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    containers: list[str] = []

    def read(*_: object, container: str, **__: object) -> str:
        containers.append(container)
        return "GET /a"

    pods = [SimpleNamespace(metadata=SimpleNamespace(name="one"))]
    cluster = fake_core(
        monkeypatch,
        read_namespaced_service=lambda *_: SimpleNamespace(spec=SimpleNamespace(selector={"istio": "egress"})),
        list_namespaced_pod=lambda *_: SimpleNamespace(items=pods),
    )
    monkeypatch.setattr(CoreV1Api, "read_namespaced_pod_log", read)
    assert cluster.wait_for_log("GET /a", datetime.now(UTC)) == "GET /a"
    assert containers == ["istio-proxy"]


def test_a_pod_that_is_not_ready_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = fake_core(monkeypatch, list_namespaced_pod=lambda *_: SimpleNamespace(items=[]))
    with pytest.raises(Failed, match="no curl Pod is ready in namespace mtls"):
        cluster.curl("http://httpbin.example.com")


@dataclass
class FakeSession:
    """A command's run in a Pod, which ends with this code or is told of by this error."""

    code: int | Exception | None

    def run_forever(self, timeout: float) -> None:
        assert timeout > 0

    @property
    def returncode(self) -> int | None:
        if isinstance(self.code, Exception):
            raise self.code
        return self.code

    def read_stdout(self) -> str:
        return "out"

    def read_stderr(self) -> str:
        return ""

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (7, Executed(7, "out", "")),
        (None, "the command did not end within"),
        (KeyError("details"), "the command was not run to its end"),
        (TypeError("None"), "the command was not run to its end"),
        (websocket.WebSocketConnectionClosedException("gone"), "the connection to Pod mtls/curl-1 broke: gone"),
    ],
)
def test_a_command_in_a_pod_ends_with_a_code_or_as_a_failure(
    monkeypatch: pytest.MonkeyPatch, code: int | Exception | None, expected: Executed | str
) -> None:
    ready = SimpleNamespace(conditions=[SimpleNamespace(type="Ready", status="True")])
    pod = SimpleNamespace(metadata=SimpleNamespace(name="curl-1", deletion_timestamp=None), status=ready)
    monkeypatch.setattr("verification.pods.stream", lambda *_, **__: FakeSession(code))
    cluster = fake_core(monkeypatch, list_namespaced_pod=lambda *_: SimpleNamespace(items=[pod]))
    if isinstance(expected, Executed):
        assert cluster.curl("http://httpbin.example.com") == expected
    else:
        with pytest.raises(Failed, match=expected):
            cluster.curl("http://httpbin.example.com")


def test_a_command_that_is_forbidden_is_a_reason_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ApiException(0, "Handshake status 403 Forbidden -+-+- {'kind': 'Status'}")

    monkeypatch.setattr("verification.pods.stream", refuse)
    with pytest.raises(Skipped, match="the cluster does not let commands run in Pod mtls/curl-1"):
        execute(ApiClient(), "mtls", "curl-1", "curl", "curl")


# One HTTPS request, to a real server that demands a certificate


class Handler(BaseHTTPRequestHandler):
    """Answers GET with a few words, and HEAD with their length."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello" if self.command == "GET" else b"")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    """Says nothing of handshakes that fail."""

    def handle_error(self, *_: object) -> None:
        pass

    def finish_request(self, request: Any, address: Any) -> None:
        request.do_handshake()
        super().finish_request(request, address)


SERVER_CA, CLIENT_CA = issue("server CA"), issue("client CA")


def credential(signer: Holder | None) -> ClientCredential:
    holder = issue("client", signer, hosts=("client.test",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    return ClientCredential(holder.pem.encode(), holder.key_pem.encode())


@contextmanager
def serving(directory: Path) -> Iterator[Endpoint]:
    server = issue("localhost", SERVER_CA, hosts=("localhost",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=CLIENT_CA.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    (directory / "server.pem").write_text(server.pem + server.key_pem)
    context.load_cert_chain(directory / "server.pem")
    with QuietServer(("127.0.0.1", 0), Handler) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield Endpoint("localhost", "127.0.0.1", SERVER_CA.pem, listening.server_address[1])
        finally:
            listening.shutdown()
            thread.join()


def test_a_request_presents_the_credential_and_reads_the_answer(tmp_path: Path) -> None:
    with serving(tmp_path) as endpoint:
        answer = endpoint.request("GET", "/", credential(CLIENT_CA))
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", "hello")
        answer = endpoint.request("HEAD", "/", credential(CLIENT_CA), ssl.TLSVersion.TLSv1_2)
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", "")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_refusal_by_tls_is_told_from_an_acceptance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: ssl.TLSVersion
) -> None:
    monkeypatch.setattr("verification.tls.REFUSAL_SECONDS", 0.2)
    with serving(tmp_path) as endpoint:
        assert endpoint.alert(None, version)
        assert endpoint.alert(credential(None), version)
        assert endpoint.alert(credential(CLIENT_CA), version) is None


def test_a_gateway_that_does_not_answer_has_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(*_: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr("socket.create_connection", time_out)
    with pytest.raises(TimeoutError):
        Endpoint("localhost", "", CA).alert(None, ssl.TLSVersion.TLSv1_3)
    assert outcome(demo_stack(), FakeCluster(), FIRST[0]) == "FAILED: TLS 1.2: timed out, which is no refusal by TLS"


@pytest.mark.parametrize("key", [issue("other").key_pem.encode(), b"no key"])
def test_a_credential_that_cannot_be_used_is_a_failure(key: bytes) -> None:
    with pytest.raises(Failed, match="the credential is no certificate with its key"):
        Endpoint("localhost", "127.0.0.1", CA).request("GET", "/", ClientCredential(issue("a").pem.encode(), key))


def test_a_foreign_credential_differs_from_the_clients_in_its_ca_only() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client.example.com")])
    certificate = x509.load_pem_x509_certificate(foreign_credential(subject).certificate)
    assert certificate.subject == certificate.issuer == subject


# How verdicts are told

EXPECTED, LOOK = "\n       expected: 200\n", "\n           look: the log\n"


def check_of(run: Callable[[], str], group: str = "host a", promise: str = "a promise") -> Check:
    return Check(group, promise, "200", run, "the log")


def raising(error: Exception) -> Callable[[], str]:
    def run() -> str:
        raise error

    return run


def forbidden(message: str) -> ApiException:
    error = ApiException(403, "Forbidden")
    error.body = json.dumps({"message": message})
    return error


def told(*checks: Check, timeout: float = 0) -> tuple[dict[Verdict, int], str]:
    output = io.StringIO()
    report = Report(Console(file=output, width=200))
    runner.run(checks, timeout, report)
    return dict(report.totals), output.getvalue()


@pytest.mark.parametrize(
    ("run", "verdict", "lines"),
    [
        (lambda: "200 [OK]", Verdict.PASSED, "  PASS a promise: 200 [OK]\n"),
        (raising(Failed("503")), Verdict.FAILED, f"  FAIL a promise{EXPECTED}            saw: 503{LOOK}"),
        (raising(Skipped("switched off")), Verdict.SKIPPED, "  SKIP a promise: switched off\n"),
        (
            raising(ApiException(500, "broken")),
            Verdict.FAILED,
            f"  FAIL a promise{EXPECTED}            saw: the API server answered 500: broken{LOOK}",
        ),
        (
            raising(forbidden('user "a" cannot get secrets')),
            Verdict.SKIPPED,
            '  SKIP a promise: the API server answered 403: user "a" cannot get secrets\n',
        ),
        (
            raising(ConfigError("the plugin failed")),
            Verdict.ERROR,
            "  ???? a promise: could not be judged: the plugin failed\n",
        ),
        (lambda: "\x1b[2J\u009b1mok\u202e", Verdict.PASSED, "  PASS a promise: \\x1b[2J\\x9b1mok\\u202e\n"),
        (
            raising(Failed("got 200 \x1b]0;a\x07\nmore")),
            Verdict.FAILED,
            f"  FAIL a promise{EXPECTED}            saw: got 200 \\x1b]0;a\\x07\n                 more{LOOK}",
        ),
        (raising(TimeoutError()), Verdict.FAILED, f"  FAIL a promise{EXPECTED}            saw: TimeoutError{LOOK}"),
    ],
)
def test_a_verdict_says_what_was_seen(run: Callable[[], str], verdict: Verdict, lines: str) -> None:
    assert told(check_of(run)) == ({verdict: 1}, f"host a\n{lines}")


def test_verdicts_are_told_in_order_however_they_end() -> None:
    later = threading.Event()

    def wait() -> str:
        assert later.wait(10), "checks are judged side by side"
        return "late"

    def release() -> str:
        later.set()
        return "early"

    checks = [
        check_of(wait, "host a", "one"),
        check_of(raising(Failed("x")), "host a", "two"),
        check_of(release, "client b", "three"),
    ]
    verdicts, text = told(*checks)
    assert [line for line in text.splitlines() if "   " not in line] == [
        *("host a", "  PASS one: late", "  FAIL two", "client b", "  PASS three: early")
    ]
    assert verdicts == {Verdict.PASSED: 2, Verdict.FAILED: 1}


def test_a_promise_may_be_kept_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PAUSE_SECONDS", 0)
    errors = iter([Failed("503"), OSError("reset"), None])
    waited: list[str] = []

    def run() -> str:
        if error := next(errors):
            raise error
        return "200"

    ended = runner.judge(check_of(run), 60, waited.append, threading.Event())
    assert ended == Outcome(Verdict.PASSED, "200")
    assert waited == ["host a: a promise (saw: 503)", "host a: a promise (saw: reset)"]


def test_a_mistake_of_the_program_is_not_taken_for_a_broken_promise() -> None:
    verdicts, text = told(
        check_of(lambda: str(1 / 0)),
        check_of(raising(ValueError("Bearer token"))),
        check_of(lambda: "200"),
        timeout=600,
    )
    assert verdicts == {Verdict.ERROR: 2, Verdict.PASSED: 1}
    assert "????" in text
    assert "ZeroDivisionError in test_verification.py:" in text
    assert "token" not in text


@pytest.mark.parametrize(
    ("checks", "code", "last"),
    [
        ([check_of(lambda: "200"), check_of(raising(Skipped("off")))], 0, "1 passed, 0 failed, 1 skipped"),
        ([check_of(lambda: "200"), check_of(raising(Failed("503")))], 1, "1 passed, 1 failed, 0 skipped"),
        ([check_of(raising(KeyError("a")))], 2, "0 passed, 0 failed, 0 skipped, 1 could not be judged"),
        (
            [check_of(raising(KeyError("a"))), check_of(raising(Failed("503")))],
            1,
            "0 passed, 1 failed, 0 skipped, 1 could not be judged",
        ),
    ],
)
def test_the_exit_code_tells_whether_a_promise_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], checks: list[Check], code: int, last: str
) -> None:
    stack = demo_stack()
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: stack)
    monkeypatch.setattr(command, "chosen_checks", lambda *_: (stack, checks))
    assert command.main(["--timeout", "0"]) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "httpbin", "--client", "acme"], "stack test promises nothing of what was asked for"),
        (["--host", "a", "b", "--host", "c"], "--host: no host a or b or c in the config, which has httpbin"),
    ],
)
def test_the_exit_code_tells_that_nothing_can_be_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(DeployedStack, "load", lambda *_, **__: demo_stack(clients={"acme": ACME}))
    assert command.main(arguments) == 2
    assert capsys.readouterr().out == f"cannot verify: {message}\n"


def test_an_error_that_nobody_expected_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*_: object, **__: object) -> None:
        raise KeyError("a")

    monkeypatch.setattr(DeployedStack, "load", load)
    assert command.main([]) == 2
    assert re.fullmatch(r"cannot verify: KeyError in test_verification\.py:\d+\n", capsys.readouterr().out)


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    assert "1  a promise is broken" in capsys.readouterr().out
