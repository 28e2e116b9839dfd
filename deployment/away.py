"""Clients whose clusters are away: the state keeps what the stack has there, and nothing of it is read or changed.

The program registers each of these resources as the state has it. With all changes ignored, the engine finds them the
same, and the Kubernetes provider asks no cluster (docs/decisions/0015-clusters-that-are-away.md).
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import pulumi

from outputs import ClientOutput
from settings import PROJECT, ConfigError, Settings

_CLIENT, _PLACEMENT, _STACK = "kyma-mtls:index:EgressClient", "kyma-mtls:index:Placement", "pulumi:pulumi:Stack"
_KUBERNETES, _PROVIDERS = "pulumi:providers:kubernetes", "pulumi:providers:"
_SECONDS = 120

_Resource = Mapping[str, Any]


def key(client: str) -> str:
    """Return the path of the config key that declares a client's cluster away."""
    return f"clients.{client}.away"


def warning(client: str) -> str:
    """Return the warning that names a client whose cluster is away."""
    return (
        f"{PROJECT}:{key(client)}: true: its cluster is not asked, and what the stack has there stays as it is, "
        "certificates included; set this to false as soon as it answers"
    )


@dataclass(frozen=True)
class Recorded:
    """What the state of the stack has.

    resources: in the order of their dependencies, without those that are being deleted
    """

    resources: tuple[_Resource, ...] = ()

    @classmethod
    def read(cls, stack: str, clients: Iterable[str]) -> Self:
        """Return the state if one of these clients is away.

        Raise ConfigError if it cannot be read, or does not have one of these clients.
        """
        if not (away := list(clients)):
            return cls()
        found = cls(tuple(each for each in _exported(stack, key(away[0])) if not each.get("delete")))
        problem = "true, but its cluster has nothing of this stack; set this to false, or remove the client"
        if lacking := [name for name in away if not found._subtree(name)]:
            raise ConfigError(*(f"{PROJECT}:{key(name)}: {problem}" for name in lacking))
        return found

    def facts(self, clients: Iterable[str]) -> dict[str, str]:
        """Return the facts of clients that cannot change without an interruption."""
        placements = [each["inputs"]["facts"] for each in self.resources if each["type"] == _PLACEMENT]
        recorded = placements[0] if placements else {}
        names = [name for client in clients for name in (f"clients.{client}", f"clients.{client}.egressGateway")]
        return {name: recorded[name] for name in names if name in recorded}

    def output(self, settings: Settings, client: str, identity: str) -> dict[str, Any]:
        """Return the output of a client, with its identity and hosts as the config has them now."""
        known = ClientOutput.exported(identity=identity, hosts=list(settings.hosts_of(client)))
        return {**self._outputs.get("clients", {}).get(client, {}), **known}

    def signing_requests(self, client: str) -> dict[str, Any]:
        """Return the requests that partners have to sign for a client, by host."""
        requests = self._outputs.get("signingRequests", {})
        return {host: by_client[client] for host, by_client in requests.items() if client in by_client}

    def keep(self, client: str) -> None:
        """Register a client's provider and components, and all that is below them, without any change."""
        made: dict[str, Any] = {}
        for each in self._subtree(client):
            place = pulumi.ResourceOptions(
                parent=made.get(each.get("parent", "")),
                depends_on=[made[urn] for urn in each.get("dependencies") or () if urn in made],
                ignore_changes=["*"],
            )
            provider, _, _ = each.get("provider", "").rpartition("::")
            if provider in made:
                place.provider = made[provider]
            elif provider:
                place.version = _version(provider)
            made[each["urn"]] = _registered(each, place)

    @property
    def _outputs(self) -> Mapping[str, Any]:
        return next((each.get("outputs") or {} for each in self.resources if each["type"] == _STACK), {})

    def _subtree(self, client: str) -> list[_Resource]:
        found: dict[str, _Resource] = {}
        for each in self.resources:
            if _is_root(each, client) or each.get("parent") in found:
                found[each["urn"]] = each
        return list(found.values())


def _is_root(resource: _Resource, client: str) -> bool:
    name = _name(resource["urn"])
    if resource["type"] == _KUBERNETES:
        return name == f"clients.{client}-{(resource.get('inputs') or {}).get('clusterIdentifier')}"
    return bool(resource["type"] == _CLIENT) and name == f"client-{client}"


def _registered(resource: _Resource, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    kind, name = resource["type"], _name(resource["urn"])
    if kind.startswith(_PROVIDERS):
        return pulumi.ProviderResource(kind.removeprefix(_PROVIDERS), name, {}, opts)
    if resource.get("custom"):
        return pulumi.CustomResource(kind, name, {}, opts)
    return pulumi.ComponentResource(kind, name, None, opts)


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _version(provider: str) -> str | None:
    """Return the version of a default provider, …::default_5_1_1; None for one without."""
    return _name(provider).removeprefix("default").replace("_", ".").strip(".") or None


def _exported(stack: str, path: str) -> list[_Resource]:
    command = ("pulumi", "stack", "export", "--stack", stack)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)  # noqa: S603 - Pulumi's own names
        deployment = json.loads(done.stdout).get("deployment") or {}
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise ConfigError(f"{PROJECT}:{path}: the state cannot be read: {said[-1] if said else error}") from None
    return list(deployment.get("resources") or [])
