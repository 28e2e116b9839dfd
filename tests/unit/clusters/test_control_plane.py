"""Istio's control planes: injectors, istiods and the mesh config."""

from typing import Any

import pytest

from clusters import control_plane
from clusters.control_plane import Mesh
from components.istio_gateway import Destination, Pods
from tests.unit.clusters.served import refusal
from tests.unit.facts import ISTIOD, ISTIODS, WEBHOOKS, injector, istio, service
from tests.unit.fakes import FakeCluster, fake_cluster


def of_labels(cluster: FakeCluster, revision: str) -> control_plane.Injector:
    found = control_plane.injectors(cluster)
    return control_plane.injector_of(cluster, found, "mtls", revision, "target.revision")


@pytest.mark.parametrize(
    ("revision", "name", "leads_to"),
    [("", "default", "default"), ("default", "default", "default"), ("stable", "stable", "1-30"), ("1-30",) * 3],
)
def test_injector_is_that_of_the_default_a_revision_or_a_tag(revision: str, name: str, leads_to: str) -> None:
    installed = [injector(), injector("1-30", istiod="istiod-1-30"), injector("stable", revision="1-30")]
    found = of_labels(fake_cluster(istio(*installed)), revision)
    assert (found.name, found.revision) == (name, leads_to)


@pytest.mark.parametrize(("revision", "label"), [("", "istio-injection: enabled"), ("canary", "istio.io/rev: canary")])
def test_injector_that_is_missing_is_refused(revision: str, label: str) -> None:
    cluster = fake_cluster(istio(injector("1-30"), injector("stable", revision="1-30")))
    assert refusal(lambda: of_labels(cluster, revision)) == (
        "kyma-mtls:target.revision: cluster https://target injects no sidecars into namespaces with the label "
        f"{label}; it has the revisions and tags 1-30, stable"
    )
    assert refusal(lambda: of_labels(fake_cluster(), revision)).endswith("it has the revisions and tags none")


def expression(operator: str, *values: str, key: str = "istio-injection") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": values} if values else {})}]}


@pytest.mark.parametrize(
    ("namespace", "pod", "taken"),
    [
        ({"matchLabels": {"istio-injection": "enabled"}}, {}, True),
        ({"matchLabels": {"istio.io/deactivated": "never-match"}}, {}, False),
        (expression("In", "enabled", "yes"), {}, True),
        (expression("In", "yes"), {}, False),
        (expression("NotIn", "disabled"), {}, True),
        (expression("NotIn", "enabled"), {}, False),
        (expression("Exists"), {}, True),
        (expression("Exists", key="istio.io/rev"), {}, False),
        (expression("DoesNotExist", key="istio.io/rev"), {}, True),
        (expression("DoesNotExist"), {}, False),
        (expression("NotIn", "mtls", key="kubernetes.io/metadata.name"), {}, False),
        (expression("In", "enabled"), expression("NotIn", "false", key="sidecar.istio.io/inject"), True),
        (expression("In", "enabled"), expression("In", "true", key="sidecar.istio.io/inject"), False),
    ],
)
def test_injector_selectors_match_as_in_kubernetes(namespace: dict[str, Any], pod: dict[str, Any], taken: bool) -> None:
    webhook = {"name": "x.sidecar-injector.istio.io", "namespaceSelector": namespace, "objectSelector": pod}
    cluster = fake_cluster({WEBHOOKS: {"items": [{"metadata": {}, "webhooks": [webhook]}]}})
    if taken:
        assert of_labels(cluster, "")
    else:
        refusal(lambda: of_labels(cluster, ""))


def test_injectors_are_no_other_webhooks() -> None:
    webhook = {"name": "pods.example.com", "namespaceSelector": {}}
    refusal(lambda: of_labels(fake_cluster({WEBHOOKS: {"items": [{"metadata": {}, "webhooks": [webhook]}]}}), ""))


def find_istiods(found: dict[str, Any], revision: str = "") -> tuple[Destination, ...]:
    cluster = fake_cluster(found)
    key = "clients.a.networkPolicy"
    return control_plane.istiods(cluster, of_labels(cluster, revision), control_plane.injectors(cluster), key)


def test_istiods_are_those_of_every_revision() -> None:
    canary = service("istio-canary", "istiod-canary", {"app": "istiod", "istio.io/rev": "canary"}, {"port": 443})
    installed = injector("canary", istiod="istiod-canary")
    for webhook in installed["webhooks"]:
        webhook["clientConfig"]["service"]["namespace"] = "istio-canary"
    found = istio(injector(), installed) | {"/api/v1/namespaces/istio-canary/services/istiod-canary": canary}
    labels = {"app": "istiod", "istio.io/rev": "canary"}
    destinations = find_istiods(found, "canary")
    assert [each.pods for each in destinations] == [Pods("istio-canary", labels), ISTIODS.pods]
    assert {each.ports for each in destinations} == {((15012, "TCP"),)}


@pytest.mark.parametrize("found", [istio(injector(istiod=None)), istio() | {ISTIOD: None}], ids=["url", "no-service"])
def test_istiod_outside_the_cluster_is_refused_for_a_network_policy(found: dict[str, Any]) -> None:
    assert refusal(lambda: find_istiods(found)) == (
        "kyma-mtls:clients.a.networkPolicy: cluster https://target runs istiod outside the cluster, which a "
        "NetworkPolicy cannot allow; set this to none"
    )


def mesh_of(found: dict[str, Any], name: str) -> Mesh:
    cluster = fake_cluster(found)
    return control_plane.mesh(cluster, control_plane.injectors(cluster), name)


def config_map(text: str, name: str = "istio") -> dict[str, Any]:
    return {f"/api/v1/namespaces/istio-system/configmaps/{name}": {"data": {"mesh": text}}}


def test_mesh_config_is_that_of_the_revision_that_a_tag_leads_to() -> None:
    installed = istio(injector(), injector("stable", revision="1-30"))
    found = installed | config_map("rootNamespace: root") | config_map("accessLogFile: /dev/stdout", "istio-1-30")
    assert mesh_of(found, "default") == Mesh({"rootNamespace": "root"}, "root")
    assert mesh_of(found, "stable") == Mesh({"accessLogFile": "/dev/stdout"}, "istio-system")
    assert mesh_of(found, "unknown") == Mesh({}, "istio-system")
    assert mesh_of(config_map("[]"), "default").get("defaultConfig", "a") is None
    assert "ConfigMap istio-system/istio, entry mesh" in refusal(lambda: mesh_of(config_map("{"), "default"))
