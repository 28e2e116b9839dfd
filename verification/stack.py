"""A deployed stack: its settings, outputs and state, and the connections to its clusters."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from kubernetes.client import ApiClient
from pulumi import automation

import clusters
from components.namespaced_name import NamespacedName
from outputs import Outputs
from settings import ConfigError, Settings, read_config
from verification import runs
from verification.attacker import Attacker
from verification.checks import Failed
from verification.client_cluster import ClientCluster
from verification.deployed_outputs import read_outputs
from verification.dumps import Dumps
from verification.issuing import Authority
from verification.state import State
from verification.tls import Endpoint


@dataclass(frozen=True)
class DeployedStack:
    """A stack's name, settings, outputs and state, and its connected clusters.

    clients: the connected clusters of its clients, by the client's name
    reached: every connected cluster, by its path in the config
    attackers: the attacker in each connected cluster, by the same path
    authority: the CA of its hosts and clients
    dumps: what the proxies of its clusters have
    read_only: whether checks may neither create objects in a cluster nor read the CA's key
    """

    name: str
    settings: Settings
    outputs: Outputs
    clients: Mapping[str, ClientCluster] = field(default_factory=dict)
    reached: Mapping[str, clusters.Cluster] = field(default_factory=dict)
    state: State = field(default_factory=State)
    attackers: Mapping[str, Attacker] = field(default_factory=dict)
    authority: Authority | None = None
    dumps: Dumps = field(default_factory=Dumps, compare=False)
    read_only: bool = False

    @property
    def target_gateway(self) -> NamespacedName:
        """The Service of the target's ingress gateway; raise Failed if the stack has no output target."""
        if not self.outputs.target:
            raise Failed("the stack has no output target")
        return self.outputs.target.gateway

    @classmethod
    def load(cls, name: str | None, *, read_only: bool = False) -> Self:
        """Read a stack of the project in the current directory; raise ConfigError if it cannot be read.

        name: the selected stack by default
        """
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
        settings = read_config(config)
        deployed = read_outputs(selected, outputs, settings)
        return cls(
            selected,
            settings,
            deployed,
            state=State.read(selected, exported),
            authority=Authority(deployed.ca_certificate, partial(_export_secrets, workspace, selected)),
            read_only=read_only,
        )

    def connect(self, names: Collection[str], *, target: bool = False) -> Self:
        """Connect in parallel to the clusters of these clients; raise ConfigError with the problems of all clusters.

        target: also connect to the target cluster if the stack has one
        """
        access = [self.settings.client_access(name) for name in names]
        if target and self.settings.target_access:
            access.insert(0, self.settings.target_access)
        answers = clusters.parallel(partial(clusters.connect, each) for each in access)
        reached = {each.path: cluster for each, cluster in zip(access, answers, strict=True)}
        connected = {name: self._client_cluster(name, reached[f"clients.{name}"].api) for name in names}
        run = "" if self.read_only else runs.begin()
        attackers = {path: self._attacker(path, cluster.api, run) for path, cluster in reached.items()}
        return replace(self, clients=connected, reached=reached, attackers=attackers)

    def _client_cluster(self, name: str, api: ApiClient) -> ClientCluster:
        output = self.outputs.clients[name]
        return ClientCluster(api, output.namespace, output.gateway, output.secret)

    def _attacker(self, path: str, api: ApiClient, run: str) -> Attacker:
        target = self.outputs.target
        of_client = {f"clients.{name}": client.namespace for name, client in self.outputs.clients.items()}
        namespace = of_client.get(path) or (target.namespace if target else "")
        return Attacker(cluster_name(path), api, namespace, self.state.owner, run, self.settings.client_image)

    def endpoint(self, host: str) -> Endpoint:
        """Return the target's ingress gateway, asked for this host."""
        address = (self.outputs.target and self.outputs.target.address) or ""
        return Endpoint(self.outputs.hosts[host].domain, address, self.outputs.ca_certificate)


def cluster_name(path: str) -> str:
    """Return a cluster's name in messages, by its path in the config."""
    return "target cluster" if path == "target" else f"cluster of client {path.removeprefix('clients.')}"


def _export(workspace: automation.LocalWorkspace, stack: str) -> str:
    # workspace.export_stack would decrypt the secrets of the state, which the verification does not need.
    export = ["stack", "export", "--stack", stack]
    return workspace.pulumi_command.run(export, workspace.work_dir, workspace.env_vars).stdout


def _export_secrets(workspace: automation.LocalWorkspace, stack: str) -> str:
    export = ["stack", "export", "--show-secrets", "--stack", stack]
    try:
        return workspace.pulumi_command.run(export, workspace.work_dir, workspace.env_vars).stdout
    except automation.CommandError:  # its message may hold the output, and with it keys
        raise Failed("`pulumi stack export --show-secrets` failed") from None


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip().startswith(("stderr:", "error:"))]
    return lines[-1].removeprefix("stderr:").strip() if lines else str(error)
