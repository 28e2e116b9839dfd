"""The promise that clusters have exactly the stack's objects."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from rich.console import Console

import clusters
from clusters import Cluster
from components.ownership import OWNER_LABEL
from settings import ClusterAccess, read_config
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
            raise self.problem(f"refuses GET {path}: 403 Forbidden")
        return super().read(path, accept)


def refusing(found: Mapping[str, Any]) -> Cluster:
    cluster = cluster_of(found)
    return RefusingCluster(cluster.access, cluster.api, found=cluster.found)


def test_cluster_with_exactly_the_states_objects_passes() -> None:
    cluster = cluster_of({**namespaces("mtls"), **secrets("istio-system/certs")})
    assert leftovers.objects_are_those_of_the_state(STATE, cluster) == "2 objects, exactly those of the state"


def test_missing_object_is_reported_with_its_remedy() -> None:
    with pytest.raises(Failed) as caught:
        leftovers.objects_are_those_of_the_state(STATE, cluster_of(namespaces("mtls")))
    assert str(caught.value) == (
        "Secret istio-system/certs is gone, or has lost its label; `pulumi preview` shows the remedy"
    )


def test_object_pending_deletion_may_be_gone() -> None:
    state = state_of(*KNOWN, resource(TARGET, "Secret", "mtls/old", delete=True))
    cluster = cluster_of({**namespaces("mtls"), **secrets("istio-system/certs")})
    assert leftovers.objects_are_those_of_the_state(state, cluster).startswith("2 objects")


def test_replacement_of_object_pending_deletion_must_exist() -> None:
    state = state_of(*KNOWN, resource(TARGET, "Secret", "istio-system/certs", delete=True))
    with pytest.raises(Failed, match="Secret istio-system/certs is gone"):
        leftovers.objects_are_those_of_the_state(state, cluster_of(namespaces("mtls")))


def test_leftovers_are_reported_with_their_remedies() -> None:
    found = {
        **namespaces("mtls", "old"),
        **secrets("istio-system/certs", "istio-system/x", "istio-system/credential"),
        **gateways("mtls/egress"),
    }
    with pytest.raises(Failed) as caught:
        leftovers.objects_are_those_of_the_state(STATE, cluster_of(found))
    assert str(caught.value).splitlines() == [
        "Namespace old; remove it with kubectl delete namespace old",
        "Secret istio-system/credential; remove it with kubectl -n istio-system delete secret credential",
        "Secret istio-system/x; remove it with kubectl -n istio-system delete secret x",
        "Gateway mtls/egress; remove it with kubectl -n mtls delete gateway.networking.istio.io egress",
    ], "an object of a different cluster in the state is a leftover in this one"


def test_cluster_that_was_replaced_is_not_known() -> None:
    with pytest.raises(Failed, match="Namespace mtls; remove it"):
        leftovers.objects_are_those_of_the_state(STATE, cluster_of(namespaces("mtls"), "replaced"))


def test_cluster_that_refuses_a_list_is_skipped() -> None:
    with pytest.raises(Skipped, match=r"cluster https://target refuses GET /api/v1/secrets\?.*: 403 Forbidden"):
        leftovers.objects_are_those_of_the_state(STATE, refusing(namespaces("mtls")))


def test_leftover_is_reported_even_if_a_list_is_refused() -> None:
    with pytest.raises(Failed, match="Namespace old; remove it"):
        leftovers.objects_are_those_of_the_state(STATE, refusing(namespaces("mtls", "old")))


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


def test_checks_of_clusters_come_last(connected: list[str]) -> None:
    _, checks = command.chosen_checks(stack_of(), [], [])
    assert sorted(connected) == ["clients.billing", "clients.ware-house", "target"]
    assert of_clusters(checks) == [check.promise for check in checks[-3:]]
    assert of_clusters(checks) == [
        "the target cluster has exactly the stack's objects",
        "the cluster of client ware-house has exactly the stack's objects",
        "the cluster of client billing has exactly the stack's objects",
    ]
    label = "-A -l kyma-mtls/owner=0a1b"
    assert checks[-3].look == f"target cluster: kubectl get gateway.networking.istio.io,namespace,secret {label}"
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
        "  FAIL the target cluster has exactly the stack's objects",
        "       expected: exactly the objects of the stack's state with the stack's label",
        "            saw: Secret a/x; remove it with kubectl -n a delete secret x",
        "                 Secret a/y; remove it with kubectl -n a delete secret y",
    ]


def test_help_names_the_checks_that_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("none of the Kyma gateway or of the clusters' objects") == 2
