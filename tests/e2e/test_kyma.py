"""Platform kyma, and what `pulumi up` says while it waits for controllers.

The clusters know the kinds of Kyma's modules, whose controllers kyma_controllers plays.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components.ownership import OWNER_LABEL
from tests.e2e.support.commands import MANIFESTS
from tests.e2e.support.gardener import CERTIFICATE, DOMAIN, Shoot, shoot
from tests.e2e.support.gateway import await_presented
from tests.e2e.support.kyma_api import MODULE_LABEL, Api
from tests.e2e.support.kyma_controllers import KymaControllers
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, configure, refusal
from tests.e2e.support.traffic import expect_status
from tests.e2e.support.waiting import eventually, together

CLUSTERS = ("target", "client")
CRDS = str(MANIFESTS / "kyma_crds.yaml")
MODULE = "apigateway.operator.kyma-project.io"
RULE = "apirule.v2.gateway.kyma-project.io"
ROUTE = "virtualservice.networking.istio.io"
HOST = "kyma.target.test"
SECOND = "kyma-second.target.test"
TAKEN = "taking.target.test"
FINALIZER = "gateways.operator.kyma-project.io/kyma-gateway"
HASH_LABEL = "cert.gardener.cloud/hash"
UP_SECONDS = 240
READINESS = "readiness"
NO_PODS = str(MANIFESTS / "no_pods.yaml")
PATHS = ["/headers", "/anything/*"]


@dataclass(frozen=True)
class Kyma:
    """Clusters with Kyma's modules; `target` are the controllers of the target cluster, which may be a shoot."""

    lab: Lab
    target: KymaControllers
    shoot: Shoot | None = None

    def istio_spec(self) -> dict[str, Any]:
        return dict(self.lab.get("client", "istio.operator.kyma-project.io", "kyma-system", "default")["spec"])

    def module(self) -> dict[str, Any]:
        return self.lab.get("target", MODULE, "", "default")

    def rule_generation(self, namespace: str) -> int:
        """Return the generation of the host's APIRule; 0 if there is none."""
        found = self.lab.kubectl("target", "-n", namespace, "get", RULE, "httpbin", "-o", "json", check=False)
        return int(json.loads(found)["metadata"]["generation"]) if found else 0

    def report_rule(self, namespace: str, state: str, description: str) -> None:
        """Set the status of the host's APIRule, in the place of its controller."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = {"status": {"state": state, "description": description, "lastProcessedTime": now}}
        patch = ("patch", RULE, "httpbin", "--subresource=status", "--type=merge", "-p", json.dumps(status))
        self.lab.kubectl("target", "-n", namespace, *patch)

    def gateway_secret(self) -> dict[str, Any]:
        """Return the metadata of the Secret with the certificate of the default gateway."""
        return dict(self.lab.get("target", "secret", "istio-system", "kyma-gateway-certs")["metadata"])

    def set_gateway(self, enabled: bool) -> None:
        """Switch Kyma's own gateway, and wait until that is done."""
        wanted = json.dumps({"spec": {"enableKymaGateway": enabled}})
        self.lab.kubectl("target", "patch", MODULE, "default", "--type=merge", "-p", wanted)
        eventually(lambda: self.gateway() == (enabled, "Ready"), f"Kyma's own gateway is there: {enabled}")

    def has_gateway(self) -> bool:
        """Return whether the documented gateway is the module's, and serves."""
        return self.gateway() == (True, "Ready")

    def is_given_up(self) -> bool:
        """Return whether Kyma's operator has released the gateway, of which objects may still exist."""
        return FINALIZER not in self.module()["metadata"].get("finalizers", [])

    def gateway(self) -> tuple[bool, str]:
        """Return whether the documented gateway is the module's, and the module's state."""
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
    """Remove the modules, and the finalizers of their controllers."""
    lab.remove_kinds(cluster, CRDS)
    lab.kubectl(cluster, "delete", "--ignore-not-found", "namespace", "kyma-system")


@pytest.fixture(scope="module")
def failing(kyma: Kyma, project: Project) -> Iterator[tuple[Deployed, Future[str]]]:
    """A stack whose Pods cannot start, and what its `pulumi up` says in the end, while other tests run.

    One image is not there, and one cluster admits no Pod. It serves where another stack calls, and calls where that
    serves: istioctl complains of two stacks that log the requests of one egress gateway.
    """
    config: dict[str, Any] = {
        "namespace": READINESS,
        "target": {"kubeconfig": ".lab/client.kubeconfig"},
        "clients": {"client": {"kubeconfig": ".lab/target.kubeconfig"}},
        "targetImage": "lab.local/none:lab",
        "clientImage": "lab.local/another:lab",
    }
    with project.deployment(READINESS, **config) as deployed, ThreadPoolExecutor() as pool:
        try:
            kyma.lab.kubectl("target", "apply", "-f", NO_PODS)
            eventually(lambda: not admits_pods(kyma.lab), "the cluster admits no Pod")
            yield deployed, pool.submit(refusal, deployed.up)
        finally:
            kyma.lab.kubectl("target", "delete", "--ignore-not-found", "-f", NO_PODS)


def admits_pods(lab: Lab) -> bool:
    tried = ("-n", "default", "run", "no-pods", "--image=none", "--dry-run=server")
    return bool(lab.kubectl("target", *tried, check=False))


@pytest.mark.usefixtures("failing")
def test_kyma_serves_by_api_rules_that_are_waited_for_and_gives_the_istio_cr_back(
    kyma: Kyma, project: Project, tmp_path: Path
) -> None:
    before, route = kyma.istio_spec(), ("delete", "-n", "default", ROUTE, "somebody")
    url = f"http://{HOST}/headers"
    with (
        project.deployment("kyma", platform="kyma", namespace="kyma-a") as deployed,
        ThreadPoolExecutor() as pool,
    ):
        printed: list[str] = []
        with kyma.target.lagging(600):  # it looks at the APIRule once the host is taken
            up = pool.submit(deployed.stack.up, on_output=printed.append)
            eventually(lambda: kyma.rule_generation("kyma-a") == 1, "the APIRule is made")
            kyma.lab.apply("target", route_of_somebody(HOST))
        occupied = "Error: Validation errors: Attribute '.spec.hosts[0]': Host is occupied by another Virtual Service"
        complaint = f"warning: APIRule kyma-a/httpbin: {occupied}"
        eventually(lambda: complaint in "".join(printed), "Kyma's complaint is reported")
        assert not up.done()
        kyma.lab.kubectl("target", *route)
        up.result(timeout=UP_SECONDS)
        assert kyma.istio_spec() == before | {"components": {"egressGateway": {"enabled": True}}}
        eventually(lambda: kyma.lab.status("kyma-a", url) == "200", "the host is served")

        # By its plan, which has the change of an APIRule and the creation of another one.
        httpbin = {"domain": HOST, "methods": ["GET", "DELETE"], "paths": PATHS}
        configure(deployed.stack, hosts={"httpbin": httpbin, "second": {"domain": SECOND}})
        plan = str(tmp_path / "plan.json")
        deployed.stack.preview(plan=plan)
        with kyma.target.lagging(600):
            up = pool.submit(deployed.stack.up, plan=plan, on_output=printed.append)
            eventually(lambda: kyma.rule_generation("kyma-a") == 2, "the APIRule is updated")
            assert not up.done(), "it is Ready as it was before"
            kyma.report_rule("kyma-a", "Warning", "CRD is not present")
            complaint = "APIRule kyma-a/httpbin: Warning: CRD is not present"
            eventually(lambda: complaint in "".join(printed), "Kyma's warning is reported")
            assert not up.done()
        up.result(timeout=UP_SECONDS)
        assert methods(kyma.lab, "kyma-a") == "^(GET|DELETE)$", "a Ready of before the update does not count"

        deployed.up(namespace="kyma-b", confirm=["namespace=kyma-b"], hosts={"httpbin": httpbin})
        assert kyma.lab.get("target", RULE, "kyma-b", "httpbin")["status"]["state"] == "Ready"
        project.expect_verified(deployed.stack, "0 failed")
        together(lambda cluster: kyma.lab.expect_no_complaint(cluster, "kyma-b"), CLUSTERS)
        deployed.stack.preview(expect_no_changes=True)
        for path, status in (("/anything/x", 200), ("/anything/..%2fip", 403), ("/anything/%2e%2e;/ip", 403)):
            expect_status(deployed.endpoint("httpbin"), deployed.credential("client"), status, path)
        kyma.report_rule("kyma-b", "Error", "an Error does not keep a stack from going")
    assert kyma.istio_spec() == before, "the Istio CR is Kyma's: it stays, and is as it was found"


def route_of_somebody(host: str, name: str = "somebody") -> dict[str, Any]:
    """A VirtualService that no APIRule made."""
    spec = {"hosts": [host], "gateways": ["mesh"], "http": [{"route": [{"destination": {"host": "elsewhere"}}]}]}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec}


def methods(lab: Lab, namespace: str) -> str:
    """The methods that an APIRule's route lets through at the moment."""
    path = "jsonpath={.items[0].spec.http[0].match[0].method.regex}"
    return lab.kubectl("target", "-n", namespace, "get", ROUTE, "-o", path)


def test_kyma_pods_that_cannot_start_fail_up_with_the_words_of_kubernetes(
    lab: Lab, failing: tuple[Deployed, Future[str]]
) -> None:
    deployed, said = failing[0], failing[1].result(timeout=300)  # Kubernetes knew it from the beginning
    pod = r"Pod httpbin-\S+: "
    for line in (
        rf"warning: Deployment readiness/httpbin: {pod}ErrImagePull: .*none:lab",
        rf"Deployment readiness/httpbin is not ready after \d+ s: {pod}\w+: ",
        r"Deployment readiness/curl is not ready after \d+ s: FailedCreate: .*denied request: no Pod may start",
    ):
        assert re.search(line, said), said
    assert "Traceback" not in said
    lab.kubectl("target", "delete", "-f", NO_PODS)
    eventually(lambda: admits_pods(lab), "the cluster admits Pods again")
    deployed.up(targetImage="lab.local/httpbin:lab", clientImage="lab.local/curl:lab")
    deployed.stack.preview(expect_no_changes=True)
    images = [
        lab.get(cluster, "deployment", READINESS, name)["spec"]["template"]["spec"]["containers"][0]["image"]
        for cluster, name in (("client", "httpbin"), ("target", "curl"))
    ]
    assert images == ["lab.local/httpbin:lab", "lab.local/curl:lab"]


@pytest.fixture
def kyma_shoot(kyma: Kyma, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kyma]:
    """Kyma in a Gardener shoot: its own gateway has a certificate and a DNS entry of Gardener's."""
    with shoot(kyma.lab, tmp_path_factory.mktemp("gardener")) as made:
        try:
            kyma.set_gateway(enabled=False)
            kyma.set_gateway(enabled=True)
            expect_gardener_served(kyma.lab)
            yield replace(kyma, shoot=made)
        finally:
            kyma.set_gateway(enabled=False)
            secret = ("delete", "secret", "kyma-gateway-certs", "--ignore-not-found")
            kyma.lab.kubectl("target", "-n", "istio-system", *secret)


def expect_gardener_served(lab: Lab) -> None:
    """Gardener did what Kyma's operator asked for."""
    for kind, namespace, name in (
        (CERTIFICATE, "istio-system", "kyma-tls-cert"),
        ("dnsentry", "kyma-system", "kyma-gateway"),
    ):
        ready = ("--for=jsonpath={.status.state}=Ready", "--timeout=240s")
        lab.kubectl("target", "-n", namespace, "wait", *ready, f"{kind}/{name}")


def test_kyma_gateway_in_a_shoot_is_taken_over_and_given_back(kyma_shoot: Kyma, project: Project) -> None:
    lab, before = kyma_shoot.lab, kyma_shoot.lab.objects("target")
    config: dict[str, Any] = {"platform": "kyma", "gatewayDomain": DOMAIN, "gatewayTakeOver": "true"}
    with project.deployment(
        "taking", run_program=True, namespace="taking", gatewayMode="gardener", **config
    ) as deployed:
        expect_refused_by_routes(lab, deployed)
        deployed.up()
        assert not kyma_shoot.has_gateway()
        entry = lab.get("target", "dnsentry", "kyma-system", "kyma-gateway")
        assert entry["status"]["state"] == "Ready", "the operator's had to go first"
        await_presented(lab, f"x.{DOMAIN}", deployed.outputs["gateway"]["caCertificate"])

        back = ["gatewayTakeOver=false"]
        deployed.up(gatewayTakeOver="false", gatewayDomain=f"own.{DOMAIN}", confirm=back)
        assert kyma_shoot.module()["spec"] == {"enableKymaGateway": True}
        eventually(kyma_shoot.has_gateway, "Kyma's own gateway is back")
        expect_gardener_served(lab)

        again: dict[str, Any] = {"gatewayMode": "selfSigned", "gatewayTakeOver": "true", "gatewayDomain": DOMAIN}
        configure(deployed.stack, **again, confirm=[*back, "gatewayTakeOver=true"])
        assert kyma_shoot.shoot
        with kyma_shoot.shoot.without_issuing(), written_for_another(lab):
            said = refusal(deployed.stack.preview)
        secret = f"cluster {lab.server('target')} has Secret istio-system/kyma-gateway-certs already"
        assert f"gatewayTakeOver: {secret}" in said, said
        with ThreadPoolExecutor() as pool, held(lab, "dnsentry", "kyma-system", "kyma-gateway"):
            up = pool.submit(deployed.up)
            eventually(kyma_shoot.is_given_up, "Kyma's operator has given its gateway up")
            left = kyma_shoot.gateway_secret()
            assert OWNER_LABEL not in left["labels"], "the DNSEntry is still there"
            assert not up.done()
        up.result(timeout=UP_SECONDS)
        ours = kyma_shoot.gateway_secret()
        assert OWNER_LABEL in ours["labels"]
        assert ours["uid"] != left["uid"], "it is not the one that Gardener leaves behind"
        await_presented(lab, f"x.{DOMAIN}", deployed.outputs["gateway"]["caCertificate"])
        taken = kyma_shoot.module()["metadata"]["labels"][OWNER_LABEL]
        assert taken == ours["labels"][OWNER_LABEL], "a check refuses the take-over of another stack for this label"
        expect_repaired(kyma_shoot, deployed)
        assert "--run-program" in refusal(deployed.stack.destroy)
    eventually(kyma_shoot.has_gateway, "Kyma's own gateway is back")
    expect_gardener_served(lab)
    lab.expect_as_before({"target": before})  # and nothing else is left or lost


def expect_refused_by_routes(lab: Lab, deployed: Deployed) -> None:
    """Expect that one preview names who uses Kyma's gateway, and the route for which Kyma would refuse the APIRule."""
    lab.apply("target", user_of_the_gateway(), route_of_somebody(TAKEN, "occupant"))
    said = refusal(deployed.stack.preview)
    assert "VirtualService default/somebody; move them first" in said, said
    assert f"has {TAKEN} already, in VirtualService default/occupant; choose another domain" in said, said
    lab.kubectl("target", "-n", "default", "delete", ROUTE, "somebody", "occupant")


def expect_repaired(kyma: Kyma, deployed: Deployed) -> None:
    """Expect that an update refuses a take-over which a user has undone, and that a refresh repairs it alone."""
    with kyma.target.lagging(600):  # else the operator would take the gateway at once
        enabled = '{"spec":{"enableKymaGateway":true}}'
        kyma.lab.kubectl("target", "patch", MODULE, "default", "--type=merge", "-p", enabled)
        said = refusal(deployed.up)
        assert "APIGateway default no longer has spec.enableKymaGateway: false, which this stack set" in said, said
        assert "`pulumi up --refresh`" in said, said
        before = len(deployed.printed)
        deployed.up(refresh=True)
        assert kyma.module()["spec"] == {"enableKymaGateway": False}
    printed = deployed.printed[before:]
    # The APIGateway, and that it is Ready.
    assert re.search(r"\nResources:\n +~ 2 updated\n +\d+ unchanged\n", printed), printed


@contextmanager
def written_for_another(lab: Lab) -> Iterator[None]:
    """Let the Secret of the gateway look as if Gardener had written it for a Certificate that is not the operator's."""
    label = ("-n", "istio-system", "label", "--overwrite", "secret", "kyma-gateway-certs")
    labels = lab.get("target", "secret", "istio-system", "kyma-gateway-certs")["metadata"]["labels"]
    lab.kubectl("target", *label, f"{HASH_LABEL}=another", f"{MODULE_LABEL}-")
    try:
        yield
    finally:
        lab.kubectl("target", *label, *(f"{name}={labels[name]}" for name in (HASH_LABEL, MODULE_LABEL)))


@contextmanager
def held(lab: Lab, kind: str, namespace: str, name: str) -> Iterator[None]:
    """Keep an object that is deleted, by a finalizer, as Gardener keeps a DNSEntry whose record is not gone yet."""
    patch = ("-n", namespace, "patch", kind, name, "--type=json", "-p")
    mark = "kyma-mtls/held"
    lab.kubectl("target", *patch, json.dumps([{"op": "add", "path": "/metadata/finalizers/-", "value": mark}]))
    try:
        yield
    finally:
        place = f"/metadata/finalizers/{lab.get('target', kind, namespace, name)['metadata']['finalizers'].index(mark)}"
        free = [{"op": "test", "path": place, "value": mark}, {"op": "remove", "path": place}]
        lab.kubectl("target", *patch, json.dumps(free))


def user_of_the_gateway() -> dict[str, Any]:
    """What keeps Kyma's operator from giving its gateway up."""
    route = route_of_somebody(f"used.{DOMAIN}")
    route["spec"]["gateways"] = ["kyma-system/kyma-gateway"]
    return route
