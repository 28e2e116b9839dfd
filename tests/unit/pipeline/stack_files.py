"""The file of a stack with two clients and a host."""

from typing import Any

import yaml

from pipeline.stack_file import StackFile
from tests.unit.pki import issue

CA = issue("acme CA").pem
WAREHOUSE, BILLING = {"context": "warehouse"}, {"context": "billing", "callers": ["invoices"]}
ACME = {"certificateAuthority": CA, "identity": "spiffe://acme.example/client"}
ORDERS = {"domain": "orders.example.com", "clients": ["warehouse"]}
API = {"domain": "api.partner.example", "clients": ["billing"], "external": {"certificateAuthority": CA}}
CLIENTS = {"warehouse": WAREHOUSE, "billing": BILLING}
BASE: dict[str, Any] = {"target": {"context": "target"}, "clients": CLIENTS, "hosts": {"orders": ORDERS}}
SECURE = {"secure": "v1:abc"}


def text_of(**config: Any) -> str:
    """Return a stack's file with this config."""
    return yaml.safe_dump({"config": {f"kyma-mtls:{key}": value for key, value in config.items()}})


def file_of(**changes: Any) -> StackFile:
    """Return the stack's file with these keys changed."""
    return StackFile.parse(text_of(**{**BASE, **changes}))


def hosts(**changes: Any) -> dict[str, Any]:
    """Return the key `hosts`, with changes to the host `orders`."""
    return {"hosts": {"orders": {**ORDERS, **changes}}}
