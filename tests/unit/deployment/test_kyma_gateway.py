"""The Kyma gateway: what its components read from the cluster while they wait, and the end of a release."""

import pulumi
import pytest

from deployment import kyma_gateway
from tests.unit.fakes import fake_cluster


def test_cluster_without_an_answer_during_an_update_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = fake_cluster()

    def away(*_: object) -> None:
        raise cluster.problem("does not answer: Connection refused")

    monkeypatch.setattr(type(cluster), "read", away)
    with pytest.raises(pulumi.RunError, match=r"^kyma-mtls:target\.kubeconfig: cluster https://target does not answer"):
        kyma_gateway._secret_data(cluster, "istio-system/certs")
