"""The access log of a gateway: which Telemetries and mesh configs configure it."""

from typing import Any

import pytest

from clusters import access_log
from clusters.control_plane import Mesh
from tests.unit.facts import HELM_EGRESS, TELEMETRIES
from tests.unit.fakes import fake_cluster


def telemetry(namespace: str = "egress", **changed: Any) -> dict[str, Any]:
    """Return a Telemetry with these fields of its spec."""
    spec = {"accessLogging": [{"providers": [{"name": "otel"}]}]} | changed
    return {"metadata": {"namespace": namespace, "name": "logs", "labels": spec.pop("labels", {})}, "spec": spec}


def is_configured(*telemetries: dict[str, Any], **mesh: Any) -> bool:
    cluster = fake_cluster({TELEMETRIES: {"items": list(telemetries)}})
    return access_log.is_configured(cluster, HELM_EGRESS, Mesh(mesh, "root"))


@pytest.mark.parametrize(
    ("found", "configured"),
    [
        (telemetry(), True),
        (telemetry("root"), True),
        (telemetry("elsewhere"), False),
        (telemetry(selector={"matchLabels": {"istio": "way-out"}}), True),
        (telemetry(selector={"matchLabels": {"istio": "other"}}), False),
        (telemetry("root", selector={"matchLabels": {"istio": "way-out"}}), False),
        (telemetry(accessLogging=[], tracing=[{}]), False),
        (telemetry(accessLogging=[{"disabled": True}]), True),
        (telemetry(targetRefs=[{"kind": "Gateway", "name": "another"}]), False),
        (telemetry(labels={"kyma-mtls/owner": "0a1b"}), False),
    ],
    ids=["namespace", "root", "another", "selected", "others", "root-selects", "tracing", "off", "target", "a-stacks"],
)
def test_access_log_is_configured_by_a_telemetry_that_governs_the_gateway(
    found: dict[str, Any], configured: bool
) -> None:
    assert is_configured(found) is configured


@pytest.mark.parametrize(
    ("mesh", "configured"),
    [
        ({}, False),
        ({"accessLogFile": "/dev/stdout"}, True),
        ({"accessLogFile": ""}, False),
        ({"defaultProviders": {"accessLogging": ["otel"]}}, True),
        ({"defaultProviders": {"metrics": ["prometheus"]}}, False),
        ({"enableEnvoyAccessLogService": True}, True),
    ],
)
def test_access_log_is_configured_by_the_mesh_config(mesh: dict[str, Any], configured: bool) -> None:
    assert is_configured(**mesh) is configured
