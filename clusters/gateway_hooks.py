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

    def wait(_: pulumi.ResourceHookArgs) -> None:
        end = time.monotonic() + _TIMEOUT_SECONDS
        while _FINALIZER in _metadata(target.read(API_GATEWAY)).get("finalizers", []):
            if time.monotonic() > end:
                raise TimeoutError(f"Kyma's operator did not give up kyma-gateway within {_TIMEOUT_SECONDS} s")
            time.sleep(1)

    def give_back(_: pulumi.ResourceHookArgs) -> None:
        if target.read(API_GATEWAY):
            target.patch(API_GATEWAY, {"spec": {"enableKymaGateway": True}})

    def tell(failed: pulumi.ErrorHookArgs) -> bool:
        status = failed.new_inputs and (target.read(_path(failed.new_inputs)) or {}).get("status")
        if status:
            pulumi.log.error(f"{failed.name}: Gardener says {status.get('state')}: {status.get('message')}")
        return False

    return GatewayHooks(
        given_up=pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook("kyma-gateway-given-up", wait)]),
        given_back=pulumi.ResourceHookBinding(
            before_delete=[pulumi.ResourceHook("kyma-gateway-given-back", give_back)]
        ),
        gardener=pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("gardener-failed", tell)]),
    )


def _metadata(found: Any) -> Mapping[str, Any]:
    return dict(found["metadata"]) if found else {}


def _path(wanted: Mapping[str, Any]) -> str:
    metadata = wanted["metadata"]
    namespace = f"/apis/{wanted['apiVersion']}/namespaces/{metadata['namespace']}"
    return f"{namespace}/{_PLURALS[wanted['kind']]}/{metadata['name']}"
