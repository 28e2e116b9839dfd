"""The objects in the state of a deployed stack, and the mark that their label has."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from settings import ConfigError

# The field by which the engine marks a special value, and its value for a secret:
# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig/sig.go
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
_GATEWAY = "kyma-mtls:index:KymaGateway$"
_SIGNED = "tls:index/locallySignedCert:LocallySignedCert"
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
    objects: each with the name of its provider, which ends with the uid of its cluster; also those that the next update
        deletes
    manifests: what the stack applied of each object that stays, with the name of its provider; without secret values
    gateway_certificates: those that the stack signed for the Kyma gateway: the resource's name, and the end in RFC 3339
    certificates: PEM of those that the stack's CAs signed, by the name of the resource
    patches: what the stack set in objects of others, with the name of its provider; without secret values
    """

    owner: str = ""
    kinds: tuple[tuple[str, str], ...] = ()
    objects: frozenset[tuple[str, Object]] = frozenset()
    manifests: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    gateway_certificates: tuple[tuple[str, str], ...] = ()
    certificates: Mapping[str, str] = field(default_factory=dict)
    patches: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    @classmethod
    def read(cls, stack: str, exported: str) -> Self:
        """Read what `pulumi stack export` prints; raise ConfigError if it has no mark of the stack."""
        resources = (json.loads(exported).get("deployment") or {}).get("resources") or []
        owner = next((each["outputs"]["hex"] for each in resources if each["urn"].endswith(_MARK)), "")
        if not owner:
            raise ConfigError(f"stack {stack}: its state has no RandomId owner; deploy it again with `pulumi up`")
        kinds: set[tuple[str, str]] = set()
        objects: set[tuple[str, Object]] = set()
        manifests = []
        for resource in _made(resources):
            described = {**resource.get("inputs", {}), **resource.get("outputs", {})}
            api_version, kind, metadata = described["apiVersion"], described["kind"], described["metadata"]
            provider = _provider(resource)
            kinds.add((api_version, kind))
            if not resource.get("delete"):
                manifests.append((provider, _without_secrets(resource.get("inputs", {}))))
            objects.add((provider, Object.of(api_version, kind, metadata.get("namespace", ""), metadata["name"])))
        return cls(
            owner,
            tuple(sorted(kinds)),
            frozenset(objects),
            tuple(manifests),
            tuple(_gateway_certificates(resources)),
            _certificates(resources),
            tuple((_provider(each), _without_secrets(each["inputs"])) for each in _patches(resources)),
        )

    def known_in(self, uid: str) -> set[Object]:
        """Return the objects that the stack has in the cluster with this uid."""
        return {each for provider, each in self.objects if provider.endswith(f"-{uid}")}

    def manifests_in(self, uid: str) -> list[Mapping[str, Any]]:
        """Return what the stack applied in the cluster with this uid, without secret values."""
        return [each for provider, each in self.manifests if provider.endswith(f"-{uid}")]

    def patches_in(self, uid: str) -> list[Mapping[str, Any]]:
        """Return what the stack set in objects of others in the cluster with this uid, without secret values."""
        return [each for provider, each in self.patches if provider.endswith(f"-{uid}")]


def _provider(resource: Mapping[str, Any]) -> str:
    return str(resource["provider"].split("::")[-2])


def _certificates(resources: list[dict[str, Any]]) -> dict[str, str]:
    """Return the signed certificates that stay, by the name of their resource."""
    return {
        str(each["urn"]).rpartition("::")[2]: str(each["outputs"]["certPem"])
        for each in resources
        if each["type"] == _SIGNED
        and not each.get("delete")
        and isinstance((each.get("outputs") or {}).get("certPem"), str)
    }


def _made(resources: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the Kubernetes objects that the stack created: no object that it only reads or patches."""
    for resource in resources:
        is_object = resource["type"].startswith("kubernetes:") and not resource["type"].endswith("Patch")
        if is_object and resource.get("id") and not resource.get("external"):
            yield resource


def _patches(resources: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the patches that stay and set a field of `spec`."""
    for resource in resources:
        is_patch = resource["type"].startswith("kubernetes:") and resource["type"].endswith("Patch")
        if is_patch and resource.get("id") and not resource.get("delete") and resource.get("inputs", {}).get("spec"):
            yield resource


def _gateway_certificates(resources: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for resource in resources:
        is_certificate = resource["type"].endswith(":LocallySignedCert") and not resource.get("delete")
        if is_certificate and _GATEWAY in resource["urn"]:
            yield resource["urn"].rpartition("::")[2], resource["outputs"]["validityEndTime"]


def _without_secrets(value: Any) -> Any:
    """Return a value of the state with None for each value that is secret: it is not compared."""
    if is_secret(value):
        return None
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    return {name: _without_secrets(each) for name, each in value.items()} if isinstance(value, Mapping) else value


def is_secret(value: Any) -> bool:
    """Return whether a value of the state, or of a plan, is encrypted."""
    return isinstance(value, Mapping) and value.get(_SIGNATURE) == _SECRET
