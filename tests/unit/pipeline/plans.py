"""Plans as the engine saves them."""

import json
from pathlib import Path
from typing import Any

from pipeline.plan import Plan

STACK = "urn:pulumi:prod::kyma-mtls::"
CA = f"{STACK}kyma-mtls:index:Certificates$tls:index/selfSignedCert:SelfSignedCert::certificates-ca.1"
LEAF = f"{STACK}kyma-mtls:index:Certificates$tls:index/locallySignedCert:LocallySignedCert::certificates-host-orders.1"
SECRET = f"{STACK}kyma-mtls:index:MtlsHost$kubernetes:core/v1:Secret::target-orders-credential"
SERVICE = f"{STACK}kyma-mtls:index:MtlsHost$kubernetes:core/v1:Service::target-orders"
PROVIDER = f"{STACK}pulumi:providers:kubernetes::target-uid"
REPLACED = ["create-replacement", "replace", "delete-replaced"]
Resource = dict[str, Any]
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The engine's value for one that is not known before the update."""


def described(contents: str, **labels: str) -> Resource:
    """Return a Secret's metadata with these contents in its annotation."""
    return {"name": "orders", "labels": labels, "annotations": {"kyma-mtls/contents": contents, "a": "b"}}


DEPLOYED = {SECRET: {"metadata": described("key cert:1")}}
"""The inputs in the state."""


def resource(*steps: str, on: tuple[str, ...] = (), **changes: Any) -> Resource:
    """Return a resource of a plan: its steps, its dependencies, and its changed inputs."""
    return {"goal": {"inputDiff": changes, "dependencies": [*on]}, "steps": [*steps], "state": {}}


def secret(text: str) -> Resource:
    """Return a secret as the engine writes it, with this ciphertext."""
    return {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": f"v1:{text}"}


def plan_of(file: Path, resources: dict[str, Resource]) -> Plan:
    """Write a plan to the file, and read it."""
    file.write_text(json.dumps({"manifest": {}, "resourcePlans": resources}))
    return Plan.read(file)


def renewal() -> dict[str, Resource]:
    """Return the resources of a plan that renews a host's certificate."""
    return {
        CA: resource("same"),
        LEAF: resource(*REPLACED),
        SECRET: resource("update", on=(LEAF,), updates={"data": {"key": {}}, "metadata": described(UNKNOWN)}),
        SERVICE: resource("same"),
    }
