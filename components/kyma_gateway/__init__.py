"""The Kyma gateway: Gateway kyma-gateway for *.DOMAIN, its certificate, and the objects that hold that for Kyma.

Follows "Ingress and Egress traffic" in both its editions:

- Kyma 2 (ports, TLS, ciphers): https://kyma-project.io/docs/kyma/latest/04-operation-guides/security/sec-04-ingress-egress-traffic/
- Kyma 1 (the certificate's Secrets, apiserver-proxy, the installer's overrides):
  https://github.com/kyma-project/kyma/blob/fb87b74ee2fe06a8d2b549fe2ba748fa42fada99/docs/security/03-04-ingress-egress-traffic.md
"""

from .gateway import KymaGateway, KymaGatewayArgs
from .take_over import TakeOver

__all__ = ["KymaGateway", "KymaGatewayArgs", "TakeOver"]
