"""Kyma gateways for tests: the arguments of each mode, and the objects that a gateway makes."""

import base64
from collections.abc import Callable

from pulumi.runtime import rpc

from components.certificates import AuthorityArgs
from components.kyma_gateway.certificate import GardenerArgs, OwnArgs
from components.kyma_gateway.gardener import Gardener
from tests.unit.conftest import Recorder

OWN = OwnArgs("CERTIFICATE", "CA", "KEY")
SELF_SIGNED = AuthorityArgs("ECDSA-P256", 240, 2400, 24, "1")
WRITTEN = {key: base64.b64encode(f"ISSUED {key}".encode()).decode() for key in ("tls.crt", "ca.crt")}
ASKING = Gardener(5, lambda _: WRITTEN)
GARDENER = GardenerArgs(ASKING, "issuers/lab", "ECDSA-P384", 2160, 720)
MODES = {"own": OWN, "selfSigned": SELF_SIGNED, "gardener": GARDENER}

Gateway = Callable[..., Recorder]


def made(stack: Recorder, *kinds: str) -> list[str]:
    """Return the objects of these kinds that the stack makes, each as `Kind name namespace`."""
    return [
        f"{r.typ.rpartition(':')[2]} {r.inputs['metadata']['name']} {r.inputs['metadata'].get('namespace')}"
        for r in stack.resources
        if "metadata" in r.inputs and not r.resource_id and r.typ.rpartition(":")[2] in kinds
    ]


def data(stack: Recorder, kind: str, name: str) -> dict[str, str]:
    """Return the data of a Secret or ConfigMap."""
    values = stack.one(kind, name)["data"]
    return dict(rpc.unwrap_rpc_secret(values) if rpc.is_rpc_secret(values) else values)


def decoded(values: dict[str, str]) -> dict[str, str]:
    """Return data without its Base64."""
    return {key: base64.b64decode(value).decode() for key, value in values.items()}
