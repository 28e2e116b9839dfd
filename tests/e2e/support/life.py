"""A stack that lives through changes and kills, and its objects in the clusters and in its state."""

import json
import secrets
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi import automation

from components.ownership import OWNER_LABEL
from tests.e2e.support import killing
from tests.e2e.support.killing import Moment, Partial, State
from tests.e2e.support.lab import CLUSTERS, Inventory, Lab
from tests.e2e.support.project import Project
from tests.e2e.support.stack import Deployed, change_config
from tests.e2e.support.waiting import eventually
from verification import state

KINDS = (
    "namespaces,serviceaccounts,secrets,configmaps,services,deployments.apps,networkpolicies.networking.k8s.io,"
    "gateways.networking.istio.io,virtualservices.networking.istio.io,destinationrules.networking.istio.io,"
    "serviceentries.networking.istio.io,authorizationpolicies.security.istio.io,telemetries.telemetry.istio.io"
)
"""Every kind of which a stack of the platform istio makes objects."""
_METADATA = ("namespace", "name", "resourceVersion", "uid", "generation")


@dataclass
class Life(Deployed):
    """A live stack.

    base: its config, which each change is added to
    before: the objects of each cluster before the stack
    uids: of the clusters
    """

    project: Project = field(kw_only=True)
    base: Mapping[str, Any] = field(kw_only=True)
    before: Inventory = field(kw_only=True)
    uids: Mapping[str, str] = field(kw_only=True)
    _keys: set[str] = field(default_factory=set)

    def set(self, **changes: object) -> None:
        """Make the config the basic one with these changes."""
        change_config(self.stack, {**self.base, **changes}, remove=self._keys - set(changes))
        self._keys = set(changes)

    def kill_up(self, moment: Moment) -> Partial:
        """Start `pulumi up`, and kill it at a moment."""
        log = self.project.directory / f"events-{secrets.token_hex(4)}.json"
        return killing.kill_up(self.project, self.stack, moment, log)

    def up_again(self) -> None:
        """Deploy; by `--refresh` where an interrupted deletion was taken back, as the error says."""
        try:
            self.up()
        except automation.CommandError as error:
            if "`pulumi up --refresh` makes deleted objects anew" not in str(error):
                raise
            self.up(refresh=True)

    def state(self) -> State:
        """Return the resources of the state, with their inputs."""
        return killing.state(self.stack)

    def manifests(self, cluster: str) -> list[Mapping[str, Any]]:
        """Return what the stack applied in a cluster; no Secrets, since the state has their values encrypted."""
        exported = json.dumps({"deployment": {"resources": self.stack.resources()}})
        manifests = state.State.read(self.stack.name, exported).manifests_in(self.uids[cluster])
        return [each for each in manifests if each["kind"] != "Secret"]

    def remove_leftovers(self) -> None:
        """Delete what a killed update created and no state knows, since its change was taken back."""
        known = self._objects()
        for cluster, listed in self.owned().items():
            for api_version, kind, namespace, name, _ in (each.split() for each in listed):
                place, called = namespace.replace("<none>", ""), _called(api_version, kind, name)
                if called not in known[cluster, place]:
                    self.lab.kubectl(cluster, *_within(place), "delete", "--ignore-not-found", called)

    def forget(self, name: str) -> None:
        """Remove a resource, NAME-…, and what depends on it from the state, as a killed update leaves them."""
        urn = next(each["urn"] for each in self.stack.resources() if f"::{name}-" in each["urn"])
        self.stack.forget(urn)

    def owned(self) -> Inventory:
        """Return what bears the stack's label in each cluster.

        Each is `apiVersion Kind namespace name version`, see objects_labelled.
        """
        mark = next(each["outputs"]["hex"] for each in self.stack.resources() if each["urn"].endswith("::owner"))
        return {cluster: objects_labelled(self.lab, cluster, f"{OWNER_LABEL}={mark}") for cluster in CLUSTERS}

    def expect_whole(self, domain: str, namespace: str = "life") -> None:
        """Expect that every object of the state is in its cluster, and that the host is served."""
        for (cluster, place), names in self._objects().items():
            self.lab.kubectl(cluster, *_within(place), "get", "-o", "name", *names)
        url = f"http://{domain}/headers"
        eventually(lambda: self.lab.status(namespace, url) == "200", f"{domain} is served")

    def _objects(self) -> defaultdict[tuple[str, str], list[str]]:
        """Return what the state has, by cluster and namespace, each as KIND.GROUP/NAME."""
        found = defaultdict(list)
        for resource in self.stack.resources():
            is_object = resource["type"].startswith("kubernetes:") and not resource["type"].endswith("Patch")
            if not is_object or resource.get("external"):
                continue
            provider = resource["provider"].rpartition("::")[0]  # it ends with the UID of its cluster
            cluster = next(name for name, uid in self.uids.items() if provider.endswith(uid))
            outputs, metadata = resource["outputs"], resource["outputs"]["metadata"]
            called = _called(outputs["apiVersion"], outputs["kind"], metadata["name"])
            found[cluster, metadata.get("namespace", "")].append(called)
        return found


def objects_labelled(lab: Lab, cluster: str, label: str) -> set[str]:
    """Return the objects of a cluster with a label, each as `apiVersion Kind namespace name version`.

    The version is the resourceVersion, which each change of an object changes. A Deployment's changes with its status
    as well, whenever a Pod becomes ready or unready: its version is UID/GENERATION.
    """
    columns = ",".join(f":.{each}" for each in ("apiVersion", "kind", *map("metadata.{}".format, _METADATA)))
    options = ("-A", "-l", label, "--no-headers", "-o", f"custom-columns={columns}")
    found = set()
    for line in lab.kubectl(cluster, "get", KINDS, *options).splitlines():
        *names, version, uid, generation = line.split()
        found.add(" ".join((*names, f"{uid}/{generation}" if "Deployment" in names else version)))
    return found


def _called(api_version: str, kind: str, name: str) -> str:
    group = api_version.rpartition("/")[0]
    return f"{kind.lower()}{'.' + group if '.' in group else ''}/{name}"


def _within(namespace: str) -> tuple[str, ...]:
    return ("-n", namespace) if namespace else ()
