"""The component KymaGateway under mocks."""

from typing import Any

import pulumi
import pytest

from components.kyma_gateway import KymaGateway, KymaGatewayArgs, TakeOver
from components.kyma_gateway.certificate import CertificateArgs
from components.readiness import READY
from tests.unit.components.kyma_gateway.deployed_gateway import OWN, Gateway
from tests.unit.conftest import Deploy, Recorder
from tests.unit.facts import ISTIOCTL_INGRESS


@pytest.fixture
def gateway(deploy: Deploy) -> Gateway:
    """Return a function that deploys the component in a mode, with a take-over unless `alone`, and with changes."""

    def run(
        certificate: CertificateArgs = OWN, *, alone: bool = False, operator: bool = False, **changed: Any
    ) -> Recorder:
        def program() -> None:
            back = pulumi.ResourceHook("given-back", lambda _: None)
            take_over = TakeOver(
                ("kyma-installer",),
                operator,
                "0a1b",
                lambda _cluster, _module: READY,
                pulumi.ResourceHookBinding(before_delete=[back]),
            )
            values: dict[str, Any] = {
                "domain": "kyma.example.com",
                "ingress": ISTIOCTL_INGRESS,
                "namespace": "mtls",
                "take_over": None if alone else take_over,
                "certificate": certificate,
                "cipher_suites": ("ECDHE-ECDSA-AES128-GCM-SHA256",),
                "apiserver_proxy": True,
                "legacy_installer": True,
                "service_entry_hosts": (),
            }
            KymaGateway("gateway", KymaGatewayArgs(**(values | changed)))

        return deploy(program)

    return run
