"""Rights of the users of the kubeconfigs; tests/unit/deployment/test_rights.py compares them with what is deployed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from clusters import Site, rights
from clusters.rights import RENEWAL, Right
from settings import ConfigError
from tests.unit.config import read
from tests.unit.facts import CLIENT_FACTS, TARGET_FACTS
from tests.unit.fakes import FakeCluster, fake_cluster
from tests.unit.pki import issue

UNSURE = {"status": {"allowed": False, "evaluationError": "a webhook did not answer"}}
CONFIRMATION = {
    Right(verb, "", "pods/portforward", namespace) for verb in ("get", "create") for namespace in ("istio-system", "")
}
RBAC = Path(__file__).parents[3] / "rbac"
PREFIX = {"httpbin": {"domain": "httpbin.example.com", "paths": ["/anything/*"]}}


@pytest.fixture
def sites() -> list[Site]:
    """Return a target and a client whose users are administrators."""
    return two_sites()


def two_sites() -> list[Site]:
    caller = fake_cluster(path="clients.caller", host="https://caller")
    return [Site(fake_cluster(), TARGET_FACTS), Site(caller, CLIENT_FACTS, "caller")]


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    return said


def deny(site: Site, *denied: dict[str, str]) -> FakeCluster:
    """Take rights from the user of a site; return its cluster."""
    assert isinstance(site.cluster, FakeCluster)
    site.cluster.denied.extend(denied)
    return site.cluster


def check(monkeypatch: pytest.MonkeyPatch, sites: list[Site], *, preview: bool = False, **config: Any) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    rights.check_rights(read(platform="istio", **config), sites)


def refusal(monkeypatch: pytest.MonkeyPatch, sites: list[Site], **config: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(monkeypatch, sites, **config)
    return str(caught.value).splitlines()


def test_rights_of_administrators_are_one_review(
    monkeypatch: pytest.MonkeyPatch, sites: list[Site], warnings: list[str]
) -> None:
    check(monkeypatch, sites)
    check(monkeypatch, sites, preview=True)
    for site in sites:
        assert isinstance(site.cluster, FakeCluster)
        assert site.cluster.reviewed == [{"verb": "*", "group": "*", "resource": "*", "namespace": ""}] * 2
    assert warnings == []


def test_rights_that_are_lacking_refuse_an_update_with_a_line_for_each_cluster(
    monkeypatch: pytest.MonkeyPatch, sites: list[Site], warnings: list[str]
) -> None:
    deny(sites[0], {"resource": "namespaces", "verb": "delete"}, {"resource": "secrets"})
    deny(sites[1], {"namespace": "istio-system", "verb": "create"})
    assert refusal(monkeypatch, sites) == [
        "kyma-mtls:target.kubeconfig: cluster https://target denies this user: delete namespaces; get, list, "
        "watch, create, patch, delete secrets in istio-system; rbac/target.yaml lists the rights that a stack needs",
        "kyma-mtls:clients.caller.kubeconfig: cluster https://caller denies this user: create "
        "authorizationpolicies.security.istio.io, destinationrules.networking.istio.io, secrets, "
        "serviceentries.networking.istio.io, telemetries.telemetry.istio.io in istio-system; rbac/client.yaml lists "
        "the rights that a stack needs",
    ]
    assert warnings == []


def test_rights_that_are_lacking_are_a_warning_of_a_preview(
    monkeypatch: pytest.MonkeyPatch, sites: list[Site], warnings: list[str]
) -> None:
    deny(sites[0], {"verb": "create"}, {"verb": "patch"}, {"verb": "delete"})
    check(monkeypatch, sites, preview=True)
    (line,) = warnings
    assert line.startswith("kyma-mtls:target.kubeconfig: cluster https://target denies this user: create, patch")
    assert line.endswith("; `pulumi up` will be refused")


def test_renewal_needs_to_read_and_to_change_what_carries_certificates(
    monkeypatch: pytest.MonkeyPatch, sites: list[Site]
) -> None:
    deny(sites[0], {"verb": "create"}, {"verb": "delete"}, {"verb": "patch", "resource": "gateways"})
    deny(sites[1], {"verb": "patch", "resource": "secrets"}, {"verb": "list", "resource": "networkpolicies"})
    monkeypatch.setenv(RENEWAL, "true")
    (line,) = refusal(monkeypatch, sites)
    assert line.startswith(
        "kyma-mtls:clients.caller.kubeconfig: cluster https://caller denies this user: "
        "list networkpolicies.networking.k8s.io; patch secrets in istio-system; "
    )


def test_rights_for_the_stack_alone_are_enough(
    monkeypatch: pytest.MonkeyPatch, sites: list[Site], warnings: list[str]
) -> None:
    deny(sites[0], {"resource": "nodes"})
    check(monkeypatch, sites)
    check(monkeypatch, sites, preview=True)
    assert warnings == []


@pytest.mark.parametrize(("namespace", "asked"), [("mtls", "mtls"), ("", "")])
def test_rights_in_the_stacks_namespace_are_reviewed_by_its_name_unless_that_is_random(
    monkeypatch: pytest.MonkeyPatch, sites: list[Site], namespace: str, asked: str
) -> None:
    cluster = deny(sites[0], {"resource": "nodes"})
    check(monkeypatch, sites, namespace=namespace)
    places = {right["namespace"] for right in cluster.reviewed if right["resource"] in {"gateways", "services"}}
    assert places == {asked}


@pytest.mark.parametrize("answer", [ConfigError("403 Forbidden"), None, {"kind": "Status"}, {"status": []}, UNSURE])
def test_rights_are_granted_where_the_cluster_does_not_review_them(
    monkeypatch: pytest.MonkeyPatch, sites: list[Site], warnings: list[str], answer: Any
) -> None:
    def create(*_: object) -> Any:
        if isinstance(answer, ConfigError):
            raise answer
        return answer

    monkeypatch.setattr(FakeCluster, "create", create)
    check(monkeypatch, sites)
    check(monkeypatch, sites, preview=True)
    assert warnings == []


def granted(role: str) -> Iterator[Right]:
    for document in yaml.safe_load_all((RBAC / f"{role}.yaml").read_text()):
        for rule in document.get("rules", ()):
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        yield Right(verb, group, resource, document["metadata"].get("namespace", ""))


@pytest.mark.parametrize(("role", "site"), list(zip(("target", "client"), two_sites(), strict=True)))
def test_manifests_grant_the_rights_that_a_stack_needs_and_no_more(role: str, site: Site) -> None:
    needed = {
        right if right.namespace == "istio-system" else replace(right, namespace="")
        for platform in ("istio", "kyma")
        for right in rights.needed(read(platform=platform, hosts=PREFIX), site)
    }
    allowed = set(granted(role))
    assert needed | CONFIRMATION <= allowed
    assert {right for right in allowed - needed - CONFIRMATION if right.verb not in {"get", "list"}} == set()


@pytest.mark.parametrize(
    ("platform", "identity", "expected"),
    [("istio", "dns:acme.example", True), ("kyma", "dns:acme.example", True), ("istio", "spiffe://acme/client", False)],
)
def test_envoy_filters_are_needed_for_dns_identities(platform: str, identity: str, expected: bool) -> None:
    partner = {"certificateAuthority": issue("acme").pem, "identity": identity}
    config = read(platform=platform, clients={"acme": partner}, hosts={"a": {"domain": "a.example.com"}})
    needed = {right.resource for right in rights.needed(config, two_sites()[0])}
    assert ("envoyfilters" in needed) is expected


def test_verification_may_list_what_a_stack_makes_but_secrets() -> None:
    made = {
        (right.group, right.resource)
        for platform in ("istio", "kyma")
        for site in two_sites()
        for right in rights.needed(read(platform=platform, hosts=PREFIX), site)
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
        *(Right(verb, "", f"pods/{way}", "") for way in ("exec", "portforward") for verb in ("get", "create")),
        *(Right(verb, "batch", "jobs", "") for verb in ("create", "delete")),
        Right("get", "", "pods/log", ""),
        Right("get", "", "services", ""),
        *(Right("get", "operator.kyma-project.io", resource, "") for resource in ("istios", "apigateways")),
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


def test_manifests_are_in_the_page_of_rights() -> None:
    page = (RBAC.parent / "docs/rights.md").read_text()
    assert {path.name for path in RBAC.iterdir()} == {"client.yaml", "target.yaml", "verification.yaml"}
    assert all(f"](../rbac/{path.name})" in page for path in RBAC.iterdir())
