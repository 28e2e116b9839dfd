"""X-Forwarded-Client-Cert: in which modes of the ingress gateway callers could write it themselves."""

import json
from typing import Any

import pytest

from clusters import Site
from tests.unit.clusters.served import GATEWAYS, ISTIO_CONFIG, Check, problems, whole
from tests.unit.facts import EGRESS_LABELS, INGRESS_LABELS, workload
from tests.unit.pki import issue

PARTNER = issue("partner")


def mesh(mode: str) -> dict[str, Any]:
    """Return Istio's mesh config with this mode of the header."""
    topology = {"gatewayTopology": {"forwardClientCertDetails": mode}} if mode else {}
    return {ISTIO_CONFIG: {"data": {"mesh": json.dumps({"defaultConfig": topology})}}}


def check_partner(check: Check, mesh: dict[str, Any], identity: str, **host: Any) -> list[Site]:
    """Check a target with this config of Istio, for a host that admits a partner's client."""
    partner = {"certificateAuthority": PARTNER.pem, "identity": identity}
    hosts = {"httpbin": {"domain": "httpbin.example.com", "clients": ["partner"]} | host}
    return check(whole("uid-1", **mesh), whole("uid-2"), clients={"partner": partner}, hosts=hosts)


@pytest.mark.parametrize("mode", ["FORWARD_ONLY", "ALWAYS_FORWARD_ONLY"])
def test_dns_identity_is_refused_where_callers_write_the_header(check: Check, mode: str) -> None:
    def run(*_: Any) -> list[Site]:
        return check_partner(check, mesh(mode), "dns:partner.example")

    (line,) = problems(run)
    assert line.startswith("clients.partner.identity: cluster forwards the caller's own X-Forwarded-Client-Cert")
    assert f"({mode})" in line
    assert check_partner(check, mesh(mode), "spiffe://partner.example/client"), "no header names it"
    assert check_partner(check, mesh(mode), "dns:partner.example", clients=[]), "it is admitted nowhere"


@pytest.mark.parametrize("mode", ["", "SANITIZE", "SANITIZE_SET", "APPEND_FORWARD"])
def test_dns_identity_is_accepted_where_the_gateway_writes_the_header(check: Check, mode: str) -> None:
    assert check_partner(check, mesh(mode), "dns:partner.example")
    assert check_partner(check, {}, "dns:partner.example"), "another revision has a config of another name"


def gateway_pods(annotation: str = "", variable: str = "") -> dict[str, Any]:
    """Return the gateways, with this annotation, or variable, of the ingress gateway's Pods."""
    ingress, egress = workload(INGRESS_LABELS, "ingress"), workload(EGRESS_LABELS, "egress")
    template = ingress["spec"]["template"]
    template["metadata"]["annotations"] = {"proxy.istio.io/config": annotation} if annotation else None
    env = [{"name": "REVISION", "valueFrom": {}}, {"name": "PROXY_CONFIG", "value": variable}]
    template["spec"]["containers"] = [{"name": "istio-proxy", "env": env if variable else None}]
    return {"/apis/apps/v1/namespaces/istio-system/deployments": {"items": [ingress, egress]}}


def topology(mode: str) -> str:
    return json.dumps({"gatewayTopology": {"forwardClientCertDetails": mode}})


@pytest.mark.parametrize("by", ["annotation", "variable"])
def test_dns_identity_is_refused_where_the_gateways_pods_forward_the_header(check: Check, by: str) -> None:
    pods = gateway_pods(**{by: topology("ALWAYS_FORWARD_ONLY")})
    (line,) = problems(lambda: check_partner(check, pods | mesh("SANITIZE_SET"), "dns:partner.example"))
    assert "(ALWAYS_FORWARD_ONLY)" in line


@pytest.mark.parametrize("mode", ["SANITIZE_SET", "APPEND_FORWARD"])
def test_mode_of_the_gateways_pods_precedes_that_of_the_mesh(check: Check, mode: str) -> None:
    pods = gateway_pods(annotation=topology(mode))
    assert check_partner(check, pods | mesh("FORWARD_ONLY"), "dns:partner.example")


@pytest.mark.parametrize("annotation", ["concurrency: 2", "gatewayTopology: 3", "{", "[]"])
def test_pods_without_a_mode_have_that_of_the_mesh(check: Check, annotation: str) -> None:
    pods = gateway_pods(annotation=annotation)
    assert check_partner(check, pods, "dns:partner.example")
    assert problems(lambda: check_partner(check, pods | mesh("FORWARD_ONLY"), "dns:partner.example"))


def test_dns_identity_is_refused_beside_a_raw_server(check: Check) -> None:
    raw = {
        "metadata": {"namespace": "unrelated", "name": "raw"},
        "spec": {"selector": {}, "servers": [{"port": {"number": 443, "protocol": "TCP"}}]},
    }
    answers = mesh("FORWARD_ONLY") | {GATEWAYS: {"items": [raw]}}
    lines = problems(lambda: check_partner(check, answers, "dns:partner.example"))
    assert [line.partition(":")[0] for line in lines] == ["target.gatewayPassthrough", "clients.partner.identity"]
