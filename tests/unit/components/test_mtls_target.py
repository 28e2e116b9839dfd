"""What the hosts of the target cluster have in common."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from components.mtls_target import MtlsTarget, MtlsTargetArgs
from tests.unit.conftest import Deploy, Recorder
from tests.unit.facts import HELM_INGRESS, ISTIO_INJECTION


def target(
    deploy: Deploy, image: str = "httpbin:1", injection: Mapping[str, str] = ISTIO_INJECTION, **changed: Any
) -> Recorder:
    """Deploy it; the result is its namespace."""
    values: dict[str, Any] = {"platform": "istio", **changed}
    return deploy(lambda: MtlsTarget("target", MtlsTargetArgs("mtls", injection, image, **values)).namespace)


def test_target_makes_its_namespace(deploy: Deploy) -> None:
    stack = target(deploy)
    metadata = stack.one("Namespace", "target-namespace")["metadata"]
    assert metadata == {"name": "mtls", "labels": {"istio-injection": "enabled"}}
    assert stack.result == "mtls"


def test_revision_is_the_label_of_namespace_and_pods(deploy: Deploy) -> None:
    by_default, by_revision = target(deploy), target(deploy, injection={"istio.io/rev": "canary"})
    assert by_revision.one("Namespace", "target-namespace")["metadata"]["labels"] == {"istio.io/rev": "canary"}
    templates = [each.one("Deployment", "target-httpbin")["spec"]["template"] for each in (by_default, by_revision)]
    labels = [template["metadata"]["labels"] for template in templates]
    assert labels[1] == labels[0] | {"istio.io/rev": "canary"}, "running Pods keep the sidecar that they have"


def test_demo_has_no_privilege_and_is_open_to_the_ingress_gateway(deploy: Deploy) -> None:
    stack = target(deploy)
    (port,) = stack.one("Service", "target-httpbin")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8000, 8080)
    template = stack.one("Deployment", "target-httpbin")["spec"]["template"]
    assert template["metadata"]["labels"]["networking.kyma-project.io/from-ingressgateway"] == "allowed"
    pod = template["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_demo_admits_the_ingress_gateway_only(deploy: Deploy) -> None:
    policy = target(deploy).one("AuthorizationPolicy", "target-authorization")
    assert policy["metadata"] == {"name": "from-ingress-gateway", "namespace": "mtls"}
    assert policy["spec"]["selector"] == {"matchLabels": {"app": "httpbin"}}
    assert policy["spec"]["action"] == "ALLOW"
    (rule,) = policy["spec"]["rules"]
    assert rule == {
        "from": [{"source": {"principals": ["*/ns/istio-system/sa/istio-ingressgateway-service-account"]}}]
    }, "connections that are open when a host comes would refuse it"
    (rule,) = target(deploy, gateway=HELM_INGRESS).one("AuthorizationPolicy", "target-authorization")["spec"]["rules"]
    assert rule["from"] == [{"source": {"principals": ["*/ns/ingress/sa/edge"]}}]


def test_demo_has_the_policies_of_api_rules_on_platform_kyma_and_no_idle_connections(deploy: Deploy) -> None:
    stack = target(deploy, platform="kyma")
    assert "AuthorizationPolicy" not in stack.kinds()
    spec = stack.one("DestinationRule", "target-httpbin")["spec"]
    assert spec["host"] == "httpbin.mtls.svc.cluster.local"
    assert spec["trafficPolicy"] == {"connectionPool": {"http": {"idleTimeout": "1s"}}}, (
        "and the mesh's mutual TLS stays"
    )
    assert "DestinationRule" not in target(deploy).kinds()


def test_unknown_platform_is_refused(deploy: Deploy) -> None:
    with pytest.raises(pulumi.RunError, match="platform 'Kyma': use one of kyma, istio"):
        target(deploy, platform="Kyma")


def test_target_without_a_demo_makes_its_namespace_only(deploy: Deploy) -> None:
    stack = target(deploy, image="")
    assert [made["kind"] for made in stack.objects()] == ["Namespace"]
