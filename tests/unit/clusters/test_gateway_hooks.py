"""What the program does beside the engine: gives Kyma's operator its gateway back."""

from clusters import gateway_hooks
from clusters.gateway_hooks import API_GATEWAY
from tests.unit.fakes import fake_cluster


def test_the_gateway_is_given_back_to_an_operator_that_is_still_there() -> None:
    cluster = fake_cluster({API_GATEWAY: {"metadata": {}}})
    gateway_hooks.give_back(cluster)
    assert cluster.patched == [(API_GATEWAY, {"spec": {"enableKymaGateway": True}})], "absent means false to it"
    cluster = fake_cluster()
    gateway_hooks.give_back(cluster)
    assert cluster.patched == []
