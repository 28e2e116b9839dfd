"""Users with few rights: with too few, nothing is touched; with those that rbac/ grants, a stack lives and goes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.rights import RENEWAL
from tests.e2e.support.lab import Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import age_certificates, configure, refusal
from tests.e2e.support.users import Manifest, Users, granted, reading

CLUSTERS = ("target", "client")  # as the files of rbac/ are called
NAMESPACE = "rights-users"


@pytest.fixture(scope="module")
def users(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """Kubeconfigs of each cluster: of a user who may only look (`view`), and of those with the rights of rbac/.

    The first has what the checks look at, and nothing else; `least` deploys, `renewer` renews certificates, and
    `verifier` verifies.
    """
    accounts = {"view": reading, "least": granted, "renewer": renewing, "verifier": verifying}
    with Users(lab, NAMESPACE, tmp_path_factory.mktemp("users")) as users:
        yield {
            account: {cluster: users.add(cluster, account, rights(cluster)) for cluster in CLUSTERS}
            for account, rights in accounts.items()
        }


def renewing(cluster: str) -> list[Manifest]:
    documents = reading(cluster)
    for rule in (rule for document in documents for rule in document.get("rules", ())):
        if "secrets" in rule["resources"]:
            rule["verbs"].append("patch")
    return documents


def verifying(_: str) -> list[Manifest]:
    return granted("verification")


def config(kubeconfigs: dict[str, str]) -> dict[str, Any]:
    return {
        "target": {"kubeconfig": kubeconfigs["target"]},
        "clients": {"client": {"kubeconfig": kubeconfigs["client"]}},
        "namespace": "rights",
    }


def test_user_who_may_only_look_gets_a_preview_and_makes_nothing(
    lab: Lab, project: Project, users: dict[str, dict[str, str]]
) -> None:
    with project.deployment("rights-view", **config(users["view"])) as deployed:
        printed = deployed.stack.preview().stdout  # once while it runs, and once at its end
        warnings = {line.partition("warning: ")[2] for line in printed.splitlines() if "denies this user" in line}
        assert {line.partition(": cluster")[0] for line in warnings} == {
            "kyma-mtls:target.kubeconfig",
            "kyma-mtls:clients.client.kubeconfig",
        }, printed
        assert len(warnings) == len(CLUSTERS), "one for each cluster"
        said = refusal(deployed.up)
        for line in warnings:
            assert line.removesuffix("; `pulumi up` will be refused") in said.partition("cannot be planned")[2], said
        assert "Traceback" not in said, said
        for cluster in CLUSTERS:
            namespaces = lab.kubectl(cluster, "get", "namespaces", "-o", "name").split()
            assert "namespace/rights" not in namespaces, "the first object of the stack"
            secrets = lab.kubectl(cluster, "-n", "istio-system", "get", "secrets", "-o", "name")
            assert "-rights" not in secrets, cluster


def test_least_rights_are_enough_for_the_life_of_a_stack_and_for_its_verification(
    lab: Lab, project: Project, users: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with project.deployment("rights-least", run_program=True, **config(users["least"])) as deployed:
        previewed = deployed.stack.preview()
        assert "denies this user" not in previewed.stdout + previewed.stderr
        deployed.up()
        assert "cannot confirm" not in deployed.printed, "the user may ask the gateways"
        assert deployed.outputs["clients"]["client"]["namespace"] == "rights"
        assert set(deployed.stack.preview(expect_no_changes=True).change_summary) == {"same"}
        configure(deployed.stack, **config(users["verifier"]))
        project.expect_verified(deployed.stack, " 0 failed")
        age_certificates(deployed.stack)
        configure(deployed.stack, **config(users["renewer"]))
        with monkeypatch.context() as context:
            context.setenv(RENEWAL, "true")
            deployed.up()
        end = datetime.fromisoformat(deployed.outputs["hosts"]["httpbin"]["expiry"])
        assert end > datetime.now(UTC) + timedelta(days=30), "renewed"
        configure(deployed.stack, **config(users["least"]))
    for cluster in CLUSTERS:
        gone = lab.kubectl(cluster, "get", "namespace", "rights", check=False)
        assert gone == "", "destroyed by the same user"


def test_exec_plugin_failure_is_reported_with_its_own_error(lab: Lab, project: Project, tmp_path: Path) -> None:
    login = tmp_path / "login"
    login.write_text("#!/bin/sh\necho 'the session has expired: log in' >&2\nexit 1\n")
    login.chmod(0o700)
    content = yaml.safe_load(Path(lab.kubeconfig("client")).read_text())
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(login), "interactiveMode": "Never"}
    content["users"][0]["user"] = {"exec": plugin}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(content))
    stack = project.stack("rights-plugin", clients={"client": {"kubeconfig": str(file)}})
    said = refusal(stack.preview)
    failed = f"kyma-mtls:clients.client.kubeconfig: exec plugin {login} failed: the session has expired: log in"
    assert failed in said, said
    assert "401" not in said, said
    token = yaml.safe_load(Path(lab.kubeconfig("client")).read_text())["users"][0]["user"]["token"]
    answer = f'{{"apiVersion": "{plugin["apiVersion"]}", "kind": "ExecCredential", "status": {{"token": "{token}"}}}}'
    login.write_text(f"#!/bin/sh\necho '{answer}'\n")
    stack.preview()
