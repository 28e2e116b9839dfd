"""The hook that gives the Kyma gateway back to Kyma's operator when the stack's one goes.

The operator of Kyma's API Gateway module reads an absent `enableKymaGateway` of the APIGateway as false
(kyma-project/api-gateway, internal/reconciliations/gateway/kyma_gateway.go): the hook sets it to true.
"""

import pulumi

from clusters.cluster import Cluster

API_GATEWAY = "/apis/operator.kyma-project.io/v1alpha1/apigateways/default"
MODULE = ("kyma-project.io/module", "api-gateway")
"""The label of objects that Kyma's API Gateway module makes."""


def register(target: Cluster) -> pulumi.ResourceHookBinding:
    """Register the hook that runs before the patch of the APIGateway is deleted; return its binding.

    Register it in every program with a target: the engine runs a deleted resource's hook by its name.
    """
    hook = pulumi.ResourceHook("kyma-gateway-given-back", lambda _: give_back(target))
    return pulumi.ResourceHookBinding(before_delete=[hook])


def give_back(target: Cluster) -> None:
    """Enable the gateway of Kyma's operator again, if the cluster still has the operator's APIGateway."""
    if target.read(API_GATEWAY):
        target.patch(API_GATEWAY, {"spec": {"enableKymaGateway": True}})
