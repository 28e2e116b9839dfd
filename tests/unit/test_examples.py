"""The examples, as far as they can be tried without clusters."""

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import clusters
from components.ownership import Owner
from lab.part import pinned_versions
from outputs import reference as outputs
from settings import ConfigError, read_config, reference, validity
from settings.gateway import GatewayMode
from tests.support.kubeconfigs import write_kubeconfig
from tests.unit.config import PRODUCTION, engine_config, production


def test_production_stack_fits_schema_that_editors_find_beside_it() -> None:
    jsonschema.validate(yaml.safe_load(PRODUCTION.read_text()), reference.schema())
    named = PRODUCTION.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    for directory in (PRODUCTION.parent, reference.PROJECT_DIRECTORY):
        assert (directory / named).samefile(reference.SCHEMA_FILE), "also where the file is copied to"


def test_production_stack_is_read_without_warning() -> None:
    settings = read_config(engine_config(production()))
    assert validity.warnings(settings) == ()
    assert {name for name, client in settings.clients.items() if client.is_partner} == {"acme"}
    assert settings.hosts.keys() - settings.served.keys() == {"payments"}
    assert settings.gateway.mode == GatewayMode.GARDENER


def test_production_stack_holds_certificates_and_no_key() -> None:
    text = PRODUCTION.read_text()
    assert text.count("-----BEGIN ") == text.count("-----BEGIN CERTIFICATE-----") == 2
    assert "secure:" not in text, "no reader could decrypt it"


def test_production_stack_lacks_nothing_but_its_clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "config", "https://another")
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    with pytest.raises(ConfigError) as caught:
        clusters.check_sites(read_config(engine_config(production())), Owner(None))
    contexts = {"target": "prod-eu", "clients.warehouse": "warehouse-eu", "clients.billing": "billing-eu"}
    assert str(caught.value).splitlines() == [
        f"kyma-mtls:{path}.context: {kubeconfig} has no context {context!r}; it has only"
        for path, context in contexts.items()
    ]


def test_directory_uses_provider_that_lab_has() -> None:
    versions = [each["options"]["version"] for each in directory().values() if "options" in each]
    assert versions == 2 * [pinned_versions()["pulumi-kubernetes"]]


def test_directory_reads_promised_outputs() -> None:
    read = re.findall(r"producer\.outputs([^}]+)", str(directory()["directory"]))
    assert len(read) == 3
    for path in read:
        promised = outputs.schema()
        for name in re.findall(r"\w+", path):
            promised = promised["properties"][name]


@pytest.mark.parametrize("name", ["caller", "service"])
def test_example_uses_a_namespace_that_exists(name: str) -> None:
    program = (reference.PROJECT_DIRECTORY / f"examples/{name}/__main__.py").read_text()
    assert "core.v1.Namespace" not in program, "destroy would delete it with all that runs there"


@pytest.mark.parametrize(("status", "expected"), [("200", 0), ("204", 0), ("301", 1), ("404", 1), ("000", 1)])
def test_caller_is_ready_only_while_the_host_answers(tmp_path: Path, status: str, expected: int) -> None:
    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\n[ "$6" = http://a.example/b ] && printf {status}\n')
    curl.chmod(0o755)
    program = ast.parse((reference.PROJECT_DIRECTORY / "examples/caller/__main__.py").read_text())
    (script,) = (
        ast.literal_eval(each.value)
        for each in program.body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "IS_ANSWERED"
    )
    done = subprocess.run(["/bin/sh", "-c", script, "http://a.example/b"], env={"PATH": str(tmp_path)}, check=False)
    assert done.returncode == expected


def directory() -> dict[str, Any]:
    """Return the resources of the example in YAML."""
    program = yaml.safe_load((reference.PROJECT_DIRECTORY / "examples/directory/Pulumi.yaml").read_text())
    return dict(program["resources"])
