"""What the program does beside the engine when it deploys a Kyma gateway.

Some time after `enableKymaGateway` of the APIGateway became false, Kyma's operator deletes the gateway that it made,
unless something refers to it, and takes its finalizer off. It reads an absent value as false: to give the gateway back,
true has to be written.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from clusters.cluster import Cluster

API_GATEWAY = "/apis/operator.kyma-project.io/v1alpha1/apigateways/default"

_FINALIZER = "gateways.operator.kyma-project.io/kyma-gateway"
_TIMEOUT_SECONDS = 120
_PAUSE_SECONDS = 1
_NOTHING: dict[str, Any] = {"metadata": {}}
_PLURALS = {"Certificate": "certificates", "DNSEntry": "dnsentries"}


@dataclass(frozen=True)
class GatewayHooks:
    """Hooks for resources of a Kyma gateway.

    given_up: of what a take-over makes: waits until Kyma's operator has left
    given_back: of the patch by which it leaves: before that goes, lets the operator make its gateway again
    gardener: of what Gardener is asked for: tells what Gardener has to say of a failure
    """

    given_up: pulumi.ResourceHookBinding
    given_back: pulumi.ResourceHookBinding
    gardener: pulumi.ResourceHookBinding


def register(target: Cluster) -> GatewayHooks:
    """Register the hooks with the engine: always, since what is deleted needs its own."""

    def tell(failed: pulumi.ErrorHookArgs) -> bool:
        if failed.new_inputs:
            pulumi.log.error(f"{failed.name}: Gardener says {gardeners_word(target, failed.new_inputs)}")
        return False

    wait = pulumi.ResourceHook("kyma-gateway-given-up", lambda _: wait_until_given_up(target))
    back = pulumi.ResourceHook("kyma-gateway-given-back", lambda _: give_back(target))
    return GatewayHooks(
        given_up=pulumi.ResourceHookBinding(before_create=[wait]),
        given_back=pulumi.ResourceHookBinding(before_delete=[back]),
        gardener=pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("gardener-failed", tell)]),
    )


def wait_until_given_up(target: Cluster) -> None:
    """Return once Kyma's operator has no gateway; raise TimeoutError if it keeps it."""
    end = time.monotonic() + _TIMEOUT_SECONDS
    while _FINALIZER in (target.read(API_GATEWAY) or _NOTHING)["metadata"].get("finalizers", []):
        if time.monotonic() > end:
            raise TimeoutError(f"Kyma's operator did not give up kyma-gateway within {_TIMEOUT_SECONDS} s")
        time.sleep(_PAUSE_SECONDS)


def give_back(target: Cluster) -> None:
    """Have Kyma's operator make its gateway again, if it is still there."""
    if target.read(API_GATEWAY):
        target.patch(API_GATEWAY, {"spec": {"enableKymaGateway": True}})


def gardeners_word(target: Cluster, wanted: Mapping[str, Any]) -> str:
    """State and message of the Certificate or DNSEntry that has these inputs."""
    metadata = wanted["metadata"]
    namespace = f"/apis/{wanted['apiVersion']}/namespaces/{metadata['namespace']}"
    found = target.read(f"{namespace}/{_PLURALS[wanted['kind']]}/{metadata['name']}") or {}
    status = found.get("status", {})
    return f"{status.get('state') or 'nothing'}: {status.get('message') or 'no message'}"
