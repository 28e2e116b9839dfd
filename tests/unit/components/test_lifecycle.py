"""The rule for the life of objects: their marks, their checks before creation, and their options."""

import asyncio
from functools import partial
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from components.lifecycle import MANAGER, Lifecycle, NotOwned
from components.ownership import OWNER_LABEL, RESOURCE_ANNOTATION
from tests.unit.components.parts import ANOTHERS, CERTS, HOOKS, NAMESPACE, NOBODYS, OURS, parts
from tests.unit.conftest import Deploy
from tests.unit.fakes import FakeCluster, fake_cluster

UNKNOWN = object()


def test_objects_name_their_owner_and_their_resource(deploy: Deploy) -> None:
    stack = parts(deploy, fake_cluster())
    for kind, name in (("Namespace", "namespace"), ("Gateway", "gateway")):
        metadata = stack.one(kind, name)["metadata"]
        assert metadata["labels"] == {OWNER_LABEL: "0a1b"}
        assert metadata["annotations"] == {RESOURCE_ANNOTATION: name, **MANAGER}
    metadata = stack.one("Secret", "secret")["metadata"]
    assert metadata["labels"] == {"a": "b", OWNER_LABEL: "0a1b"}
    assert metadata["annotations"] == {"c": "d", RESOURCE_ANNOTATION: "secret", **MANAGER}


def test_objects_are_deleted_before_replacement_and_checked_before_creation(deploy: Deploy) -> None:
    stack = parts(deploy, fake_cluster())
    for kind, name in (("Namespace", "namespace"), ("Secret", "secret"), ("Gateway", "gateway")):
        request = stack.request(kind, name)
        assert request.deleteBeforeReplace, "deletion goes by name"
        assert list(request.hooks.before_create) == ["target-namespace-has-no-other"]


def test_patches_are_left_alone(deploy: Deploy) -> None:
    stack = parts(deploy, fake_cluster())
    assert stack.one("IstioPatch", "patch")["metadata"] == {"name": "default", "namespace": "kyma"}, (
        "the object is Kyma's"
    )
    request = stack.request("IstioPatch", "patch")
    assert not request.deleteBeforeReplace
    assert not request.hooks.before_create
    assert list(request.hooks.before_update) == ["target-observed"], "previews tell whether the update sets it again"
    assert "parts" not in {name for resource in stack.objects() for name in resource}


def test_hooks_of_an_object_come_before_the_rules_own(deploy: Deploy) -> None:
    hooks = parts(deploy, fake_cluster(), hooked=True).request("Secret", "secret").hooks
    own = {"before_create": ["target-namespace-has-no-other"], "before_update": ["target-observed"]}
    assert all(list(getattr(hooks, key)) == ["waits", *own.get(key, [])] for key in HOOKS)
    assert list(hooks.on_error) == ["reports"]


@pytest.mark.parametrize(("preview", "to_be_released"), [(True, ()), (False, ("Secret istio-system/certs",))])
def test_names_that_are_taken_are_refused(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch, preview: bool, to_be_released: tuple[str, ...]
) -> None:
    with pytest.raises(NotOwned):
        ask_whether_free(deploy, monkeypatch, preview, to_be_released)


def test_names_that_will_be_released_pass_the_preview(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_whether_free(deploy, monkeypatch, True, ("Secret istio-system/certs",))


def test_object_whose_namespace_is_not_known_yet_passes_the_preview(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_whether_free(deploy, monkeypatch, True, (), {**wanted(), "metadata": pulumi.UNKNOWN})


class Placed(pulumi.ComponentResource):
    """Makes a Secret in a namespace whose name is known or not, and one beside the gateway."""

    def __init__(self, is_known: bool, opts: pulumi.ResourceOptions) -> None:
        super().__init__("test:index:Placed", "placed", None, opts)
        below = pulumi.ResourceOptions(parent=self)
        namespace: pulumi.Output[Any] = pulumi.Output.from_input("mtls" if is_known else pulumi.UNKNOWN)
        k8s.core.v1.Secret("own", metadata={"name": "own", "namespace": namespace}, opts=below)
        name = pulumi.Output.concat("certs-", namespace)
        k8s.core.v1.Secret("certs", metadata={"name": name, "namespace": "istio-system"}, opts=below)


@pytest.mark.parametrize("is_known", [True, False])
def test_metadata_of_an_unknown_namespace_is_unknown_in_a_preview(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    rule = partial(Lifecycle, "target", "0a1b", fake_cluster())
    stack = deploy(lambda: Placed(is_known, rule().options("namespace")))
    found = stack.one("Secret", "own").get("metadata", {})
    assert (found.get("namespace"), OWNER_LABEL in found.get("labels", {})) == (
        ("mtls", True) if is_known else (None, False)
    )
    beside = stack.one("Secret", "certs")["metadata"]
    assert (beside.get("name"), beside["namespace"]) == ("certs-mtls" if is_known else None, "istio-system")


def ask_whether_free(
    deploy: Deploy,
    monkeypatch: pytest.MonkeyPatch,
    preview: bool,
    to_be_released: tuple[str, ...],
    inputs: dict[str, Any] | None = None,
) -> None:
    stack = parts(deploy, fake_cluster({CERTS: ANOTHERS}), to_be_released=to_be_released)
    (name,) = stack.request("Secret", "secret").hooks.before_create
    hook = stack.hooks[name]
    assert hook.opts
    assert hook.opts.on_dry_run
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    asyncio.run(hook(pulumi.ResourceHookArgs("urn", "", "secret", "Secret", new_inputs=inputs or wanted())))  # type: ignore[arg-type]


def wanted(
    kind: str = "Secret", owner: object = "0a1b", resource: str = "secret", **metadata: object
) -> dict[str, Any]:
    """Return the inputs of an object to be created."""
    named = metadata or {"name": "certs", "namespace": "istio-system"}
    marks = {"labels": {OWNER_LABEL: owner}, "annotations": {RESOURCE_ANNOTATION: resource}}
    return {"apiVersion": "v1", "kind": kind, "metadata": {**named, **marks}}


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
def test_object_is_created_where_none_is_or_its_resource_left_it(found: dict[str, Any], inputs: dict[str, Any]) -> None:
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
        "other-stack",
        "no-stack",
        "other-resource",
        "other-resource-and-stack",
        "other-stack-at-the-first-preview",
        "namespace",
    ],
)
def test_object_that_its_resource_did_not_make_is_refused(
    found: dict[str, Any], inputs: dict[str, Any], message: str
) -> None:
    with pytest.raises(NotOwned) as caught:
        outside_the_engine(fake_cluster(found)).check(inputs, "namespace")
    assert message in str(caught.value)


def outside_the_engine(cluster: FakeCluster) -> Lifecycle:
    """Return a rule that is asked without resources."""

    async def made() -> Lifecycle:
        return Lifecycle("target", "0a1b", cluster)

    return asyncio.run(made())


class Part(pulumi.ComponentResource):
    """Makes a Secret for each name."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions, *secrets: str) -> None:
        super().__init__("test:index:Part", name, None, opts)
        for secret in secrets:
            metadata = {"name": secret, "namespace": "mtls"}
            k8s.core.v1.Secret(secret, metadata=metadata, opts=pulumi.ResourceOptions(parent=self))


def test_objects_of_a_component_are_its_own_in_their_order(deploy: Deploy) -> None:
    def program() -> pulumi.Output[list[Any]]:
        lifecycle = Lifecycle("target", "0a1b", fake_cluster())
        one = Part("one", lifecycle.options("namespace"), "b", "a")
        other = Part("other", lifecycle.options("namespace"), "c")
        empty = Part("empty", lifecycle.options("namespace"))
        made = [lifecycle.made_by(each) for each in (one, other, empty)]
        return pulumi.Output.all(*(pulumi.Output.all(*(each.id for each in part)) for part in made))

    assert deploy(program).result == [["mtls/b", "mtls/a"], ["mtls/c"], []]
