"""`pulumi up` ends once the gateways have what it made; where they do not take it, it says why."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, refusal
from tests.e2e.support.users import Manifest, Users, granted

NAMESPACE = "proxies"
CLUSTERS = ("target", "client")
NAMES = ("first", "second", "third", "fourth", "late")


def domain(name: str) -> str:
    return f"{name}.proxies.target.test"


def hosts(*names: str, **clients: list[str]) -> dict[str, Any]:
    return {name: {"domain": domain(name)} | ({"clients": clients[name]} if name in clients else {}) for name in names}


# Port 8443 of a Gateway is the same listener as 443: that of the ingress gateway's Pods, behind the Service.
RIVAL: Manifest = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "proxies-rival", "namespace": "default"},
    "spec": {
        "selector": {"istio": "ingressgateway"},
        "servers": [
            {
                "port": {"number": 8443, "name": "https", "protocol": "HTTPS"},
                "tls": {"mode": "SIMPLE", "credentialName": "none"},
                "hosts": [domain("first")],
            }
        ],
    },
}


@pytest.fixture(scope="module")
def blind(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Kubeconfigs of users with the rights of rbac/, but for that to ask proxies; in the client, for sidecars alone."""
    with Users(lab, "proxies-users", tmp_path_factory.mktemp("users")) as users:
        yield {cluster: users.add(cluster, "blind", without_forwarding(cluster)) for cluster in CLUSTERS}


def without_forwarding(cluster: str) -> list[Manifest]:
    documents = granted(cluster)
    for document in documents:
        if cluster == "client" and document["kind"] == "Role":
            continue
        rules = document.get("rules", [])
        rules[:] = [rule for rule in rules if rule["resources"] != ["pods/portforward"]]
    return documents


@pytest.fixture(scope="module")
def deployed(project: Project, blind: dict[str, str]) -> Iterator[Deployed]:  # noqa: ARG001 - which go after it
    with project.deployment(NAMESPACE, namespace=NAMESPACE, hosts=hosts("first")) as deployed:
        deployed.up()
        yield deployed


def status(deployed: Deployed, name: str) -> str:
    """Return what the caller gets by one request, without a second try."""
    return deployed.lab.status(NAMESPACE, f"http://{domain(name)}/headers")


def test_admitted_request_is_served_as_soon_as_the_update_has_ended(deployed: Deployed) -> None:
    for count in (2, 3, 4):
        added = NAMES[:count]
        deployed.up(hosts=hosts(*added))
        # Each of the gateways' workers has connections of its own, which may be older than the update.
        assert [status(deployed, added[-1]) for _ in range(4)] == ["200"] * 4, added[-1]


def test_revoked_client_is_refused_as_soon_as_the_update_has_ended(deployed: Deployed) -> None:
    endpoint, credential = deployed.endpoint("second"), deployed.credential("client")
    assert endpoint.request("GET", "/headers", credential).status == HTTPStatus.OK
    deployed.up(hosts=hosts(*NAMES[:4], second=[]))
    assert endpoint.request("GET", "/headers", credential).status == HTTPStatus.FORBIDDEN


def test_update_that_the_gateway_rejects_fails_in_envoys_words_and_names_the_cause(
    lab: Lab, deployed: Deployed
) -> None:
    lab.apply("target", RIVAL)
    try:
        said = refusal(lambda: deployed.up(hosts=hosts(*NAMES)))
    finally:
        lab.kubectl("target", "-n", "default", "delete", "gateways.networking.istio.io", "proxies-rival")
    assert "hosts.late is not ready" in said, said
    assert "rejects listener 0.0.0.0_8443: error adding listener" in said, said
    assert f"Gateway default/proxies-rival serves {domain('first')} on port 8443" in said, said
    assert "Traceback" not in said, said
    deployed.up()
    assert status(deployed, "late") == "200"


def test_user_who_may_not_ask_proxies_is_warned_once_for_each_cluster(
    deployed: Deployed, blind: dict[str, str]
) -> None:
    client = {"kubeconfig": blind["client"], "domain": "proxies.client.test"}
    assert "cannot confirm" not in deployed.printed
    deployed.up(target={"kubeconfig": blind["target"]}, clients={"client": client}, hosts=hosts(*NAMES, "unseen"))
    words = "so that `pulumi up` cannot confirm that the changes are in effect; grant list of pods, and get and create"
    lines = {line.partition("warning: ")[2] for line in deployed.printed.splitlines() if words in line}
    asked = (line.partition(": cluster")[0::2] for line in lines)
    assert {key: text.partition("this user ask ")[2].partition(" for ")[0] for key, text in asked} == {
        "kyma-mtls:target.kubeconfig": "gateway istio-system/istio-ingressgateway",
        "kyma-mtls:clients.client.kubeconfig": "the sidecars of callers and workloads",
    }, deployed.printed
    assert len(lines) == len(CLUSTERS), lines
