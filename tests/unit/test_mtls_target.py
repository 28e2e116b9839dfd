"""What the hosts of the target cluster have in common."""

from typing import Any

from components.mtls_target import MtlsTarget, MtlsTargetArgs
from tests.unit.conftest import Deploy, Recorder


def target(deploy: Deploy, image: str = "httpbin:1") -> Recorder:
    """Deploy it; the result is its outputs."""

    def program() -> dict[str, Any]:
        deployed = MtlsTarget("target", MtlsTargetArgs("mtls", image))
        return {"namespace": deployed.namespace, "address": deployed.address}

    return deploy(program)


def test_target_makes_its_namespace_and_tells_the_address_of_the_ingress_gateway(deploy: Deploy) -> None:
    stack = target(deploy)
    metadata = stack.one("Namespace", "target-namespace")["metadata"]
    assert metadata == {"name": "mtls", "labels": {"istio-injection": "enabled"}}
    assert stack.result == {"namespace": "mtls", "address": "192.0.2.7"}


def test_demo_serves_without_privilege_where_the_ingress_gateway_may_reach_it(deploy: Deploy) -> None:
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


def test_nothing_but_a_namespace_is_made_for_services_that_exist(deploy: Deploy) -> None:
    stack = target(deploy, image="")
    assert [made["kind"] for made in stack.objects()] == ["Namespace"]
