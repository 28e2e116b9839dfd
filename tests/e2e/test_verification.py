"""The verification notices each promise that is broken, and leaves nothing behind, however it ends."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.e2e.conftest import Deployed, Lab, Project, eventually, meanwhile, together
from verification.__main__ import chosen_checks
from verification.checks import Check
from verification.manifests import LABEL
from verification.runner import Verdict, judge
from verification.stack import DeployedStack

NAMESPACE = "broken"
FIRST, SECOND = "one.broken.target.test", "two.broken.target.test"
HOSTS: dict[str, Any] = {
    "first": {"domain": FIRST, "clients": ["client"], "paths": ["/headers"]},
    "second": {"domain": SECOND, "clients": []},
}
ISTIO = "istio-system"
MANAGER = "envoy.filters.network.http_connection_manager"


def policy(kind: str, host: str, domain: str) -> str:
    return f"authorizationpolicy/{kind}-{NAMESPACE}-{host}-{hashlib.sha256(domain.encode()).hexdigest()[:8]}"


ADMISSION, SECOND_ADMISSION = policy("admission", "first", FIRST), policy("admission", "second", SECOND)
CALLERS = policy("callers", "first", FIRST)
GATEWAY = "gateway.networking.istio.io/kyma-mtls-gateway-first"
EGRESS_GATEWAY = "gateway.networking.istio.io/istio-egressgateway-first"
ORIGINATE = f"destinationrule/originate-mtls-for-{NAMESPACE}-first"
ROUTE = "virtualservice/direct-first-through-egress-gateway"


@dataclass(frozen=True)
class Change:
    """What somebody does to an object of the stack: a JSON patch; deletes it if there is none."""

    cluster: str
    namespace: str
    name: str
    patch: tuple[Mapping[str, Any], ...] = ()

    def save(self, lab: Lab) -> str:
        """The object as the stack made it."""
        item = json.loads(lab.kubectl(self.cluster, "-n", self.namespace, "get", self.name, "-o", "json"))
        for key in ("resourceVersion", "uid", "creationTimestamp", "generation"):
            item["metadata"].pop(key, None)
        return json.dumps(item)

    def make(self, lab: Lab) -> None:
        """Change it."""
        place = ("-n", self.namespace)
        if self.patch:
            lab.kubectl(self.cluster, *place, "patch", self.name, "--type=json", "-p", json.dumps(self.patch))
        else:
            lab.kubectl(self.cluster, *place, "delete", self.name)

    def heal(self, lab: Lab, saved: str) -> None:
        """Bring it back."""
        lab.kubectl(self.cluster, "replace" if self.patch else "create", "-f", "-", stdin=saved)


@dataclass(frozen=True)
class Addition:
    """What somebody adds to a cluster, by a manifest."""

    cluster: str
    manifest: Mapping[str, Any]

    def save(self, lab: Lab) -> str:  # noqa: ARG002 - as of a Change
        return json.dumps(self.manifest)

    def make(self, lab: Lab) -> None:
        lab.kubectl(self.cluster, "apply", "-f", "-", stdin=json.dumps(self.manifest))

    def heal(self, lab: Lab, saved: str) -> None:
        lab.kubectl(self.cluster, "delete", "--wait=false", "-f", "-", stdin=saved)


def replace(path: str, value: object) -> Mapping[str, Any]:
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> Mapping[str, Any]:
    return {"op": "remove", "path": path}


def forwarding(cluster: str, namespace: str, context: str, labels: Mapping[str, str]) -> Addition:
    """Let a proxy hand on the header that a client sends; a gateway, for one host."""
    is_gateway = context == "GATEWAY"
    chain = {"filter": {"name": MANAGER}} | ({"sni": FIRST} if is_gateway else {})
    # The first proxy knows no client certificate to append.
    mode = "APPEND_FORWARD" if is_gateway else "ALWAYS_FORWARD_ONLY"
    typed = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    patch = {
        "applyTo": "NETWORK_FILTER",
        "match": {"context": context, "listener": {"filterChain": chain}},
        "patch": {
            "operation": "MERGE",
            "value": {"typed_config": {"@type": typed, "forward_client_cert_details": mode}},
        },
    }
    manifest = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": f"broken-{context.lower().replace('_', '-')}", "namespace": namespace},
        "spec": {"workloadSelector": {"labels": labels}, "configPatches": [patch]},
    }
    return Addition(cluster, manifest)


BARE_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "bare",
        "namespace": NAMESPACE,
        "labels": {"app": "httpbin", "sidecar.istio.io/inject": "false"},
    },
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "httpbin", "image": "lab.local/httpbin:lab", "imagePullPolicy": "Never"}],
    },
}
TLS = "/spec/servers/0/tls"
# What is done to the clusters, and what is then seen of which promise: HOST or CLIENT: PROMISE.
SCENES: dict[str, tuple[list[Change | Addition], dict[str, str]]] = {
    "gateway_asks_for_no_certificate": (
        [
            Change(
                "target",
                NAMESPACE,
                GATEWAY,
                (replace(f"{TLS}/mode", "SIMPLE"), replace(f"{TLS}/minProtocolVersion", "TLSV1_0")),
            )
        ],
        {
            "first: a connection without a client certificate is refused": "TLS 1.2: the handshake succeeded",
            "first: a client certificate of an untrusted CA is refused": "TLS 1.2: the handshake succeeded",
            "first: an expired certificate is refused": "TLS 1.2: the handshake succeeded",
            "first: a certificate that is not valid yet is refused": "TLS 1.2: the handshake succeeded",
            "first: a certificate without clientAuth is refused": "TLS 1.2: the handshake succeeded",
            "first: HTTP/2 without a client certificate is refused": "TLS 1.2: the handshake succeeded",
            "first: TLS 1.1 is refused": "handshake",
        },
    ),
    "gateway_admits_everybody": (
        [
            Change("target", ISTIO, ADMISSION),
            Change("target", ISTIO, SECOND_ADMISSION),
            Change("target", NAMESPACE, GATEWAY, (replace("/spec/servers/0/hosts/0", "./*.broken.target.test"),)),
            Change(
                "target",
                NAMESPACE,
                "virtualservice/second",
                (replace("/spec/gateways/-", f"{NAMESPACE}/kyma-mtls-gateway-first"),),
            ),
        ],
        {
            "first: a certificate of the stack's CA with an unlisted identity is refused": "got 200",
            "first: a method that is not allowed is refused": "POST got 200",
            "first: a path that is not allowed is refused": "got 404",
            "first: a Gateway in an unrelated namespace does not publish": "without a client certificate: got 200",
            "second: client client is refused": "got 200",
            "second: a request with the SNI of a different host is refused": f"SNI {FIRST}, Host {SECOND}: got 200",
        },
    ),
    "other_namespaces_get_in": (
        [
            Change("target", NAMESPACE, GATEWAY, (replace("/spec/servers/0/hosts/0", f"*/{FIRST}"),)),
            Change("target", NAMESPACE, "authorizationpolicy/first"),
            Change("target", NAMESPACE, "authorizationpolicy/second"),
            Change("client", ISTIO, CALLERS),
        ],
        {
            "first: a VirtualService in an unrelated namespace does not capture the host's requests": "got 418",
            "first: the workload refuses Pods that bypass the": "a Pod with a sidecar at httpbin.broken.svc:8000: "
            "got 200",
            "client: an undeclared caller does not reach first": "got 200",
        },
    ),
    "ways_out_are_open": (
        [
            Change("client", NAMESPACE, "networkpolicy/network-policy-allow-egress-traffic"),
            Change(
                "client",
                ISTIO,
                ORIGINATE,
                (remove("/spec/trafficPolicy/portLevelSettings/0/tls/subjectAltNames"),),
            ),
            Change("client", ISTIO, CALLERS),
            Change(
                "client",
                NAMESPACE,
                EGRESS_GATEWAY,
                (
                    replace(
                        "/spec/servers/-",
                        {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [f"./{FIRST}"]},
                    ),
                ),
            ),
            Change("client", NAMESPACE, ROUTE, (remove("/spec/http/1/match/0/port"),)),
        ],
        {
            "client: a direct TLS connection past the egress gateway": "first could be reached by TLS directly",
            "client: direct connections by IP address and by other ports are refused": "could be reached by TLS",
            "client: a Pod without a sidecar cannot connect out of the stack's namespace": "could be reached",
            "client: the egress gateway accepts no server with a different name or CA as first": "any name",
            "client: a Pod without a sidecar does not reach first through the egress gateway": ":80: got 200",
        },
    ),
    "objects_are_gone": (
        [
            Change("target", ISTIO, f"secret/kyma-mtls-certs-{NAMESPACE}-first.1"),
            Change("client", ISTIO, f"secret/client-credential-{NAMESPACE}.1"),
            Change("target", NAMESPACE, "virtualservice/second"),
            Change("client", NAMESPACE, ROUTE),
            Addition("target", BARE_POD),
        ],
        {
            "the target cluster has exactly the stack's": f"Secret {ISTIO}/kyma-mtls-certs-{NAMESPACE}-first.1 is gone",
            "the cluster of client client has exactly the stack's objects": f"VirtualService {NAMESPACE}/direct-first-",
            "first: client client is admitted": f"Secret {ISTIO}/client-credential-{NAMESPACE}.1 is missing",
            "first: the demo's Pods have a sidecar": "Pod bare in namespace broken has no sidecar",
            "client: plain HTTP to first leaves through the egress gateway": "got",
        },
    ),
    "headers_are_handed_on": (
        [
            forwarding("target", ISTIO, "GATEWAY", {"istio": "ingressgateway"}),
            forwarding("client", ISTIO, "GATEWAY", {"istio": "egressgateway"}),
            forwarding("client", NAMESPACE, "SIDECAR_OUTBOUND", {"app": "curl"}),
            Change("target", NAMESPACE, "authorizationpolicy/first", (remove("/spec/rules/0/to/0/operation/hosts/1"),)),
        ],
        {
            "first: a forged X-Forwarded-Client-Cert is replaced": "the forged header came through",
            "client: a caller's forged X-Forwarded-Client-Cert does not reach first": "the forged header came",
            "first: the domain is served in capitals and with a port": f"Host {FIRST}:443: got 403",
        },
    ),
    "route_is_gone": (
        [Change("target", NAMESPACE, "virtualservice/first")],
        {
            "first: client client is admitted": "got 404",
            "first: HTTP/2 is served to an admitted client": "got 404",
        },
    ),
}


@dataclass(frozen=True)
class Attacked:
    """The deployed stack, and all that is tried on it."""

    deployed: Deployed
    connected: DeployedStack
    checks: list[Check]

    def find(self, described: str) -> Check:
        """The check of `HOST: PROMISE`, `CLIENT: PROMISE`, or whose promise begins so."""
        about, _, promise = described.rpartition(": ")
        found = [check for check in self.checks if check.promise.startswith(promise) and _is_about(check, about)]
        assert found, f"there is no check {described}"
        return found[0]


def _is_about(check: Check, about: str) -> bool:
    return not about or check.group.startswith((f"host {about} ", f"client {about}"))


@pytest.fixture(scope="module")
def attacked(project: Project) -> Iterator[Attacked]:
    with project.deployment(NAMESPACE, namespace=NAMESPACE, hosts=HOSTS) as deployed:
        deployed.up()
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.chdir(project.directory)
            for key, value in project.environment.items():
                monkeypatch.setenv(key, value)
            connected, checks = chosen_checks(DeployedStack.load(NAMESPACE), [], [])
            for attacker in connected.attackers.values():
                attacker.mark = "tests"  # else another run of the same stack would take it for a killed one's
            yield Attacked(deployed, connected, checks)
            for attacker in connected.attackers.values():
                assert attacker.remove() == []


@contextmanager
def changed(lab: Lab, changes: list[Change | Addition]) -> Iterator[None]:
    """Change objects; bring them back, whatever happens."""
    saved = [change.save(lab) for change in changes]
    made: list[tuple[Change | Addition, str]] = []
    try:
        for change, before in zip(changes, saved, strict=True):
            change.make(lab)
            made.append((change, before))
        yield
    finally:
        for change, before in made:
            change.heal(lab, before)


def await_verdict(check: Check, verdict: Verdict, words: str = "") -> None:
    """Try a check until it ends so, with these words; Envoy takes its time, and so do attackers' Pods."""
    end, seen = time.monotonic() + 180, ""
    while time.monotonic() < end:
        outcome = judge(check, 0, lambda _: None, threading.Event())
        seen = f"{outcome.verdict}: {outcome.saw}"
        if outcome.verdict == verdict and words in outcome.saw:
            return
        time.sleep(0.5)
    pytest.fail(f"{check.group}: {check.promise}: not {verdict}: {words!r}, but {seen}")


def left(lab: Lab, attacked: Attacked) -> str:
    """What bears the label of this stack's attackers, in any cluster."""
    label = f"{LABEL}={attacked.connected.state.owner}"
    return "".join(
        lab.kubectl(cluster, "get", "namespaces,pods", "-A", "-l", label, "-o", "name")
        for cluster in ("target", "client")
    )


def start(project: Project, attacked: Attacked, *arguments: str) -> subprocess.Popen[str]:
    """Start a verification, to be ended; by SIGHUP, too, even if these tests ignore it."""
    verification = (sys.executable, "-m", "verification", "--stack", attacked.deployed.stack.name, *arguments)
    return subprocess.Popen(
        ["env", "--default-signal=HUP", *verification],
        cwd=project.directory,
        env=os.environ | project.environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_every_promise_is_kept_while_another_verification_runs_and_told_as_json_and_junit(
    lab: Lab, project: Project, attacked: Attacked, tmp_path: Path
) -> None:
    reports = (("--json", "--junit", str(tmp_path / "junit.xml")), ())
    done, other = together(lambda options: project.verify(attacked.deployed.stack, *options), reports)
    told = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert other.returncode == 0, other.stdout
    assert told["totals"]["failed"] == 0
    promises = [(check["group"], check["promise"]) for check in told["checks"]]
    assert promises == [(check.group, check.promise) for check in attacked.checks]
    assert all(check["expected"] and check["seen"] for check in told["checks"] if check["verdict"] != "skipped")
    cases = ET.parse(tmp_path / "junit.xml").iter("testcase")  # noqa: S314 - its own
    assert [(case.get("classname"), case.get("name")) for case in cases] == promises
    assert "PRIVATE KEY" not in done.stdout + done.stderr
    assert not left(lab, attacked)


@pytest.mark.parametrize("scene", SCENES)
def test_each_broken_promise_is_noticed(lab: Lab, attacked: Attacked, scene: str) -> None:
    changes, expected = SCENES[scene]
    with changed(lab, changes):
        together(lambda each: await_verdict(attacked.find(each[0]), Verdict.FAILED, each[1]), expected.items())
    together(lambda described: await_verdict(attacked.find(described), Verdict.PASSED), expected)


def test_killed_verification_is_cleaned_up_by_the_next_and_a_signal_leaves_nothing_behind(
    lab: Lab, project: Project, attacked: Attacked
) -> None:
    killed = start(project, attacked, "--only", "undeclared", "cannot connect")
    eventually(lambda: left(lab, attacked).count("pod/") > 1, "the attackers' Pods are there", 60)
    killed.kill()
    killed.communicate()
    old = set(left(lab, attacked).split())
    assert old

    def new_namespaces() -> int:
        return len([each for each in set(left(lab, attacked).split()) - old if each.startswith("namespace/")])

    signals = (signal.SIGINT, signal.SIGHUP)
    running = [start(project, attacked, "--only", "bypass", "undeclared", "cannot connect") for _ in signals]
    eventually(lambda: new_namespaces() > 2, "both have namespaces, of which each has one in each cluster", 60)
    for process, number in zip(running, signals, strict=True):
        process.send_signal(number)
    for process, number in zip(running, signals, strict=True):
        said, _ = process.communicate(timeout=150)
        assert process.returncode == 128 + number, said
        assert "left behind" not in said
    assert not set(left(lab, attacked).split()) - old
    eventually(lambda: not left(lab, attacked), "what the killed one left is gone, too", 60)


def test_read_only_verification_creates_nothing_and_says_what_it_did_not_try(
    lab: Lab, project: Project, attacked: Attacked
) -> None:
    seen: set[str] = set()
    with meanwhile(lambda: seen.add(left(lab, attacked)), 0.2):
        done = project.verify(attacked.deployed.stack, "--read-only", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, seen) == (0, {""})
    skipped = {check["promise"]: check["seen"] for check in told["checks"] if check["verdict"] == "skipped"}
    assert skipped["an expired certificate is refused"] == "--read-only: the check would read the CA's private key"
    created = [
        *("the workload refuses Pods that bypass the gateway", "an undeclared caller does not reach first"),
        *(
            "a Gateway in an unrelated namespace does not publish the host",
            "a VirtualService in an unrelated namespace does not capture the host's requests",
        ),
        "a Pod without a sidecar cannot connect out of the stack's namespace",
    ]
    assert {skipped[promise] for promise in created} == {
        "--read-only: the check would create Pods or objects of Istio in a cluster"
    }
