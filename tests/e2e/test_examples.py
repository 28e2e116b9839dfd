"""Projects that build on a stack's outputs: those of examples/."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation

from tests.e2e.support.commands import ROOT
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, Stack, refusal, stack_in
from tests.e2e.support.traffic import expect_status
from tests.e2e.support.waiting import eventually
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.config import PRODUCTION
from verification.tls import Endpoint

STACK = "producer"
CLIENT = {"kubeconfig": ".lab/client.kubeconfig", "domain": "examples.client.test", "callers": ["logistics/caller"]}
CALLERS, SERVICES = "logistics", "shop"  # namespaces of users, where their workloads run
DOMAIN = "examples.target.test"


@pytest.fixture(scope="module")
def users(lab: Lab) -> Iterator[None]:
    with lab.namespaces(("target", SERVICES), ("client", CALLERS)):
        yield


@pytest.fixture(scope="module")
def producer(
    project: Project,
    users: None,  # noqa: ARG001 - whose namespace it declares
) -> Iterator[Deployed]:
    """A stack that declares the caller of the examples."""
    config: dict[str, Any] = {"clients": {"client": CLIENT}, "gatewayMode": "selfSigned", "gatewayDomain": DOMAIN}
    with project.deployment(STACK, namespace="examples-producer", **config) as deployed:
        deployed.up()
        yield deployed


@contextmanager
def example(project: Project, directory: Path, **config: str) -> Iterator[Stack]:
    """Yield a stack of the example in a copy of its directory; destroy it at the end."""
    shutil.copytree(ROOT / "examples" / directory.name, directory)
    stack = stack_in(directory, "test", project.environment)
    values = {"stack": f"organization/kyma-mtls/{STACK}", **config}
    stack.set_all_config({key: automation.ConfigValue(value) for key, value in values.items()})
    try:
        yield stack
    finally:
        stack.destroy()


@contextmanager
def kept(lab: Lab, cluster: str, namespace: str) -> Iterator[None]:
    """Expect the objects of a namespace to be the same at the end."""

    def objects() -> list[str]:
        return lab.kubectl(cluster, "-n", namespace, "get", "all,configmaps,serviceaccounts", "-o", "name").split()

    before = objects()
    assert any(name.startswith("pod/") for name in before)
    yield
    eventually(lambda: objects() == before, f"namespace {namespace} of cluster {cluster} is as before")


def test_example_calls_a_host_if_it_is_declared_and_follows_the_producer(
    lab: Lab, project: Project, producer: Deployed, tmp_path: Path
) -> None:
    config = {"client": "client", "host": "httpbin", "path": "/headers", "image": "lab.local/curl:lab"}
    place = {"kubeconfig": lab.kubeconfig("client"), "namespace": CALLERS}
    yaml_host = "pulumi-language-yaml"
    assert shutil.which(yaml_host), f"it is an optional part: run `python -m lab build {yaml_host}`"
    with (
        kept(lab, "client", CALLERS),
        example(project, tmp_path / "caller", **place, **config) as caller,
        example(project, tmp_path / "directory", **place) as directory,
    ):
        caller.set_config("namespace", automation.ConfigValue("undeclared"))
        assert "client client has no caller undeclared/caller" in refusal(caller.preview)
        caller.set_config("namespace", automation.ConfigValue(CALLERS))
        domains = [f"{STACK}.target.test", f"{STACK}-b.target.test"]
        for domain in domains:
            if producer.outputs["hosts"]["httpbin"]["domain"] != domain:
                producer.up(hosts={"httpbin": {"domain": domain}})
            assert caller.up().outputs["url"].value == f"http://{domain}/headers", "ready, so it got an answer"
            expect_calls(lab, f"http://{domain}/headers", producer.outputs["clients"]["client"]["identity"])
            assert directory.up().outputs["configMap"].value == f"{CALLERS}/kyma-mtls-directory"
            known = lab.get("client", "configmap", CALLERS, "kyma-mtls-directory")["data"]
            assert json.loads(known["hosts.json"])["httpbin"]["domain"] == domain
            endpoint = Endpoint(domain, json.loads(known["target.json"])["addresses"][0], known["ca.crt"])
            expect_status(endpoint, producer.credential("client"), 200)
        url = f"http://{domains[0]}/headers"
        eventually(lambda: lab.status(CALLERS, url, pod="caller") == "404", "the old name is gone")


def test_example_serves_behind_the_gateway_of_the_stack(
    lab: Lab, project: Project, producer: Deployed, tmp_path: Path
) -> None:
    config = {"kubeconfig": lab.kubeconfig("target"), "namespace": SERVICES, "image": "lab.local/httpbin:lab"}
    with kept(lab, "target", SERVICES), example(project, tmp_path / "service", **config) as service:
        outputs = {key: output.value for key, output in service.up().outputs.items()}
        assert outputs["url"] == f"https://hello.{DOMAIN}/headers"
        gateway = Endpoint(f"hello.{DOMAIN}", producer.outputs["gateway"]["address"], outputs["caCertificate"])
        eventually(lambda: status(gateway) == 200, "the service is reached")
    eventually(lambda: status(gateway) == 404, "it is gone with its project")


def test_production_stack_lacks_nothing_but_its_clusters(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(shutil.copy(PRODUCTION, tmp_path))
    monkeypatch.setenv("KUBECONFIG", write_kubeconfig(tmp_path / "kubeconfig", "https://another"))
    said = refusal(lambda: project.stack("prod").preview(config_file=file))
    contexts = dict(re.findall(r"kyma-mtls:(\S+): .* has no context '(\S+)'", said))
    assert contexts == {
        "target.context": "prod-eu",
        "clients.warehouse.context": "warehouse-eu",
        "clients.billing.context": "billing-eu",
    }
    assert said.count("kyma-mtls:") == len(contexts), said


def expect_calls(lab: Lab, url: str, identity: str) -> None:
    """Wait until the caller's request arrives by mutual TLS; kubectl prefers an older Pod while that is there."""
    eventually(lambda: identity in lab.curl(CALLERS, url, pod="caller")[1], f"{url} is called as {identity}")


def status(gateway: Endpoint) -> int:
    """Return the status of an answer; 0 if there is none."""
    try:
        return gateway.request("GET", "/headers", None).status
    except OSError:
        return 0
