"""A deployed stack, read by the automation API, and its connections."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client import ApiClient
from pulumi import automation

import clusters
from settings import ConfigError, read_config
from tests.unit.deployed import (
    ACME,
    BILLING,
    PARTNER,
    WAREHOUSE,
    outputs_of,
    stack_of,
)
from tests.unit.verification.fake_core import EGRESS
from verification.checks import Failed
from verification.client_cluster import ClientCluster
from verification.pods import Executed
from verification.stack import DeployedStack, _export_secrets


@dataclass
class FakeWorkspace:
    """The project in the current directory, as the automation API returns it."""

    config: dict[str, str]
    outputs: dict[str, object]
    selected: str | None = "test"
    error: Exception | None = None
    work_dir: str = "."
    env_vars: Mapping[str, str] = field(default_factory=dict)

    @property
    def pulumi_command(self) -> object:
        mark = {"urn": "urn:pulumi:test::kyma-mtls::random:index/randomId:RandomId::owner", "outputs": {"hex": "0a1b"}}
        exported = json.dumps({"deployment": {"resources": [{**mark, "type": "random:index/randomId:RandomId"}]}})
        commands = {("stack", "export", "--stack", "test"): exported}
        return SimpleNamespace(run=lambda command, *_: SimpleNamespace(stdout=commands[tuple(command)]))

    def stack(self) -> object:
        if self.error:
            raise self.error
        return SimpleNamespace(name=self.selected) if self.selected else None

    def get_all_config(self, _: str) -> dict[str, automation.ConfigValue]:
        return {key: automation.ConfigValue(value) for key, value in self.config.items()}

    def stack_outputs(self, _: str) -> dict[str, automation.OutputValue]:
        return {key: automation.OutputValue(value, secret=False) for key, value in self.outputs.items()}


def test_selected_stack_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {
        "kyma-mtls:clients": json.dumps({"warehouse": WAREHOUSE}),
        "kyma-mtls:hosts": json.dumps({"api": PARTNER}),
    }
    settings = read_config(config)
    workspace = FakeWorkspace(config, outputs_of(settings))
    monkeypatch.setattr(automation, "LocalWorkspace", lambda **_: workspace)
    loaded = DeployedStack.load(None)
    assert (loaded.name, loaded.settings) == ("test", settings)
    assert loaded.outputs.hosts["api"].domain == "api.partner.example"
    assert loaded.state.owner == "0a1b"
    assert (loaded.clients, loaded.reached) == ({}, {})


@pytest.mark.parametrize(
    ("workspace", "message"),
    [
        (FakeWorkspace({}, {}, selected=None), "no stack is selected; name one with --stack"),
        (FakeWorkspace({}, {}, error=FileNotFoundError("pulumi")), "no usable `pulumi` on PATH: pulumi"),
        (FakeWorkspace({"kyma-mtls:platform": "openshift"}, {}), "kyma-mtls:platform: 'openshift'"),
    ],
)
def test_unreadable_stack_is_refused(monkeypatch: pytest.MonkeyPatch, workspace: FakeWorkspace, message: str) -> None:
    monkeypatch.setattr(automation, "LocalWorkspace", lambda **_: workspace)
    with pytest.raises(ConfigError, match=message):
        DeployedStack.load(None)


def test_problems_of_all_client_clusters_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(access: Any) -> None:
        raise ConfigError(f"kyma-mtls:{access.path}: does not answer")

    monkeypatch.setattr(clusters, "connect", connect)
    stack = stack_of(clients={"warehouse": WAREHOUSE, "billing": BILLING})
    with pytest.raises(ConfigError) as caught:
        stack.connect(["warehouse", "billing"])
    assert str(caught.value).splitlines() == [
        "kyma-mtls:clients.warehouse: does not answer",
        "kyma-mtls:clients.billing: does not answer",
    ]


def test_client_cluster_is_described_by_the_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "connect", lambda access: SimpleNamespace(api=access.path))
    connected = stack_of(clients={"warehouse": WAREHOUSE, "acme": ACME}).connect(["warehouse"])
    assert connected.clients == {
        "warehouse": ClientCluster(cast(ApiClient, "clients.warehouse"), "mtls", EGRESS, "client-credential-mtls")
    }


def test_failed_export_shows_nothing_of_its_output() -> None:
    class Command:
        def run(self, command: list[str], *_: object) -> None:
            assert "--show-secrets" in command
            raise automation.CommandError(cast(Any, Executed(1, "the state, with its keys", "")))

    class Workspace:
        pulumi_command, work_dir, env_vars = Command(), ".", None

    with pytest.raises(Failed) as caught:
        _export_secrets(cast(automation.LocalWorkspace, Workspace()), "test")
    assert str(caught.value) == "`pulumi stack export --show-secrets` failed"
    assert caught.value.__suppress_context__
