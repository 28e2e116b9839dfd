"""The package of components, as a program of others uses it: examples/platform, with the installed wheel."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from pulumi import automation

from tests.e2e.support.commands import ROOT
from tests.e2e.support.lab import Inventory, Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import stack_in
from tests.e2e.support.traffic import expect_status
from tests.e2e.support.waiting import eventually
from tests.support.package import install
from verification.issuing import Authority, Wanted
from verification.tls import VERSIONS, ClientCredential, Endpoint

NAMESPACE, DOMAIN = "platform", "platform.target.test"


@pytest.fixture(scope="module")
def workloads(lab: Lab, before: Inventory) -> Iterator[None]:
    """The Service and the callers that the program connects; the clusters are as before once they are gone."""
    with lab.namespaces(("target", "shop"), ("client", "logistics")):
        yield
    lab.expect_as_before(before)


def described(lab: Lab, installed: Path, cluster: str, service: str) -> str:
    """Return what the package's command says of a gateway in istio-system."""
    objects = lab.kubectl(cluster, "-n", "istio-system", "get", "services,deployments,daemonsets,pods", "-o", "json")
    command = [sys.executable, str(installed / "bin/kyma-mtls-gateway"), f"istio-system/{service}"]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(command, env=environment, input=objects, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("workloads")
def test_example_connects_a_caller_and_a_service_by_the_installed_components(
    lab: Lab, project: Project, tmp_path: Path
) -> None:
    installed = install(tmp_path)
    directory = shutil.copytree(ROOT / "examples/platform", tmp_path / "platform")
    stack = stack_in(directory, "test", project.environment | {"PYTHONPATH": str(installed)})
    config = {
        "platform": "istio",
        "namespace": NAMESPACE,
        "domain": DOMAIN,
        "caller": "logistics/dispatcher",
        "serviceNamespace": "shop",
        "serviceName": "orders",
        "servicePort": "8080",
        "targetKubeconfig": lab.kubeconfig("target"),
        "clientKubeconfig": lab.kubeconfig("client"),
        "ingressGateway": described(lab, installed, "target", "istio-ingressgateway"),
        "egressGateway": described(lab, installed, "client", "istio-egressgateway"),
    }
    stack.set_all_config({key: automation.ConfigValue(value) for key, value in config.items()})
    try:
        outputs = {key: output.value for key, output in stack.up().outputs.items()}
        expect_connected(lab, outputs["url"], outputs["identity"])
        authority = Authority(outputs["caCertificate"], lambda: json.dumps(vars(stack.export_stack())))
        expect_guarded(lab, Endpoint(DOMAIN, lab.ingress, outputs["caCertificate"]), authority)
    finally:
        stack.destroy()


def expect_connected(lab: Lab, url: str, identity: str) -> None:
    """See the declared caller served by the identity of its client, and another one refused."""
    headers = f"{url}/headers"
    eventually(lambda: lab.status("logistics", headers, pod="dispatcher") == "200", "the caller reaches the host")
    assert identity in lab.curl("logistics", headers, pod="dispatcher")[1], "by mutual TLS"
    eventually(lambda: lab.status("logistics", headers, pod="stranger") == "403", "another one is refused")


def expect_guarded(lab: Lab, host: Endpoint, authority: Authority) -> None:
    """See the host let in the client alone: TLS refuses those without a certificate, the policy another identity."""
    secret = lab.get("client", "secret", "istio-system", f"client-credential-{NAMESPACE}.1")["data"]
    admitted = ClientCredential(secret["tls.crt"].encode(), secret["tls.key"].encode())
    expect_status(host, admitted, 200)
    expect_status(host, admitted, 403, "/anything", "POST")  # GET alone is the default
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another")])
    another = authority.sign(Wanted(name, [x509.UniformResourceIdentifier("spiffe://platform/test/another")]))
    expect_status(host, another, 403)
    refused = partial(host.alert, None)
    eventually(lambda: None not in map(refused, VERSIONS.values()), "no certificate is refused")
