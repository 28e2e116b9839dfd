"""What the users of the kubeconfigs have to be allowed; that it is what the stack makes, test_deployment.py holds."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from clusters import Clusters, rights
from clusters.rights import Right
from settings import ConfigError
from tests.unit.config import read
from tests.unit.facts import CLIENT_OFFER, TARGET_OFFER
from tests.unit.fakes import FakeCluster, fake_cluster

UNSURE = {"status": {"allowed": False, "evaluationError": "a webhook did not answer"}}
RBAC = Path(__file__).parents[3] / "rbac"
OFFERS = {"target": TARGET_OFFER, "clients.caller": CLIENT_OFFER}

Found = Callable[[], Clusters]


@pytest.fixture
def found() -> Clusters:
    """Return a target and a client whose users may do anything."""
    return Clusters(fake_cluster(), {"caller": fake_cluster(path="clients.caller", host="https://caller")}, OFFERS)


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    return said


def deny(cluster: Any, *denied: dict[str, str]) -> FakeCluster:
    cluster.denied.extend(denied)
    return cluster  # type: ignore[no-any-return]


def check(monkeypatch: pytest.MonkeyPatch, found: Clusters, *, preview: bool = False, **config: Any) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    rights.check(read(platform="istio", **config), found)


def refusal(monkeypatch: pytest.MonkeyPatch, found: Clusters, **config: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(monkeypatch, found, **config)
    return str(caught.value).splitlines()


def test_admins_are_asked_one_thing(monkeypatch: pytest.MonkeyPatch, found: Clusters, warnings: list[str]) -> None:
    check(monkeypatch, found)
    check(monkeypatch, found, preview=True)
    for cluster in found.all.values():
        assert isinstance(cluster, FakeCluster)
        assert cluster.reviewed == [{"verb": "*", "group": "*", "resource": "*", "namespace": ""}] * 2
    assert warnings == []


def test_lacking_rights_refuse_an_up_in_one_line_for_each_cluster(
    monkeypatch: pytest.MonkeyPatch, found: Clusters, warnings: list[str]
) -> None:
    deny(found.all["target"], {"resource": "namespaces", "verb": "delete"}, {"resource": "secrets"})
    deny(found.all["clients.caller"], {"namespace": "istio-system", "verb": "create"})
    assert refusal(monkeypatch, found) == [
        "kyma-mtls:target.kubeconfig: cluster https://target denies this user: delete namespaces; get, list, "
        "watch, create, patch, delete secrets in istio-system; rbac/target.yaml has what a stack needs",
        "kyma-mtls:clients.caller.kubeconfig: cluster https://caller denies this user: create "
        "authorizationpolicies.security.istio.io, destinationrules.networking.istio.io, secrets, "
        "telemetries.telemetry.istio.io in istio-system; rbac/client.yaml has what a stack needs",
    ]
    assert warnings == []


def test_lacking_rights_are_a_warning_of_a_preview(
    monkeypatch: pytest.MonkeyPatch, found: Clusters, warnings: list[str]
) -> None:
    deny(found.all["target"], {"verb": "create"}, {"verb": "patch"}, {"verb": "delete"})
    check(monkeypatch, found, preview=True)
    (line,) = warnings
    assert line.startswith("kyma-mtls:target.kubeconfig: cluster https://target denies this user: create, patch")
    assert line.endswith("; `pulumi up` will be refused")


def test_user_with_the_rights_for_the_stack_alone_is_no_problem(
    monkeypatch: pytest.MonkeyPatch, found: Clusters, warnings: list[str]
) -> None:
    deny(found.all["target"], {"resource": "nodes"})
    check(monkeypatch, found)
    check(monkeypatch, found, preview=True)
    assert warnings == []


@pytest.mark.parametrize(("namespace", "asked"), [("mtls", "mtls"), ("", "")])
def test_rights_in_the_stacks_namespace_are_asked_by_its_name_unless_that_is_random(
    monkeypatch: pytest.MonkeyPatch, found: Clusters, namespace: str, asked: str
) -> None:
    cluster = deny(found.all["target"], {"resource": "nodes"})
    check(monkeypatch, found, namespace=namespace)
    places = {right["namespace"] for right in cluster.reviewed if right["resource"] in {"gateways", "services"}}
    assert places == {asked}


@pytest.mark.parametrize("answer", [ConfigError("403 Forbidden"), None, {"kind": "Status"}, {"status": []}, UNSURE])
def test_cluster_that_does_not_say_is_no_problem(
    monkeypatch: pytest.MonkeyPatch, found: Clusters, warnings: list[str], answer: Any
) -> None:
    def create(*_: object) -> Any:
        if isinstance(answer, ConfigError):
            raise answer
        return answer

    monkeypatch.setattr(FakeCluster, "create", create)
    check(monkeypatch, found)
    check(monkeypatch, found, preview=True)
    assert warnings == []


def granted(role: str) -> Iterator[Right]:
    for document in yaml.safe_load_all((RBAC / f"{role}.yaml").read_text()):
        for rule in document.get("rules", ()):
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        yield Right(verb, group, resource, document["metadata"].get("namespace", ""))


@pytest.mark.parametrize(("role", "path"), [("target", "target"), ("client", "clients.caller")])
def test_manifests_grant_what_a_stack_needs_and_no_more(role: str, path: str) -> None:
    needed = {
        right if right.namespace == "istio-system" else replace(right, namespace="")
        for platform in ("istio", "kyma")
        for right in rights.needed(read(platform=platform), path, OFFERS[path])
    }
    allowed = set(granted(role))
    assert needed <= allowed
    assert {right for right in allowed - needed if right.verb not in {"get", "list"}} == set()


def test_verification_may_list_what_a_stack_makes_but_secrets() -> None:
    made = {
        (right.group, right.resource)
        for platform in ("istio", "kyma")
        for path, offer in OFFERS.items()
        for right in rights.needed(read(platform=platform), path, offer)
        if right.verb == "create"
    }
    allowed = set(granted("verification"))
    listed = {(right.group, right.resource) for right in allowed if right.verb == "list" and not right.namespace}
    assert made - listed == {("", "secrets")}
    assert Right("get", "", "secrets", "istio-system") in allowed


def test_verification_may_do_what_it_does_and_changes_nothing() -> None:
    allowed = set(granted("verification"))
    needed = {
        *(Right(verb, "", resource, "") for resource in ("namespaces", "pods") for verb in ("create", "delete")),
        Right("create", "", "serviceaccounts", ""),
        *(Right(verb, "", "pods/exec", "") for verb in ("get", "create")),
        Right("get", "", "pods/log", ""),
        Right("get", "", "services", ""),
        *(
            Right(verb, "networking.istio.io", resource, "")
            for resource in ("destinationrules", "gateways", "serviceentries", "virtualservices")
            for verb in ("create", "delete")
        ),
    }
    assert needed <= allowed
    assert not {right.verb for right in allowed} - {"get", "list", "create", "delete"}
    changing = {right for right in allowed if right.verb in {"create", "delete"}}
    assert changing <= needed


def test_page_of_rights_links_every_manifest() -> None:
    page = (RBAC.parent / "docs/rights.md").read_text()
    assert {path.name for path in RBAC.iterdir()} == {"client.yaml", "target.yaml", "verification.yaml"}
    assert all(f"](../rbac/{path.name})" in page for path in RBAC.iterdir())
