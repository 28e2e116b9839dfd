"""The promise that clusters have the stack's objects as the stack made them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest

from clusters import Cluster, Refused
from components.ownership import OWNER_LABEL
from components.secret_contents import CONTENTS_ANNOTATION, described
from settings import ConfigError
from tests.unit.fakes import FakeCluster, fake_cluster, kube_system
from tests.unit.verification.stack_state import TARGET_UID
from verification import objects
from verification.checks import Failed, Skipped
from verification.state import State

STATE = State(owner="0a1b")
GATEWAY: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "gateway", "namespace": "mtls", "labels": {OWNER_LABEL: "0a1b"}},
    "spec": {"selector": {"istio": "ingressgateway"}},
}
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "certs",
        "namespace": "istio-system",
        "labels": {OWNER_LABEL: "0a1b"},
        "annotations": {CONTENTS_ANNOTATION: described({"cacert": "PEM"})},
    },
}
NAMESPACE: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mtls"}}
DATA = {"data": {"cacert": "UEVN"}}
GATEWAYS, SECRETS = "/apis/networking.istio.io/v1/gateways", "/api/v1/secrets"
A_GATEWAY = "/apis/networking.istio.io/v1/namespaces/mtls/gateways/gateway"
A_SECRET = "/api/v1/namespaces/istio-system/secrets/certs"  # noqa: S105 - a path


def listed(plural: str, *items: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{plural}?{urlencode({'labelSelector': f'{OWNER_LABEL}=0a1b'})}": {"items": list(items)}}


class ClosedCluster(FakeCluster):
    """Lets nobody read these paths, or what is below them."""

    closed: tuple[str, ...] = ()

    def read(self, path: str, accept: str = "application/json") -> Any:
        if path.startswith(self.closed):
            raise Refused(f"refuses GET {path}: 403 Forbidden")
        return super().read(path, accept)


def cluster_of(found: Mapping[str, Any], *closed: str) -> Cluster:
    made = fake_cluster({**kube_system(TARGET_UID), **found})
    cluster = ClosedCluster(made.access, made.api, found=made.found)
    object.__setattr__(cluster, "closed", closed)
    return cluster


def verdict(cluster: Cluster, *manifests: Mapping[str, Any]) -> str:
    return objects.objects_are_as_made(STATE, cluster, list(manifests))


def changed(**spec: Any) -> dict[str, Any]:
    return {**GATEWAY, "spec": {**GATEWAY["spec"], **spec}}


def test_objects_as_the_stack_made_them_pass() -> None:
    cluster = cluster_of({**listed(GATEWAYS, GATEWAY), **listed(SECRETS, {**SECRET, **DATA})})
    assert verdict(cluster, GATEWAY, SECRET) == "2 objects, as the stack made them"


def test_changed_objects_are_all_named() -> None:
    wrong = changed(selector={"istio": "other"})
    cluster = cluster_of({**listed(GATEWAYS, wrong), **listed(SECRETS, {**SECRET, "data": {"cacert": "UE"}})})
    with pytest.raises(Failed) as caught:
        verdict(cluster, GATEWAY, SECRET)
    assert str(caught.value).splitlines() == [
        'Gateway mtls/gateway: spec.selector.istio: "other" instead of "ingressgateway"; `pulumi preview` shows the '
        "remedy",
        "Secret istio-system/certs: data.cacert: another value than the stack set; `pulumi preview` shows the remedy",
    ]


def test_remedy_of_what_was_added_stands_in_the_line() -> None:
    data = {"data": {**DATA["data"], "further": "QQ=="}}
    with pytest.raises(
        Failed, match=r"data\.further, added; remove it with kubectl -n istio-system edit secret certs$"
    ):
        verdict(cluster_of(listed(SECRETS, {**SECRET, **data})), SECRET)


PATCH: dict[str, Any] = {
    "apiVersion": "operator.kyma-project.io/v1alpha2",
    "kind": "Istio",
    "metadata": {"name": "default", "namespace": "kyma-system"},
    "spec": {"components": {"egressGateway": {"enabled": True}}},
}
AN_ISTIO = "/apis/operator.kyma-project.io/v1alpha2/namespaces/kyma-system/istios/default"


def test_field_of_kymas_object_that_no_longer_has_the_stacks_value_is_named() -> None:
    def patched(enabled: bool, *closed: str) -> str:
        spec = {"components": {"egressGateway": {"enabled": enabled, "k8s": {}}, "cni": {}}}
        cluster = cluster_of({AN_ISTIO: {"spec": spec}, **listed(GATEWAYS, GATEWAY)}, *closed)
        return objects.objects_are_as_made(STATE, cluster, [GATEWAY], [PATCH])

    assert patched(True) == "1 objects, as the stack made them, and its fields of 1 of Kyma's"
    with pytest.raises(
        Failed, match=r"^Istio kyma-system/default no longer has spec\.components\.egressGateway\.enabled: true, which"
    ):
        patched(False)
    with pytest.raises(Skipped, match=f"refuses GET {AN_ISTIO}: 403 Forbidden; 1 of 2 objects are as"):
        patched(False, AN_ISTIO)
    with pytest.raises(Failed, match="Istio kyma-system/default no longer has"):
        objects.objects_are_as_made(STATE, cluster_of({}), [], [PATCH])


def test_object_that_waits_for_its_deletion_is_named() -> None:
    leaving = {**GATEWAY, "metadata": {**GATEWAY["metadata"], "deletionTimestamp": "2026-11-29T10:00:00Z"}}
    with pytest.raises(Failed, match="Gateway mtls/gateway is being deleted; once it is gone, `pulumi up --refresh`"):
        verdict(cluster_of(listed(GATEWAYS, leaving)), GATEWAY)


def test_object_that_is_gone_or_has_lost_its_label_is_named_with_the_remedy() -> None:
    with pytest.raises(Failed, match="Gateway mtls/gateway is gone; `pulumi preview` shows the remedy"):
        verdict(cluster_of({}), GATEWAY)
    without = {**GATEWAY, "metadata": {**GATEWAY["metadata"], "labels": {}}}
    with pytest.raises(Failed, match="Gateway mtls/gateway has lost its label kyma-mtls/owner=0a1b; "):
        verdict(cluster_of({A_GATEWAY: without}), GATEWAY)


def test_objects_that_may_not_be_listed_are_read_by_name() -> None:
    cluster = cluster_of({A_SECRET: {**SECRET, **DATA}}, SECRETS)
    assert verdict(cluster, SECRET).startswith("1 objects")
    with pytest.raises(Failed, match=r"data\.cacert: another value"):
        verdict(cluster_of({A_SECRET: {**SECRET, "data": {"cacert": ""}}}, SECRETS), SECRET)


def test_objects_that_may_not_be_read_are_skipped_unless_others_are_wrong() -> None:
    with pytest.raises(Skipped, match=rf"refuses GET {A_SECRET}: 403 Forbidden; 1 of 2 objects are as"):
        verdict(cluster_of(listed(GATEWAYS, GATEWAY), SECRETS, A_SECRET), GATEWAY, SECRET)
    with pytest.raises(Failed, match="Gateway mtls/gateway is gone"):
        verdict(cluster_of({}, SECRETS, A_SECRET), GATEWAY, SECRET)


def test_secret_of_which_nothing_says_what_it_must_hold_is_skipped_unless_it_is_gardeners() -> None:
    metadata = {name: each for name, each in SECRET["metadata"].items() if name != "annotations"}
    gardeners = {**SECRET, "metadata": metadata}
    cluster = cluster_of({A_SECRET: {**gardeners, **DATA}, **listed(GATEWAYS, GATEWAY)})
    assert verdict(cluster, gardeners) == "1 objects, as the stack made them"
    with pytest.raises(
        Skipped,
        match=r"^Secret istio-system/certs has no annotation kyma-mtls/contents in the state: the next `pulumi up` "
        "writes it; 1 of 2 objects are as",
    ):
        verdict(cluster, {**gardeners, "data": None}, GATEWAY)
    with pytest.raises(Failed, match="Secret istio-system/certs is gone"):
        verdict(cluster_of({}), {**gardeners, "data": None})


def test_object_that_is_not_among_those_with_the_label_is_wrong_even_if_it_may_not_be_read() -> None:
    with pytest.raises(Failed, match="Gateway mtls/gateway is gone, or has lost its label; `pulumi preview` shows"):
        verdict(cluster_of(listed(GATEWAYS), A_GATEWAY), GATEWAY)


def test_cluster_without_an_answer_is_no_verdict() -> None:
    class Away(FakeCluster):
        def read(self, path: str, accept: str = "application/json") -> Any:
            raise self.problem(f"does not answer {path} {accept}")

    made = fake_cluster()
    with pytest.raises(ConfigError, match="does not answer"):
        verdict(Away(made.access, made.api), GATEWAY)
