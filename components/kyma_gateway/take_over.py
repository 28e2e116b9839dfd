"""The take-over: the stack's gateway replaces the one that Kyma's API Gateway module makes.

The module's operator removes its gateway once `enableKymaGateway` of its APIGateway is false:
https://kyma-project.io/external-content/api-gateway/docs/user/istio-gateways/kyma-gateway.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from ..ownership import OWNER_LABEL
from ..readiness import Judge, Ready


@dataclass(frozen=True)
class TakeOver:
    """What a stack takes over in a cluster: the documented names and namespaces, of which each cluster has one.

    namespaces: those of kyma-system and kyma-installer that the stack makes
    operator: whether Kyma's operator has a gateway there that it must release
    owner: the stack's mark, which the APIGateway gets as its label
    is_released: judges whether the operator has released its gateway
    restore: hook that gives the gateway back to the operator when the stack goes
    clean_up: removes the object that the release leaves behind
    """

    namespaces: Sequence[str]
    operator: bool
    owner: pulumi.Input[str]
    is_released: Judge
    restore: pulumi.ResourceHookBinding
    clean_up: Callable[[], None] | None = None


def make_namespace(name: str, namespace: str, take_over: TakeOver, opts: pulumi.ResourceOptions) -> pulumi.Input[str]:
    """Make a documented namespace unless the cluster has it; return its name."""
    if namespace not in take_over.namespaces:
        return namespace
    return k8s.core.v1.Namespace(f"{name}-{namespace}", metadata={"name": namespace}, opts=opts).metadata.name


def release(name: str, take_over: TakeOver, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """Make the operator release its gateway; return the resources that the stack's gateway depends on."""
    # Server-side apply with force would overwrite another stack's mark, too: the mark is set without.
    mark = _patch_module(f"{name}-owner", {"labels": {OWNER_LABEL: take_over.owner}}, None, opts)
    after_mark = pulumi.ResourceOptions(depends_on=[mark], hooks=take_over.restore)
    switch = _patch_module(
        f"{name}-operator",
        {"annotations": {"pulumi.com/patchForce": "true"}},
        {"enableKymaGateway": False},
        pulumi.ResourceOptions.merge(opts, after_mark),
    )
    return [switch, Ready(f"{name}-operator", switch, take_over.is_released, opts, finish=take_over.clean_up)]


def _patch_module(
    resource: str, metadata: Mapping[str, object], spec: Mapping[str, object] | None, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    return k8s.apiextensions.CustomResourcePatch(
        resource,
        api_version="operator.kyma-project.io/v1alpha1",
        kind="APIGateway",
        metadata={"name": "default", **metadata},
        spec=spec,
        opts=opts,
    )
