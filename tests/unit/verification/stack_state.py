"""The state of a stack with four objects in two clusters."""

import json
from collections.abc import Mapping
from typing import Any

from verification.state import State

TARGET_UID, CLIENT_UID = "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "0a1b2c3d-0000-4000-8000-000000000001"
TARGET, CLIENT = f"target-{TARGET_UID}", f"clients.ware-house-{CLIENT_UID}"
MARK = {
    "urn": "urn:pulumi:test::kyma-mtls::random:index/randomId:RandomId::owner",
    "type": "random:index/randomId:RandomId",
    "id": "Chs",
    "outputs": {"hex": "0a1b", "dec": "2587"},
}


def resource(provider: str, kind: str, known: str, api_version: str = "v1", **more: object) -> dict[str, Any]:
    """Return a Kubernetes resource as the state has it."""
    core = api_version if "/" in api_version else f"core/{api_version}"
    namespace, _, name = known.rpartition("/")
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    described = {"apiVersion": api_version, "kind": kind, "metadata": metadata, "data": {"ciphertext": "SECRET"}}
    return {
        "urn": f"urn:pulumi:test::kyma-mtls::a$kubernetes:{core}:{kind}::{known}",
        "type": f"kubernetes:{core}:{kind}",
        "id": known,
        "provider": f"urn:pulumi:test::kyma-mtls::pulumi:providers:kubernetes::{provider}::dbec2663-600b-4179",
        "inputs": described,
        "outputs": described,
        **more,
    }


KNOWN = [
    resource(TARGET, "Namespace", "mtls"),
    resource(TARGET, "Secret", "istio-system/certs"),
    resource(CLIENT, "Secret", "istio-system/credential"),
    resource(CLIENT, "Gateway", "mtls/egress", "networking.istio.io/v1"),
]


def state_of(*resources: Mapping[str, Any]) -> State:
    return State.read("test", json.dumps({"version": 3, "deployment": {"resources": [MARK, *resources]}}))


STATE = state_of(*KNOWN)
