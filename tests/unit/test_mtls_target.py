"""What the target cluster is given."""

import base64
from collections.abc import Callable

import pulumi
import pytest
from pulumi.runtime import rpc

from components.certificates import Credential
from components.kubernetes import OWNER, Ownership
from components.mtls_target import MtlsTarget, MtlsTargetArgs
from tests.unit.conftest import Deploy, Recorder


def target(deploy: Deploy, credential: Callable[[], Credential], platform: str, suffix: str = "") -> Recorder:
    def program() -> None:
        args = MtlsTargetArgs(
            platform=platform,
            domain="httpbin.example.com",
            namespace="mtls",
            ownership=Ownership(suffix, "0a1b"),
            image="httpbin:1",
            server=credential(),
            ca_certificate=pulumi.Output.from_input("CA"),
        )
        MtlsTarget("target", args)

    return deploy(program)


def test_the_gateway_demands_a_client_certificate(deploy: Deploy, credential: Callable[[], Credential]) -> None:
    server = target(deploy, credential, "istio").one("Gateway", "target-gateway")["spec"]["servers"][0]
    assert server["tls"] == {"mode": "MUTUAL", "credentialName": "kyma-mtls-certs"}
    assert server["hosts"] == ["httpbin.example.com"]
    assert server["port"] == {"number": 443, "name": "mtls", "protocol": "HTTPS"}


def test_the_secret_has_the_keys_that_the_gateway_reads(deploy: Deploy, credential: Callable[[], Credential]) -> None:
    secret = target(deploy, credential, "istio").one("Secret", "target-certs")
    metadata = {"name": "kyma-mtls-certs", "namespace": "istio-system", "annotations": {OWNER: "0a1b"}}
    assert secret["metadata"] == metadata
    assert rpc.is_rpc_secret(secret["data"]), "previews and state would show the key"
    data = rpc.unwrap_rpc_secret(secret["data"])
    decoded = {key: base64.b64decode(value).decode() for key, value in data.items()}
    assert decoded == {"cacert": "CA", "cert": "CERTIFICATE", "key": "KEY"}


def test_a_suffix_keeps_stacks_apart_in_the_shared_namespace(
    deploy: Deploy, credential: Callable[[], Credential]
) -> None:
    stack = target(deploy, credential, "istio", suffix="-ab12c")
    assert stack.one("Secret", "target-certs")["metadata"]["name"] == "kyma-mtls-certs-ab12c"
    assert stack.one("Gateway", "target-gateway")["spec"]["servers"][0]["tls"]["credentialName"] == (
        "kyma-mtls-certs-ab12c"
    )


def test_kyma_routes_by_an_api_rule_of_the_current_version(
    deploy: Deploy, credential: Callable[[], Credential]
) -> None:
    stack = target(deploy, credential, "kyma")
    rule = stack.one("APIRule", "target-route")
    assert rule["apiVersion"] == "gateway.kyma-project.io/v2", "older versions are served but no longer reconciled"
    assert rule["metadata"]["annotations"] == {"pulumi.com/waitFor": "jsonpath={.status.state}=Ready"}
    assert rule["spec"]["gateway"] == "mtls/kyma-mtls-gateway"
    assert not {"VirtualService", "AuthorizationPolicy"} & stack.kinds(), "the API Gateway module makes these"


def test_istio_routes_by_a_virtual_service_that_only_the_ingress_gateway_may_use(
    deploy: Deploy, credential: Callable[[], Credential]
) -> None:
    stack = target(deploy, credential, "istio")
    assert stack.one("VirtualService", "target-route")["spec"]["gateways"] == ["mtls/kyma-mtls-gateway"]
    (rule,) = stack.one("AuthorizationPolicy", "target-authorization")["spec"]["rules"]
    assert rule["from"] == [{"source": {"principals": ["*/ns/istio-system/sa/istio-ingressgateway-service-account"]}}]
    assert rule["to"][0]["operation"]["methods"] == ["GET"]
    assert "APIRule" not in stack.kinds()


@pytest.mark.parametrize("platform", ["kyma", "istio"])
def test_the_workload_has_no_privilege(deploy: Deploy, credential: Callable[[], Credential], platform: str) -> None:
    pod = target(deploy, credential, platform).one("Deployment", "target-httpbin")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
