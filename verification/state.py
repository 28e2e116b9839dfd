"""The objects in the state of a deployed stack, and the mark that their label has."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from settings import ConfigError

_MARK = "::random:index/randomId:RandomId::owner"


@dataclass(frozen=True, order=True)
class Object:
    """A Kubernetes object, without the version of its kind: a cluster serves an object under every version."""

    group: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, api_version: str, kind: str, namespace: str, name: str) -> Self:
        """Return the object with the group of this API version."""
        return cls(api_version.rpartition("/")[0], kind, namespace, name)


@dataclass(frozen=True)
class State:
    """The objects that the stack made.

    owner: the value of the label that all of them have
    kinds: their API versions and kinds
    objects: each with the name of its provider, which ends with the uid of its cluster
    going: those that the next update deletes
    """

    owner: str = ""
    kinds: tuple[tuple[str, str], ...] = ()
    objects: frozenset[tuple[str, Object]] = frozenset()
    going: frozenset[tuple[str, Object]] = frozenset()

    @classmethod
    def read(cls, stack: str, exported: str) -> Self:
        """Read what `pulumi stack export` prints; raise ConfigError if it has no mark of the stack."""
        resources = (json.loads(exported).get("deployment") or {}).get("resources") or []
        owner = next((each["outputs"]["hex"] for each in resources if each["urn"].endswith(_MARK)), "")
        if not owner:
            raise ConfigError(f"stack {stack}: its state has no RandomId owner; deploy it again with `pulumi up`")
        kinds: set[tuple[str, str]] = set()
        staying: set[tuple[str, Object]] = set()
        going: set[tuple[str, Object]] = set()
        for resource in _made(resources):
            described = {**resource.get("inputs", {}), **resource.get("outputs", {})}
            api_version, kind, metadata = described["apiVersion"], described["kind"], described["metadata"]
            provider = resource["provider"].split("::")[-2]
            kinds.add((api_version, kind))
            found = going if resource.get("delete") else staying
            found.add((provider, Object.of(api_version, kind, metadata.get("namespace", ""), metadata["name"])))
        return cls(owner, tuple(sorted(kinds)), frozenset(staying | going), frozenset(going - staying))

    def known_in(self, uid: str) -> set[Object]:
        """Return the objects that the stack has in the cluster with this uid."""
        return {each for provider, each in self.objects if provider.endswith(f"-{uid}")}

    def needed_in(self, uid: str) -> set[Object]:
        """Return the objects that the cluster with this uid must have: those that the next update does not delete."""
        return {each for provider, each in self.objects - self.going if provider.endswith(f"-{uid}")}


def _made(resources: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the Kubernetes objects that the stack created: no object that it only reads or patches."""
    for resource in resources:
        is_object = resource["type"].startswith("kubernetes:") and not resource["type"].endswith("Patch")
        if is_object and resource.get("id") and not resource.get("external"):
            yield resource
