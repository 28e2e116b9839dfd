"""A component with an object of each kind that the rule for the life of objects tells apart."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.lifecycle import Lifecycle
from components.ownership import OWNER_LABEL, RESOURCE_ANNOTATION
from tests.unit.conftest import Deploy, Outputs, Recorder
from tests.unit.fakes import FakeCluster

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
    """Makes a namespace, a Secret, a custom resource and two patches."""

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
        self.patch = k8s.apiextensions.CustomResourcePatch(
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


async def observe(lifecycle: Lifecycle, part: pulumi.Resource, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Call the hook of the rule, as the engine does before it updates a part."""
    urn = await part.urn.future() or ""
    args = pulumi.ResourceHookArgs(urn, "", part.pulumi_resource_name, "", old_inputs=old, new_inputs=new)
    lifecycle._observed().callback(args)


def parts(
    deploy: Deploy,
    cluster: FakeCluster,
    *,
    to_be_released: tuple[str, ...] = (),
    hooked: bool = False,
    owner: pulumi.Input[str] = "0a1b",
    state: Outputs | None = None,
    changes: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] | None = None,
) -> Recorder:
    """Deploy the parts under the rule; the result is the drift at the end.

    state: outputs of the parts in the state, where they differ from their inputs
    changes: old and new inputs of parts that the engine is about to update, by their names
    """

    async def program() -> list[str]:
        lifecycle = Lifecycle("target", owner, cluster)
        hook = pulumi.ResourceHook("waits", lambda _: None)
        own: dict[str, Any] = {key: [hook] for key in HOOKS}
        hooks = pulumi.ResourceHookBinding(**own, on_error=[pulumi.ErrorHook("reports", lambda _: False)])
        whole = Parts(hooks if hooked else None, lifecycle.options("namespace", to_be_released=to_be_released))
        for part in (*lifecycle.made_by(whole), whole.patch):
            if change := (changes or {}).get(part.pulumi_resource_name):
                await observe(lifecycle, part, *change)
        return await lifecycle.drift()

    return deploy(program, outputs=state)
