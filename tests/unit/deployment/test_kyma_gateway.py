"""The Kyma gateway: what its components read from the cluster while they wait, and the end of a release."""

import pulumi
import pytest

from clusters.facts import KymaGatewayFacts
from components.readiness import READY
from deployment import kyma_gateway
from tests.unit.fakes import fake_cluster


def test_cluster_without_an_answer_during_an_update_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = fake_cluster()

    def away(*_: object) -> None:
        raise cluster.problem("does not answer: Connection refused")

    monkeypatch.setattr(type(cluster), "read", away)
    with pytest.raises(pulumi.RunError, match=r"^kyma-mtls:target\.kubeconfig: cluster https://target does not answer"):
        kyma_gateway._secret_data(cluster, "istio-system/certs")


def test_take_over_ends_with_the_removal_of_the_leftover_secret() -> None:
    secret = "/api/v1/namespaces/istio-system/secrets/kyma-gateway-certs"  # noqa: S105 - a path
    cluster = fake_cluster({secret: {"metadata": {"uid": "u1"}}})
    facts = KymaGatewayFacts("kyma.example.com", leftover_secret="u1")
    take_over = kyma_gateway._take_over("0a1b", cluster, facts, pulumi.ResourceHookBinding())
    assert take_over.is_released(cluster, {"metadata": {}}) == READY
    assert not cluster.deleted
    assert take_over.clean_up
    take_over.clean_up()
    assert cluster.deleted == [(secret, "u1")]
