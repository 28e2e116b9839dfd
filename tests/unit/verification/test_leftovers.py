"""The promise that clusters have no further objects of the stack."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from rich.console import Console

import clusters
from clusters import Cluster, Refused
from components.ownership import OWNER_LABEL
from settings import ClusterAccess, ConfigError, read_config
from tests.unit.deployed import outputs_of
from tests.unit.fakes import FakeCluster, fake_cluster, kube_system
from tests.unit.verification.stack_state import KNOWN, STATE, TARGET, TARGET_UID, resource, state_of
from verification import __main__ as command
from verification import leftovers, runner
from verification.checks import Check, Failed, Skipped
from verification.deployed_outputs import read_outputs
from verification.report import Report
from verification.stack import DeployedStack


def listed(plural: str, *objects: str) -> dict[str, Any]:
    """Return the answer to a list of the stack's own objects: NAMESPACE/NAME or NAME."""
    items = []
    for each in objects:
        namespace, _, name = each.rpartition("/")
        items.append({"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}})
    return {f"{plural}?{urlencode({'labelSelector': f'{OWNER_LABEL}=0a1b'})}": {"items": items}}


def namespaces(*names: str) -> dict[str, Any]:
    return listed("/api/v1/namespaces", *names)


def secrets(*names: str) -> dict[str, Any]:
    return listed("/api/v1/secrets", *names)


def gateways(*names: str) -> dict[str, Any]:
    return listed("/apis/networking.istio.io/v1/gateways", *names)


def cluster_of(found: Mapping[str, Any], uid: str = TARGET_UID, path: str = "target") -> FakeCluster:
    return fake_cluster({**kube_system(uid), **found}, path)


class RefusingCluster(FakeCluster):
    """Does not let its Secrets be listed."""

    def read(self, path: str, accept: str = "application/json") -> Any:
        if path.startswith("/api/v1/secrets"):
            raise Refused(f"refuses GET {path}: 403 Forbidden")
        return super().read(path, accept)


def refusing(found: Mapping[str, Any]) -> Cluster:
    cluster = cluster_of(found)
    return RefusingCluster(cluster.access, cluster.api, found=cluster.found)


def test_cluster_with_objects_of_the_state_only_passes() -> None:
    cluster = cluster_of({**namespaces("mtls"), **secrets("istio-system/certs")})
    assert leftovers.no_object_is_left(STATE, cluster) == "2 objects, all of them in the state"
    assert leftovers.no_object_is_left(STATE, cluster_of({})).startswith("0 objects"), "lost ones are no leftovers"


def test_object_pending_deletion_is_no_leftover() -> None:
    state = state_of(*KNOWN, resource(TARGET, "Secret", "mtls/old", delete=True))
    cluster = cluster_of({**namespaces("mtls"), **secrets("istio-system/certs", "mtls/old")})
    assert leftovers.no_object_is_left(state, cluster).startswith("3 objects")


def test_leftovers_are_reported_with_their_remedies() -> None:
    found = {
        **namespaces("mtls", "old"),
        **secrets("istio-system/certs", "istio-system/x", "istio-system/credential"),
        **gateways("mtls/egress"),
    }
    with pytest.raises(Failed) as caught:
        leftovers.no_object_is_left(STATE, cluster_of(found))
    assert str(caught.value).splitlines() == [
        "Namespace old; remove it with kubectl delete namespace old",
        "Secret istio-system/credential; remove it with kubectl -n istio-system delete secret credential",
        "Secret istio-system/x; remove it with kubectl -n istio-system delete secret x",
        "Gateway mtls/egress; remove it with kubectl -n mtls delete gateway.networking.istio.io egress",
    ], "an object of a different cluster in the state is a leftover in this one"


@pytest.mark.parametrize(
    ("plural", "named"),
    [
        ("/api/v1/configmaps", "ConfigMap a/x; remove it with kubectl -n a delete configmap x"),
        (
            "/apis/apps/v1/deployments",
            "Deployment a/x; remove it with kubectl -n a delete deployment.apps x",
        ),
    ],
)
def test_leftovers_are_sought_among_kinds_that_the_state_no_longer_has(plural: str, named: str) -> None:
    with pytest.raises(Failed, match=named):
        leftovers.no_object_is_left(STATE, cluster_of(listed(plural, "a/x")))


def test_kinds_of_the_state_that_stacks_make_no_longer_are_listed_at_their_version() -> None:
    old = resource(TARGET, "Gateway", "mtls/old", "networking.istio.io/v1beta1")
    assert ("networking.istio.io/v1beta1", "Gateway") in leftovers.kinds_of(state_of(old))
    assert ("networking.istio.io/v1", "Gateway") not in leftovers.kinds_of(state_of(old))
    further = resource(TARGET, "Job", "mtls/old", "batch/v1")
    assert set(leftovers.kinds_of(state_of(further))) - set(leftovers.kinds_of(STATE)) == {("batch/v1", "Job")}


def test_cluster_that_was_replaced_is_not_known() -> None:
    with pytest.raises(Failed, match="Namespace mtls; remove it"):
        leftovers.no_object_is_left(STATE, cluster_of(namespaces("mtls"), "replaced"))


def test_kinds_that_may_not_be_listed_are_named() -> None:
    with pytest.raises(Skipped) as skipped:
        leftovers.no_object_is_left(STATE, refusing(namespaces("mtls")))
    refused = "this user may not list Secret in cluster https://target"
    assert str(skipped.value) == f"{refused}; of the other kinds, nothing is left"
    with pytest.raises(Failed) as failed:
        leftovers.no_object_is_left(STATE, refusing(namespaces("mtls", "old")))
    assert str(failed.value) == f"Namespace old; remove it with kubectl delete namespace old\n{refused}"


def test_cluster_without_an_answer_is_no_verdict() -> None:
    cluster = cluster_of({})
    away = FailingCluster(cluster.access, cluster.api, found=cluster.found)
    with pytest.raises(ConfigError, match="does not answer"):
        leftovers.no_object_is_left(STATE, away)


class FailingCluster(FakeCluster):
    """Does not answer when its Secrets are listed."""

    def read(self, path: str, accept: str = "application/json") -> Any:
        if path.startswith("/api/v1/secrets"):
            raise self.problem("does not answer")
        return super().read(path, accept)


def stack_of() -> DeployedStack:
    config = {
        "target": {"kubeconfig": "target.yaml"},
        "clients": {"ware-house": {"kubeconfig": "a.yaml"}, "billing": {"kubeconfig": "b.yaml"}},
        "hosts": {"httpbin": {"domain": "httpbin.example.com", "clients": ["ware-house"]}},
    }
    settings = read_config({f"kyma-mtls:{key}": json.dumps(value) for key, value in config.items()})
    return DeployedStack("test", settings, read_outputs("test", outputs_of(settings), settings), state=STATE)


def of_clusters(checks: list[Check]) -> list[str]:
    return [check.promise for check in checks if check.group == "clusters"]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths of the clusters that were connected."""
    paths: list[str] = []

    def connect(access: ClusterAccess) -> Cluster:
        paths.append(access.path)
        return cluster_of({**namespaces("mtls"), **secrets("istio-system/certs")}, path=access.path)

    monkeypatch.setattr(clusters, "connect", connect)
    return paths


PROMISES = (
    "has the stack's objects as it made them",
    "has the stack's Secrets with its certificates",
    "has no further objects of the stack",
)


def test_checks_of_clusters_come_last(connected: list[str]) -> None:
    _, checks = command.chosen_checks(stack_of(), [], [])
    assert sorted(connected) == ["clients.billing", "clients.ware-house", "target"]
    assert of_clusters(checks) == [check.promise for check in checks[-9:]]
    wheres = ("target cluster", "cluster of client ware-house", "cluster of client billing")
    assert set(of_clusters(checks)) == {f"the {where} {promise}" for where in wheres for promise in PROMISES}
    assert checks[-3].look.startswith("target cluster: kubectl get apirule.gateway.kyma-project.io,authorization")
    assert checks[-3].look.endswith(" -A -l kyma-mtls/owner=0a1b")
    assert checks[-1].run().startswith("2 objects")


def test_each_check_asks_its_own_cluster(connected: list[str]) -> None:
    stack = stack_of().connect(["billing"], target=True)
    assert sorted(connected) == ["clients.billing", "target"]
    checks = list(leftovers.checks(stack))
    checks[1].run()
    asked = [cast(FakeCluster, cluster).asked for cluster in stack.reached.values()]
    assert asked[0] == []
    assert len(asked[1]) > 3


@pytest.mark.parametrize(
    ("hosts", "names", "expected"),
    [
        (["httpbin"], [], ["clients.billing", "clients.ware-house", "target"]),
        ([], ["ware-house"], ["clients.ware-house"]),
    ],
)
def test_clusters_are_left_out_where_hosts_or_clients_are_chosen(
    connected: list[str], hosts: list[str], names: list[str], expected: list[str]
) -> None:
    assert of_clusters(command.chosen_checks(stack_of(), hosts, names)[1]) == []
    assert sorted(connected) == expected


def test_stack_without_a_target_has_no_target_cluster(connected: list[str]) -> None:
    stack = stack_of()
    stack = replace(stack, settings=stack.settings.model_copy(update={"target": None}))
    stack.connect(["billing"], target=True)
    assert connected == ["clients.billing"]


def test_leftovers_are_printed_on_lines_of_their_own() -> None:
    found = {**namespaces("mtls"), **secrets("istio-system/certs", "a/x", "a/y")}
    stack = replace(stack_of(), reached={"target": cluster_of(found)})
    output = io.StringIO()
    runner.run(list(leftovers.checks(stack)), 0, Report(Console(file=output, width=300)))
    assert output.getvalue().splitlines()[:5] == [
        "clusters",
        "  FAIL the target cluster has no further objects of the stack",
        "       expected: no objects with the stack's label but those of its state",
        "            saw: Secret a/x; remove it with kubectl -n a delete secret x",
        "                 Secret a/y; remove it with kubectl -n a delete secret y",
    ]


def test_help_names_the_checks_that_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("none of the Kyma gateway or of the clusters' objects") == 2
