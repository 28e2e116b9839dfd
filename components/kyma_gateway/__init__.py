"""The Kyma gateway: Gateway kyma-gateway for *.DOMAIN, its certificate, and what Kyma's documents put beside it.

Follows "Ingress and Egress traffic" of Kyma, in both its editions.
"""

from .gateway import KymaGateway, KymaGatewayArgs
from .take_over import TakeOver

__all__ = ["KymaGateway", "KymaGatewayArgs", "TakeOver"]
