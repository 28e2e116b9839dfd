"""A deployed stack: its settings, its outputs, its state, and connections to its clusters."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from pulumi import automation

import clusters
from settings import ConfigError, Settings
from verification.client_cluster import ClientCluster
from verification.outputs import Outputs
from verification.state import State
from verification.tls import Endpoint


@dataclass(frozen=True)
class DeployedStack:
    """A stack's name, settings, outputs and state; its clusters, as far as it is connected.

    clients: what is tried in the clusters of its own clients, by name
    reached: every cluster, by the path of the config that names it
    """

    name: str
    settings: Settings
    outputs: Outputs
    clients: Mapping[str, ClientCluster] = field(default_factory=dict)
    reached: Mapping[str, clusters.Cluster] = field(default_factory=dict)
    state: State = field(default_factory=State)

    @classmethod
    def load(cls, name: str | None) -> Self:
        """Read the stack in the current directory; the selected one by default. Raise ConfigError if that can't be."""
        try:
            workspace = automation.LocalWorkspace(work_dir=".")
            selected = name or getattr(workspace.stack(), "name", None)
            if not selected:
                raise ConfigError(
                    "no stack is selected; name one with --stack or select one with `pulumi stack select`"
                )
            config = {key: item.value for key, item in workspace.get_all_config(selected).items()}
            outputs = {key: item.value for key, item in workspace.stack_outputs(selected).items()}
            exported = _export(workspace, selected)
        except automation.CommandError as error:
            raise ConfigError(_last_line(error)) from None
        except (FileNotFoundError, automation.InvalidVersionError) as error:
            raise ConfigError(f"no usable `pulumi` on PATH: {error}") from None
        settings = Settings.from_config(config)
        return cls(selected, settings, Outputs.read(selected, outputs, settings), state=State.read(selected, exported))

    def connect(self, names: Collection[str], *, target: bool = False) -> Self:
        """Connect to the clusters of these clients, and to the target if so asked and if there is one.

        That is done side by side; raise ConfigError with the problems of all.
        """
        access = [self.settings.client_access(name) for name in names]
        if target and self.settings.target_access:
            access.insert(0, self.settings.target_access)
        answers = clusters.side_by_side(partial(clusters.connect, each) for each in access)
        reached = {each.path: cluster for each, cluster in zip(access, answers, strict=True)}
        connected = {
            name: ClientCluster(
                reached[f"clients.{name}"].api, self.outputs.clients[name].namespace, self.outputs.clients[name].secret
            )
            for name in names
        }
        return replace(self, clients=connected, reached=reached)

    def endpoint(self, host: str) -> Endpoint:
        """The target's gateway, asked for this host."""
        address = (self.outputs.target and self.outputs.target.address) or ""
        return Endpoint(self.outputs.hosts[host].domain, address, self.outputs.ca_certificate)


def _export(workspace: automation.LocalWorkspace, stack: str) -> str:
    # workspace.export_stack would decrypt the state's secrets, which nothing here needs.
    export = ["stack", "export", "--stack", stack]
    return workspace.pulumi_command.run(export, workspace.work_dir, workspace.env_vars).stdout


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip().startswith(("stderr:", "error:"))]
    return lines[-1].removeprefix("stderr:").strip() if lines else str(error)
