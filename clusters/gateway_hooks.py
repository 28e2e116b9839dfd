"""What the program does beside the engine when a Kyma gateway leaves.

Kyma's operator reads an absent `enableKymaGateway` of the APIGateway as false: to give the gateway back, true has to be
written.
"""

import pulumi

from clusters.cluster import Cluster

API_GATEWAY = "/apis/operator.kyma-project.io/v1alpha1/apigateways/default"
MODULE = ("kyma-project.io/module", "api-gateway")
"""The label of what Kyma's API Gateway module makes."""


def register(target: Cluster) -> pulumi.ResourceHookBinding:
    """Register a hook for the patch by which Kyma's operator leaves: before that goes, the gateway is given back.

    Register it always: what is deleted needs its own.
    """
    back = pulumi.ResourceHook("kyma-gateway-given-back", lambda _: give_back(target))
    return pulumi.ResourceHookBinding(before_delete=[back])


def give_back(target: Cluster) -> None:
    """Have Kyma's operator make its gateway again, if it is still there."""
    if target.read(API_GATEWAY):
        target.patch(API_GATEWAY, {"spec": {"enableKymaGateway": True}})
