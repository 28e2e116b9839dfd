"""The preview refuses claimed domains and unusable Services, and accepts free ones."""

from collections.abc import Iterator
from typing import Any

import pytest

from components.objects import domain_mark
from tests.e2e.support.commands import MANIFESTS
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, configure, refusal
from tests.e2e.support.waiting import together

CLAIMS = str(MANIFESTS / "claims.yaml")
CLUSTERS = ("target", "client")
LATER = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "claims-later", "namespace": "default"},
    "spec": {
        "hosts": ["claims-first.target.test"],
        "resolution": "DNS",
        "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
    },
}


@pytest.fixture(scope="module")
def claimed(lab: Lab) -> Iterator[Lab]:
    """Clusters where others have names that stacks of these tests ask for."""
    try:
        together(lambda cluster: lab.kubectl(cluster, "apply", "-f", CLAIMS), CLUSTERS)
        yield lab
    finally:
        together(lambda cluster: lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", CLAIMS), CLUSTERS)


@pytest.fixture(scope="module")
def first(project: Project) -> Iterator[Deployed]:
    """A deployed stack, which is destroyed by its program in spite of a later claim to its host."""
    hosts = {"httpbin": {"domain": "claims-first.target.test"}}
    with project.deployment("claims-first", run_program=True, hosts=hosts) as deployed:
        deployed.up()
        yield deployed


def hosts(**services: str) -> dict[str, Any]:
    """A host for each name, some of them with a Service of namespace claims."""
    named = {name: {"domain": f"{name}.claims.target.test"} for name in ("exact", "routed", "entered", "free")}
    behind = {
        name: {
            "domain": f"{name}.claims.target.test",
            "service": {"namespace": "claims", "name": service, "port": 8080},
        }
        for name, service in services.items()
    }
    return named | behind


def reported(said: str) -> set[str]:
    """Return the lines of an error that name a config key."""
    assert "Traceback" not in said, said
    return {line.strip() for line in said.splitlines() if line.strip().startswith("kyma-mtls:")}


def taken(server: str, name: str, domain: str, claimants: str) -> str:
    return (
        f"kyma-mtls:hosts.{name}.domain: cluster {server} has {domain} already, in {claimants}; choose "
        "another domain, or remove it there"
    )


def test_preview_reports_all_claims_and_unusable_services_at_once(claimed: Lab, project: Project) -> None:
    stack = project.stack("claims-judged", namespace="claims-judged", hosts=hosts(bare="bare", outside="outside"))
    exact, routed, entered = (f"{name}.claims.target.test" for name in ("exact", "routed", "entered"))
    behind = f"cluster {claimed.server('target')}"
    assert reported(refusal(stack.up)) == {
        taken(claimed.server("target"), "exact", exact, "Gateway claims/ingress"),
        taken(claimed.server("target"), "routed", routed, "VirtualService claims/routed"),
        taken(claimed.server("client"), "exact", exact, "Gateway claims/egress"),
        taken(claimed.server("client"), "routed", routed, "VirtualService claims/routed"),
        taken(claimed.server("client"), "entered", entered, "ServiceEntry claims/entered"),
        f"kyma-mtls:hosts.bare.service: {behind} has no sidecars in Pods behind Service claims/bare: bare; label their "
        "namespace for injection, and restart them",
        f"kyma-mtls:hosts.outside.service: {behind} has Service claims/outside of type ExternalName, which leads out "
        "of the cluster",
    }
    for cluster in CLUSTERS:
        assert claimed.kubectl(cluster, "get", "namespace", "claims-judged", "--ignore-not-found") == ""


@pytest.mark.usefixtures("claimed")
def test_names_that_are_free_pass(project: Project) -> None:
    free = {
        "free": {"domain": "free.claims.target.test"},  # covered by a wildcard of others, and no more
        "waiting": {
            "domain": "waiting.claims.target.test",
            "service": {"namespace": "claims", "name": "waiting", "port": 8080},
        },
    }
    assert project.stack("claims-judged", hosts=free).preview().change_summary


def test_host_of_a_deployed_stack_is_refused_in_a_second_stack(first: Deployed, project: Project) -> None:
    domain, namespace = "claims-first.target.test", first.outputs["target"]["namespace"]
    second = project.stack("claims-second", hosts={"mine": {"domain": domain}})

    def of_first(*objects: str) -> str:
        """Return how an error lists objects: of its own namespace, unless they name one."""
        named = (each.split() for each in objects)
        places = ((kind, name if "/" in name else f"{namespace}/{name}") for kind, name in named)
        return ", ".join(f"{kind} {place} of another stack" for kind, place in places)

    in_target = of_first("Gateway kyma-mtls-gateway-httpbin", "VirtualService httpbin")
    in_client = of_first(
        f"DestinationRule istio-system/originate-mtls-for-{namespace}-httpbin-{domain_mark(domain)}",
        "Gateway istio-egressgateway-httpbin",
        f"ServiceEntry istio-system/server-for-{namespace}-httpbin",
        "VirtualService direct-httpbin-from-egress-gateway",
    )  # not the objects that the first stack's callers alone see
    assert reported(refusal(second.preview)) == {
        taken(first.lab.server("target"), "mine", domain, in_target),
        taken(first.lab.server("client"), "mine", domain, in_client),
    }
    again = first.stack.preview()
    assert set(again.change_summary) == {"same"}, "its own objects are in nobody's way"
    assert "warning" not in again.stdout


def test_deployed_host_warns_of_a_later_claim(lab: Lab, first: Deployed) -> None:
    lab.apply("client", LATER)
    try:
        previewed = first.stack.preview()
        assert set(previewed.change_summary) == {"same"}
        warning = taken(
            lab.server("client"), "httpbin", "claims-first.target.test", "ServiceEntry default/claims-later"
        )
        assert f"warning: {warning}" in previewed.stdout
        first.stack.destroy(run_program=True, preview_only=True)
    finally:
        lab.kubectl("client", "-n", "default", "delete", "serviceentry", "claims-later")


def test_domain_does_not_move_to_another_host_of_the_stack_by_one_update(first: Deployed) -> None:
    hosts = {"httpbin": {"domain": "claims-first.target.test"}}
    configure(first.stack, hosts={"moved": hosts["httpbin"]})
    lines = reported(refusal(first.stack.preview))
    configure(first.stack, hosts=hosts)
    assert {line.partition(": ")[0] for line in lines} == {"kyma-mtls:hosts.moved.domain"}, lines
    for line in lines:
        assert "has claims-first.target.test already, in " in line
        assert (
            "of another host of this stack; remove that host by one `pulumi up`, and add this one by the next" in line
        )
