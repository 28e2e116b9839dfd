"""The one rule for the life of objects: whose they are, and that no other's are taken over or lost."""

import asyncio
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from components.lifecycle import MANAGER, Lifecycle, NotOwned
from components.ownership import OWNER_LABEL, RESOURCE_ANNOTATION
from tests.unit.conftest import Deploy, Outputs, Recorder
from tests.unit.fakes import FakeCluster, fake_cluster

CERTS = "/api/v1/namespaces/istio-system/secrets/certs"
NAMESPACE = "/api/v1/namespaces/mtls"
GATEWAY = "/apis/networking.istio.io/v1/namespaces/mtls/gateways/gateway"
BY_SECRET = {RESOURCE_ANNOTATION: "secret"}
OURS: dict[str, Any] = {"metadata": {"labels": {OWNER_LABEL: "0a1b"}, "annotations": BY_SECRET}}
ANOTHERS: dict[str, Any] = {"metadata": {"labels": {OWNER_LABEL: "2c3d"}, "annotations": BY_SECRET}}
NOBODYS: dict[str, Any] = {"metadata": {"name": "certs"}}
OPERATOR = "operator.kyma-project.io/v1alpha2"
ISTIO = f"/apis/{OPERATOR}/namespaces/kyma/istios/default"
SET: dict[str, Any] = {"components": {"egressGateway": {"enabled": True}}, "ports": [1, 2]}
WHOLE: dict[str, Any] = {NAMESPACE: OURS, CERTS: OURS, GATEWAY: OURS, ISTIO: {"metadata": {}, "spec": SET}}
HOOKS = [f"{time}_{action}" for time in ("before", "after") for action in ("create", "update", "delete")]


class Parts(pulumi.ComponentResource):
    """Makes one of each that the rule has to tell apart."""

    def __init__(self, hooks: pulumi.ResourceHookBinding | None, opts: pulumi.ResourceOptions) -> None:
        super().__init__("test:index:Parts", "parts", None, opts)
        below = pulumi.ResourceOptions(parent=self)
        own = pulumi.ResourceOptions(parent=self, hooks=hooks)
        k8s.core.v1.Namespace("namespace", metadata={"name": "mtls"}, opts=below)
        marked = {"name": "certs", "namespace": "istio-system", "labels": {"a": "b"}, "annotations": {"c": "d"}}
        k8s.core.v1.Secret("secret", metadata=marked, opts=own)
        k8s.apiextensions.CustomResource(
            "gateway",
            api_version="networking.istio.io/v1",
            kind="Gateway",
            metadata={"name": "gateway", "namespace": "mtls"},
            opts=below,
        )
        k8s.apiextensions.CustomResourcePatch(
            "patch",
            api_version=OPERATOR,
            kind="Istio",
            metadata={"name": "default", "namespace": "kyma"},
            spec=SET,
            opts=below,
        )
        k8s.apiextensions.CustomResourcePatch(
            "mark", api_version=OPERATOR, kind="Istio", metadata={"name": "default", "namespace": "kyma"}, opts=below
        )


def parts(
    deploy: Deploy,
    cluster: FakeCluster,
    *,
    to_be_released: tuple[str, ...] = (),
    hooked: bool = False,
    owner: pulumi.Input[str] = "0a1b",
    state: Outputs | None = None,
) -> Recorder:
    """Deploy parts under the rule; the result is what the cluster lacks at the end.

    state: what the engine has of them, where that is not what the program wants
    """

    def program() -> pulumi.Output[list[str]]:
        lifecycle = Lifecycle("target", owner, cluster)
        hook = pulumi.ResourceHook("waits", lambda _: None)
        own: dict[str, Any] = {key: [hook] for key in HOOKS}
        hooks = pulumi.ResourceHookBinding(**own, on_error=[pulumi.ErrorHook("tells", lambda _: False)])
        Parts(hooks if hooked else None, lifecycle.options("namespace", to_be_released=to_be_released))
        return pulumi.Output.from_input(lifecycle.missing())

    return deploy(program, outputs=state)


def test_every_object_names_its_owner_and_its_resource(deploy: Deploy) -> None:
    stack = parts(deploy, fake_cluster())
    for kind, name in (("Namespace", "namespace"), ("Gateway", "gateway")):
        metadata = stack.one(kind, name)["metadata"]
        assert metadata["labels"] == {OWNER_LABEL: "0a1b"}
        assert metadata["annotations"] == {RESOURCE_ANNOTATION: name, **MANAGER}
    metadata = stack.one("Secret", "secret")["metadata"]
    assert metadata["labels"] == {"a": "b", OWNER_LABEL: "0a1b"}
    assert metadata["annotations"] == {"c": "d", RESOURCE_ANNOTATION: "secret", **MANAGER}


def test_every_object_is_deleted_before_it_is_replaced_and_checked_before_it_is_created(deploy: Deploy) -> None:
    stack = parts(deploy, fake_cluster())
    for kind, name in (("Namespace", "namespace"), ("Secret", "secret"), ("Gateway", "gateway")):
        request = stack.request(kind, name)
        assert request.deleteBeforeReplace, "what is deleted goes by name"
        assert list(request.hooks.before_create) == ["target-namespace-has-no-other"]


def test_patches_are_left_alone(deploy: Deploy) -> None:
    stack = parts(deploy, fake_cluster())
    assert stack.one("IstioPatch", "patch")["metadata"] == {"name": "default", "namespace": "kyma"}, (
        "the object is somebody else's"
    )
    request = stack.request("IstioPatch", "patch")
    assert not request.deleteBeforeReplace
    assert not request.hooks.before_create
    assert "parts" not in {name for resource in stack.objects() for name in resource}


def test_hooks_of_the_objects_own_come_first_and_stay(deploy: Deploy) -> None:
    hooks = parts(deploy, fake_cluster(), hooked=True).request("Secret", "secret").hooks
    assert list(hooks.before_create) == ["waits", "target-namespace-has-no-other"]
    assert all(list(getattr(hooks, key)) == ["waits"] for key in HOOKS if key != "before_create")
    assert list(hooks.on_error) == ["tells"]


@pytest.mark.parametrize(("preview", "to_be_released"), [(True, ()), (False, ("Secret istio-system/certs",))])
def test_names_in_the_way_are_refused(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch, preview: bool, to_be_released: tuple[str, ...]
) -> None:
    with pytest.raises(NotOwned):
        ask_whether_free(deploy, monkeypatch, preview, to_be_released)


def test_names_that_become_free_pass_the_preview(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_whether_free(deploy, monkeypatch, True, ("Secret istio-system/certs",))


def ask_whether_free(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch, preview: bool, to_be_released: tuple[str, ...]
) -> None:
    stack = parts(deploy, fake_cluster({CERTS: ANOTHERS}), to_be_released=to_be_released)
    (name,) = stack.request("Secret", "secret").hooks.before_create
    hook = stack.hooks[name]
    assert hook.opts
    assert hook.opts.on_dry_run
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    asyncio.run(hook(pulumi.ResourceHookArgs("urn", "", "secret", "Secret", new_inputs=wanted())))  # type: ignore[arg-type]


def test_objects_that_the_cluster_lacks_are_told(deploy: Deploy) -> None:
    assert parts(deploy, fake_cluster(WHOLE)).result == []
    assert parts(deploy, fake_cluster({NAMESPACE: OURS, ISTIO: WHOLE[ISTIO]})).result == [
        "cluster https://target has no Secret istio-system/certs, which this stack made",
        "cluster https://target has no Gateway mtls/gateway, which this stack made",
    ]


def test_objects_that_are_anothers_by_now_are_told(deploy: Deploy) -> None:
    found = WHOLE | {CERTS: ANOTHERS, GATEWAY: NOBODYS}
    assert parts(deploy, fake_cluster(found), owner=pulumi.Output.from_input("0a1b")).result == [
        "cluster https://target: Secret istio-system/certs is no longer this stack's: another stack made it; remove it",
        "cluster https://target: Gateway mtls/gateway is no longer this stack's: it has no label kyma-mtls/owner=0a1b; "
        "set that, or remove it",
    ]


UNSET = (
    "cluster https://target: Istio kyma/default no longer has spec.components.egressGateway.enabled: true, which this"
)
FIELDS = [
    f"{UNSET} stack set",
    "cluster https://target: Istio kyma/default no longer has spec.ports: [1, 2], which this stack set",
]
OFF = {"components": {"egressGateway": {"enabled": False}}, "ports": [1, 2]}


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        ({**SET, "components": {"egressGateway": {"enabled": True, "k8s": {}}, "cni": {}}, "other": 1}, []),
        (OFF, FIELDS[:1]),
        ({"components": {"egressGateway": {}}}, FIELDS),
        ({"components": None, "ports": [1]}, FIELDS),
        ({}, FIELDS),
    ],
    ids=["more", "changed", "removed", "null", "empty"],
)
def test_fields_that_the_stack_set_and_the_cluster_lacks_are_told(
    deploy: Deploy, spec: dict[str, Any], lines: list[str]
) -> None:
    found = WHOLE | {ISTIO: {"metadata": {}, "spec": spec}}
    assert parts(deploy, fake_cluster(found)).result == lines


def test_fields_are_told_that_went_with_their_object(deploy: Deploy) -> None:
    assert parts(deploy, fake_cluster({**WHOLE, ISTIO: None})).result == FIELDS


def test_preview_leaves_fields_to_the_update(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    assert parts(deploy, fake_cluster({**WHOLE, ISTIO: None, CERTS: None})).result == [
        "cluster https://target has no Secret istio-system/certs, which this stack made"
    ]


def test_fields_that_a_refresh_saw_change_do_not_stop_a_destroy(deploy: Deploy) -> None:
    found = WHOLE | {ISTIO: {"metadata": {}, "spec": OFF}}
    assert parts(deploy, fake_cluster(found), state={"IstioPatch": {"spec": OFF}}).result == []


def test_cluster_is_asked_for_the_objects_of_the_program_only(deploy: Deploy) -> None:
    cluster = fake_cluster(WHOLE)
    parts(deploy, cluster)
    kinds = {"/api/v1", "/apis/networking.istio.io/v1", f"/apis/{OPERATOR}"}
    assert set(cluster.asked) - kinds == set(WHOLE), "what else is there, only the verification lists"


def wanted(
    kind: str = "Secret", owner: object = "0a1b", resource: str = "secret", **metadata: object
) -> dict[str, Any]:
    """Return the inputs of an object to be created."""
    named = metadata or {"name": "certs", "namespace": "istio-system"}
    marks = {"labels": {OWNER_LABEL: owner}, "annotations": {RESOURCE_ANNOTATION: resource}}
    return {"apiVersion": "v1", "kind": kind, "metadata": {**named, **marks}}


UNKNOWN = object()


@pytest.mark.parametrize(
    ("found", "inputs"),
    [
        ({}, wanted()),
        ({CERTS: OURS}, wanted()),
        ({NAMESPACE: OURS}, wanted("Namespace", name="mtls")),
        ({CERTS: NOBODYS}, wanted(name=UNKNOWN, namespace="istio-system")),
        ({CERTS: NOBODYS}, wanted(name="certs", namespace=UNKNOWN)),
        ({CERTS: NOBODYS}, wanted("Unheard", name="certs", namespace="istio-system")),
    ],
    ids=["nothing", "left-behind", "namespace-left-behind", "unknown-name", "unknown-namespace", "unknown-kind"],
)
def test_object_is_created_where_none_is_or_the_same_resource_left_it(
    found: dict[str, Any], inputs: dict[str, Any]
) -> None:
    outside_the_engine(fake_cluster(found)).check(inputs, "namespace")


@pytest.mark.parametrize(
    ("found", "inputs", "message"),
    [
        (
            {CERTS: ANOTHERS},
            wanted(),
            "cluster https://target has Secret istio-system/certs already, and another stack made it; "
            "remove it, or choose other names",
        ),
        ({CERTS: NOBODYS}, wanted(), "has Secret istio-system/certs already, and no stack made it; remove it"),
        (
            {CERTS: OURS},
            wanted(resource="another"),
            "cluster https://target has Secret istio-system/certs already, and it is secret of this stack: remove that "
            "by one `pulumi up`, and add this by the next",
        ),
        ({CERTS: ANOTHERS}, wanted(resource="another"), "another stack made it"),
        ({CERTS: ANOTHERS}, wanted(owner=UNKNOWN), "another stack made it"),
        ({NAMESPACE: NOBODYS}, wanted("Namespace", name="mtls"), "has Namespace mtls already, and no stack made it"),
    ],
    ids=[
        "anothers",
        "nobodys",
        "another-resources",
        "another-resources-of-another-stack",
        "anothers-at-the-first-preview",
        "namespace",
    ],
)
def test_object_of_anything_else_is_refused(found: dict[str, Any], inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(NotOwned) as caught:
        outside_the_engine(fake_cluster(found)).check(inputs, "namespace")
    assert message in str(caught.value)


def outside_the_engine(cluster: FakeCluster) -> Lifecycle:
    """Return a rule that is asked without resources."""

    async def made() -> Lifecycle:
        return Lifecycle("target", "0a1b", cluster)

    return asyncio.run(made())
