"""The values that arguments of components and config keys choose from. None needs Pulumi."""

from enum import StrEnum


class Platform(StrEnum):
    """What runs in the clusters: Kyma with its Istio and API Gateway modules, or Istio alone."""

    KYMA = "kyma"
    ISTIO = "istio"


class KeyAlgorithm(StrEnum):
    """Algorithm and size of a private key."""

    ECDSA_P256 = "ECDSA-P256"
    ECDSA_P384 = "ECDSA-P384"
    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
    RSA_4096 = "RSA-4096"

    @property
    def type(self) -> str:
        """ECDSA or RSA."""
        return self.value.partition("-")[0]

    @property
    def bits(self) -> int:
        """Size of the key; with ECDSA, of its curve's field."""
        return int(self.value.partition("-")[2].removeprefix("P"))
