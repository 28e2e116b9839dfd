"""The hook that gives the Kyma gateway back to Kyma's operator."""

from clusters import gateway_hooks
from clusters.gateway_hooks import API_GATEWAY
from tests.unit.fakes import fake_cluster


def test_gateway_is_given_back_to_an_operator_that_the_cluster_still_has() -> None:
    cluster = fake_cluster({API_GATEWAY: {"metadata": {}}})
    gateway_hooks.give_back(cluster)
    assert cluster.patched == [(API_GATEWAY, {"spec": {"enableKymaGateway": True}})], "absent means false to it"
    cluster = fake_cluster()
    gateway_hooks.give_back(cluster)
    assert cluster.patched == []
