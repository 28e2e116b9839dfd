"""Users of a cluster with few rights: ServiceAccounts, by their tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.e2e.support.commands import ROOT
from tests.e2e.support.lab import Lab

Manifest = dict[str, Any]


@dataclass
class Users:
    """ServiceAccounts in a namespace of their own, which goes with them when the context ends.

    directory: for their kubeconfigs
    """

    lab: Lab
    namespace: str
    directory: Path
    _made: list[tuple[str, Sequence[Manifest]]] = field(default_factory=list, init=False)

    def __enter__(self) -> Self:
        """Begin with no users."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove them and their rights, and wait for nothing."""
        for cluster, rights in self._made:
            self.lab.kubectl(cluster, "delete", "--wait=false", "-f", "-", stdin=yaml.safe_dump_all(rights))
        for cluster in {cluster for cluster, _ in self._made}:
            self.lab.kubectl(cluster, "delete", "namespace", self.namespace, "--wait=false", "--ignore-not-found")

    def add(self, cluster: str, name: str, rights: Sequence[Manifest]) -> str:
        """Make a user with these rights, manifests of rbac/; return the path of a kubeconfig with its token."""
        metadata = {"name": name, "namespace": self.namespace}
        self.lab.apply(
            cluster,
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        )
        bound = [self._bound(name, document) for document in rights]
        self.lab.apply(cluster, *bound)
        self._made.append((cluster, bound))
        content = yaml.safe_load(Path(self.lab.kubeconfig(cluster)).read_text())
        token = self.lab.kubectl(cluster, "-n", self.namespace, "create", "token", name).strip()
        content["users"][0]["user"] = {"token": token}
        file = self.directory / f"{name}-{cluster}"
        file.write_text(yaml.safe_dump(content))
        return str(file)

    def _bound(self, name: str, document: Manifest) -> Manifest:
        """Return a manifest as a user applies it, for a ServiceAccount instead of the group."""
        named = f"{self.namespace}-{name}-{{}}".format
        bound = {**document, "metadata": {**document["metadata"], "name": named(document["metadata"]["name"])}}
        if "subjects" in document:
            bound["subjects"] = [{"kind": "ServiceAccount", "namespace": self.namespace, "name": name}]
            bound["roleRef"] = {**document["roleRef"], "name": named(document["roleRef"]["name"])}
        return bound


def granted(role: str) -> list[Manifest]:
    """Return the manifests of rbac/ for a role: `target`, `client` or `verification`."""
    return list(yaml.safe_load_all((ROOT / f"rbac/{role}.yaml").read_text()))


def reading(cluster: str) -> list[Manifest]:
    """Return the manifests for users who only read in a cluster, the target or a client.

    They may read Secrets in all namespaces: a Kyma gateway has some in the stack's own.
    """
    documents = granted("target" if cluster == "target" else "client")
    everywhere = next(each for each in documents if each["kind"] == "ClusterRole")
    everywhere["rules"].append({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]})
    for rule in (rule for document in documents for rule in document.get("rules", ())):
        rule["verbs"] = [verb for verb in rule["verbs"] if verb in ("get", "list", "watch")]
    return documents
