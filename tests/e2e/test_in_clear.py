"""A declared host never leaves callers in clear: a plain server behind its domain gets no request, at no event."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.support import killing
from tests.e2e.support.killing import Moment
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, configure, refusal
from tests.e2e.support.waiting import eventually, meanwhile
from tests.unit.pki import issue

IN_CLEAR = "in clear 200"
"""The plain server's answer, and its status."""
DOMAINS = {"own": "own.clear.target.test", "partner": "partner.clear.target.test"}
PARTNER_CA = issue("Partner CA")
CALLER = {"kubeconfig": ".lab/client.kubeconfig", "callers": ["logistics/dispatcher"]}
HOSTS: dict[str, Any] = {
    "own": {"domain": DOMAINS["own"], "clients": ["client"]},
    "partner": {
        "domain": DOMAINS["partner"],
        "clients": ["client"],
        "external": {"certificateAuthority": PARTNER_CA.pem},
    },
}
REVOKED = {name: {**host, "clients": []} for name, host in HOSTS.items()}


def sidecar(*hosts: str, mode: str = "ALLOW_ANY") -> dict[str, Any]:
    """Return a Sidecar of the callers' namespace."""
    spec = {"egress": [{"hosts": list(hosts)}], "outboundTrafficPolicy": {"mode": mode}}
    metadata = {"name": "callers", "namespace": "logistics"}
    return {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": metadata, "spec": spec}


@dataclass
class Callers(Deployed):
    """A stack, and the answers that a declared caller got for each domain while the stack had the host."""

    project: Project = field(kw_only=True)
    answers: dict[str, set[str]] = field(default_factory=lambda: {domain: set() for domain in DOMAINS.values()})

    def answer(self, domain: str, path: str = "/status/200", scheme: str = "http") -> str:
        """Return body and status that the caller gets; status 000 without an answer."""
        url = f"{scheme}://{domain}{path}"
        return self.lab.curl("logistics", "-k", "-w", " %{http_code}", url, pod="dispatcher")[1]

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Let the caller ask for each host again and again, beside what is done in the context."""

        def call() -> None:
            for domain, answers in self.answers.items():
                answers.add(self.answer(domain))

        with meanwhile(call, 0.1):
            yield
        assert not any(IN_CLEAR in answers for answers in self.answers.values()), self.answers

    def expect(self, host: str, answer: str) -> None:
        """Wait until the caller gets an answer for a host that ends so."""
        domain = DOMAINS[host]
        eventually(lambda: self.answer(domain).endswith(answer), f"{domain} answers {answer}")

    def expect_refused(self) -> None:
        """Expect the answers of the callers' own sidecar to a client that no host admits."""
        for host, domain in DOMAINS.items():
            self.expect(host, f"{domain} does not admit client client\n 403")


@pytest.fixture(scope="module")
def callers(lab: Lab, project: Project) -> Iterator[Callers]:
    with lab.namespaces(("target", "plain"), ("client", "logistics")):
        config = {"namespace": "clear", "clients": {"client": CALLER}, "hosts": HOSTS}
        deployed = Callers(project.stack("clear", **config), lab, project=project)
        for domain in DOMAINS.values():
            eventually(lambda domain=domain: deployed.answer(domain) == IN_CLEAR, f"{domain} is served in clear")  # type: ignore[misc]
        try:
            yield deployed
        finally:
            deployed.destroy()


def test_sidecar_that_hides_the_routes_is_refused_before_anything_is_made(callers: Callers) -> None:
    callers.lab.apply("client", sidecar("./*", "istio-system/*"))
    try:
        said = refusal(callers.stack.preview)
    finally:
        callers.lab.kubectl("client", "-n", "logistics", "delete", "sidecar", "callers")
    assert "hides the stack's routes from the callers in namespace logistics by Sidecar logistics/callers" in said, said
    assert "add clear/* to the hosts of its egress" in said, said


def test_host_is_served_and_a_partner_that_has_not_signed_is_refused_by_the_sidecar(callers: Callers) -> None:
    callers.up()
    with callers.calling():
        callers.expect("own", " 200")
        callers.expect("partner", f"client client has no certificate yet for {DOMAINS['partner']}\n 503")


def test_port_443_of_a_host_is_no_way_past_the_egress_gateway(callers: Callers) -> None:
    for domain in DOMAINS.values():
        eventually(
            lambda domain=domain: callers.answer(domain, scheme="https").endswith("000"),  # type: ignore[misc]
            f"the sidecar ends TLS connections to {domain}",
        )


@pytest.mark.parametrize("mode", ["ALLOW_ANY", "REGISTRY_ONLY"])
def test_revoked_client_is_refused_by_its_sidecar_and_reaches_no_plain_server(callers: Callers, mode: str) -> None:
    callers.lab.apply("client", sidecar("*/*", mode=mode))
    try:
        with callers.calling():
            callers.up(hosts=REVOKED)
            callers.expect_refused()
            callers.up(hosts=HOSTS)
            callers.expect("own", " 200")
    finally:
        callers.lab.kubectl("client", "-n", "logistics", "delete", "sidecar", "callers")


def test_killed_update_reaches_no_plain_server(callers: Callers) -> None:
    with callers.calling():
        callers.up(hosts=REVOKED)
        configure(callers.stack, hosts=HOSTS)
        log = callers.project.directory / "events-clear.json"
        killing.kill_up(callers.project, callers.stack, Moment("create", 3), log)
        callers.up()
        callers.expect("own", " 200")


def test_host_without_its_route_is_answered_by_the_sidecar(callers: Callers) -> None:
    with callers.calling():
        callers.lab.kubectl("client", "-n", "clear", "delete", "virtualservice", "direct-own-through-egress-gateway")
        callers.expect("own", " 503")
        callers.up(refresh=True)
        callers.expect("own", " 200")
