"""The config of a stack with many hosts, clients and partners, and the server of one of the partners."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.e2e.support import partner_server
from tests.unit.pki import issue

INTERNET, PARTNER_ADDRESS, PARTNER_PORT = "/run/netns/kyma-lab-internet", "203.0.113.10", 443

ACME_CA, OTHER_CA, PARTNER_CA = issue("Acme CA"), issue("Other CA"), issue("Partner CA")
ACME = issue("acme", ACME_CA, uris=("spiffe://acme.example/client",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
DHL = issue("dhl", OTHER_CA, hosts=("client.dhl.example",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)
GIVEN = issue("ours", PARTNER_CA, uris=("spiffe://partner.example/us",), usage=ExtendedKeyUsageOID.CLIENT_AUTH)


CLIENTS: dict[str, Any] = {
    "client": {"kubeconfig": ".lab/client.kubeconfig", "domain": "client.test"},
    "client2": {"kubeconfig": ".lab/client2.kubeconfig", "callers": ["logistics/dispatcher"]},
    "acme": {"certificateAuthority": ACME_CA.pem, "identity": "spiffe://acme.example/client"},
    "dhl": {"certificateAuthority": OTHER_CA.pem, "identity": "dns:client.dhl.example"},
}
HOSTS: dict[str, Any] = {
    "httpbin": {"domain": "httpbin.target.test", "clients": ["client", "client2"]},
    "forms": {
        "domain": "forms.target.test",
        "methods": ["GET", "POST"],
        "paths": ["/headers", "/anything/*"],
        "clients": ["client", "dhl"],
    },
    "orders": {
        "domain": "orders.target.test",
        "service": {"namespace": "shop", "name": "orders", "port": 8080},
        "clients": ["client2", "acme"],
    },
    "api": {
        "domain": "api.internet.test",
        "clients": ["client", "client2"],
        "external": {
            "certificateAuthority": PARTNER_CA.pem,
            "credentials": {"client": {"certificate": GIVEN.pem, "key": GIVEN.key_pem}},
        },
    },
}


@contextmanager
def partner(directory: Path) -> Iterator[None]:
    """Run a partner's server in the lab's internet, outside both meshes."""
    server = issue("api", PARTNER_CA, hosts=("api.internet.test", "solo.internet.test"))
    for name, text in (("crt", server.pem), ("key", server.key_pem), ("ca", PARTNER_CA.pem)):
        (directory / name).write_text(text)
    script = shutil.copy(partner_server.__file__, directory)
    files = [str(directory / name) for name in ("crt", "key", "ca")]
    command = ["nsenter", f"--net={INTERNET}", sys.executable, script, PARTNER_ADDRESS, str(PARTNER_PORT), *files]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
