"""Capture: what the sidecars of Pods take, and what they leave out."""

from typing import Any

import pytest

from clusters import capture

TRAFFIC = "traffic.sidecar.istio.io"


@pytest.mark.parametrize(
    ("annotations", "target", "captured"),
    [
        (None, 8080, True),
        ({}, "web", True),
        ({"traffic.sidecar.istio.io/excludeInboundPorts": "9090"}, 8080, True),
        ({"traffic.sidecar.istio.io/excludeInboundPorts": "9090, 8080"}, 8080, False),
        ({"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}, "web", False),
        ({"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}, "other", True),
        ({"traffic.sidecar.istio.io/includeInboundPorts": "*"}, 8080, True),
        ({"traffic.sidecar.istio.io/includeInboundPorts": "8080,9090"}, "web", True),
        ({"traffic.sidecar.istio.io/includeInboundPorts": "9090"}, 8080, False),
        ({"traffic.sidecar.istio.io/includeInboundPorts": ""}, 8080, False),
        ({"sidecar.istio.io/interceptionMode": "NONE"}, 8080, False),
        ({"sidecar.istio.io/interceptionMode": "TPROXY"}, 8080, True),
    ],
)
def test_port_is_taken_unless_annotations_exclude_it(annotations: Any, target: int | str, captured: bool) -> None:
    web = {"name": "app", "ports": [{"name": "web", "containerPort": 8080}]}
    pod = {"metadata": {"name": "a", "annotations": annotations}, "spec": {"containers": [web, {"name": "b"}]}}
    assert capture.takes(pod, {"port": 80, "targetPort": target}) is captured


def test_target_port_is_the_port_by_default() -> None:
    excluded = {"traffic.sidecar.istio.io/excludeInboundPorts": "80"}
    pod = {"metadata": {"name": "a", "annotations": excluded}, "spec": {"containers": []}}
    assert not capture.takes(pod, {"port": 80})


@pytest.mark.parametrize(
    ("annotations", "bypass"),
    [
        (None, None),
        ({"sidecar.istio.io/interceptionMode": "TPROXY"}, None),
        ({"sidecar.istio.io/interceptionMode": "NONE"}, "sidecar.istio.io/interceptionMode"),
        ({f"{TRAFFIC}/excludeOutboundPorts": "443,8080"}, None),
        ({f"{TRAFFIC}/excludeOutboundPorts": "443, 80"}, f"{TRAFFIC}/excludeOutboundPorts"),
        ({f"{TRAFFIC}/includeOutboundPorts": "443"}, None),
        ({f"{TRAFFIC}/includeOutboundIPRanges": "*"}, None),
        ({f"{TRAFFIC}/includeOutboundIPRanges": "10.0.0.0/8"}, f"{TRAFFIC}/includeOutboundIPRanges"),
        ({f"{TRAFFIC}/includeOutboundIPRanges": ""}, f"{TRAFFIC}/includeOutboundIPRanges"),
        ({f"{TRAFFIC}/includeOutboundIPRanges": "", f"{TRAFFIC}/includeOutboundPorts": "80"}, None),
        (
            {f"{TRAFFIC}/excludeOutboundPorts": "80", f"{TRAFFIC}/includeOutboundPorts": "80"},
            f"{TRAFFIC}/excludeOutboundPorts",
        ),
    ],
)
def test_requests_at_port_80_are_taken_unless_an_annotation_leaves_them_out(annotations: Any, bypass: Any) -> None:
    pod = {"metadata": {"name": "a", "annotations": annotations}, "spec": {"containers": [{"name": "istio-proxy"}]}}
    assert capture.bypass(pod) == bypass


def injected(name: str, *args: str, **annotations: str) -> dict[str, Any]:
    """Return a Pod whose init container NAME has these arguments of istio-iptables; annotations without prefix."""
    init = {"name": name, "args": ["istio-iptables", "-p", "15001", "-m", "REDIRECT", *args]}
    metadata = {"annotations": {f"{TRAFFIC}/{key}": value for key, value in annotations.items()}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "istio-proxy"}], "initContainers": [init]}}


@pytest.mark.parametrize("init", ["istio-init", "istio-validation"])
def test_values_of_the_mesh_are_read_from_what_the_injector_made_of_them(init: str) -> None:
    assert capture.bypass(injected(init, "-i", "*", "-x", "", "-b", "*")) is None
    assert capture.bypass(injected(init, "-i", "10.96.0.0/12")) == f"{TRAFFIC}/includeOutboundIPRanges"
    assert capture.bypass(injected(init, "-i", "10.96.0.0/12", "-q", "80")) is None
    assert capture.bypass(injected(init, "-i", "*", "-o", "25,80")) == f"{TRAFFIC}/excludeOutboundPorts"
    assert capture.bypass(injected("own", "-i", "10.96.0.0/12")) is None, "another's container"


def test_annotation_that_came_after_the_injection_has_no_effect() -> None:
    late = injected("istio-init", "-i", "*", "-x", "10.0.0.0/8", includeOutboundIPRanges="", excludeOutboundIPRanges="")
    assert capture.bypass(late) is None
    assert capture.excluded_ranges(late) == {"10.0.0.0/8"}


def test_excluded_ranges_are_those_where_a_host_can_be() -> None:
    excluding = injected("own", excludeOutboundIPRanges="10.0.0.0/8, 169.254.169.254/32,192.0.2.0/24")
    assert capture.excluded_ranges(excluding) == {"10.0.0.0/8", "192.0.2.0/24"}
    assert capture.excluded_ranges(injected("istio-init", "-x", "")) == set()
