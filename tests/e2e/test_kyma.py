"""Platform kyma: clusters that know the kinds of Kyma's modules, whose controllers kyma_controllers plays."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.e2e.support.commands import MANIFESTS
from tests.e2e.support.gardener import CERTIFICATE, DOMAIN, shoot
from tests.e2e.support.gateway import await_presented
from tests.e2e.support.kyma_controllers import Api, KymaControllers
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import refusal
from tests.e2e.support.waiting import eventually, together

CLUSTERS = ("target", "client")
CRDS = str(MANIFESTS / "kyma_crds.yaml")
MODULE = "apigateway.operator.kyma-project.io"
RULE = "apirule.v2.gateway.kyma-project.io"
ROUTE = "virtualservice.networking.istio.io"


@dataclass(frozen=True)
class Kyma:
    """Clusters with Kyma's modules; `target` are the controllers of the target cluster."""

    lab: Lab
    target: KymaControllers

    def istio_spec(self) -> dict[str, Any]:
        return dict(self.lab.get("client", "istio.operator.kyma-project.io", "kyma-system", "default")["spec"])

    def module(self) -> dict[str, Any]:
        return self.lab.get("target", MODULE, "", "default")

    def set_gateway(self, enabled: bool) -> None:
        """Switch Kyma's own gateway, and wait until that is done."""
        wanted = json.dumps({"spec": {"enableKymaGateway": enabled}})
        self.lab.kubectl("target", "patch", MODULE, "default", "--type=merge", "-p", wanted)
        eventually(lambda: self.gateway() == (enabled, "Ready"), f"Kyma's own gateway is there: {enabled}")

    def has_gateway(self) -> bool:
        """Whether the documented gateway is the module's, and serves."""
        return self.gateway() == (True, "Ready")

    def gateway(self) -> tuple[bool, str]:
        """Whether the documented gateway is the module's, and the module's state."""
        gateway = ("get", "-n", "kyma-system", "gateway.networking.istio.io", "-o", "yaml")
        is_modules = "kyma-project.io/module: api-gateway" in self.lab.kubectl("target", *gateway)
        return is_modules, self.module().get("status", {}).get("state", "")


@pytest.fixture(scope="module")
def kyma(lab: Lab) -> Iterator[Kyma]:
    """Both clusters with the module that each needs."""
    played = {cluster: KymaControllers(Api(lab.kubeconfig(cluster))) for cluster in CLUSTERS}
    found = Kyma(lab, played["target"])
    try:
        together(partial(add_modules, lab), CLUSTERS)
        with ExitStack() as running:
            for controllers in played.values():
                running.enter_context(controllers.running())
            yield found
            found.set_gateway(enabled=False)
    finally:
        together(partial(remove_modules, lab), CLUSTERS)


def add_modules(lab: Lab, cluster: str) -> None:
    lab.add_kinds(cluster, CRDS)
    lab.kubectl(cluster, "create", "namespace", "kyma-system")
    lab.kubectl(cluster, "apply", "--server-side", "-f", str(MANIFESTS / f"kyma_{cluster}.yaml"))


def remove_modules(lab: Lab, cluster: str) -> None:
    """Remove them, with whatever their controllers would have to finish first."""
    lab.remove_kinds(cluster, CRDS)
    lab.kubectl(cluster, "delete", "--ignore-not-found", "namespace", "kyma-system")


def test_platform_kyma_serves_by_api_rules_and_gives_the_istio_cr_back(kyma: Kyma, project: Project) -> None:
    before = kyma.istio_spec()
    with project.deployment("kyma", platform="kyma", namespace="kyma-a") as deployed:
        kyma.lab.apply("target", route_of_somebody("kyma.target.test"))
        taken = "has kyma.target.test already, in VirtualService default/somebody; choose another one"
        assert taken in refusal(deployed.stack.preview), "Kyma would refuse the APIRule"
        kyma.lab.kubectl("target", "-n", "default", "delete", ROUTE, "somebody")
        deployed.up()
        assert kyma.istio_spec() == before | {"components": {"egressGateway": {"enabled": True}}}
        project.expect_verified(deployed.stack, "0 failed")
        together(lambda cluster: kyma.lab.expect_no_complaint(cluster, "kyma-a"), CLUSTERS)

        with kyma.target.lagging(10):
            deployed.up(hosts={"httpbin": {"domain": "kyma.target.test", "methods": ["GET", "DELETE"]}})
            assert methods(kyma.lab, "kyma-a") == "^(GET|DELETE)$", "a Ready of before the update does not count"

        deployed.up(namespace="kyma-b", confirm=["namespace=kyma-b"])
        assert kyma.lab.get("target", RULE, "kyma-b", "httpbin")["status"]["state"] == "Ready"
        project.expect_working(deployed.stack)
        deployed.stack.preview(expect_no_changes=True)
    assert kyma.istio_spec() == before, "the Istio CR is Kyma's: it stays, and is as it was found"


def route_of_somebody(host: str) -> dict[str, Any]:
    """A VirtualService that no APIRule made."""
    spec = {"hosts": [host], "gateways": ["mesh"], "http": [{"route": [{"destination": {"host": "elsewhere"}}]}]}
    metadata = {"name": "somebody", "namespace": "default"}
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec}


def methods(lab: Lab, namespace: str) -> str:
    """The methods that an APIRule's route lets through at the moment."""
    path = "jsonpath={.items[0].spec.http[0].match[0].method.regex}"
    return lab.kubectl("target", "-n", namespace, "get", ROUTE, "-o", path)


@pytest.fixture
def kyma_shoot(kyma: Kyma, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kyma]:
    """Kyma in a Gardener shoot: its own gateway has a certificate and a DNS entry of Gardener's."""
    with shoot(kyma.lab, tmp_path_factory.mktemp("gardener")):
        try:
            kyma.set_gateway(enabled=False)
            kyma.set_gateway(enabled=True)
            expect_gardener_served(kyma.lab)
            yield kyma
        finally:
            kyma.set_gateway(enabled=False)
            secret = ("delete", "secret", "kyma-gateway-certs", "--ignore-not-found")
            kyma.lab.kubectl("target", "-n", "istio-system", *secret)
    kyma.set_gateway(enabled=True)


def expect_gardener_served(lab: Lab) -> None:
    """Gardener did what Kyma's operator asked for."""
    for kind, namespace, name in (
        (CERTIFICATE, "istio-system", "kyma-tls-cert"),
        ("dnsentry", "kyma-system", "kyma-gateway"),
    ):
        ready = ("--for=jsonpath={.status.state}=Ready", "--timeout=60s")
        lab.kubectl("target", "-n", namespace, "wait", *ready, f"{kind}/{name}")


def test_kymas_gateway_in_a_shoot_is_taken_over_and_given_back(kyma_shoot: Kyma, project: Project) -> None:
    lab, before = kyma_shoot.lab, kyma_shoot.lab.objects("target")
    config: dict[str, Any] = {"platform": "kyma", "gatewayDomain": DOMAIN, "gatewayTakeOver": "true"}
    lab.apply("target", user_of_the_gateway())
    with project.deployment(
        "taking", run_program=True, namespace="taking", gatewayMode="gardener", **config
    ) as deployed:
        assert "VirtualService default/somebody; move them first" in refusal(deployed.stack.preview)
        lab.kubectl("target", "-n", "default", "delete", ROUTE, "somebody")
        deployed.up()
        assert not kyma_shoot.has_gateway()
        entry = lab.get("target", "dnsentry", "kyma-system", "kyma-gateway")
        assert entry["status"]["state"] == "Ready", "the operator's had to go first"
        await_presented(lab, f"x.{DOMAIN}", deployed.outputs["gateway"]["caCertificate"])

        with kyma_shoot.target.lagging(600):  # else the operator would take the gateway at once
            lab.kubectl(
                "target", "patch", MODULE, "default", "--type=merge", "-p", '{"spec":{"enableKymaGateway":true}}'
            )
            said = refusal(deployed.up)
            assert "APIGateway default no longer has spec.enableKymaGateway: false, which this stack set" in said, said
            assert "`pulumi up --refresh`" in said, said
            deployed.up(refresh=True)
            assert kyma_shoot.module()["spec"] == {"enableKymaGateway": False}

        back = ["gatewayTakeOver=false"]
        deployed.up(gatewayTakeOver="false", gatewayDomain=f"own.{DOMAIN}", confirm=back)
        assert kyma_shoot.module()["spec"] == {"enableKymaGateway": True}
        eventually(kyma_shoot.has_gateway, "Kyma's own gateway is back")
        expect_gardener_served(lab)

        again: dict[str, Any] = {"gatewayMode": "selfSigned", "gatewayTakeOver": "true", "gatewayDomain": DOMAIN}
        deployed.up(**again, confirm=[*back, "gatewayTakeOver=true"])
        gateway = deployed.outputs["gateway"]
        await_presented(
            lab, f"x.{DOMAIN}", gateway["caCertificate"]
        )  # not that of the Secret that Gardener leaves behind
        deployed.stack.preview(expect_no_changes=True)
        other = project.stack("late", namespace="late", gatewayMode="selfSigned", **config)
        taken_over = "has its default gateway taken over by another stack already; set this to false here"
        assert taken_over in refusal(other.preview)
        assert kyma_shoot.module()["spec"] == {"enableKymaGateway": False}, "it gives nothing back that it never had"
        assert "--run-program" in refusal(deployed.stack.destroy)
    eventually(kyma_shoot.has_gateway, "Kyma's own gateway is back")
    expect_gardener_served(lab)
    assert lab.objects("target") == before, "and nothing else"


def user_of_the_gateway() -> dict[str, Any]:
    """What keeps Kyma's operator from giving its gateway up."""
    route = route_of_somebody(f"used.{DOMAIN}")
    route["spec"]["gateways"] = ["kyma-system/kyma-gateway"]
    return route
