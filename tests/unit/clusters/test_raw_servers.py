"""Raw servers: which Gateways of a cluster are refused, and which the config may accept."""

from typing import Any

import pytest

from tests.unit.clusters.served import GATEWAYS, Check, problems, whole


def gateway(selector: dict[str, str], *servers: tuple[str, str], name: str = "raw") -> dict[str, Any]:
    """Return a Gateway with servers of a protocol and mode."""
    listed = [{"port": {"number": 443, "protocol": it}, "tls": {"mode": mode}} for it, mode in servers]
    return {"metadata": {"namespace": "unrelated", "name": name}, "spec": {"selector": selector, "servers": listed}}


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        (gateway({"istio": "ingressgateway"}, ("TLS", "PASSTHROUGH")), True),
        (gateway({"app": "istio-ingressgateway"}, ("TCP", "SIMPLE")), True),
        (gateway({"istio": "ingressgateway", "app": "istio-ingressgateway"}, ("HTTPS", "AUTO_PASSTHROUGH")), True),
        (gateway({}, ("HTTPS", "SIMPLE"), ("mongo", "")), True),
        (gateway({"istio": "ingressgateway"}, ("HTTPS", "SIMPLE"), ("HTTP", "")), False),
        (gateway({"istio": "another"}, ("TLS", "PASSTHROUGH")), False),
        (gateway({"istio": "ingressgateway", "more": "labels"}, ("TLS", "PASSTHROUGH")), False),
        ({"metadata": {"namespace": "unrelated", "name": "none"}}, False),
    ],
    ids=[
        "passthrough",
        "tcp",
        "auto-passthrough",
        "any-gateway",
        "terminated",
        "another-gateway",
        "more-labels",
        "bare",
    ],
)
def test_raw_server_on_the_gateway_is_refused(check: Check, found: dict[str, Any], refused: bool) -> None:
    target = whole("uid-1", **{GATEWAYS: {"items": [found]}})
    if refused:
        assert problems(check, target, whole("uid-2")) == [
            "target.gatewayPassthrough: cluster forwards TLS or TCP by Gateway unrelated/raw through "
            "istio-ingressgateway without reading a host; a policy of this stack would end the connections; set this "
            "to true, or move it to another ingress or egress gateway"
        ]
        assert check(target, whole("uid-3"), target={"gatewayPassthrough": True})
    else:
        assert check(target, whole("uid-2"))


def test_raw_servers_on_the_egress_gateway_are_listed_by_name(check: Check) -> None:
    raw = [gateway({"istio": "egressgateway"}, ("TLS", "PASSTHROUGH"), name=name) for name in ("b", "a")]
    client = whole("uid-2", **{GATEWAYS: {"items": raw}})
    (line,) = problems(check, whole("uid-1"), client)
    assert line.startswith(
        "clients.caller.gatewayPassthrough: cluster forwards TLS or TCP by Gateway unrelated/a, unrelated/b through "
        "istio-egressgateway without reading a host; "
    )
    assert check(whole("uid-1"), client, client={"gatewayPassthrough": True})


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "server", [("TCP", "MUTUAL"), ("TLS", "ISTIO_MUTUAL"), ("TLS", "OPTIONAL_MUTUAL"), ("mysql", "MUTUAL")]
)
def test_raw_server_with_client_certificates_is_refused_even_if_the_config_accepts_raw_servers(
    check: Check, server: tuple[str, str], allowed: bool
) -> None:
    found = [
        gateway({"istio": "ingressgateway"}, server, ("TLS", "PASSTHROUGH")),
        gateway({"istio": "ingressgateway"}, ("TCP", "SIMPLE"), name="simple"),
    ]
    target = whole("uid-1", **{GATEWAYS: {"items": found}})
    assert problems(check, target, whole("uid-2"), target={"gatewayPassthrough": allowed}) == [
        "target.kubeconfig: cluster serves TCP with client certificates by Gateway unrelated/raw through "
        "istio-ingressgateway without reading a host; a policy of this stack would end the connections; move it to "
        "another ingress or egress gateway"
    ]


@pytest.mark.parametrize("server", [("TCP", "SIMPLE"), ("TCP", ""), ("TLS", "PASSTHROUGH")])
def test_raw_server_is_accepted_by_the_config(check: Check, server: tuple[str, str]) -> None:
    items = {"items": [gateway({"istio": "ingressgateway"}, server, ("HTTPS", "MUTUAL"))]}
    target = whole("uid-1", **{GATEWAYS: items})
    assert check(target, whole("uid-2"), target={"gatewayPassthrough": True})
