"""The components as a package for further programs."""

import io
import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

import components
from components import DOCUMENTED_EGRESS
from components.__main__ import main
from tests.support.package import ROOT, install
from tests.unit.conftest import Deploy, Recorder
from tests.unit.facts import EGRESS_LABELS, HELM_EGRESS, HELM_INGRESS, service, workload

EXAMPLE = ROOT / "examples/platform/__main__.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIRED = {
    "namespace": "platform",
    "domain": "orders.example.com",
    "caller": "logistics/dispatcher",
    "serviceNamespace": "shop",
    "serviceName": "orders",
    "servicePort": "8080",
    "targetKubeconfig": "target.yaml",
    "clientKubeconfig": "client.yaml",
}
HTTPS = {"port": 443, "targetPort": "https"}
WAY_OUT = {"app": "way-out", "istio": "way-out"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, where nothing else is."""
    return install(tmp_path_factory.mktemp("package"))


def python(installed: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python outside the repository, with the package and its dependencies."""
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=installed.parent,
        env=os.environ | {"PYTHONPATH": str(installed)},
        input=stdin,
        check=False,
        capture_output=True,
        text=True,
    )


def test_package_has_the_components_alone(installed: Path) -> None:
    distribution = Distribution.at(next(installed.glob("*.dist-info")))
    assert (distribution.name, distribution.version) == ("kyma-mtls", PROJECT["project"]["version"])
    assert files(installed / "kyma_mtls") == files(ROOT / "components")
    assert {path.name for path in installed.iterdir() if path.is_dir()} == {
        "bin",
        "kyma_mtls",
        f"kyma_mtls-{distribution.version}.dist-info",
    }


def files(package: Path) -> set[Path]:
    """Return the files of a package and its subpackages that are installed."""
    return {path.relative_to(package) for path in package.rglob("*") if path.suffix in {".py", ".typed"}}


def test_modules_and_promised_names_import_without_the_repository(installed: Path) -> None:
    script = (
        "import importlib, importlib.util, json, pkgutil, kyma_mtls\n"
        "for each in pkgutil.walk_packages(kyma_mtls.__path__, 'kyma_mtls.'): importlib.import_module(each.name)\n"
        "from kyma_mtls import *\n"
        "others = [name for name in ('components', 'settings', 'clusters') if importlib.util.find_spec(name)]\n"
        "print(json.dumps([others, [name for name in kyma_mtls.__all__ if name not in globals()]]))"
    )
    done = python(installed, "-c", script)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], []]


def test_import_needs_no_pulumi_until_a_component_is_used() -> None:
    modules = "sys, components, components.istio_gateway, components.rules"
    script = f"import {modules}; components.IstioGateway; print('pulumi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False", "settings and clusters import these modules"


def test_package_promises_no_further_names() -> None:
    with pytest.raises(AttributeError, match="module 'components' has no attribute 'Lifecycle'"):
        _ = components.Lifecycle  # type: ignore[attr-defined]


def test_page_and_docstring_document_every_promised_name() -> None:
    page = (ROOT / "docs/library.md").read_text()
    section = page.partition("## Promised names\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(components.__all__)
    documented = components.__doc__ or ""
    assert [name for name in components.__all__ if name.removesuffix("Args") not in documented] == []


@pytest.mark.parametrize("file", ["requirements.txt", "tests/sdks/newest.txt"])
def test_dependencies_allow_what_is_locked(file: str) -> None:
    lock = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / file).read_text(), re.M))
    for dependency in PROJECT["project"]["dependencies"]:
        name, oldest, end = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,<(\d+))?", dependency).groups()  # type: ignore[union-attr]
        assert _numbers(oldest) <= _numbers(lock[name]) < _numbers(end or "1000"), dependency


def test_build_requires_what_is_locked() -> None:
    (setuptools,) = PROJECT["build-system"]["requires"]
    assert f"\n{setuptools} " in (ROOT / "requirements-dev.txt").read_text()


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


@pytest.fixture
def example(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recorder]:
    """Return a function that runs the example with its required config and more; the result is its outputs."""
    monkeypatch.setitem(sys.modules, "kyma_mtls", components)

    def run(**config: str) -> Recorder:
        outputs: dict[str, Any] = {}
        values = {f"kyma-mtls:{key}": value for key, value in (REQUIRED | config).items()}
        monkeypatch.setattr(pulumi, "export", outputs.__setitem__)
        monkeypatch.setenv("PULUMI_CONFIG", json.dumps(values))

        def program() -> dict[str, Any]:
            runpy.run_path(str(EXAMPLE))
            return outputs

        return deploy(program)

    return run


def test_example_admits_its_client_by_the_identity_in_its_certificate(example: Callable[..., Recorder]) -> None:
    stack = example()
    identity = "spiffe://kyma-mtls/test/caller"
    (requested,) = stack.one("CertRequest", "certificates-client-caller.1")["uris"]
    (rule, *_) = stack.policy("orders-admission")["spec"]["rules"]
    admitted = rule["from"][0]["source"]["notPrincipals"]
    assert requested == stack.result["identity"] == f"spiffe://{admitted[0]}" == identity
    assert len(admitted) == 1
    route = stack.one("APIRule", "orders-route")["spec"]
    assert route["service"] == {"namespace": "shop", "name": "orders", "port": 8080}
    assert route["rules"] == [{"path": "/*", "methods": ["GET"], "noAuth": True}]


def test_example_admits_its_caller_alone_to_the_egress_gateway(example: Callable[..., Recorder]) -> None:
    stack = example()
    (rule, *_) = stack.policy("client-orders-callers")["spec"]["rules"]
    assert rule["from"] == [{"source": {"notPrincipals": ["*/ns/logistics/sa/dispatcher"]}}]
    assert stack.one("ServiceEntry", "client-orders-service-entry")["spec"]["exportTo"] == [".", "logistics"]
    assert stack.one("NetworkPolicy", "client-network-policy")["metadata"]["namespace"] == "platform"
    assert "Telemetry" not in stack.kinds(), "the egress gateway's log is its owner's"


def test_example_uses_the_gateways_that_the_command_describes(example: Callable[..., Recorder]) -> None:
    gateways = {"ingressGateway": json.dumps(asdict(HELM_INGRESS)), "egressGateway": json.dumps(asdict(HELM_EGRESS))}
    stack = example(platform="istio", **gateways)
    assert stack.one("Gateway", "orders-gateway")["spec"]["selector"] == HELM_INGRESS.selector
    assert stack.one("Gateway", "client-orders-gateway")["spec"]["selector"] == HELM_EGRESS.selector
    places = {stack.one("Secret", name)["metadata"]["namespace"] for name in ("orders-certs.1", "client-credential.1")}
    assert places == {"ingress", "egress"}


def test_example_identifies_clusters_by_uid_and_keeps_their_credentials_secret(
    example: Callable[..., Recorder],
) -> None:
    stack = example(targetUid="uid-of-target", clientUid="uid-of-client")
    providers = {name: stack.one("kubernetes", name) for name in ("target", "client")}
    for name, provider in providers.items():
        assert provider["clusterIdentifier"] == f"uid-of-{name}", "a new address would replace all objects"
        assert rpc.unwrap_rpc_secret(provider["kubeconfig"]) == f"{name}.yaml"
        assert rpc.is_rpc_secret(provider["kubeconfig"])
    assert "clusterIdentifier" not in example().one("kubernetes", "target")


def listed(*items: dict[str, Any], namespace: str = "egress") -> str:
    """Return objects as `kubectl get -o json` prints them."""
    placed = [{**item, "metadata": {"namespace": namespace, **item.get("metadata", {})}} for item in items]
    return json.dumps({"kind": "List", "items": placed})


SERVICE = {"kind": "Service", **service("egress", "way-out", WAY_OUT, {"port": 80}, HTTPS)}
DEPLOYMENT = {"kind": "Deployment", **workload(WAY_OUT, "way-out")}
POD = {"kind": "Pod", **workload(WAY_OUT, "by-hand")["spec"]["template"]}
ANOTHER = {"kind": "DaemonSet", **workload(EGRESS_LABELS, "another")}


@pytest.mark.parametrize(
    ("items", "accounts"),
    [((SERVICE, ANOTHER, DEPLOYMENT, POD), ("way-out",)), ((ANOTHER, POD, SERVICE), ("by-hand",))],
    ids=["workload", "pods-alone"],
)
def test_command_prints_a_gateway_for_programs(
    items: tuple[dict[str, Any], ...],
    accounts: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(listed(*items)))
    main(["egress/way-out"])
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(asdict(replace(HELM_EGRESS, accounts=accounts))))
    assert printed.keys() == asdict(DOCUMENTED_EGRESS).keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no list of objects; pipe in the output of: kubectl"),
        ("[]", "has no list of objects"),
        (json.dumps(SERVICE), "has no list of objects"),
        (listed(DEPLOYMENT), "has no Service egress/way-out"),
        (listed({**SERVICE, "metadata": {"namespace": "other", "name": "way-out"}}), "has no Service egress/way-out"),
        (
            listed({"kind": "Service", **service("egress", "way-out", WAY_OUT)}, DEPLOYMENT),
            "has no port 443 in Service",
        ),
        (listed({"kind": "Service", **service("egress", "way-out", {}, HTTPS)}, DEPLOYMENT), "has no gateway behind"),
        (listed(SERVICE, ANOTHER), "has no Pods behind Service egress/way-out"),
    ],
    ids=["nothing", "array", "object", "no-service", "elsewhere", "no-port", "no-selector", "no-pods"],
)
def test_command_refuses_in_one_line(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with pytest.raises(SystemExit) as caught:
        main(["egress/way-out"])
    said = str(caught.value)
    assert said.startswith(f"kyma-mtls-gateway: stdin {message}"), said
    assert "\n" not in said


def test_installed_command_reads_a_gateway(installed: Path) -> None:
    command = str(installed / "bin/kyma-mtls-gateway")
    done = python(installed, command, "egress/way-out", stdin=listed(SERVICE, DEPLOYMENT))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["service"] == "way-out"
    done = python(installed, command, "egress/way-out", stdin=listed())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "kyma-mtls-gateway: stdin has no Service egress/way-out\n"
    assert python(installed, command, "--help").returncode == 0
