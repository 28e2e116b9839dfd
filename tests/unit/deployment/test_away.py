"""Clients whose clusters are away: their part of the state, registered as it is."""

import json
import subprocess
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from deployment import away
from deployment.away import Recorded
from settings import ConfigError
from tests.unit.config import read
from tests.unit.conftest import Deploy
from tests.unit.deployment.program import CALLER, HTTPBIN, TARGET, Stack

STACK = "urn:pulumi:test::kyma-mtls::pulumi:pulumi:Stack::kyma-mtls-test"
CLIENT = "kyma-mtls:index:EgressClient"
ROUTE = f"{CLIENT}$kyma-mtls:index:EgressRoute"
PROVIDER = "pulumi:providers:kubernetes"
IDENTITY = "spiffe://kyma-mtls/test/client/far"


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:test::kyma-mtls::{kind}::{name}"


def resource(kind: str, name: str, *, parent: str = STACK, custom: bool = True, **further: Any) -> dict[str, Any]:
    return {"urn": urn(kind, name), "type": kind.rpartition("$")[2], "parent": parent, "custom": custom, **further}


def of_client(name: str) -> list[dict[str, Any]]:
    """Return what the state has of a client: a route with a VirtualService, and a key."""
    provider = resource(PROVIDER, f"clients.{name}-uid-{name}", inputs={"clusterIdentifier": f"uid-{name}"})
    client = resource(CLIENT, f"client-{name}", custom=False)
    secret = resource(
        f"{CLIENT}$kubernetes:core/v1:Secret",
        f"client-{name}-credential.1",
        parent=client["urn"],
        provider=f"{provider['urn']}::id",
    )
    route = resource(ROUTE, f"client-{name}.a", parent=client["urn"], custom=False)
    virtual_service = resource(
        f"{ROUTE}$kubernetes:networking.istio.io/v1:VirtualService",
        f"client-{name}.a-route",
        parent=route["urn"],
        provider=f"{provider['urn']}::id",
        dependencies=[secret["urn"], urn("other", "other")],
    )
    key = resource(
        f"{CLIENT}$tls:index/privateKey:PrivateKey",
        f"client-{name}.a-key",
        parent=client["urn"],
        provider=f"{urn('pulumi:providers:tls', 'default_5_1_1')}::id",
    )
    return [provider, client, secret, route, virtual_service, key]


FACTS = {
    "stack": "test",
    "clients.far": "uid-far",
    "clients.far.egressGateway": "istio-system/istio-egressgateway",
    "clients.far-off": "uid-far-off",
}
OUTPUTS = {
    "clients": {"far": {"identity": "old", "hosts": [], "namespace": "mtls", "secret": "client-credential-mtls.1"}},
    "signingRequests": {"api": {"far": "REQUEST", "near": "ANOTHER"}, "pay": {"near": "ANOTHER"}},
}
RESOURCES = [
    resource("pulumi:pulumi:Stack", "kyma-mtls-test", parent="", custom=False, outputs=OUTPUTS),
    resource("kyma-mtls:index:Placement", "placement", custom=False, inputs={"facts": FACTS}),
    *of_client("far-off"),
    *of_client("far"),
    {**resource("kubernetes:core/v1:Secret", "old", parent=urn(CLIENT, "client-far")), "delete": True},
]
OF_FAR = [
    "EgressClient client-far",
    "EgressRoute client-far.a",
    "PrivateKey client-far.a-key",
    "Secret client-far-credential.1",
    "VirtualService client-far.a-route",
    "kubernetes clients.far-uid-far",
]


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Let `pulumi stack export` print the state; return its calls."""
    calls: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **_: Any) -> object:
        calls.append(command)
        return SimpleNamespace(stdout=json.dumps({"deployment": {"resources": RESOURCES}}))

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_state_is_not_read_while_every_cluster_is_there(asked: list[tuple[str, ...]]) -> None:
    assert Recorded.read("test", ()) == Recorded()
    assert asked == []
    Recorded.read("test", ["far"])
    assert asked == [("pulumi", "stack", "export", "--stack", "test")]


def test_kept_client_is_all_that_the_state_has_of_it_and_of_no_other(deploy: Deploy) -> None:
    made = deploy(lambda: Recorded.read("test", ["far"]).keep("far"))
    assert sorted(made.names()) == OF_FAR
    for name in OF_FAR:
        assert list(made.requests[name].ignoreChanges) == ["*"], "the engine changes nothing"
    route = made.requests["VirtualService client-far.a-route"]
    assert "::clients.far-uid-far::" in route.provider
    assert made.comes_after("VirtualService client-far.a-route", "Secret client-far-credential.1")
    assert made.requests["PrivateKey client-far.a-key"].version == "5.1.1", "no second provider of the state"
    assert all(request.parent for name, request in made.requests.items() if name in OF_FAR[1:5])


def test_facts_and_outputs_of_a_kept_client_stay() -> None:
    recorded = Recorded.read("test", ["far"])
    assert recorded.facts(["far"]) == {
        "clients.far": "uid-far",
        "clients.far.egressGateway": "istio-system/istio-egressgateway",
    }
    settings = read(clients={"far": {"kubeconfig": "far.yaml", "away": True}}, hosts={"a": {"domain": "a.example.com"}})
    assert recorded.output(settings, "far", IDENTITY) == {
        "identity": IDENTITY,
        "hosts": ["a"],
        "namespace": "mtls",
        "secret": "client-credential-mtls.1",
    }
    assert recorded.signing_requests("far") == {"api": "REQUEST"}


def test_client_of_which_the_state_has_nothing_cannot_be_away() -> None:
    with pytest.raises(ConfigError) as caught:
        Recorded.read("test", ["far", "never"])
    assert str(caught.value) == (
        "kyma-mtls:clients.never.away: true, but its cluster has nothing of this stack; set this to false, or remove "
        "the client"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError("no pulumi"), "no pulumi"),
        (subprocess.CalledProcessError(255, "pulumi", stderr="warning\nerror: passphrase\n"), "error: passphrase"),
    ],
)
def test_state_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ConfigError, match=f"kyma-mtls:clients.far.away: the state cannot be read: {said}"):
        Recorded.read("test", ["far"])


def test_program_revokes_elsewhere_while_a_cluster_is_away(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    clients = {"near": CALLER, "far": {"kubeconfig": "far.yaml", "away": True}}
    made = stack(target=TARGET, clients=clients, hosts={"httpbin": {**HTTPBIN, "clients": ["near"]}})
    assert said == [away.warning("far")]
    (rule,) = made.policy("target-httpbin-admission")["spec"]["rules"][:1]
    assert rule["from"][0]["source"]["notPrincipals"] == ["kyma-mtls/test/client/near"]
    assert set(OF_FAR) <= set(made.names())
    assert "EgressRoute client-far.httpbin" not in made.names(), "what the state does not have needs the cluster"
    assert any(name.endswith("-client-far-certificate") or "client-far" in name for name in made.names())
    assert made.result["clients"]["far"]["namespace"] == "mtls"
    assert made.result["clients"]["near"]["hosts"] == ["httpbin"]
    facts = made.one("Placement", "placement")["facts"]
    assert facts["clients.far"] == "uid-far", "another cluster in its place is still noticed"
