"""Clusters that are set up otherwise than istioctl does: gateways of Helm's chart in namespaces of their own, sidecars
by a revision tag, DNS of another name. A stack is deployed through all of that.
"""

import ipaddress
import json
from collections.abc import Iterator
from functools import partial
from string import Template
from typing import Any

import pytest

from tests.e2e.support.commands import MANIFESTS, run
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, refusal
from tests.e2e.support.waiting import eventually, together

TAG = "offer-stable"
GATEWAYS = {
    "target": ("helm_ingress", "offer-ingress", "edge"),
    "client": ("helm_egress", "offer-egress", "istio-way-out"),
}
ADDRESSES = ["192.0.2.1", "2001:db8::1"]
URL = "http://offer.target.test/headers"
TARGET = {"kubeconfig": ".lab/target.kubeconfig", "ingressGateway": "offer-ingress/edge", "revision": TAG}
CLIENT = {
    "kubeconfig": ".lab/client.kubeconfig",
    "egressGateway": "offer-egress/istio-way-out",
    "revision": TAG,
    "dns": "kube-system/offer-names",
}


@pytest.fixture(scope="module")
def gateways(lab: Lab) -> Iterator[None]:
    """Gateways and a tag that the lab does not have by itself."""
    try:
        together(partial(add_gateway, lab), GATEWAYS)
        status = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": address} for address in ADDRESSES]}}})
        patch = ("patch", "service", "edge", "--subresource=status", "--type=merge", "-p", status)
        lab.kubectl("target", "-n", "offer-ingress", *patch)
        together(partial(await_gateway, lab), GATEWAYS)
        yield
    finally:
        together(partial(remove_gateway, lab), GATEWAYS)


def add_gateway(lab: Lab, cluster: str) -> None:
    """Set the tag, and begin to make the gateway, whose Pod gets its sidecar by the tag."""
    config = ("--kubeconfig", lab.kubeconfig(cluster))
    run("istioctl", *config, "tag", "set", TAG, "--revision", "default", "--overwrite")
    eventually(partial(injects, lab, cluster), "Pods get sidecars by the tag")
    lab.kubectl(cluster, "apply", "-f", "-", stdin=filled(lab, GATEWAYS[cluster][0]))


def await_gateway(lab: Lab, cluster: str) -> None:
    _, namespace, name = GATEWAYS[cluster]
    lab.kubectl(cluster, "-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=120s")


def remove_gateway(lab: Lab, cluster: str) -> None:
    lab.kubectl(cluster, "delete", "--ignore-not-found", "-f", "-", stdin=filled(lab, GATEWAYS[cluster][0]))
    run("istioctl", "--kubeconfig", lab.kubeconfig(cluster), "tag", "remove", TAG, "-y", check=False)
    eventually(partial(is_unknown, lab, cluster), "the tag's endpoints are gone")


def filled(lab: Lab, manifest: str) -> str:
    """Return a manifest with the target's address, and that of a load balancer on the way to it, a client's Service."""
    balancer = str(ipaddress.ip_network(lab.nodes["client"].services)[12])
    text = (MANIFESTS / f"{manifest}.yaml").read_text()
    return Template(text).safe_substitute(balancer=balancer, target=lab.ingress)


def injects(lab: Lab, cluster: str) -> bool:
    """Return whether a Pod with the tag's label would get a sidecar."""
    pod = ("run", "injected", "--image=none", f"--labels=sidecar.istio.io/inject=true,istio.io/rev={TAG}")
    return "istio-proxy" in lab.kubectl(cluster, *pod, "--dry-run=server", "-o", "yaml")


def is_unknown(lab: Lab, cluster: str) -> bool:
    """Return whether no endpoints of the tag's Service are left."""
    return TAG not in lab.kubectl(cluster, "-n", "istio-system", "get", "endpoints,endpointslices", "-o", "name")


@pytest.fixture(scope="module")
def deployed(project: Project, gateways: None) -> Iterator[Deployed]:  # noqa: ARG001 - which it is deployed through
    with project.deployment("offer", namespace="offer", target=TARGET, clients={"client": CLIENT}) as stack:
        stack.up()
        yield stack


def headers(lab: Lab) -> dict[str, Any]:
    """What the demo's httpbin was sent; empty if curl had no such answer."""
    code, body = lab.curl("offer", "-f", URL)
    return dict(json.loads(body)["headers"]) if code == 0 else {}


def test_demo_is_reached_through_gateways_of_helm(lab: Lab, deployed: Deployed) -> None:
    eventually(lambda: bool(headers(lab)), "the demo answers")
    certificate = headers(lab)["X-Forwarded-Client-Cert"][0]
    assert f"URI={deployed.outputs['clients']['client']['identity']}" in certificate
    assert "URI=spiffe://cluster.local/ns/offer-ingress/sa/edge" in certificate, "the hop from the ingress gateway"


def test_namespaces_are_left_through_the_egress_gateway_only(lab: Lab, deployed: Deployed) -> None:  # noqa: ARG001
    eventually(lambda: lab.status("offer", URL) == "200", "through the egress gateway")
    eventually(lambda: lab.status("offer", "http://www.internet.test/") == "503", "the sidecar cannot connect")
    code, _ = lab.curl("offer", "-k", "https://offer.target.test/headers")
    assert code in {7, 28, 35}, "no handshake comes about"


def test_sidecars_are_those_of_the_tag(lab: Lab, deployed: Deployed) -> None:  # noqa: ARG001
    for cluster, app in (("target", "httpbin"), ("client", "curl")):
        labels = lab.get(cluster, "namespace", "", "offer")["metadata"]["labels"]
        assert labels["istio.io/rev"] == TAG
        assert "istio-injection" not in labels, "which would win over the tag"
        (pod,) = json.loads(lab.kubectl(cluster, "-n", "offer", "get", "pods", "-l", f"app={app}", "-o", "json"))[
            "items"
        ]
        spec = pod["spec"]
        assert "istio-proxy" in [each["name"] for each in (*spec["containers"], *spec.get("initContainers", []))]


def test_outputs_name_the_gateways_and_every_address(deployed: Deployed) -> None:
    target, client = deployed.outputs["target"], deployed.outputs["clients"]["client"]
    assert target["ingressGateway"] == "offer-ingress/edge"
    assert (target["address"], target["addresses"]) == (ADDRESSES[0], ADDRESSES)
    assert client["egressGateway"] == "offer-egress/istio-way-out"


def test_access_log_outside_the_stack_is_left_unchanged(lab: Lab, deployed: Deployed) -> None:
    assert deployed.outputs["clients"]["client"]["accessLog"] is False
    names = lab.kubectl("client", "get", "telemetries.telemetry.istio.io", "-A", "-o", "name").split()
    assert not [name for name in names if name.endswith("egress-access-log-offer")]


def test_second_preview_has_no_changes(deployed: Deployed) -> None:
    deployed.stack.preview(expect_no_changes=True)


def test_preview_refuses_a_cluster_without_the_named_gateway_dns_or_revision(lab: Lab, project: Project) -> None:
    missing = {"egressGateway": "offer-missing/none", "dns": "offer-missing/none", "revision": "offer-missing"}
    target = TARGET | {"ingressGateway": "kube-system/kube-dns", "revision": ""}
    client, client_cluster = CLIENT | missing, f"cluster {lab.server('client')}"
    said = refusal(
        project.stack("offer-missing", namespace="offer-missing", target=target, clients={"client": client}).preview
    )
    for line in (
        f"target.ingressGateway: cluster {lab.server('target')} has no port 443 in Service kube-system/kube-dns; it "
        "has 53",
        f"clients.client.egressGateway: {client_cluster} has no Service offer-missing/none",
        f"clients.client.dns: {client_cluster} has no Service offer-missing/none",
        f"clients.client.revision: {client_cluster} injects no sidecars into namespaces with the label "
        "istio.io/rev: offer-missing; it has the revisions and tags default",
    ):
        assert f"kyma-mtls:{line}" in said, said
    assert "Traceback" not in said, said
    for cluster in ("target", "client"):
        assert not lab.kubectl(cluster, "get", "namespace", "offer-missing", "--ignore-not-found")
