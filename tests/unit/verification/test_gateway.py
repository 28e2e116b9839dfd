"""Names outside the domain of the Kyma gateway."""

import ssl

import pytest

from outputs import GatewayOutput
from tests.unit.deployed import KYMA_GATEWAY
from verification import gateway
from verification.checks import Failed

DEPLOYED = GatewayOutput.model_validate(KYMA_GATEWAY)


def shown(monkeypatch: pytest.MonkeyPatch, outside: bytes | OSError) -> None:
    def certificate(_: object, host: str) -> bytes:
        if host.endswith("kyma.example.com"):
            return b"own"
        if isinstance(outside, OSError):
            raise outside
        return outside

    monkeypatch.setattr(gateway, "_certificate", certificate)


@pytest.mark.parametrize(
    ("outside", "expected"),
    [
        (b"another of the same CA", "verification.invalid: a different gateway serves it"),
        (ConnectionResetError("reset"), "verification.invalid: reset"),
        (ssl.SSLError(1, "unrecognized name"), "verification.invalid: unrecognized name"),
    ],
)
def test_name_outside_the_domain_may_have_another_gateway(
    monkeypatch: pytest.MonkeyPatch, outside: bytes | OSError, expected: str
) -> None:
    shown(monkeypatch, outside)
    assert gateway.other_hosts_are_refused(DEPLOYED) == expected


def test_name_outside_the_domain_must_not_get_the_gateways_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    shown(monkeypatch, b"own")
    with pytest.raises(Failed, match="got the certificate of the Kyma gateway"):
        gateway.other_hosts_are_refused(DEPLOYED)
