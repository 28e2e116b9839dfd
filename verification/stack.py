"""A deployed stack: its settings, its outputs, and connections to its clients' clusters."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from pulumi import automation

import clusters
from settings import ConfigError, Settings
from verification.client_cluster import ClientCluster
from verification.outputs import Outputs
from verification.tls import Endpoint


@dataclass(frozen=True)
class DeployedStack:
    """A stack's name, settings and outputs; the clusters of its own clients by name, as far as it is connected."""

    name: str
    settings: Settings
    outputs: Outputs
    clients: Mapping[str, ClientCluster] = field(default_factory=dict)

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
        except automation.CommandError as error:
            raise ConfigError(_last_line(error)) from None
        except (FileNotFoundError, automation.InvalidVersionError) as error:
            raise ConfigError(f"no usable `pulumi` on PATH: {error}") from None
        settings = Settings.from_config(config)
        return cls(selected, settings, Outputs.read(selected, outputs, settings))

    def connect(self, names: Collection[str]) -> Self:
        """Connect to the clusters of these clients, side by side; raise ConfigError with the problems of all."""
        reached = clusters.side_by_side(partial(clusters.connect, self.settings.client_access(name)) for name in names)
        connected = {
            name: ClientCluster(cluster.api, self.outputs.clients[name].namespace, self.outputs.clients[name].secret)
            for name, cluster in zip(names, reached, strict=True)
        }
        return replace(self, clients=connected)

    def endpoint(self, host: str) -> Endpoint:
        """The target's gateway, asked for this host."""
        address = (self.outputs.target and self.outputs.target.address) or ""
        return Endpoint(self.outputs.hosts[host].domain, address, self.outputs.ca_certificate)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip().startswith(("stderr:", "error:"))]
    return lines[-1].removeprefix("stderr:").strip() if lines else str(error)
